"""Artists in MongoDB, as `batch/publish` writes them; read only, documents of any version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.database import Database

from batch.discography.names import artist_id
from ui.data.library import library_scope
from ui.data.mongo import Document, unavailable_on_error
from ui.library.albums import documents_in_order, letter_offsets

ORDER = [("sort_name", 1), ("_id", 1)]


@dataclass(frozen=True)
class Artist:
    """tracks, albums : how many;  cover_album, cover_track : an id whose cover stands for the artist, "" for none"""

    artist_id: str
    name: str = ""
    tracks: int = 0
    albums: int = 0
    cover_album: str = ""
    cover_track: str = ""


def read_artist(document: Mapping[str, Any]) -> Artist:
    """The artist in a document of any version; what is missing has its default."""
    return Artist(
        str(document["_id"]),
        str(document.get("name") or ""),
        int(document.get("tracks") or 0),
        int(document.get("albums") or 0),
        str(document.get("cover_album") or ""),
        str(document.get("cover_track") or ""),
    )


class Artists:
    """The artists of a library. Methods raise LibraryUnavailable.

    root : only artists of this library; "": of all
    """

    def __init__(self, db: Database[Document], root: str = "") -> None:
        self._db = db
        self._scope = library_scope(root)

    def find(self, key: str) -> Artist | None:
        """The artist who has this id, or this name in any spelling."""
        with unavailable_on_error():
            documents = {
                str(document["_id"]): document
                for document in self._db.artists.find({"_id": {"$in": [key, artist_id(key)]}, **self._scope})
            }
        document = documents.get(artist_id(key)) or documents.get(key)
        return None if document is None else read_artist(document)

    def count(self) -> int:
        with unavailable_on_error():
            return self._db.artists.count_documents(self._scope)

    def page(self, offset: int, limit: int) -> list[Artist]:
        """Artists by name."""
        with unavailable_on_error():
            documents = self._db.artists.find(self._scope).sort(ORDER).skip(offset).limit(limit)
            return [read_artist(document) for document in documents]

    def letters(self) -> list[tuple[str, int]]:
        """(letter, place of its first artist in the order of names)"""
        return letter_offsets(self._db, "artists", "sort_name", self._scope)

    def in_order(self, artist_ids: Iterable[str]) -> list[Artist]:
        """The artists among these ids, in their order."""
        return [read_artist(document) for document in documents_in_order(self._db, "artists", artist_ids, self._scope)]
