"""The document of a profile in MongoDB: how it is written, and read back from any version.

Version 2 keeps columns: of some tracks their ids as one text, a line each, and their numbers as binary, little-endian. A
past of years is then a few values instead of thousands of small documents. Version 1 had a document a track, `opinions`; it
is read as well.

Version 3 has also `tag_wishes`.

field        columns                                             of
evidence     at f8 (seconds since 1970); session, lasting,
             session_plays, lasting_plays f4                     the tracks heard last
last_heard   at u4 (seconds since 1970)                          every track ever heard
verdicts     verdict i1, verdict_at f8, wish i1, wish_at f8      tracks with a verdict or wish, also one taken back
shown_often  count f4, at u4                                     tracks that were shown and not taken
titles       track_id and title, of the tracks of `evidence` and `verdicts`
event_ids    8 bytes for each of the latest event ids, oldest first

Fields that this version does not know are kept in `other_fields` and written back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from streaming.profile.profile import (
    MOST_TITLE_CHARACTERS,
    NEUTRAL_ADVENTURE,
    REMEMBERED_EVENTS,
    VERDICT_CODES,
    WISH_CODES,
    Muting,
    Profile,
    TagWish,
    hashed,
)
from streaming.profile.track_table import TrackTable

PROFILE_VERSION = 3
DERIVED_PROFILE_FIELDS = ("centres", "rejected", "disliked", "heard", "muted")
"""Computed from the rest of the profile with each list, for readers; not read back."""

_EVIDENCE = {"at": "<f8", "session": "<f4", "lasting": "<f4", "session_plays": "<f4", "lasting_plays": "<f4"}
_LAST_HEARD = {"at": "<u4"}
_VERDICTS = {"verdict": "<i1", "verdict_at": "<f8", "wish": "<i1", "wish_at": "<f8"}
_SHOWN = {"count": "<f4", "at": "<u4"}
_TABLES = {"evidence": _EVIDENCE, "last_heard": _LAST_HEARD, "verdicts": _VERDICTS, "shown_often": _SHOWN}
_TIMES = ("adventure_at", "latest_at", "session_at", "visited_at", "mixes_at")
_MUTING_FIELDS = frozenset(field.name for field in fields(Muting)) - {"other_fields"}
_TAG_WISH_FIELDS = frozenset(field.name for field in fields(TagWish)) - {"other_fields"}
_PROFILE_FIELDS = frozenset(
    [
        *(
            "_id",
            "version",
            "evidence",
            "last_heard",
            "verdicts",
            "shown_often",
            "titles",
            "mutings",
            "tag_wishes",
            "adventure",
            *_TIMES,
        ),
        *("generation", "events_applied", "plays", "last_track", "offsets", "event_ids", "updated_at", "deleted_at"),
        *("opinions", "recent_events"),  # of version 1
        *DERIVED_PROFILE_FIELDS,
    ]
)


class ProfileUnreadable(ValueError):
    """The document of a profile holds what cannot be read without loss: it is damaged, or a later version wrote it."""


def profile_document(profile: Profile, updated_at: datetime | None = None) -> dict[str, Any]:
    """The document of `profiles`, without the other DERIVED_PROFILE_FIELDS than `muted`.  updated_at : the present by default"""
    return {
        **profile.other_fields,
        "_id": profile.user_id,
        "version": PROFILE_VERSION,
        "evidence": _columns(profile.evidence, _EVIDENCE),
        "last_heard": _columns(profile.heard, _LAST_HEARD),
        "verdicts": _columns(profile.verdicts, _VERDICTS),
        "shown_often": _columns(profile.shown, _SHOWN),
        "titles": [{"track_id": track_id, "title": title} for track_id, title in profile.titles.items()],
        "mutings": [muting_document(muting) for muting in profile.mutings],
        "tag_wishes": [tag_wish_document(wish) for wish in profile.tag_wishes],
        "muted": profile.muted,
        "adventure": profile.adventure,
        **{name: getattr(profile, name) for name in _TIMES},
        "generation": profile.generation,
        "events_applied": profile.events_applied,
        "plays": profile.plays,
        "last_track": profile.last_track,
        # a list, since sources hold dots, which MongoDB's update operators take for paths
        "offsets": [{"source": source, "offset": offset} for source, offset in sorted(profile.offsets.items())],
        "event_ids": b"".join(profile.recent_events),
        "updated_at": updated_at or datetime.now(UTC),
        **({} if profile.deleted_at is None else {"deleted_at": profile.deleted_at}),
    }


def profile_from(document: Mapping[str, Any]) -> Profile:
    """The profile in a document of any version. Columns that do not fit each other are dropped, as are mutings and
    wishes without a target."""
    event_ids = bytes(document.get("event_ids", b""))
    profile = Profile(
        user_id=document["_id"],
        evidence=_table(document.get("evidence"), _EVIDENCE),
        titles={
            each["track_id"]: each["title"][:MOST_TITLE_CHARACTERS]
            for each in document.get("titles", ())
            if "track_id" in each and isinstance(each.get("title"), str)
        },
        heard=_table(document.get("last_heard"), _LAST_HEARD),
        verdicts=_table(document.get("verdicts"), _VERDICTS),
        shown=_table(document.get("shown_often"), _SHOWN),
        mutings=tuple(muting_from(each) for each in document.get("mutings", ()) if "target" in each),
        tag_wishes=tuple(tag_wish_from(each) for each in document.get("tag_wishes", ()) if "target" in each),
        adventure=document.get("adventure", NEUTRAL_ADVENTURE),
        generation=document.get("generation", 0),
        events_applied=document.get("events_applied", 0),
        plays=document.get("plays", 0),
        last_track=document.get("last_track", ""),
        offsets={each["source"]: each["offset"] for each in document.get("offsets", ())},
        recent_events=tuple(event_ids[start : start + 8] for start in range(0, len(event_ids) - 7, 8)),
        deleted_at=document.get("deleted_at"),
        other_fields={name: value for name, value in document.items() if name not in _PROFILE_FIELDS},
        **{name: document.get(name, 0.0) for name in _TIMES},
    )
    opinions = document.get("opinions")
    return profile if opinions is None or "evidence" in document else _with_opinions(profile, document)


def whole_profile_from(document: Mapping[str, Any]) -> Profile:
    """As `profile_from`, for who writes it back: raises ProfileUnreadable where something of it would be dropped."""
    for field, types in _TABLES.items():
        columns = document.get(field) or {}
        rows = len(columns.get("ids", "").split("\n")) if columns.get("ids") else 0
        for name, kind in types.items():
            wanted_bytes = rows * np.dtype(kind).itemsize
            if name in columns and len(columns[name]) != wanted_bytes:
                raise ProfileUnreadable(
                    f"{field}.{name} has {len(columns[name])} bytes, {rows} tracks need {wanted_bytes}; the document has version "
                    f"{document.get('version', 1)}, this code writes {PROFILE_VERSION}: update the code, or restore the document"
                )
    return profile_from(document)


def muting_document(muting: Muting) -> dict[str, Any]:
    return {**muting.other_fields, "target": muting.target, "muted": muting.muted, "at": muting.at}


def muting_from(document: Mapping[str, Any]) -> Muting:
    fields_by_name = {name: value for name, value in document.items() if name in _MUTING_FIELDS}
    other_fields = {name: value for name, value in document.items() if name not in _MUTING_FIELDS}
    return Muting(**fields_by_name, other_fields=other_fields)


def tag_wish_document(wish: TagWish) -> dict[str, Any]:
    return {**wish.other_fields, "target": wish.target, "wish": wish.wish, "at": wish.at}


def tag_wish_from(document: Mapping[str, Any]) -> TagWish:
    fields_by_name = {name: value for name, value in document.items() if name in _TAG_WISH_FIELDS}
    other_fields = {name: value for name, value in document.items() if name not in _TAG_WISH_FIELDS}
    return TagWish(**fields_by_name, other_fields=other_fields)


def counted_event(document: Mapping[str, Any], event_id: str) -> bool:
    """Whether a profile's document, of any version, has an event among the latest that it counted; False where it is damaged."""
    if "event_ids" not in document:
        recent_events = document.get("recent_events", ())
        return isinstance(recent_events, Sequence) and event_id in recent_events
    if not isinstance(document["event_ids"], bytes):
        return False
    event_ids, event_hash = document["event_ids"], hashed(event_id)
    return any(event_ids[start : start + 8] == event_hash for start in range(0, len(event_ids) - 7, 8))


