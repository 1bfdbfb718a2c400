"""What becomes of an event beyond its own text, decided alike by both lanes: deleted listeners, unknown tracks, clocks ahead.

Whether a track is known changes with the catalogue, and the lanes ask at different times. What counts is what the fast lane
did: it writes down the places of events that it refused for their track alone, and its profiles hold the ids of those that it
counted. The ledger asks for both where it has a doubt.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from streaming.admission.known_tracks import titles
from streaming.events import Event

if TYPE_CHECKING:
    from pymongo.database import Database

DELETIONS = "deletions"
"""{_id: user id, deleted_at}: what a listener did until then is passed over, whenever it is read again."""
REFUSALS = "refusals"
"""{source, partition, offset, at} of an event whose track the fast lane did not know."""
REMEMBERED_S = 7 * 24 * 3600


@dataclass(frozen=True)
class Placed:
    """An event and where it stood in the topic.  source : "cluster id/topic id" """

    event: Event
    source: str
    partition: int
    offset: int
    received_at: datetime


def prepare(database: Database[dict[str, Any]]) -> None:
    """Makes the indexes that the questions below need."""
    database[REFUSALS].create_index([("source", 1), ("partition", 1), ("offset", 1)], unique=True)
    database[REFUSALS].create_index("at", expireAfterSeconds=REMEMBERED_S)


def deletions(users: Collection[str], database: Database[dict[str, Any]]) -> dict[str, datetime]:
    """When each of the listeners took away what is known of them; without those who did not."""
    return {one["_id"]: one["deleted_at"] for one in database[DELETIONS].find({"_id": {"$in": sorted(users)}})}


def not_deleted(events: Sequence[Placed], database: Database[dict[str, Any]]) -> list[Placed]:
    """The events without those that came before their listener's deletion."""
    gone = deletions({one.event.user_id for one in events}, database)
    if not gone:
        return list(events)
    never = datetime.min.replace(tzinfo=UTC)
    return [one for one in events if one.received_at > gone.get(one.event.user_id, never)]


def not_ahead(event: Event, received_at: datetime) -> Event:
    """The event, dated at its arrival where its clock is ahead: nothing that comes later would else count as recent."""
    return event if event.occurred_at <= received_at else replace(event, occurred_at=received_at)


def note_refused(events: Sequence[Placed], database: Database[dict[str, Any]]) -> None:
    """Writes down that these were refused for their unknown tracks."""
    from pymongo import UpdateOne

    if events:
        at = datetime.now(UTC)
        places = [{"source": one.source, "partition": one.partition, "offset": one.offset} for one in events]
        database[REFUSALS].bulk_write(
            [UpdateOne(where, {"$setOnInsert": {"at": at}}, upsert=True) for where in places], ordered=False
        )


def with_unknown_track(events: Sequence[Placed], database: Database[dict[str, Any]]) -> set[tuple[int, int]]:
    """(partition, offset) of the events that count for nobody, as the fast lane saw it, or would see it now."""
    known = titles({one.event.track_id for one in events if one.event.track_id is not None}, database)
    refused = _refused(events, database)
    doubtful = [
        one
        for one in events
        if one.event.track_id is not None
        and (one.event.track_id not in known or (one.source, one.partition, one.offset) in refused)
    ]
    counted = _counted({one.event.user_id for one in doubtful}, database)
    return {
        (one.partition, one.offset) for one in doubtful if one.event.event_id not in counted.get(one.event.user_id, ())
    }


def _refused(events: Sequence[Placed], database: Database[dict[str, Any]]) -> set[tuple[str, int, int]]:
    ranges: dict[tuple[str, int], list[int]] = defaultdict(list)
    for one in events:
        ranges[one.source, one.partition].append(one.offset)
    found = set()
    for (source, partition), offsets in ranges.items():
        where = {"source": source, "partition": partition, "offset": {"$gte": min(offsets), "$lte": max(offsets)}}
        found |= {(source, partition, one["offset"]) for one in database[REFUSALS].find(where, {"offset": 1})}
    return found


def _counted(users: Collection[str], database: Database[dict[str, Any]]) -> Mapping[str, Collection[str]]:
    if not users:
        return {}
    found = database.profiles.find({"_id": {"$in": sorted(users)}}, {"recent_events": 1})
    return {one["_id"]: set(one.get("recent_events", ())) for one in found}
