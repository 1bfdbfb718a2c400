"""The library in MongoDB, read only: tracks, similar tracks, and each listener's recommendations.

Documents of older or newer batches may lack fields, so everything but the id has a default.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field

from bson.min_key import MinKey
from pymongo.database import Database
from pymongo.errors import OperationFailure

from batch.library.files import library_name
from batch.mongo import NEW_LISTENERS
from batch.words.tag_percentiles import read_words
from streaming.events import identifier_problem
from ui.data.locations import AudioLocations
from ui.data.mongo import Document, LibraryUnavailable, unavailable_on_error
from ui.data.names import name_key
from ui.data.novelty import Novelty
from ui.data.recommendation_list import Recommendations, read_named_lists, read_recommendations
from ui.search.building import ALBUM_FIELDS, ARTIST_FIELDS, INDEXED_FIELDS, build_index, text_of
from ui.search.index import SEARCHED_FIELDS, SearchIndex
from ui.search.live_index import LiveSearchIndex

TRACK_PROJECTION = dict.fromkeys(
    (
        *SEARCHED_FIELDS,
        *["genre_predicted", "year", "duration_s", "licence", "recording"],
        *["album_id", "artist_ids", "artists", "album_artist", "disc_number", "track_number"],
    ),
    1,
)
"""Without `features`, which are larger than everything that a page shows."""
WRITE_COUNTERS = ("insert", "modify", "update", "remove", "truncate")
"""Prefixes of the storage engine's counters that change when a collection is written to."""


@dataclass(frozen=True)
class Track:
    """A track as people see it.

    duration_s : seconds, None where unknown
    recording : equal for tracks that are one recording; "" where unknown
    album_id : "" where it has no album, or none has been published yet
    artists, artist_ids : each of several artists, and their ids; empty before they have been published
    """

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
    recording: str = ""
    album_id: str = ""
    album_artist: str = ""
    artists: tuple[str, ...] = ()
    artist_ids: tuple[str, ...] = ()
    disc_number: int | None = None
    track_number: int | None = None


@dataclass(frozen=True)
class Details:
    """What the model says of a track.

    posterior : (genre, probability), most probable first
    similar : (track id, similarity), most similar first
    words : percentile by name of the words said of its sound
    """

    posterior: tuple[tuple[str, float], ...] = ()
    similar: tuple[tuple[str, float], ...] = ()
    model_version: str = ""
    words: dict[str, int] = field(default_factory=dict)


