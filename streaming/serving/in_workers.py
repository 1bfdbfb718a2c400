"""Serves a large micro-batch in Python workers, by one Spark job: parsed where Kafka is read, then served by listeners."""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql.types import ArrayType, BinaryType, FloatType, IntegerType, StringType, StructField, StructType

from streaming.serving.admitted import parsed_values
from streaming.serving.context import ServingContext
from streaming.serving.microbatch import serve_parsed
from streaming.serving.values import Outcome, ParsedValue, RawValue

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
"""One row a task; see `streaming.serving.values.Outcome`."""


def serve_in_workers(values: DataFrame, context: ServingContext, tasks: int) -> Outcome:
    """Serves a micro-batch; each task has all events of its listeners.

    values : one row for each `RawValue`, with its fields as columns
    tasks : that serve; without a number, adaptive planning puts so little data into a single one
    """
    parsed = values.mapInArrow(_parse_values, EVENTS_OF_LISTENER)
    outcomes = parsed.repartition(tasks, "user_id").mapInArrow(_serve_tasks(context), OUTCOME).collect()
    counts = {name: sum(row[name] for row in outcomes) for name in OUTCOME.names if name != "waits"}
    return Outcome(**counts, waits=tuple(chain.from_iterable(row.waits for row in outcomes)))


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
    """A function for `mapInArrow`: EVENTS_OF_LISTENER of a task → one row of OUTCOME."""

    def serve_task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        from pyspark.sql.pandas.types import to_arrow_schema

        parsed: list[ParsedValue] = []
        values = 0
        for batch in batches:
            values += sum(batch["values"].to_pylist())
            for pickled in batch["parsed"].to_pylist():
                if pickled is not None:
                    parsed += pickle.loads(pickled)
        outcome = serve_parsed(parsed, values, context) if values else Outcome()
        yield pa.RecordBatch.from_pylist([asdict(outcome)], schema=to_arrow_schema(OUTCOME))

    return serve_task
