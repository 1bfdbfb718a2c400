"""What is a listener's own: what was heard and liked, where one left off, playlists.

The stream's profile says how the list sees it, up to its most recent tracks, and events of other programs reach only it;
`listens` here has one document for each listener and track, made at once when the page says what was done. Read together,
the later one of the two counts, so likes are there after a reload, while Kafka is away, and years later.

Collections: `listens` (`_id` = {user, track}), `playlists` (`_id` = id, user_id), `places` (`_id` = user id).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from pymongo import DESCENDING, WriteConcern
from pymongo.database import Database
from pymongo.errors import PyMongoError

from streaming.events import Event
from ui.data.library import Document, LibraryUnavailable

VERDICTS = {"like": "like", "dislike": "dislike", "unlike": "", "neutral": ""}
WISHES = {"more": "more", "less": "less", "neutral": ""}
"""What an action makes of the two states of a track's opinion; actions that are in neither leave them as they are."""
STATES = ("verdict", "wish")
MAX_PLAYLISTS = 200
MAX_TRACKS = 2000
MAX_NAME = 100
OWN = ("listens", "playlists")
"""Collections with a field user_id; the others have it as their `_id`."""
BY_ID = ("places", "profiles", "recommendations")


class LimitExceeded(ValueError):
    """More playlists or tracks than one listener may have; the message says how many."""


@dataclass(frozen=True)
class HistoryEntry:
    """A track that a listener has done something with. at : when last;  position_ms : where it was left"""

    track_id: str
    at: datetime
    action: str = ""
    position_ms: int | None = None
    duration_ms: int | None = None


@dataclass(frozen=True)
class TasteSummary:
    """The listener as the stream sees it; fields that it does not write yet are empty.

    centres : each (weight, ids of the tracks nearest to it);  path : ids of heard tracks, oldest first
    """

    centres: tuple[tuple[float, tuple[str, ...]], ...] = ()
    rejected: tuple[str, ...] = ()
    muted: tuple[str, ...] = ()
    adventure: float | None = None
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Playlist:
    playlist_id: str
    name: str
    tracks: tuple[str, ...]


