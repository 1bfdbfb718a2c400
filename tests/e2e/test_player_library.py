"""The library's queries on a real MongoDB."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.cursor import Cursor
from pymongo.database import Database

from batch.discography import collections
from conf.settings import Mongo, Settings
from local.processes import free_port
from ui.data.library import Library
from ui.data.mongo import LibraryUnavailable, LibraryUnusable, database
from ui.library.track_table import SORTS, TrackTable, table_query
from ui.playlists.store import SUMMARY_TRACKS, Playlists, PlaylistSummary


@pytest.fixture
def db(settings: Settings) -> Iterator[Database[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](settings.mongo.uri.get_secret_value()) as client:
        yield client[settings.mongo.database]
        client.drop_database(settings.mongo.database)


@pytest.fixture
def library(db: Database[dict[str, Any]], settings: Settings) -> Library:
    db.tracks.insert_many(
        [
            {"_id": "1", "title": "Food", "artist": "AWOL", "album": "A Way Of Life", "genre": "Hip-Hop"},
            {"_id": "2", "title": "This World", "artist": "AWOL", "genre": "Hip-Hop", "year": 2009},
            {"_id": "3", "title": "Seafood (live)", "artist": "Björk", "genre": "Pop"},
            {"_id": "4", "title": "$where: 1", "artist": "AC/DC", "composer": "Bach", "duration_s": 12.5},
            {"_id": "5"},
        ]
    )
    return Library(database(settings.mongo))


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("food", ["1"]),  # not the one of Seafood: words are met at their beginning
        ("awol", ["1", "2"]),
        ("world aw", ["2"]),
        ("HIP-h", ["1", "2"]),
        ("hop", ["1", "2"]),
        ("BJÖ", ["3"]),
        ("(live)", ["3"]),
        ("live seafood", ["3"]),
        ("ac/dc", ["4"]),
        ("bach", ["4"]),
        ("$where", ["4"]),
        (".*", []),
        ("[", []),
        ("f|w", ["1"]),  # two words, as if parted by a blank
        ("bjo", ["3"]),  # without its accents
        ("bjö", ["3"]),
        ("fö", ["1"]),  # nothing has the accent: it is forgiven
        ('{"$gt": ""}', []),
        ("\x00", []),
        ("   ", []),
        ("food nothing", []),
        ("x" * 5000, []),
    ],
)
def test_search_meets_every_word_at_its_beginning_and_nothing_is_a_pattern(
    library: Library, typed: str, found: list[str]
) -> None:
    assert [track.track_id for track in library.search(typed)] == found


def test_a_document_without_fields_is_a_track_without_words(library: Library) -> None:
    track = library.track("5")
    assert track is not None and (track.title, track.duration_s, track.year) == ("", None, None)


@pytest.mark.parametrize("track_id", ["nobody", "", "\ud800", "a\x00b", "x" * 500])
def test_an_id_that_no_track_has_finds_nothing(library: Library, track_id: str) -> None:
    assert library.track(track_id) is None
    assert library.audio(track_id) is None
    assert library.similar(track_id) == []


def test_pages_follow_each_other(library: Library) -> None:
    first = library.page(limit=3)
    assert [track.track_id for track in first + library.page(first[-1].track_id, limit=3)] == ["1", "2", "3", "4", "5"]


def test_a_listener_without_a_list_gets_everyones(library: Library, db: Database[dict[str, Any]]) -> None:
    assert library.recommendations("ana") is None
    db.recommendations.insert_one({"_id": "*", "items": [{"track_id": "1", "rank": 1}], "generation": 1})
    everyones = library.recommendations("ana")
    assert everyones is not None and not everyones.is_personal
    db.recommendations.insert_one({"_id": "ana", "items": [{"track_id": "2", "rank": 2}, {"track_id": "3", "rank": 1}]})
    own = library.recommendations("ana")
    assert own is not None and own.is_personal and own.change_token != everyones.change_token
    assert [item.track_id for item in own.items] == ["3", "2"]
    again = library.recommendations("ana")
    assert again is not None and again.change_token == own.change_token


def test_only_the_chosen_library_is_offered(db: Database[dict[str, Any]], settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "a b.ogg"
    file.write_bytes(b"OggS")
    for track_id, root in (("here", str(tmp_path)), ("there", "/elsewhere")):
        similar = [{"track_id": "here", "score": 1.0}, {"track_id": "there", "score": 1.0}]
        db.tracks.insert_one(
            {"_id": track_id, "title": "A", "path": file.as_uri(), "library": root, "similar": similar}
        )
    library = Library(database(settings.mongo), f"{tmp_path}/")
    assert [track.track_id for track in library.search("a")] == ["here"]
    assert [track.track_id for track in library.similar("here")] == ["here"]
    assert library.audio("here") == str(file) and library.audio("there") is None


def test_where_a_sound_is_stays_known_while_mongodb_is_away(
    library: Library, db: Database[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, moved = tmp_path / "a.ogg", tmp_path / "b.ogg"
    first.write_bytes(b"OggS")
    db.tracks.update_one({"_id": "1"}, {"$set": {"path": str(first)}})
    assert library.audio("1") == str(first)

    def away(*_: Any) -> Any:
        raise LibraryUnavailable("nobody at home")

    with monkeypatch.context() as patch:
        patch.setattr(Library, "_document", away)
        assert library.audio("1") == str(first)
        patch.setattr("ui.data.locations.LOCATION_TTL_S", 0.0)
        assert library.audio("1") == str(first), "asked again, and not answered"
        with pytest.raises(LibraryUnavailable):
            library.audio("2")
    first.rename(moved)
    db.tracks.update_one({"_id": "1"}, {"$set": {"path": str(moved)}})
    assert library.audio("1") == str(moved), "a file that has moved is asked for again"


def test_a_server_that_is_away_is_said_within_seconds() -> None:
    library = Library(database(Mongo(uri=SecretStr(f"mongodb://ana:secret@127.0.0.1:{free_port()}"), database="x")))
    with pytest.raises(LibraryUnavailable, match="does not answer") as met:
        library.recommendations("ana")
    assert "secret" not in str(met.value)


def test_a_uri_that_names_no_server_is_refused_without_its_password() -> None:
    with pytest.raises(LibraryUnusable, match="OVERTONE_MONGO__URI") as met:
        database(Mongo(uri=SecretStr("mongodb://ana:se/cret@"), database="x"))
    assert "cret" not in str(met.value)


@pytest.mark.parametrize("sort", SORTS)
def test_a_page_of_tracks_is_read_from_an_index_alone(
    db: Database[dict[str, Any]], settings: Settings, sort: str
) -> None:
    collections.ensure_indexes(db)
    field = SORTS[sort][0][0]
    db.tracks.insert_many(
        {"_id": f"{number:02}", field: number // 2, "sort_title": f"{number % 2}", "library": "/music"}
        for number in range(20)
    )
    db.tracks.insert_many([{"_id": "bare", "library": "/music"}, {"_id": "elsewhere", "library": "/other"}])
    table = TrackTable(database(settings.mongo), "/music")
    ids = table.page(sort, False, 0, 100)
    assert len(ids) == 21 and "elsewhere" not in ids and ids == table.page(sort, True, 0, 100)[::-1]
    assert [*table.page(sort, False, 0, 8), *table.page(sort, False, 8, 100)] == ids
    assert len(TrackTable(database(settings.mongo)).page(sort, False, 0, 100)) == 22
    assert "FETCH" not in stages_of_plan(db, sort)


def test_the_tracks_of_an_artist_come_in_pages_however_many_there_are(
    db: Database[dict[str, Any]], settings: Settings
) -> None:
    """By album, disc and track; those without an album last."""
    collections.ensure_indexes(db)
    db.tracks.insert_many(
        {
            **{"_id": f"{number:05}", "artist_ids": ["other", "ana"], "library": "/music", "sort_title": str(number)},
            **({"sort_album": f"{number // 10:04}", "album_id": f"a{number // 10}"} if number < 1200 else {}),
            **{"disc_number": 1 + number % 10 // 5, "track_number": 1 + number % 5},
        }
        for number in range(1250)
    )
    db.tracks.insert_one({"_id": "elsewhere", "artist_ids": ["ana"], "library": "/other"})
    table = TrackTable(database(settings.mongo), "/music")
    ids = [track_id for offset in range(0, 1400, 100) for track_id in table.of_artist("ana", offset, 100)]
    assert len(ids) == table.count_of_artist("ana") == table.count() == 1250
    assert ids[:1200] == [f"{number:05}" for number in range(1200)] and set(ids[1200:]) == {
        f"{number:05}" for number in range(1200, 1250)
    }
    assert table.albums_of_artist("ana") == [f"a{number}" for number in range(120)]
    assert table.of_artist("nobody", 0, 100) == []


def test_an_album_of_thousands_of_tracks_has_all_of_them_in_order(
    db: Database[dict[str, Any]], settings: Settings
) -> None:
    """By disc, number and title; what has no number comes last on its disc."""
    documents: list[dict[str, Any]] = [
        {
            **{"_id": f"{number:05}", "album_id": "various", "library": "/music", "artist": f"Artist {number}"},
            **{"disc_number": 2 if number >= 6000 else None, "track_number": number + 1, "sort_title": str(-number)},
        }
        for number in range(7000)
    ]
    documents += [
        {"_id": name, "album_id": "various", "library": "/music", "sort_title": name} for name in ("b bare", "a bare")
    ]
    random.Random(7).shuffle(documents)
    db.tracks.insert_many(documents)
    db.tracks.insert_one({"_id": "elsewhere", "album_id": "various", "library": "/other"})
    entries = TrackTable(database(settings.mongo), "/music").of_album("various")
    first_disc = [f"{number:05}" for number in range(6000)] + ["a bare", "b bare"]
    assert [entry.track_id for entry in entries] == first_disc + [f"{number:05}" for number in range(6000, 7000)]
    assert [entry.disc for entry in entries] == [1] * 6002 + [2] * 1000
    assert (entries[0].artist, entries[6000].artist) == ("Artist 0", "")


def test_all_paths_are_read_from_an_index_and_with_them_those_of_older_documents(
    db: Database[dict[str, Any]], settings: Settings
) -> None:
    collections.ensure_indexes(db)
    db.tracks.insert_many({"_id": f"{n}", "path": f"/music/{n}.ogg", "library": "/music"} for n in range(9))
    db.tracks.insert_many([{"_id": "old", "path": "/x.ogg"}, {"_id": "far", "path": "/y", "library": "/other"}])
    paths = dict(Library(database(settings.mongo), "/music").all_paths())
    assert paths == {f"{n}": f"/music/{n}.ogg" for n in range(9)} | {"old": "/x.ogg"}
    assert set(dict(Library(database(settings.mongo)).all_paths())) == {*paths, "far"}
    assert "FETCH" not in stages_of(db.tracks.find({"library": "/music"}, {"path": 1}))


def test_what_was_added_lately_is_new_unless_that_is_most_of_the_library(
    db: Database[dict[str, Any]], settings: Settings
) -> None:
    now = datetime.now(UTC)
    db.tracks.insert_many({"_id": f"{n}", "added_at": now - timedelta(days=90 - n / 10)} for n in range(8))
    db.tracks.insert_many([{"_id": "lately", "added_at": now - timedelta(days=2)}, {"_id": "undated"}])
    ids = [*map(str, range(8)), "lately", "undated"]
    assert Library(database(settings.mongo)).new_among(ids) == {"lately"}
    assert Library(database(settings.mongo)).new_among(["0", "nobody"]) == set()
    db.tracks.insert_many({"_id": f"more {n}", "added_at": now} for n in range(3))
    assert Library(database(settings.mongo)).new_among(["lately", "more 1"]) == set()
    db.tracks.delete_many({"_id": {"$ne": "lately"}})
    assert Library(database(settings.mongo)).new_among(["lately"]) == set(), "the first reading of a library"


def test_a_list_of_playlists_reads_few_of_their_tracks(db: Database[dict[str, Any]], settings: Settings) -> None:
    playlists = Playlists(database(settings.mongo))
    long = playlists.create("ana", "Long", [f"t{number}" for number in range(500)])
    short = playlists.create("ana", "a short one", ["t1"])
    playlists.create("bob", "Another's", [])
    gone = playlists.create("ana", "Gone", [])
    playlists.delete("ana", gone.playlist_id)
    playlists.add_track("ana", short.playlist_id, "t2")
    db.playlists.insert_one({"_id": "odd", "user_id": "ana", "tracks": "none"})
    assert playlists.summaries("ana") == [
        PlaylistSummary("odd", "", 0),
        PlaylistSummary(short.playlist_id, "a short one", 2, ("t1", "t2"), 1),
        PlaylistSummary(long.playlist_id, "Long", 500, tuple(f"t{number}" for number in range(SUMMARY_TRACKS))),
    ]


def stages_of_plan(db: Database[dict[str, Any]], sort: str) -> list[str]:
    """The stages by which MongoDB reads a page, from the last one to the index."""
    return stages_of(table_query(db.tracks, {"library": "/music"}, sort, False))


def stages_of(query: Cursor[dict[str, Any]]) -> list[str]:
    plan = query.explain()["queryPlanner"]["winningPlan"]
    stage, stages = plan.get("queryPlan", plan), []
    while stage:
        stages.append(str(stage["stage"]))
        stage = stage.get("inputStage")
    return stages
