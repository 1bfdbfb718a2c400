"""The training set: the library's present tracks with usable features, as columns on the driver."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch.audio.features import split_version
from batch.ear.graph import N_EMBEDDING, N_TAGS
from batch.index.projection import MAX_FEATURE, Floats, Rows
from batch.library.labels import TrackLabels, track_labels
from batch.training.library import Library, is_embedded_by, is_usable


@dataclass(frozen=True)
class TrainingSet:
    """Columns of n tracks, sorted by id.

    features : rows [vector | embedding], float32 [shape=(n, d)]; the vectors alone without embeddings
    splits : the library's own; None where no track has one
    extractor : version that made all of the features that are here
    left_out : ids of tracks whose features cannot be used
    titles, durations_s : from which recordings are told apart; a duration is None where it is unknown
    embedding_length : numbers of a row that one trained ear made, at its end; 0 where too few of the tracks have an embedding
    tags : probabilities of the ear's tags, float32 [shape=(n, 50)], rows of 0 where a track has none; None without embeddings
    imputed : ids of tracks without an embedding, which have the mean of the others
    """

    ids: list[str]
    features: Floats
    artists: list[str | None]
    albums: list[str | None]
    genres: list[str | None]
    splits: list[str | None] | None
    extractor: str
    left_out: list[str]
    titles: list[str | None]
    durations_s: list[float | None]
    embedding_length: int = 0
    tags: Floats | None = None
    imputed: tuple[str, ...] = ()

    @property
    def block_lengths(self) -> tuple[int, ...]:
        """Numbers of each block of a row of `features` (`batch.model.blocks`)."""
        dimensions = self.features.shape[1]
        return (dimensions - self.embedding_length, self.embedding_length) if self.embedding_length else (dimensions,)

    @property
    def ear(self) -> str | None:
        """Version of the trained ear that made the embeddings."""
        return split_version(self.extractor)[1] or None

    def without_embeddings(self) -> TrainingSet:
        """The same tracks with their vectors alone."""
        vectors = np.ascontiguousarray(self.features[:, : self.block_lengths[0]])
        extractor = split_version(self.extractor)[0]
        return replace(self, features=vectors, embedding_length=0, tags=None, imputed=(), extractor=extractor)

    @property
    def labels(self) -> TrackLabels:
        return track_labels(self.artists, self.albums, self.genres)


def feature_rows(tracks: DataFrame, library: Library) -> DataFrame:
    """(track_id, features, artist, title, tags) of the library's tracks; `features` as in the training set.

    tracks : as `library_features`
    tags : of the trained ear that is used; null where a track has none
    """
    usable = tracks.where(is_usable())
    if library.ear is None:
        return usable.select(
            "track_id", F.col("vector").alias("features"), "artist", "title", F.lit(None).alias("tags")
        )
    is_embedded, embedding = is_embedded_by(library.ear), F.col("embedding")
    if library.mean_embedding is not None:
        mean = F.array(*[F.lit(float(number)) for number in library.mean_embedding]).cast("array<float>")
        embedding = F.when(is_embedded, embedding).otherwise(mean)
    tags = F.when(is_embedded, F.col("tags")).alias("tags")
    return usable.select("track_id", F.concat("vector", embedding).alias("features"), "artist", "title", tags)


def training_set(tracks: DataFrame, library: Library, rows: Rows | None = None) -> TrainingSet:
    """Tracks of the library on the driver, with their features: 100,000 with 389 are 156 MB.

    tracks : as `library_features`, of which `library` was made
    rows : of the library, sorted; None: all
    """
    if rows is not None and len(rows) < len(library):
        ids = tracks.sparkSession.createDataFrame(pa.table({"track_id": library.ids[rows].tolist()}))
        tracks = tracks.join(F.broadcast(ids), on="track_id", how="left_semi")
    arrow = tracks.where(is_usable()).orderBy("track_id").toArrow()
    embedding_length = N_EMBEDDING if library.ear else 0
    vector_length = library.dimensions - embedding_length
    features = np.empty((len(arrow), library.dimensions), dtype=np.float32)
    features[:, :vector_length] = number_rows(arrow["vector"], vector_length)
    tags = None
    is_imputed = np.zeros(len(arrow), dtype=bool)
    if library.ear is not None:
        ears = [split_version(version)[1] for version in arrow["extractor_version"].to_pylist()]
        embeddings = number_rows(arrow["embedding"], N_EMBEDDING, np.array([ear == library.ear for ear in ears]))
        is_imputed = np.isnan(embeddings[:, 0])
        tags = np.nan_to_num(number_rows(arrow["tags"], N_TAGS, ~is_imputed))
        if library.mean_embedding is not None:
            embeddings[is_imputed] = library.mean_embedding
        features[:, vector_length:] = embeddings
    splits = arrow["split"].to_pylist()
    return TrainingSet(
        ids=arrow["track_id"].to_pylist(),
        features=features,
        artists=arrow["artist"].to_pylist(),
        albums=arrow["album"].to_pylist(),
        genres=arrow["genre"].to_pylist(),
        splits=splits if any(splits) else None,
        extractor=library.extractor,
        left_out=library.left_out,
        titles=arrow["title"].to_pylist(),
        durations_s=arrow["duration_s"].to_pylist(),
        embedding_length=embedding_length,
        tags=tags,
        imputed=tuple(arrow.filter(is_imputed)["track_id"].to_pylist()),
    )


def number_rows(arrays: pa.ChunkedArray, length: int, is_wanted: NDArray[np.bool_] | None = None) -> Floats:
    """A column of arrays as rows, rows of nan where one is not wanted, not of that length or not finite.

    is_wanted : [shape=(n,)]; None: all
    Returns float32 [shape=(n, length)].
    """
    rows = np.full((len(arrays), length), np.nan, dtype=np.float32)
    has_length = pc.fill_null(pc.equal(pc.list_value_length(arrays), length), False)
    fits = has_length.to_numpy(zero_copy_only=False) & (True if is_wanted is None else is_wanted)
    if fits.any():
        numbers = pc.list_flatten(arrays.filter(fits)).to_numpy()
        rows[fits] = numbers.reshape(-1, length)
    rows[~(np.abs(rows) < MAX_FEATURE).all(axis=1)] = np.nan
    return rows