class Library:
    """Tracks by id, by words and by similarity, and recommendations by listener. Methods raise LibraryUnavailable.

    root : only tracks found under this root are offered; "" offers all
    """

    def __init__(self, db: Database[Document], root: str = "") -> None:
        self._db = db
        self._root = root
        self._scope = library_scope(root)
        self._locations = AudioLocations(lambda track_id: str(self._document(track_id, {"path": 1}).get("path") or ""))
        self._novelty = Novelty(db, self._scope)
        self._search_index = LiveSearchIndex(self._read_search_index, self._write_counts)

    def size(self) -> int:
        """The number of tracks of all libraries, from the collection's metadata."""
        with unavailable_on_error():
            return int(self._db.tracks.estimated_document_count())

    def search_index(self) -> SearchIndex:
        """The search index in memory; some seconds behind what is published. Raises LibraryBeingRead just after the start."""
        return self._search_index.current()

    def is_searchable(self, wait_s: float) -> bool:
        """Whether the search index is there, or will be within so many seconds."""
        return self._search_index.is_ready(wait_s)

    def search(self, text: str, limit: int = 40) -> list[Track]:
        """Tracks in which every word begins a word of title, artist, album, genre or composer, best matches first; where there
        are none, those with words that are a typing error away."""
        return self.in_order(self.search_index().search(text, limit))

    def in_order(self, track_ids: Iterable[str]) -> list[Track]:
        """The library's tracks among these ids, in their order, each once."""
        ids = list(dict.fromkeys(track_ids))
        track_by_id = self.tracks_of(ids)
        return [track_by_id[track_id] for track_id in ids if track_id in track_by_id]

    def track(self, track_id: str) -> Track | None:
        return self.tracks_of([track_id]).get(track_id)

    def tracks_of(self, track_ids: Iterable[str]) -> dict[str, Track]:
        """The library's tracks among these ids, by id."""
        ids = [track_id for track_id in track_ids if identifier_problem(track_id) is None]
        with unavailable_on_error():
            documents = self._db.tracks.find({"_id": {"$in": ids}, **self._scope}, TRACK_PROJECTION)
            tracks = [_read_track(document) for document in documents]
        return {track.track_id: track for track in tracks}

    def new_among(self, track_ids: Iterable[str]) -> set[str]:
        """Those of these tracks that are new to the library."""
        return self._novelty.new_among(track_ids)

    def page(self, after: str = "", limit: int = 40) -> list[Track]:
        """Tracks in the order of their ids, from the first id greater than `after`."""
        query = {"_id": {"$gt": str(after)}, **self._scope}
        with unavailable_on_error():
            return [
                _read_track(each) for each in self._db.tracks.find(query, TRACK_PROJECTION).sort("_id", 1).limit(limit)
            ]

    def paths(self, track_ids: Iterable[str]) -> dict[str, str]:
        """The path or URI of the library's tracks among these ids, by id."""
        with unavailable_on_error():
            documents = self._db.tracks.find({"_id": {"$in": list(track_ids)}, **self._scope}, {"path": 1})
            return {str(document["_id"]): text_of(document, "path") for document in documents}

    def all_paths(self) -> Iterator[tuple[str, str]]:
        """(id, path or URI) of all tracks of the library, read from an index where it can be: a document has 6 kB."""
        names: list[Document] = [{"library": {"$gte": MinKey()}}]
        if self._root:
            names = [{"library": library_name(self._root)}, {"library": None}]
        for name in names:
            with unavailable_on_error():
                for document in self._db.tracks.find(name, {"path": 1}).batch_size(10_000):
                    yield str(document["_id"]), text_of(document, "path")

    def similar(self, track_id: str, limit: int = 24) -> list[Track]:
        """The tracks most similar to a track, most similar first; none before a model has been published."""
        document = self._document(track_id, {"similar": 1, "_id": 1, "title": 1})
        return self.in_order(each["track_id"] for each in document.get("similar") or [] if "track_id" in each)[:limit]

    def details(self, track_id: str) -> Details:
        """What the model says of a track; empty before a model has been published."""
        document = self._document(track_id, {"genre_posterior": 1, "similar": 1, "model_version": 1, "tags": 1})
        return Details(
            tuple((str(each["genre"]), float(each["probability"])) for each in document.get("genre_posterior") or ()),
            tuple((str(each["track_id"]), float(each.get("score") or 0)) for each in document.get("similar") or ()),
            str(document.get("model_version") or ""),
            read_words(document.get("tags")),
        )

    def user_id(self, name: str) -> str:
        """The user id of the listener who has the name: the name itself where it has a list, or nobody has registered it."""
        with unavailable_on_error():
            if self._db.recommendations.find_one({"_id": name}, {"_id": 1}) is not None:
                return name
            document = self._db.names.find_one({"_id": name_key(name)})
        return name if document is None else str(document.get("user_id") or name)

    def recommendations(self, user_id: str | None) -> Recommendations | None:
        """The listener's list, else the one for new listeners; None before anything has been published."""
        return self._recommendations(user_id, None)

    def named_lists(self, user_id: str) -> tuple[Recommendations, ...]:
        """The listener's lists beside "For you": mixes, "Discover", "Rediscover"; none before the stream has made some."""
        with unavailable_on_error():
            document = self._db.mixes.find_one({"_id": str(user_id)})
        return () if document is None else read_named_lists(document)

    def change_token(self, user_id: str | None) -> str | None:
        """The `change_token` of `recommendations`, without reading the items."""
        header = self._recommendations(user_id, {"generation": 1, "generated_at": 1, "model_version": 1})
        return None if header is None else header.change_token

    def audio(self, track_id: str) -> str | None:
        """Where the audio of a track is: the path of a readable file, or the URI of an object in a store; None without one."""
        return self._locations.location(track_id)

    def _recommendations(self, user_id: str | None, fields: Document | None) -> Recommendations | None:
        owners = [NEW_LISTENERS] if user_id is None else [str(user_id), NEW_LISTENERS]
        with unavailable_on_error():
            documents = self._db.recommendations.find({"_id": {"$in": owners}}, fields)
            document_by_owner = {document["_id"]: document for document in documents}
        document = next((document_by_owner[owner] for owner in owners if owner in document_by_owner), None)
        return None if document is None else read_recommendations(document)

    def _document(self, track_id: str, fields: Document) -> Document:
        """The fields of a track; {} where it is not in the library."""
        if identifier_problem(track_id) is not None:
            return {}
        with unavailable_on_error():
            return self._db.tracks.find_one({"_id": track_id, **self._scope}, fields) or {}

    def _read_search_index(self) -> SearchIndex:
        def documents(collection: str, fields: Iterable[str]) -> Iterable[Document]:
            return self._db[collection].find(self._scope, dict.fromkeys(fields, 1)).batch_size(5000)

        with unavailable_on_error():
            return build_index(
                documents("tracks", INDEXED_FIELDS),
                documents("albums", ALBUM_FIELDS),
                documents("artists", ARTIST_FIELDS),
            )

    def _write_counts(self) -> Hashable:
        """The storage engine's counters of writes to what the index is made of, which a publish without changes leaves as they
        are. None where they cannot be read: no tracks yet, or the user has no right to statistics.
        """
        counts = tuple(self._writes_to(collection) for collection in ("tracks", "albums", "artists"))
        return None if counts[0] is None else counts

    def _writes_to(self, collection: str) -> Hashable:
        """None where the collection does not exist yet, or the user has no right to its statistics."""
        try:
            with unavailable_on_error():
                (stats,) = self._db[collection].aggregate([{"$collStats": {"storageStats": {}}}])
        except LibraryUnavailable as error:
            if isinstance(error.__cause__, OperationFailure):
                return None
            raise
        storage = stats["storageStats"]
        counters = (storage.get("wiredTiger") or {}).get("cursor") or {}
        writes = tuple(value for name, value in sorted(counters.items()) if name.startswith(WRITE_COUNTERS))
        return (storage.get("count"), storage.get("size"), *writes)


