"""Albums and artists as documents of any version, and what is near to some tracks."""

from __future__ import annotations

from typing import Any

import pytest

from ui.data.library import Track
from ui.library.albums import Album, read_album
from ui.library.artists import Artist, read_artist
from ui.library.near import heaviest, near_tracks


@pytest.mark.parametrize(
    ("document", "album"),
    [
        ({"_id": "a"}, Album("a")),
        (
            {"_id": "a", "title": None, "artist_ids": None, "year": "1999", "genres": None, "duration_s": "long"},
            Album("a"),
        ),
        (
            {
                "_id": "a",
                "title": "Blue",
                "artist": "Joni",
                "artist_ids": ["j"],
                "year": 1971.0,
                "tracks": 10,
                "new": 1,
            },
            Album("a", "Blue", "Joni", ("j",), year=1971, tracks=10),
        ),
    ],
)
def test_an_albums_document_may_lack_and_add_fields(document: dict[str, Any], album: Album) -> None:
    assert read_album(document) == album


def test_an_artists_document_may_lack_and_add_fields() -> None:
    assert read_artist({"_id": "a"}) == Artist("a")
    document = {"_id": "a", "name": "Ana", "tracks": 3, "cover_album": None, "later": True}
    assert read_artist(document) == Artist("a", "Ana", 3)


class Near:
    """A library of tracks by id, and the lists of similar tracks of some."""

    def __init__(self, tracks: list[Track], similar: dict[str, list[str]]) -> None:
        self.track_by_id = {track.track_id: track for track in tracks}
        self.similar_by_id = similar

    def in_order(self, track_ids: list[str]) -> list[Track]:
        return [self.track_by_id[track_id] for track_id in track_ids if track_id in self.track_by_id]

    def similar(self, track_ids: list[str]) -> dict[str, list[str]]:
        return {track_id: self.similar_by_id[track_id] for track_id in track_ids if track_id in self.similar_by_id}


def test_albums_near_to_some_tracks_are_those_of_most_of_their_similar_tracks() -> None:
    tracks = [
        Track("1", album_id="own"),
        Track("2", album_id="far"),
        Track("3", album_id="near"),
        Track("4", album_id="near"),
    ]
    library = Near(tracks, {"1": ["2", "3", "4", "gone"], "other": ["1"]})
    near = near_tracks(library, library, ["1", "other"])  # type: ignore[arg-type]
    assert [track.track_id for track, _ in near] == ["2", "3", "4"], "without the tracks themselves"
    assert heaviest(near, lambda track: [track.album_id], ["own"], 5) == ["near", "far"]
    assert heaviest(near, lambda track: [track.album_id], ["near"], 5) == ["far"]
    assert heaviest(near, lambda _: [""], [], 5) == []
