"""Everything that MongoDB holds of a listener: history, playlists, the stream's profile; all of it for export and deletion."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pymongo.database import Database

from ui.data.history import PROFILE_FIELDS_OF_HISTORY, History, list_in, profile_entries, stored_profile
from ui.data.mongo import Document, unavailable_on_error

COLLECTIONS_BY_FIELD = ("listens", "playlists", "set_aside_events")
"""Collections whose documents name their listener in the field `user_id`."""
COLLECTIONS_BY_ID = ("places", "queues", "profiles", "recommendations", "mixes", "set_aside")
"""Collections with one document a listener, whose `_id` is the user id."""
COLUMNS_OF_PROFILE = {"evidence": "evidence", "last_heard": "heard", "verdicts": "verdicts", "shown_often": "shown"}
"""Fields of a profile's document that are stored as columns, with the attribute of `Profile` that each is read to."""
PROFILE_FIELDS_OF_TASTE = (
    *("centres", "rejected", "muted", "mutings", "tag_wishes", "adventure"),
    *PROFILE_FIELDS_OF_HISTORY,
)
MAX_PATH_TRACKS = 300
HEARD_LATELY = 30
"""Tracks that radio and song path leave out because they were just heard."""
JUST_HEARD = timedelta(days=1)
"""What was heard longer ago was not just heard, however little the listener has heard since."""
MAX_HEARD_SINCE = 300


@dataclass(frozen=True)
class TasteSummary:
    """A listener's profile as the page shows it; what the stream does not write yet is empty.

    interests : each (weight, ids of the tracks nearest to its medoid)
    rejected : ids of tracks whose region lists avoid
    muted : "artist:NAME", "genre:NAME" and "tag:NAME"
    wishes : "more" or "less" by "tag:NAME"
    adventure : 0 (familiar) to 1 (adventurous); None where not set
    path : ids of the latest tracks listened to, oldest first
    """

    interests: tuple[tuple[float, tuple[str, ...]], ...] = ()
    rejected: tuple[str, ...] = ()
    muted: tuple[str, ...] = ()
    wishes: dict[str, str] = field(default_factory=dict)
    adventure: float | None = None
    path: tuple[str, ...] = ()


class ListenerData:
    """A listener's data by user id, which callers must take from the session. Methods raise LibraryUnavailable."""

    def __init__(self, db: Database[Document]) -> None:
        self._db = db
        self.history = History(db)

    def taste(self, user_id: str) -> TasteSummary:
        """The summary of the listener's profile; empty before the stream has written one."""
        fields = dict.fromkeys(PROFILE_FIELDS_OF_TASTE, 1)
        with unavailable_on_error():
            profile = self._db.profiles.find_one({"_id": user_id}, fields) or {}
        return read_taste(profile)

    def disliked(self, user_id: str) -> set[str]:
        """Ids of the disliked tracks."""
        opinions = self.history.opinions(user_id)
        return {track_id for track_id, opinion in opinions.items() if "dislike" in opinion.split()}

    def likes_and_plays(self, user_id: str) -> tuple[int, int]:
        """How many tracks the listener likes, and how many plays their profile counts."""
        likes = sum("like" in opinion.split() for opinion in self.history.opinions(user_id).values())
        with unavailable_on_error():
            profile = self._db.profiles.find_one({"_id": user_id}, {"plays": 1}) or {}
        plays = profile.get("plays")
        return likes, plays if isinstance(plays, int) else 0

    def just_heard(self, user_id: str) -> set[str]:
        """Ids of the HEARD_LATELY tracks heard last, here and elsewhere, of those that were heard within JUST_HEARD."""
        return self._heard_after(user_id, datetime.now(UTC) - JUST_HEARD, HEARD_LATELY)

    def heard_since(self, user_id: str, since: datetime) -> set[str]:
        """Ids of the tracks heard after a time, the latest MAX_HEARD_SINCE."""
        return self._heard_after(user_id, since, MAX_HEARD_SINCE)

    def _heard_after(self, user_id: str, since: datetime, most: int) -> set[str]:
        return {entry.track_id for entry in self.history.entries(user_id, most) if entry.listened_at > since}

    def change_token(self, user_id: str) -> str:
        """A string that differs as soon as the stream has updated the listener's profile."""
        with unavailable_on_error():
            profile = self._db.profiles.find_one({"_id": user_id}, {"updated_at": 1, "events_applied": 1}) or {}
        return f"{profile.get('updated_at', '')}:{profile.get('events_applied', '')}"

    def export(self, user_id: str) -> Document:
        """All documents of a listener, by collection; the profile's columns as lists of rows."""
        with unavailable_on_error():
            documents: Document = {
                name: list(self._db[name].find({"user_id": user_id})) for name in COLLECTIONS_BY_FIELD
            }
            documents |= {name: self._db[name].find_one({"_id": user_id}) for name in COLLECTIONS_BY_ID}
        profile = documents["profiles"]
        return documents | {"profiles": profile and readable_profile(profile)}

    def delete(self, user_id: str) -> None:
        """Removes all documents of a listener."""
        with unavailable_on_error():
            for name in COLLECTIONS_BY_FIELD:
                self._db[name].delete_many({"user_id": user_id})
            for name in COLLECTIONS_BY_ID:
                self._db[name].delete_one({"_id": user_id})

    def exists(self, user_id: str) -> bool:
        """Whether there is any document of this listener."""
        queries = [(name, {"user_id": user_id}) for name in COLLECTIONS_BY_FIELD]
        queries += [(name, {"_id": user_id}) for name in COLLECTIONS_BY_ID]
        with unavailable_on_error():
            return any(self._db[name].find_one(query, {"_id": 1}) for name, query in queries)


def read_taste(profile: Document) -> TasteSummary:
    """The summary of a profile document of any version."""
    adventure = profile.get("adventure")
    entries = sorted(profile_entries(profile, MAX_PATH_TRACKS), key=lambda entry: entry.listened_at)
    muted = list_in(profile, "muted") if "muted" in profile else stored_profile(profile).muted
    centres = [centre for centre in list_in(profile, "centres") if isinstance(centre, dict)]
    weights = [centre.get("weight") for centre in centres]
    return TasteSummary(
        interests=tuple(
            (
                float(weight) if isinstance(weight, (int, float)) else 0.0,
                tuple(str(track_id) for track_id in list_in(centre, "tracks")),
            )
            for centre, weight in zip(centres, weights, strict=True)
        ),
        rejected=tuple(str(track_id) for track_id in list_in(profile, "rejected")),
        muted=tuple(str(target) for target in muted or ()),
        wishes={str(each.target): str(each.wish) for each in stored_profile(profile).tag_wishes if each.wish},
        adventure=float(adventure) if isinstance(adventure, (int, float)) else None,
        path=tuple(entry.track_id for entry in entries),
    )


def readable_profile(document: Document) -> Document:
    """A profile's document with a row for each track in place of columns; what cannot be read stays as it is."""
    profile, readable = stored_profile(document), dict(document)
    for name, attribute in COLUMNS_OF_PROFILE.items():
        table = getattr(profile, attribute)
        columns = [column for column in document.get(name) or () if column != "ids"]
        if len(table) and len(columns) == table.values.shape[1]:
            readable[name] = [
                {"track_id": track_id, **dict(zip(columns, numbers, strict=True))}
                for track_id, numbers in zip(table.ids, table.values.tolist(), strict=True)
            ]
    return readable
