"""Metrics of the queries: for Prometheus, and in MongoDB's `status` for the player.

A StreamingQueryListener gives rates, durations and lag; the fast lane adds the time from event to list.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from pymongo.errors import PyMongoError
from pyspark.sql.streaming.listener import (
    QueryIdleEvent,
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)

from streaming.documents import SET_ASIDE, SET_ASIDE_TRACKS
from streaming.operations import http_server
from streaming.operations.checkpoint_latency import CheckpointLatency
from streaming.operations.health import DRIVER_HEALTH
from streaming.operations.supervisor import root_cause
from streaming.serving.clients import database_of
from streaming.source.batch_offsets import Offsets, warning

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from conf.settings import Mongo, Settings
    from streaming.serving.values import Outcome

LATENCY_WINDOW_S = 300.0
MOST_LATENCIES = 20_000
MOST_DURATIONS = 200
"""Micro-batches of a query whose durations are kept for the p95."""
STATUS_INTERVAL_S = 2.0
SIZES_INTERVAL_S = 20.0
FAST_LANE = "recommend"
QUANTILES = {"p50_s": 0.5, "p95_s": 0.95, "p99_s": 0.99}

GAUGES = (
    ("running", "query_running", "Whether the query runs."),
    ("events_per_second", "input_rows_per_second", "Rows read a second."),
    ("processed_per_second", "processed_rows_per_second", "Rows that could be processed a second."),
    ("batch_ms", "batch_milliseconds", "Duration of the last micro-batch."),
    ("batch_ms_p95", "batch_milliseconds_p95", "95th percentile of the durations of the last 200 micro-batches."),
    ("lag_events", "lag_rows", "Rows in Kafka that were not read yet when the last micro-batch began."),
    (
        "removed_values",
        "removed_values",
        "Values that Kafka had removed before they were read, since the driver started.",
    ),
)
"""(field in `status`, name for Prometheus, help) of each query."""
COUNTERS = {
    "events": "Values read since the driver started.",
    "applied": "Events counted in a profile since the driver started.",
    "refused": "Values that are no valid event, or of an unknown track, since the driver started.",
    "lists": "Lists written since the driver started.",
    "set_aside": "Times that a listener could not be served and was set aside, since the driver started.",
}
"""{field of Outcome: help} of the fast lane."""


class Metrics:
    """The last values of all queries of this driver; thread-safe. A collector of `prometheus_client`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queries: dict[str, dict[str, Any]] = {}
        self._waits: deque[tuple[float, float]] = deque(maxlen=MOST_LATENCIES)
        self._durations: dict[str, deque[float]] = {}
        self._totals = dict.fromkeys(COUNTERS, 0)

    def served(self, outcome: Outcome, model_version: str, now: float | None = None) -> None:
        """Adds a micro-batch of the fast lane.  now : seconds since 1970, by default the present"""
        now = time.time() if now is None else now
        with self._lock:
            for name in self._totals:
                self._totals[name] += getattr(outcome, name)
            self._waits.extend((now, wait) for wait in outcome.waits)
            self._queries.setdefault(FAST_LANE, {"_id": FAST_LANE})["model_version"] = model_version

    def progressed(self, name: str, progress: Any) -> None:
        """Adds a micro-batch of a query.  progress : Spark's StreamingQueryProgress"""
        duration_ms = float(dict(progress.durationMs).get("triggerExecution", progress.batchDuration))
        start, end, latest = (
            sum(map(_offset_sum, (getattr(source, name) for source in progress.sources)))
            for name in ("startOffset", "endOffset", "latestOffset")
        )
        rows = end - start if start else int(progress.numInputRows)
        # numInputRows counts a batch that two Spark jobs read twice.
        share = rows / progress.numInputRows if progress.numInputRows else 1.0
        with self._lock:
            durations = self._durations.setdefault(name, deque(maxlen=MOST_DURATIONS))
            durations.append(duration_ms)
            self._queries.setdefault(name, {"_id": name}).setdefault("removed_values", 0)
            self._queries[name].update(
                running=True,
                batch_id=int(progress.batchId),
                error=None,
                events_per_second=_finite(progress.inputRowsPerSecond, share),
                processed_per_second=_finite(progress.processedRowsPerSecond, share),
                events_in_batch=rows,
                batch_ms=duration_ms,
                batch_ms_p95=float(np.quantile(durations, 0.95)),
                durations_ms={key: int(value) for key, value in dict(progress.durationMs).items()},
                lag_events=max(0, latest - end),
                idle=False,
                triggered_at=datetime.now(UTC),
                at=datetime.now(UTC),
            )

    def started(self, name: str) -> None:
        """Marks a query as running, before its first micro-batch."""
        with self._lock:
            self._queries.setdefault(name, {"_id": name}).update(
                running=True, error=None, idle=True, triggered_at=datetime.now(UTC), at=datetime.now(UTC)
            )

    def idled(self, name: str) -> None:
        """Marks a query as idle: a trigger found nothing to read."""
        with self._lock:
            self._queries.setdefault(name, {"_id": name}).update(
                running=True,
                error=None,
                idle=True,
                events_per_second=0.0,
                lag_events=0,
                triggered_at=datetime.now(UTC),
                at=datetime.now(UTC),
            )

    def removed(self, name: str, removed: Offsets) -> None:
        """Adds values that Kafka had removed before a query read them, and prints them."""
        with self._lock:
            query = self._queries.setdefault(name, {"_id": name})
            query["removed_values"] = query.get("removed_values", 0) + sum(removed.values())
        print(warning(name, removed), flush=True)

    def ended(self, name: str, error: str | None) -> None:
        """Marks a query as not running.  error : None where it was stopped"""
        with self._lock:
            self._queries.setdefault(name, {"_id": name}).update(
                running=False, error=error, idle=None, lag_events=None, at=datetime.now(UTC)
            )

    def sized(self, values: dict[str, int]) -> None:
        """Sets the sizes of the fast lane's collections."""
        with self._lock:
            self._queries.setdefault(FAST_LANE, {"_id": FAST_LANE})["state"] = values

    def documents(self, now: float | None = None) -> list[dict[str, Any]]:
        """The documents of `status`, one a query."""
        now = time.time() if now is None else now
        with self._lock:
            documents = [dict(values) for values in self._queries.values()]
            waits = [wait for at, wait in self._waits if at > now - LATENCY_WINDOW_S]
            totals = dict(self._totals)
        for document in documents:
            if document.get("running"):  # also while it is idle and makes no progress
                document["at"] = datetime.fromtimestamp(now, UTC)
            if document["_id"] == FAST_LANE:
                document |= {
                    name: float(np.quantile(waits, share)) if waits else None for name, share in QUANTILES.items()
                }
                document |= {"latency_events": len(waits), "totals": totals}
        return documents

    def collect(self, now: float | None = None) -> Iterator[Metric]:
        """All values for Prometheus, without those that are missing."""
        documents = self.documents(now)
        for field, name, text in GAUGES:
            gauge = GaugeMetricFamily(f"overtone_{name}", text, labels=["query"])
            for document in documents:
                if (value := document.get(field)) is not None:
                    gauge.add_metric([document["_id"]], float(value))
            if gauge.samples:
                yield gauge
        for document in (each for each in documents if each["_id"] == FAST_LANE):
            latency = GaugeMetricFamily(
                "overtone_event_to_list_seconds",
                "From an event's arrival in Kafka to its list in MongoDB, last five minutes.",
                labels=["quantile"],
            )
            for field, share in QUANTILES.items():
                if document[field] is not None:
                    latency.add_metric([f"{share:g}"], document[field])
            if latency.samples:
                yield latency
            for field, total in document["totals"].items():
                yield CounterMetricFamily(f"overtone_{field}", COUNTERS[field], value=total)
            for field, size in document.get("state", {}).items():
                yield GaugeMetricFamily(f"overtone_state_{field}", "Size of a collection of the fast lane.", value=size)


