"""Which tracks are one recording: one song as FLAC and as MP3, on the album and on a compilation. No Spark.

Tracks are one recording where

- their distance is next to nothing, in units of both local scales, as in `Index.similarity`. How near that is follows from the
  dimension that the library's own nearest distances have (after Levina & Bickel, 2004): nearer than chance would bring a
  track to its neighbour. Equal lengths make less nearness do, lengths that differ demand more. A track joins a group only
  when it is near to all of it (complete linkage), so that many short, similar sounds do not become one recording by chains;
- or artist, title and length are the same (`batch.library.titles`).

Only the nearest neighbours that the index gives are compared, never all pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch.index.exact import LOCAL_SCALE_NEIGHBOUR
from batch.index.lsh import Index
from batch.index.projection import Floats, Rows
from batch.library.titles import LENGTH_TOLERANCE_S, LENGTH_TOLERANCE_SHARE, TitleKeys, lengths_agree

Codes = NDArray[np.int32]
"""The row of the first track of each track's recording, its own row when alone [shape=(n,)]."""

EQUAL_LENGTH_S = 0.25
"""Encoders add less to a recording."""
COMMON_LENGTH_SHARE = 0.02
"""A length that more of the library's tracks have, as clips do, says nothing; one other track never makes it common."""
CHANCE_WHERE_LENGTHS_ARE_EQUAL = 0.04
CHANCE_WITHOUT_LENGTHS = 1e-4
CHANCE_WHERE_LENGTHS_DIFFER = 1e-6
"""Probabilities that a track has another one so near by chance."""
MAX_DIMENSION = 12.0
"""The dimension of the library's nearest distances counts for no more: real features have 14 to 24, and 12 to 16 where tracks are
nearest."""
MIN_TRACKS_FOR_DIMENSION = 100
DIMENSION_SAMPLE = 1000
DIMENSION_NEIGHBOUR = 4
"""Its distance, beside that of LOCAL_SCALE_NEIGHBOUR, tells the dimension; copies of one track are nearer."""
MEDIAN_VOLUME_SHARE = 0.5786
"""Median of Beta(4, 3): the share of a ball up to the seventh of random points that the ball up to the fourth of them has."""
COMPARED_NEIGHBOURS = 10
"""Nearest tracks that each track of the training is compared with."""
MAX_COPIES = 32
"""Tracks of a recording that are found by distance; a library of equal tracks is not one recording."""
BLOCK_PAIRS = 65_536


def defaults() -> list[float]:
    """The constants that decide, for the fingerprint of a training."""
    chances = [CHANCE_WHERE_LENGTHS_ARE_EQUAL, CHANCE_WITHOUT_LENGTHS, CHANCE_WHERE_LENGTHS_DIFFER]
    return [
        *chances,
        EQUAL_LENGTH_S,
        COMMON_LENGTH_SHARE,
        MAX_DIMENSION,
        LENGTH_TOLERANCE_S,
        LENGTH_TOLERANCE_SHARE,
        COMPARED_NEIGHBOURS,
    ]


@dataclass(frozen=True)
class Nearness:
    """How near two tracks of a library must be to be one recording, in units of both their local scales.

    by_chance : the limits for lengths that are equal and not common, for all others, and for those that do not agree
    known_lengths : of the library's tracks, sorted
    """

    by_chance: tuple[float, float, float]
    known_lengths: Floats

    @classmethod
    def of(cls, trained: Index) -> Nearness:
        """The limits that follow from distances and lengths of the tracks of the training."""
        chances = (CHANCE_WHERE_LENGTHS_ARE_EQUAL, CHANCE_WITHOUT_LENGTHS, CHANCE_WHERE_LENGTHS_DIFFER)
        exponent = 1 / min(dimension(trained), MAX_DIMENSION)
        equal, other, differ = ((chance / LOCAL_SCALE_NEIGHBOUR) ** exponent for chance in chances)
        lengths = np.empty(0, np.float32) if trained.durations is None else np.asarray(trained.durations)
        return cls((equal, other, differ), np.sort(lengths[~np.isnan(lengths)]))

    def near(self, index: Index, rows: Rows, others: Rows) -> tuple[NDArray[np.bool_], Floats]:
        """(which pairs of tracks are next to nothing apart, their scaled distances), for m pairs.

        rows, others : the pairs' two sides [shape=(m,)]
        """
        distances = np.empty(len(rows), dtype=np.float32)
        for start in range(0, len(rows), BLOCK_PAIRS):
            block = slice(start, start + BLOCK_PAIRS)
            distances[block] = scaled_distances(index, rows[block], others[block])
        return distances <= self._limits(index, rows, others), distances

    def _limits(self, index: Index, rows: Rows, others: Rows) -> Floats:
        equal, other, differ = self.by_chance
        if index.durations is None:
            return np.full(len(rows), other, dtype=np.float32)
        lengths, other_lengths = index.durations.take(rows), index.durations.take(others)
        is_telling = (np.abs(lengths - other_lengths) <= EQUAL_LENGTH_S) & ~self._is_common(lengths)
        is_unknown = np.isnan(lengths) | np.isnan(other_lengths)
        may_be_equal = is_unknown | lengths_agree(lengths, other_lengths)
        return np.where(is_telling, equal, np.where(may_be_equal, other, differ)).astype(np.float32)

    def _is_common(self, lengths: Floats) -> NDArray[np.bool_]:
        """Whether many tracks of the library have each length, beside the two that are compared."""
        lengths = np.nan_to_num(lengths)
        begin = np.searchsorted(self.known_lengths, lengths - np.float32(EQUAL_LENGTH_S), side="left")
        end = np.searchsorted(self.known_lengths, lengths + np.float32(EQUAL_LENGTH_S), side="right")
        return np.asarray(end - begin - 2 > max(1.0, COMMON_LENGTH_SHARE * len(self.known_lengths)))


