"""Job: what was heard and what was recommended, kept for good: both topics become Delta tables.

    spark-submit.sh streaming/ledger.py

The durable lane: slower on purpose, so that the fast one keeps its cores. A row that is there already is left as it is, so a
replay changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from batch.lake import insert_new
from conf.settings import Mongo, Settings
from streaming import running
from streaming.connections import database_of
from streaming.events import BadEvent, Event, parse, received_at
from streaming.recommend import checkpoint, events
from streaming.titles import titles

if TYPE_CHECKING:
    import pyarrow as pa

POOL = "slow"
RAW_BYTES = 64 * 1024
"""Of a refused value this much is kept, with the length and hash of all."""

_PLACE = [
    StructField("topic", StringType()),
    StructField("topic_id", StringType()),
    StructField("partition", IntegerType()),
    StructField("offset", LongType()),
]

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
        StructField("more", StringType()),
        StructField("received_at", TimestampType()),
    ]
)
"""One row a valid event; `more` is JSON with the fields that this version does not know."""

REJECTED_EVENTS = StructType(
    [
        *_PLACE,
        StructField("reason", StringType()),
        StructField("raw", BinaryType()),
        StructField("bytes", LongType()),
        StructField("sha256", StringType()),
        StructField("received_at", TimestampType()),
    ]
)
"""One row a refused value: the first 64 KiB of it, its length and hash, and why."""

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
    ]
)
"""One row a listener, generation and rank."""

_SORTED = StructType(
    LISTENING_EVENTS.fields + [field for field in REJECTED_EVENTS if field.name not in LISTENING_EVENTS.names]
)


def main(arguments: Sequence[str] | None = None) -> int:
    return running.main("ledger", "Keep events and lists in the lake.", start, arguments)


def start(
    spark: SparkSession, settings: Settings, sources: dict[str, str], until_caught_up: bool = False
) -> StreamingQuery:
    """Starts the query over both topics."""
    kafka, lake = settings.kafka, settings.lake
    spark.sparkContext.setLocalProperty("spark.scheduler.pool", POOL)

    def land(batch: DataFrame, _batch_id: int) -> None:
        is_listening = F.col("topic") == kafka.listening_topic
        batch = batch.persist()
        seen = sorted_events(batch.where(is_listening), settings.mongo, sources[kafka.listening_topic]).persist()
        try:
            place = ["topic_id", "partition", "offset"]
            _insert(seen.where("reason IS NULL").select(LISTENING_EVENTS.names), lake.table("listening_events"), place)
            _insert(
                seen.where("reason IS NOT NULL").select(REJECTED_EVENTS.names), lake.table("rejected_events"), place
            )
            lists = recommendations(batch.where(~is_listening))
            _insert(lists, lake.table("recommendations"), ["user_id", "generation", "rank"])
        finally:
            seen.unpersist()
            batch.unpersist()

    names = [kafka.listening_topic, kafka.recommendation_topic]
    query = (
        events(spark, settings, names, 10 * settings.stream.max_events_per_trigger)
        .writeStream.queryName("ledger")
        .option("checkpointLocation", checkpoint(settings, "ledger", "+".join(sources[name] for name in names)))
        .foreachBatch(land)
    )
    seconds = settings.stream.ledger_trigger_seconds
    triggered = (
        query.trigger(availableNow=True) if until_caught_up else query.trigger(processingTime=f"{seconds} seconds")
    )
    return triggered.start()


def sorted_events(raw: DataFrame, settings: Mongo, source: str) -> DataFrame:
    """Kafka's rows of the listening topic, each with the fields of its event or the reason why it is none."""

    def sort(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        from pyspark.sql.pandas.types import to_arrow_schema

        for batch in batches:
            rows = batch.to_pylist()
            parsed = [_parsed(row["value"], received_at(row["received_ms"])) for row in rows]
            wanted = {found.track_id for found in parsed if isinstance(found, Event) and found.track_id is not None}
            known = titles(wanted, database_of(settings))
            values = [
                _place(row, source) | _columns(found, row["value"], known)
                for row, found in zip(rows, parsed, strict=True)
            ]
            yield pa.RecordBatch.from_pylist(values, schema=to_arrow_schema(_SORTED, timezone="UTC"))

    return raw.select("topic", "partition", "offset", "received_ms", "value").mapInArrow(sort, _SORTED)


def recommendations(raw: DataFrame) -> DataFrame:
    """Kafka's rows of the topic `recommendations`: RECOMMENDATIONS."""
    item = "track_id string, rank int, score double, reason string, because array<string>"
    message = (
        f"user_id string, generation long, generated_at timestamp, model_version string, items array<struct<{item}>>"
    )
    return (
        raw.select(F.from_json(F.col("value").cast("string"), message).alias("list"))
        .where(F.col("list.user_id").isNotNull())
        .select("list.*", F.explode("list.items").alias("item"))
        .select("*", "item.*")
        .select([F.col(field.name).cast(field.dataType) for field in RECOMMENDATIONS])
    )


def _parsed(value: bytes | None, arrived: datetime) -> Event | BadEvent:
    try:
        return parse(value, arrived)
    except BadEvent as error:
        return error


def _columns(found: Event | BadEvent, value: bytes | None, known: dict[str, str]) -> dict[str, Any]:
    if isinstance(found, Event) and (found.track_id is None or found.track_id in known):
        columns = {name: getattr(found, name) for name in LISTENING_EVENTS.names if hasattr(found, name)}
        return columns | {"more": json.dumps(found.more, ensure_ascii=False) if found.more else None}
    reason = f"unknown track {found.track_id!r}" if isinstance(found, Event) else str(found)
    raw = value or b""
    return {
        "reason": reason.encode("utf-8", "backslashreplace").decode(),
        "raw": raw[:RAW_BYTES],
        "bytes": len(raw),
        "sha256": hashlib.sha256(raw).hexdigest(),
    }


def _place(row: dict[str, Any], source: str) -> dict[str, Any]:
    return {
        "topic": row["topic"],
        "topic_id": source,
        "partition": row["partition"],
        "offset": row["offset"],
        "received_at": received_at(row["received_ms"]),
    }


def _insert(rows: DataFrame, table: str, key: list[str]) -> None:
    """A commit costs seconds of both cores: none where there is nothing to add."""
    if not rows.isEmpty():
        insert_new(rows, table, key)


if __name__ == "__main__":
    sys.exit(main())
