"""The offsets of a query's micro-batches: how many values each has, and which ones Kafka had removed before they were read.

They are removed where Kafka's retention is shorter than the query's lag. Spark goes on after them (`failOnDataLoss` is false, or
the query would never start again) and says so in its log alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from batch.storage import objects

if TYPE_CHECKING:
    from kafka import KafkaConsumer

    from conf.settings import Kafka

ANSWER_TIMEOUT_MS = 10_000
Offsets = dict[tuple[str, int], int]
"""{(topic, partition): offset}"""


class BatchOffsets:
    """Where the micro-batches of a query begin and end, by what Spark writes to the checkpoint before each.

    checkpoint : the query's checkpoint folder as a URI
    """

    def __init__(self, kafka: Kafka, checkpoint: str) -> None:
        self._kafka = kafka
        self._offsets = f"{checkpoint}/offsets"
        self._last: tuple[int, Offsets, Offsets] | None = None
        """(number, begins, ends) of the last micro-batch"""
        self._consumer: KafkaConsumer | None = None

    def most_values(self, batch_id: int) -> int | None:
        """How many values the micro-batch has at most; None where Spark's log has no offsets of it.

        There are fewer where transactions took offsets, Kafka removed values, or the begin is not known and counts as 0.
        """
        begins, ends = self._begins_and_ends(batch_id)
        return sum(max(0, end - begins.get(place, 0)) for place, end in ends.items()) if ends else None

    def removed(self, batch_id: int, first: Offsets | None = None) -> Offsets:
        """How many values each partition of the micro-batch lacks at its begin, without partitions that lack none.

        first : `first_offsets` of the micro-batch; None: not known, Kafka is asked, which costs some milliseconds
        Empty where the begin is not known: in a query's first micro-batch, or where Kafka does not answer.
        """
        begins, ends = self._begins_and_ends(batch_id)
        ranges = {place: (begins[place], end) for place, end in ends.items() if begins.get(place, end) < end}
        # Offsets that transactions take are no values either, so a gap alone does not say that values were removed.
        doubtful = [place for place, (begin, _) in ranges.items() if (first or {}).get(place) != begin]
        kept_from = self._earliest(doubtful) if doubtful else {}
        removed = {place: min(offset, ranges[place][1]) - ranges[place][0] for place, offset in kept_from.items()}
        return {place: count for place, count in removed.items() if count > 0}

    def _begins_and_ends(self, batch_id: int) -> tuple[Offsets, Offsets]:
        """Offsets at the begin and the end of a micro-batch; those of the last one asked for are kept."""
        if self._last is None or self._last[0] != batch_id:
            follows = self._last is not None and self._last[0] == batch_id - 1
            begins = self._last[2] if self._last is not None and follows else self._ends(batch_id - 1)
            self._last = (batch_id, begins, self._ends(batch_id))
        return self._last[1:]

    def _ends(self, batch_id: int) -> Offsets:
        """The ends of a micro-batch, by Spark's log of offsets; empty where it has none."""
        try:
            lines = objects.read_text(f"{self._offsets}/{batch_id}").splitlines()
            sources = [json.loads(line) for line in lines if line.startswith("{")]
        except (OSError, ValueError):
            return {}
        return {
            (topic, int(partition)): offset
            for source in sources
            for topic, partitions in source.items()
            if isinstance(partitions, dict)
            for partition, offset in partitions.items()
            if partition.isdecimal() and isinstance(offset, int)
        }

    def _earliest(self, places: list[tuple[str, int]]) -> Offsets:
        """The earliest offsets that Kafka still has; empty where it does not answer."""
        from kafka import KafkaConsumer, TopicPartition
        from kafka.errors import KafkaError

        try:
            if self._consumer is None:
                self._consumer = KafkaConsumer(**self._kafka.client_options())
            earliest: dict[Any, int] = self._consumer.beginning_offsets(
                [TopicPartition(*place) for place in places], timeout_ms=ANSWER_TIMEOUT_MS
            )
        except (KafkaError, OSError):
            self._consumer = None
            return {}
        return {(place.topic, place.partition): offset for place, offset in earliest.items()}


def first_offsets(places: Iterable[tuple[str, int, int]]) -> Offsets:
    """places : (topic, partition, offset) of a micro-batch's values"""
    first: Offsets = {}
    for topic, partition, offset in places:
        first[topic, partition] = min(offset, first.get((topic, partition), offset))
    return first


def warning(query: str, removed: Offsets) -> str:
    """The line to print of what a query could not read."""
    places = ", ".join(f"{count:,} of {topic}/{partition}" for (topic, partition), count in sorted(removed.items()))
    return (
        f"{query}: Kafka had removed {sum(removed.values()):,} values before they were read ({places}): they are lost to it. "
        "Raise the topic's retention.ms, or run the query more often than that"
    )
