"""Clocks of workers that are off: what two orders of events prove of them, and what is said of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from streaming.operations.clocks import ClockReports, least_offset_s
from streaming.serving.in_workers import _true_waits
from streaming.serving.values import ClockReading

PLANNED_AT = datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()
COLLECTED_AT = PLANNED_AT + 3.0


def reading(host: str, ahead_s: float) -> ClockReading:
    """Of a task that ran from one second to two seconds after the planning."""
    return ClockReading(host, PLANNED_AT + 1.0 + ahead_s, PLANNED_AT + 2.0 + ahead_s)


@pytest.mark.parametrize(
    ("ahead_s", "proven_s"),
    [
        (0.0, 0.0),
        (1.0, 0.0),  # the task may have ended as its result was here
        (-1.0, 0.0),  # the task may have begun as it was planned
        (3600.0, 3599.0),
        (-3600.0, -3599.0),
        (-86_400.0 * 365 * 56, -86_400.0 * 365 * 56 + 1.0),  # a clock that begins at 1970
    ],
)
def test_no_more_is_said_of_a_clock_than_the_order_proves(ahead_s: float, proven_s: float) -> None:
    assert least_offset_s(reading("node-2", ahead_s), PLANNED_AT, COLLECTED_AT) == pytest.approx(proven_s)


def test_each_host_is_reported_once() -> None:
    reports = ClockReports("recommend")
    readings = [reading("right", 0.0), reading("fast", 90.0), reading("slow", -90.0), reading("fast", 90.0)]
    lines = list(reports.lines(readings, PLANNED_AT, COLLECTED_AT))
    assert [line.partition(";")[0] for line in lines] == [
        "recommend: the clock of fast is at least 89 s ahead of this driver's",
        "recommend: the clock of slow is at least 89 s behind this driver's",
    ]
    assert list(reports.lines([*readings, reading("later", 2.5)], PLANNED_AT, COLLECTED_AT)) == []
    assert len(list(reports.lines([reading("later", 4.0)], PLANNED_AT, COLLECTED_AT))) == 1


def test_waits_are_those_of_the_drivers_clock_where_a_worker_is_ahead() -> None:
    assert _true_waits([90.2, 91.0], COLLECTED_AT + 89.0, COLLECTED_AT) == pytest.approx([1.2, 2.0])
    assert _true_waits([0.2], COLLECTED_AT - 1.0, COLLECTED_AT) == [0.2]
