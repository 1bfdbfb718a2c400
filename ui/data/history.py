"""A listener's opinions, listening history and playback position, in the collections `listens` and `places`.

The stream's profile has opinions and history too, of events from every program. `listens` has one document for each listener
and track, written as soon as the page sends an event. Both are read, and the later one counts: likes are there after a reload,
while Kafka is unavailable, and years later.

collection  _id            fields
listens     {user, track}  user_id, at, action, position_ms, duration_ms, plays, verdict, verdict_at, wish, wish_at, version;
            others, of `ui.data.steering`, have {user, steering}
places      user id        track_id, position_ms, duration_ms, at, version

`version` is that of the code that wrote the document last; absent means 1. Writers set single fields, so fields of a later
version are kept; readers ignore them, and give missing ones a default.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo import DESCENDING, WriteConcern
from pymongo.database import Database
from pymongo.read_concern import ReadConcern

from streaming.events import Event
from streaming.profile.documents import profile_from
from streaming.profile.profile import (
    HEARD_AT,
    VERDICT,
    VERDICT_AT,
    VERDICT_CODES,
    WISH,
    WISH_AT,
    WISH_CODES,
    Profile,
)
from ui.data.mongo import Document, unavailable_on_error
from ui.data.steering import steering_key, steering_update

LISTEN_VERSION = 1
POSITION_VERSION = 1
OPINION_STATES = {
    "verdict": {"like": "like", "dislike": "dislike", "unlike": "", "neutral": ""},
    "wish": {"more": "more", "less": "less", "neutral": ""},
}
"""The two states of an opinion, and the value that an action gives to each; other actions leave a state as it is."""
PROFILE_FIELDS_OF_OPINIONS = ("opinions", "evidence", "verdicts", "disliked")
PROFILE_FIELDS_OF_HISTORY = ("opinions", "evidence", "last_heard")
"""Fields read from a profile of any version; `evidence` tells which one it is."""
_PROFILE_STATES = (
    ("verdict", VERDICT, VERDICT_AT, {code: verdict for verdict, code in VERDICT_CODES.items()}),
    ("wish", WISH, WISH_AT, {code: wish for wish, code in WISH_CODES.items()}),
)
"""Each state with its columns in `Profile.verdicts`, and its values by code."""
_OPINION_FIELDS = [field for state in OPINION_STATES for field in (state, f"{state}_at")]
_PROFILE_TIME_PRECISION_S = 0.001
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class HistoryEntry:
    """A track that was listened to. listened_at : the last time;  position_ms : where playback stopped then"""

    track_id: str
    listened_at: datetime
    action: str = ""
    position_ms: int | None = None
    duration_ms: int | None = None


class History:
    """Opinions, history and playback position of listeners. Methods raise LibraryUnavailable."""

    def __init__(self, db: Database[Document]) -> None:
        self._profiles = db.profiles
        # The next event writes position and history again; waiting for the journal would delay every page. Reading what is not
        # acknowledged by a majority yet goes with it: a page reads what it has just written.
        unjournaled, local = WriteConcern(w=1, j=False), ReadConcern("local")
        self._listens = db.get_collection("listens", write_concern=unjournaled, read_concern=local)
        self._places = db.get_collection("places", write_concern=unjournaled, read_concern=local)
        self._has_index = False

    def record(self, event: Event) -> None:
        """Stores what an event says about its track, or how it steers lists (`ui.data.steering`); others are not stored here."""
        document_id: Document
        if (key := steering_key(event)) is not None:
            document_id, update = {"user": event.user_id, "steering": key}, steering_update(event)
        elif event.track_id:
            document_id, update = listen_id(event), listen_update(event)
        else:
            return
        with unavailable_on_error():
            self._create_index()
            self._listens.update_one({"_id": document_id}, update, upsert=True)

    def opinions(self, user_id: str) -> dict[str, str]:
        """{track id: its opinion: like or dislike, more or less, separated by a blank}, latest first; only tracks with one."""
        has_opinion = [{f"{state}_at": {"$exists": True}} for state in OPINION_STATES]
        with unavailable_on_error():
            fields = dict.fromkeys(PROFILE_FIELDS_OF_OPINIONS, 1)
            profile = self._profiles.find_one({"_id": user_id}, fields) or {}
            query = {"user_id": user_id, "$or": has_opinion}
            listens = list(self._listens.find(query, dict.fromkeys(_OPINION_FIELDS, 1)))
        return merged_opinions(profile, listens)

    def entries(self, user_id: str, limit: int = 100) -> list[HistoryEntry]:
        """The tracks listened to, latest first, each once."""
        with unavailable_on_error():
            self._create_index()
            listens = self._listens.find({"user_id": user_id, "at": {"$exists": True}})
            entries = [read_entry(document) for document in listens.sort("at", DESCENDING).limit(limit)]
            fields = dict.fromkeys(PROFILE_FIELDS_OF_HISTORY, 1)
            profile = self._profiles.find_one({"_id": user_id}, fields) or {}
        track_ids = {entry.track_id for entry in entries}
        entries += [entry for entry in profile_entries(profile, limit) if entry.track_id not in track_ids]
        return sorted(entries, key=lambda entry: entry.listened_at, reverse=True)[:limit]

    def play_counts(self, user_id: str, track_ids: Iterable[str]) -> dict[str, int]:
        """How often the listener has played each of these tracks; only those that they have played."""
        ids = [{"user": user_id, "track": track_id} for track_id in track_ids]
        with unavailable_on_error():
            listens = list(self._listens.find({"_id": {"$in": ids}, "plays": {"$gt": 0}}, {"plays": 1}))
        return {str(document["_id"]["track"]): int(document["plays"]) for document in listens}

    def heard_among(self, user_id: str, track_ids: Collection[str]) -> set[str]:
        """Those of the tracks that the listener has listened to, here or elsewhere."""
        ids = [{"user": user_id, "track": track_id} for track_id in track_ids]
        with unavailable_on_error():
            listens = self._listens.find({"_id": {"$in": ids}, "at": {"$exists": True}}, {"_id": 1})
            heard = {document["_id"]["track"] for document in listens}
            profile = self._profiles.find_one({"_id": user_id}, dict.fromkeys(PROFILE_FIELDS_OF_HISTORY, 1)) or {}
        return heard | set(stored_profile(profile).heard.ids).intersection(track_ids)

    def save_position(self, user_id: str, track_id: str, position_ms: int, duration_ms: int | None) -> None:
        """Stores where the listener is in a track, for playback to resume there."""
        update = position_update(track_id, position_ms, duration_ms, datetime.now(UTC))
        with unavailable_on_error():
            self._places.update_one({"_id": user_id}, update, upsert=True)

    def position(self, user_id: str) -> HistoryEntry | None:
        """Where playback stopped last; None before anything was played."""
        with unavailable_on_error():
            document = self._places.find_one({"_id": user_id})
        return None if document is None else read_position(document)

    def _create_index(self) -> None:
        if not self._has_index:
            self._listens.create_index([("user_id", 1), ("at", DESCENDING)])
            self._has_index = True


def listen_id(event: Event) -> Document:
    """`_id` of the document of `listens` that an event changes."""
    return {"user": event.user_id, "track": event.track_id}


def listen_update(event: Event) -> Document:
    """The MongoDB update that stores an event in its document of `listens`."""
    fields: Document = {}
    for state, value_by_action in OPINION_STATES.items():
        if event.action in value_by_action:
            fields |= {state: value_by_action[event.action], f"{state}_at": event.occurred_at}
    if not fields:
        fields = {
            "at": event.occurred_at,
            "action": event.action,
            "position_ms": event.position_ms,
            "duration_ms": event.duration_ms,
        }
    return {
        "$set": {"user_id": event.user_id, "version": LISTEN_VERSION, **fields},
        "$inc": {"plays": int(event.action == "play")},
    }


def read_entry(document: Document) -> HistoryEntry:
    """The history entry in a document of `listens` of any version."""
    return HistoryEntry(
        document["_id"]["track"],
        _time(document.get("at")) or _EPOCH,
        str(document.get("action") or ""),
        document.get("position_ms"),
        document.get("duration_ms"),
    )


def position_update(track_id: str, position_ms: int, duration_ms: int | None, stopped_at: datetime) -> Document:
    """The MongoDB update that stores a playback position in a listener's document of `places`."""
    return {
        "$set": {
            "track_id": track_id,
            "position_ms": position_ms,
            "duration_ms": duration_ms,
            "at": stopped_at,
            "version": POSITION_VERSION,
        }
    }


