"""The search index in memory."""

from __future__ import annotations

import time
from collections.abc import Hashable

import pytest

from ui.search.index import SearchIndex, build_index
from ui.search.live_index import LiveSearchIndex

TRACKS = [
    {"_id": "1", "title": "Food", "artist": "AWOL", "album": "A Way Of Life", "genre": "Hip-Hop"},
    {"_id": "2", "title": "Fool's Gold", "artist": "Foo", "genre": "Rock"},
    {"_id": "3", "title": "Seafood", "artist": "Foodies", "genre": "rock", "map": [0.5, -0.5]},
    {"_id": "4", "title": "Élan vital", "artist": "Björk", "map": ["x", 1]},
    {"_id": "5"},
]


@pytest.fixture(scope="module")
def index() -> SearchIndex:
    return build_index(TRACKS)


@pytest.mark.parametrize(
    ("typed", "ids"),
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
def test_words_are_found_by_their_beginnings_best_first(index: SearchIndex, typed: str, ids: list[str]) -> None:
    assert index.search(typed, 10) == ids


def test_the_best_come_first_when_there_are_more_than_asked_for() -> None:
    many = build_index({"_id": f"{n:04}", "title": f"Song {n:04}", "album": "Rain"} for n in range(500))
    rain = build_index(
        [*({"_id": f"{n}", "title": f"Song {n}", "album": "Rain"} for n in range(50)), {"_id": "x", "title": "Rain"}]
    )
    assert many.search("song", 3) == ["0000", "0001", "0002"]
    assert rain.search("rai", 1) == ["x"]


def test_artists_genres_and_places_are_by_name(index: SearchIndex) -> None:
    assert index.by_artist("björk") == ["4"] and index.by_artist("nobody") == []
    assert index.by_genre("Rock") == ["2", "3"]
    assert index.genre_sizes() == [("Rock", 2), ("Hip-Hop", 1)]
    assert index.map_positions[index.row_by_id["3"]].tolist() == [0.5, -0.5]
    assert index.map_positions[index.row_by_id["4"]].tolist() != index.map_positions[index.row_by_id["4"]].tolist(), (
        "no number"
    )


def test_each_of_several_artists_and_genres_leads_to_a_track() -> None:
    index = build_index(
        [
            {
                "_id": "1",
                "title": "Pair",
                "artist": "Ada/Bo",
                "artists": ["Ada", "Bo"],
                "genre": "Jazz",
                "genre_tags": ["Jazz", "Blues"],
            },
            {"_id": "2", "title": "Alone", "artist": "bo", "artists": ["bo"], "genre": "jazz", "genre_tags": ["jazz"]},
            {"_id": "3", "title": "Third", "artist": "Bo", "album_artist": "Various Artists", "genre": None},
        ]
    )
    assert index.by_artist("BO") == ["2", "1", "3"] and index.artist_name("BO") == "Bo"
    assert index.by_artist("Ada/Bo") == ["1"] == index.by_artist("ada")
    assert index.by_genre("blues") == ["1"] and index.genre_name("BLUES") == "Blues"
    assert index.genre_sizes() == [("Jazz", 2), ("Blues", 1)]
    assert index.search("blu", 5) == ["1"] and index.search("vari", 5) == ["3"]
    assert [index.genre_names[code] for code in index.genre_codes if code >= 0] == ["Jazz", "Jazz"]


def test_what_is_no_text_is_no_name() -> None:
    odd = {"_id": "odd", "title": ["Rain"], "artist": 7, "genre": ["Rock", "Jazz"], "genre_tags": [["Folk"], "Blues"]}
    index = build_index([{"_id": "1", "title": "Rain", "genre": "Rock"}, odd])
    assert (index.search("rain", 3), index.search("7", 3)) == (["1"], [])
    assert sorted(index.genre_sizes()) == [("Blues", 1), ("Rock", 1)]


def test_an_empty_library_has_no_words() -> None:
    assert build_index([]).search("a", 5) == [] and len(build_index([])) == 0


def test_a_changed_library_is_read_again_and_an_unchanged_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.search.live_index.LIBRARY_CHECK_INTERVAL_S", 0.0)
    tracks, reads, tokens = [{"_id": "1", "title": "Old"}], [], ["a"]

    def read() -> SearchIndex:
        reads.append(1)
        return build_index(tracks)

    def change_token() -> Hashable:
        return tokens[0]

    live = LiveSearchIndex(read, change_token)
    assert live.current().search("old", 1) == ["1"]
    tracks[0] = {"_id": "2", "title": "New"}
    for _ in range(5):
        live.current()
        time.sleep(0.01)
    assert len(reads) == 1
    tokens[0] = "b"
    deadline = time.monotonic() + 5
    while live.current().search("new", 1) != ["2"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(reads) == 2


def test_the_first_reading_raises_where_the_library_is_unavailable() -> None:
    def unavailable() -> SearchIndex:
        raise ConnectionError("no server")

    with pytest.raises(ConnectionError):
        LiveSearchIndex(unavailable, lambda: 1).current()


def test_a_genre_is_one_shelf_in_its_commonest_spelling() -> None:
    genres = ["rock", "Rock", "ROCK", "rock ", "Rock", "Rock", "Música", "musica", "Música"]
    index = build_index(
        {"_id": str(number), "title": str(number), "genre": genre} for number, genre in enumerate(genres)
    )
    assert index.genre_sizes() == [("Rock", 6), ("Música", 3)]
    assert index.by_genre("rOcK") == ["0", "1", "2", "3", "4", "5"] and index.by_genre("musica") == ["6", "7", "8"]
    assert (index.genre_name("ROCK"), index.genre_name("musica"), index.genre_name("Jazz")) == (
        "Rock",
        "Música",
        "Jazz",
    )
