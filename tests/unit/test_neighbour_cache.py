"""What lists are taken from: the neighbours that the model keeps, and those that came since."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from batch.index.building import build_index, with_local_scales
from batch.index.lsh import STORED_NEIGHBOURS, Index
from batch.index.projection import Projection
from batch.index.updates import append, remove
from streaming.ranking.neighbour_cache import CachedIndex, sorted_unique

D = 6
N = 600


def vectors(n: int, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return np.asarray(5 * np.eye(D)[np.arange(n) % D] + draw.normal(0, 1, (n, D)), dtype=np.float32)


def saved(folder: Path, n: int) -> Path:
    """An index whose bands hold everybody, so that its answers are exact, with each track's ranking beside it."""
    draw = np.random.default_rng(1)
    space = Projection(
        mean=np.zeros(D, dtype=np.float32),
        deviation=np.ones(D, dtype=np.float32),
        components=np.eye(D, dtype=np.float32),
        directions=draw.normal(0, 0.4, (8, 1, D)).astype(np.float32),
        offsets=np.full((8, 1), 500, dtype=np.float32),
        bucket_length=1000.0,
    )
    ids = [f"t{at:03d}" for at in range(n)]
    whole = with_local_scales(build_index(ids, vectors(n, 2), [None] * n, space))
    near = np.array([rows for rows, _ in whole.similar(np.arange(n), STORED_NEIGHBOURS)], dtype=np.int32)
    replace(whole, stored_neighbours=near).save(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return saved(tmp_path, N)


def nearest(tracks: CachedIndex, row: int) -> set[int]:
    """By brute force: the STORED_NEIGHBOURS that are most like a track, and itself."""
    whole = tracks.index
    apart = np.square(np.asarray(whole.vectors) - whole.vectors[row]).sum(axis=1)
    order = np.argsort(apart / np.asarray(whole.scales))
    return {row, *[int(at) for at in order if at != row and at in tracks.present][:STORED_NEIGHBOURS]}


def test_kept_neighbours_are_those_that_the_index_gives(folder: Path) -> None:
    stored, computed = CachedIndex(Index.open(folder)), CachedIndex(replace(Index.open(folder), stored_neighbours=None))
    for rows in ([3], [0, 7, 200], [5, 5]):
        near = stored.neighbours(np.array(rows))
        np.testing.assert_array_equal(near, computed.neighbours(np.array(rows)))
        assert set(near.tolist()) == set.union(*(nearest(stored, row) for row in rows))
    assert not stored._neighbours, "nothing was computed"
    assert stored.neighbours(np.empty(0, dtype=np.int64)).tolist() == []


def test_tracks_that_came_since_are_among_the_neighbours_of_their_like_and_have_their_own(folder: Path) -> None:
    twins = vectors(1, 2) + np.random.default_rng(3).normal(0, 0.01, (30, D))  # around the first track
    append(folder, [f"new{at:02d}" for at in range(30)], twins, [None] * 30)
    append(folder, ["far"], np.full((1, D), -9.0), [None])
    tracks = CachedIndex(Index.open(folder))
    far, *new = tracks.index.rows_of(["far", *(f"new{at:02d}" for at in range(30))]).tolist()
    assert set(new) <= set(tracks.neighbours(np.array([0])).tolist())
    assert nearest(tracks, 0) <= set(tracks.neighbours(np.array([0])).tolist())
    assert len(tracks.neighbours(np.array([0]))) <= 1 + 2 * STORED_NEIGHBOURS
    assert far not in tracks.neighbours(np.arange(0, 60)).tolist()
    assert not tracks._neighbours, "nothing was computed for tracks of the training"
    assert set(tracks.neighbours(np.array([new[0]])).tolist()) == nearest(tracks, new[0])


def test_where_much_came_since_the_index_is_asked(folder: Path) -> None:
    append(folder, [f"new{at:03d}" for at in range(200)], vectors(200, 9), [None] * 200)
    tracks = CachedIndex(Index.open(folder))
    assert set(tracks.neighbours(np.array([4])).tolist()) == nearest(tracks, 4)


def test_what_went_since_is_nobodys_neighbour_and_where_most_went_others_are_asked_for(folder: Path) -> None:
    before = CachedIndex(Index.open(folder)).neighbours(np.array([0])).tolist()
    gone = [row for row in before if row]
    remove(folder, [f"t{row:03d}" for row in gone[:5]])
    tracks = CachedIndex(Index.open(folder))
    assert tracks.neighbours(np.array([0])).tolist() == [row for row in before if row not in gone[:5]]
    remove(folder, [f"t{row:03d}" for row in gone])
    tracks = CachedIndex(Index.open(folder))
    assert set(tracks.neighbours(np.array([0])).tolist()) == nearest(tracks, 0)
    assert len(nearest(tracks, 0)) == STORED_NEIGHBOURS + 1


def test_a_track_that_came_again_with_other_features_is_where_they_are(folder: Path) -> None:
    append(folder, ["t000"], np.full((1, D), -9.0), [None])
    tracks = CachedIndex(Index.open(folder))
    (row,) = tracks.index.rows_of(["t000"]).tolist()
    assert row == N
    assert 0 not in tracks.neighbours(np.array([D])).tolist() and row not in tracks.neighbours(np.array([D])).tolist()
    assert set(tracks.neighbours(np.array([row])).tolist()) == nearest(tracks, row)


def test_a_small_library_keeps_all_its_tracks_as_neighbours_and_takes_in_more(tmp_path: Path) -> None:
    tracks = CachedIndex(Index.open(saved(tmp_path, 40)))
    assert tracks.neighbours(np.array([3])).tolist() == list(range(40))
    append(tmp_path, ["new"], vectors(1, 8), [None])
    tracks = CachedIndex(Index.open(tmp_path))
    assert tracks.neighbours(np.array([3])).tolist() == list(range(41))


def test_rows_are_sorted_once_and_without_others(folder: Path) -> None:
    assert sorted_unique(np.array([4, 1, 4, 2, 1])).tolist() == [1, 2, 4]
    assert sorted_unique(np.empty(0, dtype=np.int64)).tolist() == []
    tracks = CachedIndex(Index.open(folder))
    assert tracks.without(np.array([9, 3, 9, 5]), np.array([5, 7])).tolist() == [9, 3, 9]
    with pytest.raises(IndexError):
        tracks.without(np.array([N + 1]), np.array([5]))
    assert tracks.without(np.array([5]), np.empty(0, dtype=np.int64)).tolist() == [5]
