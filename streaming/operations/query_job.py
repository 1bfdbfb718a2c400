"""main() of a job that runs one query: `recommend`, `ledger`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from pymongo.errors import PyMongoError
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession

from batch import job, mongo, registry
from batch.storage import lease
from conf.settings import Settings
from streaming.operations import metrics
from streaming.operations.supervisor import StartQuery, Supervisor, root_cause
from streaming.source import topics


class QueryFailed(RuntimeError):
    """The query failed again and again for itself; it goes on at its checkpoint when it is started again."""


def main(
    name: str,
    description: str,
    start: StartQuery,
    arguments: Sequence[str] | None = None,
    needs_model: bool = False,
    writes_tables: bool = False,
    finish: Callable[[Settings], None] | None = None,
) -> int:
    """Runs the query of streaming/{name}.py until it is interrupted; returns the exit code of `batch.job.run`.

    needs_model : end with 1 where there is no usable model version
    writes_tables : the query writes to the lake, and is refused where another one does
    finish : called when the query has caught up and ended
    """

    def work(settings: Settings, options: argparse.Namespace) -> None:
        if needs_model:
            registry.latest(settings.models.root)
        mongo.client(settings.mongo).close()
        topics.ensure(settings.kafka)
        written = [settings.stream.checkpoints, *([settings.lake.root] if writes_tables else [])]
        with ExitStack() as leases:
            for root in dict.fromkeys(written):
                leases.enter_context(lease.held(root, name))
            job.in_spark(name, lambda spark: run(spark, settings, options.until_caught_up))

    def run(spark: SparkSession, settings: Settings, until_caught_up: bool) -> None:
        try:
            run_queries(spark, settings, until_caught_up)
        except StreamingQueryException as error:
            if job.what_spark_lacks(error):
                raise
            raise QueryFailed(f"{root_cause(str(error))}. Started again, it goes on where it was") from error

    def run_queries(spark: SparkSession, settings: Settings, until_caught_up: bool) -> None:
        if until_caught_up:
            start(spark, settings, topics.ensure(settings.kafka), True).awaitTermination()
            if finish is not None:
                finish(settings)
        else:
            metrics.start(spark, settings)
            Supervisor(spark, settings, {name: start}).run()

    return job.run(
        f"streaming/{name}.py",
        description,
        work,
        arguments,
        lambda parser: parser.add_argument(
            "--until-caught-up", action="store_true", help="end when all events so far are processed"
        ),
        failures=(registry.ModelUnusable, OSError, PyMongoError, QueryFailed, StreamingQueryException),
    )
