"""The map: similar tracks close together, within its frame, the same each time."""

from __future__ import annotations

import numpy as np
import pytest

from batch.model.map_layout import positions


def clusters(n: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    points = np.random.default_rng(1).normal(0, 0.3, (n, 6)).astype(np.float32)
    points[np.arange(n), np.arange(n) % 4] += 5
    apart = np.square(points[:, None] - points).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    neighbours = apart.argsort(axis=1)[:, :15]
    return points[:, :2], neighbours, np.exp(-np.take_along_axis(apart, neighbours, axis=1)).astype(np.float32)


def test_similar_tracks_are_close_together() -> None:
    start, neighbours, weights = clusters()
    plane = positions(start, neighbours, weights)
    kind = np.arange(len(plane)) % 4
    apart = np.square(plane[:, None] - plane).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (kind[apart.argsort(axis=1)[:, :5]] == kind[:, None]).mean() > 0.95
    assert np.abs(plane).max() <= 1 and plane.std() > 0.2
    np.testing.assert_array_equal(plane, positions(start, neighbours, weights))


@pytest.mark.parametrize("n", [1, 2, 3, 10])
def test_tiny_libraries_and_equal_tracks_have_positions(n: int) -> None:
    plane = positions(np.zeros((n, 1), dtype=np.float32), np.full((n, 15), -1), np.zeros((n, 15), dtype=np.float32))
    assert plane.shape == (n, 2) and np.isfinite(plane).all() and np.abs(plane).max() <= 1
