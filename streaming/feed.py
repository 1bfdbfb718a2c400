"""Job: sends the features of MongoDB's tracks to the topic `track-features`: all of them once, then each change.

    spark-submit.sh streaming/feed.py

The resume token of MongoDB's change stream is stored in `feeds` once Kafka has acknowledged the changes before it, so that a
restart sends only later ones. It is stored while nothing changes too, since MongoDB's oplog forgets old places. A track that
cannot be sent is set aside with its reason, and stops no other. Starts no Spark.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from pymongo.errors import OperationFailure, PyMongoError

from batch import job, mongo, registry
from conf.settings import Settings
from streaming.documents import FEEDS, SET_ASIDE_TRACKS, feed_fields, resume_token_from, set_aside_track_fields
from streaming.operations import http_server, supervisor
from streaming.operations.health import DRIVER_HEALTH
from streaming.source import topics
from streaming.source.sending import RecordSender
from streaming.track_message import track_message

if TYPE_CHECKING:
    from pymongo.database import Database

NAME = "feed"
CHUNK_TRACKS = 500
CHANGE_WAIT_MS = 1000
CHUNK_S = 5.0
"""Changes that come one by one are sent after so long at most."""
SHOWN_REASONS = 10
"""Of the tracks that are set aside at once, so many are printed."""
TOKEN_INTERVAL_S = 10.0
"""The resume token is stored so often while nothing changes."""
FIELDS = dict.fromkeys(
    ("features", "embedding", "artist", "artists", "extractor_version", "title", "duration_s", "tags"), 1
)
IS_OF_RECORDING_ALONE = {
    "$eq": [
        {
            "$map": {
                "input": {"$objectToArray": {"$ifNull": ["$updateDescription.updatedFields", {}]}},
                "in": "$$this.k",
            }
        },
        ["recording"],
    ]
}
"""Whether a change is one of the field `recording`, which the catalogue writes: it is not sent back to it."""
COLLECTION_CHANGES = ("drop", "dropDatabase", "rename", "invalidate")
"""Changes after which the collection has none of its former tracks."""
RESUME_ERROR_CODES = (136, 280, 286)
"""CappedPositionLost, ChangeStreamFatalError, ChangeStreamHistoryLost."""


class ResumeTokenLost(Exception):
    """MongoDB's oplog no longer has the changes since the token: all tracks must be sent again."""


def main(arguments: Sequence[str] | None = None) -> int:
    return job.run(
        "streaming/feed.py",
        "Send features of tracks to Kafka as they are added, changed and removed.",
        work,
        arguments,
        lambda parser: parser.add_argument(
            "--until-caught-up", action="store_true", help="end when all tracks and changes so far are sent"
        ),
        failures=(OSError, PyMongoError),
    )


def work(settings: Settings, options: argparse.Namespace) -> str | None:
    """Runs until it is interrupted, or until it has caught up; returns the summary then."""
    from kafka.errors import KafkaError

    try:
        mongo.client(settings.mongo).close()
        topics.ensure(settings.kafka)
        if options.until_caught_up:
            return f"{Feed(settings).run(until_caught_up=True):,} tracks sent"
        http_server.start(settings)
        run_until_stopped(settings, threading.Event())
    except KeyboardInterrupt:
        pass
    except KafkaError as error:
        raise OSError(f"Kafka has not acknowledged what was sent ({type(error).__name__}); run it again") from error
    return None


def run_until_stopped(settings: Settings, stopping: threading.Event) -> None:
    """Feeds until `stopping` is set; waits while MongoDB or Kafka is unavailable."""
    from kafka.errors import KafkaError

    supervisor.run_until_stopped(
        NAME,
        lambda stopping: Feed(settings).run(stopping=stopping),
        (OSError, PyMongoError, KafkaError),
        lambda error: type(error).__name__,
        stopping,
    )


