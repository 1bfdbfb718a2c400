"""Schemas of the durable lane's Delta tables."""

from __future__ import annotations

from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DateType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

_PLACE = [
    StructField("topic", StringType()),
    StructField("topic_id", StringType()),
    StructField("partition", IntegerType()),
    StructField("offset", LongType()),
]

_DAY = StructField("day", DateType())
"""The date in UTC of `received_at` or `generated_at`, by which the table is partitioned."""

LISTENING_EVENTS = StructType(
    [
        *_PLACE,
        StructField("event_id", StringType()),
        StructField("user_id", StringType()),
        StructField("track_id", StringType()),
        StructField("action", StringType()),
        StructField("position_ms", LongType()),
        StructField("duration_ms", LongType()),
        StructField("occurred_at", TimestampType()),
        StructField("session_id", StringType()),
        StructField("source", StringType()),
        StructField("model_version", StringType()),
        StructField("target", StringType()),
        StructField("tracks", ArrayType(StringType())),
        StructField("more", StringType()),
        StructField("received_at", TimestampType()),
        _DAY,
    ]
)
"""One row a valid event; `tracks` are those of `shown`; `more` is JSON of the fields that this version does not know."""

REJECTED_EVENTS = StructType(
    [
        *_PLACE,
        StructField("reason", StringType()),
        StructField("raw", BinaryType()),
        StructField("bytes", LongType()),
        StructField("sha256", StringType()),
        StructField("received_at", TimestampType()),
        _DAY,
    ]
)
"""One row a refused value: its first 64 KiB, its length and hash, and the reason."""

RECOMMENDATIONS = StructType(
    [
        StructField("user_id", StringType()),
        StructField("generation", LongType()),
        StructField("rank", IntegerType()),
        StructField("track_id", StringType()),
        StructField("score", DoubleType()),
        StructField("generated_at", TimestampType()),
        StructField("model_version", StringType()),
        StructField("reason", StringType()),
        StructField("because", ArrayType(StringType())),
        _DAY,
    ]
)
"""One row for each listener, generation and rank."""

MIXES = StructType(
    [
        StructField("user_id", StringType()),
        StructField("list", StringType()),
        StructField("title", StringType()),
        StructField("generated_at", TimestampType()),
        StructField("rank", IntegerType()),
        StructField("track_id", StringType()),
        StructField("score", DoubleType()),
        StructField("model_version", StringType()),
        StructField("reason", StringType()),
        StructField("because", ArrayType(StringType())),
        _DAY,
    ]
)
"""One row for each listener, named list, time and rank; `reason` is the item's."""

SKIP_RATES = StructType(
    [
        StructField("track_id", StringType()),
        StructField("skippers", LongType()),
        StructField("finishers", LongType()),
        StructField("as_of", TimestampType()),
        StructField("day", DateType()),
    ]
)
"""One row for each track and day of counting: listeners who mostly skip it, or mostly finish it. Partitioned by `day`."""
