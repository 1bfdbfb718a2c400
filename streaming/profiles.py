"""A micro-batch of events becomes profiles and lists; each event counts once.

One call has all events of its listeners. It reads their profiles from MongoDB, adds what the profiles have not counted yet,
and writes first the list, then its copy on the topic, last the profile. After a crash in between, a list may stand there that
the profile does not know: when it has counted the same events it is kept and sent again, else it gets a successor. Once the
profile has the events, they are passed over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from kafka.errors import KafkaError

from batch.mongo import EVERYONE
from conf.settings import Kafka, Mongo, Taste
from streaming.connections import catalogue_of, database_of, forget_producer, hidden_rows, producer_of
from streaming.events import BadEvent, Event, parse, received_at
from streaming.liking import liking
from streaming.recommendations import Item, items
from streaming.skips import frozen
from streaming.taste import Profile
from streaming.titles import titles

if TYPE_CHECKING:
    from pymongo.database import Database

SEND_S = 30.0
PROFILE = {"centres": 0, "rejected": 0, "heard": 0, "muted": 0}
"""What a profile shows to readers is made anew from the rest."""
STANDING = {"generation": 1, "events_applied": 1, "items.track_id": 1}


@dataclass(frozen=True)
class Serving:
    """What it takes to serve a micro-batch: values, not connections.

    source : the listening topic's "cluster id/topic id";  model : the folder of the model;  grown : state of its index
    """

    mongo: Mongo
    kafka: Kafka
    taste: Taste
    items: int
    source: str
    model_version: str
    model: Path
    grown: str = ""


@dataclass(frozen=True)
class Raw:
    """A value of the topic, where it stood and when it came (ms since 1970)."""

    value: bytes | None
    partition: int
    offset: int
    received_ms: int


@dataclass(frozen=True)
class Counted:
    """An event that parsed, and where it stood in the topic."""

    event: Event
    partition: int
    offset: int
    received_ms: int


@dataclass(frozen=True)
class Outcome:
    """What became of a micro-batch. `waits`: seconds from arrival in Kafka to the list, one an event counted."""

    events: int = 0
    applied: int = 0
    refused: int = 0
    lists: int = 0
    waits: tuple[float, ...] = ()


def serve(rows: Sequence[Raw], serving: Serving) -> Outcome:
    """Serves the listeners of the rows, among which are all new events of these listeners."""
    database = database_of(serving.mongo)
    by_user, known, refused = _by_listener(rows, database)
    before = {
        document["_id"]: Profile.from_document(document)
        for document in database.profiles.find({"_id": {"$in": list(by_user)}}, PROFILE)
    }
    there = {
        document["_id"]: document
        for document in database.recommendations.find({"_id": {"$in": [*by_user, EVERYONE]}}, STANDING)
    }
    opening = [item["track_id"] for item in there.get(EVERYONE, {}).get("items", [])]
    catalogue = catalogue_of(serving.model, serving.grown)
    profiles: list[dict[str, Any]] = []
    lists: list[dict[str, Any]] = []
    kept: list[str] = []
    applied, arrivals = 0, list[int]()
    for user_id, mine in sorted(by_user.items()):
        old = before.get(user_id, Profile(user_id))
        new = _with(old, mine, known, serving)
        if new is old:
            continue
        found = liking(new, catalogue, serving.taste)
        if counted := new.events_applied - old.events_applied:
            applied += counted
            arrivals += [one.received_ms for one in mine]
            standing = there.get(user_id, {})
            generation = max(old.generation, standing.get("generation", 0))
            if generation > old.generation and standing["events_applied"] == new.events_applied:
                new = replace(new, generation=generation)
                kept.append(user_id)
            else:
                new = replace(new, generation=generation + 1)
                muted = hidden_rows(new.muted, serving.mongo, catalogue)
                lists.append(
                    _list(new, items(new, catalogue, opening, serving.items, serving.taste, muted, found), serving)
                )
        profiles.append({**new.document(), **found.shown(new)})
    _write(lists, kept, profiles, database, serving.kafka)
    now_ms = datetime.now(UTC).timestamp() * 1000
    waits = tuple(max(0.0, (now_ms - arrived) / 1000) for arrived in arrivals)
    return Outcome(len(rows), applied, refused, len(lists) + len(kept), waits)


def _by_listener(
    rows: Sequence[Raw], database: Database[dict[str, Any]]
) -> tuple[dict[str, list[Counted]], dict[str, str], int]:
    """(events of each listener, titles of their tracks, how many rows are refused)."""
    events = []
    for row in rows:
        try:
            event = parse(row.value, received_at(row.received_ms))
        except BadEvent:
            continue  # the ledger keeps it with its reason
        events.append(Counted(event, row.partition, row.offset, row.received_ms))
    known = titles({one.event.track_id for one in events if one.event.track_id is not None}, database)
    by_user: dict[str, list[Counted]] = defaultdict(list)
    for one in events:
        if one.event.track_id is None or one.event.track_id in known:
            by_user[one.event.user_id].append(one)
    return by_user, known, len(rows) - sum(map(len, by_user.values()))


def _with(profile: Profile, events: list[Counted], known: dict[str, str], serving: Serving) -> Profile:
    factors = frozen(serving.model, serving.taste)
    for counted in sorted(events, key=lambda counted: (counted.partition, counted.offset)):
        source = f"{serving.source}/{counted.partition}"
        track_id = counted.event.track_id or ""
        profile = profile.after(
            counted.event, known.get(track_id, ""), source, counted.offset, serving.taste, factors.get(track_id, 1.0)
        )
    return profile


def _list(profile: Profile, listed: list[Item], serving: Serving) -> dict[str, Any]:
    """The document of `recommendations` for a listener."""
    return {
        "_id": profile.user_id,
        "items": [item.document() for item in listed],
        "generation": profile.generation,
        "generated_at": datetime.now(UTC),
        "model_version": serving.model_version,
        "events_applied": profile.events_applied,
    }


def _write(
    lists: list[dict[str, Any]],
    kept: list[str],
    profiles: list[dict[str, Any]],
    database: Database[dict[str, Any]],
    kafka: Kafka,
) -> None:
    from pymongo import ReplaceOne

    if lists:
        database.recommendations.bulk_write(
            [ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in lists], ordered=False
        )
    if kept:
        lists = [*lists, *database.recommendations.find({"_id": {"$in": kept}})]
    try:
        sent = [
            producer_of(kafka).send(kafka.recommendation_topic, key=document["_id"].encode(), value=message(document))
            for document in lists
        ]
        for future in sent:
            future.get(timeout=SEND_S)
    except KafkaError:
        forget_producer()
        raise
    if profiles:
        database.profiles.bulk_write(
            [ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in profiles], ordered=False
        )


def message(document: dict[str, Any]) -> bytes:
    """A list as it travels on the topic `recommendations`."""
    fields = {name: value for name, value in document.items() if name != "_id"}
    fields |= {"user_id": document["_id"], "generated_at": document["generated_at"].isoformat(timespec="milliseconds")}
    return orjson.dumps(fields)
