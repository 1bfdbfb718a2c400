"""The index with a memory: neighbours of a track are looked up once a process, and what many lists need is kept at hand."""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from batch.index import Index, Rows

Floats64 = NDArray[np.float64]

NEIGHBOURS = 60
REMEMBERED = 20_000
"""Tracks whose neighbours are kept: about 10 MB a process."""
SAMPLE = 1_000


class Catalogue:
    """The tracks that can be listed, by row of the index."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._near: OrderedDict[int, Rows] = OrderedDict()

    @cached_property
    def present(self) -> Rows:
        """Rows of the tracks that are there."""
        return self.index.present

    @cached_property
    def sample(self) -> Rows:
        """Up to a thousand rows, evenly spaced: what is true of them is about true of all tracks."""
        return (
            self.present[np.unique(np.linspace(0, len(self.present) - 1, SAMPLE).astype(np.int64))]
            if len(self)
            else self.present
        )

    def __len__(self) -> int:
        return len(self.present)

    def near(self, rows: Rows) -> Rows:
        """The neighbours of the tracks, by the LSH index: rows, each once, the tracks themselves among them."""
        missing = [int(row) for row in rows if int(row) not in self._near]
        if missing:
            wanted = np.array(missing, dtype=np.int64)
            for row, (found, _) in zip(missing, self.index.similar(wanted, NEIGHBOURS), strict=True):
                self._near[row] = np.asarray(found, dtype=np.int64)
        for row in rows:
            self._near.move_to_end(int(row))
        together = [self._near[int(row)] for row in rows]
        while len(self._near) > REMEMBERED:
            self._near.popitem(last=False)
        return np.unique(np.concatenate([*together, rows])) if together else np.empty(0, dtype=np.int64)

    def points(self, rows: Rows) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(vectors [shape=(n, d)], local scales [shape=(n,)]) of the rows."""
        return np.asarray(self.index.vectors[rows]), np.asarray(self.index.scales[rows])

    @cached_property
    def typical(self) -> float:
        """The usual distance between any two tracks, in local scales."""
        some = self.sample[:: max(1, len(self.sample) // 200)]
        between = np.sqrt(scaled(*self.points(some), *self.points(some)))
        pairs = between[np.triu_indices(len(some), 1)]
        return float(np.median(pairs)) if len(pairs) else 1.0

    def likeness(self, ones: Rows, others: Rows) -> Floats64:
        """How alike tracks are, corrected for hubs by their local scales, 0 to 1: [shape=(ones, others)]."""
        return alike(*self.points(ones), *self.points(others))


def alike(
    ones: NDArray[np.float32],
    scales: NDArray[np.float32],
    others: NDArray[np.float32],
    other_scales: NDArray[np.float32],
) -> Floats64:
    """exp(-d² / (scale · scale)) of all pairs: [shape=(ones, others)] (Zelnik-Manor & Perona, 2004)."""
    return np.exp(-scaled(ones, scales, others, other_scales))


def scaled(
    ones: NDArray[np.float32],
    scales: NDArray[np.float32],
    others: NDArray[np.float32],
    other_scales: NDArray[np.float32],
) -> Floats64:
    """Squared distances of all pairs in units of both local scales: [shape=(ones, others)]."""
    squares = np.einsum("ij,ij->i", ones, ones)[:, None] + np.einsum("ij,ij->i", others, others)[None, :]
    apart = np.maximum(squares - 2 * (ones @ others.T), 0.0)
    return (apart / (np.outer(scales, other_scales) + 1e-12)).astype(np.float64)
