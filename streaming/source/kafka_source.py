"""Kafka topics as a stream of rows, and where a query keeps its place in them."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from conf.settings import Settings

FETCH_WAIT_MS = 20


def events(spark: SparkSession, settings: Settings, names: Sequence[str], most: int) -> DataFrame:
    """The topics as a stream of (topic, partition, offset, value, received_ms), from the first one kept."""
    return (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", settings.kafka.bootstrap_servers)
        .option("subscribe", ",".join(names))
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", most)
        # A fetch that was sent ahead for the next event holds up the one that reads it, up to this long.
        .option("kafka.fetch.max.wait.ms", FETCH_WAIT_MS)
        .option("failOnDataLoss", "false")  # what Kafka's retention removed before we came is gone either way
        .load()
        .select("topic", "partition", "offset", "value", F.unix_millis("timestamp").alias("received_ms"))
    )


def checkpoint(settings: Settings, query: str, source: str) -> str:
    """The query's checkpoint folder: one for each topic, and a topic that was made anew is another topic."""
    # Not as_uri(): Hadoop takes a percent sign for itself, so an escaped blank would be another folder.
    return f"file://{settings.home / 'checkpoints' / query / source.replace('/', '-')}"
