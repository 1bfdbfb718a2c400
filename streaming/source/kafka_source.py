"""Kafka topics as a streaming DataFrame, and the checkpoint folder of a query."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch.storage.locations import hadoop_uri
from conf.settings import Settings

KAFKA_OPTIONS: dict[str, str | int] = {
    # A fetch that waits for the next event delays the one behind it on the same connection by up to this long.
    "kafka.fetch.max.wait.ms": 20,
    "kafka.isolation.level": "read_committed",  # values of transactions that were given up are none
    # What Kafka's retention removed cannot be read either way; `streaming.source.batch_offsets` says how much it was.
    "failOnDataLoss": "false",
}


def read_topics(
    spark: SparkSession,
    settings: Settings,
    names: Sequence[str],
    most_per_batch: int,
    fill_s: float = 0.0,
    most_per_task: int = 0,
) -> DataFrame:
    """The topics as a stream of (topic, partition, offset, value, received_ms), from the earliest offset.

    most_per_batch : values of all topics in one micro-batch, at most
    fill_s : a micro-batch that would have fewer waits for more so long; 0: not at all
    most_per_task : a partition of which a micro-batch has more values is read by several tasks; 0: by one
    """
    options: dict[str, int | str] = {}
    if fill_s:
        options = {"minOffsetsPerTrigger": most_per_batch, "maxTriggerDelay": f"{fill_s * 1000:.0f}ms"}
    if most_per_task:
        options["maxRecordsPerPartition"] = most_per_task
    return value_columns(
        spark.readStream.format("kafka")
        .option("subscribe", ",".join(names))
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", most_per_batch)
        .options(**KAFKA_OPTIONS, **settings.kafka.spark_options(), **options)
        .load()
    )


def value_columns(values: DataFrame) -> DataFrame:
    """(topic, partition, offset, value, received_ms)  values : of Spark's Kafka source"""
    received_ms = F.unix_millis("timestamp").alias("received_ms")
    return values.select("topic", "partition", "offset", "value", received_ms)


def checkpoint_folder(settings: Settings, query: str, source: str) -> str:
    """The query's checkpoint folder as a URI.

    source : "cluster id/topic id" of each topic: a recreated topic has another id, and so another checkpoint
    """
    root = settings.written_locations["stream.checkpoints"]
    return hadoop_uri(f"{root.rstrip('/')}/{query}/{source.replace('/', '-')}")
