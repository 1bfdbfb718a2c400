"""Serves a large micro-batch in Python workers, by one Spark job: parsed where Kafka is read, then served by listeners."""

from __future__ import annotations

import pickle
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DoubleType,
    FloatType,
    IntegerType,
    StringType,
    StructField,
    StructType,
)

from streaming.serving.admitted import parsed_values
from streaming.serving.context import ServingContext
from streaming.serving.microbatch import serve_parsed
from streaming.serving.values import ClockReading, Outcome, ParsedValue, RawValue

if TYPE_CHECKING:
    import pyarrow as pa

EVENTS_OF_LISTENER = StructType(
    [
        StructField("user_id", StringType()),
        StructField("parsed", BinaryType()),
        StructField("values", IntegerType()),
    ]
)
"""One row for each listener in a batch of values that was parsed at once: the list of `ParsedValue`, pickled as Spark itself
does between tasks, and its length. One row more, without listener and list, has the number of values that are no events."""

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
"""See `streaming.serving.values.Outcome`."""

OUTCOME_OF_TASK = StructType(
    [
        *OUTCOME.fields,
        StructField("host", StringType()),
        StructField("began_at", DoubleType()),
        StructField("ended_at", DoubleType()),
    ]
)
"""One row a task: OUTCOME, and a ClockReading."""


def serve_in_workers(
    values: DataFrame, context: ServingContext, tasks: int
) -> tuple[Outcome, list[ClockReading], float]:
    """Serves a micro-batch; each task has all events of its listeners.

    Returns (its counts, a reading of each task's clock, when their results were here by this driver's clock).

    values : one row for each `RawValue`, with its fields as columns
    tasks : that serve; without a number, adaptive planning puts so little data into a single one
    """
    parsed = values.mapInArrow(_parse_values, EVENTS_OF_LISTENER)
    rows = parsed.repartition(tasks, "user_id").mapInArrow(_serve_tasks(context), OUTCOME_OF_TASK).collect()
    collected_at = time.time()
    counts = {name: sum(row[name] for row in rows) for name in OUTCOME.names if name != "waits"}
    waits = chain.from_iterable(_true_waits(row.waits, row.ended_at, collected_at) for row in rows)
    readings = [ClockReading(row.host, row.began_at, row.ended_at) for row in rows]
    return Outcome(**counts, waits=tuple(waits)), readings, collected_at


def _true_waits(waits: Iterable[float], ended_at: float, collected_at: float) -> list[float]:
    """Waits without what a worker's clock is ahead: a task cannot have ended after its result was here."""
    ahead_s = max(0.0, ended_at - collected_at)
    return [max(0.0, wait - ahead_s) for wait in waits]


def _parse_values(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """EVENTS_OF_LISTENER. A listener is who `parse` says, since Spark's JSON functions may read a value differently."""
    import pyarrow as pa
    from pyspark.sql.pandas.types import to_arrow_schema

    schema = to_arrow_schema(EVENTS_OF_LISTENER)
    for batch in batches:
        parsed_by_user: dict[str, list[ParsedValue]] = defaultdict(list)
        columns = (batch[name].to_pylist() for name in ("value", "partition", "offset", "received_ms"))
        parsed = parsed_values(RawValue(*row) for row in zip(*columns, strict=True))
        for each in parsed:
            parsed_by_user[each.event.user_id].append(each)
        lists = parsed_by_user.values()
        rows = [
            [*parsed_by_user, None],
            [*(pickle.dumps(each, pickle.HIGHEST_PROTOCOL) for each in lists), None],
            [*map(len, lists), batch.num_rows - len(parsed)],
        ]
        yield pa.RecordBatch.from_arrays(
            [pa.array(column, field.type) for column, field in zip(rows, schema, strict=True)], schema=schema
        )


def _serve_tasks(context: ServingContext) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for `mapInArrow`: EVENTS_OF_LISTENER of a task → its row of OUTCOME_OF_TASK."""

    def serve_task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        from pyspark.sql.pandas.types import to_arrow_schema

        began_at = time.time()
        parsed: list[ParsedValue] = []
        values = 0
        for batch in batches:
            values += sum(batch["values"].to_pylist())
            for pickled in batch["parsed"].to_pylist():
                if pickled is not None:
                    parsed += pickle.loads(pickled)
        outcome = serve_parsed(parsed, values, context) if values else Outcome()
        reading = ClockReading(socket.gethostname(), began_at, time.time())
        row = asdict(outcome) | asdict(reading)
        yield pa.RecordBatch.from_pylist([row], schema=to_arrow_schema(OUTCOME_OF_TASK))

    return serve_task
