"""Sends records to a Kafka topic and looks at the outcome of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conf.settings import Kafka

ACKNOWLEDGEMENT_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 5.0


class RecordSender:
    """Sends records to one topic; what was sent is decided by `outcomes`.

    A record that the broker does not take by its nature (its size, a policy) is refused. Anything else that goes wrong with one,
    such as a broker that is away, is an error of all: they may be sent again later.
    """

    def __init__(self, kafka: Kafka, topic: str) -> None:
        from kafka import KafkaProducer

        self._topic = topic
        self._producer = KafkaProducer(
            **kafka.client_options(),
            acks="all",
            # A record that is sent again must not overtake a later one of its key. An idempotent producer would see to that too,
            # but gives up all records, for good, when the broker refuses one.
            enable_idempotence=False,
            max_in_flight_requests_per_connection=1,
            linger_ms=20,
        )
        self._sent: list[tuple[str, bytes | None, Any]] = []
        """(key, value, future)"""
        self._refused: dict[str, str] = {}

    def send(self, key: str, value: bytes | None) -> None:
        """Hands a record to the producer. Raises KafkaError where that fails for another reason than the record."""
        try:
            self._sent.append((key, value, self._producer.send(self._topic, key=key.encode(), value=value)))
        except _refusals() as error:
            self._refused[key] = _reason(value, error)

    def outcomes(self) -> tuple[set[str], dict[str, str]]:
        """(keys whose last record the broker has acknowledged, {key: why it was refused}) of what was sent since the last call.

        Raises KafkaError where a record has no outcome yet: nothing may count as sent then.
        """
        self._producer.flush(ACKNOWLEDGEMENT_TIMEOUT_S)
        sent, self._sent = self._sent, []
        refused, self._refused = self._refused, {}
        last_by_key = {key: number for number, (key, *_) in enumerate(sent)}
        for number, (key, value, future) in enumerate(sent):
            try:
                future.get(timeout=ACKNOWLEDGEMENT_TIMEOUT_S)
            except _refusals():  # perhaps only for the others of its batch
                if last_by_key[key] != number:
                    continue  # sent now it would overtake a later one
                try:
                    again = self._producer.send(self._topic, key=key.encode(), value=value)
                    again.get(timeout=ACKNOWLEDGEMENT_TIMEOUT_S)
                except _refusals() as error:
                    refused[key] = _reason(value, error)
        return last_by_key.keys() - refused.keys(), refused

    def close(self) -> None:
        self._producer.close(timeout=CLOSE_TIMEOUT_S)


def _refusals() -> tuple[type[Exception], ...]:
    """Errors that a record has again however often it is sent."""
    from kafka import errors

    return (
        errors.MessageSizeTooLargeError,
        errors.RecordListTooLargeError,
        errors.InvalidTimestampError,
        errors.InvalidRecordError,
        errors.PolicyViolationError,
    )


def _reason(value: bytes | None, error: Exception) -> str:
    return f"Kafka refused a record of {len(value or b''):,} bytes ({type(error).__name__})"
