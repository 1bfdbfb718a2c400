"""What a model is trained on: the library's tracks that are there and whose features can be used, as columns on the driver."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from batch import metric, registry
from batch.features import FEATURES
from batch.lake import table
from batch.library import library_name
from batch.space import Floats
from batch.tracks import TRACKS
from conf.settings import Lake, Settings


class NoFeatures(ValueError):
    """There is nothing to train on."""


@dataclass(frozen=True)
class Known:
    """The tracks that a model is made of, sorted by id, as columns; what could not be used is in `left_out`."""

    ids: list[str]
    vectors: Floats
    artists: list[str | None]
    albums: list[str | None]
    genres: list[str | None]
    splits: list[str | None] | None
    extractor: str
    left_out: list[str]

    @property
    def tags(self) -> metric.Tags:
        return metric.tags(self.artists, self.albums, self.genres)


def library_features(spark: SparkSession, lake: Lake, library: str) -> DataFrame:
    """(track_id, vector, extractor_version, artist, album, genre, split) of tracks that are there, of one library or of all ("").

    split : null in a library that brings none of its own
    """
    is_here = F.col("gone_at").isNull()
    if library:
        is_here &= F.col("library") == library_name(library)
    tracks = table(spark, lake.table("tracks"), TRACKS).where(is_here).dropDuplicates(["track_id"])
    if "split" not in tracks.columns:
        tracks = tracks.withColumn("split", F.lit(None).cast("string"))
    features = table(spark, lake.table("features"), FEATURES)
    return tracks.join(features, on="track_id", how="inner").select(
        "track_id", "vector", "extractor_version", "artist", "album", "genre", "split"
    )


def is_usable() -> Column:
    """Whether a track's features are all finite numbers."""
    return F.forall(
        "vector", lambda number: F.coalesce(F.abs(number) < F.lit(float("inf")), F.lit(False)) & ~F.isnan(number)
    )


def columns(tracks: DataFrame, settings: Settings) -> Known:
    """The tracks as arrays on the driver: 100,000 of 189 features are 75 MB. Raises NoFeatures."""
    arrow = tracks.orderBy("track_id").toArrow()
    where = f" of {settings.library.root}" if settings.library.root else ""
    extract = "run ./spark-submit.sh batch/extract.py"
    if not arrow.num_rows:
        raise NoFeatures(f"no features{where} in {settings.lake.root}; {extract} first")
    extractor = _one_extractor(arrow["extractor_version"].unique().to_pylist())
    lengths = _lengths(arrow["vector"])
    if len(lengths) > 1:
        raise NoFeatures(
            f"features of different length ({sorted(lengths)}) by one extractor version; {extract} on a new lake"
        )
    vectors = np.vstack(arrow["vector"].to_numpy()).astype(np.float32)
    usable = np.isfinite(vectors).all(axis=1)
    if not usable.any():
        raise NoFeatures(
            f"features of {len(vectors)} tracks{where}, none of them finite numbers; {extract} on a new lake"
        )
    ids = arrow["track_id"].to_pylist()
    left_out = [ids[row] for row in np.flatnonzero(~usable)]
    kept = arrow.filter(usable)
    splits = kept["split"].to_pylist()
    return Known(
        ids=kept["track_id"].to_pylist(),
        vectors=vectors[usable],
        artists=kept["artist"].to_pylist(),
        albums=kept["album"].to_pylist(),
        genres=kept["genre"].to_pylist(),
        splits=splits if any(splits) else None,
        extractor=extractor,
        left_out=left_out,
    )


def fingerprint(known: Known) -> str:
    """Changes whenever a model trained on these would be another."""
    digest = hashlib.sha256(known.extractor.encode())
    for values in (known.ids, known.artists, known.albums, known.genres, known.splits or [], known.left_out):
        digest.update("\x00".join(value or "" for value in values).encode())
        digest.update(b"\x01")
    digest.update(np.ascontiguousarray(known.vectors).tobytes())
    digest.update(repr(registry.FORMAT).encode())
    return digest.hexdigest()


def _lengths(vectors: Any) -> set[int]:
    return set(pc.unique(pc.list_value_length(vectors)).to_pylist())


def _one_extractor(found: list[str]) -> str:
    if len(found) > 1:
        raise NoFeatures(
            f"features of {len(found)} extractor versions ({', '.join(sorted(found))}); one index never mixes them: "
            "run ./spark-submit.sh batch/extract.py to bring all to one"
        )
    return found[0]
