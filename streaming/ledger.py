"""Job: listening events and lists are written to Delta tables: the durable lane.

    spark-submit.sh streaming/ledger.py

Spark reads both topics every few seconds; delta-rs writes the rows, in the driver, since a Delta commit by Spark took seconds of
all cores, which the fast lane needs (`streaming.sink.delta_append`).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence, Set
from functools import partial
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from batch.storage.spark import with_name_node
from conf.settings import Mongo, Settings
from streaming.admission.named_listeners import named_listeners
from streaming.admission.rules import ReceivedEvent, after_deletion, deletions_of, places_with_unknown_track
from streaming.events import BadEvent, Event, parse, received_at
from streaming.operations import query_job
from streaming.operations.metrics import DRIVER_METRICS
from streaming.schemas import LISTENING_EVENTS, MIXES, RECOMMENDATIONS, REJECTED_EVENTS
from streaming.serving.clients import database_of
from streaming.sink.commits import Overtaken
from streaming.sink.delta_append import LISTS_TABLE, MIXES_TABLE, REJECTED_TABLE, VALID_TABLE, DeltaAppender
from streaming.sink.recommendation_rows import is_list, list_rows, lists_after_deletion
from streaming.sink.skip_rate_table import SkipRateTimer
from streaming.sink.upkeep import TableUpkeep
from streaming.source import topics
from streaming.source.batch_offsets import BatchOffsets, first_offsets
from streaming.source.durable_values import KEPT_RAW_BYTES, durable_lane, slices, value_sizes
from streaming.source.kafka_source import checkpoint_folder

if TYPE_CHECKING:
    import pyarrow as pa
    from pymongo.database import Database

QUERY_NAME = "ledger"
SCHEDULER_POOL = "slow"
VALUES_LOOK_INTERVAL_S = 1.0
COMMIT_ATTEMPTS = 20
MALFORMED_LIST = "not a list as streaming/recommend.py writes it"


def main(arguments: Sequence[str] | None = None) -> int:
    description = "Write events and lists to the lake."
    return query_job.main(QUERY_NAME, description, start, arguments, writes_tables=True, finish=count_skips)


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
    appender = DeltaAppender(settings.lake)
    upkeep = TableUpkeep(settings.lake, settings.stream.compact_minutes)
    skip_rates = SkipRateTimer(settings.lake, settings.stream.skip_rates_minutes)
    names = [kafka.listening_topic, kafka.recommendation_topic]
    checkpoint = checkpoint_folder(settings, QUERY_NAME, "+".join(sources[name] for name in names))
    offsets = BatchOffsets(kafka, checkpoint)

    def write_batch(batch: DataFrame, batch_id: int) -> None:
        values = batch.persist()  # read from Kafka once, for the sizes and for the rows
        try:
            sizes = value_sizes(values)
            if removed := offsets.removed(batch_id, first_offsets(size[:3] for size in sizes)):
                DRIVER_METRICS.removed(QUERY_NAME, removed)
            for rows in slices(values, sizes):
                write_rows(rows, appender, settings, sources)
        finally:
            values.unpersist()
        upkeep.do_when_due()
        skip_rates.update_when_due()

    # Looks for values more often than it writes them: a batch begins when there is a whole one, or when the interval is over.
    # So the lag decides how often, up to one after the other, and memory how many: the lane catches up at any interval.
    seconds = settings.stream.ledger_trigger_seconds
    stream = durable_lane(spark, settings, names, 0.0 if until_caught_up else seconds)
    query = (
        stream.writeStream.queryName(QUERY_NAME)
        .option("checkpointLocation", with_name_node(spark, checkpoint))
        .foreachBatch(write_batch)
    )
    if until_caught_up:
        return query.trigger(availableNow=True).start()
    return query.trigger(processingTime=f"{min(seconds, VALUES_LOOK_INTERVAL_S)} seconds").start()


def write_rows(rows: pa.Table, appender: DeltaAppender, settings: Settings, sources: dict[str, str]) -> None:
    """Writes rows of both topics, each once; decides again where another writer was first.

    sources : {topic: "cluster id/topic id"}
    Raises Overtaken where that happens COMMIT_ATTEMPTS times.
    """
    kafka, mongo = settings.kafka, settings.mongo
    is_event = _equal(rows["topic"], kafka.listening_topic)
    events, lists = rows.filter(is_event), rows.filter(_inverted(is_event))
    for remaining_attempts in reversed(range(COMMIT_ATTEMPTS)):
        try:
            was_alone = appender.is_alone
            appender.read()
            if was_alone and not appender.is_alone:
                print(
                    "ledger: another ledger writes to this lake; nothing is written twice, but run one alone",
                    flush=True,
                )
            write_events(events, appender, mongo, sources[kafka.listening_topic])
            write_lists(lists, appender, mongo, sources[kafka.recommendation_topic])
            return
        except Overtaken:
            if not remaining_attempts:
                raise


def write_events(rows: pa.Table, appender: DeltaAppender, mongo: Mongo, source: str) -> None:
    """Writes each row of the listening topic once, to LISTENING_EVENTS or REJECTED_EVENTS. Raises Overtaken.

    source : the topic's "cluster id/topic id"
    """
    row_by_place = {(source, row["partition"], row["offset"]): row for row in rows.to_pylist()}
    new, decided_valid = appender.undecided(set(row_by_place))
    valid, rejected = admit(
        [row_by_place[place] for place in sorted(new | decided_valid)], mongo, source, decided_valid
    )
    ends = _ends(rows, source)
    appender.append_rows(REJECTED_TABLE, rejected, REJECTED_EVENTS, ends, bool(new))
    appender.append_rows(VALID_TABLE, valid, LISTENING_EVENTS, ends)


def write_lists(rows: pa.Table, appender: DeltaAppender, mongo: Mongo, source: str) -> None:
    """Writes rows of the topic of lists to RECOMMENDATIONS and MIXES, and values that are no lists to REJECTED_EVENTS.

    source : the topic's "cluster id/topic id"
    Raises Overtaken.
    """
    ends = _ends(rows, source)
    done = {end: min(appender.mark(LISTS_TABLE, end), appender.mark(MIXES_TABLE, end)) for end in ends}
    places = zip(rows["partition"].to_pylist(), rows["offset"].to_pylist(), strict=True)
    rows = rows.filter(_mask([offset > done[f"{source}/{partition}"] for partition, offset in places]))
    values, database = rows["value"].to_pylist(), database_of(mongo)
    of_after = partial(_after_deletion, database=database)
    try:
        lists, mixes = list_rows(values, of_after)
    except ValueError:  # one of them is no list; it is found one by one
        are_lists = [not value or is_list(value) for value in values]
        malformed = [row for row, fine in zip(rows.to_pylist(), are_lists, strict=True) if not fine]
        deleted_places = _places_before_deletion(malformed, source, database)
        rejected = [
            _place_columns(row, source) | _rejected_columns(row, MALFORMED_LIST)
            for row in malformed
            if (row["partition"], row["offset"]) not in deleted_places
        ]
        appender.append_rows(REJECTED_TABLE, rejected, REJECTED_EVENTS)
        well_formed = [value for value, fine in zip(values, are_lists, strict=True) if fine]
        lists, mixes = list_rows(well_formed, of_after)
    appender.append_lists(LISTS_TABLE, lists, RECOMMENDATIONS, ends)
    appender.append_lists(MIXES_TABLE, mixes, MIXES, ends)


def _ends(rows: pa.Table, source: str) -> dict[str, int]:
    """{"topic id/partition": last offset} of the rows."""
    ends: dict[str, int] = {}
    for partition, offset in zip(rows["partition"].to_pylist(), rows["offset"].to_pylist(), strict=True):
        ends[f"{source}/{partition}"] = max(offset, ends.get(f"{source}/{partition}", -1))
    return ends


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
    malformed = [row for row, event in parsed if isinstance(event, BadEvent)]
    deleted_places = _places_before_deletion(malformed, source, database)
    valid, rejected = [], []
    for row, event in parsed:
        place = (row["partition"], row["offset"])
        if place in deleted_places:
            continue
        if isinstance(event, BadEvent):
            rejected.append(_place_columns(row, source) | _rejected_columns(row, str(event)))
        elif place in unknown_places:
            reason = f"unknown track {event.track_id!r}"
            rejected.append(_place_columns(row, source) | _rejected_columns(row, reason))
        elif place in admitted_places:
            valid.append(_place_columns(row, source) | _event_columns(event))
    return valid, rejected


def _places_before_deletion(
    rows: list[dict[str, Any]], source: str, database: Database[dict[str, Any]]
) -> set[tuple[int, int]]:
    """(partition, offset) of each value that names a listener whose data were deleted after it arrived.

    source : the topic's "cluster id/topic id"
    """
    names_of_rows = [named_listeners(row["value"] or b"") for row in rows]
    deletions = deletions_of(set().union(*names_of_rows), database) if rows else {}
    return {
        (row["partition"], row["offset"])
        for row, names in zip(rows, names_of_rows, strict=True)
        for name in names
        if name in deletions
        and deletions[name].covers(source, row["partition"], row["offset"], received_at(row["received_ms"]))
    }


def _after_deletion(lists: pa.Table, database: Database[dict[str, Any]]) -> pa.Table:
    """The lists that were made after their listener's deletion.  lists : see `list_rows`"""
    users = {user for user in lists["user_id"].to_pylist() if user is not None}
    return lists_after_deletion(lists, deletions_of(users, database))


def _mask(are_kept: list[bool]) -> pa.BooleanArray:
    import pyarrow as pa

    return pa.array(are_kept, pa.bool_())


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
