"""Approximate nearest neighbours: multi-probe LSH with collision counting, memory-mapped.

Tracks that share a bucket with a query in enough hash tables are its candidates (`batch.index.hash_tables`), and the exact
distance ranks them. Longer buckets or more tables: better recall, more candidates to rank. A far track collides with a query in
one table by chance, a near one in several: counting collisions (Gan et al., C2LSH, 2012) keeps most near ones and few others.
Where too few tracks collide often enough, one collision is enough; where too few collide at all, all tracks are candidates.

An index is a folder of numpy arrays, memory-mapped when opened: one copy a node for all its processes. The tracks of the training
have the first rows, sorted by id; those appended since follow (`batch.index.segments`). No Spark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch.index import segments, storage
from batch.index.exact import LOCAL_SCALE_NEIGHBOUR, euclidean_distances, local_scale, shortlist
from batch.index.hash_tables import HashTables, rows_that_collide
from batch.index.projection import Floats, Projection, to_unit
from batch.index.projection import Rows as Rows
from batch.index.segments import Segment, Stacked
from batch.index.storage import IndexUnreadable as IndexUnreadable
from batch.library.labels import artist_parts

STORED_NEIGHBOURS = 60
"""First places of each track's ranking that are stored beside the index: the stream's candidates."""


@dataclass(frozen=True)
class Index:
    """The tracks of a library as points, and the hash tables that find near ones. Arrays of n tracks are by row.

    projection : features → points, sketches and hash keys
    ids : track ids [shape=(n,)]
    vectors : the points, float32 [shape=(n, m)]
    scales : local scales, float32 [shape=(n,)], see `similarity`
    artists : codes, int32 [shape=(n,)], -1 for none
    artist_names : see `batch.library.labels.artist_key`, by code; empty in format 1 as first written
    tables : hash tables of the tracks of the training
    segment_tables : hash tables of the tracks appended since; None: there are none
    sketches : [shape=(n, components)], see `Projection.stored_sketch`; None: every candidate is ranked exactly
    stored_neighbours : int32 [shape=(tracks of the training, k)], each track's `similar` rows as of the training, k the fewer of
        STORED_NEIGHBOURS and n - 1; None: unknown
    recordings : codes, int32 [shape=(n,)], equal for tracks that are one recording, the row of its first; None: unknown
    title_keys, durations : uint64 and float32 [shape=(n,)], see `batch.library.titles`; None: unknown
    tags : percentiles of words, uint8 [shape=(n, words)], see `batch.words.tag_percentiles`; None: the model has none
    tag_names : the words' names, by column
    tombstoned_rows : of tracks that were removed, or appended again with other features: excluded from lists and from `rows_of`
    """

    projection: Projection
    ids: Any
    vectors: Any
    scales: Any
    artists: Any
    artist_names: NDArray[np.str_]
    tables: HashTables
    segment_tables: HashTables | None = None
    sketches: Any = None
    stored_neighbours: Any = None
    recordings: Any = None
    title_keys: Any = None
    durations: Any = None
    tags: Any = None
    tag_names: NDArray[np.str_] = field(default_factory=lambda: np.empty(0, dtype=np.str_))
    tombstoned_rows: Rows | None = None

    def __len__(self) -> int:
        """Rows, tombstoned ones included."""
        return len(self.ids)

    @cached_property
    def present(self) -> Rows:
        """Rows that are not tombstoned."""
        all_rows = np.arange(len(self))
        return all_rows if self.tombstoned_rows is None else np.delete(all_rows, self.tombstoned_rows)

    def rows_of(self, ids: Sequence[str]) -> Rows:
        """Row of each track id; -1 for one that the index lacks."""
        rows = storage.positions_of_ids(self.ids, ids)
        return rows if self.tombstoned_rows is None else np.where(np.isin(rows, self.tombstoned_rows), -1, rows)

    def artist_of(self, row: int) -> str:
        """The artist's name, as `batch.library.labels.artist_key` has it; "" for none."""
        code = int(self.artists[row])
        return str(self.artist_names[code]) if 0 <= code < len(self.artist_names) else ""

    @cached_property
    def _artist_parts(self) -> NDArray[np.int32]:
        return artist_parts(self.artist_names)

    def artists_of_each(self, rows: Rows) -> NDArray[np.int32]:
        """Codes of each artist of each row, -1 for none and for placeholders [shape=(rows, 1 or more)]."""
        codes = np.asarray(self.artists.take(rows))
        return self._artist_parts[codes] if len(self.artist_names) else codes[:, None]

    def candidates(self, points: Floats, min_candidates: int = 0) -> list[Rows]:
        """The rows that collide with each point in enough hash tables, sorted.

        min_candidates : where fewer than that collide in enough tables, those that collide in one are the candidates
        """
        return list(self._candidates(np.asarray(points), min_candidates))

    def _candidates(self, points: Floats, min_candidates: int) -> Iterator[Rows]:
        keys = self.projection.keys(points, self.projection.probes)
        positions, bucket_limit = self.projection.first_component(points), self.projection.bucket_limit
        ranges = self.tables.bucket_ranges(keys)
        segment_ranges = None if self.segment_tables is None else self.segment_tables.bucket_ranges(keys)
        trained = self.tables.rows.shape[1]
        for query in range(len(points)):
            position = float(positions[query])
            colliding = self.tables.colliding_rows(ranges[query], position, bucket_limit)
            if segment_ranges is not None and self.segment_tables is not None:
                appended = self.segment_tables.colliding_rows(segment_ranges[query], position, bucket_limit)
                colliding = np.concatenate([colliding, appended + trained])
            rows = self._present_that_collide(colliding, self.projection.min_collisions)
            yield self._present_that_collide(colliding, 1) if len(rows) < min_candidates else rows

    def _present_that_collide(self, colliding_rows: Rows, min_collisions: int) -> Rows:
        rows = rows_that_collide(colliding_rows, len(self), min_collisions, len(self.tables.keys))
        if self.tombstoned_rows is None:
            return rows
        return rows[~np.isin(rows, self.tombstoned_rows, assume_unique=True)]

    def neighbours(self, points: Floats, k: int) -> list[tuple[Rows, Floats]]:
        """The k nearest tracks of each point among its candidates: (rows, Euclidean distances), nearest first.

        Where fewer than k tracks are candidates, all are: an exact answer rather than a short one.
        """
        k = min(k, len(self.present))
        neighbours = []
        sketches = self.projection.sketch(points)
        for point, sketch, rows in zip(points, sketches, self._candidates(points, k), strict=True):
            rows = shortlist(self.sketches, sketch, self.present if len(rows) < k else rows, k)
            distances = euclidean_distances(point, self.vectors.take(rows, axis=0))
            nearest = np.argpartition(distances, k - 1)[:k] if 0 < k < len(rows) else np.arange(len(rows))
            nearest = nearest[np.lexsort((rows[nearest], distances[nearest]))]
            neighbours.append((rows[nearest], distances[nearest]))
        return neighbours

    def similarity(self, scale: float, rows: Rows, distances: Floats) -> Floats:
        """exp(-d² / (scale · scale of the row)), from 1 for equal tracks towards 0.

        scale : of the point that the rows are compared with
        distances : from that point
        """
        return np.exp(-np.square(distances) / (scale * self.scales[rows] + 1e-12)).astype(np.float32)

    def similar(self, rows: Rows, k: int) -> list[tuple[Rows, Floats]]:
        """The k tracks most similar to each of the given ones, without itself: (rows, similarity), most similar first.

        All candidates are scaled before the best are taken: scaling the k nearest alone would keep the hubs among them.
        """
        return self.like(self.vectors[rows], k, self.scales[rows], rows)

    def like(
        self, points: Floats, k: int, scales: Floats | None = None, excluded_rows: Rows | None = None
    ) -> list[tuple[Rows, Floats]]:
        """The k tracks most similar to each point, such as a user vector: (rows, similarity), most similar first.

        scales : local scales of the points [shape=(q,)]; None: each point's distance to its seventh neighbour
        excluded_rows : one row to leave out for each point [shape=(q,)]
        """
        is_unit_length = self.projection.unit_length
        points = to_unit(np.asarray(points, dtype=np.float32)) if is_unit_length else np.asarray(points)
        ranked = []
        sketches = self.projection.sketch(points)
        min_candidates = max(k, LOCAL_SCALE_NEIGHBOUR)
        for query, (point, rows) in enumerate(zip(points, self._candidates(points, min_candidates + 1), strict=True)):
            rows = rows if excluded_rows is None else rows[rows != excluded_rows[query]]
            if len(rows) < min_candidates:
                rows = self.present if excluded_rows is None else self.present[self.present != excluded_rows[query]]
            rows = shortlist(self.sketches, sketches[query], rows, k, self.scales)
            distances = euclidean_distances(point, self.vectors.take(rows, axis=0))
            scale = float(local_scale(distances) if scales is None else scales[query])
            similarity = self.similarity(scale, rows, distances)
            best = np.argpartition(-similarity, k - 1)[:k] if 0 < k < len(rows) else np.arange(len(rows))[:k]
            best = best[np.lexsort((rows[best], -similarity[best]))]
            ranked.append((rows[best], similarity[best]))
        return ranked

    def nbytes(self) -> int:
        """Bytes of all arrays; what is mapped from the same files is shared by the processes of a node."""
        arrays = [getattr(self, name) for name in storage.FIELD_BY_FILE.values() if not name.endswith("names")]
        for tables in filter(None, (self.tables, self.segment_tables)):
            arrays += [tables.keys, tables.rows, tables.first_component]
        parts = [part for a in arrays for part in ((a.first, a.second) if isinstance(a, Stacked) else (a,))]
        return sum(part.nbytes for part in parts if part is not None)

    def subset(self, rows: Rows) -> Index:
        """The index of these tracks alone, held in memory.

        rows : sorted, all of the training
        """
        return replace(
            self,
            ids=self.ids[rows],
            vectors=self.vectors[rows],
            scales=self.scales[rows],
            artists=self.artists[rows],
            sketches=None if self.sketches is None else self.sketches[rows],
            tables=self.tables.subset(rows),
            stored_neighbours=None,
            recordings=None,
            title_keys=None,
            durations=None,
            tags=None,
            segment_tables=None,
            tombstoned_rows=None,
        )

    def without(self, rows: Rows) -> Index:
        """The index with further tombstones, held in memory only.  rows : sorted"""
        return replace(
            self,
            tombstoned_rows=rows if self.tombstoned_rows is None else np.union1d(self.tombstoned_rows, rows),
        )

    def with_segment(self, segment: Segment) -> Index:
        """The index as trained, with a segment's tracks behind it and tombstones for those that it removes or replaces."""
        if not len(segment) and not len(segment.removed_ids):
            return self
        code_by_artist = {str(name): code for code, name in enumerate(self.artist_names)}
        # format 1 as first written has codes without names
        next_code = int(np.max(self.artists, initial=-1)) + 1
        segment_artists = segment.artists.tolist()
        for name in dict.fromkeys(segment_artists):
            if name and name not in code_by_artist:
                code_by_artist[name], next_code = next_code, next_code + 1
        artists = np.array([code_by_artist[name] if name else -1 for name in segment_artists], dtype=np.int32)
        superseded_ids = np.concatenate([segment.removed_ids, segment.ids])
        tombstoned_rows = storage.positions(self.ids, superseded_ids)
        tombstoned_rows = np.unique(tombstoned_rows[tombstoned_rows >= 0])
        sketches = None if self.sketches is None else self.projection.stored_sketch(segment.points)
        recordings, title_keys, durations = segments.stacked_recordings(
            segment, self.ids, self.recordings, self.title_keys, self.durations
        )
        return replace(
            self,
            ids=Stacked(self.ids, segment.ids),
            vectors=Stacked(self.vectors, segment.points),
            scales=Stacked(self.scales, segment.scales),
            artists=Stacked(self.artists, artists),
            artist_names=np.array(list(code_by_artist), dtype=np.str_) if len(self.artist_names) else self.artist_names,
            sketches=None if sketches is None else Stacked(self.sketches, sketches),
            recordings=recordings,
            title_keys=title_keys,
            durations=durations,
            tags=None
            if self.tags is None
            else Stacked(self.tags, segments.with_columns(segment.tags, self.tags.shape[1])),
            segment_tables=HashTables.build(segment.points, self.projection) if len(segment) else None,
            tombstoned_rows=tombstoned_rows if len(tombstoned_rows) else None,
        )

    def save(self, folder: Path) -> None:
        """Writes one .npy file an array. Raises ValueError for an index with appended segments, which are saved already."""
        if isinstance(self.ids, Stacked):
            raise ValueError("this index has segments, which are in its folder already; save the index as trained")
        arrays = {file: getattr(self, name) for file, name in storage.FIELD_BY_FILE.items()}
        arrays |= {"keys": self.tables.keys, "rows": self.tables.rows, "order": self.tables.first_component}
        if self.tags is None:
            arrays["tag_names"] = None
        storage.save(folder, arrays, self.projection)

    @classmethod
    def open(cls, folder: Path, as_trained: bool = False, state: str | None = None) -> Index:
        """The index in a folder, memory-mapped. Raises IndexUnreadable where it is missing or damaged.

        as_trained : without the tracks that were appended and removed since
        state : as of that `Index.state`; None: the latest. Raises OtherState where the folder does not have it
        """
        try:
            arrays = storage.arrays(folder)
            projection = Projection.open(folder / "space.npz")
            segment = segments.read(folder, projection.components.shape[0], state)
            storage.check(arrays, projection, segment)
        except storage.UNREADABLE as error:
            raise IndexUnreadable(f"no index in {folder}: {error}; train again with batch/train.py") from error
        fields: dict[str, Any] = {name: arrays[file] for file, name in storage.FIELD_BY_FILE.items() if file in arrays}
        fields.setdefault("artist_names", np.empty(0, dtype=np.str_))
        tables = HashTables(arrays["keys"], arrays["rows"], arrays.get("order"))
        trained = cls(projection=projection, tables=tables, **fields)
        return trained if as_trained else trained.with_segment(segment)

    @staticmethod
    def state(folder: Path) -> str:
        """Name of the latest segment: changes with every append and remove. Cheap enough to ask in every micro-batch."""
        return segments.state(folder)
