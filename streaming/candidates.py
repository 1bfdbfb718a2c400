"""The index with a memory: neighbours of a track are looked up once a process, and what many lists need is kept at hand."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from batch.index import Index, Rows
from batch.space import Floats

Floats64 = NDArray[np.float64]

NEIGHBOURS = 60
REMEMBERED = 20_000
"""Tracks whose neighbours are kept: about 10 MB a process."""
SAMPLE = 400


@dataclass(frozen=True)
class Points:
    """n tracks as points: vectors [shape=(n, d)], their squared lengths and local scales [shape=(n,)]."""

    vectors: Floats
    squares: Floats
    scales: Floats

    def __len__(self) -> int:
        return len(self.scales)

    def at(self, places: NDArray[np.integer]) -> Points:
        return Points(self.vectors[places], self.squares[places], self.scales[places])


class Catalogue:
    """The tracks that can be listed, by row of the index."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._near: OrderedDict[int, Rows] = OrderedDict()
        self._rows: dict[str, int] = {}

    @cached_property
    def present(self) -> Rows:
        """Rows of the tracks that are there."""
        return self.index.present

    @cached_property
    def sample(self) -> Points:
        """Some hundred tracks, evenly spaced: what is true of them is about true of all."""
        places = np.unique(np.linspace(0, max(0, len(self) - 1), SAMPLE).astype(np.int64))
        return self.points(self.present[places] if len(self) else self.present)

    def __len__(self) -> int:
        return len(self.present)

    def near(self, rows: Rows) -> Rows:
        """The neighbours of the tracks, by the LSH index: rows, each once, the tracks themselves among them."""
        self.look_up(rows)
        for row in rows:
            self._near.move_to_end(int(row))
        together = [self._near[int(row)] for row in rows]
        while len(self._near) > REMEMBERED:
            self._near.popitem(last=False)
        return np.unique(np.concatenate([*together, rows])) if together else np.empty(0, dtype=np.int64)

    def look_up(self, rows: Rows) -> None:
        """Asks the index for the neighbours of the tracks that are not known yet: many at once take less than one by one."""
        missing = sorted({row for row in rows.tolist() if row not in self._near})
        if not missing:  # as a rule: asking the index for nothing looks into every band all the same
            return
        asked = np.array(missing, dtype=np.int64)
        for row, (found, _) in zip(missing, self.index.similar(asked, NEIGHBOURS), strict=True):
            self._near[row] = np.asarray(found, dtype=np.int64)

    def rows_of(self, ids: Sequence[str]) -> Rows:
        """Row of each track, -1 for one that the index lacks; listeners ask for the same few over and over."""
        missing = [track_id for track_id in ids if track_id not in self._rows]
        if missing:
            if len(self._rows) > REMEMBERED:
                self._rows.clear()
                missing = list(ids)
            self._rows.update(zip(missing, self.index.rows_of(missing).tolist(), strict=True))
        return np.array([self._rows[track_id] for track_id in ids], dtype=np.int64)

    def points(self, rows: Rows) -> Points:
        vectors = np.asarray(self.index.vectors[rows])
        return Points(vectors, np.einsum("ij,ij->i", vectors, vectors), np.asarray(self.index.scales[rows]))

    def artists(self, rows: Rows) -> NDArray[np.int32]:
        """The artist's number of each row, -1 where there is none."""
        return np.asarray(self.index.artists[rows])

    @cached_property
    def typical(self) -> float:
        """The usual distance between any two tracks, in local scales."""
        some = self.sample.at(np.arange(0, len(self.sample), max(1, len(self.sample) // 200)))
        between = np.sqrt(scaled(some, some))
        pairs = between[np.triu_indices(len(some), 1)]
        return float(np.median(pairs)) if len(pairs) else 1.0

    def likeness(self, ones: Rows, others: Rows) -> Floats:
        """How alike tracks are, 0 to 1: [shape=(ones, others)]."""
        return alike(self.points(ones), self.points(others))


def alike(ones: Points, others: Points) -> Floats:
    """exp(-d² / (scale · scale)) of all pairs, which corrects for hubs: [shape=(ones, others)] (Zelnik-Manor & Perona, 2004)."""
    apart = scaled(ones, others)
    return np.exp(np.negative(apart, out=apart), out=apart)


def scaled(ones: Points, others: Points) -> Floats:
    """Squared distances of all pairs in units of both local scales: float32 [shape=(ones, others)]."""
    apart = ones.vectors @ others.vectors.T
    apart *= -2
    apart += ones.squares[:, None]
    apart += others.squares
    np.maximum(apart, 0.0, out=apart)
    apart /= np.outer(ones.scales, others.scales) + np.float32(1e-12)
    return apart
