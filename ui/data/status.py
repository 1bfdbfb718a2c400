"""The service as its operator sees it: what the queries last said of themselves, the model and its report card."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pymongo.database import Database
from pymongo.errors import PyMongoError

from batch import registry
from ui.data.library import Document, LibraryUnavailable

STALE_S = 60.0
"""A query that has said nothing for so long is taken for stopped."""


@dataclass(frozen=True)
class Query:
    """The last words of a streaming query. figures : (name, value), nested names with a blank between;  said : as written"""

    name: str
    at: datetime | None
    is_stale: bool
    figures: tuple[tuple[str, str], ...]
    said: Document = field(default_factory=dict)


@dataclass(frozen=True)
class Headline:
    """A figure that is looked at first. note : what it is of"""

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class ModelCard:
    """version : of the model that counts;  figures : of its manifest;  report : the file of its report card, if written"""

    version: str
    figures: tuple[tuple[str, str], ...]
    report: Path | None = None
    results: dict[str, Any] = field(default_factory=dict)


def queries(db: Database[Document], now: datetime) -> list[Query]:
    """What the streaming queries wrote into `status`, by name. Raises LibraryUnavailable."""
    try:
        found = list(db.status.find().sort("_id", 1))
    except PyMongoError as error:
        raise LibraryUnavailable(f"MongoDB does not answer ({type(error).__name__})") from error
    said = []
    for document in found:
        at = document.get("at")
        at = at.replace(tzinfo=UTC) if isinstance(at, datetime) and at.tzinfo is None else at
        at = at if isinstance(at, datetime) else None
        figures = {name: value for name, value in document.items() if name not in ("_id", "at")}
        is_stale = at is None or (now - at).total_seconds() > STALE_S
        said.append(Query(str(document["_id"]), at, is_stale, tuple(flat(figures)), figures))
    return said


def headlines(queries: list[Query], model: ModelCard | None, waiting: int) -> list[Headline]:
    """What an operator asks first. waiting : events that the player has not been able to send"""
    said = {query.name: query.said for query in queries}
    fast, totals = said.get("recommend", {}), said.get("recommend", {}).get("totals") or {}
    lag = [_number(each.get("lag_events")) for each in said.values() if "lag_events" in each]
    waits = [_seconds(fast.get(name)) for name in ("p50_s", "p95_s")]
    tracks = dict(model.figures).get("tracks") if model else None
    return [
        Headline("Event to list, p50 · p95", " · ".join(waits), "last five minutes"),
        Headline("Events a second", _number(fast.get("events_per_second")), "into the last micro-batch"),
        Headline("Not read yet", " · ".join(lag) or "–", f"rows in Kafka; {waiting:,} events wait in the player"),
        Headline("Lists made", _number(totals.get("lists")), f"of {_number(totals.get('applied'))} events counted"),
        Headline("Tracks in the model", tracks or "–", model.version if model else "no model yet"),
    ]


def _seconds(value: Any) -> str:
    return f"{value:.2f} s" if isinstance(value, (int, float)) else "–"


def _number(value: Any) -> str:
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.1f}"
    return f"{value:,.0f}" if isinstance(value, (int, float)) else "–"


def model_card(root: str) -> ModelCard | None:
    """The model that counts; None before there is one."""
    try:
        model = registry.latest(root)
    except (registry.ModelNotFound, registry.ModelUnusable):
        return None
    figures = {
        name: value
        for name, value in model.manifest.items()
        if isinstance(value, (int, float, str)) and name not in ("format", "fingerprint")
    }
    folder = model.folder / "report"
    results: dict[str, Any] = {}
    try:
        read = json.loads((folder / "report.json").read_text())
        results = read if isinstance(read, dict) else {}
    except (OSError, ValueError):
        pass  # not evaluated yet
    page = folder / "report.html"
    return ModelCard(model.version, tuple(flat(figures)), page if page.is_file() else None, results)


def flat(values: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Figures by name; those of nested documents carry both names."""
    told: list[tuple[str, str]] = []
    for name, value in values.items():
        called = f"{before} {name}".strip().replace("_", " ")
        if isinstance(value, dict):
            told += flat(value, called)
        elif isinstance(value, bool) or value is None:
            told.append((called, {True: "yes", False: "no", None: "–"}[value]))
        elif isinstance(value, (int, float)):
            told.append(
                (called, f"{value:,.3g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:,.0f}")
            )
        elif isinstance(value, datetime):
            told.append((called, f"{value:%Y-%m-%d %H:%M:%S}"))
        elif isinstance(value, str):
            told.append((called, str(value)[:200]))
    return told
