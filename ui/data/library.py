"""The library as MongoDB holds it: tracks, what resembles them, and each listener's list.

Reads only. Documents of older or newer batches may lack fields, so everything but the id has a default.
"""

from __future__ import annotations

import os
import time
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError

from batch.library.files import library_name
from batch.library.object_store import is_remote
from batch.mongo import NEW_LISTENERS
from conf.settings import Mongo
from streaming.events import identifier_problem
from ui.data.search import SEARCHED, Shelf, LiveSearchIndex, shelf

Document = dict[str, Any]

SHOWN = dict.fromkeys((*SEARCHED, "genre_predicted", "year", "duration_s", "licence"), 1)
"""The projection of a track: `features` alone are larger than everything that a page shows."""
WRITES = ("insert", "modify", "update", "remove", "truncate")
"""Beginnings of the names of the storage engine's counters that change when a collection does."""
AWAY_MS = 1500
SILENT_MS = 5000
"""So long a server that took a question may think about it."""
PLACE_S = 600.0
PLACES = 10_000


class LibraryUnusable(ValueError):
    """The settings name no MongoDB that could be asked."""


class LibraryUnavailable(ConnectionError):
    """MongoDB does not answer; the message says where it was looked for."""


@dataclass(frozen=True)
class Track:
    """A track as people see it. duration_s : seconds, None where unknown"""

    track_id: str
    title: str = ""
    artist: str = ""
    album: str = ""
    genre: str = ""
    composer: str = ""
    genre_predicted: bool = False
    year: int | None = None
    duration_s: float | None = None
    licence: str = ""


@dataclass(frozen=True)
class Item:
    """A place in a listener's list. because : ids of heard tracks that led to it

    parts : what the score is made of, by name;  percentile : how near among all tracks, 100 nearest, None where not told
    """

    track_id: str
    rank: int
    score: float | None = None
    because: tuple[str, ...] = ()
    reason: str = ""
    explore: bool = False
    parts: Mapping[str, float] = field(default_factory=dict)
    percentile: float | None = None


@dataclass(frozen=True)
class Details:
    """What the page of a track shows besides. posterior : (genre, probability), likeliest first"""

    posterior: tuple[tuple[str, float], ...] = ()
    similar: tuple[tuple[str, float], ...] = ()
    model_version: str = ""


@dataclass(frozen=True)
class Recommendations:
    """A ranked list. user_id : whose it is, which is NEW_LISTENERS for a listener without one of their own"""

    user_id: str
    items: tuple[Item, ...]
    generation: int | None = None
    generated_at: datetime | None = None
    model_version: str = ""
    events_applied: int | None = None

    @property
    def is_personal(self) -> bool:
        return self.user_id != NEW_LISTENERS

    @property
    def mark(self) -> str:
        """Differs as soon as there is another list."""
        return _mark(self.user_id, self.generation, self.generated_at, self.model_version)


def database(mongo: Mongo) -> Database[Document]:
    """The database, unconnected: the first query connects, and waits at most AWAY_MS for a server.

    Raises LibraryUnusable where the settings name no server.
    """
    try:
        client: MongoClient[Document] = MongoClient(
            mongo.uri.get_secret_value(),
            serverSelectionTimeoutMS=AWAY_MS,
            connectTimeoutMS=AWAY_MS,
            socketTimeoutMS=SILENT_MS,
            tz_aware=True,
            appname="overtone-ui",
        )
        return client[mongo.database]
    except (PyMongoError, ValueError) as error:
        # Without the driver's own words, which may repeat the URI and its password.
        raise LibraryUnusable(f"mongo.uri cannot be used ({type(error).__name__}); see OVERTONE_MONGO__URI") from error


