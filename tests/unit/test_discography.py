"""Which tracks are one album, and how albums and artists are listed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from batch.discography.albums import TrackEntry, album_documents, album_ids
from batch.discography.artists import artist_documents, artist_ids
from batch.discography.names import artist_id, index_letter, sort_key

ROOT = "/music"
RELEASE = "0b0f4d7c-3e4e-4b7e-8f0a-1a2b3c4d5e6f"


def entry(track_id: str, album: str | None, artist: str | None, folder: str = "a", **fields: Any) -> TrackEntry:
    path = f"{ROOT}/{folder}/{track_id}.mp3"
    return TrackEntry(track_id, f"Song {track_id}", artist, album=album, path=path, library=ROOT, **fields)


def groups(*tracks: TrackEntry) -> list[str]:
    """The ids of each album's tracks, as texts."""
    ids = album_ids(tracks)
    members: dict[str, list[str]] = {}
    for track_id, album in ids.items():
        members.setdefault(album, []).append(track_id)
    return sorted("".join(sorted(group)) for group in members.values())


def document(*tracks: TrackEntry) -> dict[str, Any]:
    (album,) = album_documents(tracks, album_ids(tracks))
    return album


@pytest.mark.parametrize(
    ("tracks", "expected"),
    [
        ([entry("1", "Blue", "Joni"), entry("2", "BLUE", "joni", "b")], ["12"]),  # one spelling, wherever it lies
        ([entry("1", "Blue", "Joni"), entry("2", "Blue", "Simply Red", "b")], ["1", "2"]),
        ([entry("1", None, "Joni"), entry("2", "Unknown album", "Joni")], []),
        ([entry("1", "Hits", "Ana"), entry("2", "Hits", "Bo")], ["12"]),  # various artists in one folder
        ([entry("1", "Hits", "Ana"), entry("2", "Hits", "Bo"), entry("3", "Hits", "Cy", "b"), entry("4", "Hits", "Di", "b")],
         ["12", "34"]),
        ([entry("1", "Hits", "Ana", "x/CD1"), entry("2", "Hits", "Bo", "x/CD2")], ["12"]),  # discs of one folder
        ([entry(str(n), "Duets", "Ana", artists=["Ana", f"Guest {n}"]) for n in (1, 2, 3)], ["123"]),
        ([entry("1", "Duets", "Ana"), entry("2", "Duets", "Ana"), entry("3", "Duets", "Bo")], ["123"]),
        ([entry("1", "Mix", "Ana", compilation=True), entry("2", "Mix", "Ana", compilation=True)], ["12"]),
        ([entry("1", "Live", "A", album_artist="Ana"), entry("2", "Live", "B", "b", album_artist="ANA")], ["12"]),
        ([entry("1", "Weezer", "Weezer", year=1994), entry("2", "Weezer", "Weezer", "b", year=2001)], ["1", "2"]),
        ([entry("1", "Weezer", "Weezer", year=1994), entry("2", "Weezer", "Weezer", "b")], ["12"]),
        ([entry("1", "Blue", "Joni", musicbrainz_release_id=RELEASE), entry("2", "Blue", "Joni", year=1971)], ["12"]),
        ([entry("1", "Blue", "Joni", musicbrainz_release_id=RELEASE),
          entry("2", "Blue", "Joni", "b", musicbrainz_release_id=RELEASE.replace("0", "1"))], ["1", "2"]),
        ([TrackEntry("1", album="Blue", artist="Joni"), TrackEntry("2", album="Blue", artist="Joni")], ["12"]),  # no files
    ],
)  # fmt: skip
def test_an_album_is_a_title_by_an_album_artist(tracks: list[TrackEntry], expected: list[str]) -> None:
    assert groups(*tracks) == expected


def test_an_albums_id_depends_neither_on_order_nor_on_other_albums() -> None:
    tracks = [entry("1", "Blue", "Joni"), entry("2", "Hits", "Ana"), entry("3", "Hits", "Bo")]
    assert album_ids(tracks) == album_ids(tracks[::-1])
    assert album_ids(tracks)["1"] == album_ids(tracks[:1])["1"]
    assert len(album_ids(tracks)["1"]) == 16


