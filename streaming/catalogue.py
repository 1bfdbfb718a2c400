"""Job: tracks of the topic `track-features` are added to the latest model's index, or taken out, while it is in use.

    spark-submit.sh streaming/catalogue.py

A model version says itself how far of the topic it has (`catalogue.json` in its folder), so a new version starts at the
beginning of the topic. A track that the index has with the same features is passed over. Starts no Spark.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from batch import registry
from batch.index.lsh import Index
from batch.index.projection import FeaturesUnfit
from batch.index.updates import append, remove
from conf.settings import Settings, settings
from streaming.operations import follower
from streaming.source import topics

if TYPE_CHECKING:
    from kafka import KafkaConsumer

FILE = "catalogue.json"
POLL_MS = 500
CHUNK = 500


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="streaming/catalogue.py", description="Grow the index while it is in use.")
    parser.add_argument("--until-caught-up", action="store_true", help="end when all tracks so far are in the index")
    given = parser.parse_args(arguments)
    try:
        chosen = settings()
    except ValueError as error:
        print(f"catalogue: {error}", file=sys.stderr)
        return 2
    try:
        registry.latest(chosen.models.root)
        topics.ensure(chosen.kafka)
        if given.until_caught_up:
            print(Keeper(chosen).run(until_caught_up=True), flush=True)
        else:
            keep(chosen, threading.Event())
    except KeyboardInterrupt:
        pass
    except (OSError, ValueError) as error:
        print(f"catalogue: {error}", file=sys.stderr)
        return 1
    return 0


def keep(settings: Settings, stopping: threading.Event) -> None:
    """Keeps the index up to date until `stopping`; while Kafka or a model is away it waits."""
    from kafka.errors import KafkaError

    follower.keep(
        "catalogue",
        lambda stopping: Keeper(settings).run(stopping=stopping),
        (OSError, KafkaError, registry.ModelUnusable),
        str,
        stopping,
    )


@dataclass
class Grown:
    added: int = 0
    removed: int = 0
    unchanged: int = 0
    unfit: int = 0

    def __str__(self) -> str:
        return f"{self.added:,} added, {self.removed:,} removed, {self.unchanged:,} unchanged, {self.unfit:,} unfit"


class Keeper:
    """Reads the topic for the model version that counts, until another one does."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.grown = Grown()

    def run(self, until_caught_up: bool = False, stopping: threading.Event | None = None) -> Grown:
        from kafka import KafkaConsumer

        stopping = stopping or threading.Event()
        kafka = self.settings.kafka
        source = topics.ensure(kafka)[kafka.features_topic]
        consumer = KafkaConsumer(
            bootstrap_servers=kafka.bootstrap_servers,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=CHUNK,
        )
        try:
            while not stopping.is_set():
                model = registry.latest(self.settings.models.root)
                if self._follow(consumer, model, source, until_caught_up, stopping):
                    break
        finally:
            consumer.close()
        return self.grown

    def _follow(
        self, consumer: KafkaConsumer, model: registry.Model, source: str, once: bool, stopping: threading.Event
    ) -> bool:
        """Reads on while `model` is the latest; true when caught up, where that is asked for."""
        from kafka import TopicPartition

        topic = self.settings.kafka.features_topic
        parts = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(parts)
        place = read_place(model.folder, source)
        for part in parts:
            if part.partition in place:
                consumer.seek(part, place[part.partition])
            else:
                consumer.seek_to_beginning(part)
        ends = consumer.end_offsets(parts)
        while not stopping.is_set():
            polled = consumer.poll(timeout_ms=POLL_MS)
            messages = [(record.key, record.value) for records in polled.values() for record in records]
            if messages:
                self._grow(model, messages)
                write_place(model.folder, source, {part.partition: consumer.position(part) for part in parts})
            if once and all(consumer.position(part) >= ends[part] for part in parts):
                return True
            if registry.latest(self.settings.models.root).version != model.version:
                return False
        return True

    def _grow(self, model: registry.Model, messages: list[tuple[bytes | None, bytes | None]]) -> None:
        latest = self._latest(messages)
        folder = model.folder / "index"
        index = Index.open(folder)
        wanted = str(model.manifest.get("extractor_version") or "")
        new = {
            track_id: found
            for track_id, found in latest.items()
            if found is not None and self._is_new(track_id, found, index, wanted)
        }
        if new:
            artists = [found.get("artist") for found in new.values()]
            append(folder, list(new), np.stack([found["features"] for found in new.values()]), artists)
            self.grown.added += len(new)
        gone = [track_id for track_id, found in latest.items() if found is None]
        present = [track_id for track_id, row in zip(gone, index.rows_of(gone).tolist(), strict=True) if row >= 0]
        if present:
            remove(folder, present)
            self.grown.removed += len(present)

    def _latest(self, messages: list[tuple[bytes | None, bytes | None]]) -> dict[str, dict[str, Any] | None]:
        """{track id: what the last of its messages says, None for gone}."""
        latest: dict[str, dict[str, Any] | None] = {}
        for key, value in messages:
            track_id = (key or b"").decode("utf-8", "replace")
            try:
                latest[track_id] = parsed(value)
            except ValueError as error:
                self._leave_out(track_id, error)
        return latest

    def _is_new(self, track_id: str, found: dict[str, Any], index: Index, wanted: str) -> bool:
        """Whether the index lacks the track, or has it with other features or another artist."""
        try:
            if wanted and found.get("extractor_version") not in (None, wanted):
                raise FeaturesUnfit(f"features of {found['extractor_version']}, the model was trained on {wanted}")
            point = index.space.points(found["features"][None, :])[0]
        except FeaturesUnfit as error:
            self._leave_out(track_id, error)
            return False
        (row,) = index.rows_of([track_id]).tolist()
        is_known = row >= 0 and np.allclose(index.vectors[row], point, atol=1e-4)
        names_are_known = len(index.names) > 0  # not in format 1 as first written
        if is_known and (not names_are_known or index.artist_of(row) == (found.get("artist") or "").casefold()):
            self.grown.unchanged += 1
            return False
        return True

    def _leave_out(self, track_id: str, error: ValueError) -> None:
        self.grown.unfit += 1
        print(f"catalogue: {track_id!r} left out: {error}", flush=True)


def parsed(value: bytes | None) -> dict[str, Any] | None:
    """What a message says of a track; None for one that is gone. Raises ValueError for what is no track."""
    if value is None:
        return None
    try:
        fields = json.loads(value)
        numbers = np.asarray(fields["features"], dtype=np.float32)
        if not isinstance(fields.get("artist"), str | None):
            raise ValueError(f"artist is a {type(fields['artist']).__name__}, expected a string")
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"no JSON object with features: {error}") from error
    if numbers.ndim != 1 or not len(numbers):
        raise ValueError(f"features of shape {numbers.shape}, expected one number after another")
    return {**fields, "features": numbers}


def read_place(model: Path, source: str) -> dict[int, int]:
    """{partition: next offset} of the topic, as far as the model's index has it."""
    try:
        places = json.loads((model / FILE).read_text())
    except (OSError, ValueError):
        return {}
    return {int(partition): int(offset) for partition, offset in places.get(source, {}).items()}


def write_place(model: Path, source: str, place: dict[int, int]) -> None:
    part = model / f".{FILE}.part"
    part.write_text(json.dumps({source: place}))
    os.replace(part, model / FILE)


if __name__ == "__main__":
    sys.exit(main())
