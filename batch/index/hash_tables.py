"""Sorted band arrays: which tracks share a bucket with a query, and in how many bands. Two binary searches a band.

The keys of a band are sorted beside the rows they belong to. Within a bucket, rows are sorted along the first principal
component, so that a crowded bucket can give the part that is nearest to the query instead of all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batch.index.projection import Floats, Space


@dataclass(frozen=True)
class Bands:
    """keys : uint32 (int64 in format 1) [shape=(bands, n)], each band sorted;  rows : int32 [shape=(bands, n)], whose key it is

    order : float32 [shape=(n,)], each track's place along the first component, by row; None: buckets have no limit
    """

    keys: NDArray[np.integer]
    rows: NDArray[np.int32]
    order: Floats | None = None

    def buckets(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """keys : int64 [shape=(bands, q, 1 + probes)]; returns int64 [shape=(q, bands, 1 + probes, 2)]: first place and end."""
        wanted = keys if self.keys.dtype == np.int64 else folded(keys)
        found = np.empty((*keys.shape, 2), dtype=np.int64)
        for band, sorted_keys in enumerate(self.keys):
            # in order: each search starts where the last one ended
            asked, back = np.unique(wanted[band], return_inverse=True)
            found[band, ..., 0] = np.searchsorted(sorted_keys, asked, side="left")[back]
            found[band, ..., 1] = np.searchsorted(sorted_keys, asked, side="right")[back]
        return found.transpose(1, 0, 2, 3)

    def counter(self, n: int) -> NDArray[np.unsignedinteger]:
        """Zeros for n rows, wide enough for the bands: where they are bytes, a million stay in the processor's cache."""
        return np.zeros(n, dtype=np.min_scalar_type(len(self.keys)))

    def count(self, met: NDArray[np.unsignedinteger], buckets: NDArray[np.int64], place: float, limit: int) -> int:
        """Adds to `met` [shape=(n,)] in how many bands each row shares a bucket with one query; returns how many it counted.

        buckets : int64 [shape=(bands, 1 + probes, 2)], as `buckets` gives them;
        place : the query's, along the first component;  limit : see Space
        """
        flat = self.rows.reshape(-1)
        ends = buckets + (np.arange(len(buckets)) * self.rows.shape[1])[:, None, None]
        found = [flat[start:stop] for start, stop in ends[buckets[..., 1] > buckets[..., 0]].tolist()]
        if limit and self.order is not None:
            found = [rows if len(rows) <= limit else self._nearest(rows, place, limit) for rows in found]
        if not found:
            return 0
        sharing = np.concatenate(found, dtype=np.intp, casting="safe")
        np.add.at(met, sharing, met.dtype.type(1))
        return len(sharing)

    def _nearest(self, rows: NDArray[np.int32], place: float, limit: int) -> NDArray[np.int32]:
        """Of a crowded bucket's rows the `limit` on both sides of the query's place along the first component."""
        assert self.order is not None
        at = int(np.searchsorted(self.order[rows], place))
        begin = min(max(0, at - limit // 2), len(rows) - limit)
        return rows[begin : begin + limit]

    def only(self, rows: NDArray[np.int64]) -> Bands:
        """The bands of these tracks alone.  rows : sorted; their places become the new rows"""
        is_kept = np.zeros(self.rows.shape[1], dtype=bool)
        is_kept[rows] = True
        place = np.cumsum(is_kept, dtype=np.int32) - 1
        kept = is_kept[self.rows]
        shape = (len(self.keys), len(rows))
        keys, renamed = self.keys[kept].reshape(shape), place[self.rows[kept]].reshape(shape)
        return Bands(keys, renamed, None if self.order is None else self.order[rows])

    def largest(self) -> int:
        """Tracks in the most crowded bucket."""
        if not self.keys.size:
            return 0
        most = 0
        for band in self.keys:
            starts = np.flatnonzero(np.concatenate([[True], band[1:] != band[:-1], [True]]))
            most = max(most, int(np.diff(starts).max()))
        return most


def bands(points: Floats, space: Space) -> Bands:
    """The bands of points; a row is a point's place among them."""
    order = space.order(points)
    along = np.argsort(order, kind="stable").astype(np.int32)
    keys = folded(space.keys(points)[:, :, 0])
    rows = np.empty(keys.shape, dtype=np.int32)
    for band in range(len(keys)):
        by_key = np.argsort(keys[band][along], kind="stable")
        rows[band] = along[by_key]
        keys[band] = keys[band][rows[band]]
    return Bands(keys, rows, order)


def folded(keys: NDArray[np.int64]) -> NDArray[np.uint32]:
    """64-bit keys in 32 bits: half the memory, and two buckets in four thousand million meet by chance."""
    wide = keys.view(np.uint64)
    return ((wide ^ (wide >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)).astype(np.uint32)
