"""The training set: the library's present tracks with usable features, as columns on the driver."""

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
from batch.library.labels import TrackLabels, track_labels
from batch.library.tracks import TRACKS
from conf.settings import Lake, Settings

MAX_FEATURE = 1e18
"""Features must be below; the square of larger ones would overflow float32."""
_EXTRACT = "run ./spark-submit.sh batch/extract.py"


class NoFeatures(ValueError):
    """The library has no features that a model can be trained on."""


@dataclass(frozen=True)
class TrainingSet:
    """Columns of n tracks, sorted by id.

    vectors : float32 [shape=(n, d)]
    splits : the library's own; None where no track has one
    extractor : version that made all of the vectors
    left_out : ids of tracks whose features cannot be used
    titles, durations_s : from which recordings are told apart; a duration is None where it is unknown
    """

    ids: list[str]
    vectors: Floats
    artists: list[str | None]
    albums: list[str | None]
    genres: list[str | None]
    splits: list[str | None] | None
    extractor: str
    left_out: list[str]
    titles: list[str | None]
    durations_s: list[float | None]

    @property
    def labels(self) -> TrackLabels:
        return track_labels(self.artists, self.albums, self.genres)


def library_features(spark: SparkSession, lake: Lake, library: str) -> DataFrame:
    """Present tracks with features: (track_id, vector, extractor_version, artist, album, genre, split, title, duration_s).

    library : root of one library; "": all of them
    split : null in a library that brings none
    """
    is_present = F.col("gone_at").isNull()
    if library:
        is_present &= F.col("library") == library_name(library)
    tracks = table(spark, lake.table("tracks"), TRACKS).where(is_present).dropDuplicates(["track_id"])
    if "split" not in tracks.columns:
        tracks = tracks.withColumn("split", F.lit(None).cast("string"))
    features = table(spark, lake.table("features"), FEATURES)
    return tracks.join(features, on="track_id", how="inner").select(
        "track_id", "vector", "extractor_version", "artist", "album", "genre", "split", "title", "duration_s"
    )


def is_usable() -> Column:
    """Whether a track has features, all of them finite and below MAX_FEATURE in absolute value."""
    return F.coalesce(
        F.forall(
            "vector", lambda number: F.coalesce(F.abs(number) < F.lit(MAX_FEATURE), F.lit(False)) & ~F.isnan(number)
        ),
        F.lit(False),
    )


def training_set(tracks: DataFrame, settings: Settings) -> TrainingSet:
    """The tracks on the driver: 100,000 with 189 features are 75 MB. Raises NoFeatures.

    tracks : as `library_features` returns them
    """
    arrow = tracks.orderBy("track_id").toArrow()
    of_library = f" of {settings.library.root}" if settings.library.root else ""
    if not arrow.num_rows:
        raise NoFeatures(f"no features{of_library} in {settings.lake.root}; {_EXTRACT} first")
    extractor = _single_extractor(arrow["extractor_version"].unique().to_pylist())
    lengths = _lengths(arrow["vector"])
    if len(lengths) > 1:
        raise NoFeatures(
            f"expected feature vectors of one length, got {sorted(lengths)} by one extractor version; "
            f"{_EXTRACT} on a new lake"
        )
    vectors, usable = _matrix(arrow["vector"])
    if not usable.any():
        raise NoFeatures(
            f"features of {len(usable)} tracks{of_library}, none of them finite numbers below {MAX_FEATURE:g}; "
            f"{_EXTRACT} on a new lake"
        )
    ids = arrow["track_id"].to_pylist()
    left_out = [ids[row] for row in np.flatnonzero(~usable)]
    columns = arrow.filter(usable)
    splits = columns["split"].to_pylist()
    return TrainingSet(
        ids=columns["track_id"].to_pylist(),
        vectors=vectors,
        artists=columns["artist"].to_pylist(),
        albums=columns["album"].to_pylist(),
        genres=columns["genre"].to_pylist(),
        splits=splits if any(splits) else None,
        extractor=extractor,
        left_out=left_out,
        titles=columns["title"].to_pylist(),
        durations_s=columns["duration_s"].to_pylist(),
    )


def fingerprint(dataset: TrainingSet, defaults: Mapping[str, Any]) -> str:
    """SHA-256 of all that determines a model: another one means another training.

    defaults : of the training, as JSON has them
    """
    digest = hashlib.sha256(dataset.extractor.encode())
    for values in (
        dataset.ids,
        dataset.artists,
        dataset.albums,
        dataset.genres,
        dataset.splits or [],
        dataset.left_out,
        dataset.titles,
        [None if seconds is None else repr(seconds) for seconds in dataset.durations_s],
    ):
        digest.update("\x00".join(value or "" for value in values).encode())
        digest.update(b"\x01")
    digest.update(np.ascontiguousarray(dataset.vectors).tobytes())
    digest.update(json.dumps({"format": registry.FORMAT, **defaults}, sort_keys=True).encode())
    return digest.hexdigest()


def _matrix(vectors: Any) -> tuple[Floats, NDArray[np.bool_]]:
    """(usable vectors, float32 [shape=(m, d)], mask of them [shape=(n,)]); the same rule as `is_usable`."""
    usable = pc.is_valid(vectors).to_numpy(zero_copy_only=False).copy()
    arrays = vectors.filter(pc.is_valid(vectors)).to_numpy()
    matrix = np.vstack(arrays).astype(np.float32) if len(arrays) else np.empty((0, 0), dtype=np.float32)
    is_finite = (np.abs(matrix) < MAX_FEATURE).all(axis=1)  # false for nan
    usable[usable] = is_finite
    return matrix[is_finite], usable


def _lengths(vectors: Any) -> set[int]:
    return set(pc.unique(pc.list_value_length(vectors)).to_pylist()) - {None}


def _single_extractor(versions: list[str]) -> str:
    """The only version. Raises NoFeatures where there are several."""
    if len(versions) > 1:
        raise NoFeatures(
            f"features of {len(versions)} extractor versions ({', '.join(sorted(versions))}), expected one: "
            "choose one library by OVERTONE_LIBRARY__ROOT, give the other a home of its own by OVERTONE_HOME, or run "
            "./spark-submit.sh batch/extract.py to bring all to one"
        )
    return versions[0]
