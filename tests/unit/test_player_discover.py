"""What radio, song path and named lists leave out: tracks that the listener has disliked, muted or just heard."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast, get_args

import pytest

from ui.data.library import Details, Library, Track
from ui.data.listener_data import ListenerData, TasteSummary
from ui.data.recommendation_list import Item, Recommendations
from ui.dependencies import Services
from ui.home.shelves import named_lists
from ui.home.titles import titled
from ui.left_out import LeftOut, similar_tracks, tracks_left_out
from ui.page.rendering import render
from ui.routes import taste_map
from ui.routes.discover import _radio
from ui.routes.schemas import Source
from ui.search.building import build_index
from ui.search.index import SearchIndex

TRACKS = [
    # id, artist, genre, recording
    ("a0", "Ana", "Folk", "r0"),
    ("a1", "Ana", "Folk", "r1"),
    ("a2", "ANA ", "Folk", ""),
    ("b0", "Sigur Rós", "Post-Rock", ""),
    ("b1", "SIGUR  ROS", "Folk", ""),
    ("c0", "Cora", "Hip  Hop", ""),
    ("c1", "Cora", "hip hop", "r0"),
    ("d0", "Dora", "Polka", "r1"),
    ("d1", "Dora", "Polka", ""),
    ("e0", "Eve", "Jazz", "r2"),
    ("e1", "Eve", "Jazz", "r2"),
]
NOTHING = LeftOut(frozenset(), frozenset())


class Shelf(Library):
    """A library that is a dict, where all other tracks are similar to each."""

    def __init__(self) -> None:
        self.tracks = {
            track_id: Track(track_id, f"The {track_id}", artist, genre=genre, recording=recording)
            for track_id, artist, genre, recording in TRACKS
        }

    def tracks_of(self, track_ids: Iterable[str]) -> dict[str, Track]:
        return {track_id: self.tracks[track_id] for track_id in track_ids if track_id in self.tracks}

    def similar(self, track_id: str, limit: int = 24) -> list[Track]:
        return [track for track in self.tracks.values() if track.track_id != track_id][:limit]

    def details(self, track_id: str) -> Details:
        """Of two tracks of one artist the second has a lower place in the list than its score."""
        ids = [other for other in self.tracks if other != track_id]
        return Details(similar=tuple((other, 1 - place / 100) for place, other in enumerate(ids))[::-1])

    def search_index(self) -> SearchIndex:
        return build_index({"_id": track.track_id, **vars(track)} for track in self.tracks.values())


def services(
    opinions: dict[str, str], heard: tuple[str, ...] = (), taste: TasteSummary | None = None, hours_ago: float = 1.0
) -> Services:
    """The services of a listener.  hours_ago : when all of `heard` was heard"""

    class Past(ListenerData):
        def __init__(self) -> None:
            listened_at = datetime.now(UTC) - timedelta(hours=hours_ago)
            entries = [SimpleNamespace(track_id=track_id, listened_at=listened_at) for track_id in heard]
            self.history = cast(
                Any, SimpleNamespace(opinions=lambda _: opinions, entries=lambda _, limit: entries[:limit])
            )

        def taste(self, user_id: str) -> TasteSummary:
            return taste or TasteSummary()

    return cast(Services, SimpleNamespace(library=Shelf(), listener_data=Past()))


def left_out(**past: Any) -> str:
    return " ".join(sorted(tracks_left_out(services(**past), "ana").track_ids))


def radio(seeds: str, left_out: LeftOut = NOTHING) -> str:
    return " ".join(track.track_id for track in _radio(Shelf(), seeds.split(), left_out))


def test_disliked_and_just_heard_tracks_are_left_out() -> None:
    assert left_out(opinions={"a1": "dislike", "b0": "more like", "c0": "less dislike"}) == "a1 c0"
    assert left_out(opinions={}, heard=("d0", "d1")) == "d0 d1"
    assert left_out(opinions={"a1": "dislike"}, heard=("d0",), hours_ago=30) == "a1", "that was yesterday"
    assert left_out(opinions={}, heard=tuple(f"t{number}" for number in range(40))).count("t") == 30


@pytest.mark.parametrize(
    ("muted", "expected"),
    [
        (["artist:ana"], "a0 a1 a2"),
        (["artist: Sigur Ros"], "b0 b1"),
        (["genre:HIP HOP"], "c0 c1"),
        (["genre:Polka", "artist:Eve"], "d0 d1 e0 e1"),
        (["genre:Ana", "artist:Polka", "artist:", "nonsense"], ""),
    ],
)
def test_muted_names_are_left_out_in_every_spelling(muted: list[str], expected: str) -> None:
    assert left_out(opinions={}, taste=TasteSummary(muted=tuple(muted))) == expected


def test_similar_tracks_are_without_what_is_disliked_or_muted_and_with_what_was_heard() -> None:
    past = services({"a1": "dislike"}, ("c1", "e0"), TasteSummary(muted=("artist:sigur ros",)))
    similar = [track.track_id for track in similar_tracks(past, "ana", "a2")]
    assert similar == ["a0", "c0", "c1", "d1", "e0", "e1"], "d0 is a copy of the disliked one"
    assert [track.track_id for track in similar_tracks(past, "ana", "a2", most=2)] == ["a0", "c0"]
    assert len(similar_tracks(past, None, "a2")) == len(TRACKS) - 1


def test_nobody_leaves_anything_out() -> None:
    assert tracks_left_out(services({"a1": "dislike"}), None) == NOTHING


def test_a_radio_begins_with_what_was_asked_for_and_has_nothing_that_is_left_out() -> None:
    assert radio("d1") == "d1 a0 a1 a2 b0 b1 c0 e0", "one track of each recording"
    without = LeftOut(frozenset({"a0", "a1", "a2", "d1"}), frozenset())
    assert radio("d1", without) == "d1 b0 b1 c0 c1 d0 e0"
    assert radio("d1", LeftOut(without.track_ids, frozenset({"r0", "r1", "r2"}))) == "d1 b0 b1 c0"


def test_a_radio_of_an_artist_begins_with_a_track_that_is_not_left_out() -> None:
    assert radio("a0 a1", LeftOut(frozenset({"a0"}), frozenset())).startswith("a1")
    everything = LeftOut(frozenset(track_id for track_id, *_ in TRACKS), frozenset())
    assert radio("a0 a1", everything) == "a0"


def test_the_recordings_of_disliked_and_heard_tracks_are_known() -> None:
    past = services({"a0": "dislike"}, ("e1", "b0"), TasteSummary(muted=("genre:Polka",)))
    assert tracks_left_out(past, "ana").recordings == {"r0", "r2"}


class Named(Shelf):
    """A library with named lists of one listener."""

    def named_lists(self, user_id: str) -> tuple[Recommendations, ...]:
        lists = {"mix-2": "a0 b0 gone e1", "discover": "d0 d1", "rediscover": "c1"} if user_id == "ana" else {}
        return tuple(
            Recommendations(
                "ana",
                tuple(
                    Item(track_id, rank, 0.5, (), f"why <{track_id}>") for rank, track_id in enumerate(ids.split(), 1)
                ),
                generated_at=datetime.now(UTC) - timedelta(hours=2),
                model_version="m1",
                name=name,
                title=f"The “{name}”",
                reason=f"all of <{name}>",
            )
            for name, ids in lists.items()
        )


def test_named_lists_are_shown_without_what_was_disliked_muted_or_heard_since() -> None:
    past = services({"c0": "dislike"}, ("e0",), TasteSummary(muted=("artist:dora",)))
    past = cast(Services, SimpleNamespace(library=Named(), listener_data=past.listener_data))
    shelves = named_lists(past, "ana")
    assert [(named.name, [track.track_id for track in tracks]) for named, tracks in shelves] == [
        ("mix-2", ["a0", "b0"]),
        ("rediscover", ["c1"]),
    ], "e1 is the recording e0; of the artist Dora nothing is left"
    assert named_lists(past, "bo") == []
    before = services({}, ("a0", "c1", "e0"), hours_ago=3)
    before = cast(Services, SimpleNamespace(library=Named(), listener_data=before.listener_data))
    assert [[track.track_id for track in tracks] for _, tracks in named_lists(before, "ana")] == [
        ["a0", "b0", "e1"],
        ["d0", "d1"],
        ["c1"],
    ], "what was heard before they were made was known then"


def test_home_shows_named_lists_with_their_reasons() -> None:
    shelves = named_lists(
        cast(Services, SimpleNamespace(library=Named(), listener_data=services({}).listener_data)), "ana"
    )
    nothing: dict[str, Any] = {
        "position": None,
        "position_track": None,
        "recent": [],
        "recently_added": [],
        "moods": [],
        "genres": [],
        "marks": {"b0": "Played"},
        "track_count": 11,
        "albums": [],
    }
    html = render("home", named_lists=titled(shelves, {}), **nothing)
    heads = re.findall(r"<h2>(.*?)</h2><p>(.*?)</p>", html)
    titles = {"mix-2": "The “mix-2”", "discover": "Something different", "rediscover": "The “rediscover”"}
    assert heads == [(title, f"all of &lt;{name}&gt;") for name, title in titles.items()]
    sources = re.findall(r'data-source="(.*?)" data-model-version="m1"', html)
    assert sources == ["mix", "discover", "rediscover"] and set(sources) <= set(get_args(Source))
    assert set(re.findall(r'class="reason">(.*?)<', html)) == {""}, "the reason stands once, over the list"
    assert html.count('<span class="mark">Played</span>') == 1


def test_the_maps_data_are_json_where_tracks_have_genres() -> None:
    index = build_index({"_id": name, "genre": "Folk", "map": [x, 0.5]} for name, x in (("a", 0.0), ("b", 1.0)))
    scaled = taste_map._scaled(index.map_positions)
    assert scaled is not None
    answer = json.loads(json.dumps(taste_map._tracks(index, scaled)))
    assert (answer["tracks"], answer["x"], answer["genres"], answer["by_sound"]) == (
        ["a", "b"],
        [0, 1000],
        ["Folk"],
        False,
    )
