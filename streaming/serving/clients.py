"""What a process keeps between micro-batches: connections and the index."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from batch.index.lsh import Index, Rows
from batch.mongo import connection
from batch.versions.remote_index import IndexPlace, local_folder
from conf.settings import Kafka, Mongo
from streaming.ranking.neighbour_cache import CachedIndex

if TYPE_CHECKING:
    from kafka import KafkaProducer
    from pymongo import MongoClient
    from pymongo.database import Database

SERVER_SELECTION_TIMEOUT_MS = 10_000
STREAM_SOCKET_TIMEOUT_MS = 60_000
IDS_KEPT_S = 600.0
IDS_AT_A_TIME = 20_000
READING_SHARE = 20.0
"""The ids are read again after so many times as long as that took, while the number of tracks changes."""
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
        **kafka.client_options(),
        acks="all",
        # An idempotent producer gives up all records, for good, when the broker refuses one. A list that is sent again must not
        # overtake a later one, and is known by its generation where it is there twice.
        enable_idempotence=False,
        max_in_flight_requests_per_connection=1,
        batch_size=PRODUCER_BATCH_BYTES,
    )


def forget_producer() -> None:
    """Makes the next `producer_of` create a new one: after an error its connection may be unusable."""
    producer_of.cache_clear()


@lru_cache(maxsize=1)
def index_of(place: IndexPlace, index_state: str) -> CachedIndex:
    """The memory-mapped index of a model version.

    place : where the index of a model version lies
    index_state : `Index.state`; another state opens the index again. Raises OtherState where the place does not have it
    """
    return CachedIndex(Index.open(local_folder(place, index_state), state=index_state))


def offered_index(place: IndexPlace, index_state: str, mongo: Mongo) -> CachedIndex:
    """The index without the tracks that MongoDB's `tracks` lacks, which would only take places in lists.

    place, index_state : as for `index_of`
    MongoDB's ids are read again when the index or the number of tracks has changed, and after IDS_KEPT_S; as long as there are no
    tracks at all, the index is whole.
    """
    global _offered
    tracks = database_of(mongo).tracks
    key, now, count = (place, index_state, mongo), time.monotonic(), tracks.estimated_document_count()
    offered = _offered
    if offered is not None and offered.key == key:
        age_s = now - offered.read_at
        is_settled = count == offered.tracks and age_s < IDS_KEPT_S
        if is_settled or age_s < READING_SHARE * offered.reading_s:
            return offered.index
    whole = index_of(place, index_state)
    ids = [document["_id"] for document in tracks.find({}, {"_id": 1}, batch_size=IDS_AT_A_TIME)]
    is_absent = np.zeros(len(whole.index), dtype=bool)
    is_absent[whole.present] = bool(ids)
    rows = whole.index.rows_of([track_id for track_id in ids if isinstance(track_id, str)])
    is_absent[rows[rows >= 0]] = False
    absent = np.flatnonzero(is_absent)
    if offered is not None and offered.key == key and np.array_equal(offered.absent, absent):
        index = offered.index  # with what it has cached
    else:
        index = CachedIndex(whole.index.without(absent)) if len(absent) else whole
    _offered = _Offered(key, index, absent, count, now, time.monotonic() - now)
    return index


@dataclass(frozen=True)
class _Offered:
    """What `offered_index` keeps.

    key : place of the index, its state, MongoDB
    absent : rows that MongoDB's tracks lack, sorted
    tracks : how many MongoDB had
    read_at, reading_s : when the ids were read, in monotonic seconds, and how long that took
    """

    key: tuple[IndexPlace, str, Mongo]
    index: CachedIndex
    absent: Rows
    tracks: int
    read_at: float
    reading_s: float


_offered: _Offered | None = None


@lru_cache(maxsize=1)
def _client(mongo: Mongo) -> MongoClient[dict[str, Any]]:
    # without a socket timeout, a server that vanished would be waited for endlessly
    return connection(
        mongo, serverSelectionTimeoutMS=SERVER_SELECTION_TIMEOUT_MS, socketTimeoutMS=STREAM_SOCKET_TIMEOUT_MS
    )
