"""What the queries do, to watch: Prometheus text on 127.0.0.1, and the last values in MongoDB's `status` for the player.

A StreamingQueryListener gives rates, batch times and lag; the fast lane adds how long its events waited for their lists.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import deque
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import numpy as np
from pymongo.errors import PyMongoError
from pyspark.sql.streaming.listener import (
    QueryIdleEvent,
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)

from streaming.serving.clients import database_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from conf.settings import Mongo, Settings
    from streaming.serving.microbatch import Outcome

RECENT_S = 300.0
"""Latencies are of the last five minutes."""
MOST = 20_000
STATUS_S = 2.0
SIZES_S = 20.0
FAST = "recommend"
_ERROR = re.compile(r"(?:Caused by: )?(?:[\w.]+\.)?\w*(?:Error|Exception|Invalid|Away|Overtaken)(?=:|$)")


class Metrics:
    """The last values of all queries of this driver. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queries: dict[str, dict[str, Any]] = {}
        self._waits: deque[tuple[float, float]] = deque(maxlen=MOST)
        self._batches: dict[str, deque[float]] = {}
        self._totals = {"events": 0, "applied": 0, "refused": 0, "lists": 0}

    def served(self, outcome: Outcome, model_version: str, now: float | None = None) -> None:
        """Notes what a micro-batch of the fast lane did."""
        now = time.time() if now is None else now
        with self._lock:
            for name in self._totals:
                self._totals[name] += getattr(outcome, name)
            self._waits.extend((now, wait) for wait in outcome.waits)
            self._queries.setdefault(FAST, {"_id": FAST})["model_version"] = model_version

    def progressed(self, name: str, progress: Any) -> None:
        """Notes a micro-batch's progress as Spark tells it."""
        took = float(dict(progress.durationMs).get("triggerExecution", progress.batchDuration))
        begun, ended, latest = (
            sum(map(_rows, (getattr(source, name) for source in progress.sources)))
            for name in ("startOffset", "endOffset", "latestOffset")
        )
        rows = ended - begun if begun else int(progress.numInputRows)
        # A batch that is read twice, by one job and then by another, counts its rows twice.
        share = rows / progress.numInputRows if progress.numInputRows else 1.0
        with self._lock:
            batches = self._batches.setdefault(name, deque(maxlen=200))
            batches.append(took)
            self._queries.setdefault(name, {"_id": name}).update(
                running=True,
                batch_id=int(progress.batchId),
                error=None,
                events_per_second=_finite(progress.inputRowsPerSecond, share),
                processed_per_second=_finite(progress.processedRowsPerSecond, share),
                events_in_batch=rows,
                batch_ms=took,
                batch_ms_p95=float(np.quantile(batches, 0.95)),
                durations_ms={key: int(value) for key, value in dict(progress.durationMs).items()},
                lag_events=max(0, latest - ended),
                at=datetime.now(UTC),
            )

    def ended(self, name: str, why: str | None) -> None:
        with self._lock:
            self._queries.setdefault(name, {"_id": name}).update(
                running=False, error=why, lag_events=None, at=datetime.now(UTC)
            )

    def sizes(self, values: dict[str, int]) -> None:
        with self._lock:
            self._queries.setdefault(FAST, {"_id": FAST})["state"] = values

    def documents(self, now: float | None = None) -> list[dict[str, Any]]:
        """One document a query, as kept in `status`."""
        now = time.time() if now is None else now
        with self._lock:
            documents = [dict(values) for values in self._queries.values()]
            waits = [wait for at, wait in self._waits if at > now - RECENT_S]
            totals = dict(self._totals)
        for document in documents:
            if document.get("running"):  # an idle query makes no progress and is well
                document["at"] = datetime.fromtimestamp(now, UTC)
            if document["_id"] == FAST:
                shares = {"p50_s": 0.5, "p95_s": 0.95, "p99_s": 0.99}
                document |= {
                    name: float(np.quantile(waits, share)) if waits else None for name, share in shares.items()
                }
                document |= {"latency_events": len(waits), "totals": totals}
        return documents

    def text(self, now: float | None = None) -> str:
        """All values as Prometheus reads them."""
        lines: list[str] = []

        def gauge(name: str, helps: str, values: list[tuple[str, Any]], kind: str = "gauge") -> None:
            known = [(labels, value) for labels, value in values if value is not None]
            if known:
                lines.extend([f"# HELP overtone_{name} {helps}", f"# TYPE overtone_{name} {kind}"])
                lines.extend(f"overtone_{name}{labels} {float(value):g}" for labels, value in known)

        documents = self.documents(now)
        for field, name, helps in _GAUGES:
            gauge(name, helps, [(f'{{query="{d["_id"]}"}}', d.get(field)) for d in documents])
        for fast in (document for document in documents if document["_id"] == FAST):
            shares = (("0.5", "p50_s"), ("0.95", "p95_s"), ("0.99", "p99_s"))
            gauge(
                "event_to_list_seconds",
                "From an event's arrival in Kafka to its list in MongoDB, last five minutes.",
                [(f'{{quantile="{share}"}}', fast[field]) for share, field in shares],
            )
            for field, value in fast["totals"].items():
                gauge(f"{field}_total", _TOTALS[field], [("", value)], "counter")
            for field, value in fast.get("state", {}).items():
                gauge(f"state_{field}", "Size of what is kept.", [("", value)])
        return "\n".join(lines) + "\n"