def library_scope(root: str) -> Document:
    """Selects the documents of a library, and those without one; "": all."""
    return {"library": {"$in": [library_name(root), None]}} if root else {}


def _read_track(document: Document) -> Track:
    duration, year = document.get("duration_s"), document.get("year")
    return Track(
        track_id=str(document["_id"]),
        **{name: text_of(document, name) for name in (*SEARCHED_FIELDS, "licence")},
        genre_predicted=bool(document.get("genre_predicted")),
        year=int(year) if isinstance(year, (int, float)) and year else None,
        duration_s=float(duration) if isinstance(duration, (int, float)) and duration > 0 else None,
        recording="" if document.get("recording") is None else str(document["recording"]),
        album_id=text_of(document, "album_id"),
        album_artist=text_of(document, "album_artist"),
        artists=_texts(document, "artists"),
        artist_ids=_texts(document, "artist_ids"),
        disc_number=_number(document, "disc_number"),
        track_number=_number(document, "track_number"),
    )


def _texts(document: Document, field: str) -> tuple[str, ...]:
    texts = document.get(field)
    return tuple(text for text in texts if isinstance(text, str)) if isinstance(texts, list) else ()


def _number(document: Document, field: str) -> int | None:
    value = document.get(field)
    return int(value) if isinstance(value, (int, float)) and value > 0 else None
