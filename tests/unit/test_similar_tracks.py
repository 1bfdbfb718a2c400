"""One of each recording among similar tracks, on song paths, in a search by sound and in the list for new listeners."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from batch.index.building import build_index, with_local_scales
from batch.index.lsh import Index
from batch.index.projection import Projection
from batch.index.recordings import first_of_each_recording
from batch.model.cold_start import list_for_new_listeners
from ui.media.similarity import SimilaritySearch

D = 8
SONGS = 40
COPIES = {0: 3, 10: 2, 39: 1}
"""How many further tracks there are of some songs' recordings."""


@pytest.fixture(scope="module")
def index() -> Index:
    """Songs s00 to s39 along a line, and behind them copies c00 … of some, next to them."""
    draw = np.random.default_rng(5)
    line = np.linspace(0, 1, SONGS)[:, None] * np.ones(D) * 4 + draw.normal(0, 0.3, (SONGS, D))
    copied = [song for song, count in COPIES.items() for _ in range(count)]
    vectors = np.vstack([line, line[copied] + draw.normal(0, 0.001, (len(copied), D))]).astype(np.float32)
    order = [f"s{row:02d}" for row in range(SONGS)] + [f"t{row:02d}" for row in range(len(copied))]
    projection = Projection(
        mean=np.zeros(D, np.float32),
        deviation=np.ones(D, np.float32),
        components=np.eye(D, 4, dtype=np.float32),
        directions=draw.normal(0, 0.5, (16, 3, 4)).astype(np.float32),
        offsets=draw.uniform(0, 2, (16, 3)).astype(np.float32),
        bucket_length=2.0,
        unit_length=False,
    )
    made = with_local_scales(build_index(order, vectors, [f"artist {at}" for at in range(len(order))], projection))
    return replace(made, recordings=np.array([*range(SONGS), *copied], dtype=np.int32))


class Search(SimilaritySearch):
    """Queries on an index that is given."""

    def __init__(self, index: Index) -> None:
        self._index = index

    @property
    def index(self) -> Index:
        return self._index


def recordings(index: Index, ids: list[str]) -> list[int]:
    return [int(index.recordings[row]) for row in index.rows_of(ids)]  # type: ignore[index]


def test_the_first_track_of_each_recording_is_taken() -> None:
    assert first_of_each_recording(np.array([4, 7, 4, 2, 7, 9])).tolist() == [0, 1, 3, 5]
    assert first_of_each_recording(np.array([4, 7, 4, 2, 7, 9]), 7).tolist() == [0, 3, 5]
    assert first_of_each_recording(np.array([], dtype=np.int32)).tolist() == []


def test_a_song_path_has_one_of_each_recording(index: Index) -> None:
    path = Search(index).path("s00", "s39", 12)
    assert len(path) == 12 and (path[0], path[-1]) == ("s00", "s39")
    assert len(set(recordings(index, path))) == 12
    beside = Search(index).path("s00", "s39", 12, left_out=["t03"])
    assert "s10" not in beside and "t04" not in beside, "the copies of what is left out are left out"


def test_a_path_between_two_copies_is_these_two(index: Index) -> None:
    assert Search(index).path("s00", "t00", 8) == ["s00", "t00"]


def test_a_clip_finds_one_of_each_recording_nearest_first(index: Index) -> None:
    nearest = Search(index).nearest(index.vectors[0].tolist(), 10)
    assert len(nearest) == 10 and nearest[0] == ("s00", pytest.approx(1, abs=1e-3))
    assert len(set(recordings(index, [track_id for track_id, _ in nearest]))) == 10
    similarities = [similarity for _, similarity in nearest]
    assert similarities == sorted(similarities, reverse=True) and 0 <= similarities[-1] < 1


def test_the_list_for_new_listeners_has_one_of_each_recording(index: Index) -> None:
    tracks = [{"track_id": str(track_id), "artist": f"of {track_id}", "genre": "Folk"} for track_id in index.ids]
    listed = [item["track_id"] for item in list_for_new_listeners(tracks, index, 30)]
    assert len(listed) == 30 and len(set(recordings(index, listed))) == 30
    everything = list_for_new_listeners([*tracks, {"track_id": "new"}, {"track_id": "newer"}], index, 99)
    assert len(everything) == SONGS + 2, "tracks that the index lacks come last, each for itself"