_GAUGES = (
    ("running", "query_running", "Whether the query runs."),
    ("events_per_second", "input_rows_per_second", "Rows that came in, a second."),
    ("processed_per_second", "processed_rows_per_second", "Rows that could be done, a second."),
    ("batch_ms", "batch_milliseconds", "Duration of the last micro-batch."),
    ("batch_ms_p95", "batch_milliseconds_p95", "Of the last 200 micro-batches."),
    ("lag_events", "lag_rows", "Rows in Kafka that were not read yet when the last micro-batch was."),
)
_TOTALS = {
    "events": "Values read since the driver started.",
    "applied": "Events counted in a taste since the driver started.",
    "refused": "Values that are no event, or of an unknown track.",
    "lists": "Lists written since the driver started.",
}

ALL = Metrics()
"""The metrics of this driver."""


def served(outcome: Outcome, model_version: str) -> None:
    ALL.served(outcome, model_version)


def start(spark: SparkSession, settings: Settings) -> None:
    """Listens to the queries of this session's driver, serves the text, and keeps `status` up to date."""
    spark.streams.addListener(_Listener())
    threading.Thread(target=_keep_status, args=(settings.mongo,), daemon=True, name="status").start()
    if port := settings.stream.metrics_port:
        try:
            server = ThreadingHTTPServer(("127.0.0.1", port), _Page)
        except OSError as error:
            print(
                f"metrics: port {port} of 127.0.0.1 cannot be used ({error.strerror}); set stream.metrics_port",
                flush=True,
            )
            return
        threading.Thread(target=server.serve_forever, daemon=True, name="metrics").start()


class _Listener(StreamingQueryListener):
    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def onQueryStarted(self, event: QueryStartedEvent) -> None:
        self._names[str(event.id)] = event.name or str(event.id)

    def onQueryProgress(self, event: QueryProgressEvent) -> None:
        progress = event.progress
        ALL.progressed(progress.name or str(progress.id), progress)

    def onQueryIdle(self, event: QueryIdleEvent) -> None:
        pass

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:
        why = cause(event.exception) if event.exception else None
        ALL.ended(self._names.get(str(event.id), str(event.id)), why)


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        is_there = self.path.split("?")[0] in ("/", "/metrics")
        body = ALL.text().encode() if is_there else b"see /metrics\n"
        self.send_response(200 if is_there else 404)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _keep_status(mongo: Mongo) -> None:
    sized = 0.0
    while True:
        try:
            database = database_of(mongo)
            if time.monotonic() - sized > SIZES_S:
                stats = {name: database.command("collStats", name) for name in ("profiles", "recommendations")}
                ALL.sizes(
                    {
                        "profiles": stats["profiles"]["count"],
                        "profile_bytes": stats["profiles"]["size"],
                        "lists": stats["recommendations"]["count"],
                        "list_bytes": stats["recommendations"]["size"],
                    }
                )
                sized = time.monotonic()
            for document in ALL.documents():
                database.status.replace_one({"_id": document["_id"]}, document, upsert=True)
        except PyMongoError:
            pass  # away: the next round tries again
        time.sleep(STATUS_S)


def cause(text: str) -> str:
    """The line of an exception's text that names the error behind all others: the last that begins with one's name."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if _ERROR.match(line)]
    return (telling or lines or ["no message"])[-1 if telling else 0][:300]


def _rows(offsets: Any) -> int:
    """How many rows lie before offsets as Spark tells them: {topic: {partition: offset}}."""
    try:
        told = json.loads(offsets) if isinstance(offsets, str) else offsets
        return sum(int(offset) for partitions in told.values() for offset in partitions.values())
    except (AttributeError, TypeError, ValueError):
        return 0


def _finite(value: Any, share: float = 1.0) -> float | None:
    number = float(value) * share if value is not None else float("nan")
    return number if np.isfinite(number) else None
