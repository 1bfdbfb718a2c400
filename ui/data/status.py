"""The operator's view of the service: last reports of the streaming queries, the latest model and its report card."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pymongo.database import Database

from batch import registry
from batch.storage import objects
from streaming.documents import SET_ASIDE
from ui.data.mongo import Document, unavailable_on_error

STALE_AFTER_S = 60.0
"""A query without a report for this long counts as stopped."""
SILENT_AFTER_S = 180.0
"""A running query whose last trigger was so long ago hangs; one without events still has triggers."""
MAX_FIGURE_LENGTH = 200
MAX_SET_ASIDE_LISTENERS = 20
"""Listeners who cannot be served that the page lists."""


@dataclass(frozen=True)
class QueryStatus:
    """The last report of a streaming query.

    state : in words, followed on the page by `since`
    since : time of the report, of the last trigger, or of the end; None before the first report
    is_stale : whether the operator should look: it has stopped, hangs, or does not report
    figures : (name, value) as shown; the names of nested documents are joined by blanks
    report : the figures as the query wrote them
    """

    name: str
    state: str
    since: datetime | None
    is_stale: bool
    figures: tuple[tuple[str, str], ...]
    report: Document = field(default_factory=dict)


@dataclass(frozen=True)
class SetAside:
    """count : listeners who cannot be served;  latest : listener, reason, since and events_waiting of some"""

    count: int
    latest: tuple[Document, ...] = ()


@dataclass(frozen=True)
class Headline:
    """A figure at the top of the page. note : its unit or scope"""

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class ModelCard:
    """The latest model.

    figures : of its manifest, as shown
    report : location of its report card, None before it is evaluated
    results : content of the report card's JSON
    """

    version: str
    figures: tuple[tuple[str, str], ...]
    report: str | None = None
    results: dict[str, Any] = field(default_factory=dict)


def query_statuses(db: Database[Document], now: datetime) -> list[QueryStatus]:
    """The last reports of the streaming queries, from the collection `status`, by name. Raises LibraryUnavailable."""
    with unavailable_on_error():
        documents = list(db.status.find().sort("_id", 1))
    return [_read_status(document, now) for document in documents]


def headlines(queries: list[QueryStatus], model: ModelCard | None, queued_events: int) -> list[Headline]:
    """The figures that an operator looks at first. queued_events : events that the player has not sent to Kafka yet"""
    report_by_query = {query.name: query.report for query in queries}
    fast_lane = report_by_query.get("recommend", {})
    totals = fast_lane.get("totals") or {}
    lags = [_number(report.get("lag_events")) for report in report_by_query.values() if "lag_events" in report]
    latencies = [_seconds(fast_lane.get(name)) for name in ("p50_s", "p95_s")]
    tracks = dict(model.figures).get("tracks") if model else None
    return [
        Headline("Event-to-list latency, p50 · p95", " · ".join(latencies), "last five minutes"),
        Headline("Events per second", _number(fast_lane.get("events_per_second")), "in the last micro-batch"),
        Headline("Consumer lag", " · ".join(lags) or "–", f"events in Kafka; {queued_events:,} queued in the player"),
        Headline("Lists generated", _number(totals.get("lists")), f"from {_number(totals.get('applied'))} events"),
        Headline("Tracks in the model", tracks or "–", model.version if model else "no model yet"),
    ]


def set_aside_listeners(db: Database[Document]) -> SetAside:
    """Listeners who cannot be served, those first who were set aside last. Raises LibraryUnavailable."""
    with unavailable_on_error():
        count = db[SET_ASIDE].count_documents({})
        documents = list(db[SET_ASIDE].find().sort("since", -1).limit(MAX_SET_ASIDE_LISTENERS)) if count else []
    rows = tuple(
        {
            "listener": str(document["_id"]),
            "reason": str(document.get("reason") or ""),
            "since": _time(document.get("since")),
            "events_waiting": document.get("events"),
        }
        for document in documents
    )
    return SetAside(count, rows)


def model_card(root: str) -> ModelCard | None:
    """The latest model under `root`; None before there is one."""
    try:
        model = registry.latest(root)
    except (registry.ModelNotFound, registry.ModelUnusable):
        return None
    figures = {
        name: value
        for name, value in model.manifest.items()
        if isinstance(value, (int, float, str)) and name not in ("format", "fingerprint")
    }
    results: dict[str, Any] = {}
    try:
        content = json.loads(objects.read_text(model.part("report/report.json")))
        results = content if isinstance(content, dict) else {}
    except (OSError, ValueError):
        pass  # not evaluated yet
    page = model.part("report/report.html")
    return ModelCard(model.version, tuple(flattened(figures)), page if objects.exists(page) else None, results)


def flattened(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """(name, value) of each figure as shown; a nested document's name comes before its figures' names."""
    figures: list[tuple[str, str]] = []
    for name, value in values.items():
        label = f"{prefix} {name}".strip().replace("_", " ")
        if isinstance(value, dict):
            figures += flattened(value, label)
        elif isinstance(value, bool) or value is None:
            figures.append((label, {True: "yes", False: "no", None: "–"}[value]))
        elif isinstance(value, (int, float)):
            is_small = isinstance(value, float) and abs(value) < 1000
            figures.append((label, f"{value:,.3g}" if is_small else f"{value:,.0f}"))
        elif isinstance(value, datetime):
            figures.append((label, f"{value:%Y-%m-%d %H:%M:%S}"))
        elif isinstance(value, str):
            figures.append((label, value[:MAX_FIGURE_LENGTH]))
    return figures


def _read_status(document: Document, now: datetime) -> QueryStatus:
    updated_at, triggered_at = _time(document.get("at")), _time(document.get("triggered_at"))
    report = {name: value for name, value in document.items() if name not in ("_id", "at", "triggered_at")}
    state, since, is_stale = "running, updated", updated_at, False
    if updated_at is None:
        state, is_stale = "no report yet", True
    elif report.get("running") is False:
        state, is_stale = "stopped", True
    elif (now - updated_at).total_seconds() > STALE_AFTER_S:
        state, is_stale = "no update since", True
    elif triggered_at is not None and (now - triggered_at).total_seconds() > SILENT_AFTER_S:
        state, since, is_stale = "no trigger since", triggered_at, True
    elif report.get("idle"):
        state = "idle, updated"
    return QueryStatus(str(document["_id"]), state, since, is_stale, tuple(flattened(report)), report)


def _time(value: Any) -> datetime | None:
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value


def _seconds(value: Any) -> str:
    return f"{value:.2f}\N{NO-BREAK SPACE}s" if isinstance(value, (int, float)) else "–"


def _number(value: Any) -> str:
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.1f}"
    return f"{value:,.0f}" if isinstance(value, (int, float)) else "–"
