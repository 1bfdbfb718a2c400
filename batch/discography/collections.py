"""Albums and artists in MongoDB, and the indexes that pages are read by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from batch import mongo

if TYPE_CHECKING:
    from pymongo.collection import Collection
    from pymongo.database import Database

INDEXES: dict[str, tuple[tuple[tuple[str, int], ...], ...]] = {
    "albums": (
        (("sort_title", 1), ("_id", 1)),
        (("sort_artist", 1), ("year", 1), ("sort_title", 1), ("_id", 1)),
        (("added_at", -1), ("sort_title", 1), ("_id", 1)),
        (("year", -1), ("sort_title", 1), ("_id", 1)),
        (("artist_ids", 1), ("year", -1)),
    ),
    "artists": ((("sort_name", 1), ("_id", 1)), (("letter", 1), ("sort_name", 1), ("_id", 1))),
    "tracks": (
        (("album_id", 1),),
        (("library", 1), ("path", 1), ("_id", 1)),
        (
            *(("artist_ids", 1), ("sort_album", 1), ("album_id", 1), ("disc_number", 1), ("track_number", 1)),
            *(("sort_title", 1), ("_id", 1)),
        ),
        (("sort_title", 1), ("_id", 1), ("library", 1)),
        (("sort_artist", 1), ("sort_album", 1), ("disc_number", 1), ("track_number", 1), ("_id", 1), ("library", 1)),
        (("sort_album", 1), ("album_id", 1), ("disc_number", 1), ("track_number", 1), ("_id", 1), ("library", 1)),
        (("year", -1), ("sort_title", 1), ("_id", 1), ("library", 1)),
        (("duration_s", 1), ("_id", 1), ("library", 1)),
        (("added_at", -1), ("sort_title", 1), ("_id", 1), ("library", 1)),
    ),
}
"""By collection: (field, direction) of each index. Those of lists of tracks end in what tells a library, so that a page is read
from the index alone: a track with its features has 6 kB."""


def write(
    database: Database[dict[str, Any]], albums: Sequence[dict[str, Any]], artists: Sequence[dict[str, Any]]
) -> None:
    """Brings the collections `albums` and `artists` in line with these documents."""
    _replace(database.albums, albums)
    _replace(database.artists, artists)


def ensure_indexes(database: Database[dict[str, Any]]) -> None:
    """Makes the indexes that are missing."""
    from pymongo import IndexModel

    for collection, indexes in INDEXES.items():
        database[collection].create_indexes([IndexModel(list(keys)) for keys in indexes])


def _replace(collection: Collection[dict[str, Any]], documents: Sequence[dict[str, Any]]) -> None:
    mongo.upsert(documents, collection)
    mongo.delete_others(collection, [document["_id"] for document in documents])
