"""Nearest neighbours without asking everybody: a dict from hashed regions of the feature space to the tracks in them.

A band hashes a vector with several random projections at once (`floor((r·x + b) / width)`, as MLlib's
BucketedRandomProjectionLSH does with one) and ANDs them into one key; tracks that share the key of any band are candidates,
and the exact distance ranks them. Wider buckets or more bands: better recall, more candidates to rank.

Everything is a numpy array in a folder, memory-mapped when opened: one copy a node, whoever reads it. Rows are sorted by
track id. Knows nothing of Spark.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

SCALE_NEIGHBOUR = 7
"""A track's local scale is its distance to this neighbour (Zelnik-Manor & Perona, 2004): it makes hubs and outliers equal."""
_BLOCK = 256
_FILES = ("ids", "vectors", "scales", "artists", "keys", "rows")


class IndexUnreadable(ValueError):
    """The folder does not hold an index that this version can open."""


@dataclass(frozen=True)
class Space:
    """From a track's features to the space in which distance means unlikeness, and from there to band keys.

    mean, deviation : float32 [shape=(d,)], of the features; a feature that never varies has deviation 0 and is left out
    components : float32 [shape=(d, p)], principal components of the standardised features, in which bands hash
    directions : float32 [shape=(bands, hashes, p)];  offsets : float32 [shape=(bands, hashes)];  width : bucket length
    """

    mean: Floats
    deviation: Floats
    components: Floats
    directions: Floats
    offsets: Floats
    width: float

    def standardised(self, features: NDArray[np.floating]) -> Floats:
        """features : [shape=(n, d)]; returns float32 [shape=(n, d)] with mean 0 and deviation 1."""
        weight = np.divide(1.0, self.deviation, out=np.zeros_like(self.deviation), where=self.deviation > 0)
        return ((features - self.mean) * weight).astype(np.float32)

    def keys(self, points: Floats) -> NDArray[np.int64]:
        """points : standardised [shape=(n, d)]; returns int64 [shape=(bands, n)], one key a band."""
        bands, hashes, p = self.directions.shape
        projected = (points @ self.components) @ self.directions.reshape(bands * hashes, p).T
        buckets = np.floor((projected + self.offsets.reshape(-1)) / self.width).astype(np.int64)
        buckets = buckets.reshape(len(points), bands, hashes)
        keys = np.zeros((len(points), bands), dtype=np.int64)
        with np.errstate(over="ignore"):
            for h in range(hashes):  # a polynomial in the buckets, modulo 2^64
                keys = keys * np.int64(0x100000001B3) + buckets[:, :, h]
        return np.ascontiguousarray(keys.T)


