"""What the operator's page says of the queries: idle is not silent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ui.data.status import query_statuses

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
