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

from streaming.admission.rules import ReceivedEvent, deletions_of
from streaming.documents import SET_ASIDE, SET_ASIDE_EVENTS, Deletion, set_aside_event_fields, set_aside_fields
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


def users_to_try(tried_by: datetime, most: int, database: Database[dict[str, Any]]) -> list[str]:
    """Up to `most` users who were last tried at a time or before it, the one first that was tried longest ago."""
    documents = database[SET_ASIDE].find({"tried_at": {"$lte": tried_by}}, {"_id": 1}).sort("tried_at", 1)
    return [document["_id"] for document in documents.limit(most)]


def add(user_id: str, error: Exception, tried_at: datetime, database: Database[dict[str, Any]]) -> bool:
    """Sets a listener aside, or notes that another attempt failed; whether the listener was not set aside before."""
    reason = reason_of(error)
    fields = set_aside_fields(reason, tried_at)
    update = {"$set": fields, "$setOnInsert": {"since": tried_at}, "$inc": {"attempts": 1}}
    is_new = database[SET_ASIDE].update_one({"_id": user_id}, update, upsert=True).upserted_id is not None
    if is_new:
        print(
            f"recommend: {user_id!r} cannot be served ({reason}): set aside with the events until that works",
            flush=True,
        )
    return is_new


def keep_events(
    events_by_user: Mapping[str, Sequence[ReceivedEvent]],
    value_by_place: Mapping[tuple[int, int], RawValue],
    database: Database[dict[str, Any]],
) -> None:
    """Adds events of listeners who are set aside to those that wait; ones that wait already are left as they are.

    value_by_place : the value of each event, by (partition, offset)
    """
    from pymongo import UpdateOne

    users = sorted(events_by_user)
    waiting = {
        each["_id"]: each["count"]
        for each in database[SET_ASIDE_EVENTS].aggregate(
            [{"$match": {"user_id": {"$in": users}}}, {"$group": {"_id": "$user_id", "count": {"$sum": 1}}}]
        )
    }
    updates, uncounted = [], []
    for user_id, events in events_by_user.items():
        in_order = sorted(events, key=lambda event: (event.source, event.partition, event.offset))
        stored_events = in_order[: max(0, MOST_WAITING_EVENTS - waiting.get(user_id, 0))]
        for event in stored_events:
            place = {"source": event.source, "partition": event.partition, "offset": event.offset}
            value = value_by_place[event.partition, event.offset]
            fields = set_aside_event_fields(value.value or b"", value.received_ms)
            updates.append(UpdateOne({"user_id": user_id, **place}, {"$setOnInsert": fields}, upsert=True))
        if not_kept := len(events) - len(stored_events):
            uncounted.append(UpdateOne({"_id": user_id}, {"$inc": {"events_not_kept": not_kept}}))
    if updates:
        database[SET_ASIDE_EVENTS].bulk_write(updates, ordered=False)
    if uncounted:
        database[SET_ASIDE].bulk_write(uncounted, ordered=False)
    _count_events(users, database)
    remove_deleted(users, database)


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
    _count_events([user_id], database)


def release(user_id: str, database: Database[dict[str, Any]]) -> None:
    """The listener, none of whose events waits any more, is no longer set aside."""
    if database[SET_ASIDE].delete_one({"_id": user_id}).deleted_count:
        print(f"recommend: {user_id!r} can be served again", flush=True)


def remove_deleted(users: Collection[str], database: Database[dict[str, Any]]) -> None:
    """Removes events that arrived before their listener's deletion: it may have come while they were written."""
    from pymongo import DeleteMany

    deletions = deletions_of(users, database)
    if not deletions:
        return
    database[SET_ASIDE_EVENTS].bulk_write(
        [DeleteMany({"user_id": user_id} | _covered(deletion)) for user_id, deletion in deletions.items()],
        ordered=False,
    )
    waiting = set(database[SET_ASIDE_EVENTS].distinct("user_id", {"user_id": {"$in": sorted(deletions)}}))
    database[SET_ASIDE].delete_many({"_id": {"$in": sorted(deletions.keys() - waiting)}})


def reason_of(error: Exception) -> str:
    """The error's type and message, in one line; of a bulk write, the message of what failed first."""
    write_errors = error.details.get("writeErrors") if isinstance(error, BulkWriteError) else None
    message = write_errors[0].get("errmsg") if write_errors else error
    return " ".join(f"{type(error).__name__}: {message}".split())[:MOST_REASON_CHARACTERS]


def _covered(deletion: Deletion) -> dict[str, Any]:
    """A query for the waiting events that a deletion covers, as `Deletion.covers` has it."""
    until_ms = (deletion.deleted_at - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
    with_end, covered = [], []
    for place, end in deletion.end_by_partition.items():
        source, _, partition = place.rpartition("/")
        with_end.append({"source": source, "partition": int(partition)})
        covered.append(with_end[-1] | {"offset": {"$lt": end}})
    by_time = {"received_ms": {"$lte": until_ms}} | ({"$nor": with_end} if with_end else {})
    return {"$or": [*covered, by_time]}


def _received(document: Mapping[str, Any]) -> ReceivedEvent:
    arrived_at = received_at(document["received_ms"])
    event = parse(document["value"].encode(), arrived_at)
    return ReceivedEvent(event, document["source"], document["partition"], document["offset"], arrived_at)


def _count_events(users: Collection[str], database: Database[dict[str, Any]]) -> None:
    """Brings `events`, how many wait, and `offsets`, the first one of each partition, up to date."""
    from pymongo import UpdateOne

    by_partition = {
        "_id": {"user_id": "$user_id", "source": "$source", "partition": "$partition"},
        "first": {"$min": "$offset"},
        "count": {"$sum": 1},
    }
    of_users = {"user_id": {"$in": sorted(users)}}
    offsets: dict[str, list[dict[str, Any]]] = {user_id: [] for user_id in users}
    counts = dict.fromkeys(users, 0)
    for each in database[SET_ASIDE_EVENTS].aggregate([{"$match": of_users}, {"$group": by_partition}]):
        user_id, source = each["_id"]["user_id"], f"{each['_id']['source']}/{each['_id']['partition']}"
        offsets[user_id].append({"source": source, "offset": each["first"]})
        counts[user_id] += each["count"]
    updates = []
    for user_id in users:
        fields = {"events": counts[user_id], "offsets": sorted(offsets[user_id], key=lambda place: place["source"])}
        updates.append(UpdateOne({"_id": user_id}, {"$set": fields}))
    database[SET_ASIDE].bulk_write(updates, ordered=False)
