"""Exact distances between all tracks, or of some to all; who is nearest by them, and how good a ranking is. Numbers only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from batch.index.projection import Floats
from batch.library.labels import Labels

Rows = NDArray[np.int64]

SCALE_NEIGHBOUR = 7
"""A track's local scale is its distance to this neighbour (Zelnik-Manor & Perona, 2004): it makes hubs and outliers equal."""
_BLOCK = 64


def squared(points: Floats, others: Floats | None = None) -> Floats:
    """Squared Euclidean distances of points [shape=(q, m)] to others [shape=(n, m)], else to each other: [shape=(q, n)]."""
    others = points if others is None else others
    own, length = np.einsum("ij,ij->i", points, points), np.einsum("ij,ij->i", others, others)
    return np.asarray(np.maximum(own[:, None] + length - 2 * (points @ others.T), 0))


def scaled(points: Floats) -> Floats:
    """Squared distances by local scales, all against all: float32 [shape=(n, n)]."""
    distance = squared(points)
    at = min(SCALE_NEIGHBOUR, len(points) - 1)
    scale = np.sqrt(np.partition(distance, at, axis=1)[:, at]) + 1e-6
    return np.asarray(distance / (scale[:, None] * scale), dtype=np.float32)


def exact(points: Floats, queries: Floats, k: int) -> Rows:
    """Rows of the k nearest points of each query, nearest first: [shape=(q, k)]."""
    length = np.einsum("ij,ij->i", points, points)
    found = np.empty((len(queries), k), dtype=np.int64)
    for start in range(0, len(queries), _BLOCK):
        distance = length - 2 * (queries[start : start + _BLOCK] @ points.T)  # the query's own length ranks nothing
        near = np.argpartition(distance, k - 1, axis=1)[:, :k] if k < len(points) else np.argsort(distance, axis=1)
        order = np.argsort(np.take_along_axis(distance, near, axis=1), axis=1, kind="stable")
        found[start : start + _BLOCK] = np.take_along_axis(near, order, axis=1)
    return found


def rankings(distance: NDArray[np.floating]) -> list[Rows]:
    """Of each row of distances all columns, nearest first; inf marks what does not count and is left out."""
    order = np.argsort(distance, axis=1, kind="stable")
    counted = np.isfinite(distance).sum(axis=1)
    return [ranking[:most] for ranking, most in zip(order, counted.tolist(), strict=True)]


def recalled(found: Sequence[NDArray[np.integer]], true: Sequence[NDArray[np.integer]]) -> float:
    """Share of the true neighbours that were found, mean over the queries."""
    return float(np.mean([np.isin(near, rows).mean() for rows, near in zip(found, true, strict=True)]))


def precision(ranked: Sequence[NDArray[np.integer]], of: Labels, genre: Labels, k: int) -> float:
    """Precision@k: hits by k, mean over the queries that have a genre. nan: none has.

    ranked : rows, nearest first, for each query;  of : the queries' genres;  genre : of all tracks
    A neighbour without a genre is a miss, and so is a place that the ranking leaves empty.
    """
    hits = [int((genre[rows[:k]] == own).sum()) / k for rows, own in zip(ranked, of.tolist(), strict=True) if own >= 0]
    return float(np.mean(hits)) if hits else float("nan")


def normalised_precision(ranked: Sequence[NDArray[np.integer]], of: Labels, genre: Labels, k: int) -> float:
    """Hits by what could be hit: by the fellows of the genre that are there, where they are fewer than k. nan: nobody has any.

    ranked : as in `precision`, of all tracks that count.  Neighbours without a genre are passed over, and so are queries
    without a fellow, so the level is higher than that of `precision`; it compares spaces where genres are small.
    """
    shares = []
    for rows, own in zip(ranked, of.tolist(), strict=True):
        labelled = genre[rows][genre[rows] >= 0]
        could = min(k, int((labelled == own).sum()))
        if own >= 0 and could:
            shares.append(int((labelled[:k] == own).sum()) / could)
    return float(np.mean(shares)) if shares else float("nan")
