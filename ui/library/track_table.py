"""All tracks as a list that can be sorted, in pages, and the tracks of an album and an artist."""

from __future__ import annotations

import math
from typing import NamedTuple

from bson.min_key import MinKey
from pymongo.collection import Collection
from pymongo.cursor import Cursor
from pymongo.database import Database

from batch.library.files import library_name
from ui.data.mongo import Document, unavailable_on_error

SORTS: dict[str, list[tuple[str, int]]] = {
    "title": [("sort_title", 1), ("_id", 1)],
    "artist": [("sort_artist", 1), ("sort_album", 1), ("disc_number", 1), ("track_number", 1), ("_id", 1)],
    "album": [("sort_album", 1), ("album_id", 1), ("disc_number", 1), ("track_number", 1), ("_id", 1)],
    "year": [("year", -1), ("sort_title", 1), ("_id", 1)],
    "added": [("added_at", -1), ("sort_title", 1), ("_id", 1)],
    "duration": [("duration_s", 1), ("_id", 1)],
}
"""Fields and directions by the column's name; each is the beginning of an index of `batch.discography.collections`."""
_ALBUM_ORDER = [(field, 1) for field in ("sort_album", "album_id", "disc_number", "track_number", "sort_title", "_id")]


class AlbumEntry(NamedTuple):
    """A track of an album.  disc : 1, 2, …;  artist : "" where unknown"""

    track_id: str
    disc: int
    artist: str


class TrackTable:
    """Ids of tracks. Methods raise LibraryUnavailable.

    root : only tracks of this library; "": of all
    """

    def __init__(self, db: Database[Document], root: str = "") -> None:
        self._db = db
        self._scope: Document = {"library": library_name(root)} if root else {}

    def page(self, sort: str, is_reversed: bool, offset: int, limit: int) -> list[str]:
        """Track ids in one of SORTS. Read from the index alone: a document with its features has 6 kB."""
        with unavailable_on_error():
            documents = table_query(self._db.tracks, self._scope, sort, is_reversed).skip(offset).limit(limit)
            return [str(document["_id"]) for document in documents]

    def count(self) -> int:
        """The number of all tracks."""
        with unavailable_on_error():
            if not self._scope:
                return self._db.tracks.estimated_document_count()
            return self._db.tracks.count_documents(self._scope)

    def of_album(self, album_id: str) -> list[AlbumEntry]:
        """All tracks of an album, by disc, track number and title; those without a number last."""
        fields = dict.fromkeys(("disc_number", "track_number", "sort_title", "artist"), 1)
        with unavailable_on_error():
            documents = list(self._db.tracks.find({"album_id": album_id, **self._scope}, fields))

        def place(document: Document) -> tuple[int, float, str, str]:
            number = int(document.get("track_number") or 0)
            return _disc(document), number or math.inf, str(document.get("sort_title") or ""), str(document["_id"])

        return [
            AlbumEntry(str(document["_id"]), _disc(document), str(document.get("artist") or ""))
            for document in sorted(documents, key=place)
        ]

    def of_artist(self, artist_id: str, offset: int, limit: int) -> list[str]:
        """Track ids from a place on, by album, disc, track number and title; those without an album last."""
        query = {"artist_ids": artist_id, **self._scope}
        with_album, without = {**query, "sort_album": {"$gt": ""}}, {**query, "sort_album": {"$in": ["", None]}}
        ids = self._in_album_order(with_album, offset, limit)
        if len(ids) < limit:
            with unavailable_on_error():
                count = self._db.tracks.count_documents(with_album)
            ids += self._in_album_order(without, max(0, offset - count), limit - len(ids))
        return ids

    def count_of_artist(self, artist_id: str) -> int:
        """The number of an artist's tracks."""
        with unavailable_on_error():
            return self._db.tracks.count_documents({"artist_ids": artist_id, **self._scope})

    def albums_of_artist(self, artist_id: str) -> list[str]:
        """Ids of the albums that have tracks of an artist, by name."""
        query = {"artist_ids": artist_id, "album_id": {"$type": "string"}, **self._scope}
        group = {"_id": "$album_id", "name": {"$first": "$sort_album"}}
        with unavailable_on_error():
            albums = self._db.tracks.aggregate([{"$match": query}, {"$group": group}, {"$sort": {"name": 1, "_id": 1}}])
            return [str(album["_id"]) for album in albums]

    def similar(self, track_ids: list[str]) -> dict[str, list[str]]:
        """The ids of each track's similar tracks, most similar first."""
        with unavailable_on_error():
            documents = list(self._db.tracks.find({"_id": {"$in": track_ids}}, {"similar.track_id": 1}))
        return {
            str(document["_id"]): [
                str(each["track_id"])
                for each in document.get("similar") or ()
                if isinstance(each, dict) and "track_id" in each
            ]
            for document in documents
        }

    def _in_album_order(self, query: Document, offset: int, limit: int) -> list[str]:
        with unavailable_on_error():
            documents = self._db.tracks.find(query, {"_id": 1}).sort(_ALBUM_ORDER).skip(offset).limit(limit)
            return [str(document["_id"]) for document in documents]


def _disc(document: Document) -> int:
    return int(document.get("disc_number") or 1)


def table_query(collection: Collection[Document], scope: Document, sort: str, is_reversed: bool) -> Cursor[Document]:
    """The ids of all tracks in one of SORTS.  scope : the library"""
    order = [(field, -direction if is_reversed else direction) for field, direction in SORTS[sort]]
    any_value = {
        SORTS[sort][0][0]: {"$gte": MinKey()}
    }  # with it the library is read from the index too, not from the documents
    return collection.find({**scope, **any_value}, {"_id": 1}).sort(order)
