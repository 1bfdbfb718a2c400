"""Admission rules of both lanes, beyond an event's own text: deleted listeners, unknown tracks, clocks that are ahead.

A track is known when MongoDB's `tracks` has it. That changes, and the lanes look at different times, so the fast lane's first
decision holds, for itself when it reads an event again and for the ledger. `refusals` has the places of events that it refused
for their track, as long as Kafka keeps the events; what a profile's offsets are past, and was not refused, was counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bson.errors import BSONError

from streaming.documents import DELETIONS, REFUSALS, SET_ASIDE_EVENTS, Deletion, deletion_from, refusal_fields
from streaming.events import Event
from streaming.profile.documents import counted_event
from streaming.profile.profile import MOST_TITLE_CHARACTERS

if TYPE_CHECKING:
    from pymongo.collection import Collection as MongoCollection
    from pymongo.database import Database

MOST_TTL_S = 2**31 - 1
"""The longest that MongoDB takes for an index by which documents expire."""


@dataclass(frozen=True)
class ReceivedEvent:
    """An event with its place in the topic and the time of its arrival in Kafka.  source : "cluster id/topic id" """

    event: Event
    source: str
    partition: int
    offset: int
    received_at: datetime


def create_indexes(database: Database[dict[str, Any]], kept_s: float | None) -> None:
    """Creates the indexes of `refusals` where they are missing or expire documents after another time.

    kept_s : how long a refusal is kept, None for good: no shorter than Kafka keeps the event (`streaming.source.topics.kept_s`)
    """
    refusals = database[REFUSALS]
    refusals.create_index([("source", 1), ("partition", 1), ("offset", 1)], unique=True)
    ttl_s = None if kept_s is None else min(int(kept_s), MOST_TTL_S)
    present = refusals.index_information().get("at_1")
    if present is not None and present.get("expireAfterSeconds") != ttl_s:
        refusals.drop_index("at_1")
    if ttl_s is not None:
        refusals.create_index("at", expireAfterSeconds=ttl_s)


def title_by_track_id(track_ids: Collection[str], database: Database[dict[str, Any]]) -> dict[str, str]:
    """{track id: title} of the known tracks among `track_ids`."""
    if not track_ids:
        return {}
    documents = _readable(database.tracks, track_ids, ("title",))
    return {track_id: _title(document.get("title")) for track_id, document in documents.items()}


def deletions_of(user_ids: Collection[str], database: Database[dict[str, Any]]) -> dict[str, Deletion]:
    """{user id: the last deletion}, without listeners whose data were not deleted."""
    documents = database[DELETIONS].find({"_id": {"$in": sorted(user_ids)}})
    deletions = {document["_id"]: deletion_from(document) for document in documents}
    return {user_id: deletion for user_id, deletion in deletions.items() if deletion is not None}


def deletion_times(user_ids: Collection[str], database: Database[dict[str, Any]]) -> dict[str, datetime]:
    """{user id: when the listener's data were deleted}, without listeners whose data were not."""
    return {user_id: deletion.deleted_at for user_id, deletion in deletions_of(user_ids, database).items()}


def after_deletion(events: Sequence[ReceivedEvent], database: Database[dict[str, Any]]) -> list[ReceivedEvent]:
    """The events without those that arrived before their listener's deletion."""
    deletions = deletions_of({each.event.user_id for each in events}, database)
    return [each for each in events if not is_covered(each, deletions.get(each.event.user_id))]


def is_covered(each: ReceivedEvent, deletion: Deletion | None) -> bool:
    """Whether an event arrived before the deletion of its listener's data, None: they were not deleted."""
    return deletion is not None and deletion.covers(each.source, each.partition, each.offset, each.received_at)


def clamped_to_arrival(event: Event, received_at: datetime) -> Event:
    """The event, dated at its arrival where its clock is ahead: a later date would make all other events count as old."""
    return event if event.occurred_at <= received_at else replace(event, occurred_at=received_at)


def with_known_track(
    events: Sequence[ReceivedEvent], database: Database[dict[str, Any]], refused_at: datetime | None = None
) -> tuple[list[ReceivedEvent], dict[str, str]]:
    """(the events of known tracks or none, {track id: title} of their tracks); the places of the others are in `refusals` then.

    refused_at : the date of a refusal, from which its expiry counts; the present by default
    An event that was refused before is refused again, though its track is known by now.
    """
    titles = title_by_track_id({each.event.track_id for each in events if each.event.track_id is not None}, database)
    refused = _refused_places(events, database)
    admitted, unknown = [], []
    for each in events:
        is_known = each.event.track_id is None or each.event.track_id in titles
        if not is_known:
            unknown.append(each)
        elif _place(each) not in refused:
            admitted.append(each)
    if unknown:
        profiles = _profiles_of({each.event.user_id for each in unknown}, database)
        refusals = [each for each in unknown if not _is_past(profiles, each)]
        _record_refusals(refusals, refused_at or datetime.now(UTC), database)
    return admitted, titles


def places_with_unknown_track(
    events: Sequence[ReceivedEvent], database: Database[dict[str, Any]]
) -> set[tuple[int, int]]:
    """(partition, offset) of the events that the fast lane refused for their track, or would refuse now."""
    titles = title_by_track_id({each.event.track_id for each in events if each.event.track_id is not None}, database)
    unknown = [each for each in events if each.event.track_id is not None and each.event.track_id not in titles]
    # Profiles before refusals, as the fast lane writes them the other way round: what a profile is past here and was refused is
    # among the refusals read next.
    profiles = _profiles_of({each.event.user_id for each in unknown}, database)
    refused_places = _refused_places(events, database)
    refused = [each for each in events if _place(each) in refused_places]
    profiles |= _profiles_of({each.event.user_id for each in refused} - profiles.keys(), database)
    refused = [
        each
        for each in refused  # counted by an earlier version, which decided anew after a crash
        if not counted_event(profiles.get(each.event.user_id, {}), each.event.event_id)
    ]
    undecided = [each for each in unknown if _place(each) not in refused_places and not _is_past(profiles, each)]
    waiting = _waiting_places(undecided, database)
    refused += [each for each in undecided if _place(each) not in waiting]
    return {(each.partition, each.offset) for each in refused}


def _record_refusals(events: Sequence[ReceivedEvent], refused_at: datetime, database: Database[dict[str, Any]]) -> None:
    """Adds the events' places to `refusals`; those recorded before are left as they are."""
    from pymongo import UpdateOne

    if events:
        fields = refusal_fields(refused_at)
        places = [{"source": each.source, "partition": each.partition, "offset": each.offset} for each in events]
        database[REFUSALS].bulk_write(
            [UpdateOne(place, {"$setOnInsert": fields}, upsert=True) for place in places], ordered=False
        )


def _place(each: ReceivedEvent) -> tuple[str, int, int]:
    return each.source, each.partition, each.offset


def _is_past(profiles: Mapping[str, Mapping[str, Any]], each: ReceivedEvent) -> bool:
    """Whether the listener's profile has counted this event or a later one of its partition.  profiles : of `_profiles_of`"""
    source = f"{each.source}/{each.partition}"
    offsets = profiles.get(each.event.user_id, {}).get("offsets")
    if not isinstance(offsets, list):  # a damaged profile has counted nothing that can be told
        return False
    numbers = [
        offset.get("offset") for offset in offsets if isinstance(offset, dict) and offset.get("source") == source
    ]
    return any(isinstance(number, int) and number >= each.offset for number in numbers)


def _refused_places(events: Sequence[ReceivedEvent], database: Database[dict[str, Any]]) -> set[tuple[str, int, int]]:
    """(source, partition, offset) of `refusals` within the events' ranges of offsets."""
    offsets_by_partition: dict[tuple[str, int], list[int]] = defaultdict(list)
    for each in events:
        offsets_by_partition[each.source, each.partition].append(each.offset)
    if not offsets_by_partition:
        return set()
    ranges = [
        {"source": source, "partition": partition, "offset": {"$gte": min(offsets), "$lte": max(offsets)}}
        for (source, partition), offsets in offsets_by_partition.items()
    ]
    refusals = database[REFUSALS].find({"$or": ranges}, {"source": 1, "partition": 1, "offset": 1})
    return {(refusal["source"], refusal["partition"], refusal["offset"]) for refusal in refusals}


def _waiting_places(events: Sequence[ReceivedEvent], database: Database[dict[str, Any]]) -> set[tuple[str, int, int]]:
    """(source, partition, offset) of the events that the fast lane has admitted, and keeps until their listener can be served."""
    if not events:
        return set()
    users = sorted({each.event.user_id for each in events})
    places = database[SET_ASIDE_EVENTS].find({"user_id": {"$in": users}}, {"source": 1, "partition": 1, "offset": 1})
    return {(each["source"], each["partition"], each["offset"]) for each in places}


def _profiles_of(user_ids: Collection[str], database: Database[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """{user id: what `counted_event` and `_is_past` need of the profile's document}."""
    if not user_ids:
        return {}
    return _readable(database.profiles, user_ids, ("recent_events", "event_ids", "offsets"))


def _title(value: Any) -> str:
    """A track's title as profiles and reasons have it; "" where it is no text."""
    return value[:MOST_TITLE_CHARACTERS] if isinstance(value, str) else ""


def _readable(
    collection: MongoCollection[dict[str, Any]], ids: Collection[str], fields: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """{id: the document's fields}; one that cannot be decoded is there without fields, and hides no other."""
    projection = dict.fromkeys(fields, 1)
    try:
        documents = collection.find({"_id": {"$in": sorted(ids)}}, projection, batch_size=1 + len(ids))
        return {document["_id"]: document for document in documents}
    except BSONError:
        if len(ids) == 1:
            return {document_id: {} for document_id in ids}
    parts = sorted(ids)
    middle = len(parts) // 2
    return _readable(collection, parts[:middle], fields) | _readable(collection, parts[middle:], fields)
