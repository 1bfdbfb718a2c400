"""Per-process cache of the index: neighbours of tracks, and id → row.

A model version stores the neighbours of each of its tracks (`Index.stored_neighbours`). For tracks that were added since, and
for models without stored neighbours, the index is queried once per process and track.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from batch.index.lsh import STORED_NEIGHBOURS, Index, Rows
from batch.index.projection import Floats
from batch.words.tag_percentiles import said

CACHED_NEIGHBOUR_LISTS = 20_000
"""About 10 MB a process."""
CACHED_SAMPLE_ROWS = 20_000
"""About 16 MB a process."""
CACHED_WIDE_LISTS = 2_000
"""About 16 MB a process."""
WIDE_NEIGHBOURS = 1_000
EXACT_TRACKS = 20_000
"""In a library of up to so many tracks wide neighbours are found by comparing all; in a larger one by the LSH index."""
CACHED_TRACK_IDS = 200_000
"""About 30 MB a process; long listening histories need many."""
SAMPLE_TRACKS = 200
MOST_ADDED_SHARE = 0.1
"""Where a larger share of the tracks was added since the training, the stored neighbours are not used."""
MOST_TOMBSTONED_SHARE = 0.5
"""Where as many of a track's stored neighbours are tombstoned, the index is queried instead."""


@dataclass(frozen=True)
class Points:
    """n tracks in index space.

    vectors : [shape=(n, d)]
    squares : squared lengths [shape=(n,)]
    scales : local scales [shape=(n,)]
    """

    vectors: Floats
    squares: Floats
    scales: Floats

    def __len__(self) -> int:
        return len(self.scales)

    def take(self, positions: NDArray[np.integer]) -> Points:
        return Points(self.vectors[positions], self.squares[positions], self.scales[positions])


