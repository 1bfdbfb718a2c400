"""An index written to its folder piece by piece, so that whoever writes it never holds all of it. No Spark.

Pieces come in any order, each with the rows that it has. Arrays by row are written where they belong in their files; the hash
keys are kept aside by row, and each table is sorted when all of them are there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch.index.building import artist_codes
from batch.index.hash_tables import fold_keys, sorted_table
from batch.index.projection import Floats, Projection, Rows

KEYS_IN_MEMORY = 16_000_000
"""Hash keys of as many tables as are sorted at once, all tracks together: 64 MB."""
ROWS_READ_AT_ONCE = 65_536


@dataclass(frozen=True)
class Piece:
    """m tracks of an index.

    rows : of the index [shape=(m,)]
    keys : folded hash keys, uint32 [shape=(m, tables)]
    title_keys : uint64 [shape=(m,)];  tags : percentiles of words, uint8 [shape=(m, words)]; None: the index has none
    """

    rows: Rows
    points: Floats
    sketches: NDArray[Any]
    first_component: Floats
    keys: NDArray[np.uint32]
    title_keys: NDArray[np.uint64] | None = None
    tags: NDArray[np.uint8] | None = None

    @classmethod
    def of(cls, rows: Rows, points: Floats, projection: Projection, **more: Any) -> Piece:
        """The piece of these points [shape=(m, d)]."""
        keys = np.ascontiguousarray(fold_keys(projection.keys(points)[:, :, 0]).T)
        return cls(rows, points, projection.stored_sketch(points), projection.first_component(points), keys, **more)


@dataclass(frozen=True)
class TrackColumns:
    """What an index has of its n tracks beside their features.

    ids : sorted;  artists : codes of `artist_names`, see `batch.index.lsh`
    durations : see `batch.library.titles`; None: unknown
    """

    ids: NDArray[np.str_]
    artists: NDArray[np.int32]
    artist_names: NDArray[np.str_]
    durations: Floats | None = None

    @classmethod
    def of(cls, ids: Sequence[str], artists: Sequence[str | None]) -> TrackColumns:
        """ids : sorted;  artists : names of the same tracks, None for none"""
        names, codes = artist_codes(artists)
        return cls(np.array(ids, dtype=np.str_), codes, names)


class RowFile:
    """A .npy file whose rows are written in any order, by positioned writes: it is never mapped into memory."""

    def __init__(self, file: Path, dtype: Any, shape: tuple[int, ...]) -> None:
        self.dtype = np.dtype(dtype)
        self._row_bytes = self.dtype.itemsize * int(np.prod(shape[1:], dtype=np.int64))
        with file.open("wb") as out:
            header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(out, header)
            self._start = out.tell()
        self._file = os.open(file, os.O_RDWR)
        os.ftruncate(self._file, self._start + shape[0] * self._row_bytes)

    def write(self, rows: Rows, values: NDArray[Any]) -> None:
        """Writes a value for each of the rows."""
        order = np.argsort(rows, kind="stable")
        sorted_rows, content = rows[order], np.ascontiguousarray(values[order], dtype=self.dtype)
        starts = np.flatnonzero(np.diff(sorted_rows, prepend=-2) != 1)  # of runs of consecutive rows
        for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(rows)], strict=True):
            part, offset = (
                content[start:stop].data.cast("B"),
                self._start + int(sorted_rows[start]) * self._row_bytes,
            )
            while part:
                written = os.pwrite(self._file, part, offset)
                part, offset = part[written:], offset + written

    def __enter__(self) -> RowFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)


def write_index(folder: Path, tracks: TrackColumns, projection: Projection, pieces: Iterable[Piece]) -> None:
    """Writes an index whose local scales are 1.

    pieces : every row of the tracks in one of them, at least one piece
    Raises ValueError where the pieces do not have each row once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    n = len(tracks.ids)
    files: dict[str, RowFile] = {}
    rows_written = 0
    with ExitStack() as open_files:
        for piece in pieces:
            by_row = {
                "vectors": piece.points,
                "sketches": piece.sketches,
                "order": piece.first_component,
                ".keys": piece.keys,
                "title_keys": piece.title_keys,
                "tags": piece.tags,
            }
            for name, values in by_row.items():
                if values is not None:
                    if name not in files:
                        file = RowFile(folder / f"{name}.npy", values.dtype, (n, *values.shape[1:]))
                        files[name] = open_files.enter_context(file)
                    files[name].write(piece.rows, values)
            rows_written += len(piece.rows)
    if rows_written != n:
        raise ValueError(
            f"pieces of an index with {rows_written} rows, expected {n}: the library has changed meanwhile"
        )
    np.save(folder / "ids.npy", tracks.ids)
    np.save(folder / "artists.npy", tracks.artists)
    np.save(folder / "names.npy", tracks.artist_names)
    np.save(folder / "scales.npy", np.ones(n, dtype=np.float32))
    if tracks.durations is not None:
        np.save(folder / "durations.npy", tracks.durations)
    projection.save(folder / "space.npz")
    _write_tables(folder, n)


def _write_tables(folder: Path, n: int) -> None:
    """Sorts the hash tables, a few at a time, by the keys that were written by row."""
    keys_by_row = folder / ".keys.npy"
    first_component = np.load(folder / "order.npy")
    ordered = np.argsort(first_component, kind="stable").astype(np.int32)
    with keys_by_row.open("rb") as source:
        np.lib.format.read_magic(source)
        (_, tables), _, _ = np.lib.format.read_array_header_1_0(source)
        start = source.tell()
        at_once = max(1, min(tables, KEYS_IN_MEMORY // max(1, n)))
        every_table = np.arange(tables, dtype=np.int64)
        with (
            RowFile(folder / "keys.npy", np.uint32, (tables, n)) as keys_file,
            RowFile(folder / "rows.npy", np.int32, (tables, n)) as rows_file,
        ):
            for group in np.array_split(every_table, -(-tables // at_once)):
                keys = np.empty((len(group), n), dtype=np.uint32)
                source.seek(start)
                for row in range(0, n, ROWS_READ_AT_ONCE):
                    count = min(ROWS_READ_AT_ONCE, n - row)
                    block = np.fromfile(source, dtype=np.uint32, count=count * tables).reshape(count, tables)
                    keys[:, row : row + count] = block[:, group].T
                for table, table_keys in zip(group, keys, strict=True):
                    sorted_keys, rows = sorted_table(table_keys, ordered)
                    keys_file.write(table[None], sorted_keys[None])
                    rows_file.write(table[None], rows[None])
    keys_by_row.unlink()
