"""The search index in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable

import pytest

from ui.search import live_index
from ui.search.building import build_index
from ui.search.entries import Entry
from ui.search.grouped import search
from ui.search.index import SearchIndex
from ui.search.live_index import LibraryBeingRead, LiveSearchIndex

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
        ("foò", ["1", "2", "3"]),  # as it may be typed
        ("xyzzy", []),
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
    deadline = time.monotonic() + 60
    while live.current().search("new", 1) != ["2"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(reads) == 2


def test_the_first_reading_raises_where_the_library_is_unavailable() -> None:
    def unavailable() -> SearchIndex:
        raise ConnectionError("no server")

    with pytest.raises(ConnectionError):
        LiveSearchIndex(unavailable, lambda: 1).current()


def test_nobody_waits_long_for_the_first_reading_and_it_is_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_index, "FIRST_READING_WAIT_S", 0.01)
    read, reads = threading.Event(), []

    def slow() -> SearchIndex:
        reads.append(1)
        assert read.wait(20)
        return build_index(TRACKS)

    index = LiveSearchIndex(slow, lambda: 1)
    assert not index.is_ready(0)
    for _ in range(3):
        with pytest.raises(LibraryBeingRead, match="still being read"):
            index.current()
    read.set()
    assert index.is_ready(20)
    assert index.current().search("food", 10) == ["1", "3"] and reads == [1]


def test_a_first_reading_that_failed_is_tried_again() -> None:
    answers = iter([ConnectionError("no server"), build_index(TRACKS)])

    def read() -> SearchIndex:
        answer = next(answers)
        if isinstance(answer, ConnectionError):
            raise answer
        return answer

    index = LiveSearchIndex(read, lambda: 1)
    with pytest.raises(ConnectionError, match="no server"):
        index.current()
    assert len(index.current()) == len(TRACKS)


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


LIBRARY = [
    {"_id": "1", "title": "Intermezzo in A", "artist": "Brahms", "album": "Piano Pieces", "album_id": "a1"},
    {"_id": "2", "title": "Brahms Was Here", "artist": "The Tall Ships", "album": "Harbour"},
    {"_id": "3", "title": "Symphony No. 9", "artist": "Ludwig van Beethoven", "album": "Beethoven: Symphonies"},
    {"_id": "4", "title": "Hyperballad", "artist": "Björk", "album": "Post"},
    {"_id": "5", "title": "Røyksopp Forever", "artist": "Røyksopp", "album": "Junior"},
]
ALBUMS = [
    {"_id": "a1", "title": "Piano Pieces", "artist": "Brahms", "tracks": 1, "year": 1998},
    {"_id": "a3", "title": "Beethoven: Symphonies", "artist": "Ludwig van Beethoven", "tracks": 9},
    {"_id": "odd", "title": None, "artist": 7, "tracks": "many", "year": "long ago"},
]
ARTISTS = [
    {"_id": "r1", "name": "Brahms", "tracks": 1},
    {"_id": "r2", "name": "Brahmsians of Hamburg", "tracks": 40},
    {"_id": "r3", "name": "Ludwig van Beethoven", "tracks": 9},
    {"_id": "r4", "name": "Björk", "tracks": 1},
]


@pytest.fixture(scope="module")
def library() -> SearchIndex:
    return build_index(LIBRARY, ALBUMS, ARTISTS)


@pytest.mark.parametrize(
    ("typed", "ids", "corrected"),
    [
        ("brahms", ["2", "1"], ""),
        ("bramhs", ["2", "1"], "brahms"),  # two swapped
        ("brahs", ["2", "1"], "brahms"),  # one missing
        ("brrahms", ["2", "1"], "brahms"),  # one too many
        ("prahms", ["2", "1"], "brahms"),  # one wrong, the first
        ("bramhs intermezo", ["1"], "brahms intermezzo"),
        ("INTERMEZZO brahms", ["1"], ""),
        ("betoven", [], ""),  # two errors in a short word
        ("beethofen simphony", ["3"], "beethoven symphony"),
        ("beetov", ["3"], "beethoven"),  # still being typed
        ("bjork", ["4"], ""),
        ("bjørk", ["4"], ""),
        ("royksopp", ["5"], ""),
        ("zzzzzz", [], ""),
        ("bx", [], ""),  # too short to be taken for another word
    ],
)
def test_one_typing_error_is_forgiven_where_nothing_else_is_found(
    library: SearchIndex, typed: str, ids: list[str], corrected: str
) -> None:
    results = search(library, typed)
    assert (results.track_ids("tracks", 0, 10), results.corrected) == (ids, corrected)
    assert library.search(typed, 10) == ids


def test_results_are_grouped_with_the_best_hit_first(library: SearchIndex) -> None:
    results = search(library, "brahms", [Entry("p1", "Evenings with Brahms", size=3), Entry("p2", "Rain")])
    assert [artist.entry_id for artist in results.entries("artists", 0, 5)] == ["r1", "r2"], "the equal name first"
    assert results.entries("albums", 0, 5) == [Entry("a1", "Piano Pieces", "Brahms", 1, 1998)], "found by its artist"
    assert [playlist.entry_id for playlist in results.entries("playlists", 0, 5)] == ["p1"]
    assert results.best_hit == ("artists", "r1")
    assert search(library, "piano").best_hit == ("albums", "a1")
    assert search(library, "hyper").best_hit == ("tracks", "4")
    assert search(library, "brahmsi").best_hit == ("artists", "r2")
    assert search(library, "nothing here").best_hit is None
    assert search(library, "evnening", [Entry("p1", "Evening")]).count("playlists") == 1, "forgiving there, too"


def test_all_results_come_in_pages() -> None:
    many = build_index({"_id": f"{n:04}", "title": f"Song {n:04}", "album": "Rain"} for n in range(250))
    results = search(many, "song")
    pages = [results.track_ids("tracks", offset, 100) for offset in (0, 100, 200, 300)]
    assert [len(page) for page in pages] == [100, 100, 50, 0] and results.count("tracks") == 250
    assert [track_id for page in pages for track_id in page] == [f"{n:04}" for n in range(250)]


@pytest.mark.parametrize(
    "odd", ["", "   ", "\x00", ".*", "[a-", "((((", "a" * 100_000, "😀", "\ud800", "%", "$where", "é" * 300, "-" * 500]
)
def test_an_odd_query_finds_something_or_nothing(library: SearchIndex, odd: str) -> None:
    results = search(library, odd, [Entry("p1", "Rain")])
    assert all(results.count(group) <= 5 for group in ("artists", "albums", "tracks", "playlists", "sound"))


def test_odd_documents_of_albums_are_found_by_what_they_have(library: SearchIndex) -> None:
    assert search(library, "untitled album").entries("albums", 0, 2) == [Entry("odd", "Untitled album")]