def first_of_each_recording(codes: Codes | Rows, excluded: int = -1) -> Rows:
    """Positions of the first track of each recording, in order.

    codes : recordings of a ranking's tracks [shape=(n,)]
    excluded : a recording to leave out; -1: none
    """
    firsts = np.sort(np.unique(codes, return_index=True)[1])
    return np.asarray(firsts[codes[firsts] != excluded], dtype=np.int64)


def scaled_distances(index: Index, rows: Rows, others: Rows) -> Floats:
    """Distances of pairs of tracks in units of both local scales [shape=(m,)]."""
    difference = index.vectors.take(rows, axis=0) - index.vectors.take(others, axis=0)
    scales = index.scales.take(rows) * index.scales.take(others)
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", difference, difference) / np.maximum(scales, 1e-12)))


def dimension(trained: Index) -> float:
    """The dimension that the distances to the nearest neighbours have; MAX_DIMENSION where there are few tracks."""
    if len(trained) < MIN_TRACKS_FOR_DIMENSION:
        return MAX_DIMENSION
    rows = np.unique(np.linspace(0, len(trained) - 1, DIMENSION_SAMPLE).astype(np.int64))
    neighbours = _similar_rows(trained, rows, 2 * COMPARED_NEIGHBOURS)
    points = np.asarray(trained.vectors[rows])
    distances = np.stack([np.linalg.norm(trained.vectors[column] - points, axis=1) for column in neighbours.T])
    distances.sort(axis=0)
    ratio = float(
        np.median(distances[DIMENSION_NEIGHBOUR - 1] / np.maximum(distances[LOCAL_SCALE_NEIGHBOUR - 1], 1e-12))
    )
    if ratio <= 0.0:  # most tracks have four copies: nothing can be said
        return MAX_DIMENSION
    return float(np.log(MEDIAN_VOLUME_SHARE) / np.log(min(ratio, 0.999)))


def _similar_rows(trained: Index, rows: Rows, k: int) -> Rows:
    """The k most similar tracks of each row, stored ones where there are [shape=(rows, k)]."""
    k = min(k, len(trained) - 1)
    if trained.stored_neighbours is not None and trained.stored_neighbours.shape[1] >= k:
        return np.asarray(trained.stored_neighbours[rows, :k], dtype=np.int64)
    return np.stack([neighbours for neighbours, _ in trained.similar(rows, k)]).astype(np.int64)


def near_pairs(trained: Index, nearness: Nearness, rows: Rows) -> NDArray[np.int64]:
    """Pairs of each row and one of its nearest tracks that are next to nothing apart, the lower row first [shape=(m, 2)].

    trained : with local scales, title keys and durations, and best with stored neighbours
    """
    if len(trained) < 2 or not len(rows):
        return np.empty((0, 2), dtype=np.int64)
    neighbours = _similar_rows(trained, rows, COMPARED_NEIGHBOURS)
    pairs = np.column_stack([np.repeat(rows, neighbours.shape[1]), neighbours.ravel()])
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    return pairs[nearness.near(trained, pairs[:, 0], pairs[:, 1])[0]]


def recording_codes(trained: Index, pairs: NDArray[np.int64] | None = None) -> Codes:
    """The recordings of an index as trained.

    pairs : `near_pairs` of all its rows; None: they are computed here
    """
    n, nearness = len(trained), Nearness.of(trained)
    groups = _Groups(trained, nearness)
    pairs = near_pairs(trained, nearness, np.arange(n)) if pairs is None else pairs
    groups.merge_near(pairs[:, 0], pairs[:, 1])
    if trained.title_keys is not None and trained.durations is not None:
        groups.merge_pairs(_one_title(np.asarray(trained.title_keys), np.asarray(trained.durations), np.arange(n)))
    codes = np.arange(n, dtype=np.int32)
    for members in groups.merged():
        codes[members] = min(members)
    return codes


