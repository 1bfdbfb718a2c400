"""The table `features`: the pandas UDF that carries `audio.features` to the cluster.

Paths travel, never audio. A worker hashes a file first and decodes it only when its content is new.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DoubleType, FloatType, IntegerType, StringType, StructField, StructType

from batch.audio import EXTRACTOR_VERSION, UnreadableAudio
from batch.tracks import FILE

if TYPE_CHECKING:
    import pandas as pd

FEATURES = StructType(
    [
        StructField("track_id", StringType()),
        StructField("vector", ArrayType(FloatType())),
        StructField("extractor_version", StringType()),
    ]
)
"""One row a track: 189 numbers as `batch.audio.features` gives them."""

OUTCOMES = StructType(
    [
        *FILE.fields,
        StructField("sha256", StringType()),
        StructField("title", StringType()),
        StructField("artist", StringType()),
        StructField("album", StringType()),
        StructField("genre", StringType()),
        StructField("composer", StringType()),
        StructField("track_number", IntegerType()),
        StructField("year", IntegerType()),
        StructField("licence", StringType()),
        StructField("duration_s", DoubleType()),
        StructField("vector", ArrayType(FloatType())),
        StructField("reason", StringType()),
        StructField("detail", StringType()),
    ]
)
"""One row a file: tags and vector, or the reason why not. Content that was known before has no vector."""


def outcomes(files: DataFrame, root: str, known: frozenset[str], middle_s: float | None) -> DataFrame:
    """What became of each file: (path, size, mtime_ns) in, OUTCOMES out.

    known : sha256 of contents that have their features already
    """
    shared = files.sparkSession.sparkContext.broadcast(known)

    def read(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        from batch import audio

        audio.warm_up()
        for batch in batches:
            rows = [
                outcome(path, size, mtime_ns, Path(root), shared.value, middle_s)
                for path, size, mtime_ns in zip(batch["path"], batch["size"], batch["mtime_ns"], strict=True)
            ]
            yield pd.DataFrame(rows, columns=OUTCOMES.names).astype({"track_number": "Int32", "year": "Int32"})

    return files.mapInPandas(read, OUTCOMES)


def features(outcomes: DataFrame, ids: DataFrame) -> DataFrame:
    """The rows of FEATURES: one for each track among the outcomes whose file was decoded.

    outcomes : OUTCOMES;  ids : (path, track_id)
    """
    was_decoded = F.col("vector").isNotNull()
    return (
        outcomes.where(was_decoded)
        .join(F.broadcast(ids), on="path", how="inner")
        .dropDuplicates(["track_id"])
        .select("track_id", "vector", F.lit(EXTRACTOR_VERSION).alias("extractor_version"))
    )


def outcome(
    path: str,
    size: int,
    mtime_ns: int,
    root: Path,
    known: frozenset[str],
    middle_s: float | None,
) -> dict[str, Any]:
    """A row of OUTCOMES for one file; never raises for what a file may hold."""
    from batch import audio
    from batch.tags import tags

    row: dict[str, Any] = dict.fromkeys(OUTCOMES.names)
    row |= {"path": path, "size": size, "mtime_ns": mtime_ns}
    try:
        row["sha256"] = _sha256(path)
        if row["sha256"] not in known:
            y, row["duration_s"] = audio.clip(Path(path), middle_s)
            vector = audio.features(y)
            if not _finite(vector):
                raise UnreadableAudio("not finite", "its features are not all finite numbers")
            row["vector"] = vector
        row |= asdict(tags(Path(path), root))
    except UnreadableAudio as error:
        row |= {"reason": error.reason, "detail": error.detail}
    except FileNotFoundError:
        row |= {"reason": "unreadable", "detail": "the file vanished while the library was read"}
    except OSError as error:
        row |= {"reason": "unreadable", "detail": error.strerror or str(error)}
    return row


def _sha256(path: str | os.PathLike[str]) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _finite(vector: Any) -> bool:
    import numpy as np

    return bool(np.isfinite(vector).all())
