"""Admission rules of both lanes, beyond an event's own text: deleted listeners, unknown tracks, clocks that are ahead.

A track is known when MongoDB's `tracks` has it. That changes, and the lanes look at different times, so the fast lane's decision
holds: `refusals` has the places of events that it refused for their track, and profiles have the ids of those that it counted.
The ledger looks up both for events whose track it does not find, or whose place is in `refusals`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from streaming.documents import DELETIONS, REFUSALS, deleted_at_from, refusal_fields
from streaming.events import Event
from streaming.profile.documents import counted_event

if TYPE_CHECKING:
    from pymongo.database import Database

REFUSALS_KEPT_S = 7 * 24 * 3600


@dataclass(frozen=True)
class ReceivedEvent:
    """An event with its place in the topic and the time of its arrival in Kafka.  source : "cluster id/topic id" """

    event: Event
    source: str
    partition: int
    offset: int
    received_at: datetime


def create_indexes(database: Database[dict[str, Any]]) -> None:
    """Creates the indexes of `refusals` where they are missing; documents expire after REFUSALS_KEPT_S."""
    database[REFUSALS].create_index([("source", 1), ("partition", 1), ("offset", 1)], unique=True)
    database[REFUSALS].create_index("at", expireAfterSeconds=REFUSALS_KEPT_S)


def title_by_track_id(track_ids: Collection[str], database: Database[dict[str, Any]]) -> dict[str, str]:
    """{track id: title} of the known tracks among `track_ids`."""
    if not track_ids:
        return {}
    documents = database.tracks.find({"_id": {"$in": sorted(track_ids)}}, {"title": 1})
    return {document["_id"]: document.get("title") or "" for document in documents}


def deletion_times(user_ids: Collection[str], database: Database[dict[str, Any]]) -> dict[str, datetime]:
    """{user id: when the listener's data were deleted}, without listeners whose data were not."""
    documents = database[DELETIONS].find({"_id": {"$in": sorted(user_ids)}})
    times = {document["_id"]: deleted_at_from(document) for document in documents}
    return {user_id: deleted_at for user_id, deleted_at in times.items() if deleted_at is not None}


def after_deletion(events: Sequence[ReceivedEvent], database: Database[dict[str, Any]]) -> list[ReceivedEvent]:
    """The events without those that arrived before their listener's deletion."""
    deleted_at = deletion_times({each.event.user_id for each in events}, database)
    if not deleted_at:
        return list(events)
    never = datetime.min.replace(tzinfo=UTC)
    return [each for each in events if each.received_at > deleted_at.get(each.event.user_id, never)]


def clamped_to_arrival(event: Event, received_at: datetime) -> Event:
    """The event, dated at its arrival where its clock is ahead: a later date would make all other events count as old."""
    return event if event.occurred_at <= received_at else replace(event, occurred_at=received_at)


def record_refusals(events: Sequence[ReceivedEvent], database: Database[dict[str, Any]]) -> None:
    """Adds the places of events with unknown tracks to `refusals`; those recorded before are left as they are."""
    from pymongo import UpdateOne

    if events:
        fields = refusal_fields(datetime.now(UTC))
        places = [{"source": each.source, "partition": each.partition, "offset": each.offset} for each in events]
        database[REFUSALS].bulk_write(
            [UpdateOne(place, {"$setOnInsert": fields}, upsert=True) for place in places], ordered=False
        )


def places_with_unknown_track(
    events: Sequence[ReceivedEvent], database: Database[dict[str, Any]]
) -> set[tuple[int, int]]:
    """(partition, offset) of the events that the fast lane refused for their track, or would refuse now."""
    titles = title_by_track_id({each.event.track_id for each in events if each.event.track_id is not None}, database)
    refused = _refused_places(events, database)
    doubtful = [
        each
        for each in events
        if each.event.track_id is not None
        and (each.event.track_id not in titles or (each.source, each.partition, each.offset) in refused)
    ]
    profiles = _profiles_of({each.event.user_id for each in doubtful}, database)
    return {
        (each.partition, each.offset)
        for each in doubtful
        if not counted_event(profiles.get(each.event.user_id, {}), each.event.event_id)
    }


def _refused_places(events: Sequence[ReceivedEvent], database: Database[dict[str, Any]]) -> set[tuple[str, int, int]]:
    """(source, partition, offset) of `refusals` within the events' ranges of offsets."""
    offsets_by_partition: dict[tuple[str, int], list[int]] = defaultdict(list)
    for each in events:
        offsets_by_partition[each.source, each.partition].append(each.offset)
    places = set()
    for (source, partition), offsets in offsets_by_partition.items():
        within = {"source": source, "partition": partition, "offset": {"$gte": min(offsets), "$lte": max(offsets)}}
        refusals = database[REFUSALS].find(within, {"offset": 1})
        places |= {(source, partition, refusal["offset"]) for refusal in refusals}
    return places


def _profiles_of(user_ids: Collection[str], database: Database[dict[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    """{user id: what `counted_event` needs of the profile's document}."""
    if not user_ids:
        return {}
    documents = database.profiles.find({"_id": {"$in": sorted(user_ids)}}, {"recent_events": 1, "event_ids": 1})
    return {document["_id"]: document for document in documents}
