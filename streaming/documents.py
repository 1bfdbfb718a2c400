"""Documents that the stream keeps in MongoDB beside profiles (`streaming.profile.documents`): how each is written and read back.

collection       _id          fields                                                        version
recommendations  user id      see `list_document`                                           mongo.LIST_VERSION
mixes            user id      see `mixes_document`                                          MIXES_VERSION
deletions        user id      deleted_at, ends (of partitions: source, offset)              DELETION_VERSION
refusals         (generated)  source, partition, offset, at                                 REFUSAL_VERSION
feeds            topic        token (place in MongoDB's change stream), at                  FEED_VERSION
set_aside_tracks track id     reason, at                                                    SET_ASIDE_TRACK_VERSION
set_aside        user id      see `set_aside_fields`                                        SET_ASIDE_VERSION
set_aside_events (generated)  user_id, source, partition, offset, value, received_ms        SET_ASIDE_VERSION

`version` is that of the code that wrote the document last; absent means 1. A reader takes the fields it knows from a document
of any version, and defaults for missing ones, so that a rollback can read what a later version wrote. Unknown fields are kept:
deletions, refusals and feeds are updated field by field. Lists and mixes are different: each replaces the former one as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from batch import mongo
from streaming.profile.profile import Profile

MIXES_VERSION = 1
DELETION_VERSION = 3
"""From 3 on with `ends`; those that an earlier version left in a document are of an earlier deletion."""
NOTED_SINCE_VERSION = 2
"""From here on what is written of a listener has the `deleted_at` of the last deletion, so that what lacks it is of before."""
REFUSAL_VERSION = 1
FEED_VERSION = 1
SET_ASIDE_TRACK_VERSION = 1
SET_ASIDE_VERSION = 1

DELETIONS = "deletions"
"""Events that a listener's deletion covers (`Deletion`) are ignored whenever they are read."""
REFUSALS = "refusals"
"""Events that the fast lane refused because it did not find their track."""
FEEDS = "feeds"
SET_ASIDE_TRACKS = "set_aside_tracks"
"""Tracks of MongoDB that the feed cannot send; a track leaves it when it is sent, or removed."""
SET_ASIDE = "set_aside"
"""Listeners who cannot be served (`streaming.serving.set_aside`)."""
SET_ASIDE_EVENTS = "set_aside_events"
"""Their events, in the order of which they are counted as soon as that works."""

DISCOVER = "discover"
REDISCOVER = "rediscover"
MOST_MIXES = 5
LIST_NAMES = (*(f"mix-{number}" for number in range(1, MOST_MIXES + 1)), DISCOVER, REDISCOVER)
"""Names of the lists in `mixes`, in their order; a listener may have no list of a name."""


@dataclass(frozen=True)
class StoredList:
    """What the fast lane reads of a listener's present list.

    generation : 1, 2, … for each listener
    events_applied : the events that the list follows
    """

    generation: int = 0
    events_applied: int = 0
    track_ids: tuple[str, ...] = ()


LIST_PROJECTION = {"generation": 1, "events_applied": 1, "items.track_id": 1, "deleted_at": 1}
"""The fields that `stored_list_from` needs."""


def list_document(
    profile: Profile, items: Iterable[Mapping[str, Any]], model_version: str, generated_at: datetime
) -> dict[str, Any]:
    """The document of `recommendations` for a listener; it is also sent to the topic.

    profile : that the list was made for, with the list's generation
    items : documents of the list's items, by rank
    """
    document = mongo.list_document(
        profile.user_id, items, profile.generation, generated_at, model_version, profile.events_applied
    )
    return document | deletion_noted(profile)


def stored_list_from(document: Mapping[str, Any]) -> StoredList:
    """The list in a document of any version."""
    return StoredList(
        generation=document.get("generation", 0),
        events_applied=document.get("events_applied", 0),
        track_ids=tuple(item["track_id"] for item in document.get("items", ()) if "track_id" in item),
    )


@dataclass(frozen=True)
class StoredMixes:
    """What the fast lane reads of a listener's present named lists.

    events_applied : the events that they follow
    week : ISO week of "Discover", as `2026-W48`; "" where there was none yet
    discovered : ids of its tracks when it was chosen
    """

    events_applied: int = 0
    week: str = ""
    discovered: tuple[str, ...] = ()


MIXES_PROJECTION = {"events_applied": 1, "week": 1, "discovered": 1, "deleted_at": 1}
"""The fields that `stored_mixes_from` needs."""