class ListenerData:
    """A listener's own things in a database. Every method takes the listener's id, which only the session knows."""

    def __init__(self, db: Database[Document]) -> None:
        self._db = db
        # What was heard and where is told again by the next event; waiting for the journal each time costs every page.
        quickly = WriteConcern(w=1, j=False)
        self._listens = db.get_collection("listens", write_concern=quickly)
        self._places = db.get_collection("places", write_concern=quickly)
        self._is_indexed = False

    # ---- what was done

    def note(self, event: Event) -> None:
        """Keeps what an event says about its track; a steering event without a track says nothing here."""
        if not event.track_id:
            return
        said: dict[str, Any] = {}
        for state, meaning in zip(STATES, (VERDICTS, WISHES), strict=True):
            if event.action in meaning:
                said |= {state: meaning[event.action], f"{state}_at": event.occurred_at}
        if not said:
            where = {"position_ms": event.position_ms, "duration_ms": event.duration_ms}
            said = {"at": event.occurred_at, "action": event.action, **where}
        with self._answers():
            self._index()
            self._listens.update_one(
                {"_id": {"user": event.user_id, "track": event.track_id}},
                {"$set": {"user_id": event.user_id, **said}, "$inc": {"plays": int(event.action == "play")}},
                upsert=True,
            )

    def opinions(self, user_id: str) -> dict[str, str]:
        """{track id: like or dislike, more or less, parted by a blank}, latest first; tracks without any are not there."""
        said: dict[tuple[str, str], tuple[float, str]] = {}
        with self._answers():
            profile = self._db.profiles.find_one({"_id": user_id}, {"opinions": 1}) or {}
            wanted = {"user_id": user_id, "$or": [{f"{state}_at": {"$exists": True}} for state in STATES]}
            noted = list(self._listens.find(wanted, dict.fromkeys([*STATES, *(f"{one}_at" for one in STATES)], 1)))
        for opinion in profile.get("opinions") or ():
            for state in STATES:
                if isinstance(at := opinion.get(f"{state}_at"), (int, float)) and at > 0:
                    said[str(opinion["track_id"]), state] = (at, str(opinion.get(state) or ""))
        for document in noted:
            for state in STATES:
                if at := document.get(f"{state}_at"):
                    key = (document["_id"]["track"], state)
                    # Both keep milliseconds: what they have in the same one is the same event.
                    if at.timestamp() >= said.get(key, (0.0, ""))[0] - 0.001:
                        said[key] = (at.timestamp(), document[state])
        held: dict[str, list[str]] = {}
        for (track_id, _), (_, word) in sorted(said.items(), key=lambda entry: (-entry[1][0], entry[0])):
            if word:
                held.setdefault(track_id, []).append(word)
        return {track_id: " ".join(words) for track_id, words in held.items()}

    def history(self, user_id: str, limit: int = 100) -> list[HistoryEntry]:
        """What was heard, latest first, each track once."""
        with self._answers():
            self._index()
            found = self._listens.find({"user_id": user_id, "at": {"$exists": True}})
            heard = [_heard(document) for document in found.sort("at", DESCENDING).limit(limit)]
            profile = self._db.profiles.find_one({"_id": user_id}, {"opinions": 1}) or {}
        known = {each.track_id for each in heard}
        for opinion in profile.get("opinions") or ():
            if opinion.get("session") or opinion.get("lasting"):  # a mere like is no listening
                at = datetime.fromtimestamp(float(opinion.get("at") or 0), UTC)
                if str(opinion["track_id"]) not in known:
                    heard.append(HistoryEntry(str(opinion["track_id"]), at))
        return sorted(heard, key=lambda each: each.at, reverse=True)[:limit]

    def leave(self, user_id: str, track_id: str, position_ms: int, duration_ms: int | None) -> None:
        """Remembers where the listener is in a track, to go on there."""
        place = {"track_id": track_id, "position_ms": position_ms, "duration_ms": duration_ms, "at": datetime.now(UTC)}
        with self._answers():
            self._places.replace_one({"_id": user_id}, place, upsert=True)

    def place(self, user_id: str) -> HistoryEntry | None:
        """Where the listener left off, if anywhere."""
        with self._answers():
            found = self._places.find_one({"_id": user_id})
        if found is None:
            return None
        return HistoryEntry(found["track_id"], found["at"], "left", found["position_ms"], found.get("duration_ms"))

    # ---- how the stream sees it

    def taste(self, user_id: str) -> TasteSummary:
        fields = dict.fromkeys(("centres", "rejected", "muted", "adventure", "opinions"), 1)
        with self._answers():
            profile = self._db.profiles.find_one({"_id": user_id}, fields) or {}
        opinions = [each for each in profile.get("opinions") or () if each.get("session") or each.get("lasting")]
        adventure = profile.get("adventure")
        return TasteSummary(
            centres=tuple(
                (float(centre.get("weight") or 0), tuple(str(one) for one in centre.get("tracks") or ()))
                for centre in profile.get("centres") or ()
            ),
            rejected=tuple(str(one) for one in profile.get("rejected") or ()),
            muted=tuple(str(one) for one in profile.get("muted") or ()),
            adventure=float(adventure) if isinstance(adventure, (int, float)) else None,
            path=tuple(str(each["track_id"]) for each in sorted(opinions, key=lambda each: float(each.get("at") or 0))),
        )

    def mark(self, user_id: str) -> str:
        """Differs as soon as the stream has counted something."""
        with self._answers():
            profile = self._db.profiles.find_one({"_id": user_id}, {"updated_at": 1, "events_applied": 1}) or {}
        return f"{profile.get('updated_at', '')}:{profile.get('events_applied', '')}"

    # ---- playlists

    def playlists(self, user_id: str) -> list[Playlist]:
        """By name."""
        with self._answers():
            found = [_playlist(one) for one in self._db.playlists.find({"user_id": user_id})]
        return sorted(found, key=lambda playlist: (playlist.name.casefold(), playlist.playlist_id))

    def playlist(self, user_id: str, playlist_id: str) -> Playlist | None:
        """The listener's own one, None where another's or nobody's."""
        with self._answers():
            found = self._db.playlists.find_one({"_id": playlist_id, "user_id": user_id})
        return None if found is None else _playlist(found)

    def make_playlist(self, user_id: str, name: str, tracks: Iterable[str] = ()) -> Playlist:
        """Raises LimitExceeded."""
        made = {"_id": uuid4().hex, "user_id": user_id, "name": name[:MAX_NAME], "tracks": list(tracks)[:MAX_TRACKS]}
        with self._answers():
            if self._db.playlists.count_documents({"user_id": user_id}, limit=MAX_PLAYLISTS) >= MAX_PLAYLISTS:
                raise LimitExceeded(f"{MAX_PLAYLISTS} playlists are the most that one listener can have")
            self._db.playlists.insert_one({**made, "made_at": datetime.now(UTC)})
        return _playlist(made)

    def change_playlist(self, user_id: str, playlist_id: str, name: str | None, tracks: list[str] | None) -> bool:
        """Whether there was one of this listener's to change. Raises LimitExceeded."""
        if tracks is not None and len(tracks) > MAX_TRACKS:
            raise LimitExceeded(f"{len(tracks)} tracks; a playlist holds at most {MAX_TRACKS}")
        change = {"name": name and name[:MAX_NAME], "tracks": tracks}
        given = {field: value for field, value in change.items() if value is not None}
        with self._answers():
            wanted = {"_id": playlist_id, "user_id": user_id}
            return self._db.playlists.update_one(wanted, {"$set": given}).matched_count == 1 if given else True

    def drop_playlist(self, user_id: str, playlist_id: str) -> bool:
        with self._answers():
            return self._db.playlists.delete_one({"_id": playlist_id, "user_id": user_id}).deleted_count == 1

    # ---- all of it

    def everything(self, user_id: str) -> Document:
        """All that the database holds of a listener, by collection."""
        with self._answers():
            whole: Document = {name: list(self._db[name].find({"user_id": user_id})) for name in OWN}
            return whole | {name: self._db[name].find_one({"_id": user_id}) for name in BY_ID}

    def forget(self, user_id: str) -> None:
        """Removes all that the database holds of a listener."""
        with self._answers():
            for name in OWN:
                self._db[name].delete_many({"user_id": user_id})
            for name in BY_ID:
                self._db[name].delete_one({"_id": user_id})

    def is_anyone(self, user_id: str) -> bool:
        """Whether the database holds anything of this listener."""
        with self._answers():
            return any(self._db[name].find_one({"user_id": user_id}, {"_id": 1}) for name in OWN) or any(
                self._db[name].find_one({"_id": user_id}, {"_id": 1}) for name in BY_ID
            )

    def _index(self) -> None:
        if not self._is_indexed:
            self._listens.create_index([("user_id", 1), ("at", DESCENDING)])
            self._db.playlists.create_index("user_id")
            self._is_indexed = True

    @contextmanager
    def _answers(self) -> Iterator[None]:
        try:
            yield
        except PyMongoError as error:
            raise LibraryUnavailable(f"MongoDB does not answer ({type(error).__name__})") from error


def _heard(document: Document) -> HistoryEntry:
    return HistoryEntry(
        document["_id"]["track"],
        document["at"],
        document.get("action") or "",
        document.get("position_ms"),
        document.get("duration_ms"),
    )


def _playlist(document: Document) -> Playlist:
    return Playlist(document["_id"], str(document.get("name") or ""), tuple(document.get("tracks") or ()))
