"""Parquet, read and written without Spark, a part of it in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from batch.storage import objects
from batch.storage.locations import child, open_store

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

ROWS_A_BATCH = 4096


def parquet_files(location: str) -> Iterator[pq.ParquetFile]:
    """The files of a Parquet folder, one open at a time. Raises FileNotFoundError where there is none."""
    import pyarrow.parquet as pq

    names = [name for name in objects.names(location) if name.endswith(".parquet")]
    if not names:
        raise FileNotFoundError("it is missing")
    store, path = open_store(location)
    for name in names:
        with pq.ParquetFile(f"{path}/{name}", filesystem=store) as file:
            yield file


def record_batches(location: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet folder, a few at a time.  columns : None: all"""
    for file in parquet_files(location):
        yield from file.iter_batches(ROWS_A_BATCH, columns=None if columns is None else list(columns))


def write_parts(location: str, table: pa.Table, rows: int) -> None:
    """Writes a table to a new Parquet folder, in files of so many rows. Raises OSError."""
    import pyarrow.parquet as pq

    for number, start in enumerate(range(0, len(table), rows)):
        with objects.writing(child(location, f"part-{number:05d}.parquet")) as out:
            pq.write_table(table.slice(start, rows), out, compression="none")
