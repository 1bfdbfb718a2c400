"""Both topics as the durable lane reads them: in micro-batches of many values, taken in slices that fit the driver's memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from conf.settings import Settings
from streaming.events import MAX_BYTES
from streaming.source.kafka_source import read_topics

if TYPE_CHECKING:
    import pyarrow as pa

TRIGGERS_OF_FAST_LANE = 10
"""A micro-batch has at most as many values as so many of the fast lane."""
SLICE_BYTES = 32 * 1024 * 1024
KEPT_RAW_BYTES = 64 * 1024
"""Bytes of a refused value that are kept; its length and hash are those of the whole."""


def durable_lane(spark: SparkSession, settings: Settings, names: Sequence[str], seconds: float) -> DataFrame:
    """Both topics as a stream of (topic, partition, offset, received_ms, value, bytes, sha256).

    seconds : how long a batch waits to become a whole one
    A listening event that is too long is cut to KEPT_RAW_BYTES; `bytes` and `sha256` are those of the whole.
    """
    most_per_batch = TRIGGERS_OF_FAST_LANE * settings.stream.max_events_per_trigger
    return _cut(read_topics(spark, settings, names, most_per_batch, seconds), settings)


def value_sizes(batch: DataFrame) -> list[tuple[str, int, int, int]]:
    """(topic, partition, offset, bytes) of each value of a micro-batch, in order."""
    sizes = batch.select("topic", "partition", "offset", F.coalesce(F.octet_length("value"), F.lit(0)).alias("bytes"))
    return sorted(zip(*sizes.toArrow().to_pydict().values(), strict=True))


def slices(values: DataFrame, sizes: Sequence[tuple[str, int, int, int]]) -> Iterator[pa.Table]:
    """The rows of a micro-batch in one table; of more than SLICE_BYTES in several, by partition in order of offset.

    values : a micro-batch that Spark keeps (`persist`), or each slice would read all of it from Kafka again
    sizes : of `value_sizes`
    """
    if sum(size for *_, size in sizes) <= SLICE_BYTES:
        yield values.toArrow()
        return
    for (topic, partition), of_partition in groupby(sizes, key=lambda row: row[:2]):
        of_place = values.where((F.col("topic") == topic) & (F.col("partition") == partition))
        for first, last in offset_ranges([(offset, size) for *_, offset, size in of_partition], SLICE_BYTES):
            yield of_place.where(F.col("offset").between(first, last)).toArrow()


def offset_ranges(sizes: Sequence[tuple[int, int]], most_bytes: int) -> list[tuple[int, int]]:
    """(first, last) offsets of runs of up to `most_bytes`, or of one larger value.

    sizes : (offset, bytes), in order of offset
    """
    ranges: list[tuple[int, int]] = []
    run_bytes = 0
    for offset, size in sizes:
        if not ranges or run_bytes + size > most_bytes:
            ranges.append((offset, offset))
            run_bytes = 0
        ranges[-1] = (ranges[-1][0], offset)
        run_bytes += size
    return ranges


def _cut(values: DataFrame, settings: Settings) -> DataFrame:
    is_long = (F.col("topic") == settings.kafka.listening_topic) & (F.octet_length("value") > MAX_BYTES)
    return values.select(
        "topic",
        "partition",
        "offset",
        "received_ms",
        F.when(is_long, F.substring("value", 1, KEPT_RAW_BYTES)).otherwise(F.col("value")).alias("value"),
        F.octet_length("value").cast("long").alias("bytes"),
        F.when(is_long, F.sha2("value", 256)).alias("sha256"),
    )
