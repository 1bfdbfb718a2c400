"""Kafka topics as a streaming DataFrame, and the checkpoint folder of a query."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from conf.settings import Settings

FETCH_WAIT_MS = 20


def read_topics(spark: SparkSession, settings: Settings, names: Sequence[str], most_per_batch: int) -> DataFrame:
    """The topics as a stream of (topic, partition, offset, value, received_ms), from the earliest offset.

    most_per_batch : values of all topics in one micro-batch, at most
    """
    return (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", settings.kafka.bootstrap_servers)
        .option("subscribe", ",".join(names))
        .option("kafka.isolation.level", "read_committed")  # values of transactions that were given up are none
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", most_per_batch)
        # A fetch that waits for the next event delays the one behind it on the same connection by up to this long.
        .option("kafka.fetch.max.wait.ms", FETCH_WAIT_MS)
        .option("failOnDataLoss", "false")  # values that Kafka's retention removed cannot be read either way
        .load()
        .select("topic", "partition", "offset", "value", F.unix_millis("timestamp").alias("received_ms"))
    )


def checkpoint_folder(settings: Settings, query: str, source: str) -> str:
    """The query's checkpoint folder as a URI.

    source : "cluster id/topic id" of each topic: a recreated topic has another id, and so another checkpoint
    """
    # Not as_uri(): Hadoop does not decode percent signs, so an escaped blank would be another folder.
    return f"file://{settings.home / 'checkpoints' / query / source.replace('/', '-')}"
