"""Listeners who cannot be served: why, since when, and their events, which wait until they can be.

MongoDB's `set_aside` has a document for each of them, `set_aside_events` their admitted events as they were in Kafka. A listener
is tried again with each further event, and from time to time; then the waiting events are counted first, in the order of their
offsets. So none is lost, however long it takes, up to MOST_WAITING_EVENTS for one listener; of later ones only the number is kept
here, and the events themselves in the lake's `listening_events`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pymongo.errors import BulkWriteError

from streaming.admission.rules import ReceivedEvent, deletion_times
from streaming.documents import SET_ASIDE, SET_ASIDE_EVENTS, set_aside_event_fields, set_aside_fields
from streaming.events import parse, received_at
from streaming.serving.values import RawValue

if TYPE_CHECKING:
    from pymongo.database import Database

MOST_WAITING_EVENTS = 10_000
EVENTS_AT_A_TIME = 200
"""Of up to 64 KiB each."""
MOST_REASON_CHARACTERS = 300


def create_indexes(database: Database[dict[str, Any]]) -> None:
    place = [("source", 1), ("partition", 1), ("offset", 1)]
    database[SET_ASIDE_EVENTS].create_index([("user_id", 1), *place])


def users_set_aside(users: Collection[str], database: Database[dict[str, Any]]) -> list[str]:
    """Those of the users who are set aside, the one first that was tried longest ago."""
    documents = database[SET_ASIDE].find({"_id": {"$in": sorted(users)}}, {"_id": 1}).sort("tried_at", 1)
    return [document["_id"] for document in documents]


def users_to_try(tried_before: datetime, most: int, database: Database[dict[str, Any]]) -> list[str]:
    """Up to `most` users who were last tried before a time, the one first that was tried longest ago."""
    documents = database[SET_ASIDE].find({"tried_at": {"$lt": tried_before}}, {"_id": 1}).sort("tried_at", 1)
    return [document["_id"] for document in documents.limit(most)]


def add(user_id: str, error: Exception, database: Database[dict[str, Any]]) -> bool:
    """Sets a listener aside, or notes that another attempt failed; whether the listener was not set aside before."""
    now, reason = datetime.now(UTC), reason_of(error)
    fields = set_aside_fields(reason, now)
    update = {"$set": fields, "$setOnInsert": {"since": now}, "$inc": {"attempts": 1}}
    is_new = database[SET_ASIDE].update_one({"_id": user_id}, update, upsert=True).upserted_id is not None
    if is_new:
        print(
            f"recommend: {user_id!r} cannot be served ({reason}): set aside with the events until that works",
            flush=True,
        )
    return is_new


def keep_events(
    user_id: str, events: Sequence[ReceivedEvent], values: Sequence[RawValue], database: Database[dict[str, Any]]
) -> None:
    """Adds events of a listener who is set aside to those that wait; ones that wait already are left as they are.

    values : of the events, in their order
    """
    from pymongo import UpdateOne

    waiting = database[SET_ASIDE_EVENTS].count_documents({"user_id": user_id})
    pairs = list(zip(events, values, strict=True))
    stored_pairs = pairs[: max(0, MOST_WAITING_EVENTS - waiting)]
    updates = []
    for event, value in stored_pairs:
        place = {"source": event.source, "partition": event.partition, "offset": event.offset}
        fields = set_aside_event_fields(value.value or b"", value.received_ms)
        updates.append(UpdateOne({"user_id": user_id, **place}, {"$setOnInsert": fields}, upsert=True))
    if updates:
        database[SET_ASIDE_EVENTS].bulk_write(updates, ordered=False)
    if len(pairs) > len(stored_pairs):
        database[SET_ASIDE].update_one({"_id": user_id}, {"$inc": {"events_not_kept": len(pairs) - len(stored_pairs)}})
    _count_events(user_id, database)
    remove_deleted([user_id], database)


def next_events(user_id: str, database: Database[dict[str, Any]]) -> list[ReceivedEvent]:
    """The first EVENTS_AT_A_TIME events that wait, in the order of their offsets."""
    documents = database[SET_ASIDE_EVENTS].find({"user_id": user_id})
    documents = documents.sort([("source", 1), ("partition", 1), ("offset", 1)]).limit(EVENTS_AT_A_TIME)
    return [_received(document) for document in documents]


def remove_events(user_id: str, events: Sequence[ReceivedEvent], database: Database[dict[str, Any]]) -> None:
    """Removes events that were counted."""
    from pymongo import DeleteOne

    places = [{"source": each.source, "partition": each.partition, "offset": each.offset} for each in events]
    database[SET_ASIDE_EVENTS].bulk_write([DeleteOne({"user_id": user_id, **place}) for place in places], ordered=False)
    _count_events(user_id, database)


def release(user_id: str, database: Database[dict[str, Any]]) -> None:
    """The listener, none of whose events waits any more, is no longer set aside."""
    if database[SET_ASIDE].delete_one({"_id": user_id}).deleted_count:
        print(f"recommend: {user_id!r} can be served again", flush=True)


def remove_deleted(users: Collection[str], database: Database[dict[str, Any]]) -> None:
    """Removes events that arrived before their listener's deletion: it may have come while they were written."""
    for user_id, deleted_at in deletion_times(users, database).items():
        until_ms = (deleted_at - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
        database[SET_ASIDE_EVENTS].delete_many({"user_id": user_id, "received_ms": {"$lte": until_ms}})
        if database[SET_ASIDE_EVENTS].find_one({"user_id": user_id}) is None:
            database[SET_ASIDE].delete_one({"_id": user_id})


def reason_of(error: Exception) -> str:
    """The error's type and message, in one line; of a bulk write, the message of what failed first."""
    write_errors = error.details.get("writeErrors") if isinstance(error, BulkWriteError) else None
    message = write_errors[0].get("errmsg") if write_errors else error
    return " ".join(f"{type(error).__name__}: {message}".split())[:MOST_REASON_CHARACTERS]


def _received(document: Mapping[str, Any]) -> ReceivedEvent:
    arrived_at = received_at(document["received_ms"])
    event = parse(document["value"].encode(), arrived_at)
    return ReceivedEvent(event, document["source"], document["partition"], document["offset"], arrived_at)


def _count_events(user_id: str, database: Database[dict[str, Any]]) -> None:
    """Brings `events`, how many wait, and `offsets`, the first one of each partition, up to date."""
    by_partition = {
        "_id": {"source": "$source", "partition": "$partition"},
        "first": {"$min": "$offset"},
        "count": {"$sum": 1},
    }
    partitions = list(
        database[SET_ASIDE_EVENTS].aggregate([{"$match": {"user_id": user_id}}, {"$group": by_partition}])
    )
    offsets = [
        {"source": f"{each['_id']['source']}/{each['_id']['partition']}", "offset": each["first"]}
        for each in partitions
    ]
    fields = {
        "events": sum(each["count"] for each in partitions),
        "offsets": sorted(offsets, key=lambda each: each["source"]),
    }
    database[SET_ASIDE].update_one({"_id": user_id}, {"$set": fields})