class Library:
    """Tracks by id, by words and by likeness, and lists by listener; a read-only view of one database.

    root : the library that is offered; tracks found under another root are not. Empty: all are.
    """

    def __init__(self, db: Database[Document], root: str = "") -> None:
        self._db = db
        self._scope: Document = {"library": {"$in": [library_name(root), None]}} if root else {}
        self._places: dict[str, tuple[float, str]] = {}
        self._shelves = LiveSearchIndex(self._read_shelf, self._writes)

    def shelf(self) -> Shelf:
        """All tracks by their words, in memory; some seconds behind what is published."""
        return self._shelves.now()

    def search(self, text: str, limit: int = 40) -> list[Track]:
        """Tracks in which every word begins a word of title, artist, album, genre or composer; best matches first."""
        return self.search_counted(text, limit)[0]

    def search_counted(self, text: str, limit: int = 40) -> tuple[list[Track], int]:
        """What `search` gives, and how many tracks there are without the limit."""
        ids, count = self.shelf().counted(text, limit)
        return self.in_order(ids), count

    def in_order(self, track_ids: Iterable[str]) -> list[Track]:
        """The known ones of these ids, in their order, each once."""
        ids = list(dict.fromkeys(track_ids))
        tracks = self.tracks_of(ids)
        return [tracks[track_id] for track_id in ids if track_id in tracks]

    def track(self, track_id: str) -> Track | None:
        return self.tracks_of([track_id]).get(track_id)

    def tracks_of(self, track_ids: Iterable[str]) -> dict[str, Track]:
        """The known ones of these ids."""
        wanted = {"_id": {"$in": [track_id for track_id in track_ids if identifier_problem(track_id) is None]}}
        with self._answers():
            found = [_track(document) for document in self._db.tracks.find({**wanted, **self._scope}, SHOWN)]
        return {track.track_id: track for track in found}

    def page(self, after: str = "", limit: int = 40) -> list[Track]:
        """Tracks in the order of their ids, those behind `after`."""
        wanted = {"_id": {"$gt": str(after)}}
        with self._answers():
            found = self._db.tracks.find({**wanted, **self._scope}, SHOWN).sort("_id", 1).limit(limit)
            return [_track(document) for document in found]

    def similar(self, track_id: str, limit: int = 24) -> list[Track]:
        """What sounds most like a track, nearest first; nothing where no model has been published."""
        document = self._document(track_id, {"similar": {"$slice": limit}, "_id": 1, "title": 1})
        return self.in_order(near["track_id"] for near in document.get("similar") or [] if "track_id" in near)

    def details(self, track_id: str) -> Details:
        """What the model says of a track; empty before there is one."""
        document = self._document(track_id, {"genre_posterior": 1, "similar": 1, "model_version": 1})
        return Details(
            tuple((str(each["genre"]), float(each["probability"])) for each in document.get("genre_posterior") or ()),
            tuple((str(each["track_id"]), float(each.get("score") or 0)) for each in document.get("similar") or ()),
            str(document.get("model_version") or ""),
        )

    def recommendations(self, user_id: str | None) -> Recommendations | None:
        """The listener's list, or everyone's for a listener without one; None before anything has been published."""
        wanted = [NEW_LISTENERS] if user_id is None else [str(user_id), NEW_LISTENERS]
        with self._answers():
            lists = {document["_id"]: document for document in self._db.recommendations.find({"_id": {"$in": wanted}})}
        found = next((lists[owner] for owner in wanted if owner in lists), None)
        return None if found is None else _recommendations(found)

    def mark(self, user_id: str | None) -> str | None:
        """Differs as soon as `recommendations` would; a small question that every open page asks every second."""
        wanted = [NEW_LISTENERS] if user_id is None else [str(user_id), NEW_LISTENERS]
        fields = {"generation": 1, "generated_at": 1, "model_version": 1}
        with self._answers():
            found = {one["_id"]: one for one in self._db.recommendations.find({"_id": {"$in": wanted}}, fields)}
        document = next((found[owner] for owner in wanted if owner in found), None)
        return None if document is None else _recommendations(document).mark

    def audio(self, track_id: str) -> str | None:
        """Where the sound of a track of this library is: a readable file, or the URI of one in a store.

        Asked once for a while, so that a track that plays needs no MongoDB for each piece of it.
        """
        asked_at, place = self._places.get(track_id, (float("-inf"), None))
        if place is None or time.monotonic() - asked_at > PLACE_S or not _is_there(place):
            try:
                place = _place(str(self._document(track_id, {"path": 1}).get("path") or ""))
            except LibraryUnavailable:
                if place is None:
                    raise
            if len(self._places) >= PLACES:
                self._places.clear()
            if place is not None:
                self._places[track_id] = (time.monotonic(), place)
        return place if place is not None and _is_there(place) else None

    def _document(self, track_id: str, fields: Document) -> Document:
        """The fields of a track, none where it is unknown."""
        if identifier_problem(track_id) is not None:
            return {}
        with self._answers():
            return self._db.tracks.find_one({"_id": track_id, **self._scope}, fields) or {}

    def _read_shelf(self) -> Shelf:
        fields = dict.fromkeys((*SEARCHED, "map"), 1)
        with self._answers():
            return shelf(self._db.tracks.find(self._scope, fields).batch_size(5000))

    def _writes(self) -> Hashable:
        """The storage engine's count of writes to `tracks`: a publish that changes nothing leaves it as it is."""
        try:
            with self._answers():
                (stats,) = self._db.tracks.aggregate([{"$collStats": {"storageStats": {}}}])
        except LibraryUnavailable as error:
            if isinstance(error.__cause__, OperationFailure):
                return None  # no such collection yet, or not for us to know
            raise
        storage = stats["storageStats"]
        counters = (storage.get("wiredTiger") or {}).get("cursor") or {}
        written = tuple(value for name, value in sorted(counters.items()) if name.startswith(WRITES))
        return (storage.get("count"), storage.get("size"), *written)

    @contextmanager
    def _answers(self) -> Iterator[None]:
        try:
            yield
        except PyMongoError as error:
            raise LibraryUnavailable(f"MongoDB does not answer: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (
        (str(error).splitlines() or [type(error).__name__])[0]
        .split(" (configured", 1)[0]
        .split(", Timeout", 1)[0][:200]
    )


