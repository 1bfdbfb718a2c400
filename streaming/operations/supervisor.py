"""How a streaming job runs: what it needs is checked first, and while MongoDB or Kafka is away it waits and goes on by itself."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Protocol

from pymongo.errors import PyMongoError
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from batch import mongo, registry
from conf.settings import Settings, settings
from streaming.operations import metrics
from streaming.source import topics

LOOK_S = 0.5
TOPICS_S = 5.0
RETRY_S = 2.0
FAILURES = 3
"""So many failures in a row, with both services there, are no outage."""
MOST_PAUSE_S = 60.0
STEADY_S = 60.0
"""A query that ran so long has recovered from what it failed with before."""


class Start(Protocol):
    """Starts a query: `streaming.recommend.start`, `streaming.ledger.start`."""

    def __call__(
        self, spark: SparkSession, settings: Settings, sources: dict[str, str], until_caught_up: bool = False
    ) -> StreamingQuery: ...


def main(name: str, does: str, start: Start, arguments: Sequence[str] | None = None, needs_model: bool = False) -> int:
    """A job of one query, from its command line to its exit code: 2 a wrong setting, 1 something that it needs is not there."""
    parser = argparse.ArgumentParser(prog=f"streaming/{name}.py", description=does)
    parser.add_argument("--until-caught-up", action="store_true", help="end when all events so far are done")
    given = parser.parse_args(arguments)
    try:
        chosen = settings()
    except ValueError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    try:
        if needs_model:
            registry.latest(chosen.models.root)
        mongo.client(chosen.mongo).close()
        topics.ensure(chosen.kafka)
    except (registry.ModelUnusable, OSError, PyMongoError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    spark = SparkSession.builder.appName(name).getOrCreate()
    try:
        if given.until_caught_up:
            start(spark, chosen, topics.ensure(chosen.kafka), True).awaitTermination()
        else:
            metrics.start(spark, chosen)
            Running(spark, chosen, {name: start}).keep()
    except (OSError, StreamingQueryException) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    finally:
        spark.stop()
    return 0


class Running:
    """Queries that are kept running, each started again after an outage from where its checkpoint stands."""

    def __init__(self, spark: SparkSession, settings: Settings, starts: dict[str, Start]) -> None:
        self.spark, self.settings, self.starts = spark, settings, starts
        self.queries: dict[str, StreamingQuery] = {}
        self.started: dict[str, float] = {}
        self.failures = dict.fromkeys(starts, 0)
        self.not_before = dict.fromkeys(starts, 0.0)
        self.sources: dict[str, str] = {}
        self.looked = 0.0

    def start(self) -> None:
        """Starts the queries that are not running."""
        sources = self.sources = topics.ensure(self.settings.kafka)
        for name, start in self.starts.items():
            if name not in self.queries and time.monotonic() >= self.not_before[name]:
                self.queries[name] = start(self.spark, self.settings, sources)
                self.started[name] = time.monotonic()

    def keep(self) -> None:
        """Keeps them running.

        A query that fails for another reason than an outage is tried again after ever longer pauses while another one
        runs; where it is the only one, its StreamingQueryException is raised.
        """
        while True:
            self.look()
            time.sleep(LOOK_S)

    def look(self) -> None:
        """Notices queries that ended, waits for who is away, and starts them again."""
        for name, query in list(self.queries.items()):
            if query.isActive:
                continue
            error = query.exception()
            del self.queries[name]
            if time.monotonic() - self.started[name] > STEADY_S:
                self.failures[name] = 0
            why = "" if error is None else metrics.cause(str(error))
            away = who_is_away(self.settings)
            print(f"{name}: stopped ({why}); {away or 'starting it again'}", flush=True)
            if away is None:
                self.failures[name] += 1
                if self.failures[name] >= FAILURES and error is not None:
                    if len(self.starts) == 1:
                        raise error
                    self.not_before[name] = time.monotonic() + min(MOST_PAUSE_S, 2.0 ** self.failures[name])
        self._look_for_new_topics()
        if len(self.queries) < len(self.starts):
            self._wait()
            try:
                self.start()
            except (OSError, PyMongoError) as error:  # away again since we looked
                print(f"waiting: {type(error).__name__}", flush=True)

    def _look_for_new_topics(self) -> None:
        """Stops all queries where a topic was deleted and made again: offsets of the old one say nothing of the new one."""
        if not self.queries or time.monotonic() - self.looked < TOPICS_S:
            return
        self.looked = time.monotonic()
        try:
            if topics.ensure(self.settings.kafka) == self.sources:
                return
        except OSError:
            return  # away: the queries will tell
        print("a topic was made anew: starting the queries again", flush=True)
        for query in self.queries.values():
            query.stop()
        self.queries.clear()

    def _wait(self) -> None:
        said = ""
        while (away := who_is_away(self.settings)) is not None:
            if away != said:
                print(f"waiting: {away}", flush=True)
                said = away
            time.sleep(RETRY_S)


def who_is_away(settings: Settings) -> str | None:
    """What does not answer; None where both services do."""
    try:
        mongo.client(settings.mongo).close()
        topics.ensure(settings.kafka)
    except OSError as error:
        return str(error)
    return None
