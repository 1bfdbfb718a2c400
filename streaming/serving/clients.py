"""What a process keeps between micro-batches: connections, the index, rows of muted artists and genres."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from batch.index.lsh import Index, Rows
from conf.settings import Kafka, Mongo
from streaming.ranking.neighbour_cache import CachedIndex

if TYPE_CHECKING:
    from kafka import KafkaProducer
    from pymongo import MongoClient
    from pymongo.database import Database

SERVER_SELECTION_TIMEOUT_MS = 10_000
SOCKET_TIMEOUT_MS = 60_000
PRODUCER_BATCH_BYTES = 512 * 1024
"""Kafka's default of 16 KiB holds three lists."""
CACHED_TARGETS = 1000
TARGET_CACHE_S = 60
"""The tracks of a muted artist or genre are looked up again after this long."""


def database_of(mongo: Mongo) -> Database[dict[str, Any]]:
    """The database, by the process's connection."""
    return _client(mongo.uri.get_secret_value())[mongo.database]


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


def muted_rows(targets: Sequence[str], mongo: Mongo, index: CachedIndex) -> Rows:
    """Rows of the tracks of muted artists and genres, sorted.  targets : "artist:NAME", "genre:NAME" """
    if not targets:
        return np.empty(0, dtype=np.int64)
    period = int(time.monotonic() / TARGET_CACHE_S)
    missing = [target for target in targets if (target, period) not in _ids_by_target]
    if missing:
        if len(_ids_by_target) > CACHED_TARGETS:
            _ids_by_target.clear()
            missing = list(targets)
        _ids_by_target.update({(target, period): ids for target, ids in _look_up_targets(missing, mongo).items()})
    ids = [track_id for target in targets for track_id in _ids_by_target[target, period]]
    rows = index.index.rows_of(ids)
    return np.unique(rows[rows >= 0])


_ids_by_target: dict[tuple[str, int], list[str]] = {}
"""{(target, period of TARGET_CACHE_S): ids of its tracks}"""


def _look_up_targets(targets: Sequence[str], mongo: Mongo) -> dict[str, list[str]]:
    """{target: ids of its tracks}, by one query for artists and one for genres."""
    names_by_kind: dict[str, list[str]] = defaultdict(list)
    for target in targets:
        kind, _, name = target.partition(":")
        names_by_kind[kind].append(name)
    ids_by_target: dict[str, list[str]] = {target: [] for target in targets}
    for kind, names in names_by_kind.items():
        for document in database_of(mongo).tracks.find({kind: {"$in": names}}, {kind: 1}):
            ids_by_target[f"{kind}:{document[kind]}"].append(document["_id"])
    return ids_by_target


@lru_cache(maxsize=1)
def _client(uri: str) -> MongoClient[dict[str, Any]]:
    from pymongo import MongoClient

    # without a socket timeout, a server that vanished would be waited for endlessly
    return MongoClient(
        uri,
        tz_aware=True,
        serverSelectionTimeoutMS=SERVER_SELECTION_TIMEOUT_MS,
        socketTimeoutMS=SOCKET_TIMEOUT_MS,
    )
