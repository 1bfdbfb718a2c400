"""The table `features`: the pandas UDF that carries `audio.track` to the cluster.

Paths travel, never audio. A worker hashes a file first and decodes it only when its content is new; both in a process of
its own, since a file that hangs or crashes a decoder must cost that file and nothing else.
"""

from __future__ import annotations

import atexit
import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from pyspark import Broadcast
from pyspark.accumulators import Accumulator
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DoubleType, FloatType, StringType, StructField, StructType

from batch.audio.worker import Isolated, Lost, NotStarted
from batch.library.object_store import Copies
from batch.library.tracks import FILE, TAGS

if TYPE_CHECKING:
    import pandas as pd

FEATURES = StructType(
    [
        StructField("track_id", StringType()),
        StructField("vector", ArrayType(FloatType())),
        StructField("extractor_version", StringType()),
    ]
)
"""One row a track: 189 numbers as `batch.audio.features.features` gives them, 140 where they are FMA's own."""

FEATURES_OF_CONTENT = StructType([*FEATURES.fields, StructField("sha256", StringType())])
"""FEATURES as extraction writes them: with the content that they are of, by which it knows whether they are a track's still."""

OUTCOMES = StructType(
    [
        *FILE.fields,
        StructField("sha256", StringType()),
        *TAGS.fields,
        StructField("duration_s", DoubleType()),
        StructField("vector", ArrayType(FloatType())),
        StructField("reason", StringType()),
        StructField("detail", StringType()),
    ]
)
"""One row a file: tags and vector, or the reason why not. Content that was known before has no vector."""

PATIENCE_S = 60.0
"""Seconds that a file may take, besides what its size explains."""
SLOWEST_DISK = 2e6
"""Bytes a second that reading a file may take at worst."""


def outcomes(
    files: DataFrame,
    root: str,
    known: Broadcast[frozenset[str]],
    middle_s: float | None,
    done: tuple[Accumulator[int], Accumulator[int]],
) -> DataFrame:
    """What became of each file: (path, size, mtime_ns) in, OUTCOMES out.

    known : sha256 of contents that have their features already, shared with the workers
    done : counters of files, and of files refused among them
    """
    patience_s = PATIENCE_S

    def read(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        for batch in batches:
            rows = [
                outcome(path, size, mtime_ns, root, known.value, middle_s, patience_s)
                for path, size, mtime_ns in zip(batch["path"], batch["size"], batch["mtime_ns"], strict=True)
            ]
            done[0].add(len(rows))
            done[1].add(sum(row["reason"] is not None for row in rows))
            yield pd.DataFrame(rows, columns=OUTCOMES.names).astype({"track_number": "Int32", "year": "Int32"})

    return files.mapInPandas(read, OUTCOMES)


def features(outcomes: DataFrame, ids: DataFrame, extractor_version: str) -> DataFrame:
    """The rows of FEATURES_OF_CONTENT: one for each track among the outcomes whose file was decoded.

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
    path: str,
    size: int,
    mtime_ns: int,
    root: str,
    known: frozenset[str],
    middle_s: float | None,
    patience_s: float = PATIENCE_S,
) -> dict[str, Any]:
    """A row of OUTCOMES for one file; never raises for what a file may hold or do to its reader."""
    from batch.audio.decoding import UnreadableAudio

    row: dict[str, Any] = dict.fromkeys(OUTCOMES.names)
    row |= {"path": path, "size": size, "mtime_ns": mtime_ns}
    ask, limit_s = _reader(), patience_s + size / SLOWEST_DISK
    try:
        row["sha256"] = ask("hash", path, limit_s=limit_s)
        row |= ask("tags" if row["sha256"] in known else "track", path, root, middle_s, limit_s=limit_s)
    except (UnreadableAudio, Lost) as error:
        row |= {"reason": error.reason, "detail": error.detail}
    except FileNotFoundError:
        row |= {"reason": "unreadable", "detail": "the file vanished while the library was read"}
    except MemoryError:
        row |= {"reason": "out of memory", "detail": "it takes more memory than a track is given"}
    except OSError as error:
        row |= {"reason": "unreadable", "detail": error.strerror or str(error)}
    except NotStarted:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a file makes a parser stumble over costs that file
        row |= {"reason": "failed", "detail": f"{type(error).__name__}: {error}"}
    return row


def answer(what: str, path: str, root: str = "", middle_s: float | None = None) -> Any:
    """What the reading process is asked: a file's `hash`, its `tags`, or all of its `track`. Raises what is wrong with it."""
    from batch.audio import features
    from batch.audio.tags import tags

    file = _copies().of(path)
    if what == "hash":
        with open(file, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    found: dict[str, Any] = {}
    if what == "track":
        found["vector"], found["duration_s"] = features.track(file, middle_s)
        if not _finite(found["vector"]):
            raise features.UnreadableAudio("not finite", "its features are not all finite numbers")
    return found | asdict(tags(PurePosixPath(path), PurePosixPath(root), file))


@lru_cache
def _copies() -> Copies:
    copies = Copies()
    atexit.register(copies.clear)
    return copies


@lru_cache
def _reader() -> Isolated:
    """The worker's reading process; it lives as long as the worker, and is replaced when a file takes it along."""
    return Isolated("batch.library.extraction:answer", "batch.audio.features:warm_up")


def _finite(vector: Any) -> bool:
    import numpy as np

    return bool(np.isfinite(vector).all())
