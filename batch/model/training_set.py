"""What a model is trained on: the library's tracks that are there and whose features can be used, as columns on the driver."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from batch import registry
from batch.index.projection import Floats
from batch.lake import table
from batch.library.extraction import FEATURES
from batch.library.files import library_name
from batch.library.labels import Tags, tags
from batch.library.tracks import TRACKS
from conf.settings import Lake, Settings

MOST = 1e18
"""A feature as large as that is no measurement, and its square would leave the range of the numbers that we count in."""


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
    def tags(self) -> Tags:
        return tags(self.artists, self.albums, self.genres)


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
    """Whether a track has features, all of them finite numbers below MOST."""
    return F.coalesce(
        F.forall("vector", lambda number: F.coalesce(F.abs(number) < F.lit(MOST), F.lit(False)) & ~F.isnan(number)),
        F.lit(False),
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
    vectors, usable = _matrix(arrow["vector"])
    if not usable.any():
        raise NoFeatures(
            f"features of {len(usable)} tracks{where}, none of them finite numbers below {MOST:g}; {extract} on a new lake"
        )
    ids = arrow["track_id"].to_pylist()
    left_out = [ids[row] for row in np.flatnonzero(~usable)]
    kept = arrow.filter(usable)
    splits = kept["split"].to_pylist()
    return Known(
        ids=kept["track_id"].to_pylist(),
        vectors=vectors,
        artists=kept["artist"].to_pylist(),
        albums=kept["album"].to_pylist(),
        genres=kept["genre"].to_pylist(),
        splits=splits if any(splits) else None,
        extractor=extractor,
        left_out=left_out,
    )


def fingerprint(known: Known, parameters: Mapping[str, Any]) -> str:
    """Changes whenever a model trained on these would be another.

    parameters : the defaults of the training, as JSON has them: with others, the same features are trained on anew
    """
    digest = hashlib.sha256(known.extractor.encode())
    for values in (known.ids, known.artists, known.albums, known.genres, known.splits or [], known.left_out):
        digest.update("\x00".join(value or "" for value in values).encode())
        digest.update(b"\x01")
    digest.update(np.ascontiguousarray(known.vectors).tobytes())
    digest.update(json.dumps({"format": registry.FORMAT, **parameters}, sort_keys=True).encode())
    return digest.hexdigest()


def _matrix(vectors: Any) -> tuple[Floats, NDArray[np.bool_]]:
    """(the vectors that can be used, float32 [shape=(m, d)], which of all they are [shape=(n,)]), as `is_usable` decides."""
    here = pc.is_valid(vectors).to_numpy(zero_copy_only=False)
    some = vectors.filter(pc.is_valid(vectors)).to_numpy()
    found = np.vstack(some).astype(np.float32) if len(some) else np.empty((0, 0), dtype=np.float32)
    is_sound = (np.abs(found) < MOST).all(axis=1)  # nan is not
    usable = here.copy()
    usable[here] = is_sound
    return found[is_sound], usable


def _lengths(vectors: Any) -> set[int]:
    return set(pc.unique(pc.list_value_length(vectors)).to_pylist()) - {None}


def _one_extractor(found: list[str]) -> str:
    if len(found) > 1:
        raise NoFeatures(
            f"features of {len(found)} extractor versions ({', '.join(sorted(found))}), one index never mixes them: "
            "choose one library by OVERTONE_LIBRARY__ROOT, give the other a home of its own by OVERTONE_HOME, or run "
            "./spark-submit.sh batch/extract.py to bring all to one"
        )
    return found[0]
