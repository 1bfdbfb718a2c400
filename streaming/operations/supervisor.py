"""Keeps jobs running: a supervisor of Spark queries, and a restart loop for jobs without Spark.

While MongoDB or Kafka is unavailable both wait and then go on. This module does not import pyspark, without which `feed` and
`catalogue` start.
"""

from __future__ import annotations

import re
import threading
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from pymongo.errors import PyMongoError

from batch import mongo
from conf.settings import Settings
from streaming.operations.health import DRIVER_HEALTH
from streaming.source import topics

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

QUERY_CHECK_INTERVAL_S = 0.5
TOPIC_CHECK_INTERVAL_S = 5.0
OUTAGE_RETRY_S = 2.0
UNEXPECTED_ERROR_RETRY_S = 20.0
MOST_FAILURES = 3
"""Failures in a row with both services available; a single query that fails so often ends its job."""
LONGEST_PAUSE_S = 60.0
STEADY_S = 60.0
"""After running this long a query's failures are forgotten."""
MOST_CAUSE_CHARACTERS = 300
CONCURRENT_DRIVER = "CONCURRENT_STREAM_LOG_UPDATE"
"""Spark's error where another driver has written the same micro-batch to the checkpoint."""
OTHER_DRIVER_RETRY_S = 5.0
_ERROR_LINE = re.compile(r"(?:Caused by: )?(?:(?:\w+\.)+[A-Z]\w*|\w*(?:Error|Exception))(?=:|$)")
"""A dotted class, or a built-in one."""


class StartQuery(Protocol):
    """Starts a query: `streaming.recommend.start`, `streaming.ledger.start`.

    sources : {topic: "cluster id/topic id"}
    until_caught_up : end when all values so far are processed
    """

    def __call__(
        self, spark: SparkSession, settings: Settings, sources: dict[str, str], until_caught_up: bool = False
    ) -> StreamingQuery: ...


class Supervisor:
    """Restarts queries that end, from their checkpoints.

    start_by_name : the function that starts each query
    """

    def __init__(self, spark: SparkSession, settings: Settings, start_by_name: dict[str, StartQuery]) -> None:
        self.spark = spark
        self.settings = settings
        self.start_by_name = start_by_name
        self.queries: dict[str, StreamingQuery] = {}
        self.started_at: dict[str, float] = {}
        self.failures = dict.fromkeys(start_by_name, 0)
        self.not_before = dict.fromkeys(start_by_name, 0.0)
        self.sources: dict[str, str] = {}
        self.topics_checked_at = 0.0
        for name in start_by_name:
            DRIVER_HEALTH.begins(name)

    def start(self) -> None:
        """Starts the queries that are not running and not paused."""
        sources = self.sources = topics.ensure(self.settings.kafka)
        for name, start in self.start_by_name.items():
            if name not in self.queries and time.monotonic() >= self.not_before[name]:
                self.queries[name] = start(self.spark, self.settings, sources)
                self.started_at[name] = time.monotonic()

    def run(self) -> None:
        """Supervises endlessly. Raises StreamingQueryException where the only query has failed MOST_FAILURES times."""
        while True:
            self.check()
            time.sleep(QUERY_CHECK_INTERVAL_S)

    def check(self) -> None:
        """Handles queries that ended, waits for unavailable services, and starts queries again.

        Failures during an outage are not counted. Others are followed by pauses that double each time.
        """
        for name, query in list(self.queries.items()):
            if query.isActive:
                continue
            error = query.exception()
            del self.queries[name]
            if time.monotonic() - self.started_at[name] > STEADY_S:
                self.failures[name] = 0
            if error is not None and CONCURRENT_DRIVER in str(error):
                print(
                    f"{name}: another driver works on the same checkpoint; nothing is counted twice, but end one of them. "
                    f"Trying again in {OTHER_DRIVER_RETRY_S:.0f} s",
                    flush=True,
                )
                self.not_before[name] = time.monotonic() + OTHER_DRIVER_RETRY_S
                continue
            reason = "" if error is None else root_cause(str(error))
            outage = unavailable_service(self.settings)
            print(f"{name}: stopped ({reason}); {outage or 'starting it again'}", flush=True)
            if outage is None:
                self.failures[name] += 1
                if self.failures[name] >= MOST_FAILURES and error is not None:
                    if len(self.start_by_name) == 1:
                        raise error
                    self.not_before[name] = time.monotonic() + min(LONGEST_PAUSE_S, 2.0 ** self.failures[name])
        self._stop_where_topics_were_recreated()
        if len(self.queries) < len(self.start_by_name):
            self._say_what_waits()
            self._wait_for_services()
            try:
                self.start()
            except (OSError, PyMongoError) as error:  # unavailable again since the check
                print(f"waiting: {type(error).__name__}", flush=True)

    def _stop_where_topics_were_recreated(self) -> None:
        """Stops all queries where a topic has another id than when they started: their offsets are of the former one."""
        if not self.queries or time.monotonic() - self.topics_checked_at < TOPIC_CHECK_INTERVAL_S:
            return
        self.topics_checked_at = time.monotonic()
        try:
            if topics.ensure(self.settings.kafka) == self.sources:
                return
        except OSError:
            return  # Kafka is unavailable; the queries will fail by themselves
        print("a topic was recreated: starting the queries again", flush=True)
        for query in self.queries.values():
            query.stop()
        self.queries.clear()

    def _wait_for_services(self) -> None:
        last_outage = ""
        while (outage := unavailable_service(self.settings)) is not None:
            if outage != last_outage:
                print(f"waiting: {outage}", flush=True)
                last_outage = outage
            self._say_what_waits()
            time.sleep(OUTAGE_RETRY_S)

    def _say_what_waits(self) -> None:
        for name in self.start_by_name.keys() - self.queries.keys():
            DRIVER_HEALTH.waits(name)


def run_until_stopped(
    name: str,
    run: Callable[[threading.Event], object],
    outages: tuple[type[Exception], ...],
    describe: Callable[[Exception], str],
    stopping: threading.Event,
) -> None:
    """Calls `run(stopping)` again and again until `stopping` is set. Unexpected errors are logged, with their traceback.

    outages : exceptions of services that are unavailable; printed once for several of the same type in a row
    describe : the text to print of an outage
    """
    last_outage = ""
    DRIVER_HEALTH.begins(name)
    while not stopping.is_set():
        try:
            run(stopping)
            last_outage = ""
        except outages as error:
            if last_outage != type(error).__name__:
                last_outage = type(error).__name__
                print(f"{name}: waiting ({describe(error)})", flush=True)
            DRIVER_HEALTH.waits(name)
            stopping.wait(OUTAGE_RETRY_S)
        except Exception:  # noqa: BLE001 - the thread of a job must not end silently
            traceback.print_exc()
            DRIVER_HEALTH.waits(name)
            stopping.wait(UNEXPECTED_ERROR_RETRY_S)


def unavailable_service(settings: Settings) -> str | None:
    """The message of MongoDB or Kafka where it does not answer; None where both do."""
    try:
        mongo.client(settings.mongo).close()
        topics.ensure(settings.kafka)
    except OSError as error:
        return str(error)
    return None


def root_cause(text: str) -> str:
    """The last line of an exception's text that begins with the name of an error, else its first line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR_LINE.match(line)]
    return (errors[-1] if errors else lines[0] if lines else "no message")[:MOST_CAUSE_CHARACTERS]
