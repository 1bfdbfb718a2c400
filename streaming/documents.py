"""Documents that the stream keeps in MongoDB: how each is written, and read back from any version.

collection       _id          fields                                                        version
profiles         user id      see `profile_document`; each with `opinions` and `mutings`    PROFILE_VERSION
recommendations  user id      see `list_document`                                           LIST_VERSION
deletions        user id      deleted_at                                                    DELETION_VERSION
refusals         (generated)  source, partition, offset, at                                 REFUSAL_VERSION
feeds            topic        token (place in MongoDB's change stream), at                  FEED_VERSION

`version` is that of the code that wrote the document last; absent means 1. A reader takes the fields it knows from a document
of any version, and defaults for missing ones, so that a rollback can read what a later version wrote. Unknown fields are kept:
those of profiles, opinions and mutings in `other_fields`, which the writers write back; deletions, refusals and feeds are updated
field by field. Lists are different: each replaces the former one as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from streaming.profile.profile import NEUTRAL_ADVENTURE, Muting, Opinion, Profile

PROFILE_VERSION = 1
LIST_VERSION = 1
DELETION_VERSION = 1
REFUSAL_VERSION = 1
FEED_VERSION = 1

DELETIONS = "deletions"
"""Events that arrived before a listener's `deleted_at` are ignored whenever they are read."""
REFUSALS = "refusals"
"""Events that the fast lane refused because it did not find their track."""
FEEDS = "feeds"

DERIVED_PROFILE_FIELDS = ("centres", "rejected", "heard", "muted")
"""Computed from the rest of the profile with each list, for readers; not read back."""
_OPINION_FIELDS = frozenset(field.name for field in fields(Opinion)) - {"other_fields"}
_MUTING_FIELDS = frozenset(field.name for field in fields(Muting)) - {"other_fields"}
_PROFILE_FIELDS = frozenset(
    [
        "_id",
        "version",
        "opinions",
        "mutings",
        "adventure",
        "adventure_at",
        "generation",
        "events_applied",
        "latest_at",
        "offsets",
        "recent_events",
        "updated_at",
        *DERIVED_PROFILE_FIELDS,
    ]
)


def profile_document(profile: Profile) -> dict[str, Any]:
    """The document of `profiles`, without the other DERIVED_PROFILE_FIELDS than `muted`."""
    return {
        **profile.other_fields,
        "_id": profile.user_id,
        "version": PROFILE_VERSION,
        "opinions": [opinion_document(opinion) for opinion in profile.opinions],
        "mutings": [muting_document(muting) for muting in profile.mutings],
        "muted": profile.muted,
        "adventure": profile.adventure,
        "adventure_at": profile.adventure_at,
        "generation": profile.generation,
        "events_applied": profile.events_applied,
        "latest_at": profile.latest_at,
        # a list, since sources hold dots, which MongoDB's update operators take for paths
        "offsets": [{"source": source, "offset": offset} for source, offset in sorted(profile.offsets.items())],
        "recent_events": list(profile.recent_events),
        "updated_at": datetime.now(UTC),
    }


def profile_from(document: Mapping[str, Any]) -> Profile:
    """The profile in a document of any version. Opinions without a track and mutings without a target are dropped."""
    return Profile(
        user_id=document["_id"],
        opinions=tuple(opinion_from(each) for each in document.get("opinions", ()) if "track_id" in each),
        mutings=tuple(muting_from(each) for each in document.get("mutings", ()) if "target" in each),
        adventure=document.get("adventure", NEUTRAL_ADVENTURE),
        adventure_at=document.get("adventure_at", 0.0),
        generation=document.get("generation", 0),
        events_applied=document.get("events_applied", 0),
        latest_at=document.get("latest_at", 0.0),
        offsets={each["source"]: each["offset"] for each in document.get("offsets", ())},
        recent_events=tuple(document.get("recent_events", ())),
        other_fields=_without(document, _PROFILE_FIELDS),
    )


def opinion_document(opinion: Opinion) -> dict[str, Any]:
    return {
        **opinion.other_fields,
        "track_id": opinion.track_id,
        "title": opinion.title,
        "at": opinion.at,
        "session": opinion.session,
        "lasting": opinion.lasting,
        "verdict": opinion.verdict,
        "verdict_at": opinion.verdict_at,
        "wish": opinion.wish,
        "wish_at": opinion.wish_at,
    }


def opinion_from(document: Mapping[str, Any]) -> Opinion:
    if document.keys() <= _OPINION_FIELDS:  # as a rule; a profile has hundreds
        return Opinion(**document)
    return Opinion(**_only(document, _OPINION_FIELDS), other_fields=_without(document, _OPINION_FIELDS))


def muting_document(muting: Muting) -> dict[str, Any]:
    return {**muting.other_fields, "target": muting.target, "muted": muting.muted, "at": muting.at}


def muting_from(document: Mapping[str, Any]) -> Muting:
    return Muting(**_only(document, _MUTING_FIELDS), other_fields=_without(document, _MUTING_FIELDS))


@dataclass(frozen=True)
class StoredList:
    """What the fast lane reads of a listener's present list.

    generation : 1, 2, … for each listener
    events_applied : the events that the list follows
    """

    generation: int = 0
    events_applied: int = 0
    track_ids: tuple[str, ...] = ()


LIST_PROJECTION = {"generation": 1, "events_applied": 1, "items.track_id": 1}
"""The fields that `stored_list_from` needs."""


def list_document(
    profile: Profile, items: Iterable[Mapping[str, Any]], model_version: str, generated_at: datetime
) -> dict[str, Any]:
    """The document of `recommendations` for a listener; it is also sent to the topic.

    profile : that the list was made for, with the list's generation
    items : documents of the list's items, by rank
    """
    return {
        "_id": profile.user_id,
        "version": LIST_VERSION,
        "items": list(items),
        "generation": profile.generation,
        "generated_at": generated_at,
        "model_version": model_version,
        "events_applied": profile.events_applied,
    }


def stored_list_from(document: Mapping[str, Any]) -> StoredList:
    """The list in a document of any version."""
    return StoredList(
        generation=document.get("generation", 0),
        events_applied=document.get("events_applied", 0),
        track_ids=tuple(item["track_id"] for item in document.get("items", ()) if "track_id" in item),
    )


def deletion_fields(deleted_at: datetime) -> dict[str, Any]:
    """Fields to set in `deletions` under the user id."""
    return {"version": DELETION_VERSION, "deleted_at": deleted_at}


def deleted_at_from(document: Mapping[str, Any] | None) -> datetime | None:
    """When the listener's data were deleted; None where they were not."""
    deleted_at = (document or {}).get("deleted_at")
    return deleted_at if isinstance(deleted_at, datetime) else None


def refusal_fields(refused_at: datetime) -> dict[str, Any]:
    """Fields to set in `refusals` under (source, partition, offset)."""
    return {"version": REFUSAL_VERSION, "at": refused_at}


def feed_fields(token: Any, sent_at: float) -> dict[str, Any]:
    """Fields to set in `feeds` under the topic.

    token : resume token of MongoDB's change stream
    sent_at : seconds since 1970
    """
    return {"version": FEED_VERSION, "token": token, "at": sent_at}


def resume_token_from(document: Mapping[str, Any] | None) -> Any:
    """The resume token; None where the topic has none, or one that cannot be understood."""
    return (document or {}).get("token")


def _only(document: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name in names}


def _without(document: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}