def _columns(table: TrackTable, types: Mapping[str, str]) -> dict[str, Any]:
    columns = {
        name: np.ascontiguousarray(table.column(number).astype(kind)).tobytes()
        for number, (name, kind) in enumerate(types.items())
    }
    return {"ids": "\n".join(table.ids), **columns}


def _table(columns: Mapping[str, Any] | None, types: Mapping[str, str]) -> TrackTable:
    """The table in a document's columns; missing columns are 0, and a table whose lengths differ is empty."""
    text = (columns or {}).get("ids", "")
    if columns is None or not text:
        return TrackTable.empty(len(types))
    ids = text.split("\n")
    numbers: list[Any] = [
        np.frombuffer(columns[name], dtype=kind) if name in columns else np.zeros(len(ids))
        for name, kind in types.items()
    ]
    if any(len(column) != len(ids) for column in numbers):
        return TrackTable.empty(len(types))
    return TrackTable.of(ids, numbers)


def _with_opinions(profile: Profile, document: Mapping[str, Any]) -> Profile:
    """The profile with what a document of version 1 holds of its tracks.

    When a track was heard is only known of those whose opinion was kept. What was disliked and then forgotten stays forgotten.
    """
    opinions: Sequence[Mapping[str, Any]] = [each for each in document["opinions"] if "track_id" in each]
    heard = [each for each in opinions if each.get("at") and (each.get("session") or each.get("lasting"))]
    judged = [each for each in opinions if each.get("verdict_at") or each.get("wish_at")]
    heard_ids = [each["track_id"] for each in heard]
    times = [each["at"] for each in heard]
    verdicts = [
        [VERDICT_CODES.get(each.get("verdict", ""), 0.0) for each in judged],
        [each.get("verdict_at", 0.0) for each in judged],
        [WISH_CODES.get(each.get("wish", ""), 0.0) for each in judged],
        [each.get("wish_at", 0.0) for each in judged],
    ]
    sums = [[min(1.0, max(-1.0, each.get(name, 0.0))) for each in heard] for name in ("session", "lasting")]
    no_plays = [0.0] * len(heard)  # version 1 did not tell them apart
    latest = max(heard, key=lambda each: each["at"], default={"track_id": ""})
    return replace(
        profile,
        evidence=TrackTable.of(heard_ids, [times, *sums, no_plays, no_plays]) if heard else profile.evidence,
        heard=TrackTable.of(heard_ids, [times]) if heard else profile.heard,
        verdicts=TrackTable.of([each["track_id"] for each in judged], verdicts) if judged else profile.verdicts,
        titles={each["track_id"]: each["title"] for each in opinions if each.get("title")},
        plays=len(heard),
        last_track=latest["track_id"],
        recent_events=tuple(hashed(each) for each in document.get("recent_events", ()))[-REMEMBERED_EVENTS:],
    )
