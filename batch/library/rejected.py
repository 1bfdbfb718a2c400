"""The table `rejected_tracks`: files that could not be used, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import IntegerType, LongType, StringType, StructField, StructType, TimestampType

from batch.audio.decoding import DECODER_VERSION
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
        StructField("ctime_ns", LongType()),
        StructField("decoder_version", IntegerType()),
    ]
)
"""One row per file that could not be used. `reason` is one of a few fixed words, `detail` a sentence."""

RETRIED_REASONS = frozenset({"unreadable", "timeout", "crashed", "out of memory"})
"""Reasons that may lie in the machine and not in the content: such files are read again in every run."""


@dataclass(frozen=True)
class RejectedTrack:
    """A row of `rejected_tracks`."""

    library: str
    path: str
    reason: str
    detail: str
    rejected_at: datetime
    extractor_version: str
    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int | None = None
    decoder_version: int | None = None

    @property
    def file(self) -> AudioFile:
        """The file as it was when it was rejected."""
        return AudioFile(self.path, self.size, self.mtime_ns, self.ctime_ns)

    def still_applies(self, file: AudioFile | None, extractor_version: str) -> bool:
        """Whether the file would be rejected again: neither it nor what reads it has changed since."""
        versions = (self.extractor_version, self.decoder_version)
        is_unchanged = file is not None and file.is_unchanged(self.file)
        return is_unchanged and self.reason not in RETRIED_REASONS and versions == (extractor_version, DECODER_VERSION)


def rejected_by_path(spark: SparkSession, location: str, library: str) -> dict[str, RejectedTrack]:
    """A library's rows."""
    rows = table(spark, location, REJECTED_TRACKS).where(F.col("library") == library).collect()
    return {row.path: RejectedTrack(**row.asDict()) for row in rows}


def upsert_rejected(spark: SparkSession, location: str, rows: Iterable[RejectedTrack]) -> None:
    """Inserts rows, or updates those of the same library and path."""
    values = [asdict(row) for row in rows]
    if values:
        upsert(spark.createDataFrame(values, REJECTED_TRACKS), location, ["library", "path"])


def remove_rejected(spark: SparkSession, location: str, rows: Iterable[RejectedTrack]) -> None:
    """Removes rows whose files were deleted or could be read since."""
    keys = [(row.library, row.path) for row in rows]
    if keys:
        remove(spark.createDataFrame(keys, "library string, path string"), location)
