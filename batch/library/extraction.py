"""The pandas UDF that reads files, and the table `features`.

Paths travel to the executors, never audio. A file is hashed first and decoded only where a part of what is made of its content is
missing: its features, or what the trained ear hears. Both happen in a reading process beside Spark's Python worker
(batch.audio.worker), so that a file that hangs or crashes a decoder costs one file.
"""

from __future__ import annotations

import atexit
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from pyspark import Broadcast, SparkFiles
from pyspark.accumulators import Accumulator
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DoubleType, FloatType, StringType, StructField, StructType

from batch.audio.worker import Worker, WorkerNotStarted, WorkerTerminated
from batch.ear import graph
from batch.ear.network import EAR_VERSION, Ear, EarUnusable, NoAnswer, loaded
from batch.library.files import LibraryNotFound
from batch.library.object_store import LocalCopy
from batch.library.parts import EAR, VECTOR, Readers
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

FEATURES_OF_CONTENT = StructType(
    [*FEATURES.fields, StructField("ear_problem", StringType()), StructField("sha256", StringType())]
)
"""FEATURES as extraction writes them, with why the ear that `extractor_version` names gave nothing, and the content's hash."""

FILES_TO_READ = StructType([*FILE.fields, StructField("sha256", StringType())])
"""One row per file to be read; `sha256` is null where the content is to be hashed."""

OUTCOMES = StructType(
    [
        *FILES_TO_READ.fields,
        *FILE_TAGS.fields,
        StructField("duration_s", DoubleType()),
        StructField("vector", ArrayType(FloatType())),
        StructField("ear", StringType()),
        StructField("embedding", ArrayType(FloatType())),
        StructField("tags", ArrayType(FloatType())),
        StructField("ear_problem", StringType()),
        StructField("reason", StringType()),
        StructField("detail", StringType()),
    ]
)
"""One row per file: its tags and the parts that were missing of its content, or the reason of its rejection. `ear` is the version
of the trained ear that heard it, `ear_problem` why that gave no embedding, or why there was no ear."""

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
MAX_DETAIL_CHARACTERS = 1000
"""Of a message about a file."""


