"""Job: listening events become each listener's recommendations, in MongoDB and on the topic `recommendations`.

    spark-submit.sh streaming/recommend.py

The fast lane: no Delta here. A new model version is taken up between two micro-batches.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from batch import mongo, registry
from conf.settings import Settings, settings
from streaming import topics
from streaming.profiles import Serving, served

POOL = "fast"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="streaming/recommend.py", description="Serve recommendations as listeners listen."
    )
    parser.add_argument("--until-caught-up", action="store_true", help="end when all events so far are counted")
    given = parser.parse_args(arguments)
    try:
        chosen = settings()
        registry.latest(chosen.models.root)
        mongo.client(chosen.mongo).close()
        sources = topics.ensure(chosen.kafka)
    except ValueError as error:
        print(f"recommend: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"recommend: {error}", file=sys.stderr)
        return 1
    spark = SparkSession.builder.appName("recommend").getOrCreate()
    try:
        start(spark, chosen, sources, given.until_caught_up).awaitTermination()
    finally:
        spark.stop()
    return 0


def start(
    spark: SparkSession, settings: Settings, sources: dict[str, str], until_caught_up: bool = False
) -> StreamingQuery:
    """Starts the query; it keeps its place in the topic under `checkpoints/` of the home."""
    topic = settings.kafka.listening_topic
    spark.sparkContext.setLocalProperty("spark.scheduler.pool", POOL)

    def serve(batch: DataFrame, _batch_id: int) -> None:
        serving = Serving(
            mongo=settings.mongo,
            kafka=settings.kafka,
            taste=settings.taste,
            items=settings.stream.items,
            source=sources[topic],
            model_version=(model := registry.latest(settings.models.root)).version,
            index=model.folder / "index",
        )
        served(_by_listener(batch), serving).collect()

    query = (
        events(spark, settings, [topic], settings.stream.max_events_per_trigger)
        .writeStream.queryName("recommend")
        .option("checkpointLocation", checkpoint(settings, "recommend", sources[topic]))
        .foreachBatch(serve)
    )
    seconds = settings.stream.trigger_seconds
    triggered = (
        query.trigger(availableNow=True) if until_caught_up else query.trigger(processingTime=f"{seconds} seconds")
    )
    return triggered.start()


def events(spark: SparkSession, settings: Settings, names: Sequence[str], most: int) -> DataFrame:
    """The topics as a stream of (topic, partition, offset, value, received_ms), from the first one kept."""
    return (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", settings.kafka.bootstrap_servers)
        .option("subscribe", ",".join(names))
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", most)
        .option("failOnDataLoss", "false")  # what Kafka's retention removed before we came is gone either way
        .load()
        .select("topic", "partition", "offset", "value", F.unix_millis("timestamp").alias("received_ms"))
    )


def checkpoint(settings: Settings, query: str, source: str) -> str:
    """The query's checkpoint folder: one for each topic, and a topic that was made anew is another topic."""
    # Not as_uri(): Hadoop takes a percent sign for itself, so an escaped blank would be another folder.
    return f"file://{settings.home / 'checkpoints' / query / source.replace('/', '-')}"


def _by_listener(batch: DataFrame) -> DataFrame:
    """All rows of a listener in one partition, also where the producer's key was another."""
    user_id = F.get_json_object(F.col("value").cast("string"), "$.user_id")
    return batch.repartition(user_id)


if __name__ == "__main__":
    sys.exit(main())
