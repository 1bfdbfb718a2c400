"""Job: listening events become each listener's list, in MongoDB and on the topic `recommendations`: the fast lane.

    spark-submit.sh streaming/recommend.py

A new model version, a changed index and new skip rates are taken up between two micro-batches. Nothing waits for Delta here.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING

from kafka.errors import KafkaError
from py4j.protocol import Py4JError
from pymongo.errors import PyMongoError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    FloatType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
)

from batch import registry
from conf.settings import Settings
from streaming.admission import rules
from streaming.events import MAX_BYTES, BadEvent, parse, received_at
from streaming.operations import query_job
from streaming.operations.metrics import DRIVER_METRICS
from streaming.profile.skip_rates import LatestRates
from streaming.serving import set_aside
from streaming.serving.clients import database_of
from streaming.serving.context import ServingContext
from streaming.serving.deletion import remove_what_is_of_before
from streaming.serving.microbatch import serve, try_again
from streaming.serving.mutings import FIELDS_BY_KIND
from streaming.serving.values import Outcome, RawValue
from streaming.source import topics
from streaming.source.kafka_source import checkpoint_folder, read_topics
from streaming.source.removed_values import RemovedValues, first_offsets

if TYPE_CHECKING:
    import pyarrow as pa

QUERY_NAME = "recommend"
SCHEDULER_POOL = "fast"
TRY_AGAIN_S = 30.0
"""A listener who was set aside is tried again after so long, beside the attempt with each event of the listener's own."""

RAW = StructType(
    [
        StructField("value", BinaryType()),
        StructField("partition", IntegerType()),
        StructField("offset", LongType()),
        StructField("received_ms", LongType()),
    ]
)
"""One row a value of the listening topic; see `streaming.serving.values.RawValue`."""

KEYED = StructType([*RAW.fields, StructField("user_id", StringType())])

OUTCOME = StructType(
    [
        StructField("events", IntegerType()),
        StructField("applied", IntegerType()),
        StructField("refused", IntegerType()),
        StructField("lists", IntegerType()),
        StructField("waits", ArrayType(FloatType())),
        StructField("set_aside", IntegerType()),
    ]
)
"""One row a task; see `streaming.serving.values.Outcome`."""


def main(arguments: Sequence[str] | None = None) -> int:
    return query_job.main(QUERY_NAME, "Make lists as listening events arrive.", start, arguments, needs_model=True)


def start(
    spark: SparkSession, settings: Settings, sources: dict[str, str], until_caught_up: bool = False
) -> StreamingQuery:
    """Starts the query; see `streaming.operations.supervisor.StartQuery`."""
    topic = settings.kafka.listening_topic
    spark.sparkContext.setLocalProperty("spark.scheduler.pool", SCHEDULER_POOL)
    for field in chain(*FIELDS_BY_KIND.values()):  # the tracks of muted artists and genres are looked up by name
        database_of(settings.mongo).tracks.create_index(field)
    topics.report_producer_clocks(settings.kafka)
    rules.create_indexes(database_of(settings.mongo), topics.kept_s(settings.kafka))
    set_aside.create_indexes(database_of(settings.mongo))
    remove_what_is_of_before(None, database_of(settings.mongo))
    current_context = context_source(settings, sources[topic])
    last_events = 0
    serving_here = threading.Lock()
    checkpoint = checkpoint_folder(settings, QUERY_NAME, sources[topic])
    removed_values = RemovedValues(settings.kafka, checkpoint)

    def serve_batch(batch: DataFrame, batch_id: int) -> None:
        """Serves in the driver where this batch and the last one are small, else in Python workers."""
        nonlocal last_events
        context = current_context()
        most = settings.stream.small_batch_events
        outcome, first = None, None
        if last_events <= most:
            values = [RawValue(*row) for row in batch.collect()]
            last_events = len(values)
            first = first_offsets((topic, value.partition, value.offset) for value in values)
            if last_events <= most:
                with serving_here:
                    outcome = serve(values, context)
        if removed := removed_values.before(batch_id, first):
            DRIVER_METRICS.removed(QUERY_NAME, removed)
        if outcome is None:
            outcome = serve_in_workers(batch, context)
            last_events = outcome.events
        DRIVER_METRICS.served(outcome, context.model_version)

    query = (
        fast_lane(spark, settings, topic)
        .writeStream.queryName(QUERY_NAME)
        .option("checkpointLocation", checkpoint)
        .foreachBatch(serve_batch)
    )
    seconds = settings.stream.trigger_seconds
    triggered = (
        query.trigger(availableNow=True) if until_caught_up else query.trigger(processingTime=f"{seconds} seconds")
    )
    started = triggered.start()
    if not until_caught_up:
        arguments = (started, current_context, serving_here)
        threading.Thread(target=_keep_trying, args=arguments, daemon=True, name="set aside").start()
    return started


