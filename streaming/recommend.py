"""Job: listening events become each listener's list, in MongoDB and on the topic `recommendations`: the fast lane.

    spark-submit.sh streaming/recommend.py

A new model version, a changed index and new skip rates are taken up between two micro-batches. Nothing waits for Delta here.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain

from kafka.errors import KafkaError
from py4j.protocol import Py4JError
from pymongo.errors import PyMongoError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from batch import registry
from batch.storage.spark import with_name_node
from conf.settings import Settings
from streaming.admission import rules
from streaming.events import MAX_BYTES
from streaming.operations import query_job
from streaming.operations.batch_sizes import batch_sizes, cores_of, expected_cores
from streaming.operations.clocks import ClockReports
from streaming.operations.metrics import DRIVER_METRICS
from streaming.operations.served_model import served_model
from streaming.profile.skip_rates import LatestRates
from streaming.serving import set_aside
from streaming.serving.clients import database_of
from streaming.serving.context import ServingContext
from streaming.serving.deletion import remove_what_is_of_before
from streaming.serving.in_workers import serve_in_workers
from streaming.serving.microbatch import serve, try_again
from streaming.serving.mutings import FIELDS_BY_KIND
from streaming.serving.values import RawValue
from streaming.source import topics
from streaming.source.batch_offsets import BatchOffsets, Offsets, first_offsets
from streaming.source.kafka_source import checkpoint_folder, read_topics

QUERY_NAME = "recommend"
SCHEDULER_POOL = "fast"
TRY_AGAIN_S = 30.0
"""A listener who was set aside is tried again after so long, beside the attempt with each event of the listener's own."""


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
    sizes = batch_sizes(spark, settings.stream)
    most_events = sizes.most_events(expected_cores(spark))
    serving_here = threading.Lock()
    checkpoint = checkpoint_folder(settings, QUERY_NAME, sources[topic])
    offsets = BatchOffsets(settings.kafka, checkpoint)
    clocks = ClockReports(QUERY_NAME)

    def report_removed(batch_id: int, first: Offsets | None) -> None:
        if removed := offsets.removed(batch_id, first):
            DRIVER_METRICS.removed(QUERY_NAME, removed)

    def serve_batch(batch: DataFrame, batch_id: int) -> None:
        """Serves in the driver where this batch is small, else in Python workers; reads it from Kafka once."""
        context = current_context()
        most_values = offsets.most_values(batch_id)
        events = most_events if most_values is None else min(most_values, most_events)
        if events <= sizes.most_in_driver:
            values = [RawValue(*row) for row in batch.collect()]
            report_removed(batch_id, first_offsets((topic, value.partition, value.offset) for value in values))
            with serving_here:
                outcome = serve(values, context)
        else:
            report_removed(batch_id, None)
            outcome, readings, collected_at = serve_in_workers(batch, context, sizes.tasks(events, cores_of(spark)))
            for line in clocks.lines(readings, context.planned_at.timestamp(), collected_at):
                print(line, flush=True)
        DRIVER_METRICS.served(outcome, context.model_version)

    query = (
        fast_lane(spark, settings, topic, most_events)
        .writeStream.queryName(QUERY_NAME)
        .option("checkpointLocation", with_name_node(spark, checkpoint))
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
                outcome = try_again(replace(context, planned_at=datetime.now(UTC)), TRY_AGAIN_S)
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
    """A function that looks up the model version to serve, its index's state and skip rates, to be called for each micro-batch.

    source : the listening topic's "cluster id/topic id"
    """

    latest_rates = LatestRates(settings.lake, settings.taste)
    model_in_use = served_model(settings.models.root, QUERY_NAME)

    def current_context() -> ServingContext:
        model, index_state = model_in_use.current()
        return ServingContext(
            mongo=settings.mongo,
            kafka=settings.kafka,
            taste=settings.taste,
            items=settings.stream.items,
            source=source,
            model_version=model.version,
            index_place=model.index_place,
            index_state=index_state,
            skip_rates=latest_rates.current(),
            mixes_hours=settings.stream.mixes_hours,
        )

    return current_context


def fast_lane(spark: SparkSession, settings: Settings, topic: str, most_events: int) -> DataFrame:
    """The listening topic as a stream of (value, partition, offset, received_ms), the fields of `RawValue`.

    most_events : in a micro-batch
    A value that is too long for an event is null: it is refused either way.
    """
    most_per_task = settings.stream.max_events_per_trigger
    return read_topics(spark, settings, [topic], most_events, most_per_task=most_per_task).select(
        F.when(F.octet_length("value") <= MAX_BYTES, F.col("value")).alias("value"),
        "partition",
        "offset",
        "received_ms",
    )


if __name__ == "__main__":
    sys.exit(main())