def _place(path: str) -> str | None:
    """A path or URI of `tracks` as one can open it."""
    if path.startswith("file:"):
        path = unquote(urlsplit(path).path)
    return path if (path.startswith("/") or is_remote(path)) and "\x00" not in path else None


def _is_there(place: str) -> bool:
    """Of a store, only opening tells."""
    return is_remote(place) or (os.path.isfile(place) and os.access(place, os.R_OK))


def _track(document: Document) -> Track:
    duration, year = document.get("duration_s"), document.get("year")
    return Track(
        track_id=str(document["_id"]),
        **{name: str(document.get(name) or "") for name in (*SEARCHED, "licence")},
        genre_predicted=bool(document.get("genre_predicted")),
        year=int(year) if isinstance(year, (int, float)) and year else None,
        duration_s=float(duration) if isinstance(duration, (int, float)) and duration > 0 else None,
    )


def _recommendations(document: Document) -> Recommendations:
    items = [
        Item(
            track_id=str(item["track_id"]),
            rank=int(item.get("rank") or position),
            score=None if item.get("score") is None else float(item["score"]),
            because=tuple(str(heard) for heard in item.get("because") or ()),
            reason=str(item.get("reason") or ""),
            explore=bool(item.get("explore")),
            parts={str(name): float(part) for name, part in (item.get("parts") or {}).items() if _is_number(part)},
            percentile=float(item["percentile"]) if _is_number(item.get("percentile")) else None,
        )
        for position, item in enumerate(document.get("items") or [], start=1)
        if item.get("track_id") is not None
    ]
    generated_at = document.get("generated_at")
    if isinstance(generated_at, datetime) and generated_at.tzinfo is None:
        generated_at = generated_at.replace(tzinfo=UTC)
    return Recommendations(
        user_id=document["_id"],
        items=tuple(sorted(items, key=lambda item: item.rank)),
        generation=document.get("generation"),
        generated_at=generated_at if isinstance(generated_at, datetime) else None,
        model_version=str(document.get("model_version") or ""),
        events_applied=document.get("events_applied"),
    )


def _mark(owner: str, generation: int | None, generated_at: datetime | None, model_version: str) -> str:
    return f"{owner}:{generation}:{generated_at.isoformat() if generated_at else ''}:{model_version}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
