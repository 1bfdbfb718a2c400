"""What lists are taken from: the neighbours that the model keeps, and those that came since."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from batch.growth import append, remove
from batch.index import NEAR, Index, index, with_local_scales
from batch.space import Space
from streaming.candidates import Catalogue, once

D, N = 6, 240


def vectors(n: int, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return np.asarray(5 * np.eye(D)[np.arange(n) % D] + draw.normal(0, 1, (n, D)), dtype=np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An index whose bands hold everybody, so that its answers are exact, with each track's ranking beside it."""
    draw = np.random.default_rng(1)
    space = Space(
        mean=np.zeros(D, dtype=np.float32),
        deviation=np.ones(D, dtype=np.float32),
        components=np.eye(D, dtype=np.float32),
        directions=draw.normal(0, 0.4, (8, 1, D)).astype(np.float32),
        offsets=np.full((8, 1), 500, dtype=np.float32),
        width=1000.0,
    )
    ids = [f"t{at:03d}" for at in range(N)]
    whole = with_local_scales(index(ids, vectors(N, 2), [None] * N, space))
    near = np.array([rows for rows, _ in whole.similar(np.arange(N), NEAR)], dtype=np.int32)
    replace(whole, near=near).save(tmp_path)
    return tmp_path


def test_kept_neighbours_are_those_that_the_index_gives(folder: Path) -> None:
    kept, asked = Catalogue(Index.open(folder)), Catalogue(replace(Index.open(folder), near=None))
    for rows in ([3], [0, 7, 200], [5, 5]):
        near = kept.near(np.array(rows))
        np.testing.assert_array_equal(near, asked.near(np.array(rows)))
        assert len(near) > NEAR and set(rows) <= set(near.tolist())
    assert not kept._near, "nothing was asked"
    assert kept.near(np.empty(0, dtype=np.int64)).tolist() == []


def test_a_track_that_came_since_is_among_the_neighbours_of_its_like_and_has_its_own(folder: Path) -> None:
    append(folder, ["new", "far"], np.stack([vectors(1, 3)[0], np.full(D, -9.0)]), [None, None])
    tracks = Catalogue(Index.open(folder))
    far, new = N, N + 1
    asked = Catalogue(replace(Index.open(folder), near=None))
    ids = [row for row in range(0, N, D) if new in asked.near(np.array([row])).tolist()]
    assert ids, "the new track is like some of its kind"
    for row in ids:
        assert new in tracks.near(np.array([row])).tolist()
        assert far not in tracks.near(np.array([row])).tolist()
    assert set(asked.near(np.array([new])).tolist()) == set(tracks.near(np.array([new])).tolist())


def test_what_went_since_is_nobodys_neighbour(folder: Path) -> None:
    before = Catalogue(Index.open(folder)).near(np.array([0])).tolist()
    gone = [row for row in before if row][:5]
    remove(folder, [f"t{row:03d}" for row in gone])
    after = Catalogue(Index.open(folder)).near(np.array([0])).tolist()
    assert after == [row for row in before if row not in gone]


def test_rows_are_sorted_once_and_without_others(folder: Path) -> None:
    assert once(np.array([4, 1, 4, 2, 1])).tolist() == [1, 2, 4]
    assert once(np.empty(0, dtype=np.int64)).tolist() == []
    tracks = Catalogue(Index.open(folder))
    assert tracks.without(np.array([9, 3, 9, 5]), np.array([5, 7])).tolist() == [9, 3, 9]
    assert tracks.without(np.array([5]), np.empty(0, dtype=np.int64)).tolist() == [5]