@dataclass(frozen=True)
class Index:
    """The tracks of a library as points, and the bands that find near ones.

    ids : [shape=(n,)], sorted;  vectors : float32 [shape=(n, d)], standardised;  scales : float32 [shape=(n,)]
    artists : int32 [shape=(n,)], equal where the artist is the same, -1 where there is none
    keys : int64 [shape=(bands, n)], each band sorted;  rows : int32 [shape=(bands, n)], whose key it is
    """

    space: Space
    ids: NDArray[np.str_]
    vectors: Floats
    scales: Floats
    artists: NDArray[np.int32]
    keys: NDArray[np.int64]
    rows: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ids)

    def rows_of(self, ids: list[str]) -> Rows:
        """Row of each track; -1 for one that the index lacks."""
        if not len(self) or not ids:
            return np.full(len(ids), -1, dtype=np.int64)
        wanted = np.array(ids, dtype=np.str_)
        at = np.minimum(np.searchsorted(self.ids, wanted), len(self) - 1)
        return np.where(self.ids[at] == wanted, at, -1)

    def candidates(self, points: Floats) -> list[Rows]:
        """For each point the tracks that share a band key with it, sorted by row."""
        keys = self.space.keys(points)
        found: list[list[Rows]] = [[] for _ in points]
        for band, sorted_keys in enumerate(self.keys):
            first = np.searchsorted(sorted_keys, keys[band], side="left")
            last = np.searchsorted(sorted_keys, keys[band], side="right")
            for at, (start, stop) in enumerate(zip(first, last, strict=True)):
                if stop > start:
                    found[at].append(self.rows[band, start:stop].astype(np.int64))
        return [np.unique(np.concatenate(rows)) if rows else np.empty(0, dtype=np.int64) for rows in found]

    def neighbours(self, points: Floats, k: int) -> list[tuple[Rows, Floats]]:
        """The k nearest tracks of each point among its candidates: (rows, Euclidean distances), nearest first.

        Where the bands give fewer than k, all tracks are candidates: an exact answer rather than a short one.
        """
        k = min(k, len(self))
        everyone = np.arange(len(self))
        nearest = []
        for point, rows in zip(points, self.candidates(points), strict=True):
            rows = everyone if len(rows) < k else rows
            distance = distances(point, self.vectors[rows])
            best = np.argpartition(distance, k - 1)[:k] if k < len(rows) else np.arange(len(rows))
            best = best[np.lexsort((rows[best], distance[best]))]
            nearest.append((rows[best], distance[best]))
        return nearest

    def similarity(self, scale: float, rows: Rows, distance: Floats) -> Floats:
        """Likeness of tracks at a distance from a point whose local scale is given: 1 where they are the same, towards 0."""
        return np.exp(-np.square(distance) / (scale * self.scales[rows] + 1e-12)).astype(np.float32)

    def similar(self, rows: Rows, k: int) -> list[tuple[Rows, Floats]]:
        """The k tracks most like each given one, itself left out: (rows, similarity), ranked by similarity.

        Twice as many neighbours are fetched as asked for, since local scaling reorders them.
        """
        ranked = []
        for row, (near, distance) in zip(rows, self.neighbours(self.vectors[rows], 2 * k + 1), strict=True):
            keep = near != row
            near, score = near[keep], self.similarity(float(self.scales[row]), near[keep], distance[keep])
            best = np.lexsort((near, -score))[:k]
            ranked.append((near[best], score[best]))
        return ranked

    def save(self, folder: Path) -> None:
        """Writes one .npy file an array."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            np.save(folder / f"{name}.npy", getattr(self, name))
        space = {name: getattr(self.space, name) for name in Space.__dataclass_fields__}
        np.savez(folder / "space.npz", **space)

    @classmethod
    def open(cls, folder: Path) -> Index:
        """Maps the arrays into memory. Raises IndexUnreadable."""
        try:
            arrays: dict[str, Any] = {
                name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _FILES
            }
            with np.load(folder / "space.npz", allow_pickle=False) as stored:
                space = {name: stored[name] for name in Space.__dataclass_fields__}
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise IndexUnreadable(f"no index in {folder}: {error}; train again with batch/train.py") from error
        space["width"] = float(space["width"])
        return cls(space=Space(**space), **arrays)


def distances(point: Floats, others: Floats) -> Floats:
    """Euclidean distance of a point [shape=(d,)] to others [shape=(n, d)]."""
    return np.sqrt(np.square(others - point).sum(axis=1))


def index(ids: list[str], features: NDArray[np.floating], artists: list[str | None], space: Space) -> Index:
    """An index over tracks, with local scales of 1 until `with_local_scales`.

    ids : n track ids;  features : [shape=(n, d)], as in the table `features`;  artists : their names
    """
    order = np.argsort(np.array(ids, dtype=np.str_))
    points = space.standardised(np.asarray(features)[order])
    keys = space.keys(points)
    by_key = np.argsort(keys, axis=1, kind="stable")
    names = [(artists[i] or "").casefold() for i in order]
    code = {name: at for at, name in enumerate(sorted(set(names) - {""}))}
    return Index(
        space=space,
        ids=np.array(ids, dtype=np.str_)[order],
        vectors=points,
        scales=np.ones(len(ids), dtype=np.float32),
        artists=np.array([code.get(name, -1) for name in names], dtype=np.int32),
        keys=np.take_along_axis(keys, by_key, axis=1),
        rows=by_key.astype(np.int32),
    )


def with_local_scales(whole: Index) -> Index:
    """The index with each track's distance to its seventh neighbour (or its furthest in a tiny library), at least a little."""
    scales = np.ones(len(whole), dtype=np.float32)
    for start in range(0, len(whole), _BLOCK):
        found = whole.neighbours(whole.vectors[start : start + _BLOCK], SCALE_NEIGHBOUR + 1)
        scales[start : start + _BLOCK] = [distance[-1] for _, distance in found]
    positive = scales[scales > 0]
    return replace(whole, scales=np.maximum(scales, positive.min() if len(positive) else 1.0))


def quality(whole: Index, sample: int, k: int) -> tuple[float, float]:
    """(recall@k of the bands against exact search, mean share of the tracks that are candidates), over every n-th track.

    Queries that the bands leave with fewer than k candidates count with what the bands gave them.
    """
    queries = whole.vectors[np.linspace(0, len(whole) - 1, min(sample, len(whole))).astype(int)]
    found, wanted, size = 0, 0, 0
    for query, rows in zip(queries, whole.candidates(queries), strict=True):
        distance = distances(query, whole.vectors)
        nearest = np.argsort(distance, kind="stable")[:k]
        found += int(np.isin(nearest, rows).sum())
        wanted += len(nearest)
        size += len(rows)
    return found / wanted, size / (len(queries) * len(whole))
