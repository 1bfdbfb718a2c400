"""A muted artist or genre hides its tracks, however its name is spelled."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from batch.growth import append
from batch.index.building import build_index, with_local_scales
from batch.index.lsh import Index
from batch.index.tuning import HashParameters, random_projection
from batch.library.labels import joined_artists, spelling_key
from conf.settings import settings
from streaming.events import Event
from streaming.profile.profile import Profile
from streaming.ranking.neighbour_cache import CachedIndex
from streaming.serving import mutings
from streaming.serving.mutings import MutedTracks

D = 4
NAMES = Path(__file__).parents[1] / "data" / "names.json"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ARTISTS = ["The Beatles", "The  BEATLES", "Beyoncé", "Sigur Rós", None, "Various Artists", "Ólafur", "кино"]
GENRES = ["Hip-Hop", "hip-hop", "Pop", "POP ", "Électronique", None, "Rock", "rock"]


class Tracks:
    """The collection `tracks`, as far as it is asked."""

    def __init__(self) -> None:
        self.documents: list[dict[str, Any]] = [
            {"_id": f"t{number}", "artist": artist, "genre": genre}
            for number, (artist, genre) in enumerate(zip(ARTISTS, GENRES, strict=True))
        ]
        self.queries: list[str] = []

    def find(self, query: dict[str, Any], projection: dict[str, int]) -> list[dict[str, Any]]:
        (field, condition), _ = *query.items(), projection
        self.queries.append(field)
        wanted = set(condition["$in"])
        return [document for document in self.documents if wanted & set(self.values(document, field))]

    @staticmethod
    def values(document: dict[str, Any], field: str) -> list[Any]:
        """As MongoDB looks at a field: a value, or each of an array."""
        value = document.get(field)
        return [each for each in (value if isinstance(value, list) else [value]) if not isinstance(each, dict)]

    def distinct(self, kind: str) -> list[Any]:
        self.queries.append(f"all of {kind}")
        return list({value for document in self.documents for value in self.values(document, kind)})


@pytest.fixture
def tracks(monkeypatch: pytest.MonkeyPatch) -> Tracks:
    collection = Tracks()
    database = type("Database", (), {"tracks": collection})
    monkeypatch.setattr(mutings, "database_of", lambda _: database)
    return collection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return saved(tmp_path, ARTISTS)


def saved(tmp_path: Path, artists: Sequence[str | None]) -> Path:
    """An index of one track of each artist."""
    rng = np.random.default_rng(3)
    projection = random_projection(HashParameters(2, 4), np.eye(D, dtype=np.float32), 3.0, seed=3)
    ids = [f"t{number}" for number in range(len(artists))]
    with_local_scales(build_index(ids, rng.normal(0, 1, (len(ids), D)), artists, projection)).save(tmp_path / "index")
    return tmp_path / "index"


def muted(folder: Path) -> MutedTracks:
    return MutedTracks(CachedIndex(Index.open(folder)), settings().mongo)


def all_rows(muted_tracks: MutedTracks, targets: Sequence[str]) -> NDArray[np.int32]:
    """The rows of all targets, sorted, each once."""
    return np.unique(np.concatenate([*muted_tracks.rows_by_target(targets).values(), np.empty(0, np.int32)]))


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("the BEATLES", "The  Beatles "), ("beyonce", "Beyoncé"), ("Beyonce\u0301", "Beyoncé"), ("SIGUR ROS", "Sigur Rós"),
        ("Straße", "STRASSE"), ("Mø", "mo"), ("Łona", "lona"), ("ÆTHER", "aether"), ("КИНО", "кино"), ("İstanbul", "istanbul"),
    ],
)  # fmt: skip
def test_names_are_spelled_alike(name: str, same: str) -> None:
    assert spelling_key(name) == spelling_key(same)


def test_the_page_compares_names_by_the_same_rule() -> None:
    """tests/js/names.test.js reads the same pairs."""
    pairs = json.loads(NAMES.read_text())
    assert [spelling_key(name) == spelling_key(other) for name, other in pairs["same"]] == [True] * 12
    assert [spelling_key(name) == spelling_key(other) for name, other in pairs["different"]] == [False] * 5


@pytest.mark.parametrize(("name", "other"), [("カ", "ガ"), ("the beatles", "beatles"), ("\u0301", "a"), (" ", "  a")])
def test_names_that_are_other_names(name: str, other: str) -> None:
    assert spelling_key(name) != spelling_key(other) and spelling_key(name)


@pytest.mark.parametrize(
    ("target", "rows"),
    [
        ("artist:the BEATLES", [0, 1]),
        ("artist:BEYONCE", [2]),
        ("artist:sigur rós", [3]),
        ("artist:various artists", [5]),
        ("artist:Nobody", []),
        ("genre:HIP-HOP", [0, 1]),
        ("genre:pop", [2, 3]),
        ("genre:electronique", [4]),
        ("genre:Polka", []),
    ],
)
def test_spelling_does_not_matter(folder: Path, tracks: Tracks, target: str, rows: list[int]) -> None:
    assert all_rows(muted(folder), [target]).tolist() == rows


def test_several_are_muted_at_once_and_looked_up_once(folder: Path, tracks: Tracks) -> None:
    muted_tracks = muted(folder)
    for _ in range(3):
        assert all_rows(muted_tracks, ["artist:the beatles", "genre:ROCK", "genre:hip-hop"]).tolist() == [0, 1, 6, 7]
    assert sorted(tracks.queries) == [
        *("all of genre", "all of genre_tags", "artist", "artists", "genre", "genre_tags"),
    ]


def test_mutings_of_many_listeners_are_looked_up_together(folder: Path, tracks: Tracks) -> None:
    index = CachedIndex(Index.open(folder))
    listeners = [[f"artist:{name}"] for name in ("The Beatles", "Beyoncé", "Sigur Rós")] + [["genre:rock"], []]
    rows = mutings.muted_rows_by_targets(listeners * 2, settings().mongo, index)
    assert [rows[tuple(each)].tolist() for each in listeners] == [[0, 1], [2], [3], [6, 7], []]
    assert sorted(tracks.queries) == ["all of genre", "all of genre_tags", "artist", "artists", "genre", "genre_tags"]


def test_an_artist_who_was_renamed_since_the_training_is_muted_by_the_new_name(folder: Path, tracks: Tracks) -> None:
    tracks.documents[3]["artist"] = "Jónsi"
    assert all_rows(muted(folder), ["artist:Jónsi"]).tolist() == [3]


def test_added_tracks_are_muted_and_removed_ones_are_no_rows(folder: Path, tracks: Tracks) -> None:
    append(folder, ["t8"], np.ones((1, D)), ["THE BEATLES"])
    assert all_rows(muted(folder), ["artist:The Beatles"]).tolist() == [0, 1, 8]
    append(folder, ["t0"], np.ones((1, D)), ["Somebody else"])
    assert all_rows(muted(folder), ["artist:The Beatles"])[0] == 1


def test_names_are_looked_up_again_after_a_while_and_the_cache_does_not_grow(
    folder: Path, tracks: Tracks, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(mutings.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(mutings, "CACHED_TARGETS", 3)
    muted_tracks = muted(folder)
    assert all_rows(muted_tracks, ["genre:rock"]).tolist() == [6, 7]
    tracks.documents[5]["genre"] = "ROCK"
    assert all_rows(muted_tracks, ["genre:rock"]).tolist() == [6, 7]
    for minute in range(1, 5):
        now[0] += 61
        assert all_rows(muted_tracks, ["genre:rock"]).tolist() == [5, 6, 7]
        assert all_rows(muted_tracks, [f"artist:{minute}", "artist:Beyoncé"]).tolist() == [2]
        assert list(muted_tracks._rows_by_target) == ["genre:rock", f"artist:{minute}", "artist:Beyoncé"]
    assert all_rows(muted_tracks, [f"genre:{name}" for name in ("rock", "pop", "hip-hop", "polka")]).tolist() == [
        0, 1, 2, 3, 5, 6, 7,
    ]  # fmt: skip


def test_an_artist_among_several_of_the_training_is_muted_however_spelled(tmp_path: Path, tracks: Tracks) -> None:
    folder = saved(tmp_path, ["Ada", joined_artists("Ada/Bö", ["Ada", "Bö"]), "AC/DC"])
    tracks.documents = []
    assert all_rows(muted(folder), ["artist:ada"]).tolist() == [0, 1]
    assert all_rows(muted(folder), ["artist:BO"]).tolist() == [1]
    assert all_rows(muted(folder), ["artist:ada/bö"]).tolist() == [1]
    assert all_rows(muted(folder), ["artist:dc"]).tolist() == []


def test_several_artists_and_genres_of_a_track_are_known_each(folder: Path, tracks: Tracks) -> None:
    tracks.documents[5] |= {"artist": "Ana; Bo", "artists": ["Ana", "Bo"], "genre_tags": ["Folk", "Metal"]}
    tracks.documents[6] |= {"genre": ["Drone", 7, {"name": "Noise"}], "artist": 3, "artists": "Bo"}
    muted_tracks = muted(folder)
    assert all_rows(muted_tracks, ["artist:Bo"]).tolist() == [5, 6]
    assert all_rows(muted_tracks, ["artist:Ana; Bo"]).tolist() == [5]
    assert all_rows(muted_tracks, ["genre:METAL"]).tolist() == [5]
    assert all_rows(muted_tracks, ["genre:drone"]).tolist() == [6]
    assert all_rows(muted_tracks, ["genre:noise", "genre:7", "artist:3"]).tolist() == []


def test_spellings_share_what_is_cached_and_all_of_it_is_bounded(
    folder: Path, tracks: Tracks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutings, "MOST_CACHED_ROWS", 5)
    muted_tracks = muted(folder)
    for number in range(300):
        assert all_rows(muted_tracks, [f"genre:{' ' * number}Hip-HOP"]).tolist() == [0, 1]
    assert list(muted_tracks._rows_by_target) == ["genre:hip-hop"]
    for target, rows in (("genre:rock", [6, 7]), ("artist:the beatles", [0, 1]), ("artist:THE beatles", [0, 1])):
        assert all_rows(muted_tracks, [target]).tolist() == rows
    assert list(muted_tracks._rows_by_target) == ["artist:the beatles", "artist:THE beatles"], "the latest of 5 rows"


def test_a_name_longer_than_any_target_is_passed_over(folder: Path, tracks: Tracks) -> None:
    tracks.documents[5]["genre"] = "x" * 20_000
    assert all_rows(muted(folder), ["genre:rock"]).tolist() == [6, 7]


def test_a_muted_word_hides_the_tracks_of_which_it_is_said_and_asks_mongodb_nothing(
    folder: Path, tracks: Tracks
) -> None:
    np.save(folder / "tags.npy", np.array([[90, 0], [84, 0], [85, 99], *[[0, 0]] * 5], dtype=np.uint8))
    np.save(folder / "tag_names.npy", np.array(["sad", "female vocalists"]))
    append(folder, ["t8"], np.ones((1, D)), [None], words=[{"sad": 91}])
    index = CachedIndex(Index.open(folder))

    def rows(*targets: str) -> list[int]:
        return list(mutings.muted_rows(targets, settings().mongo, index))

    assert rows("tag:Melancholic") == rows("tag:sad") == [0, 2, 8]
    assert rows("tag:female vocalist") == [2] and rows("tag:polka") == rows("tag:mellow") == []
    assert tracks.queries == []
    assert rows("tag:sad", "artist:Beyoncé", "genre:rock") == [0, 2, 6, 7, 8]


def test_a_muted_word_hides_nothing_where_the_model_has_no_words(folder: Path, tracks: Tracks) -> None:
    assert list(mutings.muted_rows(["tag:sad"], settings().mongo, CachedIndex(Index.open(folder)))) == []


def test_nothing_muted_is_no_question(folder: Path, tracks: Tracks) -> None:
    assert mutings.muted_rows([], settings().mongo, CachedIndex(Index.open(folder))).tolist() == []
    assert tracks.queries == []


def test_a_name_is_unmuted_by_another_spelling_of_it() -> None:
    profile = Profile("ana")
    for offset, (action, target) in enumerate(
        [("mute", "artist:the BEATLES"), ("mute", "artist:The Beatles"), ("mute", "genre:Pop"), ("unmute", "genre:POP")]
    ):
        event = Event("ana", None, action, NOON + timedelta(minutes=offset), target=target)
        profile = profile.after(event, "", "source/0", offset, settings().taste)
    assert profile.muted == ["artist:The Beatles"]
    late = Event("ana", None, "unmute", NOON, target="artist:THE BEATLES")
    assert profile.after(late, "", "source/0", 9, settings().taste).muted == ["artist:The Beatles"], "muted after it"
