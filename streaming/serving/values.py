"""What serving takes and gives: values of the listening topic, the counts of a micro-batch, readings of the workers' clocks."""

from __future__ import annotations

from dataclasses import dataclass

from streaming.events import Event


@dataclass(frozen=True)
class RawValue:
    """A value of the listening topic, its place, and the time of its arrival in milliseconds since 1970."""

    value: bytes | None
    partition: int
    offset: int
    received_ms: int


@dataclass(frozen=True)
class ParsedValue:
    """A value that is a valid event."""

    value: RawValue
    event: Event


@dataclass(frozen=True)
class ClockReading:
    """When a task began to serve and had served, by the clock of its host, in seconds since 1970."""

    host: str
    began_at: float
    ended_at: float


@dataclass(frozen=True)
class Outcome:
    """Counts of a micro-batch.

    events : values read
    applied : events counted in profiles
    refused : values that are no valid event, or of an unknown track or a deleted listener
    lists : lists written or kept
    waits : seconds from arrival in Kafka to the written list, one for each event counted
    set_aside : listeners who could not be served, and were set aside with their events
    """

    events: int = 0
    applied: int = 0
    refused: int = 0
    lists: int = 0
    waits: tuple[float, ...] = ()
    set_aside: int = 0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.events + other.events,
            self.applied + other.applied,
            self.refused + other.refused,
            self.lists + other.lists,
            self.waits + other.waits,
            self.set_aside + other.set_aside,
        )
