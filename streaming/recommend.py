"""Job: listening events become each listener's recommendations, in MongoDB and on the topic `recommendations`.

    spark-submit.sh streaming/recommend.py

The fast lane: no Delta here. A new model version, and what was added to the index, is taken up between two micro-batches.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

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
from batch.index.lsh import Index
from conf.settings import Settings
from streaming.admission import rules
from streaming.events import MAX_BYTES, MUTED_KINDS, BadEvent, parse, received_at
from streaming.operations import metrics, supervisor
from streaming.profile.skip_rates import freeze
from streaming.serving.clients import database_of
from streaming.serving.microbatch import Outcome, Raw, Serving, serve
from streaming.source.kafka_source import checkpoint, events

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "recommend"
POOL = "fast"

RAW = StructType(
    [
        StructField("value", BinaryType()),
        StructField("partition", IntegerType()),
        StructField("offset", LongType()),
        StructField("received_ms", LongType()),
    ]
)
"""One row a value of the topic, as far as the fast lane reads it."""

KEYED = StructType([*RAW.fields, StructField("user_id", StringType())])

OUTCOME = StructType(
    [
        StructField("events", IntegerType()),
        StructField("applied", IntegerType()),
        StructField("refused", IntegerType()),
        StructField("lists", IntegerType()),
        StructField("waits", ArrayType(FloatType())),
    ]
)
"""One row a task; see `streaming.serving.microbatch.Outcome`."""


def main(arguments: Sequence[str] | None = None) -> int:
    return supervisor.main(
        "recommend", "Serve recommendations as listeners listen.", start, arguments, needs_model=True
    )


def start(
    spark: SparkSession, settings: Settings, sources: dict[str, str], until_caught_up: bool = False
) -> StreamingQuery:
    """Starts the query; it keeps its place in the topic under `checkpoints/` of the home."""
    topic = settings.kafka.listening_topic
    spark.sparkContext.setLocalProperty("spark.scheduler.pool", POOL)
    for field in MUTED_KINDS:  # the tracks of a muted artist or genre are asked for by name
        database_of(settings.mongo).tracks.create_index(field)
    rules.prepare(database_of(settings.mongo))
    serving = serving_of(settings, sources[topic])
    last = 0

    def serve_batch(batch: DataFrame, _batch_id: int) -> None:
        nonlocal last
        now = serving(batch.sparkSession)
        most = settings.stream.small_batch_events
        outcome = None
        if last <= most:
            rows = [Raw(*row) for row in batch.collect()]
            last = len(rows)
            if last <= most:
                outcome = serve(rows, now)
        if outcome is None:
            outcome = served_in_parallel(batch, now)
            last = outcome.events
        metrics.served(outcome, now.model_version)

    query = (
        fast_lane(spark, settings, topic)
        .writeStream.queryName(NAME)
        .option("checkpointLocation", checkpoint(settings, NAME, sources[topic]))
        .foreachBatch(serve_batch)
    )
    seconds = settings.stream.trigger_seconds
    triggered = (
        query.trigger(availableNow=True) if until_caught_up else query.trigger(processingTime=f"{seconds} seconds")
    )
    return triggered.start()


def serving_of(settings: Settings, source: str) -> Callable[[SparkSession], Serving]:
    """What to serve with, asked before each micro-batch: the latest model version, and its index as it has grown."""

    def now(spark: SparkSession) -> Serving:
        model = registry.latest(settings.models.root)
        freeze(spark, settings, model.folder)
        return Serving(
            mongo=settings.mongo,
            kafka=settings.kafka,
            taste=settings.taste,
            items=settings.stream.items,
            source=source,
            model_version=model.version,
            model=model.folder,
            grown=Index.state(model.folder / "index"),
        )

    return now


def fast_lane(spark: SparkSession, settings: Settings, topic: str) -> DataFrame:
    """The topic as a stream of RAW. Of a value too long for an event nothing travels: it is refused either way."""
    return events(spark, settings, [topic], settings.stream.max_events_per_trigger).select(
        F.when(F.octet_length("value") <= MAX_BYTES, F.col("value")).alias("value"),
        "partition",
        "offset",
        "received_ms",
    )


def served_in_parallel(batch: DataFrame, serving: Serving) -> Outcome:
    """Serves a large micro-batch on all cores: every task has all rows of its listeners."""
    keyed = batch.mapInArrow(_keyed, KEYED)
    # A number that is asked for is kept: without one, adaptive planning puts so little data into one task.
    tasks = 2 * batch.sparkSession.sparkContext.defaultParallelism
    outcomes = keyed.repartition(tasks, "user_id").drop("user_id").mapInArrow(_serving(serving), OUTCOME).collect()
    events, applied, refused, lists = (sum(row[at] for row in outcomes) for at in range(4))
    return Outcome(events, applied, refused, lists, tuple(wait for row in outcomes for wait in row.waits))


def _keyed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The rows with the listener whom `parse` finds in them: Spark's JSON functions may read a value differently."""
    import pyarrow as pa

    for batch in batches:
        users = [
            _user(value, ms)
            for value, ms in zip(batch["value"].to_pylist(), batch["received_ms"].to_pylist(), strict=True)
        ]
        yield pa.RecordBatch.from_arrays(
            [*batch.columns, pa.array(users, pa.string())], names=[*batch.schema.names, "user_id"]
        )


def _user(value: bytes | None, received_ms: int) -> str | None:
    try:
        return parse(value, received_at(received_ms)).user_id
    except BadEvent:
        return None


def _serving(serving: Serving) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def serve_task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        from pyspark.sql.pandas.types import to_arrow_schema

        rows = [Raw(**row) for batch in batches for row in batch.to_pylist()]
        outcome = serve(rows, serving) if rows else Outcome()
        yield pa.RecordBatch.from_pylist([asdict(outcome)], schema=to_arrow_schema(OUTCOME))

    return serve_task


if __name__ == "__main__":
    sys.exit(main())