def test_an_albums_document_sums_up_its_tracks() -> None:
    monday, tuesday = datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC)
    first = entry("1", "The Köln Concert", "Keith", "k/CD1", year=1975, duration_s=60.0, found_at=monday, genre="Jazz")
    second = replace(first, track_id="2", disc_number=2, path="/music/k/CD2/2.mp3", found_at=tuesday, sha256="b")
    album = document(second, first)
    assert (album["title"], album["artist"], album["artist_ids"]) == ("The Köln Concert", "Keith", [artist_id("keith")])
    assert (album["year"], album["tracks"], album["discs"], album["duration_s"]) == (1975, 2, 2, 120.0)
    assert (album["added_at"], album["genres"], album["compilation"]) == (tuesday, ["Jazz"], False)
    assert (album["sort_title"], album["letter"]) == ("koln concert", "K")
    assert album["cover"]["tracks"] == ["1", "2"]
    assert album["cover"]["folders"] == ["/music/k/CD1", "/music/k/CD2", "/music/k"]
    retagged = replace(first, sha256="another content")
    assert document(second, retagged)["cover"]["mark"] != album["cover"]["mark"]


def test_a_folder_that_others_share_holds_no_albums_picture() -> None:
    tracks = [entry("1", "Blue", "Joni"), entry("2", None, "Joni"), entry("3", "Hejira", "Joni", "b")]
    by_title = {album["title"]: album for album in album_documents(tracks, album_ids(tracks))}
    assert by_title["Blue"]["cover"]["folders"] == []
    assert by_title["Hejira"]["cover"]["folders"] == ["/music/b"]


def test_a_compilation_is_by_various_artists_who_have_no_page() -> None:
    album = document(entry("1", "Hits", "Ana"), entry("2", "Hits", "Bo"))
    assert (album["artist"], album["artist_ids"], album["compilation"]) == ("Various Artists", [], True)
    assert artist_id("Various Artists") == artist_id("V.A.") == artist_id("unknown artist") == artist_id(None) == ""


def test_artists_are_those_of_tracks_and_of_albums() -> None:
    tracks = [
        entry("1", "Live", "Ana & Bo", artists=["Ana", "Bo"], album_artist="The Quartet"),
        entry("2", "Live", "ANA", album_artist="The Quartet"),
        entry("3", None, "Ana"),
    ]
    albums = album_documents(tracks, album_ids(tracks))
    by_name = {artist["name"]: artist for artist in artist_documents(tracks, albums)}
    assert {name: (each["tracks"], each["albums"]) for name, each in by_name.items()} == {
        "Ana": (3, 0),
        "Bo": (1, 0),
        "The Quartet": (0, 1),
    }
    assert (by_name["The Quartet"]["letter"], by_name["The Quartet"]["cover_album"]) == ("Q", albums[0]["_id"])
    assert by_name["Ana"]["_id"] == artist_id("ána") and artist_ids(tracks[0]) == [artist_id("Ana"), artist_id("Bo")]


@pytest.mark.parametrize(
    ("name", "key", "letter"),
    [
        ("The Beatles", "beatles", "B"),
        ("A-ha", "a-ha", "A"),
        ("Ánima", "anima", "A"),
        ("…And You", "and you", "A"),
        ("No. 9", "no. 000009", "N"),
        ("10cc", "000010cc", "#"),
        ("The", "the", "T"),
        ("Юта", "юта", "Ю"),
        ("久石譲", "久石譲", "…"),
        ("{}", "{}", "…"),
        ("!!!", "!!!", "#"),
        (None, "", "#"),
    ],
)
def test_names_are_sorted_without_article_and_numbers_by_value(name: str | None, key: str, letter: str) -> None:
    assert sort_key(name) == key and index_letter(key) == letter