def read_position(document: Document) -> HistoryEntry | None:
    """The playback position in a document of `places` of any version; None where it names no track."""
    if not document.get("track_id"):
        return None
    return HistoryEntry(
        str(document["track_id"]),
        _time(document.get("at")) or _EPOCH,
        "left",
        int(document.get("position_ms") or 0),
        document.get("duration_ms"),
    )


def merged_opinions(profile: Document, listens: list[Document]) -> dict[str, str]:
    """Opinions by track id, as in `History.opinions`, from a profile and the listener's documents of `listens`."""
    latest: dict[tuple[str, str], tuple[float, str]] = {}  # (track id, state) -> (seconds since 1970, value)
    verdicts = stored_profile(profile).verdicts
    for track_id, row in zip(verdicts.ids, verdicts.values.tolist(), strict=True):
        for state, code, changed_at, value_by_code in _PROFILE_STATES:
            if row[changed_at] > 0:
                latest[track_id, state] = (row[changed_at], value_by_code.get(row[code], ""))
    for track_id in list_in(profile, "disliked"):  # derived from `verdicts`, which a later version may store otherwise
        latest.setdefault((str(track_id), "verdict"), (0.0, "dislike"))
    for document in listens:
        for state in OPINION_STATES:
            if stored_at := _time(document.get(f"{state}_at")):
                key, seconds = (document["_id"]["track"], state), stored_at.timestamp()
                # MongoDB keeps milliseconds: what both have in the same millisecond is the same event.
                if seconds >= latest.get(key, (0.0, ""))[0] - _PROFILE_TIME_PRECISION_S:
                    latest[key] = (seconds, str(document.get(state) or ""))
    values_by_track: dict[str, list[str]] = {}
    for (track_id, _), (_, value) in sorted(latest.items(), key=lambda entry: (-entry[1][0], entry[0])):
        if value:
            values_by_track.setdefault(track_id, []).append(value)
    return {track_id: " ".join(values) for track_id, values in values_by_track.items()}


def profile_entries(profile: Document, limit: int) -> list[HistoryEntry]:
    """The history in a profile: the tracks heard last, at most `limit`, in the profile's order."""
    heard = stored_profile(profile).heard.latest(limit, HEARD_AT)
    times = heard.column(HEARD_AT).tolist()
    return [
        HistoryEntry(track_id, datetime.fromtimestamp(heard_at, UTC))
        for track_id, heard_at in zip(heard.ids, times, strict=True)
    ]


def stored_profile(document: Document) -> Profile:
    """The profile in a document of any version, or in some of its fields; empty for {}.

    Also for one that cannot be read, of a listener whom the stream sets aside: list and history are there all the same.
    """
    try:
        return profile_from({"_id": "", **document})
    except (AttributeError, KeyError, TypeError, ValueError):
        return profile_from({"_id": ""})


def list_in(document: Document, field: str) -> list[Any]:
    """The list in a field; an empty one where there is none."""
    values = document.get(field)
    return values if isinstance(values, list) else []


def _time(value: Any) -> datetime | None:
    """A stored time with its zone; None for anything else."""
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value
