"""Albums in MongoDB, as `batch/publish` writes them; read only, documents of any version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.database import Database

from ui.data.library import library_scope
from ui.data.mongo import Document, unavailable_on_error

ORDERS: dict[str, list[tuple[str, int]]] = {
    "name": [("sort_title", 1), ("_id", 1)],
    "artist": [("sort_artist", 1), ("year", 1), ("sort_title", 1), ("_id", 1)],
    "new": [("added_at", -1), ("sort_title", 1), ("_id", 1)],
    "year": [("year", -1), ("sort_title", 1), ("_id", 1)],
}
"""Fields and directions by the order's name."""
RANDOM = "random"


@dataclass(frozen=True)
class Album:
    """artist : text, "" where unknown;  tracks, discs : how many;  duration_s : of all tracks"""

    album_id: str
    title: str = ""
    artist: str = ""
    artist_ids: tuple[str, ...] = ()
    is_compilation: bool = False
    year: int | None = None
    genres: tuple[str, ...] = ()
    tracks: int = 0
    discs: int = 1
    duration_s: float = 0.0


def read_album(document: Mapping[str, Any]) -> Album:
    """The album in a document of any version; what is missing has its default."""
    year, duration = document.get("year"), document.get("duration_s")
    return Album(
        str(document["_id"]),
        str(document.get("title") or ""),
        str(document.get("artist") or ""),
        tuple(str(artist) for artist in document.get("artist_ids") or ()),
        bool(document.get("compilation")),
        int(year) if isinstance(year, (int, float)) and year else None,
        tuple(str(genre) for genre in document.get("genres") or ()),
        int(document.get("tracks") or 0),
        int(document.get("discs") or 1),
        float(duration) if isinstance(duration, (int, float)) else 0.0,
    )


class Albums:
    """The albums of a library. Methods raise LibraryUnavailable.

    root : only albums of this library; "": of all
    """

    def __init__(self, db: Database[Document], root: str = "") -> None:
        self._db = db
        self._scope = library_scope(root)

    def document(self, album_id: str) -> Document | None:
        with unavailable_on_error():
            return self._db.albums.find_one({"_id": album_id, **self._scope})

    def album(self, album_id: str) -> Album | None:
        document = self.document(album_id)
        return None if document is None else read_album(document)

    def count(self) -> int:
        with unavailable_on_error():
            return self._db.albums.count_documents(self._scope)

    def page(self, order: str, offset: int, limit: int) -> list[Album]:
        """Albums in one of ORDERS, or some at random."""
        with unavailable_on_error():
            if order == RANDOM:
                return [
                    read_album(document)
                    for document in self._db.albums.aggregate([{"$match": self._scope}, {"$sample": {"size": limit}}])
                ]
            documents = self._db.albums.find(self._scope).sort(ORDERS[order]).skip(offset).limit(limit)
            return [read_album(document) for document in documents]

    def letters(self) -> list[tuple[str, int]]:
        """(letter, place of its first album in the order of names)"""
        return letter_offsets(self._db, "albums", "sort_title", self._scope)

    def in_order(self, album_ids: Iterable[str]) -> list[Album]:
        """The albums among these ids, in their order."""
        return [read_album(document) for document in documents_in_order(self._db, "albums", album_ids, self._scope)]

    def by_artist(self, artist_id: str) -> list[Album]:
        """The albums of an album artist, the latest first."""
        with unavailable_on_error():
            documents = self._db.albums.find({"artist_ids": artist_id, **self._scope})
            return [read_album(each) for each in documents.sort([("year", -1), ("sort_title", 1)])]


def documents_in_order(db: Database[Document], collection: str, ids: Iterable[str], scope: Document) -> list[Document]:
    """The documents of a collection among these ids, in their order, each once."""
    ids = list(dict.fromkeys(ids))
    with unavailable_on_error():
        document_by_id = {str(each["_id"]): each for each in db[collection].find({"_id": {"$in": ids}, **scope})}
    return [document_by_id[document_id] for document_id in ids if document_id in document_by_id]


def letter_offsets(db: Database[Document], collection: str, sort_field: str, scope: Document) -> list[tuple[str, int]]:
    """(letter, how many documents stand before its first one) of the index of a collection, in order."""
    group = {"_id": "$letter", "count": {"$sum": 1}, "first": {"$min": f"${sort_field}"}}
    with unavailable_on_error():
        groups = list(db[collection].aggregate([{"$match": scope}, {"$group": group}, {"$sort": {"first": 1}}]))
    offsets, offset = [], 0
    for letter in groups:
        offsets.append((str(letter["_id"] or "#"), offset))
        offset += int(letter["count"])
    return offsets
