"""A listener's playlists, in the collection `playlists`.

`_id` is the playlist's id; fields: user_id, name, description, tracks (ids in order), made_at, revision (number of changes so
far), deleted_at (of one that can be restored for RESTORABLE_S), version (of the code that wrote the document; absent means 1).
Changes set single fields, so fields of a later version are kept; readers give missing ones a default. Each change is one atomic
update, so that of two pages neither undoes what the other has done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from pymongo.database import Database

from ui.data.mongo import Document, unavailable_on_error

PLAYLIST_VERSION = 1
MAX_PLAYLISTS = 200
MAX_PLAYLIST_TRACKS = 10_000
MAX_PLAYLIST_NAME_LENGTH = 100
MAX_DESCRIPTION_LENGTH = 500
RESTORABLE_S = 30 * 24 * 3600
MAX_RESTORABLE = 20
"""Deleted playlists of a listener that can be restored."""
SUMMARY_TRACKS = 12
"""Of each playlist, whose covers stand for it: a list of playlists does not read two million ids."""
MAX_ATTEMPTS = 30
"""Of a change that other changes come before."""


PRESENT: Document = {"deleted_at": None}
"""Selects the playlists that are not deleted."""


class LimitExceeded(ValueError):
    """More playlists or tracks than a listener may have; the message gives the limit."""


class PlaylistChanged(ValueError):
    """The playlist is no longer at the revision that a change was made from."""

    def __init__(self) -> None:
        super().__init__("The playlist has changed meanwhile. Open it again and repeat the change.")


@dataclass(frozen=True)
class Playlist:
    """tracks : their ids, in order, each once;  revision : number of changes so far"""

    playlist_id: str
    name: str
    tracks: tuple[str, ...]
    revision: int = 0
    description: str = ""


@dataclass(frozen=True)
class PlaylistSummary:
    """count : number of tracks;  first_tracks : ids of the first SUMMARY_TRACKS of them;  revision : as of Playlist"""

    playlist_id: str
    name: str
    count: int
    first_tracks: tuple[str, ...] = ()
    revision: int = 0


class Playlists:
    """Playlists by listener: no listener can read or change another's. Methods raise LibraryUnavailable."""

    def __init__(self, db: Database[Document]) -> None:
        self._playlists = db.playlists
        self._has_indexes = False

    def summaries(self, user_id: str) -> list[PlaylistSummary]:
        """The listener's playlists, by name, without most of their tracks."""
        tracks = {"$cond": [{"$isArray": "$tracks"}, "$tracks", []]}
        fields = {"name": 1, "revision": 1, "count": {"$size": tracks}, "tracks": {"$slice": [tracks, SUMMARY_TRACKS]}}
        with unavailable_on_error():
            documents = list(
                self._playlists.aggregate([{"$match": {"user_id": user_id, **PRESENT}}, {"$project": fields}])
            )
        playlists = [(read_playlist(document), int(document["count"])) for document in documents]
        playlists.sort(key=lambda entry: (entry[0].name.casefold(), entry[0].playlist_id))
        return [
            PlaylistSummary(each.playlist_id, each.name, count, each.tracks, each.revision) for each, count in playlists
        ]

    def get(self, user_id: str, playlist_id: str) -> Playlist | None:
        """The listener's playlist of this id; None where there is none."""
        with unavailable_on_error():
            document = self._playlists.find_one({"_id": playlist_id, "user_id": user_id, **PRESENT})
        return None if document is None else read_playlist(document)

    def create(self, user_id: str, name: str, tracks: Iterable[str] = ()) -> Playlist:
        """A new playlist; name and tracks are cut to their limits. Raises LimitExceeded."""
        playlist = Playlist(uuid4().hex, name[:MAX_PLAYLIST_NAME_LENGTH], tuple(tracks)[:MAX_PLAYLIST_TRACKS])
        with unavailable_on_error():
            self._create_indexes()
            self._check_room(user_id)
            self._playlists.insert_one(playlist_document(playlist, user_id, datetime.now(UTC)))
        return playlist

    def update(
        self,
        user_id: str,
        playlist_id: str,
        name: str | None,
        tracks: list[str] | None,
        revision: int | None = None,
        description: str | None = None,
    ) -> bool:
        """Changes name, tracks, description, None leaves them; False where the listener has no such playlist.

        revision : the change is made only while the playlist is at this revision; None: in any case
        Raises LimitExceeded, PlaylistChanged.
        """
        if tracks is not None and len(tracks) > MAX_PLAYLIST_TRACKS:
            raise LimitExceeded(f"A playlist can have at most {MAX_PLAYLIST_TRACKS:,} tracks, not {len(tracks):,}.")
        changes = {
            "name": name and name[:MAX_PLAYLIST_NAME_LENGTH],
            "tracks": tracks,
            "description": None if description is None else description[:MAX_DESCRIPTION_LENGTH],
        }
        fields = {field: value for field, value in changes.items() if value is not None}
        if not fields:
            return True
        # A document of an earlier version has no revision, which means 0.
        is_at_revision = (
            {} if revision is None else {"revision": {"$in": [revision, None] if not revision else [revision]}}
        )
        if self._change(user_id, playlist_id, {"$set": fields}, is_at_revision):
            return True
        if self.get(user_id, playlist_id) is None:
            return False
        raise PlaylistChanged

    def add_track(self, user_id: str, playlist_id: str, track_id: str) -> bool:
        """Appends a track unless the playlist has it; False where the listener has no such playlist. Raises LimitExceeded."""
        has_room = {"$or": [{"tracks": track_id}, {f"tracks.{MAX_PLAYLIST_TRACKS - 1}": {"$exists": False}}]}
        if self._change(user_id, playlist_id, {"$addToSet": {"tracks": track_id}}, has_room):
            return True
        if self.get(user_id, playlist_id) is None:
            return False
        raise LimitExceeded(f"A playlist can have at most {MAX_PLAYLIST_TRACKS:,} tracks.")

    def remove_track(self, user_id: str, playlist_id: str, track_id: str) -> bool:
        """Removes a track, if it is there; False where the listener has no such playlist."""
        return self._change(user_id, playlist_id, {"$pull": {"tracks": track_id}})

    def add_tracks(self, user_id: str, playlist_id: str, track_ids: Sequence[str]) -> list[str] | None:
        """Appends the tracks that the playlist lacks, and returns these; None where the listener has no such playlist.

        Raises LimitExceeded.
        """
        added: list[str] = []

        def with_added(tracks: list[str]) -> list[str]:
            present = set(tracks)
            added[:] = [track_id for track_id in dict.fromkeys(track_ids) if track_id not in present]
            return [*tracks, *added]

        return added if self._edit(user_id, playlist_id, with_added) else None

    def remove_tracks(self, user_id: str, playlist_id: str, track_ids: Iterable[str]) -> bool:
        """Removes the tracks that are there; False where the listener has no such playlist."""
        return self._change(user_id, playlist_id, {"$pull": {"tracks": {"$in": list(track_ids)}}})

    def place_track(self, user_id: str, playlist_id: str, track_id: str, after: str | None) -> bool:
        """Puts a track behind another one, adding it where it is missing; False where the listener has no such playlist.

        after : None: to the beginning; a track that is no longer there: to the end
        """

        def placed(tracks: list[str]) -> list[str]:
            others = [other for other in tracks if other != track_id]
            position = 0 if after is None else others.index(after) + 1 if after in others else len(others)
            return [*others[:position], track_id, *others[position:]]

        return self._edit(user_id, playlist_id, placed)

    def delete(self, user_id: str, playlist_id: str) -> bool:
        """Whether the listener had such a playlist. It can be restored for RESTORABLE_S, the last MAX_RESTORABLE ones."""
        self._create_indexes()
        has_deleted = self._change(user_id, playlist_id, {"$set": {"deleted_at": datetime.now(UTC)}})
        with unavailable_on_error():
            deleted = self._playlists.find({"user_id": user_id, "deleted_at": {"$ne": None}}, {"_id": 1})
            ids = [document["_id"] for document in deleted.sort("deleted_at", -1).skip(MAX_RESTORABLE)]
            if ids:
                self._playlists.delete_many({"_id": {"$in": ids}, "deleted_at": {"$ne": None}})
        return has_deleted

    def restore(self, user_id: str, playlist_id: str) -> bool:
        """Takes a deletion back; False where there is nothing to restore. Raises LimitExceeded."""
        with unavailable_on_error():
            self._check_room(user_id)
            deleted = {"_id": playlist_id, "user_id": user_id, "deleted_at": {"$ne": None}}
            result = self._playlists.update_one(deleted, {"$unset": {"deleted_at": ""}, "$inc": {"revision": 1}})
        return result.matched_count == 1

    def _edit(self, user_id: str, playlist_id: str, change: Callable[[list[str]], list[str]]) -> bool:
        """Changes the tracks as they are, also where others change them meanwhile; False where there is no such playlist."""
        for _ in range(MAX_ATTEMPTS):
            playlist = self.get(user_id, playlist_id)
            if playlist is None:
                return False
            try:
                return self.update(user_id, playlist_id, None, change(list(playlist.tracks)), playlist.revision)
            except PlaylistChanged:
                continue
        raise PlaylistChanged

    def _check_room(self, user_id: str) -> None:
        """Raises LimitExceeded where the listener has as many playlists as they may."""
        if self._playlists.count_documents({"user_id": user_id, **PRESENT}, limit=MAX_PLAYLISTS) >= MAX_PLAYLISTS:
            raise LimitExceeded(f"A listener can have at most {MAX_PLAYLISTS} playlists. Delete one first.")

    def _change(self, user_id: str, playlist_id: str, update: Document, condition: Document | None = None) -> bool:
        """One atomic change; False where the listener has no such playlist, or it does not meet the condition."""
        with unavailable_on_error():
            result = self._playlists.update_one(
                {"_id": playlist_id, "user_id": user_id, **PRESENT, **(condition or {})},
                {**update, "$set": {**update.get("$set", {}), "version": PLAYLIST_VERSION}, "$inc": {"revision": 1}},
            )
        return result.matched_count == 1

    def _create_indexes(self) -> None:
        if not self._has_indexes:
            with unavailable_on_error():
                self._playlists.create_index("user_id")
                self._playlists.create_index("deleted_at", expireAfterSeconds=RESTORABLE_S)
            self._has_indexes = True


def playlist_document(playlist: Playlist, user_id: str, made_at: datetime) -> Document:
    """The document of `playlists` for a new playlist."""
    return {
        "_id": playlist.playlist_id,
        "user_id": user_id,
        "name": playlist.name,
        "tracks": list(playlist.tracks),
        "made_at": made_at,
        "revision": playlist.revision,
        "version": PLAYLIST_VERSION,
    }


def read_playlist(document: Document) -> Playlist:
    """The playlist in a document of any version."""
    tracks = tuple(str(track_id) for track_id in document.get("tracks") or ())
    revision = document.get("revision")
    return Playlist(
        str(document["_id"]),
        str(document.get("name") or ""),
        tracks,
        revision if isinstance(revision, int) else 0,
        str(document.get("description") or ""),
    )
