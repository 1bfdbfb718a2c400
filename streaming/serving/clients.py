"""What a process keeps between micro-batches: connections and the index."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch.index.lsh import Index
from batch.mongo import connection
from conf.settings import Kafka, Mongo
from streaming.ranking.neighbour_cache import CachedIndex

if TYPE_CHECKING:
    from kafka import KafkaProducer
    from pymongo import MongoClient
    from pymongo.database import Database

SERVER_SELECTION_TIMEOUT_MS = 10_000
STREAM_SOCKET_TIMEOUT_MS = 60_000
PRODUCER_BATCH_BYTES = 512 * 1024
"""Kafka's default of 16 KiB holds three lists."""


def database_of(mongo: Mongo) -> Database[dict[str, Any]]:
    """The database, by the process's connection."""
    return _client(mongo)[mongo.database]


@lru_cache(maxsize=1)
def producer_of(kafka: Kafka) -> KafkaProducer:
    """The process's producer, until `forget_producer`."""
    from kafka import KafkaProducer

    return KafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers,
        acks="all",
        enable_idempotence=True,
        batch_size=PRODUCER_BATCH_BYTES,
    )


def forget_producer() -> None:
    """Makes the next `producer_of` create a new one: after an error an idempotent producer may be unusable."""
    producer_of.cache_clear()


@lru_cache(maxsize=1)
def index_of(model: Path, index_state: str) -> CachedIndex:
    """The memory-mapped index of a model version.

    model : folder of the model version
    index_state : `Index.state`; another state opens the index again
    """
    del index_state  # part of the cache's key
    return CachedIndex(Index.open(model / "index"))


@lru_cache(maxsize=1)
def _client(mongo: Mongo) -> MongoClient[dict[str, Any]]:
    # without a socket timeout, a server that vanished would be waited for endlessly
    return connection(
        mongo, serverSelectionTimeoutMS=SERVER_SELECTION_TIMEOUT_MS, socketTimeoutMS=STREAM_SOCKET_TIMEOUT_MS
    )
