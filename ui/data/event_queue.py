"""Listening events on their way to Kafka, queued while it is unavailable.

`publish` only queues the event; one thread sends the queue in order and keeps what it could not send. So no page waits for a
broker, and no event is lost while the queue has room. What is left when the player ends is written to a file and sent at
the next start.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from batch.atomic import replacing
from conf.settings import Kafka
from streaming.events import Event, encode

log = logging.getLogger(__name__)

MAX_QUEUED_EVENTS = 20_000
"""Some 10 MB."""
RETRY_INTERVAL_S = 1.0
STUCK_AFTER_S = 3.0
"""An event queued for longer means that Kafka is unavailable, before its delivery has timed out."""
DELIVERY_TIMEOUT_S = 10.0
MAX_BATCH_EVENTS = 500
UNUSABLE_PRODUCER_CLOSE_TIMEOUT_S = 0.2


class QueueFull(BufferError):
    """The queue has no room for another event."""


class Producer(Protocol):
    """The part of kafka.KafkaProducer that is used here."""

    def send(self, topic: str, value: bytes, key: bytes, timestamp_ms: int) -> Any: ...
    def flush(self, timeout: float | None = None) -> Any: ...
    def close(self, timeout: float | None = None) -> Any: ...


@dataclass(frozen=True)
class QueueState:
    """connected : whether Kafka takes events, as far as is known;  waiting : events in the queue"""

    connected: bool
    waiting: int


class Record(NamedTuple):
    """A queued event. queued_at : monotonic seconds"""

    key: bytes
    value: bytes
    queued_at: float


def connect(kafka: Kafka) -> Producer:
    """A connected producer. Raises KafkaError where no broker answers within seconds."""
    from kafka import KafkaProducer

    producer: Producer = KafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers.split(","),
        client_id="overtone-player",
        acks="all",
        enable_idempotence=True,
        allow_auto_create_topics=False,
        bootstrap_timeout_ms=3000,
        max_block_ms=3000,
        request_timeout_ms=5000,
        delivery_timeout_ms=int(DELIVERY_TIMEOUT_S * 1000),
        reconnect_backoff_max_ms=1000,
    )
    return producer


class EventQueue:
    """A queue of listening events that a thread sends to a topic.

    connect : makes a producer, and raises where there is no broker; called in the sending thread, again after a failure
    capacity : events that the queue holds at most
    file : where events that are left at the end wait for the next start; None: they are lost
    """

    def __init__(
        self,
        connect: Callable[[], Producer],
        topic: str,
        capacity: int = MAX_QUEUED_EVENTS,
        file: Path | None = None,
    ) -> None:
        self._connect = connect
        self._topic = topic
        self._capacity = capacity
        self._queue: OrderedDict[int, Record] = OrderedDict()
        self._last_number = 0
        self._connected = True
        self._producer: Producer | None = None
        self._changed = threading.Condition()
        self._closing = False
        self._file = file
        for key, value in _read(file):
            self._append(Record(key, value, time.monotonic()))
        self._thread = threading.Thread(target=self._send_all, name="event-queue", daemon=True)
        self._thread.start()

    @property
    def state(self) -> QueueState:
        with self._changed:
            oldest = next(iter(self._queue.values()), None)
            is_stuck = oldest is not None and time.monotonic() - oldest.queued_at > STUCK_AFTER_S
            return QueueState(connected=self._connected and not is_stuck, waiting=len(self._queue))

    def publish(self, event: Event) -> None:
        """Queues an event and returns at once. Raises BadEvent or QueueFull."""
        record = Record(event.user_id.encode(), encode(event), time.monotonic())
        with self._changed:
            if len(self._queue) >= self._capacity:
                raise QueueFull(f"{self._capacity} events wait for Kafka already; start Kafka and try again")
            self._append(record)
            self._changed.notify_all()

    def discard(self, user_id: str) -> int:
        """Removes a listener's events and returns their number. None of them is sent with a later timestamp than now."""
        key = user_id.encode()
        with self._changed:
            numbers = [number for number, record in self._queue.items() if record.key == key]
            for number in numbers:
                del self._queue[number]
            self._changed.notify_all()
        return len(numbers)

    def flush(self, timeout_s: float) -> bool:
        """Waits until everything is sent; False where that takes longer than the timeout."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue, timeout_s)

    def close(self, timeout_s: float = 1.0) -> int:
        """Sends what can be sent within the timeout, and returns how many events are left."""
        with self._changed:
            if self._connected:
                self._changed.wait_for(lambda: not self._queue or not self._connected, timeout_s)
            self._closing = True
            self._changed.notify_all()
            unsent = list(self._queue.values())
        if _write(self._file, unsent):
            log.warning(
                "Kafka is unavailable: %d listening events wait in %s for the next start", len(unsent), self._file
            )
        elif unsent:
            log.warning("Kafka is unavailable: %d listening events are lost", len(unsent))
        return len(unsent)

    def _append(self, record: Record) -> None:
        self._last_number += 1
        self._queue[self._last_number] = record

    def _send_all(self) -> None:
        while (batch := self._next_batch()) is not None:
            try:
                if self._producer is None:
                    self._producer = self._connect()
                delivered = self._deliver(self._producer, batch)
                failure = None
            except Exception as error:  # noqa: BLE001 - whatever the client library raises, the events are sent again
                delivered, failure = [], error
            self._settle(delivered, failure)
            if failure is not None:
                self._close_producer()
                time.sleep(RETRY_INTERVAL_S)
        self._close_producer()

    def _next_batch(self) -> dict[int, Record] | None:
        """The first queued event of each listener, by number; None after `close`.

        Only one of a listener is in flight: were the first of two to fail, the second would overtake it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            if self._closing:
                return None
            first_number_by_key: dict[bytes, int] = {}
            for number, record in self._queue.items():
                first_number_by_key.setdefault(record.key, number)
                if len(first_number_by_key) >= MAX_BATCH_EVENTS:
                    break
            return {number: self._queue[number] for number in first_number_by_key.values()}

    def _deliver(self, producer: Producer, batch: dict[int, Record]) -> list[int]:
        """Numbers of the records that Kafka has acknowledged. Raises the last failure where there is none."""
        futures = {}
        for number, record in batch.items():
            # Taken before the look into the queue: an event that `discard` removes after it has an earlier timestamp.
            timestamp_ms = time.time_ns() // 1_000_000
            if number in self._queue:
                futures[number] = producer.send(
                    self._topic, value=record.value, key=record.key, timestamp_ms=timestamp_ms
                )
        producer.flush(timeout=DELIVERY_TIMEOUT_S)
        delivered, failure = [], None
        for number, future in futures.items():
            try:
                future.get(timeout=0.1)
                delivered.append(number)
            except Exception as error:  # noqa: BLE001 - whatever it is, the event stays in the queue
                failure = error
        if failure is not None and not delivered:
            raise failure
        return delivered

    def _settle(self, delivered: list[int], failure: Exception | None) -> None:
        with self._changed:
            for number in delivered:
                self._queue.pop(number, None)
            if failure is not None and self._connected:
                log.warning("Kafka is unavailable, events are queued: %s", failure)
            if failure is None and not self._connected:
                log.warning("Kafka is available again")
            self._connected = failure is None
            self._changed.notify_all()

    def _close_producer(self) -> None:
        if self._producer is not None:
            try:
                self._producer.close(timeout=UNUSABLE_PRODUCER_CLOSE_TIMEOUT_S)
            except Exception as error:  # noqa: BLE001 - whatever it is, the producer is not used again
                log.debug("closing the producer: %s", error)
            self._producer = None


def _read(file: Path | None) -> list[tuple[bytes, bytes]]:
    """(key, value) of the events that an earlier run has left. Removes the file: another start must not send them again."""
    if file is None or not file.exists():
        return []
    try:
        lines = [json.loads(line) for line in file.read_text().splitlines() if line]
        records = [(base64.b64decode(line["key"]), base64.b64decode(line["value"])) for line in lines]
        file.unlink()
        return records
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s holds events of an earlier run and cannot be read: %s", file, error)
        return []


def _write(file: Path | None, records: list[Record]) -> bool:
    """Whether the records are in the file now. One that reached Kafka after all is a duplicate, known by its event id."""
    if file is None or not records:
        return False
    lines = [
        json.dumps({"key": base64.b64encode(each.key).decode(), "value": base64.b64encode(each.value).decode()})
        for each in records
    ]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as part:
            part.touch(mode=0o600)
            part.write_text("\n".join(lines) + "\n")
    except OSError as error:
        log.warning("%s cannot be written: %s", file, error)
        return False
    return True
