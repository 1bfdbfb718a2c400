"""The index with a memory: what many lists need is kept at hand.

A model keeps the index's answer for each of its tracks (`Index.near`); what it does not have, of tracks that were added since or
in a model of an earlier day, is asked for once a process.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from batch.index.lsh import NEAR, Index, Rows
from batch.index.projection import Floats

REMEMBERED = 20_000
"""Tracks whose neighbours are kept: about 10 MB a process."""
NAMED = 200_000
"""Track ids whose rows are kept: about 30 MB a process. Long listening histories ask for many."""
SAMPLE = 200
OUTGROWN = 0.1
"""Where more than this share of the tracks was added since, the neighbours that the model keeps say too little."""


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
        self._is_other = np.zeros(len(index), dtype=bool)

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
        is_stored = self._is_stored(rows)
        stored, others = rows[is_stored], rows[~is_stored].tolist()
        self._ask(others)
        for row in others:
            self._near.move_to_end(row)
        together = [rows, *(self._near[row] for row in others)]
        while len(self._near) > REMEMBERED:
            self._near.popitem(last=False)
        if len(stored):
            together += [self.index.near[stored].ravel(), self._newcomers(stored)]
        found = once(np.concatenate(together, dtype=np.int64))
        return found[~self._is_gone[found]]

    @cached_property
    def _kept(self) -> int:
        """Of so many rows the model keeps the neighbours, as far as they can be relied on."""
        kept = 0 if self.index.near is None else len(self.index.near)
        return kept if len(self.index) - kept <= OUTGROWN * kept else 0

    @cached_property
    def _is_gone(self) -> NDArray[np.bool_]:
        is_gone = np.ones(len(self.index), dtype=bool)
        is_gone[self.present] = False
        return is_gone

    def _is_stored(self, rows: Rows) -> NDArray[np.bool_]:
        """Whether the model keeps a track's neighbours, and most of them are still there."""
        is_stored = rows < self._kept
        if is_stored.any():
            is_stored[is_stored] = self._is_gone[self.index.near[rows[is_stored]]].mean(axis=1) < 0.5
        return is_stored

    @cached_property
    def _added(self) -> tuple[Rows, Points]:
        rows = self.present[self.present >= self._kept]
        return rows, self.points(rows)

    def _newcomers(self, rows: Rows) -> Rows:
        """Of the tracks that came since, those nearest to one of the rows, where they are no further than its last neighbour."""
        added, points = self._added
        if not len(added):
            return added
        mine, most = self.points(rows), min(NEAR, len(added))
        near = self.index.near[rows]
        is_whole = near.shape[1] < NEAR  # all there were: whoever came is one more
        furthest = np.full(len(rows), np.inf) if is_whole else np.diagonal(scaled(mine, self.points(near[:, -1])))
        apart = scaled(mine, points)
        nearest = np.argpartition(apart, most - 1, axis=1)[:, :most]
        return added[nearest[np.take_along_axis(apart, nearest, axis=1) <= furthest[:, None]]]

    def without(self, rows: Rows, others: Rows) -> Rows:
        """Those of the rows that are none of the others, in their order. One call at a time: a process serves in one thread."""
        self._is_other[others] = True
        try:
            return rows[~self._is_other[rows]]
        finally:
            self._is_other[others] = False

    def look_up(self, rows: Rows) -> None:
        """Asks the index for the neighbours of the tracks that are not known yet: many at once take less than one by one."""
        self._ask(rows[~self._is_stored(rows)].tolist())

    def _ask(self, rows: list[int]) -> None:
        missing = sorted({row for row in rows if row not in self._near})
        if not missing:  # as a rule: asking the index for nothing looks into every band all the same
            return
        asked = np.array(missing, dtype=np.int64)
        for row, (found, _) in zip(missing, self.index.similar(asked, NEAR), strict=True):
            self._near[row] = np.asarray(found, dtype=np.int64)

    def rows_of(self, ids: Sequence[str]) -> Rows:
        """Row of each track, -1 for one that the index lacks; listeners ask for the same few over and over."""
        missing = [track_id for track_id in ids if track_id not in self._rows]
        if missing:
            if len(self._rows) > NAMED:
                self._rows.clear()
                missing = list(ids)
            self._rows.update(zip(missing, self.index.rows_of(missing).tolist(), strict=True))
        return np.array([self._rows[track_id] for track_id in ids], dtype=np.int64)

    def points(self, rows: Rows) -> Points:
        vectors = np.asarray(self.index.vectors.take(rows, axis=0))
        return Points(vectors, np.einsum("ij,ij->i", vectors, vectors), np.asarray(self.index.scales.take(rows)))

    def artists(self, rows: Rows) -> NDArray[np.int32]:
        """The artist's number of each row, -1 where there is none."""
        return np.asarray(self.index.artists.take(rows))

    @cached_property
    def typical(self) -> float:
        """The usual distance between any two tracks, in local scales."""
        between = np.sqrt(scaled(self.sample, self.sample))
        pairs = between[np.triu_indices(len(between), 1)]
        return float(np.median(pairs)) if len(pairs) else 1.0


def once(rows: Rows) -> Rows:
    """The rows in order, each once: of a few hundred sooner than np.unique."""
    ordered = np.sort(rows)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


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