def outcomes(
    files: DataFrame,
    root: str,
    known_parts: Broadcast[dict[str, frozenset[str]]],
    middle_s: float | None,
    readers: Readers,
    files_done: Accumulator[int],
    files_rejected: Accumulator[int],
) -> DataFrame:
    """The result of reading each file: FILES_TO_READ in, OUTCOMES out.

    known_parts : by sha256, the parts of a content that need not be made again
    middle_s : seconds around a file's middle that are decoded; None: all of it
    readers : that make the parts
    files_done, files_rejected : counters that the tasks add to
    """
    timeout_s = BASE_TIMEOUT_S

    def read_batches(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        ear_graph = os.fspath(graph.place(Path(SparkFiles.getRootDirectory()))) if readers.ear else ""
        for batch in batches:
            files = batch.astype(object).where(batch.notna(), None).to_dict("records")
            rows = [outcome(file, root, known_parts.value, middle_s, ear_graph, timeout_s) for file in files]
            files_done.add(len(rows))
            files_rejected.add(sum(row["reason"] is not None for row in rows))
            yield pd.DataFrame(rows, columns=OUTCOMES.names).astype(_NULLABLE_TYPES)

    return files.mapInPandas(read_batches, OUTCOMES)


def features(outcomes: DataFrame, ids: DataFrame, readers: Readers) -> DataFrame:
    """FEATURES_OF_CONTENT: one row for each track of which a file got a vector.

    outcomes : OUTCOMES;  ids : (path, track_id)
    """
    has_vector = F.col("vector").isNotNull()
    return _by_track(outcomes.where(has_vector), ids, readers).select(FEATURES_OF_CONTENT.names)


def what_the_ear_heard(outcomes: DataFrame, ids: DataFrame, readers: Readers) -> DataFrame:
    """FEATURES_OF_CONTENT without `vector`: one row for each track that had a vector, and was heard by the trained ear.

    outcomes : OUTCOMES;  ids : (path, track_id)
    """
    has_vector, was_heard = F.col("vector").isNotNull(), F.col("ear").isNotNull()
    columns = [name for name in FEATURES_OF_CONTENT.names if name != "vector"]
    return _by_track(outcomes.where(was_heard & ~has_vector), ids, readers).select(columns)


def _by_track(outcomes: DataFrame, ids: DataFrame, readers: Readers) -> DataFrame:
    version = F.concat_ws("+", F.lit(readers.vector), F.col("ear"))  # which leaves out an ear that is null
    tracks = outcomes.join(F.broadcast(ids), on="path", how="inner").dropDuplicates(["track_id"])
    return tracks.withColumn("extractor_version", version)


def outcome(
    file: Mapping[str, Any],
    root: str,
    known_parts: Mapping[str, frozenset[str]],
    middle_s: float | None,
    ear_graph: str = "",
    timeout_s: float = BASE_TIMEOUT_S,
) -> dict[str, Any]:
    """A row of OUTCOMES for one file.  file : a row of FILES_TO_READ

    known_parts : by sha256, the parts of a content that need not be made again
    ear_graph : the file of the trained ear's graph; "": it is not used
    Whatever is wrong with the file becomes a reason and a detail. Raises WorkerNotStarted, and LibraryNotFound where this worker
    cannot open the file's store.
    """
    from batch.audio.decoding import UnreadableAudio

    row: dict[str, Any] = dict.fromkeys(OUTCOMES.names)
    row |= file
    path = file["path"]
    worker, limit_s = _worker(ear_graph), timeout_s + file["size"] / SLOWEST_DISK_BYTES_PER_S
    try:
        row["sha256"] = row["sha256"] or worker("hash", path, limit_s=limit_s)
        missing = frozenset({VECTOR, EAR} if ear_graph else {VECTOR}) - known_parts.get(row["sha256"], frozenset())
        try:
            row |= worker("parts", path, root, middle_s, missing, ear_graph, limit_s=limit_s)
        except (WorkerTerminated, MemoryError) as error:
            if EAR not in missing or (VECTOR in missing and getattr(error, "reason", "") == "timeout"):
                raise
            # it may lie in the ear, without which the file can still be used
            row |= worker("parts", path, root, middle_s, missing - {EAR}, "", limit_s=limit_s)
            row |= {"ear": EAR_VERSION, "ear_problem": str(error) or "out of memory"}
    except (UnreadableAudio, WorkerTerminated) as error:
        row |= {"reason": error.reason, "detail": error.detail}
    except LibraryNotFound:  # this worker cannot open the store: no file is to blame
        raise
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
    for name in ("detail", "ear_problem"):
        if row[name] is not None:  # a message may quote the file's bytes, and a table holds Unicode only
            row[name] = row[name].encode("utf-8", "replace").decode("utf-8")[:MAX_DETAIL_CHARACTERS]
    return row


def warm_up(ear_graph: str) -> None:
    """Loads what the reading process needs, so that the first file does not wait for it, nor has its memory counted."""
    import av  # noqa: F401 - 100 MB of address space
    import chardet
    import mutagen  # noqa: F401
    import numpy as np

    from batch.audio import features
    from batch.ear.excerpts import MOST_EXCERPTS

    features.warm_up()
    chardet.detect("Кино".encode("cp1251"))  # its models take 30 MB
    ear = _ear(ear_graph)
    if isinstance(ear, Ear):
        ear.answers(np.zeros((MOST_EXCERPTS, graph.PATCH_FRAMES, graph.N_BANDS), dtype=np.float32))


def read_file(
    task: str,
    path: str,
    root: str = "",
    middle_s: float | None = None,
    parts: frozenset[str] = frozenset(),
    ear_graph: str = "",
) -> Any:
    """Entry point of the reading process.

    task : "hash" → sha256 as hex digits; "parts" → columns of OUTCOMES: those of FILE_TAGS, and those of the parts
    Raises UnreadableAudio, OSError.
    """
    from batch.tags.file_tags import file_tags

    file = _local_copy().fetch(path)
    if task == "hash":
        with open(file, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    columns: dict[str, Any] = {}
    ear = _ear(ear_graph) if EAR in parts else None
    if isinstance(ear, str):
        columns["ear_problem"], ear = ear, None
    if VECTOR in parts:
        columns |= _with_vector(file, middle_s, ear)
    elif ear is not None:
        columns |= _heard(file, middle_s, ear)
    return columns | asdict(file_tags(PurePosixPath(path), PurePosixPath(root), file))


def _with_vector(file: Path, middle_s: float | None, ear: Ear | None) -> dict[str, Any]:
    """Columns of OUTCOMES. Raises UnreadableAudio."""
    from batch.audio import features

    track = features.track(file, middle_s, ear)
    if not _is_finite(track.vector):
        raise features.UnreadableAudio("not finite", "its features are not all finite numbers")
    columns: dict[str, Any] = {"vector": track.vector, "duration_s": track.duration_s}
    if ear is not None:
        columns |= {"ear": EAR_VERSION, "embedding": track.embedding, "tags": track.tags}
        columns["ear_problem"] = track.ear_problem or None
    return columns


def _heard(file: Path, middle_s: float | None, ear: Ear) -> dict[str, Any]:
    """Columns of OUTCOMES. What is wrong is the ear's problem: the file could be read before."""
    from batch.audio import features

    try:
        heard = features.heard(file, middle_s, ear)
    except (features.UnreadableAudio, NoAnswer) as error:
        return {"ear": EAR_VERSION, "ear_problem": str(error)}
    return {"ear": EAR_VERSION, "embedding": heard.embedding, "tags": heard.tags}


@lru_cache
def _ear(ear_graph: str) -> Ear | str | None:
    """The trained ear, loaded; or why it cannot be used; None where it is not to be used."""
    if not ear_graph:
        return None
    try:
        return loaded(Path(ear_graph))
    except EarUnusable as error:
        return str(error)


@lru_cache
def _local_copy() -> LocalCopy:
    copy = LocalCopy()
    atexit.register(copy.remove)
    return copy


@lru_cache
def _worker(ear_graph: str) -> Worker:
    """The reading process of this Python worker."""
    module = "batch.library.extraction"
    return Worker(f"{module}:read_file", f"{module}:warm_up", warm_up_arguments=[ear_graph])


def _is_finite(vector: Any) -> bool:
    import numpy as np

    return bool(np.isfinite(vector).all())