def representatives(index: Index, appended_rows: Rows, neighbours: Sequence[Rows], nearness: Nearness) -> list[str]:
    """The id of a track that each appended one is one recording with; "" for one that is the first of its recording.

    index : with the appended tracks and their local scales, whose own `recordings` do not count
    neighbours : nearest rows of each appended one
    nearness : of the index as trained
    Recordings that were there before are never made one by a new track.
    """
    groups = _Groups(index, nearness, frozenset(appended_rows.tolist()))
    counts = [len(rows) for rows in neighbours]
    groups.merge_near(np.repeat(appended_rows, counts), np.concatenate([*neighbours, appended_rows[:0]]))
    if index.title_keys is not None and index.durations is not None:
        keys, lengths = np.asarray(index.title_keys), np.asarray(index.durations)
        rows = index.present[np.isin(keys[index.present], keys[appended_rows])]
        groups.merge_pairs(_one_title(keys, lengths, rows))
    names = []
    for row in appended_rows.tolist():
        members = groups.members(row)
        first = min(members, key=lambda member: (member in groups.new, member))
        names.append("" if first == row else str(index.ids[first]))
    return names


def recording_ids(index: Index, rows: Rows) -> list[str]:
    """The id of the first present track of each row's recording.  rows : present ones"""
    if not len(rows):
        return []
    codes = np.asarray(index.recordings)
    present_codes, first = np.unique(codes[index.present], return_index=True)
    first_rows = index.present[first][np.searchsorted(present_codes, codes[rows])]
    return [str(track_id) for track_id in index.ids[first_rows].tolist()]


def with_copies(index: Index, rows: Rows) -> Rows:
    """The present rows of these rows' recordings, sorted."""
    codes = np.asarray(index.recordings)
    return np.asarray(index.present[np.isin(codes[index.present], codes[rows])])


def _one_title(keys: TitleKeys, lengths: Floats, rows: Rows) -> list[tuple[int, int]]:
    """Pairs of the rows that are one recording by title key and length: runs of lengths that agree with the run's shortest."""
    rows = rows[(keys[rows] != 0) & ~np.isnan(lengths[rows])]
    _, key, tracks = np.unique(keys[rows], return_inverse=True, return_counts=True)
    rows = rows[tracks[key] > 1]
    rows = rows[np.lexsort((rows, lengths[rows], keys[rows]))]
    same_key = keys[rows][1:] == keys[rows][:-1]
    pairs = []
    shortest = -1
    for (row, following), is_same in zip(pairwise(rows.tolist()), same_key.tolist(), strict=True):
        if not is_same:
            shortest = -1
            continue
        shortest = row if shortest < 0 else shortest
        if lengths_agree(lengths[shortest], lengths[following]):
            pairs.append((shortest, following))
        else:
            shortest = following
    return pairs


@dataclass
class _Groups:
    """Groups of rows that are one recording; a row that is in none is alone.

    new : rows of appended tracks; None: all are
    """

    index: Index
    nearness: Nearness
    new: Any = None
    _group: dict[int, list[int]] = field(default_factory=dict)

    def members(self, row: int) -> list[int]:
        """The rows of the row's group: as merged here, else as the index has it among rows that are not new."""
        if row not in self._group:
            members = [row]
            if self.new is not None and row not in self.new and self.index.recordings is not None:
                codes = np.asarray(self.index.recordings)
                rows = self.index.present[codes[self.index.present] == codes[row]].tolist()
                members = [member for member in rows if member not in self.new]
            self._group.update(dict.fromkeys(members, members))
        return self._group[row]

    def merged(self) -> Iterable[list[int]]:
        """The groups of two and more rows."""
        return {id(members): members for members in self._group.values() if len(members) > 1}.values()

    def merge_near(self, rows: Rows, others: Rows) -> None:
        """Merges groups by pairs of rows, nearest first, where every row of one is near every row of the other."""
        pairs = np.unique(np.sort(np.column_stack([rows, others]), axis=1), axis=0)
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        is_near, distances = self.nearness.near(self.index, pairs[:, 0], pairs[:, 1])
        order = np.argsort(distances[is_near], kind="stable")
        for row, other in pairs[is_near][order].tolist():
            first, second = self.members(row), self.members(other)
            if first is second or self._are_settled(first, second) or len(first) + len(second) > MAX_COPIES:
                continue
            crossed = np.array([(a, b) for a in first for b in second], dtype=np.int64)
            if self.nearness.near(self.index, crossed[:, 0], crossed[:, 1])[0].all():
                self._merge(first, second)

    def merge_pairs(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Merges the groups of each pair."""
        for row, other in pairs:
            first, second = self.members(row), self.members(other)
            if first is not second and not self._are_settled(first, second):
                self._merge(first, second)

    def _are_settled(self, first: list[int], second: list[int]) -> bool:
        """Whether both have rows that were there before."""
        return self.new is not None and not self.new.issuperset(first) and not self.new.issuperset(second)

    def _merge(self, first: list[int], second: list[int]) -> None:
        first.extend(second)
        self._group.update(dict.fromkeys(second, first))
