"""The dictionary of words in memory."""

from __future__ import annotations

import time
from collections.abc import Hashable

import pytest

from ui.data.search import Shelf, LiveSearchIndex, shelf

TRACKS = [
    {"_id": "1", "title": "Food", "artist": "AWOL", "album": "A Way Of Life", "genre": "Hip-Hop"},
    {"_id": "2", "title": "Fool's Gold", "artist": "Foo", "genre": "Rock"},
    {"_id": "3", "title": "Seafood", "artist": "Foodies", "genre": "rock", "map": [0.5, -0.5]},
    {"_id": "4", "title": "Élan vital", "artist": "Björk", "map": ["x", 1]},
    {"_id": "5"},
]


@pytest.fixture(scope="module")
def words() -> Shelf:
    return shelf(TRACKS)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("foo", ["1", "2", "3"]),  # titles that begin so, by title; then artists that do
        ("food", ["1", "3"]),
        ("fool gold", ["2"]),
        ("gold foo", ["2"]),
        ("hip-hop", ["1"]),
        ("ROCK", ["2", "3"]),
        ("elan", ["4"]),
        ("Élan", ["4"]),
        ("bjork", ["4"]),
        ("foò", []),
        ("", []),
        ("$ne", []),
    ],
)
def test_words_are_found_by_their_beginnings_best_first(words: Shelf, typed: str, found: list[str]) -> None:
    assert words.found(typed, 10) == found


def test_the_best_come_first_when_there_are_more_than_asked_for() -> None:
    many = shelf({"_id": f"{n:04}", "title": f"Song {n:04}", "album": "Rain"} for n in range(500))
    rain = shelf(
        [*({"_id": f"{n}", "title": f"Song {n}", "album": "Rain"} for n in range(50)), {"_id": "x", "title": "Rain"}]
    )
    assert many.found("song", 3) == ["0000", "0001", "0002"]
    assert rain.found("rai", 1) == ["x"]


def test_artists_genres_and_places_are_by_name(words: Shelf) -> None:
    assert words.by_artist("björk") == ["4"] and words.by_artist("nobody") == []
    assert words.of_genre("Rock") == ["2", "3"]
    assert words.genre_sizes() == [("Hip-Hop", 1), ("Rock", 1), ("rock", 1)]
    assert words.places_on_map[words.row_of["3"]].tolist() == [0.5, -0.5]
    assert words.places_on_map[words.row_of["4"]].tolist() != words.places_on_map[words.row_of["4"]].tolist(), (
        "no number"
    )


def test_an_empty_library_has_no_words() -> None:
    assert shelf([]).found("a", 5) == [] and len(shelf([])) == 0


def test_a_changed_library_is_read_again_and_an_unchanged_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.data.search.CHECK_S", 0.0)
    tracks, reads, mark = [{"_id": "1", "title": "Old"}], [], ["a"]

    def read() -> Shelf:
        reads.append(1)
        return shelf(tracks)

    def marked() -> Hashable:
        return mark[0]

    shelves = LiveSearchIndex(read, marked)
    assert shelves.now().found("old", 1) == ["1"]
    tracks[0] = {"_id": "2", "title": "New"}
    for _ in range(5):
        shelves.now()
        time.sleep(0.01)
    assert len(reads) == 1
    mark[0] = "b"
    deadline = time.monotonic() + 5
    while shelves.now().found("new", 1) != ["2"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(reads) == 2


def test_the_first_reading_says_that_the_library_is_away() -> None:
    def away() -> Shelf:
        raise ConnectionError("nobody at home")

    with pytest.raises(ConnectionError):
        LiveSearchIndex(away, lambda: 1).now()