class CachedIndex:
    """An index with caches. Not thread-safe: a process serves in one thread."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._neighbours: OrderedDict[int, Rows] = OrderedDict()
        self._wide_neighbours: OrderedDict[int, Rows] = OrderedDict()
        self._sample_position: dict[int, int] = {}
        """Position of a row in `_sample_similarity`."""
        self._sample_similarity = np.empty((0, 0), dtype=np.float32)
        self._row_by_id: dict[str, int] = {}
        self._is_excluded = np.zeros(len(index), dtype=bool)

    @cached_property
    def present(self) -> Rows:
        """Rows that are not tombstoned."""
        return self.index.present

    @cached_property
    def sample_rows(self) -> Rows:
        """Up to SAMPLE_TRACKS rows, evenly spaced, to estimate properties of all."""
        positions = np.unique(np.linspace(0, max(0, len(self) - 1), SAMPLE_TRACKS).astype(np.int64))
        return self.present[positions] if len(self) else self.present

    @cached_property
    def sample(self) -> Points:
        """The points of `sample_rows`."""
        return self.points(self.sample_rows)

    def sample_similarity(self, rows: Rows) -> Floats:
        """Similarity of each row to the tracks of the sample; 0 to itself [shape=(rows, sample)]."""
        position_by_row = self._sample_position
        missing = [row for row in rows.tolist() if row not in position_by_row]
        if missing and len(position_by_row) + len(missing) > CACHED_SAMPLE_ROWS:
            position_by_row.clear()
            missing = rows.tolist()
        if len(position_by_row) + len(missing) > len(self._sample_similarity):
            grown = np.empty((2 * (len(position_by_row) + len(missing)), len(self.sample)), dtype=np.float32)
            if len(self._sample_similarity):
                grown[: len(self._sample_similarity)] = self._sample_similarity
            self._sample_similarity = grown
        codes = self.recordings(self.sample_rows) if missing else rows
        for row in missing:  # one by one: the last digit of a product depends on how many rows are multiplied
            one_row = np.array([row], dtype=np.int64)
            similarities = similarity(self.points(one_row), self.sample)[0]
            similarities[codes == self.recordings(one_row)] = 0.0
            position_by_row[row] = len(position_by_row)
            self._sample_similarity[position_by_row[row]] = similarities
        if not len(rows):
            return np.empty((0, len(self.sample)), dtype=np.float32)
        return self._sample_similarity.take([position_by_row[row] for row in rows.tolist()], axis=0)

    def __len__(self) -> int:
        return len(self.present)

    def neighbours(self, rows: Rows) -> Rows:
        """The tracks themselves and their neighbours by the LSH index, sorted, each once, without tombstoned rows."""
        is_stored = self._has_stored_neighbours(rows)
        stored, others = rows[is_stored], rows[~is_stored].tolist()
        self._query(others)
        for row in others:
            self._neighbours.move_to_end(row)
        parts = [rows, *(self._neighbours[row] for row in others)]
        while len(self._neighbours) > CACHED_NEIGHBOUR_LISTS:
            self._neighbours.popitem(last=False)
        if len(stored):
            parts += [self.index.stored_neighbours[stored].ravel(), self._added_neighbours(stored)]
        neighbours = sorted_unique(np.concatenate(parts, dtype=np.int64))
        return neighbours[~self._is_tombstoned[neighbours]]

    @cached_property
    def _stored_rows(self) -> int:
        """The number of first rows whose stored neighbours are used."""
        stored_rows = 0 if self.index.stored_neighbours is None else len(self.index.stored_neighbours)
        return stored_rows if len(self.index) - stored_rows <= MOST_ADDED_SHARE * stored_rows else 0

    @cached_property
    def _is_tombstoned(self) -> NDArray[np.bool_]:
        is_tombstoned = np.ones(len(self.index), dtype=bool)
        is_tombstoned[self.present] = False
        return is_tombstoned

    def _has_stored_neighbours(self, rows: Rows) -> NDArray[np.bool_]:
        """Whether the model stores a track's neighbours, and most of them are not tombstoned [shape=(rows,)]."""
        is_stored = rows < self._stored_rows
        if is_stored.any():
            tombstoned_share = self._is_tombstoned[self.index.stored_neighbours[rows[is_stored]]].mean(axis=1)
            is_stored[is_stored] = tombstoned_share < MOST_TOMBSTONED_SHARE
        return is_stored

    @cached_property
    def _added(self) -> tuple[Rows, Points]:
        """(rows, points) of the tracks that were added after the neighbours were stored."""
        rows = self.present[self.present >= self._stored_rows]
        return rows, self.points(rows)

    def _added_neighbours(self, rows: Rows) -> Rows:
        """Added tracks that are at least as near to one of the rows as the last of its stored neighbours."""
        added, added_points = self._added
        if not len(added):
            return added
        points, most = self.points(rows), min(STORED_NEIGHBOURS, len(added))
        stored = self.index.stored_neighbours[rows]
        is_whole_library = (
            stored.shape[1] < STORED_NEIGHBOURS
        )  # there were no more tracks, so that an added one is always a neighbour
        furthest = (
            np.full(len(rows), np.inf)
            if is_whole_library
            else np.diagonal(scaled_distances(points, self.points(stored[:, -1])))
        )
        distances = scaled_distances(points, added_points)
        nearest = np.argpartition(distances, most - 1, axis=1)[:, :most]
        return added[nearest[np.take_along_axis(distances, nearest, axis=1) <= furthest[:, None]]]

    def wide_neighbours(self, row: int) -> Rows:
        """Up to WIDE_NEIGHBOURS tracks nearest to one, by local scales, nearest first: for listeners who heard those around
        it."""
        if row not in self._wide_neighbours:
            self._wide_neighbours[row] = self._query_wide(row)
            if len(self._wide_neighbours) > CACHED_WIDE_LISTS:
                self._wide_neighbours.popitem(last=False)
        self._wide_neighbours.move_to_end(row)
        return self._wide_neighbours[row]

    def _query_wide(self, row: int) -> Rows:
        if len(self) > EXACT_TRACKS:
            return np.asarray(self.index.similar(np.array([row]), WIDE_NEIGHBOURS)[0][0], dtype=np.int64)
        distances = scaled_distances(self.points(np.array([row])), self._all_points)[0]
        nearest = self.present[np.argsort(distances, kind="stable")[: WIDE_NEIGHBOURS + 1]]
        return nearest[nearest != row][:WIDE_NEIGHBOURS]

    @cached_property
    def _all_points(self) -> Points:
        return self.points(self.present)

    def is_added(self, rows: Rows) -> NDArray[np.bool_]:
        """Whether each track was added since the training [shape=(rows,)]."""
        return rows >= self.index.tables.rows.shape[1]

    def recordings(self, rows: Rows) -> Rows:
        """The recording's code of each row: equal for tracks that are one recording [shape=(rows,)]."""
        codes = self.index.recordings
        return rows if codes is None else np.asarray(codes.take(rows), dtype=np.int64)

    def without(self, rows: Rows, excluded: Rows) -> Rows:
        """The rows that are not excluded, in their order."""
        self._is_excluded[excluded] = True
        try:
            return rows[~self._is_excluded[rows]]
        finally:
            self._is_excluded[excluded] = False

    def prefetch(self, rows: Rows) -> None:
        """Queries the index for neighbours that are not cached: one query for many tracks costs less than one for each."""
        self._query(rows[~self._has_stored_neighbours(rows)].tolist())

    def _query(self, rows: list[int]) -> None:
        missing = sorted({row for row in rows if row not in self._neighbours})
        if not missing:  # as a rule; an empty query would still visit every hash table
            return
        queried = np.array(missing, dtype=np.int64)
        for row, (neighbours, _) in zip(missing, self.index.similar(queried, STORED_NEIGHBOURS), strict=True):
            self._neighbours[row] = np.asarray(neighbours, dtype=np.int64)

    def rows_of(self, ids: Sequence[str]) -> Rows:
        """Row of each track, -1 where the index lacks it [shape=(ids,)]."""
        rows = [self._row_by_id.get(track_id) for track_id in ids]
        if None in rows:
            missing = [track_id for track_id, row in zip(ids, rows, strict=True) if row is None]
            if len(self._row_by_id) > CACHED_TRACK_IDS:
                self._row_by_id.clear()
                missing = list(ids)
            self._row_by_id.update(zip(missing, self.index.rows_of(missing).tolist(), strict=True))
            rows = [self._row_by_id[track_id] for track_id in ids]
        return np.array(rows, dtype=np.int64)

    def points(self, rows: Rows) -> Points:
        vectors = np.asarray(self.index.vectors.take(rows, axis=0))
        return Points(vectors, np.einsum("ij,ij->i", vectors, vectors), np.asarray(self.index.scales.take(rows)))

    def artists(self, rows: Rows) -> NDArray[np.int32]:
        """The artist's code of each row, -1 for none [shape=(rows,)]."""
        return np.asarray(self.index.artists.take(rows))

    def artists_of_each(self, rows: Rows) -> NDArray[np.int32]:
        """Codes of each artist of each row, -1 for none and for placeholders [shape=(rows, 1 or more)]."""
        return self.index.artists_of_each(rows)

    @cached_property
    def _column_by_word(self) -> dict[str, int]:
        return (
            {} if self.index.tags is None else {str(name): column for column, name in enumerate(self.index.tag_names)}
        )

    @cached_property
    def words(self) -> list[str]:
        """The words whose percentiles the index has, by column; none where the model has none."""
        return list(self._column_by_word)

    def word_percentiles(self, rows: Rows) -> NDArray[np.uint8]:
        """How high each row stands in the library for each of `words`, 0 to 100 [shape=(rows, words)]."""
        if self.index.tags is None:
            return np.zeros((len(rows), 0), dtype=np.uint8)
        return np.asarray(self.index.tags.take(rows, axis=0))

    def rows_with(self, word: str) -> Rows:
        """Rows of which a word is said, sorted, without tombstoned ones; none for a word that the index lacks."""
        column = self._column_by_word.get(word)
        return self.present[:0] if column is None else self.present[self._is_said[:, column]]

    @cached_property
    def _is_said(self) -> NDArray[np.bool_]:
        """Which words are said of each row of `present`."""
        return said(self.word_percentiles(self.present))

    @cached_property
    def median_distance(self) -> float:
        """The median distance between any two tracks, in local scales, estimated on the sample."""
        distances = np.sqrt(scaled_distances(self.sample, self.sample))
        pairs = distances[np.triu_indices(len(distances), 1)]
        return float(np.median(pairs)) if len(pairs) else 1.0


def sorted_unique(rows: Rows) -> Rows:
    """As np.unique, which takes longer for a few hundred rows."""
    ordered = np.sort(rows)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def similarity(first: Points, second: Points) -> Floats:
    """exp(-d² / (scale · scale)) of all pairs: float32 [shape=(first, second)].

    Local scaling corrects for hubs (Zelnik-Manor & Perona, NIPS 2004).
    """
    distances = scaled_distances(first, second)
    return np.exp(np.negative(distances, out=distances), out=distances)


def scaled_distances(first: Points, second: Points) -> Floats:
    """Squared distances of all pairs over the product of both local scales: float32 [shape=(first, second)]."""
    distances = first.vectors @ second.vectors.T
    distances *= -2
    distances += first.squares[:, None]
    distances += second.squares
    np.maximum(distances, 0.0, out=distances)
    distances /= np.outer(first.scales, second.scales) + np.float32(1e-12)
    return distances
