"""Job: publishes the library's tracks, with features and the latest model's lists, genres and map, and its
albums and artists, to MongoDB.

    spark-submit.sh batch/publish.py

Without a model tracks are published without `similar`. Tracks that are gone, or of another library, are removed from the
collection: player and stream offer what it holds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pymongo.errors import ConfigurationError, PyMongoError
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BooleanType, IntegerType, StringType, StructField, StructType

from batch import job, mongo, registry
from batch.audio.features import split_version
from batch.discography import collections
from batch.discography.albums import TrackEntry, album_documents, album_ids
from batch.discography.artists import artist_documents, artist_ids
from batch.discography.names import sort_key
from batch.ear.tag_names import TAG_NAMES
from batch.index.lsh import Index
from batch.index.recordings import recording_ids
from batch.lake import table
from batch.library.extraction import FEATURES
from batch.library.files import library_name
from batch.library.labels import normalised
from batch.library.tracks import TRACKS
from batch.model.cold_start import list_for_new_listeners
from batch.model.similar_tracks import SIMILAR_SCHEMA, of_present_tracks
from batch.versions.remote_index import local_folder
from batch.words.tag_percentiles import Calibration, said_words
from conf.settings import Mongo, Settings

if TYPE_CHECKING:
    import pandas as pd

ENTRY_COLUMNS = [field.name for field in fields(TrackEntry)]
TRACK_WORDS = StructType(
    [
        StructField("track_id", StringType()),
        StructField(
            "words", ArrayType(StructType([StructField("tag", StringType()), StructField("percentile", IntegerType())]))
        ),
    ]
)
"""One row a track: the words said of its sound, the highest percentile first."""


class NothingToPublish(ValueError):
    """The library has no tracks."""


def main(arguments: Sequence[str] | None = None) -> int:
    return job.run(
        "batch/publish.py",
        "Publish tracks and model to MongoDB.",
        _work,
        arguments,
        failures=(ValueError, PyMongoError, mongo.MongoAway),
    )


def _work(settings: Settings, options: argparse.Namespace) -> str | None:
    try:
        mongo.client(settings.mongo).close()  # before Spark starts
    except (ValueError, ConfigurationError) as error:
        raise job.WrongArgument(str(error)) from error

    def published(spark: SparkSession) -> str:
        tracks, removed = publish(spark, settings)
        return f"{tracks:,} tracks published, {removed:,} removed"

    return job.in_spark("publish", published)


def publish(spark: SparkSession, settings: Settings) -> tuple[int, int]:
    """(tracks published, documents removed). Raises NothingToPublish, ModelUnusable."""
    try:
        model = registry.latest(settings.models.root)
        model.check()
    except registry.ModelNotFound:
        model = None
    tracks_present = present_tracks(spark, settings)
    entries = [TrackEntry(**row.asDict()) for row in tracks_present.select(*ENTRY_COLUMNS).collect()]
    album_by_track = album_ids(entries)
    places = spark.createDataFrame(discography_places(entries, album_by_track))
    rows = documents(spark, settings, model, tracks_present, places).cache()
    try:
        if rows.isEmpty():
            raise NothingToPublish(f"no tracks in {settings.lake.root}; run ./spark-submit.sh batch/extract.py first")
        _write(rows, settings.mongo)
        tracks = [row.asDict() for row in rows.select("track_id", "title", "artist", "genre").collect()]
    finally:
        rows.unpersist()
    genre_by_id = {track["track_id"]: track["genre"] for track in tracks}
    entries = [replace(entry, genre=genre_by_id.get(entry.track_id)) for entry in entries]
    albums = album_documents(entries, album_by_track)
    with mongo.client(settings.mongo) as client:
        database = client[settings.mongo.database]
        withdrawn = mongo.delete_others(database.tracks, [track["track_id"] for track in tracks])
        collections.write(database, albums, artist_documents(entries, albums))
        collections.ensure_indexes(database)
        items = list_for_new_listeners(tracks, model.index if model else None, settings.stream.items)
        previous = database.recommendations.find_one({"_id": mongo.NEW_LISTENERS})
        mongo.upsert(
            [new_listeners_document(items, model.version if model else None, previous)], database.recommendations
        )
    return len(tracks), withdrawn


def present_tracks(spark: SparkSession, settings: Settings) -> DataFrame:
    """TRACKS of the library that have a file.

    A placeholder as genre tag counts as missing, as in the training: the likeliest predicted genre takes its place.
    """
    is_present = F.col("gone_at").isNull()
    if settings.library.root:
        is_present &= F.col("library") == library_name(settings.library.root)
    is_named = F.udf(lambda genre: bool(normalised(genre)), BooleanType())(F.col("genre"))
    tracks = table(spark, settings.lake.table("tracks"), TRACKS).where(is_present).dropDuplicates(["track_id"])
    return tracks.withColumns(
        {"genre_tags": F.when(is_named, F.col("genre_tags")), "genre": F.when(is_named, F.col("genre"))}
    )


def discography_places(entries: Sequence[TrackEntry], album_by_track: Mapping[str, str]) -> pa.Table:
    """(track_id, album_id, artist_ids, sort_title, sort_artist, sort_album) of tracks.

    album_by_track : the result of `album_ids`
    """
    return pa.table(
        {
            "track_id": pa.array([entry.track_id for entry in entries], pa.string()),
            "album_id": pa.array([album_by_track.get(entry.track_id) for entry in entries], pa.string()),
            "artist_ids": pa.array([artist_ids(entry) for entry in entries], pa.list_(pa.string())),
            "sort_title": pa.array([sort_key(entry.title) for entry in entries], pa.string()),
            "sort_artist": pa.array([sort_key(entry.artist) for entry in entries], pa.string()),
            "sort_album": pa.array([sort_key(entry.album) for entry in entries], pa.string()),
        }
    )


def documents(
    spark: SparkSession, settings: Settings, model: registry.Model | None, tracks: DataFrame, places: DataFrame
) -> DataFrame:
    """One row for each document of the collection `tracks`: these tracks with features, lists, genres and map.

    tracks : present_tracks
    places : discography_places
    """
    features = table(spark, settings.lake.table("features"), FEATURES)
    similar = spark.read.parquet(model.parquet("similar")) if model else spark.createDataFrame([], SIMILAR_SCHEMA)
    similar = of_present_tracks(similar, [row.track_id for row in tracks.select("track_id").collect()])
    rows = tracks.join(features, on="track_id", how="left").join(similar, on="track_id", how="left")
    rows = rows.join(places, on="track_id", how="left")
    if model is not None and model.value("genres"):
        rows = rows.join(spark.read.parquet(model.parquet("genre_posterior")), on="track_id", how="left")
        likeliest = F.col("genre_posterior")[0]["genre"]
    else:
        rows = rows.withColumn("genre_posterior", F.lit(None))
        likeliest = F.lit(None)
    if model is not None and model.has("map"):
        positions = spark.read.parquet(model.parquet("map")).select("track_id", F.array("x", "y").alias("map"))
        rows = rows.join(positions, on="track_id", how="left")
    else:
        rows = rows.withColumn("map", F.lit(None))
    calibration = None if model is None else Calibration.open(local_folder(model.index_place))
    if model is not None and calibration is not None:
        ear = str(model.manifest.get("ear") or "")
        rows = rows.join(words(features, calibration, ear), on="track_id", how="left")
    else:
        rows = rows.withColumn("words", F.lit(None))
    if model is not None:
        rows = rows.join(
            spark.createDataFrame(recordings(Index.open(local_folder(model.index_place)))), on="track_id", how="left"
        )
    else:
        rows = rows.withColumn("recording", F.lit(None))
    return rows.select(
        "track_id",
        *["title", "artist", "album", "composer", "track_number", "year", "duration_s", "path", "licence", "library"],
        *["artists", "genre_tags", "album_artist", "disc_number", "compilation"],
        *["album_id", "artist_ids", "sort_title", "sort_artist", "sort_album"],
        *["track_gain_db", "track_peak", "album_gain_db", "album_peak"],
        *["musicbrainz_recording_id", "musicbrainz_release_id", "musicbrainz_artist_ids"],
        F.col("found_at").alias("added_at"),
        F.coalesce(F.col("genre"), likeliest).alias("genre"),
        (F.col("genre").isNull() & likeliest.isNotNull()).alias("genre_predicted"),
        F.col("vector").alias("features"),
        "embedding",
        "extractor_version",
        "genre_posterior",
        "similar",
        "map",
        F.col("words").alias("tags"),
        "recording",
        F.when(F.col("similar").isNotNull(), F.lit(model.version if model else None)).alias("model_version"),
    )


def recordings(index: Index) -> pa.Table:
    """(track_id, recording) of the tracks that the index has; none where it does not tell recordings."""
    rows = index.present if index.recordings is not None else index.present[:0]
    columns = {"track_id": index.ids[rows].tolist(), "recording": recording_ids(index, rows)}
    return pa.table({name: pa.array(ids, pa.string()) for name, ids in columns.items()})


def words(features: DataFrame, calibration: Calibration, ear: str) -> DataFrame:
    """TRACK_WORDS of the tracks that the ear heard.

    features : rows of FEATURES
    ear : version of the trained ear that the calibration is of
    """

    def words_said(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        for batch in batches:
            batch = batch[[split_version(version)[1] == ear for version in batch["extractor_version"]]]
            tags = np.vstack(batch["tags"]) if len(batch) else np.empty((0, len(TAG_NAMES)))
            listed = said_words(calibration.percentiles(tags, TAG_NAMES), calibration.names)
            yield pd.DataFrame({"track_id": batch["track_id"].tolist(), "words": listed})

    has_tags = F.size(F.coalesce("tags", F.array())) == len(TAG_NAMES)
    return features.where(has_tags).select("track_id", "extractor_version", "tags").mapInPandas(words_said, TRACK_WORDS)


def _write(rows: DataFrame, settings: Mongo) -> None:
    def write(partition: Iterator[Row]) -> None:
        fields_of_rows = (row.asDict(recursive=True) for row in partition)
        with mongo.client(settings) as client:
            mongo.upsert(
                ({"_id": fields.pop("track_id"), **fields} for fields in fields_of_rows),
                client[settings.database].tracks,
            )

    rows.foreachPartition(write)


def new_listeners_document(
    items: list[dict[str, Any]], model_version: str | None, previous: dict[str, Any] | None
) -> dict[str, Any]:
    """The document of the list for new listeners; it keeps `previous` where neither items nor model have changed."""
    if previous is not None and previous.get("items") == items and previous.get("model_version") == model_version:
        return previous | {"version": mongo.LIST_VERSION}
    generation = (previous or {}).get("generation", 0) + 1
    return mongo.list_document(mongo.NEW_LISTENERS, items, generation, datetime.now(UTC), model_version, 0)


if __name__ == "__main__":
    sys.exit(main())
