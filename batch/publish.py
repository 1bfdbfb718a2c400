"""Job: the library's tracks, with features and what the latest model says of them, become documents in MongoDB.

    spark-submit.sh batch/publish.py

Without a model tracks are published without `similar`. Tracks that are gone, or of another library, leave the collection:
player and stream offer what is there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from pymongo.errors import PyMongoError
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType

from batch import mongo, registry
from batch.lake import table
from batch.library.extraction import FEATURES
from batch.library.files import library_name
from batch.library.labels import said
from batch.library.tracks import TRACKS
from batch.model.cold_start import opening
from batch.model.fit_index import SIMILAR
from conf.settings import Mongo, Settings, settings


class NothingToPublish(ValueError):
    """There are no tracks."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="batch/publish.py", description="Publish tracks and model to MongoDB.")
    parser.parse_args(arguments)
    try:
        chosen = settings()
        mongo.client(chosen.mongo).close()
    except ValueError as error:
        print(f"publish: {error}", file=sys.stderr)
        return 2
    except mongo.MongoAway as error:
        print(f"publish: {error}", file=sys.stderr)
        return 1
    spark = SparkSession.builder.appName("publish").getOrCreate()
    try:
        published, removed = publish(spark, chosen)
    except (ValueError, PyMongoError) as error:
        print(f"publish: {error}", file=sys.stderr)
        return 1
    finally:
        spark.stop()
    print(f"{published:,} tracks published, {removed:,} removed", flush=True)
    return 0


def publish(spark: SparkSession, settings: Settings) -> tuple[int, int]:
    """(tracks published, documents removed). Raises NothingToPublish, ModelUnusable."""
    try:
        model = registry.latest(settings.models.root)
        model.check()
    except registry.ModelNotFound:
        model = None
    rows = documents(spark, settings, model).cache()
    try:
        if rows.isEmpty():
            raise NothingToPublish(f"no tracks in {settings.lake.root}; run ./spark-submit.sh batch/extract.py first")
        _write(rows, settings.mongo)
        heads = rows.select("track_id", "title", "artist", "genre").collect()
    finally:
        rows.unpersist()
    with mongo.client(settings.mongo) as client:
        database = client[settings.mongo.database]
        gone = {document["_id"] for document in database.tracks.find({}, {"_id": 1})} - {row.track_id for row in heads}
        for some in _parts(sorted(gone), 10_000):
            database.tracks.delete_many({"_id": {"$in": some}})
        first = opening([row.asDict() for row in heads], model.index if model else None, settings.stream.items)
        mongo.upsert(
            [_everyones_list(first, model, database.recommendations.find_one({"_id": mongo.EVERYONE}))],
            database.recommendations,
        )
    return len(heads), len(gone)


def documents(spark: SparkSession, settings: Settings, model: registry.Model | None) -> DataFrame:
    """The library's tracks that are there, each with its features and what the model says: one row a document.

    A genre tag that only says that nobody knows is none, as in the training: the network's guess stands there, marked as one.
    """
    lake = settings.lake
    is_here = F.col("gone_at").isNull()
    if settings.library.root:
        is_here &= F.col("library") == library_name(settings.library.root)
    is_said = F.udf(lambda genre: bool(said(genre)), BooleanType())(F.col("genre"))
    tracks = table(spark, lake.table("tracks"), TRACKS).where(is_here).dropDuplicates(["track_id"])
    tracks = tracks.withColumn("genre", F.when(is_said, F.col("genre")))
    features = table(spark, lake.table("features"), FEATURES)
    similar = spark.read.parquet(model.parquet("similar")) if model else spark.createDataFrame([], SIMILAR)
    known = tracks.join(features, on="track_id", how="left").join(similar, on="track_id", how="left")
    if model is not None and model.value("genres"):
        known = known.join(spark.read.parquet(model.parquet("genre_posterior")), on="track_id", how="left")
    else:
        known = known.withColumn("genre_posterior", F.lit(None))
    if model is not None and model.has("map"):
        places = spark.read.parquet(model.parquet("map")).select("track_id", F.array("x", "y").alias("map"))
        known = known.join(places, on="track_id", how="left")
    else:
        known = known.withColumn("map", F.lit(None))
    likeliest = F.col("genre_posterior")[0]["genre"] if model is not None and model.value("genres") else F.lit(None)
    return known.select(
        "track_id",
        *["title", "artist", "album", "composer", "track_number", "year", "duration_s", "path", "licence", "library"],
        F.coalesce(F.col("genre"), likeliest).alias("genre"),
        (F.col("genre").isNull() & likeliest.isNotNull()).alias("genre_predicted"),
        F.col("vector").alias("features"),
        "extractor_version",
        "genre_posterior",
        "similar",
        "map",
        F.when(F.col("similar").isNotNull(), F.lit(model.version if model else None)).alias("model_version"),
    )


def _write(rows: DataFrame, settings: Mongo) -> None:
    def write(some: Iterator[Row]) -> None:
        with mongo.client(settings) as client:
            mongo.upsert(
                ({"_id": fields.pop("track_id"), **fields} for fields in (row.asDict(recursive=True) for row in some)),
                client[settings.database].tracks,
            )

    rows.foreachPartition(write)


def _everyones_list(
    items: list[dict[str, Any]], model: registry.Model | None, before: dict[str, Any] | None
) -> dict[str, Any]:
    """The document for listeners without events; its generation counts on only when its tracks change."""
    version = model.version if model else None
    if before is not None and before.get("items") == items and before.get("model_version") == version:
        return before
    return {
        "_id": mongo.EVERYONE,
        "items": items,
        "generation": (before or {}).get("generation", 0) + 1,
        "generated_at": datetime.now(UTC),
        "model_version": version,
        "events_applied": 0,
    }


def _parts(values: Iterable[str], size: int) -> Iterator[list[str]]:
    part: list[str] = []
    for value in values:
        part.append(value)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


if __name__ == "__main__":
    sys.exit(main())
