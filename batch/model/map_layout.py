"""A map of the library: near tracks near each other on a plane. Numbers only.

Starts from the first two principal components; then tracks are pulled towards those in their lists and pushed off ones drawn at
random, by the forces of UMAP (McInnes, Healy & Melville, 2018). Seeded: the same library gives the same map.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pyspark.sql.types import FloatType, StringType, StructField, StructType

from batch.index.projection import Floats

MAP = StructType([StructField("track_id", StringType()), StructField("x", FloatType()), StructField("y", FloatType())])
"""One row a track: its place on the map, -1 to 1 each way."""

PULLS = 15
"""Tracks of a list that pull."""
PUSHES = 5
STEPS = 200
MOST_PULLS = 60_000_000
"""Pulls in all: large libraries take fewer steps."""
A, B = 1.577, 0.895
"""Of UMAP's curve 1 / (1 + A d^(2 B)), for a least distance of 0.1."""
FURTHEST = 4.0
SEED = 20


def positions(start: Floats, lists: NDArray[np.integer], weights: Floats) -> Floats:
    """x and y of each track, between -1 and 1: float32 [shape=(n, 2)].

    start : [shape=(n, at least 1)], components, most important first;  lists : rows [shape=(n, k)], -1 for none;
    weights : similarity of each, 0 to 1 [shape=(n, k)]
    """
    n = len(start)
    if n < 3:
        return (
            np.array([[0.0, 0.0], [0.5, 0.0]], dtype=np.float32)[:n]
            if n < 2
            else np.array([[-0.5, 0], [0.5, 0]], np.float32)
        )
    plane = np.zeros((n, 2), dtype=np.float32)
    plane[:, : min(2, start.shape[1])] = start[:, :2]
    spread = plane.std(axis=0)
    plane = 10 * (plane - plane.mean(axis=0)) / np.where(spread > 0, spread, 1) / 3
    rng = np.random.default_rng(SEED)
    plane += rng.normal(0, 1e-3, plane.shape).astype(np.float32)  # equal tracks must be able to part
    some = lists[:, :PULLS]
    tail, at = np.nonzero(some >= 0)
    head, weight = some[tail, at], np.sqrt(np.clip(weights[tail, at], 1e-3, 1)).astype(np.float32)
    if len(tail):
        steps = int(np.clip(MOST_PULLS / len(tail), 20, STEPS))
        for step in range(steps):
            _step(plane, tail, head, weight, rng, 1.0 - step / steps)
    return _framed(plane)


def _step(
    plane: Floats,
    tail: NDArray[np.integer],
    head: NDArray[np.integer],
    weight: Floats,
    rng: np.random.Generator,
    rate: float,
) -> None:
    """One step of all forces at once, in place. A track's forces are averaged, so that no hub is torn about."""
    n = len(plane)
    difference = plane[tail] - plane[head]
    squared = np.square(difference).sum(axis=1) + 1e-6
    pull = weight * (-2 * A * B * squared ** (B - 1) / (1 + A * squared**B))
    force = np.clip(pull[:, None] * difference, -FURTHEST, FURTHEST)
    total, count = np.zeros((n, 2), dtype=np.float64), np.bincount(tail, minlength=n) + np.bincount(head, minlength=n)
    for axis in range(2):
        total[:, axis] += np.bincount(tail, force[:, axis], n) - np.bincount(head, force[:, axis], n)
    total /= np.maximum(1, count / PULLS)[:, None]
    for _ in range(PUSHES):
        other = rng.integers(0, n, n)
        difference = plane - plane[other]
        squared = np.square(difference).sum(axis=1)
        push = np.where(other == np.arange(n), 0, 2 * B / ((0.001 + squared) * (1 + A * squared**B)))
        total += np.clip(push[:, None] * difference, -FURTHEST, FURTHEST) * 3
    plane += (0.1 * rate * np.clip(total, -10, 10)).astype(np.float32)


def _framed(plane: Floats) -> Floats:
    """Centred, to -1 … 1 in both directions, with what lies far out brought to the edge."""
    low, high = np.percentile(plane, [1, 99], axis=0)
    half = np.maximum((high - low) / 2, 1e-6) * 1.1
    return np.clip((plane - (high + low) / 2) / half, -1, 1).astype(np.float32)
