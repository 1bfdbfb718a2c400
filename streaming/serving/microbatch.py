"""A micro-batch of events becomes profiles and lists; each event counts once.

One call has all events of its listeners. It reads their profiles from MongoDB, adds what the profiles have not counted yet,
and writes first the list, then its copy on the topic, last the profile. After a crash in between, a list may stand there that
the profile does not know: when it has counted the same events it is kept and sent again, else it gets a successor. Once the
profile has the events, they are passed over. List and profile are written only over those that were read: an attempt that was
given up, and writes late, is overtaken and writes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from kafka.errors import KafkaError

from batch.mongo import EVERYONE
from conf.settings import Kafka, Mongo, Taste
from streaming.admission.known_tracks import titles
from streaming.admission.rules import Placed, not_ahead, not_deleted, note_refused
from streaming.events import BadEvent, parse, received_at
from streaming.profile.profile import Profile
from streaming.profile.skip_rates import frozen
from streaming.ranking.ranker import Asked, Item, lists
from streaming.ranking.user_vector import liking
from streaming.serving.clients import catalogue_of, database_of, forget_producer, hidden_rows, producer_of

if TYPE_CHECKING:
    from pymongo.collection import Collection
    from pymongo.database import Database

Write = tuple[Mapping[str, Any], dict[str, Any]]
"""(the document that was read, empty where there was none; the one to write over it)"""
SEND_S = 30.0
DUPLICATE = 11000
PROFILE = {"centres": 0, "rejected": 0, "heard": 0, "muted": 0}
"""What a profile shows to readers is made anew from the rest."""
STANDING = {"generation": 1, "events_applied": 1, "items.track_id": 1}
TOLD_BY = ("generation", "events_applied")
"""A list or profile that was written over differs in one of them."""
TRIES = 5


class Overtaken(RuntimeError):
    """A list or profile is another one than was read: somebody else wrote it meanwhile, or took it away."""


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
class Outcome:
    """What became of a micro-batch. `waits`: seconds from arrival in Kafka to the list, one an event counted."""

    events: int = 0
    applied: int = 0
    refused: int = 0
    lists: int = 0
    waits: tuple[float, ...] = ()


def serve(rows: Sequence[Raw], serving: Serving) -> Outcome:
    """Serves the listeners of the rows, among which are all new events of these listeners. Raises Overtaken."""
    for _ in range(TRIES - 1):
        try:
            return _served(rows, serving)
        except Overtaken:
            continue
    return _served(rows, serving)


def _served(rows: Sequence[Raw], serving: Serving) -> Outcome:
    database = database_of(serving.mongo)
    by_user, known, passed_over = _by_listener(rows, database, serving.source)
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
    profiles: list[Write] = []
    kept: list[str] = []
    asked: list[Asked] = []
    applied, arrivals = 0, list[datetime]()
    tastes = []
    for user_id, mine in sorted(by_user.items()):
        old = before.get(user_id, Profile(user_id))
        new = _with(old, mine, known, serving)
        if new is not old:
            tastes.append((user_id, mine, old, new, liking(new, catalogue, serving.taste)))
    catalogue.look_up(np.concatenate([np.empty(0, dtype=np.int64), *(found.asking for *_, found in tastes)]))
    for user_id, mine, old, new, found in tastes:
        if counted := new.events_applied - old.events_applied:
            applied += counted
            arrivals += [one.received_at for one in mine]
            standing = there.get(user_id, {})
            generation = max(old.generation, standing.get("generation", 0))
            if generation > old.generation and standing["events_applied"] == new.events_applied:
                new = replace(new, generation=generation)
                kept.append(user_id)
            else:
                new = replace(new, generation=generation + 1)
                asked.append(Asked(new, found, hidden_rows(new.muted, serving.mongo, catalogue)))
        profiles.append((vars(old) if user_id in before else {}, {**new.document(), **found.shown(new)}))
    made = zip(asked, lists(asked, catalogue, opening, serving.items, serving.taste), strict=True)
    written = [(there.get(one.profile.user_id, {}), _list(one.profile, listed, serving)) for one, listed in made]
    _write(written, kept, profiles, database, serving.kafka)
    now = datetime.now(UTC)
    waits = tuple(max(0.0, (now - arrived).total_seconds()) for arrived in arrivals)
    return Outcome(len(rows), applied, passed_over, len(written) + len(kept), waits)


def _by_listener(
    rows: Sequence[Raw], database: Database[dict[str, Any]], source: str
) -> tuple[dict[str, list[Placed]], dict[str, str], int]:
    """(events of each listener, titles of their tracks, how many rows are passed over).

    Which events were refused for their track alone is written down for the ledger (`streaming.admission.rules`).
    """
    parsed = []
    for row in rows:
        arrived = received_at(row.received_ms)
        try:
            event = parse(row.value, arrived)
        except BadEvent:
            continue  # the ledger keeps it with its reason
        parsed.append(Placed(event, source, row.partition, row.offset, arrived))
    events = not_deleted(parsed, database)
    known = titles({one.event.track_id for one in events if one.event.track_id is not None}, database)
    by_user: dict[str, list[Placed]] = defaultdict(list)
    unknown = []
    for one in events:
        if one.event.track_id is None or one.event.track_id in known:
            by_user[one.event.user_id].append(one)
        else:
            unknown.append(one)
    note_refused(unknown, database)
    return by_user, known, len(rows) - sum(map(len, by_user.values()))


def _with(profile: Profile, events: list[Placed], known: dict[str, str], serving: Serving) -> Profile:
    factors = frozen(serving.model, serving.taste)
    for one in sorted(events, key=lambda one: (one.partition, one.offset)):
        source = f"{serving.source}/{one.partition}"
        track_id = one.event.track_id or ""
        event = not_ahead(one.event, one.received_at)
        profile = profile.after(
            event, known.get(track_id, ""), source, one.offset, serving.taste, factors.get(track_id, 1.0)
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
    made: Sequence[Write],
    kept: list[str],
    profiles: list[Write],
    database: Database[dict[str, Any]],
    kafka: Kafka,
) -> None:
    _replace(made, database.recommendations)
    documents = [document for _, document in made]
    if kept:
        documents += database.recommendations.find({"_id": {"$in": kept}})
    try:
        sent = [
            producer_of(kafka).send(kafka.recommendation_topic, key=document["_id"].encode(), value=message(document))
            for document in documents
        ]
        for future in sent:
            future.get(timeout=SEND_S)
    except KafkaError:
        forget_producer()
        raise
    _replace(profiles, database.profiles)


def _replace(writes: Sequence[Write], collection: Collection[dict[str, Any]]) -> None:
    """Writes each document over the one that was read. Raises Overtaken where that is another one by now."""
    from pymongo import ReplaceOne
    from pymongo.errors import BulkWriteError

    if not writes:
        return
    requests = []
    for read, document in writes:
        is_new = not read  # where one has come meanwhile, its `_id` is taken
        as_read = {"events_applied": {"$exists": False}} if is_new else {name: read[name] for name in TOLD_BY}
        requests.append(ReplaceOne({"_id": document["_id"], **as_read}, document, upsert=is_new))
    try:
        done = collection.bulk_write(requests, ordered=False)
    except BulkWriteError as error:
        failures = error.details["writeErrors"]
        if all(failure["code"] == DUPLICATE for failure in failures):
            raise Overtaken(f"{len(failures)} of {collection.name} came meanwhile") from error
        raise
    if (written := done.matched_count + done.upserted_count) < len(writes):
        raise Overtaken(f"{len(writes) - written} of {collection.name} changed or went meanwhile")


def message(document: dict[str, Any]) -> bytes:
    """A list as it travels on the topic `recommendations`."""
    fields = {name: value for name, value in document.items() if name != "_id"}
    fields |= {"user_id": document["_id"], "generated_at": document["generated_at"].isoformat(timespec="milliseconds")}
    return orjson.dumps(fields)