class Feed:
    """Sends tracks from MongoDB to Kafka."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.topic = settings.kafka.features_topic
        self._unusable: list[tuple[Any, str]] = []
        """(id, reason) of tracks that cannot be sent, until the next `_settle`."""
        self._without_features: list[str] = []
        """Ids of tracks that need not be sent, until the next `_settle`."""

    def run(self, until_caught_up: bool = False, stopping: threading.Event | None = None) -> int:
        """Sends the tracks or changes that have not been sent, until `stopping` is set; returns the number of messages.

        Raises KafkaError where Kafka does not acknowledge one that it may take later.
        """
        source = topics.ensure(self.settings.kafka)[self.topic]
        sender = RecordSender(self.settings.kafka, self.topic)
        try:
            with mongo.client(self.settings.mongo) as client:
                database = client[self.settings.mongo.database]
                while True:
                    try:
                        return self._follow(database, sender, source, until_caught_up, stopping or threading.Event())
                    except ResumeTokenLost as error:
                        print(f"feed: sending all tracks again ({error})", flush=True)
                        database[FEEDS].delete_one({"_id": source})
        finally:
            sender.close()

    def _follow(
        self,
        database: Database[dict[str, Any]],
        sender: RecordSender,
        source: str,
        until_caught_up: bool,
        stopping: threading.Event,
    ) -> int:
        """Sends all tracks where there is no resume token, then changes. Raises ResumeTokenLost.

        source : the topic's "cluster id/topic id"
        """
        token = resume_token_from(database[FEEDS].find_one({"_id": source}))
        pipeline: list[dict[str, Any]] = [
            {"$match": {"$expr": {"$not": [IS_OF_RECORDING_ALONE]}}},
            {"$project": {"documentKey": 1, "operationType": 1, **{f"fullDocument.{f}": 1 for f in FIELDS}}},
        ]
        sent = 0
        try:
            with database.tracks.watch(
                pipeline, full_document="updateLookup", resume_after=token, max_await_time_ms=CHANGE_WAIT_MS
            ) as changes:
                if token is None:  # what changes meanwhile is sent again, as a change
                    sent += self._send_all(database, sender)
                    self._store_token(database, source, changes.resume_token)
                stored_at = time.monotonic()
                while not stopping.is_set():
                    chunk = list(islice(_pending(changes), CHUNK_TRACKS))
                    for change in chunk:
                        if change["operationType"] in COLLECTION_CHANGES:
                            raise ResumeTokenLost(f"the collection had the change {change['operationType']!r}")
                        self._send(sender, change["documentKey"]["_id"], change.get("fullDocument"))
                    self._settle(database, sender)
                    DRIVER_HEALTH.works(NAME)
                    sent += len(chunk)
                    is_last = until_caught_up and not chunk
                    # Without a change it is the place of the server's last look, which is later than the last change.
                    if chunk or is_last or time.monotonic() - stored_at >= TOKEN_INTERVAL_S:
                        self._store_token(database, source, changes.resume_token)
                        stored_at = time.monotonic()
                    if is_last:
                        break
        except OperationFailure as error:
            if error.has_error_label("NonResumableChangeStreamError") or error.code in RESUME_ERROR_CODES:
                raise ResumeTokenLost("MongoDB's oplog no longer has the changes since the last one") from error
            raise
        return sent

    def _send_all(self, database: Database[dict[str, Any]], sender: RecordSender) -> int:
        """Sends all tracks, and removals of tracks that the latest model's index has and MongoDB lacks."""
        sent_ids: set[str] = set()
        database[SET_ASIDE_TRACKS].delete_many({})  # what still cannot be sent comes again
        documents = database.tracks.find({}, FIELDS)
        while chunk := list(islice(documents, CHUNK_TRACKS)):
            for document in chunk:
                sent_ids.add(str(document["_id"]))
                self._send(sender, document["_id"], document)
            self._settle(database, sender)
            DRIVER_HEALTH.works(NAME)
        # An empty collection says that nothing was published yet, not that all tracks were removed.
        removed_ids = sorted(self._indexed_ids() - sent_ids) if sent_ids else []
        for track_id in removed_ids:
            self._send(sender, track_id, None)
        self._settle(database, sender)
        return len(sent_ids) + len(removed_ids)

    def _indexed_ids(self) -> set[str]:
        """Ids of the tracks in the latest model's index; none where there is no model."""
        try:
            index = registry.latest(self.settings.models.root).index
        except (registry.ModelNotFound, registry.ModelUnusable):
            return set()
        return {str(index.ids[int(row)]) for row in index.present}

    def _send(self, sender: RecordSender, track_id: Any, document: Mapping[str, Any] | None) -> None:
        """Sends a track's features, or None for a removal; an unusable document is set aside by the next `_settle`."""
        if document is None and not isinstance(track_id, str):
            self._without_features.append(track_id)  # it was never sent
            return
        try:
            if not isinstance(track_id, str):
                raise ValueError(f"_id: expected a string, got {type(track_id).__name__}")
            value = track_message(document)
        except ValueError as error:
            self._unusable.append((track_id, str(error)))
            return
        if value is not None or document is None:
            sender.send(track_id, value)
        else:
            self._without_features.append(track_id)

    def _settle(self, database: Database[dict[str, Any]], sender: RecordSender) -> None:
        """Waits until each track that was sent is acknowledged or refused, and brings `set_aside_tracks` up to date.

        Raises KafkaError where one is neither.
        """
        acknowledged, refused = sender.outcomes()
        reasons, self._unusable = [*self._unusable, *refused.items()], []
        settled, self._without_features = [*acknowledged, *self._without_features], []
        if settled:
            database[SET_ASIDE_TRACKS].delete_many({"_id": {"$in": settled}})
        documents = [{"_id": track_id, **set_aside_track_fields(reason, time.time())} for track_id, reason in reasons]
        mongo.upsert(documents, database[SET_ASIDE_TRACKS])
        for track_id, reason in reasons[:SHOWN_REASONS]:
            print(f"feed: track {track_id!r} set aside: {reason}", flush=True)
        if len(reasons) > SHOWN_REASONS:
            print(
                f"feed: {len(reasons) - SHOWN_REASONS:,} more set aside; see `set_aside_tracks` in MongoDB", flush=True
            )

    def _store_token(self, database: Database[dict[str, Any]], source: str, token: Any) -> None:
        if token is not None:
            database[FEEDS].update_one({"_id": source}, {"$set": feed_fields(token, time.time())}, upsert=True)


def _pending(changes: Any) -> Iterator[dict[str, Any]]:
    """The changes so far; ends when the server has none within CHANGE_WAIT_MS, or after CHUNK_S."""
    started_at = time.monotonic()
    while time.monotonic() - started_at < CHUNK_S and (change := changes.try_next()) is not None:
        yield change


if __name__ == "__main__":
    sys.exit(main())
