"""Nearest neighbours without asking everybody: a dict from hashed regions of a space to the tracks in them.

Tracks that share a bucket with a query in enough bands are its candidates (`batch.index.hash_tables`), and the exact distance
ranks them. Wider buckets or more bands: better recall, more candidates to rank. A far track meets a query in one band by
chance, a near one in several: counting bands (Gan et al., C2LSH, 2012) keeps most near ones and few others. Where that gives
too few, one band is enough, and where that gives too few, everybody is asked.

Everything is a numpy array in a folder, memory-mapped when opened: one copy a node, whoever reads it. The tracks of the
training come first, sorted by id; behind them those that were added since (`batch.index.segments`). Knows nothing of Spark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch.index import segments, storage
from batch.index.exact import SCALE_NEIGHBOUR, rankings, recalled, squared
from batch.index.exact import Rows as Rows  # the stream has it from here
from batch.index.hash_tables import Bands, bands
from batch.index.projection import Floats, Space, to_unit
from batch.index.segments import Segment, Stacked
from batch.index.storage import IndexUnreadable as IndexUnreadable

SHORTLIST, SHORTLISTED, SHORTLISTED_OF = 512, 12, 12
"""Of more candidates than that, and than so many times those asked for, the nearest by their sketch are ranked exactly: so many,
and no fewer than one in twelve."""
NEAR = 60
"""Tracks of each ranking that are kept beside the index: candidates of the stream."""
_BLOCK = 256


@dataclass(frozen=True)
class Index:
    """The tracks of a library as points, and the bands that find near ones. What is said of n tracks is by row.

    ids : [shape=(n,)];  vectors : float32 points [shape=(n, m)];  scales : float32 [shape=(n,)], see `similarity`
    artists : int32 [shape=(n,)], equal where the artist is the same, -1 where there is none
    names : of the artists, by their number; empty in format 1 as first written
    sketches : [shape=(n, components)], see Space.sketches; None: every candidate is ranked exactly
    near : int32 [shape=(n of the training, k)], what `similar` says of each track, k the fewer of NEAR and n - 1; None: unknown
    found : the bands of the tracks of the training;  found_added : of those added since
    gone : rows that were removed, or added again with other features; they are in nobody's list, and `rows_of` has them not
    """

    space: Space
    ids: Any
    vectors: Any
    scales: Any
    artists: Any
    names: NDArray[np.str_]
    found: Bands
    found_added: Bands | None = None
    sketches: Any = None
    near: Any = None
    gone: Rows | None = None

    def __len__(self) -> int:
        """Rows, those that are gone included."""
        return len(self.ids)

    @cached_property
    def present(self) -> Rows:
        """The rows of the tracks that are there."""
        everyone = np.arange(len(self))
        return everyone if self.gone is None else np.delete(everyone, self.gone)

    def rows_of(self, ids: Sequence[str]) -> Rows:
        """Row of each track; -1 for one that the index lacks."""
        if not len(self) or not len(ids):
            return np.full(len(ids), -1, dtype=np.int64)
        wanted = np.array(ids, dtype=np.str_)
        if not isinstance(self.ids, Stacked):
            rows = _places(self.ids, wanted)
        else:
            later = _places(self.ids.second, wanted)
            rows = np.where(later >= 0, later + len(self.ids.first), _places(self.ids.first, wanted))
        return rows if self.gone is None else np.where(np.isin(rows, self.gone), -1, rows)

    def artist_of(self, row: int) -> str:
        """The artist's name without regard to case; "" where there is none."""
        code = int(self.artists[row])
        return str(self.names[code]) if 0 <= code < len(self.names) else ""

    def candidates(self, points: Floats, least: int = 0) -> list[Rows]:
        """For each point the tracks that share enough band keys with it, sorted by row.

        least : where fewer than that share enough keys, those that share one are its candidates
        """
        return list(self._candidates(np.asarray(points), least))

    def _candidates(self, points: Floats, least: int) -> Iterator[Rows]:
        keys = self.space.keys(points, self.space.probes)
        places, limit = self.space.order(points), self.space.limit
        buckets = self.found.buckets(keys)
        later = None if self.found_added is None else self.found_added.buckets(keys)
        n = self.found.rows.shape[1]
        for at in range(len(points)):
            met = self.found.counter(len(self))
            self.found.count(met[:n], buckets[at], float(places[at]), limit)
            if later is not None and self.found_added is not None:
                self.found_added.count(met[n:], later[at], float(places[at]), limit)
            if self.gone is not None:
                met[self.gone] = 0
            rows = np.flatnonzero(met >= self.space.shared)
            yield np.flatnonzero(met) if len(rows) < least else rows

    def neighbours(self, points: Floats, k: int) -> list[tuple[Rows, Floats]]:
        """The k nearest tracks of each point among its candidates: (rows, Euclidean distances), nearest first.

        Where the bands give fewer than k, all tracks are candidates: an exact answer rather than a short one.
        """
        k = min(k, len(self.present))
        nearest = []
        sketches = self.space.sketch(points)
        for point, sketch, rows in zip(points, sketches, self._candidates(points, k), strict=True):
            rows = self._shortlist(sketch, self.present if len(rows) < k else rows, k, is_scaled=False)
            distance = distances(point, self.vectors.take(rows, axis=0))
            best = np.argpartition(distance, k - 1)[:k] if 0 < k < len(rows) else np.arange(len(rows))
            best = best[np.lexsort((rows[best], distance[best]))]
            nearest.append((rows[best], distance[best]))
        return nearest

    def similarity(self, scale: float, rows: Rows, distance: Floats) -> Floats:
        """Likeness of tracks at a distance from a point whose local scale is given: 1 where they are the same, towards 0."""
        return np.exp(-np.square(distance) / (scale * self.scales[rows] + 1e-12)).astype(np.float32)

    def similar(self, rows: Rows, k: int) -> list[tuple[Rows, Floats]]:
        """The k tracks most like each given one, itself left out: (rows, similarity), ranked by similarity.

        All candidates are scaled before the best are taken: scaling the k nearest alone would keep the hubs among them.
        """
        return self.like(self.vectors[rows], k, self.scales[rows], rows)

    def like(
        self, points: Floats, k: int, scales: Floats | None = None, but: Rows | None = None
    ) -> list[tuple[Rows, Floats]]:
        """The k tracks most like each point, such as a taste's centre: (rows, similarity), ranked by similarity.

        scales : of the points; else each point's own distance to its seventh neighbour;  but : a row to leave out of each
        """
        points = to_unit(np.asarray(points, dtype=np.float32)) if self.space.unit else np.asarray(points)
        ranked = []
        sketches = self.space.sketch(points)
        least = max(k, SCALE_NEIGHBOUR)
        for at, (point, rows) in enumerate(zip(points, self._candidates(points, least + 1), strict=True)):
            rows = rows if but is None else rows[rows != but[at]]
            if len(rows) < least:
                rows = self.present if but is None else self.present[self.present != but[at]]
            rows = self._shortlist(sketches[at], rows, k, is_scaled=True)
            distance = distances(point, self.vectors.take(rows, axis=0))
            scale = float(_scale(distance) if scales is None else scales[at])
            score = self.similarity(scale, rows, distance)
            best = np.argpartition(-score, k - 1)[:k] if 0 < k < len(rows) else np.arange(len(rows))[:k]
            best = best[np.lexsort((rows[best], -score[best]))]
            ranked.append((rows[best], score[best]))
        return ranked

    def _shortlist(self, sketch: Floats, rows: Rows, k: int, is_scaled: bool) -> Rows:
        """Of many candidates those that may be among the best k, by their distance in the sketch (by local scales)."""
        most = max(SHORTLIST, SHORTLISTED * k, len(rows) // SHORTLISTED_OF)
        if self.sketches is None or len(rows) <= most:
            return rows
        difference = self.sketches.take(rows, axis=0).astype(np.float32)
        difference -= sketch
        squared = np.einsum("ij,ij->i", difference, difference)
        if is_scaled:
            squared /= self.scales[rows]
        return np.sort(rows[np.argpartition(squared, most - 1)[:most]])

    def nbytes(self) -> int:
        """Bytes of all arrays; what is mapped from the same files is shared by the processes of a node."""
        arrays = [self.ids, self.vectors, self.scales, self.artists, self.sketches, self.near]
        for found in filter(None, (self.found, self.found_added)):
            arrays += [found.keys, found.rows, found.order]
        parts = [part for a in arrays for part in ((a.first, a.second) if isinstance(a, Stacked) else (a,))]
        return sum(part.nbytes for part in parts if part is not None)

    def only(self, rows: Rows) -> Index:
        """The index of these tracks alone, as trained, held in memory.  rows : sorted; none of them added since the training"""
        return replace(
            self,
            ids=self.ids[rows],
            vectors=self.vectors[rows],
            scales=self.scales[rows],
            artists=self.artists[rows],
            sketches=None if self.sketches is None else self.sketches[rows],
            found=self.found.only(rows),
            near=None,
            found_added=None,
            gone=None,
        )

    def save(self, folder: Path) -> None:
        """Writes one .npy file an array; of an index as trained, without what was added."""
        if isinstance(self.ids, Stacked):
            raise ValueError("an index with added tracks is saved by its segments: batch.index.updates.append")
        own = {
            name: getattr(self, name) for name in ("ids", "vectors", "scales", "artists", "names", "sketches", "near")
        }
        storage.save(folder, {**own, **vars(self.found)}, self.space)

    @classmethod
    def open(cls, folder: Path, as_trained: bool = False) -> Index:
        """Maps the arrays into memory, with what was added and removed since unless `as_trained`. Raises IndexUnreadable."""
        try:
            arrays: dict[str, Any] = storage.arrays(folder)
            space = Space.open(folder / "space.npz")
            since = segments.read(folder, space.components.shape[0])
            storage.check(arrays, space, since)
        except storage.UNREADABLE as error:
            raise IndexUnreadable(f"no index in {folder}: {error}; train again with batch/train.py") from error
        whole = cls(
            space=space,
            names=np.asarray(arrays.pop("names", np.empty(0, dtype=np.str_))),
            found=Bands(arrays.pop("keys"), arrays.pop("rows"), arrays.pop("order", None)),
            **arrays,
        )
        return whole if as_trained else with_added(whole, since)

    @staticmethod
    def state(folder: Path) -> str:
        """Changes whenever something was added to or removed from the index in the folder; cheap enough for every batch."""
        return segments.state(folder)


def with_added(base: Index, since: Segment) -> Index:
    """The index as trained, with the tracks of a segment behind it and without those that the segment removes or replaces."""
    if not len(since) and not len(since.removed):
        return base
    codes = {str(name): code for code, name in enumerate(base.names)}
    first = int(np.max(base.artists, initial=-1)) + 1  # format 1 as first written has codes without names
    for name in dict.fromkeys(since.artists.tolist()):
        if name and name not in codes:
            codes[name], first = first, first + 1
    artists = np.array([codes[name] if name else -1 for name in since.artists.tolist()], dtype=np.int32)
    names = np.array(list(codes), dtype=np.str_) if len(base.names) else base.names
    gone = _places(base.ids, np.concatenate([since.removed, since.ids])) if len(base) else np.empty(0, np.int64)
    gone = np.unique(gone[gone >= 0])
    return Index(
        space=base.space,
        ids=Stacked(base.ids, since.ids),
        vectors=Stacked(base.vectors, since.points),
        scales=Stacked(base.scales, since.scales),
        artists=Stacked(base.artists, artists),
        names=names,
        sketches=None if base.sketches is None else Stacked(base.sketches, base.space.sketches(since.points)),
        found=base.found,
        near=base.near,
        found_added=bands(since.points, base.space) if len(since) else None,
        gone=gone if len(gone) else None,
    )


def distances(point: Floats, others: Floats) -> Floats:
    """Euclidean distance of a point [shape=(m,)] to others [shape=(n, m)]."""
    difference = others - point
    return np.sqrt(np.einsum("ij,ij->i", difference, difference))


def index(ids: list[str], features: NDArray[np.floating], artists: Sequence[str | None], space: Space) -> Index:
    """An index over tracks, with local scales of 1 until `with_local_scales`.

    ids : n track ids;  features : [shape=(n, d)], as in the table `features`;  artists : their names
    """
    order = np.argsort(np.array(ids, dtype=np.str_))
    points = space.points(np.asarray(features)[order])
    known, codes = artist_codes([artists[at] for at in order])
    return Index(
        space=space,
        ids=np.array(ids, dtype=np.str_)[order],
        vectors=points,
        scales=np.ones(len(ids), dtype=np.float32),
        artists=codes,
        names=known,
        found=bands(points, space),
        sketches=space.sketches(points),
    )


def artist_codes(artists: Sequence[str | None]) -> tuple[NDArray[np.str_], NDArray[np.int32]]:
    """(the artists' names without regard to case, sorted; the number of each track's artist, -1 for none)."""
    names = np.array([(artist or "").casefold() for artist in artists], dtype=np.str_)
    known = np.unique(names[names != ""])
    return known, np.where(names == "", -1, np.searchsorted(known, names)).astype(np.int32)


def with_local_scales(whole: Index) -> Index:
    """The index with each track's distance to its seventh neighbour (or its furthest in a tiny library), at least a little."""
    return replace(whole, scales=positive(local_scales(whole, whole.vectors)))


def local_scales(whole: Index, points: Floats) -> Floats:
    """Distance of each point, itself in the index, to its seventh neighbour there: float32 [shape=(n,)]."""
    scales = np.ones(len(points), dtype=np.float32)
    for start in range(0, len(points), _BLOCK):
        block = points[start : start + _BLOCK]
        scales[start : start + _BLOCK] = [d[-1] for _, d in whole.neighbours(block, SCALE_NEIGHBOUR + 1)]
    return scales


def positive(scales: Floats) -> Floats:
    """Scales with those of 0, of tracks that are many times there, raised to the least of the others."""
    some = scales[scales > 0]
    return np.maximum(scales, some.min() if len(some) else np.float32(1.0)).astype(np.float32)


def quality(whole: Index, sample: int, k: int) -> tuple[float, float]:
    """(recall@k of the bands against exact search, mean share of the tracks that are candidates), over every n-th track.

    Queries that the bands leave with fewer than k candidates count with what the bands gave them.
    """
    points = np.asarray(whole.vectors)
    queries = points[np.linspace(0, len(whole) - 1, min(sample, len(whole))).astype(int)]
    found = whole.candidates(queries)
    share = sum(len(rows) for rows in found) / (len(queries) * len(whole))
    return recalled(found, [near[:k] for near in rankings(squared(queries, points))]), share


def _scale(distance: Floats) -> float:
    at = min(SCALE_NEIGHBOUR, len(distance)) - 1
    return max(float(np.partition(distance, at)[at]), 1e-6) if at >= 0 else 1.0


def _places(ids: NDArray[np.str_], wanted: NDArray[np.str_]) -> Rows:
    """Place of each wanted id among sorted ones; -1 where it is not."""
    if not len(ids):
        return np.full(len(wanted), -1, dtype=np.int64)
    at = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return np.where(ids[at] == wanted, at, -1)
