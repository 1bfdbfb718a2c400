"""Job: listening events and lists are written to Delta tables: the durable lane.

    spark-submit.sh streaming/ledger.py

Spark reads both topics every few seconds; delta-rs writes the rows, in the driver, since a Delta commit by Spark took seconds of
all cores, which the fast lane needs (`streaming.sink.delta_append`).
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
from streaming.admission.rules import ReceivedEvent, after_deletion, deletion_times, places_with_unknown_track
from streaming.events import MAX_BYTES, BadEvent, Event, parse, received_at
from streaming.operations import query_job
from streaming.schemas import LISTENING_EVENTS, MIXES, RECOMMENDATIONS, REJECTED_EVENTS
from streaming.serving.clients import database_of
from streaming.sink.delta_append import LISTS_TABLE, MIXES_TABLE, REJECTED_TABLE, VALID_TABLE, DeltaAppender
from streaming.sink.recommendation_rows import is_list, list_rows
from streaming.sink.skip_rate_table import SkipRateTimer
from streaming.source import topics
from streaming.source.kafka_source import checkpoint_folder, read_topics

if TYPE_CHECKING:
    import pyarrow as pa

QUERY_NAME = "ledger"
SCHEDULER_POOL = "slow"
TRIGGERS_OF_FAST_LANE = 10
"""A micro-batch has at most as many values as so many of the fast lane."""
MALFORMED_LIST = "not a list as streaming/recommend.py writes it"
SLICE_BYTES = 32 * 1024 * 1024
KEPT_RAW_BYTES = 64 * 1024
"""Bytes of a refused value that are kept; its length and hash are those of the whole."""


def main(arguments: Sequence[str] | None = None) -> int:
    return query_job.main(QUERY_NAME, "Write events and lists to the lake.", start, arguments, finish=count_skips)


def count_skips(settings: Settings) -> None:
    """Brings `skip_rates` up to date, at the end of a job that caught up."""
    SkipRateTimer(settings.lake, settings.stream.skip_rates_minutes).update_when_old()


def start(
    spark: SparkSession, settings: Settings, sources: dict[str, str], until_caught_up: bool = False
) -> StreamingQuery:
    """Starts the query over both topics; see `streaming.operations.supervisor.StartQuery`."""
    kafka = settings.kafka
    spark.sparkContext.setLocalProperty("spark.scheduler.pool", SCHEDULER_POOL)
    topics.report_producer_clocks(kafka)
    appender = DeltaAppender(settings.lake, settings.stream.compact_minutes)
    skip_rates = SkipRateTimer(settings.lake, settings.stream.skip_rates_minutes)

    def write_batch(batch: DataFrame, _batch_id: int) -> None:
        for rows in slices(batch):
            is_event = _equal(rows["topic"], kafka.listening_topic)
            events, lists = rows.filter(is_event), rows.filter(_inverted(is_event))
            write_events(events, appender, settings.mongo, sources[kafka.listening_topic])
            write_lists(lists, appender, settings.mongo, sources[kafka.recommendation_topic])
        appender.compact_when_due()
        skip_rates.update_when_due()

    names = [kafka.listening_topic, kafka.recommendation_topic]
    query = (
        durable_lane(spark, settings, names)
        .writeStream.queryName(QUERY_NAME)
        .option(
            "checkpointLocation", checkpoint_folder(settings, QUERY_NAME, "+".join(sources[name] for name in names))
        )
        .foreachBatch(write_batch)
    )
    seconds = settings.stream.ledger_trigger_seconds
    triggered = (
        query.trigger(availableNow=True) if until_caught_up else query.trigger(processingTime=f"{seconds} seconds")
    )
    return triggered.start()


def durable_lane(spark: SparkSession, settings: Settings, names: Sequence[str]) -> DataFrame:
    """Both topics as a stream of (topic, partition, offset, received_ms, value, bytes, sha256).

    A listening event that is too long is cut to KEPT_RAW_BYTES; `bytes` and `sha256` are those of the whole.
    """
    is_long = (F.col("topic") == settings.kafka.listening_topic) & (F.octet_length("value") > MAX_BYTES)
    most_per_batch = TRIGGERS_OF_FAST_LANE * settings.stream.max_events_per_trigger
    return read_topics(spark, settings, names, most_per_batch).select(
        "topic",
        "partition",
        "offset",
        "received_ms",
        F.when(is_long, F.substring("value", 1, KEPT_RAW_BYTES)).otherwise(F.col("value")).alias("value"),
        F.octet_length("value").cast("long").alias("bytes"),
        F.when(is_long, F.sha2("value", 256)).alias("sha256"),
    )


def slices(batch: DataFrame) -> Iterator[pa.Table]:
    """The rows of a micro-batch in one table; of more than SLICE_BYTES in several, by partition in order of offset."""
    sizes = batch.select("topic", "partition", "offset", F.coalesce(F.octet_length("value"), F.lit(0)).alias("bytes"))
    columns = sizes.toArrow().to_pydict()
    if sum(columns["bytes"]) <= SLICE_BYTES:
        yield batch.toArrow()
        return
    rows = sorted(zip(*columns.values(), strict=True))
    for (topic, partition), of_partition in groupby(rows, key=lambda row: row[:2]):
        is_here = (F.col("topic") == topic) & (F.col("partition") == partition)
        for first, last in offset_ranges([(offset, size) for *_, offset, size in of_partition], SLICE_BYTES):
            yield batch.where(is_here & F.col("offset").between(first, last)).toArrow()


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


def write_events(rows: pa.Table, appender: DeltaAppender, mongo: Mongo, source: str) -> None:
    """Writes each row of the listening topic once, to LISTENING_EVENTS or REJECTED_EVENTS.

    source : the topic's "cluster id/topic id"
    """
    row_by_place = {(source, row["partition"], row["offset"]): row for row in rows.to_pylist()}
    new, decided_valid = appender.undecided(set(row_by_place))
    valid, rejected = admit(
        [row_by_place[place] for place in sorted(new | decided_valid)], mongo, source, decided_valid
    )
    ends: dict[str, int] = {}
    for _, partition, offset in row_by_place:
        ends[f"{source}/{partition}"] = max(offset, ends.get(f"{source}/{partition}", -1))
    appender.append_rows(REJECTED_TABLE, rejected, REJECTED_EVENTS, ends)
    appender.append_rows(VALID_TABLE, valid, LISTENING_EVENTS, ends)


def write_lists(rows: pa.Table, appender: DeltaAppender, mongo: Mongo, source: str) -> None:
    """Writes rows of the topic of lists to RECOMMENDATIONS and MIXES, and values that are no lists to REJECTED_EVENTS.

    source : the topic's "cluster id/topic id"
    """
    values = rows["value"].to_pylist()
    try:
        lists, mixes = list_rows(values)
    except ValueError:  # one of them is no list; it is found one by one
        are_lists = [not value or is_list(value) for value in values]
        malformed = [row for row, fine in zip(rows.to_pylist(), are_lists, strict=True) if not fine]
        rejected = [_place_columns(row, source) | _rejected_columns(row, MALFORMED_LIST) for row in malformed]
        appender.append_rows(REJECTED_TABLE, rejected, REJECTED_EVENTS)
        lists, mixes = list_rows([value for value, fine in zip(values, are_lists, strict=True) if fine])
    appender.append_lists(LISTS_TABLE, _after_deletion(lists, mongo), RECOMMENDATIONS)
    appender.append_lists(MIXES_TABLE, _after_deletion(mixes, mongo), MIXES)


def admit(
    rows: list[dict[str, Any]], mongo: Mongo, source: str, decided_valid: Set[tuple[str, int, int]] = frozenset()
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(rows of LISTENING_EVENTS, rows of REJECTED_EVENTS) for rows of the listening topic, by the admission rules.

    decided_valid : places of events that were found valid before a crash; their tracks are not checked again
    """
    parsed = [(row, _parse(row)) for row in rows]
    database = database_of(mongo)
    received = [_received(row, event, source) for row, event in parsed if isinstance(event, Event)]
    admitted = after_deletion(received, database)
    undecided = [each for each in admitted if (each.source, each.partition, each.offset) not in decided_valid]
    unknown_places = places_with_unknown_track(undecided, database)
    admitted_places = {(each.partition, each.offset) for each in admitted}
    valid, rejected = [], []
    for row, event in parsed:
        place = (row["partition"], row["offset"])
        if isinstance(event, BadEvent):
            rejected.append(_place_columns(row, source) | _rejected_columns(row, str(event)))
        elif place in unknown_places:
            reason = f"unknown track {event.track_id!r}"
            rejected.append(_place_columns(row, source) | _rejected_columns(row, reason))
        elif place in admitted_places:
            valid.append(_place_columns(row, source) | _event_columns(event))
    return valid, rejected


