"""The player's documents in MongoDB: those of today are read tomorrow, and what another version wrote is kept."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from conf.settings import settings
from streaming.events import Event
from streaming.profile.documents import profile_document
from streaming.profile.profile import Profile
from ui.data.history import (
    HistoryEntry,
    listen_id,
    listen_update,
    merged_opinions,
    position_update,
    profile_entries,
    read_entry,
    read_position,
)
from ui.data.listener_data import TasteSummary, read_taste, readable_profile
from ui.data.recommendation_list import Item, read_named_lists, read_recommendations
from ui.playlists.store import (
    MAX_PLAYLIST_NAME_LENGTH,
    MAX_PLAYLIST_TRACKS,
    LimitExceeded,
    Playlist,
    Playlists,
    playlist_document,
    read_playlist,
)

NINE = datetime(2026, 11, 23, 9, 0, 0, 250_000, tzinfo=UTC)


def event(action: str, occurred_at: datetime = NINE, **fields: Any) -> Event:
    return Event(user_id="ana", track_id="folk01", action=action, occurred_at=occurred_at, **fields)


def updated(document: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    """What MongoDB makes of a document by $set and $inc."""
    document = document | update["$set"]
    for field, step in update.get("$inc", {}).items():
        document[field] = document.get(field, 0) + step
    return document


def written(events: Iterable[Event]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for each in events:
        document = updated({"_id": listen_id(each)} | document, listen_update(each))
    return document


def test_documents_of_version_1_are_read(player_documents: dict[str, dict[str, Any]]) -> None:
    assert read_entry(player_documents["listens"]) == HistoryEntry("folk01", NINE, "skip", 12_000, 30_000)
    assert merged_opinions({}, [player_documents["listens"]]) == {"folk01": "more like"}
    assert read_position(player_documents["places"]) == HistoryEntry("folk01", NINE, "left", 12_000, None)
    assert read_playlist(player_documents["playlists"]) == Playlist(
        player_documents["playlists"]["_id"], "Evening", ("folk01", "jazz03")
    )


def test_the_same_events_make_the_document_of_version_1(player_documents: dict[str, dict[str, Any]]) -> None:
    day_before = NINE - timedelta(days=1)
    document = written(
        [
            *[event("play", day_before, position_ms=0, duration_ms=30_000)] * 3,
            event("like", datetime(2026, 11, 22, 8, tzinfo=UTC)),
            event("more", day_before),
            event("skip", position_ms=12_000, duration_ms=30_000),
        ]
    )
    assert document == player_documents["listens"] | {"version": 1}
    position = updated({"_id": "ana"}, position_update("folk01", 12_000, None, NINE))
    assert position == player_documents["places"] | {"version": 1}
    playlist = read_playlist(player_documents["playlists"])
    document = playlist_document(playlist, "ana", player_documents["playlists"]["made_at"])
    assert document == player_documents["playlists"] | {"version": 1, "revision": 0}


def test_neutral_takes_both_states_back() -> None:
    document = written([event("like"), event("more"), event("neutral", NINE + timedelta(seconds=1))])
    assert merged_opinions({}, [document]) == {}
    assert "at" not in document, "an opinion alone is no history"


@pytest.mark.parametrize("name", ["listens", "places", "playlists"])
def test_fields_of_a_later_version_are_kept_and_ignored(player_documents: dict[str, dict[str, Any]], name: str) -> None:
    later = player_documents[name] | {"version": 9, "mood": {"value": 3}}
    update = {"listens": listen_update(event("play")), "places": position_update("jazz03", 1, 2, NINE)}
    if name in update:
        assert updated(later, update[name])["mood"] == {"value": 3}
        assert not {"$unset", "mood"} & {*update[name], *update[name]["$set"]}
    readers = {"listens": read_entry, "places": read_position, "playlists": read_playlist}
    assert readers[name](later) == readers[name](player_documents[name])


def test_missing_fields_have_defaults() -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert read_entry({"_id": {"user": "ana", "track": "a"}}) == HistoryEntry("a", epoch)
    assert merged_opinions({}, [{"_id": {"user": "ana", "track": "a"}, "verdict_at": NINE}]) == {}
    assert read_position({"_id": "ana"}) is None
    assert read_position({"_id": "ana", "track_id": "a"}) == HistoryEntry("a", epoch, "left", 0)
    assert read_playlist({"_id": "p"}) == Playlist("p", "", ())
    assert read_taste({}) == read_taste({"opinions": [{"title": "without a track"}]}) == TasteSummary()
    assert read_recommendations({"_id": "ana", "items": [{"rank": 1}, {"track_id": "a"}]}).items == (Item("a", 2),)


@pytest.mark.parametrize("odd", [7, "text", {"a": 1}, [1], None, True, float("nan")])
def test_fields_of_a_list_of_another_type_count_as_missing(odd: object) -> None:
    item = dict.fromkeys(("rank", "score", "because", "parts", "percentile"), odd) | {"track_id": "a"}
    fields = dict.fromkeys(("generation", "events_applied", "generated_at", "model_version"), odd)
    (read,) = read_recommendations({"_id": "ana", **fields, "items": [odd, item]}).items
    assert (read.track_id, read.reason) == ("a", "")
    assert read_recommendations({"_id": "ana", "items": odd}).items == ()
    (mix,) = read_named_lists({"_id": "ana", "lists": [odd, {"name": "mix-1", "items": [item]}]})
    assert (mix.name, [each.track_id for each in mix.items]) == ("mix-1", ["a"])
    assert read_named_lists({"_id": "ana", "lists": odd}) == ()


def test_the_later_of_profile_and_listens_counts_and_in_the_same_millisecond_the_page() -> None:
    seconds = NINE.timestamp()
    listens = [{"_id": {"user": "ana", "track": "a"}, "verdict": "like", "verdict_at": NINE}]

    def profile(verdict_at: float) -> dict[str, Any]:
        return {"opinions": [{"track_id": "a", "verdict": "dislike", "verdict_at": verdict_at}]}

    assert merged_opinions(profile(seconds + 1), listens) == {"a": "dislike"}
    assert merged_opinions(profile(seconds - 1), listens) == {"a": "like"}
    assert merged_opinions(profile(seconds + 0.0004), listens) == {"a": "like"}


DAY = 86_400


def of_version_2(*events: Event) -> dict[str, Any]:
    profile = Profile("ana")
    for offset, each in enumerate(events):
        profile = profile.after(each, f"The {each.track_id}", "c/t/0", offset, settings().taste)
    return profile_document(profile)


def on(track_id: str, action: str, day: float) -> Event:
    return Event("ana", track_id, action, NINE + timedelta(days=day), duration_ms=100, position_ms=90)


PAST = (on("a", "play", 0), on("b", "play", 3), on("c", "play", 1), on("a", "like", 4), on("b", "dislike", 5))
PAST = (*PAST, on("c", "like", 6), on("c", "unlike", 7), on("d", "more", 2))


def test_opinions_and_history_are_read_from_columns() -> None:
    document = of_version_2(*PAST)
    assert merged_opinions(document, []) == {"b": "dislike", "a": "like", "d": "more"}
    assert [entry.track_id for entry in profile_entries(document, 10)] == ["a", "b", "c"]
    assert [(entry.track_id, entry.listened_at.day) for entry in profile_entries(document, 2)] == [("b", 26), ("c", 24)]
    assert read_taste(document).path == ("a", "c", "b")
    listens = [{"_id": {"user": "ana", "track": "b"}, "verdict": "", "verdict_at": NINE + timedelta(days=9)}]
    assert merged_opinions(document, listens) == {"a": "like", "d": "more"}, "taken back a moment ago"


def test_derived_fields_are_enough_for_dislikes_and_not_needed_for_mutings() -> None:
    assert merged_opinions({"disliked": ["a", "b"]}, []) == {"a": "dislike", "b": "dislike"}
    listens = [{"_id": {"user": "ana", "track": "a"}, "verdict": "", "verdict_at": NINE}]
    assert merged_opinions({"disliked": ["a", "b"]}, listens) == {"b": "dislike"}
    mutings = [{"target": "genre:Folk", "muted": True, "at": 1.0}, {"target": "genre:Pop", "muted": False, "at": 2.0}]
    assert read_taste({"mutings": mutings}).muted == ("genre:Folk",)
    assert read_taste({"mutings": mutings, "muted": []}).muted == ()


@pytest.mark.parametrize(
    "profile",
    [
        {"evidence": {"ids": 5}},
        {"verdicts": [1, 2]},
        {"last_heard": "x"},
        {"opinions": [1]},
        {"tag_wishes": [5]},
        {"muted": 5, "rejected": 7, "disliked": 5, "centres": ["a", {"weight": "x", "tracks": 5}]},
    ],
)
def test_a_profile_that_cannot_be_read_leaves_the_page_as_it_is(profile: dict[str, Any]) -> None:
    now = datetime.now(UTC)
    listens = [{"_id": {"user": "ana", "track": "1"}, "verdict": "like", "verdict_at": now}]
    assert merged_opinions(profile, listens) == {"1": "like"}
    assert profile_entries(profile, 10) == [] and read_taste(profile).muted == ()
    assert readable_profile({"_id": "ana", **profile}) == {"_id": "ana", **profile}


def test_an_exported_profile_has_a_row_for_each_track() -> None:
    shown = Event("ana", None, "shown", NINE, tracks=("e", "f"))
    document = of_version_2(*PAST, shown)
    readable = readable_profile(document)
    heard_at = [(row["track_id"], row["at"]) for row in readable["last_heard"]]
    assert heard_at == [(each, int(NINE.timestamp()) + day * DAY) for each, day in (("a", 0), ("b", 3), ("c", 1))]
    assert [row["track_id"] for row in readable["evidence"]] == ["a", "b", "c"]
    assert {row["track_id"]: (row["verdict"], row["wish"]) for row in readable["verdicts"]} == {
        "a": (1, 0),
        "b": (-1, 0),
        "c": (0, 0),
        "d": (0, 1),
    }
    assert [(row["track_id"], row["count"]) for row in readable["shown_often"]] == [("e", 1), ("f", 1)]
    columns = {"evidence", "last_heard", "verdicts", "shown_often"}
    assert {name: value for name, value in readable.items() if name not in columns} == {
        name: value for name, value in document.items() if name not in columns
    }
    assert readable_profile({"opinions": [{"track_id": "a"}]}) == {"opinions": [{"track_id": "a"}]}, "version 1"


class OneListener:
    """The part of a collection that creates and changes playlists."""

    def __init__(self, playlists: int) -> None:
        self.playlists = self
        self.count = playlists
        self.updates: list[dict[str, Any]] = []

    def create_index(self, _: str, **options: Any) -> None: ...

    def count_documents(self, _: dict[str, Any], limit: int) -> int:
        return min(self.count, limit)

    def insert_one(self, document: dict[str, Any]) -> None:
        self.updates.append(document)

    def update_one(self, _: dict[str, Any], update: dict[str, Any]) -> Any:
        self.updates.append(update)
        return type("Result", (), {"matched_count": 1})


def test_playlists_have_limits() -> None:
    database = OneListener(199)
    playlists = Playlists(database)  # type: ignore[arg-type]
    playlist = playlists.create("ana", "x" * 200, ["a"] * 12_000)
    assert (len(playlist.name), len(playlist.tracks)) == (MAX_PLAYLIST_NAME_LENGTH, MAX_PLAYLIST_TRACKS)
    assert read_playlist(database.updates[0]) == playlist
    with pytest.raises(LimitExceeded, match="at most 10,000 tracks, not 10,001"):
        playlists.update("ana", "p", None, ["a"] * 10_001)
    assert playlists.update("ana", "p", None, None) and len(database.updates) == 1, "nothing to change"
    assert playlists.update("ana", "p", "New", None)
    assert database.updates[1] == {"$set": {"name": "New", "version": 1}, "$inc": {"revision": 1}}
    database.count = 200
    with pytest.raises(LimitExceeded, match="at most 200 playlists"):
        playlists.create("ana", "one too many")
