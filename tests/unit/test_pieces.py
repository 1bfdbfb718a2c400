"""An index that is written piece by piece is the one that is written at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from batch.index import pieces
from batch.index.building import build_index
from batch.index.exact import exact_neighbours
from batch.index.hash_tables import HashTables
from batch.index.lsh import Index
from batch.index.pieces import Piece, RowFile, TrackColumns, write_index
from batch.index.projection import Projection
from batch.index.tuning import TuningSample, hash_quality, tuning_sample
from batch.training.library import sampled_rows

D = 8


def projection(quantisation_step: float = 0.05) -> Projection:
    rng = np.random.default_rng(7)
    return Projection(
        mean=np.zeros(D, np.float32),
        deviation=np.ones(D, np.float32),
        components=np.eye(D, dtype=np.float32),
        directions=rng.normal(0, D**-0.5, (12, 3, D)).astype(np.float32),
        offsets=rng.uniform(0, 1.5, (12, 3)).astype(np.float32),
        bucket_length=1.5,
        quantisation_step=quantisation_step,
    )


@pytest.mark.parametrize("keys_in_memory", [1, 500, 10**9])
def test_pieces_in_any_order_make_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys_in_memory: int
) -> None:
    monkeypatch.setattr(pieces, "KEYS_IN_MEMORY", keys_in_memory)
    monkeypatch.setattr(pieces, "ROWS_READ_AT_ONCE", 64)
    n, rng = 200, np.random.default_rng(2)
    points = rng.normal(0, 1, (n, D)).astype(np.float32)
    points[150:] = points[:50]  # equal keys: the order within a bucket must be the same as well
    ids, artists = [f"t{row:03d}" for row in range(n)], [f"Artist {row % 7}" if row % 5 else None for row in range(n)]
    made, shuffled = projection(), rng.permutation(n)
    parts = [Piece.of(rows, points[rows], made) for rows in np.array_split(shuffled, 6)]
    write_index(tmp_path / "pieces", TrackColumns.of(ids, artists), made, parts)
    whole = build_index(ids, points, artists, made)
    whole.save(tmp_path / "whole")
    names = sorted(file.name for file in (tmp_path / "whole").iterdir())
    assert sorted(file.name for file in (tmp_path / "pieces").iterdir()) == names
    for name in names:
        if name.endswith(".npy"):
            expected, written = np.load(tmp_path / "whole" / name), np.load(tmp_path / "pieces" / name)
            assert written.dtype == expected.dtype, name
            np.testing.assert_array_equal(written, expected, err_msg=name)
    assert len(Index.open(tmp_path / "pieces")) == n


def test_a_library_that_has_changed_since_is_refused(tmp_path: Path) -> None:
    points = np.eye(D, dtype=np.float32)
    tracks = TrackColumns.of([f"t{row}" for row in range(D)], [None] * D)
    with pytest.raises(ValueError, match="7 rows, expected 8"):
        write_index(tmp_path, tracks, projection(), [Piece.of(np.arange(7), points[:7], projection())])


def test_rows_are_written_where_they_belong(tmp_path: Path) -> None:
    values = np.arange(20, dtype=np.int16).reshape(10, 2)
    with RowFile(tmp_path / "rows.npy", np.int16, (10, 2)) as file:
        for rows in (np.array([9, 3, 4, 5]), np.array([0]), np.array([8, 1, 7, 2, 6])):
            file.write(rows, values[rows])
    assert np.load(tmp_path / "rows.npy").tolist() == values.tolist()


def test_a_sample_of_a_large_library_is_of_whole_albums_and_always_the_same() -> None:
    albums = np.repeat(np.random.default_rng(4).integers(-(2**62), 2**62, 400), 10)
    rows = sampled_rows(albums, 1000)
    assert len(rows) == 1000 and (np.diff(rows) > 0).all()
    drawn, tracks = np.unique(albums[rows], return_counts=True)
    assert (tracks == 10).sum() >= 99 and len(drawn) <= 101
    assert sampled_rows(albums, 1000).tolist() == rows.tolist()
    shorter = albums[:3990]  # without one album: most of the sample stays
    assert len(np.intersect1d(rows, sampled_rows(shorter, 1000))) >= 980
    assert sampled_rows(albums, 4000).tolist() == list(range(4000))


def test_one_giant_album_is_not_the_sample() -> None:
    albums = np.concatenate([np.full(5000, 7), np.arange(100, 5100)])
    of_giant = (sampled_rows(albums, 1000) < 5000).mean()
    assert 0.2 < of_giant < 0.8, "it has half of the tracks"


def test_a_sample_tells_the_quality_of_the_hash_tables_for_the_library() -> None:
    rng = np.random.default_rng(5)
    points = (rng.normal(0, 2, (40, D))[np.arange(8000) % 40] + rng.normal(0, 0.3, (8000, D))).astype(np.float32)
    made = projection()
    whole_sample = tuning_sample(points)
    whole = hash_quality(points, made, HashTables.build(points, made), whole_sample)
    drawn = np.sort(rng.permutation(8000)[:2000])
    queries = np.searchsorted(drawn, np.intersect1d(drawn, np.arange(8000)))[::5]
    true_neighbours = exact_neighbours(points, points[drawn[queries]], 20)
    others = np.unique(true_neighbours)
    tuned_on = np.vstack([points[drawn], points[others]])
    sample = TuningSample(queries, 2000 + np.searchsorted(others, true_neighbours), 2000, 8000)
    by_sample = hash_quality(tuned_on, made, HashTables.build(tuned_on, made), sample)
    assert by_sample.recall == pytest.approx(whole.recall, abs=0.01)
    assert by_sample.candidate_share == pytest.approx(whole.candidate_share, rel=0.1)
    assert by_sample.largest_bucket_share == pytest.approx(whole.largest_bucket_share, rel=0.2)
