"""The library of a training: narrow columns of all tracks on the driver, and which of them are the sample.

Features stay where they are. What is fitted (metric, hash tables, genre networks, quantiles of words, the map's outline) is
fitted on up to FITTED_TRACKS tracks: whole albums, since whitening within albums needs tracks of one album.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.ml.functions import array_to_vector
from pyspark.ml.stat import Summarizer
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from batch import registry
from batch.audio.features import split_version
from batch.ear.graph import N_EMBEDDING
from batch.index.building import artist_codes
from batch.index.pieces import TrackColumns
from batch.index.projection import MAX_FEATURE, Floats, Rows
from batch.lake import table
from batch.library.extraction import FEATURES
from batch.library.files import library_name
from batch.library.labels import MAX_ARTISTS, UNIT_SEPARATOR
from batch.library.parts import are_enough_embedded
from batch.library.titles import MAX_LENGTH_S
from batch.library.tracks import TRACKS
from batch.model.fit_index import TRACKS_A_TASK
from conf.settings import Lake, Settings

FITTED_TRACKS = 30_000
"""Tracks that a model is fitted on at most: 47 MB of both blocks, and some 350 MB while whitening is learned from them."""
ALBUM_PIECE = 20
"""A larger album is drawn in pieces of so many tracks, so that one giant "album" is not the sample."""
SAMPLE_SEED = 20
IDS_AT_ONCE = 65_536

_EXTRACT = "run ./spark-submit.sh batch/extract.py"
_LABELS = ("artist", "album", "genre", "split", "title", "duration_s")


class NoFeatures(ValueError):
    """The library has no features that a model can be trained on."""


@dataclass(frozen=True)
class Library:
    """Columns of the n tracks with usable features, sorted by id.

    ids : [shape=(n,)]
    artists : names as in the tags, of several joined; Arrow's, with equal ones once
    durations : float32 seconds, nan where unknown [shape=(n,)]
    albums : int64 [shape=(n,)], equal for tracks of one artist and album
    hashes : int64 [shape=(n, 3)], of each track's labels, vector, and embedding with tags
    extractor : version that made all of the features that are used;  dimensions : of a row of them
    ear : the trained ear whose embeddings are used; None: of none
    is_embedded : whether that ear heard the track [shape=(n,)]
    left_out : ids of tracks whose features cannot be used
    mean_embedding : stands in place of a missing one [shape=(200,)]; None: none is missing
    """

    ids: NDArray[np.str_]
    artists: pa.DictionaryArray
    durations: Floats
    albums: NDArray[np.int64]
    hashes: NDArray[np.int64]
    extractor: str
    dimensions: int
    ear: str | None
    is_embedded: NDArray[np.bool_]
    left_out: list[str]
    mean_embedding: Floats | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def imputed(self) -> list[str]:
        """Ids of tracks without an embedding, which have the mean of the others."""
        return self.ids[~self.is_embedded].tolist() if self.ear else []

    @cached_property
    def sample(self) -> Rows:
        """Rows of the tracks that the model is fitted on, sorted."""
        return sampled_rows(self.albums, FITTED_TRACKS)

    @property
    def is_sampled(self) -> bool:
        """Whether the sample is not all of the library."""
        return len(self.sample) < len(self)

    def track_columns(self) -> TrackColumns:
        """What the index has of the tracks."""
        names, codes = artist_codes(self.artists.dictionary.to_pylist())
        places = self.artists.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return TrackColumns(self.ids, np.append(codes, np.int32(-1))[places], names, self.durations)

    def fingerprint(self, defaults: Mapping[str, Any]) -> str:
        """SHA-256 of all that determines a model: another one means another training.

        defaults : of the training, as JSON has them
        """
        digest = hashlib.sha256(self.extractor.encode())
        for start in range(0, len(self), IDS_AT_ONCE):
            digest.update("\x00".join(self.ids[start : start + IDS_AT_ONCE].tolist()).encode() + b"\x01")
        digest.update("\x00".join(self.left_out).encode() + b"\x01")
        hashes = self.hashes if self.ear else self.hashes[:, :2]
        digest.update(np.ascontiguousarray(hashes).tobytes() + np.packbits(self.is_embedded).tobytes())
        digest.update(json.dumps({"format": registry.FORMAT, **defaults}, sort_keys=True).encode())
        return digest.hexdigest()


def library_features(spark: SparkSession, lake: Lake, library: str) -> DataFrame:
    """Present tracks with features: FEATURES and (artist, album, genre, split, title, duration_s).

    library : root of one library; "": all of them
    artist : of several, as `batch.library.labels.joined_artists` joins them
    split : null in a library that brings none
    In as many partitions as the tracks want (TRACKS_A_TASK).
    """
    is_present = F.col("gone_at").isNull()
    if library:
        is_present &= F.col("library") == library_name(library)
    tracks = table(spark, lake.table("tracks"), TRACKS).where(is_present).dropDuplicates(["track_id"])
    if "split" not in tracks.columns:
        tracks = tracks.withColumn("split", F.lit(None).cast("string"))
    features = table(spark, lake.table("features"), FEATURES)
    tasks = -(-features.count() // TRACKS_A_TASK)
    if tasks > spark.sparkContext.defaultParallelism:
        tracks, features = (frame.repartition(tasks, "track_id") for frame in (tracks, features))
    has_several = F.size("artists") > 1
    artist = (
        F.when(has_several, F.array_join(F.slice("artists", 1, MAX_ARTISTS), UNIT_SEPARATOR))
        .otherwise(F.col("artist"))
        .alias("artist")
    )
    return tracks.join(features, on="track_id", how="inner").select(
        *FEATURES.names, artist, "album", "genre", "split", "title", "duration_s"
    )


def library_columns(tracks: DataFrame, settings: Settings) -> Library:
    """The library's columns. Raises NoFeatures.

    tracks : as `library_features` returns them
    """
    labels = [F.coalesce(F.col(name).cast("string"), F.lit("\x00")) for name in _LABELS]
    columns = tracks.select(
        "track_id",
        "extractor_version",
        F.size("vector").alias("length"),
        is_usable().alias("is_usable"),
        _has_embedding().alias("has_embedding"),
        "artist",
        F.col("duration_s").cast("double").alias("duration_s"),
        _album().alias("album"),
        F.xxhash64(*labels).alias("labels_hash"),
        F.xxhash64("vector").alias("vector_hash"),
        F.xxhash64("embedding", "tags").alias("ear_hash"),
    )
    library = library_of(columns.orderBy("track_id").toArrow(), settings)
    is_missing = library.ear is not None and not library.is_embedded.all()
    return replace(library, mean_embedding=_mean_embedding(tracks, library.ear or "")) if is_missing else library


def library_of(arrow: pa.Table, settings: Settings) -> Library:
    """The library of the columns that `library_columns` selects, sorted by id. Raises NoFeatures."""
    of_library = f" of {settings.library.root}" if settings.library.root else ""
    if not arrow.num_rows:
        raise NoFeatures(f"no features{of_library} in {settings.lake.root}; {_EXTRACT} first")
    versions = pc.dictionary_encode(arrow["extractor_version"]).combine_chunks()
    names = [split_version(version) for version in versions.dictionary.to_pylist()]
    extractor = single_extractor(sorted({vector for vector, _ in names}))
    lengths = set(pc.unique(arrow["length"]).to_pylist()) - {None, -1}
    if len(lengths) > 1:
        raise NoFeatures(
            f"expected feature vectors of one length, got {sorted(lengths)} by one extractor version; "
            f"{_EXTRACT} on a new lake"
        )
    is_kept = arrow["is_usable"].to_numpy()
    if not is_kept.any():
        raise NoFeatures(
            f"features of {len(is_kept)} tracks{of_library}, none of them finite numbers below {MAX_FEATURE:g}; "
            f"{_EXTRACT} on a new lake"
        )
    left_out = arrow["track_id"].filter(pc.invert(arrow["is_usable"])).to_pylist()
    arrow = arrow.drop_columns(["extractor_version", "length"]).filter(arrow["is_usable"])
    ears = np.array([ear for _, ear in names])[versions.indices.to_numpy()[is_kept]]
    ear, is_embedded = None, np.zeros(len(arrow), dtype=bool)
    if settings.library.ear != "none":
        ear, is_embedded = _chosen_ear(ears, arrow["has_embedding"].to_numpy())
    return Library(
        ids=_strings(arrow["track_id"]),
        artists=pc.dictionary_encode(arrow["artist"]).combine_chunks(),
        durations=_known_lengths(arrow["duration_s"]),
        albums=arrow["album"].to_numpy(),
        hashes=np.stack([arrow[name].to_numpy() for name in ("labels_hash", "vector_hash", "ear_hash")], axis=1),
        extractor=f"{extractor}+{ear}" if ear else extractor,
        dimensions=lengths.pop() + (N_EMBEDDING if ear else 0),
        ear=ear,
        is_embedded=is_embedded,
        left_out=left_out,
    )


def sampled_rows(albums: NDArray[np.int64], most: int) -> Rows:
    """Up to so many rows, sorted: albums in a seeded random order that follows from them alone; all rows of few.

    albums : a hash of each track's album [shape=(n,)], in the order of the track ids
    """
    if len(albums) <= most:
        return np.arange(len(albums))
    by_album = np.argsort(albums, kind="stable")
    ordered = albums[by_album]
    begins = np.flatnonzero(np.diff(ordered, prepend=ordered[0] - 1))
    place_in_album = np.arange(len(albums)) - np.repeat(begins, np.diff(begins, append=len(albums)))
    piece = ordered.view(np.uint64) + np.uint64(SAMPLE_SEED) + (place_in_album // ALBUM_PIECE).astype(np.uint64)
    return np.sort(by_album[np.argsort(_mixed(piece), kind="stable")[:most]])


def is_usable() -> Column:
    """Whether a track has a vector, all of it finite and below MAX_FEATURE in absolute value."""
    return _is_finite("vector")


def is_embedded_by(ear: str) -> Column:
    """Whether this trained ear gave the track a usable embedding."""
    return F.col("extractor_version").endswith(f"+{ear}") & _has_embedding()


def single_extractor(versions: list[str]) -> str:
    """The only version. Raises NoFeatures where there are several."""
    if len(versions) > 1:
        raise NoFeatures(
            f"features of {len(versions)} extractor versions ({', '.join(sorted(versions))}), expected one: "
            "choose one library by OVERTONE_LIBRARY__ROOT, give the other a home of its own by OVERTONE_HOME, or run "
            "./spark-submit.sh batch/extract.py to bring all to one"
        )
    return versions[0]


def _has_embedding() -> Column:
    return (F.coalesce(F.size("embedding"), F.lit(-1)) == N_EMBEDDING) & _is_finite("embedding")


def _is_finite(column: str) -> Column:
    return F.coalesce(
        F.forall(
            column, lambda number: F.coalesce(F.abs(number) < F.lit(MAX_FEATURE), F.lit(False)) & ~F.isnan(number)
        ),
        F.lit(False),
    )


def _album() -> Column:
    """A hash of artist and album, of the track's id where it has no album."""
    album, artist = F.trim(F.coalesce("album", F.lit(""))), F.coalesce("artist", F.lit(""))
    return F.when(album == "", F.xxhash64("track_id")).otherwise(F.xxhash64(artist, album))


