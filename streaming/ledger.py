"""Job: what was heard and what was recommended, kept for good: both topics become Delta tables.

    spark-submit.sh streaming/ledger.py

The durable lane. Spark reads both topics every few seconds; delta-rs writes what it read, in the driver: a Delta commit by
Spark took seconds of all cores, and with them the fast lane's time (`streaming.landing`).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
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

from conf.settings import Mongo, Settings
from streaming import running
from streaming.connections import database_of
from streaming.events import MAX_BYTES, BadEvent, Event, parse, received_at
from streaming.landing import Landing
from streaming.recommend import checkpoint, events
from streaming.titles import titles

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "ledger"
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

_ITEM = StructType(
    [field for field in RECOMMENDATIONS if field.name in ("track_id", "rank", "score", "reason", "because")]
)
_LIST = StructType(
    [
        *[field for field in RECOMMENDATIONS if field.name in ("user_id", "generation", "model_version")],
        StructField("generated_at", StringType()),
        StructField("items", ArrayType(_ITEM)),
    ]
)
"""A list as it travels on its topic (`streaming.profiles.message`)."""


def main(arguments: Sequence[str] | None = None) -> int:
    return running.main(NAME, "Keep events and lists in the lake.", start, arguments)


def start(
    spark: SparkSession, settings: Settings, sources: dict[str, str], until_caught_up: bool = False
) -> StreamingQuery:
    """Starts the query over both topics."""
    kafka = settings.kafka
    spark.sparkContext.setLocalProperty("spark.scheduler.pool", POOL)
    landing = Landing(settings.lake, settings.stream.compact_minutes)

    def land(batch: DataFrame, _batch_id: int) -> None:
        rows = batch.toArrow()
        is_event = _equal(rows["topic"], kafka.listening_topic)
        heard = rows.filter(is_event)
        good, bad = sorted_events(heard, settings.mongo, sources[kafka.listening_topic])
        landing.land("listening_events", good, LISTENING_EVENTS)
        landing.land("rejected_events", bad, REJECTED_EVENTS)
        lists = recommendations(rows.filter(_inverted(is_event))["value"].to_pylist())
        landing.land_lists("recommendations", lists, RECOMMENDATIONS)
        landing.compact_when_due()

    names = [kafka.listening_topic, kafka.recommendation_topic]
    query = (
        durable_lane(spark, settings, names)
        .writeStream.queryName(NAME)
        .option("checkpointLocation", checkpoint(settings, NAME, "+".join(sources[name] for name in names)))
        .foreachBatch(land)
    )
    seconds = settings.stream.ledger_trigger_seconds
    triggered = (
        query.trigger(availableNow=True) if until_caught_up else query.trigger(processingTime=f"{seconds} seconds")
    )
    return triggered.start()


def durable_lane(spark: SparkSession, settings: Settings, names: Sequence[str]) -> DataFrame:
    """Both topics as a stream of (topic, partition, offset, received_ms, value, bytes, sha256).

    Of a listening event that is too long only the beginning travels, with the length and hash of all of it.
    """
    is_long = (F.col("topic") == settings.kafka.listening_topic) & (F.octet_length("value") > MAX_BYTES)
    return events(spark, settings, names, 10 * settings.stream.max_events_per_trigger).select(
        "topic",
        "partition",
        "offset",
        "received_ms",
        F.when(is_long, F.substring("value", 1, RAW_BYTES)).otherwise(F.col("value")).alias("value"),
        F.octet_length("value").cast("long").alias("bytes"),
        F.when(is_long, F.sha2("value", 256)).alias("sha256"),
    )


def sorted_events(rows: pa.Table, mongo: Mongo, source: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of the listening topic: (LISTENING_EVENTS, REJECTED_EVENTS)."""
    placed = [(row, _parsed(row)) for row in rows.to_pylist()]
    wanted = {found.track_id for _, found in placed if isinstance(found, Event) and found.track_id is not None}
    known = titles(wanted, database_of(mongo))
    good, bad = [], []
    for row, found in placed:
        if isinstance(found, Event) and (found.track_id is None or found.track_id in known):
            good.append(_place(row, source) | _columns(found))
        else:
            bad.append(_place(row, source) | _refused(row, found))
    return good, bad


def recommendations(values: list[bytes | None]) -> pa.Table:
    """Values of the topic `recommendations`, one a list: RECOMMENDATIONS, one row an item. What is no list is left out."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.json
    from pyspark.sql.pandas.types import to_arrow_schema

    schema = to_arrow_schema(RECOMMENDATIONS, timezone="UTC")
    lines = [value for value in values if value]
    if not lines:
        return schema.empty_table()
    options = pyarrow.json.ParseOptions(explicit_schema=to_arrow_schema(_LIST), unexpected_field_behavior="ignore")
    read = pyarrow.json.ReadOptions(block_size=max(1 << 20, 2 * max(map(len, lines))))
    lists = pyarrow.json.read_json(pa.BufferReader(b"\n".join(lines)), read, options).combine_chunks()
    lists = lists.filter(pc.and_(pc.is_valid(lists["user_id"]), pc.is_valid(lists["items"]))).combine_chunks()
    if not lists.num_rows:
        return schema.empty_table()
    items = lists["items"].combine_chunks()
    parents = lists.select(["user_id", "generation", "generated_at", "model_version"]).take(
        pc.list_parent_indices(items)
    )
    flat = pa.Table.from_struct_array(pc.list_flatten(items))
    columns = {name: parents[name] for name in parents.column_names} | {name: flat[name] for name in flat.column_names}
    columns["generated_at"] = _times(columns["generated_at"])
    return pa.table({name: columns[name] for name in schema.names}).cast(schema)


def _times(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """ISO 8601 with its zone, as `message` writes it, to UTC."""
    import pyarrow as pa

    times = {text: datetime.fromisoformat(text) for text in set(texts.to_pylist()) if text is not None}
    return pa.chunked_array([pa.array([times.get(text) for text in texts.to_pylist()], pa.timestamp("us", "UTC"))])


def _equal(values: pa.ChunkedArray, wanted: str) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    return pc.equal(values, wanted)


def _inverted(values: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    return pc.invert(values)


def _parsed(row: dict[str, Any]) -> Event | BadEvent:
    try:
        return parse(row["value"], received_at(row["received_ms"]), row["bytes"])
    except BadEvent as error:
        return error


def _columns(event: Event) -> dict[str, Any]:
    columns = {name: getattr(event, name) for name in LISTENING_EVENTS.names if hasattr(event, name)}
    return columns | {"more": json.dumps(event.more, ensure_ascii=False) if event.more else None}


def _refused(row: dict[str, Any], found: Event | BadEvent) -> dict[str, Any]:
    reason = f"unknown track {found.track_id!r}" if isinstance(found, Event) else str(found)
    raw = row["value"] or b""
    return {
        "reason": reason.encode("utf-8", "backslashreplace").decode(),
        "raw": raw[:RAW_BYTES],
        "bytes": row["bytes"] or 0,
        "sha256": row["sha256"] or hashlib.sha256(raw).hexdigest(),
    }


def _place(row: dict[str, Any], source: str) -> dict[str, Any]:
    return {
        "topic": row["topic"],
        "topic_id": source,
        "partition": row["partition"],
        "offset": row["offset"],
        "received_at": received_at(row["received_ms"]),
    }


if __name__ == "__main__":
    sys.exit(main())
