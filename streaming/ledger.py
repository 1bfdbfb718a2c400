"""Job: what was heard and what was recommended, kept for good: both topics become Delta tables.

    spark-submit.sh streaming/ledger.py

The durable lane. Spark reads both topics every few seconds; delta-rs writes what it read, in the driver: a Delta commit by
Spark took seconds of all cores, and with them the fast lane's time (`streaming.sink.delta_append`).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence, Set
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from conf.settings import Mongo, Settings
from streaming.admission.rules import Placed, deletions, not_deleted, with_unknown_track
from streaming.events import MAX_BYTES, BadEvent, Event, parse, received_at
from streaming.operations import supervisor
from streaming.schemas import LISTENING_EVENTS, RECOMMENDATIONS, REJECTED_EVENTS
from streaming.serving.clients import database_of
from streaming.sink.delta_append import GOOD, LISTS, REFUSED, Landing
from streaming.sink.recommendation_rows import is_list, recommendations
from streaming.source.kafka_source import checkpoint, events

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "ledger"
POOL = "slow"
NO_LIST = "not a list as the fast lane writes it"
SLICE_BYTES = 32 * 1024 * 1024
RAW_BYTES = 64 * 1024
"""Of a refused value this much is kept, with the length and hash of all."""


def main(arguments: Sequence[str] | None = None) -> int:
    return supervisor.main(NAME, "Keep events and lists in the lake.", start, arguments)


def start(
    spark: SparkSession, settings: Settings, sources: dict[str, str], until_caught_up: bool = False
) -> StreamingQuery:
    """Starts the query over both topics."""
    kafka = settings.kafka
    spark.sparkContext.setLocalProperty("spark.scheduler.pool", POOL)
    landing = Landing(settings.lake, settings.stream.compact_minutes)

    def land(batch: DataFrame, _batch_id: int) -> None:
        for rows in slices(batch):
            is_event = _equal(rows["topic"], kafka.listening_topic)
            land_events(rows.filter(is_event), landing, settings.mongo, sources[kafka.listening_topic])
            land_lists(rows.filter(_inverted(is_event)), landing, settings.mongo, sources[kafka.recommendation_topic])
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


def slices(batch: DataFrame) -> Iterator[pa.Table]:
    """The rows of a micro-batch, in one piece; of very large values in several, each partition's in order of offset."""
    sizes = batch.select("topic", "partition", "offset", F.coalesce(F.octet_length("value"), F.lit(0)).alias("bytes"))
    known = sizes.toArrow().to_pydict()
    if sum(known["bytes"]) <= SLICE_BYTES:
        yield batch.toArrow()
        return
    rows = sorted(zip(*known.values(), strict=True))
    for (topic, partition), mine in groupby(rows, key=lambda row: row[:2]):
        is_here = (F.col("topic") == topic) & (F.col("partition") == partition)
        for first, last in ranges([(offset, size) for *_, offset, size in mine], SLICE_BYTES):
            yield batch.where(is_here & F.col("offset").between(first, last)).toArrow()


def ranges(sizes: Sequence[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """(first, last) offsets of runs of up to `most` bytes, or of one value.  sizes : (offset, bytes), in order of offset"""
    found: list[tuple[int, int]] = []
    held = 0
    for offset, size in sizes:
        if not found or held + size > most:
            found.append((offset, offset))
            held = 0
        found[-1] = (found[-1][0], offset)
        held += size
    return found


def land_events(rows: pa.Table, landing: Landing, mongo: Mongo, source: str) -> None:
    """Rows of the listening topic to LISTENING_EVENTS and REJECTED_EVENTS, each to one of them and once."""
    values = {(source, row["partition"], row["offset"]): row for row in rows.to_pylist()}
    new, left = landing.undecided(set(values))
    good, bad = sorted_events([values[at] for at in sorted(new | left)], mongo, source, left)
    ends: dict[str, int] = {}
    for _, partition, offset in values:
        ends[f"{source}/{partition}"] = max(offset, ends.get(f"{source}/{partition}", -1))
    landing.land(REFUSED, bad, REJECTED_EVENTS, ends)
    landing.land(GOOD, good, LISTENING_EVENTS, ends)


def land_lists(rows: pa.Table, landing: Landing, mongo: Mongo, source: str) -> None:
    """Rows of the topic of lists to RECOMMENDATIONS; what is no list, to REJECTED_EVENTS."""
    values = rows["value"].to_pylist()
    try:
        lists = recommendations(values)
    except ValueError:  # one of them is no list: each is asked by itself
        are_lists = [not value or is_list(value) for value in values]
        bad = [row for row, fine in zip(rows.to_pylist(), are_lists, strict=True) if not fine]
        landing.land(REFUSED, [_place(row, source) | _refused(row, NO_LIST) for row in bad], REJECTED_EVENTS)
        lists = recommendations([value for value, fine in zip(values, are_lists, strict=True) if fine])
    landing.land_lists(LISTS, _not_deleted(lists, mongo), RECOMMENDATIONS)


def sorted_events(
    rows: list[dict[str, Any]], mongo: Mongo, source: str, found_good: Set[tuple[str, int, int]] = frozenset()
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of the listening topic: (LISTENING_EVENTS, REJECTED_EVENTS).

    found_good : places that were decided before a crash, and not written; nobody is asked about their tracks again
    """
    parsed = [(row, _parsed(row)) for row in rows]
    database = database_of(mongo)
    events = not_deleted([_placed(row, found, source) for row, found in parsed if isinstance(found, Event)], database)
    undecided = [one for one in events if (one.source, one.partition, one.offset) not in found_good]
    unknown = with_unknown_track(undecided, database)
    counted = {(one.partition, one.offset) for one in events}
    good, bad = [], []
    for row, found in parsed:
        at = (row["partition"], row["offset"])
        if isinstance(found, BadEvent):
            bad.append(_place(row, source) | _refused(row, str(found)))
        elif at in unknown:
            bad.append(_place(row, source) | _refused(row, f"unknown track {found.track_id!r}"))
        elif at in counted:
            good.append(_place(row, source) | _columns(found))
    return good, bad


def _not_deleted(lists: pa.Table, mongo: Mongo) -> pa.Table:
    """The rows without those made before their listener took away what is known of them."""
    import pyarrow as pa

    gone = deletions(set(lists["user_id"].to_pylist()), database_of(mongo)) if lists.num_rows else {}
    if not gone:
        return lists
    made = zip(lists["user_id"].to_pylist(), lists["generated_at"].to_pylist(), strict=True)
    return lists.filter(pa.array([user not in gone or at > gone[user] for user, at in made], pa.bool_()))


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


def _refused(row: dict[str, Any], reason: str) -> dict[str, Any]:
    raw = row["value"] or b""
    return {
        "reason": reason.encode("utf-8", "backslashreplace").decode(),
        "raw": raw[:RAW_BYTES],
        "bytes": row["bytes"] or 0,
        "sha256": row["sha256"] or hashlib.sha256(raw).hexdigest(),
    }


def _placed(row: dict[str, Any], event: Event, source: str) -> Placed:
    return Placed(event, source, row["partition"], row["offset"], received_at(row["received_ms"]))


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