DRIVER_METRICS = Metrics()


def start(spark: SparkSession, settings: Settings) -> None:
    """Listens to the queries of this driver, serves DRIVER_METRICS to Prometheus, and keeps `status` up to date."""
    spark.streams.addListener(_Listener(CheckpointLatency(settings.stream.checkpoints)))
    threading.Thread(target=_keep_status, args=(settings.mongo,), daemon=True, name="status").start()
    http_server.start(settings, [DRIVER_METRICS])


class _Listener(StreamingQueryListener):
    def __init__(self, checkpoint_latency: CheckpointLatency) -> None:
        self._names: dict[str, str] = {}
        self._checkpoint_latency = checkpoint_latency

    def onQueryStarted(self, event: QueryStartedEvent) -> None:
        name = self._names[str(event.id)] = event.name or str(event.id)
        DRIVER_METRICS.started(name)
        DRIVER_HEALTH.begins(name)

    def onQueryProgress(self, event: QueryProgressEvent) -> None:
        progress = event.progress
        name = progress.name or str(progress.id)
        DRIVER_METRICS.progressed(name, progress)
        DRIVER_HEALTH.works(name)
        self._checkpoint_latency.progressed(name, dict(progress.durationMs))

    def onQueryIdle(self, event: QueryIdleEvent) -> None:
        name = self._names.get(str(event.id), str(event.id))
        DRIVER_METRICS.idled(name)
        DRIVER_HEALTH.works(name)

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:
        error = root_cause(event.exception) if event.exception else None
        name = self._names.get(str(event.id), str(event.id))
        DRIVER_METRICS.ended(name, error)
        DRIVER_HEALTH.waits(name)


def _keep_status(mongo: Mongo) -> None:
    """Writes `status` every STATUS_INTERVAL_S, endlessly."""
    sized_at = 0.0
    while True:
        try:
            database = database_of(mongo)
            if time.monotonic() - sized_at > SIZES_INTERVAL_S:
                stats = {name: database.command("collStats", name) for name in ("profiles", "recommendations")}
                DRIVER_METRICS.sized(
                    {
                        "profiles": stats["profiles"]["count"],
                        "profile_bytes": stats["profiles"]["size"],
                        "lists": stats["recommendations"]["count"],
                        "list_bytes": stats["recommendations"]["size"],
                        "set_aside_tracks": database[SET_ASIDE_TRACKS].estimated_document_count(),
                        "set_aside": database[SET_ASIDE].count_documents({}),
                    }
                )
                sized_at = time.monotonic()
            for document in DRIVER_METRICS.documents():
                database.status.replace_one({"_id": document["_id"]}, document, upsert=True)
        except PyMongoError:
            pass  # MongoDB is away: tried again in the next round
        time.sleep(STATUS_INTERVAL_S)


def _offset_sum(offsets: Any) -> int:
    """The sum of all offsets in Spark's {topic: {partition: offset}}, as JSON or parsed; 0 for anything else."""
    try:
        by_topic = json.loads(offsets) if isinstance(offsets, str) else offsets
        return sum(int(offset) for partitions in by_topic.values() for offset in partitions.values())
    except (AttributeError, TypeError, ValueError):
        return 0


def _finite(value: Any, share: float) -> float | None:
    """value × share; None where that is no finite number."""
    number = float(value) * share if value is not None else float("nan")
    return number if np.isfinite(number) else None