def mixes_document(
    profile: Profile, lists: Iterable[Mapping[str, Any]], model_version: str, week: str, discovered: Sequence[str]
) -> dict[str, Any]:
    """The document of `mixes` for a listener.

    profile : after the event that made the lists due; they are as of its `mixes_at`
    lists : each `name` (of LIST_NAMES), `title`, `reason` and `items`
    week, discovered : see StoredMixes
    """
    generated_at = datetime.fromtimestamp(profile.mixes_at, UTC)
    return {
        "_id": profile.user_id,
        "version": MIXES_VERSION,
        "lists": list(lists),
        # MongoDB and the topic keep milliseconds
        "generated_at": generated_at.replace(microsecond=generated_at.microsecond // 1000 * 1000),
        "model_version": model_version,
        "events_applied": profile.events_applied,
        "week": week,
        "discovered": list(discovered),
        **deletion_noted(profile),
    }


def stored_mixes_from(document: Mapping[str, Any]) -> StoredMixes:
    """The named lists in a document of any version."""
    return StoredMixes(
        events_applied=document.get("events_applied", 0),
        week=str(document.get("week") or ""),
        discovered=tuple(str(track_id) for track_id in document.get("discovered") or ()),
    )


@dataclass(frozen=True)
class Deletion:
    """A listener's last deletion.

    deleted_at : by the player's clock
    end_by_partition : the offset after the last value that each partition of the listening topic had then, by
        "cluster id/topic id/partition"; empty where Kafka was away
    is_noted : whether what was written of the listener since notes it
    """

    deleted_at: datetime
    end_by_partition: Mapping[str, int] = field(default_factory=dict)
    is_noted: bool = True

    def covers(self, source: str, partition: int, offset: int, received_at: datetime) -> bool:
        """Whether a value of Kafka is of before: by its offset, where the partition's end is not known by its arrival.

        source : "cluster id/topic id"
        """
        end = self.end_by_partition.get(f"{source}/{partition}")
        return received_at <= self.deleted_at if end is None else offset < end


def deletion_fields(deleted_at: datetime, end_by_partition: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Fields to set in `deletions` under the user id; see Deletion."""
    ends = [{"source": source, "offset": offset} for source, offset in sorted((end_by_partition or {}).items())]
    return {"version": DELETION_VERSION, "deleted_at": deleted_at, "ends": ends}


def deletion_from(document: Mapping[str, Any] | None) -> Deletion | None:
    """The deletion in a document of any version; None where the listener's data were not deleted."""
    document = document or {}
    deleted_at = deleted_at_from(document)
    if deleted_at is None:
        return None
    version = document.get("version", 1)
    ends = document.get("ends") if version >= DELETION_VERSION else None
    end_by_partition = {str(end["source"]): int(end["offset"]) for end in ends or ()}
    return Deletion(deleted_at, end_by_partition, version >= NOTED_SINCE_VERSION)


def deleted_at_from(document: Mapping[str, Any] | None) -> datetime | None:
    """When the listener's data were deleted; None where they were not."""
    deleted_at = (document or {}).get("deleted_at")
    return deleted_at if isinstance(deleted_at, datetime) else None


def deletion_noted(profile: Profile) -> dict[str, Any]:
    """The field `deleted_at` of what is written of a listener whose data were deleted once: nothing in it is of before."""
    return {} if profile.deleted_at is None else {"deleted_at": profile.deleted_at}


def set_aside_fields(reason: str, tried_at: datetime) -> dict[str, Any]:
    """Fields to set in `set_aside` under the user id.

    reason : of the latest attempt
    Further fields: `since` (of the first one), `attempts`, `events` (that wait), `offsets` (of the first ones that wait), and
    `events_not_kept` (that are only in the lake).
    """
    return {"version": SET_ASIDE_VERSION, "reason": reason, "tried_at": tried_at}


def set_aside_event_fields(value: bytes, received_ms: int) -> dict[str, Any]:
    """Fields to set in `set_aside_events` under (user id, source, partition, offset).

    value : of the listening topic, which `streaming.events.parse` accepts
    received_ms : its arrival in Kafka, in milliseconds since 1970
    """
    return {"version": SET_ASIDE_VERSION, "value": value.decode(), "received_ms": received_ms}


def refusal_fields(refused_at: datetime) -> dict[str, Any]:
    """Fields to set in `refusals` under (source, partition, offset)."""
    return {"version": REFUSAL_VERSION, "at": refused_at}


def feed_fields(token: Any, sent_at: float) -> dict[str, Any]:
    """Fields to set in `feeds` under the topic.

    token : resume token of MongoDB's change stream
    sent_at : seconds since 1970
    """
    return {"version": FEED_VERSION, "token": token, "at": sent_at}


def set_aside_track_fields(reason: str, set_aside_at: float) -> dict[str, Any]:
    """Fields to set in `set_aside_tracks` under the track id.  set_aside_at : seconds since 1970"""
    return {"version": SET_ASIDE_TRACK_VERSION, "reason": reason, "at": datetime.fromtimestamp(set_aside_at, UTC)}


def resume_token_from(document: Mapping[str, Any] | None) -> Any:
    """The resume token; None where the topic has none, or one that cannot be understood."""
    return (document or {}).get("token")
