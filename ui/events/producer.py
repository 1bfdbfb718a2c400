"""The Kafka producer of the player's events."""

from __future__ import annotations

from typing import Any, Protocol

from conf.settings import Kafka

DELIVERY_TIMEOUT_S = 10.0


class Producer(Protocol):
    """The part of kafka.KafkaProducer that is used here."""

    def send(self, topic: str, value: bytes, key: bytes, timestamp_ms: int) -> Any: ...
    def flush(self, timeout: float | None = None) -> Any: ...
    def close(self, timeout: float | None = None) -> Any: ...


def connect(kafka: Kafka) -> Producer:
    """A connected producer. Raises KafkaError where no broker answers within seconds."""
    from kafka import KafkaProducer

    producer: Producer = KafkaProducer(
        **kafka.client_options(),
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