def _keep_trying(
    query: StreamingQuery, current_context: Callable[[], ServingContext], serving_here: threading.Lock
) -> None:
    """Tries to serve listeners who are set aside every TRY_AGAIN_S, also while there are no events, until the query ends.

    serving_here : held while this process serves
    """
    while _is_active(query):
        try:
            context = current_context()
            with serving_here:
                outcome = try_again(context, TRY_AGAIN_S)
            DRIVER_METRICS.served(outcome, context.model_version)
        except (PyMongoError, KafkaError, OSError, registry.ModelUnusable):
            pass  # away for a while: the query itself says so
        time.sleep(TRY_AGAIN_S)


def _is_active(query: StreamingQuery) -> bool:
    """Whether the query runs; not where the driver is ending."""
    try:
        return query.isActive
    except (Py4JError, OSError):
        return False


def context_source(settings: Settings, source: str) -> Callable[[], ServingContext]:
    """A function that looks up the latest model version, its index's state and skip rates, to be called for each micro-batch.

    source : the listening topic's "cluster id/topic id"
    """

    latest_rates = LatestRates(settings.lake, settings.taste)

    def current_context() -> ServingContext:
        model = registry.latest(settings.models.root)
        return ServingContext(
            mongo=settings.mongo,
            kafka=settings.kafka,
            taste=settings.taste,
            items=settings.stream.items,
            source=source,
            model_version=model.version,
            index_place=model.index_place,
            index_state=model.index_state,
            skip_rates=latest_rates.current(),
            mixes_hours=settings.stream.mixes_hours,
        )

    return current_context


def fast_lane(spark: SparkSession, settings: Settings, topic: str) -> DataFrame:
    """The listening topic as a stream of RAW; a value that is too long for an event is null: it is refused either way."""
    return read_topics(spark, settings, [topic], settings.stream.max_events_per_trigger).select(
        F.when(F.octet_length("value") <= MAX_BYTES, F.col("value")).alias("value"),
        "partition",
        "offset",
        "received_ms",
    )


def serve_in_workers(batch: DataFrame, context: ServingContext) -> Outcome:
    """Serves a large micro-batch in Python workers; each task has all values of its listeners."""
    keyed = batch.mapInArrow(_add_user_id, KEYED)
    # An explicit number of tasks: without one, adaptive query execution coalesces so little data into a single task.
    tasks = 2 * batch.sparkSession.sparkContext.defaultParallelism
    outcomes = keyed.repartition(tasks, "user_id").drop("user_id").mapInArrow(_serve_tasks(context), OUTCOME).collect()
    return sum((Outcome(**row.asDict() | {"waits": tuple(row.waits)}) for row in outcomes), Outcome())


def _add_user_id(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """KEYED. The user id is that of `parse`, since Spark's JSON functions may read a value differently."""
    import pyarrow as pa

    for batch in batches:
        user_ids = [
            _user_id(value, received_ms)
            for value, received_ms in zip(batch["value"].to_pylist(), batch["received_ms"].to_pylist(), strict=True)
        ]
        yield pa.RecordBatch.from_arrays(
            [*batch.columns, pa.array(user_ids, pa.string())], names=[*batch.schema.names, "user_id"]
        )


def _user_id(value: bytes | None, received_ms: int) -> str | None:
    try:
        return parse(value, received_at(received_ms)).user_id
    except BadEvent:
        return None


def _serve_tasks(context: ServingContext) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for `mapInArrow`: the values of a task → one row of OUTCOME."""

    def serve_task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        from pyspark.sql.pandas.types import to_arrow_schema

        values = [RawValue(**row) for batch in batches for row in batch.to_pylist()]
        outcome = serve(values, context) if values else Outcome()
        yield pa.RecordBatch.from_pylist([asdict(outcome)], schema=to_arrow_schema(OUTCOME))

    return serve_task


if __name__ == "__main__":
    sys.exit(main())
