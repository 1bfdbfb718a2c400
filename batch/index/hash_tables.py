"""Sorted hash tables: which tracks share a bucket with a query, and in how many tables (collision counting).

The keys of a table are sorted beside the rows they belong to, so that a bucket is a range of rows, found by two binary searches.
Within a bucket, rows are sorted along the first principal component: a crowded bucket can give the part that is nearest to the
query instead of all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batch.index.projection import Floats, Projection, Rows

ROWS_PER_COLLISION_COUNTED = 16
"""Up to so many rows a collision, collisions are counted in a byte a row; where there are more, sorting them is quicker."""


@dataclass(frozen=True)
class HashTables:
    """The hash tables of n tracks.

    keys : uint32 (int64 in format 1) [shape=(tables, n)], sorted in each table
    rows : int32 [shape=(tables, n)], the row that each key belongs to
    first_component : float32 [shape=(n,)], each track's position along it, by row; None: buckets have no limit
    """

    keys: NDArray[np.integer]
    rows: NDArray[np.int32]
    first_component: Floats | None = None

    @classmethod
    def build(cls, points: Floats, projection: Projection) -> HashTables:
        """The hash tables of points [shape=(n, m)]; a row is a point's place among them."""
        first_component = projection.first_component(points)
        ordered = np.argsort(first_component, kind="stable").astype(np.int32)
        keys = fold_keys(projection.keys(points)[:, :, 0])
        rows = np.empty(keys.shape, dtype=np.int32)
        for table in range(len(keys)):
            keys[table], rows[table] = sorted_table(keys[table], ordered)
        return cls(keys, rows, first_component)

    def bucket_ranges(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the buckets of some queries begin and end in `rows`, int64 [shape=(q, tables, 1 + probes, 2)].

        keys : int64 [shape=(tables, q, 1 + probes)], as `Projection.keys` gives them
        """
        query_keys = keys if self.keys.dtype == np.int64 else fold_keys(keys)
        ranges = np.empty((*keys.shape, 2), dtype=np.int64)
        for table, sorted_keys in enumerate(self.keys):
            # in order: each search starts where the last one ended
            unique_keys, inverse = np.unique(query_keys[table], return_inverse=True)
            ranges[table, ..., 0] = np.searchsorted(sorted_keys, unique_keys, side="left")[inverse]
            ranges[table, ..., 1] = np.searchsorted(sorted_keys, unique_keys, side="right")[inverse]
        return ranges.transpose(1, 0, 2, 3)

    def colliding_rows(self, bucket_ranges: NDArray[np.int64], position: float, bucket_limit: int) -> Rows:
        """The rows in one query's buckets, a row as often as it shares one.

        bucket_ranges : int64 [shape=(tables, 1 + probes, 2)], one query's of `bucket_ranges`
        position : the query's, along the first component
        bucket_limit : see Projection
        """
        flat_rows = self.rows.reshape(-1)
        flat_ranges = bucket_ranges + (np.arange(len(bucket_ranges)) * self.rows.shape[1])[:, None, None]
        is_filled = bucket_ranges[..., 1] > bucket_ranges[..., 0]
        buckets = [flat_rows[start:stop] for start, stop in flat_ranges[is_filled].tolist()]
        if bucket_limit and self.first_component is not None:
            buckets = [
                rows if len(rows) <= bucket_limit else self._nearest_part(rows, position, bucket_limit)
                for rows in buckets
            ]
        return np.concatenate(buckets, dtype=np.intp, casting="safe") if buckets else np.empty(0, dtype=np.intp)

    def _nearest_part(self, rows: NDArray[np.int32], position: float, bucket_limit: int) -> NDArray[np.int32]:
        """The rows of a bucket over its limit that are nearest to the query along the first component, as many as the limit."""
        assert self.first_component is not None
        middle = int(np.searchsorted(self.first_component[rows], position))
        begin = min(max(0, middle - bucket_limit // 2), len(rows) - bucket_limit)
        return rows[begin : begin + bucket_limit]

    def subset(self, rows: NDArray[np.int64]) -> HashTables:
        """The hash tables of these tracks alone.

        rows : sorted; a track's place among them becomes its new row
        """
        in_subset = np.zeros(self.rows.shape[1], dtype=bool)
        in_subset[rows] = True
        new_row = np.cumsum(in_subset, dtype=np.int32) - 1
        selected = in_subset[self.rows]
        shape = (len(self.keys), len(rows))
        first_component = None if self.first_component is None else self.first_component[rows]
        return HashTables(
            self.keys[selected].reshape(shape), new_row[self.rows[selected]].reshape(shape), first_component
        )

    def largest_bucket(self) -> int:
        """Tracks in the most crowded bucket."""
        if not self.keys.size:
            return 0
        largest = 0
        for sorted_keys in self.keys:
            starts = np.flatnonzero(np.concatenate([[True], sorted_keys[1:] != sorted_keys[:-1], [True]]))
            largest = max(largest, int(np.diff(starts).max()))
        return largest


def sorted_table(keys: NDArray[np.uint32], ordered: NDArray[np.int32]) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
    """(the keys of a hash table, sorted; the row of each).

    keys : by row [shape=(n,)];  ordered : the rows, sorted along the first component
    """
    rows = ordered[np.argsort(keys[ordered], kind="stable")]
    return keys[rows], rows


def rows_that_collide(colliding_rows: Rows, n: int, min_collisions: int, tables: int) -> Rows:
    """The rows that occur at least so often, sorted.

    colliding_rows : of one query, as `colliding_rows` returns them
    n : rows that there are;  tables : hash tables, the most often that a row occurs
    Allocates memory for the colliding rows, not for all: counters for all where these are not many more, as they are
    quicker; else the rows are sorted.
    """
    if n <= ROWS_PER_COLLISION_COUNTED * len(colliding_rows):
        counter = np.zeros(n, dtype=np.min_scalar_type(tables))
        np.add.at(counter, colliding_rows, counter.dtype.type(1))
        return np.flatnonzero(counter >= min_collisions)
    ordered = np.sort(colliding_rows.astype(np.int32))
    first = ordered[: max(0, len(ordered) - min_collisions + 1)]
    often = first[first == ordered[min_collisions - 1 :]]  # sorted, each row as often as it collides beyond the least
    is_new = np.ones(len(often), dtype=bool)
    np.not_equal(often[1:], often[:-1], out=is_new[1:])
    return often[is_new].astype(np.int64)


def fold_keys(keys: NDArray[np.int64]) -> NDArray[np.uint32]:
    """64-bit keys hashed to 32 bits: half the memory, and two buckets collide by chance once in 4 · 10⁹."""
    wide = keys.view(np.uint64)
    return ((wide ^ (wide >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)).astype(np.uint32)
