"""The table `rejected_tracks`: what could not be used, why, and whether it is worth another look."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StringType, StructField, StructType, TimestampType

from batch.lake import remove, table, upsert
from batch.library.files import AudioFile

REJECTED_TRACKS = StructType(
    [
        StructField("library", StringType()),
        StructField("path", StringType()),
        StructField("reason", StringType()),
        StructField("detail", StringType()),
        StructField("size", LongType()),
        StructField("mtime_ns", LongType()),
        StructField("extractor_version", StringType()),
        StructField("rejected_at", TimestampType()),
    ]
)
"""One row a file that could not be used, with its reason."""

RETRIED = frozenset({"unreadable", "timeout", "crashed", "out of memory"})
"""Reasons that may lie in the machine and not in the content: such files are tried again at every run."""


@dataclass(frozen=True)
class Rejected:
    """A row of `rejected_tracks`."""

    library: str
    path: str
    reason: str
    detail: str
    rejected_at: datetime
    extractor_version: str
    size: int = 0
    mtime_ns: int = 0

    @property
    def file(self) -> AudioFile:
        """The file as it was when it was refused."""
        return AudioFile(self.path, self.size, self.mtime_ns)

    def stands_for(self, file: AudioFile | None, extractor_version: str) -> bool:
        """Whether the file, unchanged, would be refused again by this version."""
        return file == self.file and self.reason not in RETRIED and self.extractor_version == extractor_version


def rejected(spark: SparkSession, location: str, library: str) -> dict[str, Rejected]:
    """The library's rows by path."""
    rows = table(spark, location, REJECTED_TRACKS).where(F.col("library") == library).collect()
    return {row.path: Rejected(**row.asDict()) for row in rows}


def keep(spark: SparkSession, location: str, rows: Iterable[Rejected]) -> None:
    """Adds or replaces rows."""
    values = [asdict(row) for row in rows]
    if values:
        upsert(spark.createDataFrame(values, REJECTED_TRACKS), location, ["library", "path"])


def forget(spark: SparkSession, location: str, rows: Iterable[Rejected]) -> None:
    """Removes rows: their files are gone, or good by now."""
    keys = [(row.library, row.path) for row in rows]
    if keys:
        remove(spark.createDataFrame(keys, "library string, path string"), location)
