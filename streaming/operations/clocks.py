"""Clocks of workers that are off, as certain as two orders of events make it.

A task begins after its micro-batch was planned, and has ended before its result is here. A host on whose clock it is otherwise
has one that is off by at least the difference. Nothing that is stored is dated by such a clock (`ServingContext.planned_at`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from streaming.serving.values import ClockReading

TOLERATED_S = 2.0
"""What clocks that are kept by NTP may differ by, with a margin."""


def least_offset_s(reading: ClockReading, planned_at: float, collected_at: float) -> float:
    """Seconds that a host's clock is ahead of the driver's at least, negative where it is behind; 0 where it may be right.

    planned_at, collected_at : when the micro-batch was planned, and its results were here, by the driver's clock
    """
    if reading.began_at < planned_at:
        return reading.began_at - planned_at
    return max(0.0, reading.ended_at - collected_at)


class ClockReports:
    """Says of each host once that its clock is off.  job : whose log it is"""

    def __init__(self, job: str) -> None:
        self._job = job
        self._reported_hosts: set[str] = set()

    def lines(self, readings: Iterable[ClockReading], planned_at: float, collected_at: float) -> Iterator[str]:
        """A line for each host that was not reported before.  planned_at, collected_at : as for `least_offset_s`"""
        for reading in readings:
            offset_s = least_offset_s(reading, planned_at, collected_at)
            if abs(offset_s) <= TOLERATED_S or reading.host in self._reported_hosts:
                continue
            self._reported_hosts.add(reading.host)
            yield (
                f"{self._job}: the clock of {reading.host} is at least {abs(offset_s):,.0f} s "
                f"{'ahead of' if offset_s > 0 else 'behind'} this driver's; set it right by NTP. What is written is dated by the "
                "driver's clock and nothing is lost, but a store on S3 may refuse a node whose clock is 15 minutes off"
            )