def _chosen_ear(ears: NDArray[np.str_], has_embedding: NDArray[np.bool_]) -> tuple[str | None, NDArray[np.bool_]]:
    """(the trained ear that heard the most tracks, which tracks have an embedding of it); None where too few have one."""
    counts = Counter(ears[ears != ""].tolist())
    if counts:
        ear = min(counts, key=lambda version: (-counts[version], version))
        is_embedded = (ears == ear) & has_embedding
        if are_enough_embedded(int(is_embedded.sum()), len(ears)):
            return ear, is_embedded
    return None, np.zeros(len(ears), dtype=bool)


def _mean_embedding(tracks: DataFrame, ear: str) -> Floats:
    """The mean embedding of the tracks that have one, by sums on executors."""
    embedded = tracks.where(is_usable() & is_embedded_by(ear))
    row = embedded.select(Summarizer.mean(array_to_vector(F.col("embedding"))).alias("mean")).first()
    assert row is not None  # at least one track is embedded
    return np.asarray(row["mean"].toArray(), dtype=np.float32)


def _strings(column: pa.ChunkedArray) -> NDArray[np.str_]:
    """The column as an array of equally long strings, made in parts."""
    longest = pc.max(pc.utf8_length(column)).as_py() or 1
    strings = np.empty(len(column), dtype=f"<U{longest}")
    for start in range(0, len(column), IDS_AT_ONCE):
        part = column.slice(start, IDS_AT_ONCE)
        strings[start : start + len(part)] = part.to_pylist()
    return strings


def _known_lengths(seconds: pa.ChunkedArray) -> Floats:
    """The lengths, nan for what is no length: float32 [shape=(n,)], as `batch.library.titles.track_lengths`."""
    lengths = seconds.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.where((lengths > 0) & (lengths < MAX_LENGTH_S), lengths, np.nan).astype(np.float32)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The values with all bits mixed (the finaliser of SplitMix64)."""
    mixed = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
