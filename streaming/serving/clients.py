"""What a process keeps between micro-batches: its connections, the index, the rows that a muting hides."""

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
from streaming.ranking.neighbour_cache import Catalogue

if TYPE_CHECKING:
    from kafka import KafkaProducer
    from pymongo import MongoClient
    from pymongo.database import Database

PATIENCE_MS = 10_000
ANSWER_MS = 60_000
BATCH_BYTES = 512 * 1024
"""Sent at once: Kafka's default of 16 kB is three lists."""
HIDDEN = 1000
HIDDEN_S = 60
"""For so long the tracks of a muted artist or genre are not asked for again."""


def database_of(mongo: Mongo) -> Database[dict[str, Any]]:
    """The database, over a connection that the process keeps."""
    return _client(mongo.uri.get_secret_value())[mongo.database]


@lru_cache(maxsize=1)
def producer_of(kafka: Kafka) -> KafkaProducer:
    """A producer that the process keeps, until `forget_producer`."""
    from kafka import KafkaProducer

    return KafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers, acks="all", enable_idempotence=True, batch_size=BATCH_BYTES
    )


def forget_producer() -> None:
    """After an error the next micro-batch gets a new producer: an idempotent one may be of no more use."""
    producer_of.cache_clear()


@lru_cache(maxsize=1)
def catalogue_of(model: Path, grown: str) -> Catalogue:
    """The index of a model version as it has grown so far, mapped into memory."""
    del grown  # another state of the index is another index
    return Catalogue(Index.open(model / "index"))


def hidden_rows(muted: Sequence[str], mongo: Mongo, catalogue: Catalogue) -> Rows:
    """Rows of the tracks of muted artists and genres ("artist:NAME", "genre:NAME")."""
    if not muted:
        return np.empty(0, dtype=np.int64)
    minute = int(time.monotonic() / HIDDEN_S)
    missing = [target for target in muted if (target, minute) not in _hidden]
    if missing:
        if len(_hidden) > HIDDEN:
            _hidden.clear()
            missing = list(muted)
        _hidden.update({(target, minute): ids for target, ids in _tracks_of(missing, mongo).items()})
    ids = [track_id for target in muted for track_id in _hidden[target, minute]]
    rows = catalogue.index.rows_of(ids)
    return np.unique(rows[rows >= 0])


_hidden: dict[tuple[str, int], list[str]] = {}
"""{(target, minute): its track ids}"""


def _tracks_of(targets: Sequence[str], mongo: Mongo) -> dict[str, list[str]]:
    """{target: ids of its tracks}, in one question an artist or genre."""
    names: dict[str, list[str]] = defaultdict(list)
    for target in targets:
        kind, _, name = target.partition(":")
        names[kind].append(name)
    found: dict[str, list[str]] = {target: [] for target in targets}
    for kind, mine in names.items():
        for document in database_of(mongo).tracks.find({kind: {"$in": mine}}, {kind: 1}):
            found[f"{kind}:{document[kind]}"].append(document["_id"])
    return found


@lru_cache(maxsize=1)
def _client(uri: str) -> MongoClient[dict[str, Any]]:
    from pymongo import MongoClient

    # without a time limit for answers, a server that vanished without a word would be waited for for ever
    return MongoClient(uri, tz_aware=True, serverSelectionTimeoutMS=PATIENCE_MS, socketTimeoutMS=ANSWER_MS)
