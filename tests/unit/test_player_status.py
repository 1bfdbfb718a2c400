"""What the operator's page says of the queries: idle is not silent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ui.data.lake import NO_REJECTIONS
from ui.data.status import SetAside, query_statuses
from ui.page.rendering import render

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Reports(list[dict[str, Any]]):
    """The collection `status`, and the database that has it."""

    @property
    def status(self) -> Reports:
        return self

    def find(self) -> Reports:
        return self

    def sort(self, *_: Any) -> list[dict[str, Any]]:  # type: ignore[override]
        return sorted(self, key=lambda document: str(document["_id"]))


@dataclass
class Queue:
    """The queue of events, as the page needs it."""

    connected: bool = True
    waiting: int = 0


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("report", "state", "since", "is_stale"),
    [
        ({"at": ago(0), "running": True, "idle": False, "triggered_at": ago(0)}, "running, updated", ago(0), False),
        ({"at": ago(0), "running": True, "idle": True, "triggered_at": ago(0.2)}, "idle, updated", ago(0), False),
        ({"at": ago(0), "running": True, "idle": True, "triggered_at": ago(20)}, "no trigger since", ago(20), True),
        ({"at": ago(0), "running": True, "idle": False, "triggered_at": ago(2)}, "running, updated", ago(0), False),
        ({"at": ago(20), "running": True, "idle": True, "triggered_at": ago(20)}, "no update since", ago(20), True),
        ({"at": ago(0), "running": False, "error": "lost its disk"}, "stopped", ago(0), True),
        ({"at": ago(0).replace(tzinfo=None)}, "running, updated", ago(0), False),  # as an earlier version wrote it
        ({"totals": {"lists": 3}}, "no report yet", None, True),
    ],
)
def test_a_query_is_silent_when_its_triggers_stop(
    report: dict[str, Any], state: str, since: datetime | None, is_stale: bool
) -> None:
    (status,) = query_statuses(Reports([{"_id": "ledger", **report}]), NOW)  # type: ignore[arg-type]
    assert (status.name, status.state, status.since, status.is_stale) == ("ledger", state, since, is_stale)


def test_values_that_kafka_removed_are_an_alarm_on_the_page() -> None:
    reports = Reports([{"_id": "ledger", "removed_values": 1234}, {"_id": "recommend", "removed_values": 0}])
    queries = query_statuses(reports, NOW)  # type: ignore[arg-type]
    page = render("status", queries=queries, headlines=[], queue=Queue(), set_aside=SetAside(0), model=None,
                  results=None, lake_error="", rejected_tracks=NO_REJECTIONS, rejected_events=NO_REJECTIONS)  # fmt: skip
    assert page.count('role="alert"') == 1
    assert "Kafka had removed 1,234 events before ledger read them" in page
