"""Job: adds the tracks of the topic `track-features` to the latest model's index, and removes them, while it is in use.

    spark-submit.sh streaming/catalogue.py

The offsets that a model version's index includes are in its folder (`catalogue.json`), so a new version starts at the beginning
of the topic. A track that the index has with the same features, artist and title is skipped. An index of vectors alone leaves
embeddings out; a track without an embedding is not added to an index of both. Which recording an added track is of
(`batch.index.recordings`) is also written to MongoDB's tracks. Starts no Spark.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pymongo.errors import PyMongoError

from batch import job, mongo, registry
from batch.audio.features import split_version
from batch.ear.graph import N_EMBEDDING
from batch.index.lsh import Index
from batch.index.projection import FeaturesUnfit, Rows
from batch.index.recordings import recording_ids, with_copies
from batch.index.updates import append, remove
from batch.library.labels import artist_key
from batch.library.titles import title_keys
from batch.model import blocks
from batch.storage import lease, objects
from batch.storage.locations import child
from batch.versions.remote_index import local_folder, updating
from batch.words.tag_percentiles import read_words
from conf.settings import Settings
from streaming.events import MAX_ID_LENGTH, identifier_problem
from streaming.operations import http_server, supervisor
from streaming.operations.health import DRIVER_HEALTH
from streaming.source import topics
from streaming.track_message import parse_track

if TYPE_CHECKING:
    from kafka import KafkaConsumer
    from pymongo.collection import Collection

NAME = "catalogue"
OFFSETS_FILE = "catalogue.json"
"""{"cluster id/topic id": {partition: next offset}}"""
POLL_TIMEOUT_MS = 500
CHUNK_MESSAGES = 500
SAME_FEATURES_TOLERANCE = 1e-4


def main(arguments: Sequence[str] | None = None) -> int:
    return job.run(
        "streaming/catalogue.py",
        "Update the index while it is in use.",
        work,
        arguments,
        lambda parser: parser.add_argument(
            "--until-caught-up", action="store_true", help="end when all tracks so far are in the index"
        ),
    )


def work(settings: Settings, options: argparse.Namespace) -> str | None:
    """Runs until it is interrupted, or until it has caught up; returns the summary then."""
    try:
        registry.latest(settings.models.root)
        topics.ensure(settings.kafka)
        if options.until_caught_up:
            return str(IndexUpdater(settings).run(until_caught_up=True))
        http_server.start(settings)
        run_until_stopped(settings, threading.Event())
    except KeyboardInterrupt:
        pass
    return None


def run_until_stopped(settings: Settings, stopping: threading.Event) -> None:
    """Updates the index until `stopping` is set; waits while there is no Kafka or no model."""
    from kafka.errors import KafkaError

    supervisor.run_until_stopped(
        NAME,
        lambda stopping: IndexUpdater(settings).run(stopping=stopping),
        (OSError, KafkaError, registry.ModelUnusable, lease.HeldByAnother),
        str,
        stopping,
    )


@dataclass
class Counts:
    """Messages by what was done with them."""

    added: int = 0
    removed: int = 0
    unchanged: int = 0
    unfit: int = 0

    def __str__(self) -> str:
        return f"{self.added:,} added, {self.removed:,} removed, {self.unchanged:,} unchanged, {self.unfit:,} unfit"


class IndexUpdater:
    """Reads the topic into the index of the latest model version, and of a later one as soon as there is one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.counts = Counts()

    def run(self, until_caught_up: bool = False, stopping: threading.Event | None = None) -> Counts:
        """Updates until `stopping` is set, or until all messages so far are in the index; returns what was done."""
        from kafka import KafkaConsumer

        stopping = stopping or threading.Event()
        kafka = self.settings.kafka
        source = topics.ensure(kafka)[kafka.features_topic]
        consumer = KafkaConsumer(
            **kafka.client_options(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_poll_records=CHUNK_MESSAGES,
        )
        try:
            with lease.held(self.settings.models.root, NAME):
                while not stopping.is_set():
                    model = registry.latest(self.settings.models.root)
                    if self._follow(consumer, model, source, until_caught_up, stopping):
                        break
        finally:
            consumer.close()
        return self.counts

    def _follow(
        self,
        consumer: KafkaConsumer,
        model: registry.Model,
        source: str,
        until_caught_up: bool,
        stopping: threading.Event,
    ) -> bool:
        """Reads while `model` is the latest version; whether it ended for another reason.

        source : the topic's "cluster id/topic id"
        """
        from kafka import TopicPartition

        topic = self.settings.kafka.features_topic
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(partitions)
        offsets = read_offsets(model.location, source)
        for partition in partitions:
            if partition.partition in offsets:
                consumer.seek(partition, offsets[partition.partition])
            else:
                consumer.seek_to_beginning(partition)
        ends = consumer.end_offsets(partitions)
        self._publish_appended(model)
        while not stopping.is_set():
            polled = consumer.poll(timeout_ms=POLL_TIMEOUT_MS)
            messages = [(record.key, record.value) for records in polled.values() for record in records]
            if messages:
                self._update(model, messages)
                positions = {partition.partition: consumer.position(partition) for partition in partitions}
                write_offsets(model.location, source, positions)
            DRIVER_HEALTH.works(NAME)
            if until_caught_up and all(consumer.position(partition) >= ends[partition] for partition in partitions):
                return True
            if registry.latest(self.settings.models.root).version != model.version:
                return False
        return True

    def _update(self, model: registry.Model, messages: list[tuple[bytes | None, bytes | None]]) -> None:
        """Adds and removes tracks by the messages' (key, value)."""
        latest = self._latest(messages)
        index = Index.open(local_folder(model.index_place))
        extractor = str(model.manifest.get("extractor_version") or "")
        new = {
            track_id: track
            for track_id, track in latest.items()
            if track is not None and self._is_new(track_id, track, index, extractor)
        }
        removed = [track_id for track_id, track in latest.items() if track is None]
        removed = [track_id for track_id, row in zip(removed, index.rows_of(removed), strict=True) if row >= 0]
        former_copies = self._copies(index, [*new, *removed])
        if not new and not removed:
            return
        with updating(model.index_place) as folder:
            if new:
                _append(folder, new, len(index.projection.mean))
            if removed:
                remove(folder, removed)
        self.counts.added += len(new)
        self.counts.removed += len(removed)
        self._publish_recordings(Index.open(local_folder(model.index_place)), sorted({*new, *former_copies}))

    def _copies(self, index: Index, ids: list[str]) -> list[str]:
        """Ids of the tracks that are one recording with these, which a change of these may part."""
        rows = index.rows_of(ids)
        if index.recordings is None:
            return []
        return [str(track_id) for track_id in index.ids[with_copies(index, rows[rows >= 0])]]

    def _publish_appended(self, model: registry.Model) -> None:
        """Writes the recordings of all appended tracks: an earlier run may have ended before it did."""
        index = Index.open(local_folder(model.index_place))
        trained = index.tables.rows.shape[1]
        self._publish_recordings(
            index, [str(track_id) for track_id in index.ids[index.present[index.present >= trained]]]
        )

    def _publish_recordings(self, index: Index, ids: list[str]) -> None:
        """Writes `recording` of these tracks and of their copies to MongoDB; where it is away, the next start does."""
        rows = index.rows_of(ids)
        rows = rows[rows >= 0]
        if not len(rows):
            return
        try:
            with mongo.client(self.settings.mongo) as client:
                set_recordings(client[self.settings.mongo.database].tracks, index, rows)
        except (mongo.MongoAway, PyMongoError) as error:
            reason = type(error).__name__  # the message may repeat the URI, which holds a password
            print(
                f"catalogue: recordings of {len(ids):,} changed tracks not written to MongoDB ({reason}); the next start does",
                flush=True,
            )

    def _latest(self, messages: list[tuple[bytes | None, bytes | None]]) -> dict[str, dict[str, Any] | None]:
        """{track id: the track of its last valid message, None for a removal}."""
        latest: dict[str, dict[str, Any] | None] = {}
        for key, value in messages:
            track_id = (key or b"").decode("utf-8", "replace")
            try:
                if (problem := identifier_problem(track_id)) is not None:
                    raise ValueError(f"the key {problem}")
                latest[track_id] = parse_track(value)
            except ValueError as error:
                self._report_unfit(track_id, error)
        return latest

    def _is_new(self, track_id: str, track: dict[str, Any], index: Index, extractor: str) -> bool:
        """Whether the index lacks the track, or has it with other features, another artist or title.

        extractor : version of the features that the model was trained on, "" where it does not say
        """
        (row,) = index.rows_of([track_id]).tolist()
        dimensions = len(index.projection.mean)
        is_imputed = False
        if row >= 0 and track["embedding"] is None and dimensions == len(track["features"]) + N_EMBEDDING:
            track["embedding"] = index.projection.mean[-N_EMBEDDING:]  # as the training imputes it
            is_imputed = True
        try:
            _check_version(track.get("extractor_version"), extractor)
            features = blocks.fitting(track["features"], track["embedding"], dimensions)
            point = index.projection.points_of_new(features[None, :])[0]
        except FeaturesUnfit as error:
            self._report_unfit(track_id, error)
            return False
        is_same = row >= 0 and np.allclose(index.vectors[row], point, atol=SAME_FEATURES_TOLERANCE)
        if is_imputed and not is_same:  # the index has more of it than the message
            self.counts.unchanged += 1
            return False
        has_artist_names = len(index.artist_names) > 0  # indexes of format 1 were first written without
        is_same &= not has_artist_names or index.artist_of(row) == artist_key(track.get("artist"))
        if is_same and track["title"] and index.title_keys is not None:
            is_same = index.title_keys[row] == title_keys([track.get("artist")], [track["title"]])[0]
        self.counts.unchanged += bool(is_same)
        return not is_same

    def _report_unfit(self, track_id: str, error: ValueError) -> None:
        self.counts.unfit += 1
        print(f"catalogue: {track_id[:MAX_ID_LENGTH]!r} left out: {error}", flush=True)


def _check_version(track_version: str | None, model_version: str) -> None:
    """Raises FeaturesUnfit where the track's features were made by another extractor or another ear than the model's.

    track_version : None where the message does not say;  model_version : "" where the manifest does not
    A track without an ear's part is left to `blocks.fitting`, and one with it fits a model without.
    """
    if not track_version or not model_version:
        return
    (timbre, ear), (model_timbre, model_ear) = split_version(track_version), split_version(model_version)
    if timbre != model_timbre or (ear and model_ear and ear != model_ear):
        raise FeaturesUnfit(f"features of {track_version}, the model was trained on {model_version}")


def _append(folder: Path, tracks: dict[str, dict[str, Any]], dimensions: int) -> None:
    """Appends tracks to the index in a folder.  tracks : by id, decoded;  dimensions : of the features"""
    features = [blocks.fitting(track["features"], track["embedding"], dimensions) for track in tracks.values()]
    artists = [track.get("artist") for track in tracks.values()]
    titles = [track["title"] for track in tracks.values()]
    durations = [track["duration_s"] for track in tracks.values()]
    words = [read_words(track.get("tags")) for track in tracks.values()]
    append(folder, list(tracks), np.stack(features), artists, titles, durations, words)


def set_recordings(tracks: Collection[dict[str, Any]], index: Index, rows: Rows) -> None:
    """Sets `recording` of these rows' tracks and of their copies where the collection has them."""
    from pymongo import UpdateOne

    rows = with_copies(index, rows)
    recordings = zip(index.ids[rows].tolist(), recording_ids(index, rows), strict=True)
    for chunk in mongo.chunks(recordings, mongo.DOCUMENTS_PER_REQUEST):
        updates = [UpdateOne({"_id": track_id}, {"$set": {"recording": recording}}) for track_id, recording in chunk]
        tracks.bulk_write(updates, ordered=False)


def read_offsets(model: str, source: str) -> dict[int, int]:
    """{partition: next offset} of the topic that the model's index does not include yet; empty where nothing was read.

    model : location of the version;  source : the topic's "cluster id/topic id"
    """
    try:
        offsets = objects.read_json(child(model, OFFSETS_FILE))
    except (OSError, ValueError):
        return {}
    return {int(partition): int(offset) for partition, offset in offsets.get(source, {}).items()}


def write_offsets(model: str, source: str, offsets: dict[int, int]) -> None:
    objects.replace_text(child(model, OFFSETS_FILE), json.dumps({source: offsets}))


if __name__ == "__main__":
    sys.exit(main())
