"""A micro-batch of events becomes profiles and lists, inside the Python workers; each event counts once.

A task has all events of its listeners. It reads their profiles from MongoDB, adds what the profiles have not counted yet,
and writes first the list, then its copy on the topic, last the profile: after a crash in between, the same events give the
same list again, and once the profile has them, they are passed over.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame
from pyspark.sql.types import IntegerType, StructField, StructType

from batch.index import Index
from batch.mongo import EVERYONE
from conf.settings import Kafka, Mongo, Taste
from streaming.events import BadEvent, Event, parse, received_at
from streaming.recommendations import items
from streaming.taste import Profile
from streaming.titles import titles

if TYPE_CHECKING:
    import pandas as pd
    from kafka import KafkaProducer
    from pymongo import MongoClient
    from pymongo.database import Database

SERVED = StructType(
    [
        StructField("events", IntegerType()),
        StructField("applied", IntegerType()),
        StructField("refused", IntegerType()),
        StructField("listeners", IntegerType()),
    ]
)
"""One row a task: events met, counted now, refused; and listeners who got a list."""


@dataclass(frozen=True)
class Serving:
    """What the workers need to serve a micro-batch: values, not connections.

    source : the listening topic's "cluster id/topic id";  index : the folder of the model's index
    """

    mongo: Mongo
    kafka: Kafka
    taste: Taste
    items: int
    source: str
    model_version: str
    index: Path


@dataclass(frozen=True)
class Counted:
    """An event that parsed, and where it stood in the topic."""

    event: Event
    partition: int
    offset: int


def served(raw: DataFrame, serving: Serving) -> DataFrame:
    """Serves the listeners of the rows (value, partition, offset, received_ms): SERVED.

    All rows of a listener must be in one partition of the DataFrame.
    """

    def serve(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        rows = [row for batch in batches for row in batch.itertuples(index=False)]
        yield pd.DataFrame([_serve(rows, serving)] if rows else [], columns=SERVED.names)

    return raw.mapInPandas(serve, SERVED)


def _serve(rows: list[Any], serving: Serving) -> dict[str, int]:
    database = database_of(serving.mongo)
    events, refused = [], 0
    for row in rows:
        try:
            events.append(Counted(parse(row.value, received_at(row.received_ms)), row.partition, row.offset))
        except BadEvent:
            refused += 1  # the ledger keeps it with its reason
    known = titles({counted.event.track_id for counted in events}, database)
    refused += sum(counted.event.track_id not in known for counted in events)
    by_user: dict[str, list[Counted]] = defaultdict(list)
    for counted in events:
        if counted.event.track_id in known:
            by_user[counted.event.user_id].append(counted)
    before = {
        document["_id"]: Profile.from_document(document)
        for document in database.profiles.find({"_id": {"$in": list(by_user)}})
    }
    profiles, lists = [], []
    for user_id, mine in sorted(by_user.items()):
        old = before.get(user_id, Profile(user_id))
        new = _with(old, mine, known, serving)
        if new is old:
            continue
        if new.events_applied > old.events_applied:
            new = replace(new, generation=old.generation + 1)
            lists.append(_list(new, serving, database))
        profiles.append(new)
    _write(lists, profiles, database, serving.kafka)
    applied = sum(p.events_applied - before.get(p.user_id, Profile(p.user_id)).events_applied for p in profiles)
    return {"events": len(rows), "applied": applied, "refused": refused, "listeners": len(lists)}


def _with(profile: Profile, events: list[Counted], known: dict[str, str], serving: Serving) -> Profile:
    for counted in sorted(events, key=lambda counted: (counted.partition, counted.offset)):
        source = f"{serving.source}/{counted.partition}"
        title = known[counted.event.track_id]
        profile = profile.after(counted.event, title, source, counted.offset, serving.taste)
    return profile


def _list(profile: Profile, serving: Serving, database: Database[dict[str, Any]]) -> dict[str, Any]:
    """The document of `recommendations` for a listener."""
    everyone = database.recommendations.find_one({"_id": EVERYONE}, {"items.track_id": 1}) or {}
    opening = [item["track_id"] for item in everyone.get("items", [])]
    listed = items(profile, _index(serving.index), opening, serving.items, serving.taste)
    return {
        "_id": profile.user_id,
        "items": [item.document() for item in listed],
        "generation": profile.generation,
        "generated_at": datetime.now(UTC),
        "model_version": serving.model_version,
        "events_applied": profile.events_applied,
    }


def _write(
    lists: list[dict[str, Any]], profiles: list[Profile], database: Database[dict[str, Any]], kafka: Kafka
) -> None:
    from pymongo import ReplaceOne

    if lists:
        database.recommendations.bulk_write(
            [ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in lists], ordered=False
        )
        producer = _producer(kafka)
        sent = [
            producer.send(kafka.recommendation_topic, key=document["_id"].encode(), value=_message(document))
            for document in lists
        ]
        for future in sent:
            future.get(timeout=30)
    if profiles:
        database.profiles.bulk_write(
            [ReplaceOne({"_id": profile.user_id}, profile.document(), upsert=True) for profile in profiles],
            ordered=False,
        )


def _message(document: dict[str, Any]) -> bytes:
    """A list as it travels on the topic `recommendations`."""
    fields = {name: value for name, value in document.items() if name != "_id"}
    fields |= {"user_id": document["_id"], "generated_at": document["generated_at"].isoformat(timespec="milliseconds")}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


@lru_cache(maxsize=1)
def _client(uri: str) -> MongoClient[dict[str, Any]]:
    from pymongo import MongoClient

    return MongoClient(uri, tz_aware=True, serverSelectionTimeoutMS=30_000)


def database_of(mongo: Mongo) -> Database[dict[str, Any]]:
    """The database, over a connection that the worker keeps."""
    return _client(mongo.uri.get_secret_value())[mongo.database]


@lru_cache(maxsize=1)
def _producer(kafka: Kafka) -> KafkaProducer:
    from kafka import KafkaProducer

    return KafkaProducer(bootstrap_servers=kafka.bootstrap_servers, acks="all", enable_idempotence=True)


@lru_cache(maxsize=2)
def _index(folder: Path) -> Index:
    return Index.open(folder)
