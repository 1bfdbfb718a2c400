"""The pandas UDF that reads files, and the table `features`.

Paths travel to the executors, never audio. A file is hashed first and decoded only where its content is new. Both happen in a
reading process beside Spark's Python worker (batch.audio.worker), so that a file that hangs or crashes a decoder costs one file.
"""

from __future__ import annotations

import atexit
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from pyspark import Broadcast
from pyspark.accumulators import Accumulator
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DoubleType, FloatType, StringType, StructField, StructType

from batch.audio.worker import Worker, WorkerNotStarted, WorkerTerminated
from batch.library.object_store import LocalCopy
from batch.library.tracks import FILE, FILE_TAGS

if TYPE_CHECKING:
    import pandas as pd

FEATURES = StructType(
    [
        StructField("track_id", StringType()),
        StructField("vector", ArrayType(FloatType())),
        StructField("extractor_version", StringType()),
        StructField("embedding", ArrayType(FloatType())),
        StructField("tags", ArrayType(FloatType())),
    ]
)
"""One row per track. `vector` has the 189 numbers of `batch.audio.features.features`, or FMA's 140 published ones; `embedding`
the trained ear's 200, `tags` its probabilities of the 50 tags in the order of TAG_NAMES, both null where no ear was used."""

FEATURES_OF_CONTENT = StructType([*FEATURES.fields, StructField("sha256", StringType())])
"""FEATURES as extraction writes them, with the hash of the content that they were computed from."""

FILES_TO_READ = StructType([*FILE.fields, StructField("sha256", StringType())])
"""One row per file to be read; `sha256` is null where the content is to be hashed."""

OUTCOMES = StructType(
    [
        *FILES_TO_READ.fields,
        *FILE_TAGS.fields,
        StructField("duration_s", DoubleType()),
        StructField("vector", ArrayType(FloatType())),
        StructField("reason", StringType()),
        StructField("detail", StringType()),
    ]
)
"""One row per file: tags and vector, or the reason of its rejection. Content that was known before has no vector."""

_NULLABLE_TYPES = {
    "ctime_ns": "Int64",
    "track_number": "Int32",
    "year": "Int32",
    "disc_number": "Int32",
    "compilation": "boolean",
}
"""pandas' types of columns that it would otherwise turn into floats and objects where a value is missing."""

BASE_TIMEOUT_S = 60.0
"""Seconds in which a file must be read; its size divided by SLOWEST_DISK_BYTES_PER_S is added."""
SLOWEST_DISK_BYTES_PER_S = 2e6


def outcomes(
    files: DataFrame,
    root: str,
    known_contents: Broadcast[frozenset[str]],
    middle_s: float | None,
    files_done: Accumulator[int],
    files_rejected: Accumulator[int],
) -> DataFrame:
    """The result of reading each file: FILES_TO_READ in, OUTCOMES out.

    known_contents : sha256 of contents that need no decoding
    middle_s : seconds around a file's middle that are decoded; None: all of it
    files_done, files_rejected : counters that the tasks add to
    """
    timeout_s = BASE_TIMEOUT_S

    def read_batches(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        for batch in batches:
            files = batch.astype(object).where(batch.notna(), None).to_dict("records")
            rows = [outcome(file, root, known_contents.value, middle_s, timeout_s) for file in files]
            files_done.add(len(rows))
            files_rejected.add(sum(row["reason"] is not None for row in rows))
            yield pd.DataFrame(rows, columns=OUTCOMES.names).astype(_NULLABLE_TYPES)

    return files.mapInPandas(read_batches, OUTCOMES)


def features(outcomes: DataFrame, ids: DataFrame, extractor_version: str) -> DataFrame:
    """FEATURES_OF_CONTENT: one row for each track of which a file was decoded.

    outcomes : OUTCOMES;  ids : (path, track_id)
    """
    was_decoded = F.col("vector").isNotNull()
    return (
        outcomes.where(was_decoded)
        .join(F.broadcast(ids), on="path", how="inner")
        .dropDuplicates(["track_id"])
        .select("track_id", "vector", F.lit(extractor_version).alias("extractor_version"), "sha256")
    )


def outcome(
    file: Mapping[str, Any],
    root: str,
    known_contents: frozenset[str],
    middle_s: float | None,
    timeout_s: float = BASE_TIMEOUT_S,
) -> dict[str, Any]:
    """A row of OUTCOMES for one file.  file : a row of FILES_TO_READ

    Whatever is wrong with the file becomes a reason and a detail. Raises WorkerNotStarted.
    """
    from batch.audio.decoding import UnreadableAudio

    row: dict[str, Any] = dict.fromkeys(OUTCOMES.names)
    row |= file
    path = file["path"]
    worker, limit_s = _worker(), timeout_s + file["size"] / SLOWEST_DISK_BYTES_PER_S
    try:
        row["sha256"] = row["sha256"] or worker("hash", path, limit_s=limit_s)
        part = "tags" if row["sha256"] in known_contents else "track"
        row |= worker(part, path, root, middle_s, limit_s=limit_s)
    except (UnreadableAudio, WorkerTerminated) as error:
        row |= {"reason": error.reason, "detail": error.detail}
    except FileNotFoundError:
        row |= {"reason": "unreadable", "detail": "the file was deleted while the library was read"}
    except MemoryError:
        row |= {"reason": "out of memory", "detail": "reading it takes more memory than a file may use"}
    except OSError as error:
        row |= {"reason": "unreadable", "detail": error.strerror or str(error)}
    except WorkerNotStarted:
        raise
    except Exception as error:  # noqa: BLE001 - a parser may raise anything on a damaged file
        row |= {"reason": "failed", "detail": f"{type(error).__name__}: {error}"}
    return row


def read_file(part: str, path: str, root: str = "", middle_s: float | None = None) -> Any:
    """Entry point of the reading process: a part of what a file holds.

    part : "hash" → sha256 as hex digits; "tags" → columns of FILE_TAGS; "track" → these, `vector` and `duration_s`
    Raises UnreadableAudio, OSError.
    """
    from batch.audio import features
    from batch.tags.file_tags import file_tags

    file = _local_copy().fetch(path)
    if part == "hash":
        with open(file, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    columns: dict[str, Any] = {}
    if part == "track":
        track = features.track(file, middle_s)
        columns |= {"vector": track.vector, "duration_s": track.duration_s}
        if not _is_finite(columns["vector"]):
            raise features.UnreadableAudio("not finite", "its features are not all finite numbers")
    return columns | asdict(file_tags(PurePosixPath(path), PurePosixPath(root), file))


@lru_cache
def _local_copy() -> LocalCopy:
    copy = LocalCopy()
    atexit.register(copy.remove)
    return copy


@lru_cache
def _worker() -> Worker:
    """The reading process of this Python worker."""
    return Worker("batch.library.extraction:read_file", "batch.audio.features:warm_up")


def _is_finite(vector: Any) -> bool:
    import numpy as np

    return bool(np.isfinite(vector).all())
