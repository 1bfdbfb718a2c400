"""The training set: the library's present tracks with usable features, as columns on the driver."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from batch import registry
from batch.audio.features import split_version
from batch.ear.graph import N_EMBEDDING, N_TAGS
from batch.index.projection import MAX_FEATURE, Floats
from batch.lake import table
from batch.library.extraction import FEATURES
from batch.library.files import library_name
from batch.library.labels import MAX_ARTISTS, UNIT_SEPARATOR, TrackLabels, track_labels
from batch.library.parts import are_enough_embedded
from batch.library.tracks import TRACKS
from batch.model import blocks
from conf.settings import Lake, Settings

_EXTRACT = "run ./spark-submit.sh batch/extract.py"


class NoFeatures(ValueError):
    """The library has no features that a model can be trained on."""


@dataclass(frozen=True)
class TrainingSet:
    """Columns of n tracks, sorted by id.

    vectors : float32 [shape=(n, d)]
    splits : the library's own; None where no track has one
    extractor : version that made all of the features that are here
    left_out : ids of tracks whose features cannot be used
    titles, durations_s : from which recordings are told apart; a duration is None where it is unknown
    embeddings : float32 [shape=(n, 200)], by one trained ear; None where too few of the tracks have one
    tags : probabilities of the ear's tags, float32 [shape=(n, 50)], rows of 0 where a track has none; None without embeddings
    imputed : ids of tracks without an embedding, which have the mean of the others
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
    embeddings: Floats | None = None
    tags: Floats | None = None
    imputed: tuple[str, ...] = ()

    @cached_property
    def features(self) -> Floats:
        """Rows [vector | embedding], float32 [shape=(n, d + 200)]; the vectors alone without embeddings."""
        return blocks.joined(self.vectors, self.embeddings)

    @property
    def block_lengths(self) -> tuple[int, ...]:
        """Numbers of each block of a row of `features`."""
        return blocks.lengths(self.vectors, self.embeddings)

    @property
    def ear(self) -> str | None:
        """Version of the trained ear that made the embeddings."""
        return split_version(self.extractor)[1] or None

    def without_embeddings(self) -> TrainingSet:
        """The same tracks with their vectors alone."""
        return replace(self, embeddings=None, tags=None, imputed=(), extractor=split_version(self.extractor)[0])

    @property
    def labels(self) -> TrackLabels:
        return track_labels(self.artists, self.albums, self.genres)


def library_features(spark: SparkSession, lake: Lake, library: str) -> DataFrame:
    """Present tracks with features: FEATURES and (artist, album, genre, split, title, duration_s).

    library : root of one library; "": all of them
    artist : of several, as `batch.library.labels.joined_artists` joins them
    split : null in a library that brings none
    """
    is_present = F.col("gone_at").isNull()
    if library:
        is_present &= F.col("library") == library_name(library)
    tracks = table(spark, lake.table("tracks"), TRACKS).where(is_present).dropDuplicates(["track_id"])
    if "split" not in tracks.columns:
        tracks = tracks.withColumn("split", F.lit(None).cast("string"))
    features = table(spark, lake.table("features"), FEATURES)
    has_several = F.size("artists") > 1
    artist = (
        F.when(has_several, F.array_join(F.slice("artists", 1, MAX_ARTISTS), UNIT_SEPARATOR))
        .otherwise(F.col("artist"))
        .alias("artist")
    )
    return tracks.join(features, on="track_id", how="inner").select(
        *FEATURES.names, artist, "album", "genre", "split", "title", "duration_s"
    )


def feature_rows(tracks: DataFrame, dataset: TrainingSet) -> DataFrame:
    """(track_id, features) of the tracks that the training set has, as its `features`.

    tracks : as `library_features`
    """
    usable = tracks.where(is_usable())
    if dataset.embeddings is None:
        return usable.select("track_id", F.col("vector").alias("features"))
    embedding = F.col("embedding")
    if dataset.imputed:
        row = int(np.searchsorted(dataset.ids, dataset.imputed[0]))
        mean = F.array(*[F.lit(float(number)) for number in dataset.embeddings[row]]).cast("array<float>")
        embedding = F.when(F.col("track_id").isin(list(dataset.imputed)), mean).otherwise(embedding)
    return usable.select("track_id", F.concat("vector", embedding).alias("features"))


def is_usable() -> Column:
    """Whether a track has a vector, all of it finite and below MAX_FEATURE in absolute value."""
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
    versions = arrow["extractor_version"].to_pylist()
    extractor = _single_extractor(sorted({split_version(version)[0] for version in versions}))
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
    ear, embeddings, tags = _heard(columns) if settings.library.ear != "none" else (None, None, None)
    is_imputed = np.zeros(len(columns), dtype=bool) if embeddings is None else np.isnan(embeddings[:, 0])
    return TrainingSet(
        ids=columns["track_id"].to_pylist(),
        vectors=vectors,
        artists=columns["artist"].to_pylist(),
        albums=columns["album"].to_pylist(),
        genres=columns["genre"].to_pylist(),
        splits=splits if any(splits) else None,
        extractor=f"{extractor}+{ear}" if ear else extractor,
        left_out=left_out,
        titles=columns["title"].to_pylist(),
        durations_s=columns["duration_s"].to_pylist(),
        embeddings=None if embeddings is None else blocks.imputed(embeddings),
        tags=tags,
        imputed=tuple(columns.filter(is_imputed)["track_id"].to_pylist()),
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
    digest.update(np.ascontiguousarray(dataset.features).tobytes())
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


def _heard(columns: Any) -> tuple[str | None, Floats | None, Floats | None]:
    """(version of the trained ear, embeddings, tags); rows of nan and of 0 where a track has none of that ear.

    None thrice where too few of the tracks have one (`are_enough_embedded`).
    columns : of usable tracks
    """
    versions = [split_version(version)[1] for version in columns["extractor_version"].to_pylist()]
    counts = Counter(version for version in versions if version)
    if not counts:
        return None, None, None
    ear = min(counts, key=lambda version: (-counts[version], version))
    is_by_ear = np.array([version == ear for version in versions])
    embeddings = _rows(columns["embedding"], is_by_ear, N_EMBEDDING)
    if not are_enough_embedded(int(np.isfinite(embeddings[:, 0]).sum()), len(embeddings)):
        return None, None, None
    tags = _rows(columns["tags"], np.isfinite(embeddings[:, 0]), N_TAGS)
    return ear, embeddings, np.nan_to_num(tags)


def _rows(arrays: Any, is_wanted: NDArray[np.bool_], length: int) -> Floats:
    """float32 [shape=(n, length)]: a column of arrays, rows of nan where one is not wanted, not of that length or not finite."""
    rows = np.full((len(arrays), length), np.nan, dtype=np.float32)
    has_length = pc.fill_null(pc.equal(pc.list_value_length(arrays), length), False)
    fits = has_length.to_numpy(zero_copy_only=False) & is_wanted
    if fits.any():
        rows[fits] = np.vstack(arrays.filter(fits).to_numpy())
    rows[~(np.abs(rows) < MAX_FEATURE).all(axis=1)] = np.nan
    return rows


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