def _after_deletion(lists: pa.Table, mongo: Mongo) -> pa.Table:
    """The rows of lists that were made after their listener's deletion."""
    import pyarrow as pa

    deleted_at = deletion_times(set(lists["user_id"].to_pylist()), database_of(mongo)) if lists.num_rows else {}
    if not deleted_at:
        return lists
    made = zip(lists["user_id"].to_pylist(), lists["generated_at"].to_pylist(), strict=True)
    are_later = [user not in deleted_at or made_at > deleted_at[user] for user, made_at in made]
    return lists.filter(pa.array(are_later, pa.bool_()))


def _equal(values: pa.ChunkedArray, value: str) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    return pc.equal(values, value)


def _inverted(values: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    return pc.invert(values)


def _parse(row: dict[str, Any]) -> Event | BadEvent:
    try:
        return parse(row["value"], received_at(row["received_ms"]), row["bytes"])
    except BadEvent as error:
        return error


def _event_columns(event: Event) -> dict[str, Any]:
    columns = {name: getattr(event, name) for name in LISTENING_EVENTS.names if hasattr(event, name)}
    tracks = list(event.tracks) or None
    return columns | {"tracks": tracks, "more": json.dumps(event.more, ensure_ascii=False) if event.more else None}


def _rejected_columns(row: dict[str, Any], reason: str) -> dict[str, Any]:
    raw = row["value"] or b""
    return {
        "reason": reason.encode("utf-8", "backslashreplace").decode(),
        "raw": raw[:KEPT_RAW_BYTES],
        "bytes": row["bytes"] or 0,
        "sha256": row["sha256"] or hashlib.sha256(raw).hexdigest(),
    }


def _received(row: dict[str, Any], event: Event, source: str) -> ReceivedEvent:
    return ReceivedEvent(event, source, row["partition"], row["offset"], received_at(row["received_ms"]))


def _place_columns(row: dict[str, Any], source: str) -> dict[str, Any]:
    return {
        "topic": row["topic"],
        "topic_id": source,
        "partition": row["partition"],
        "offset": row["offset"],
        "received_at": received_at(row["received_ms"]),
    }


if __name__ == "__main__":
    sys.exit(main())
