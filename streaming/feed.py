"""Job: the tracks of MongoDB go to the topic `track-features`, all of them once, then as they come, change and go.

    spark-submit.sh streaming/feed.py

Its place in MongoDB's change stream is kept in the collection `feeds`, so that a new start sends only what has changed since.
Starts no Spark.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from pymongo.errors import OperationFailure, PyMongoError

from batch import mongo, registry
from conf.settings import Settings, settings
from streaming.operations import follower
from streaming.source import topics

if TYPE_CHECKING:
    from kafka import KafkaProducer
    from pymongo.database import Database

CHUNK = 500
AWAIT_MS = 1000
FIELDS = {"features": 1, "artist": 1, "extractor_version": 1}
PLACES = "feeds"
WHOLE = ("drop", "dropDatabase", "rename", "invalidate")
"""Changes of the collection, not of a track: what it held is gone."""


class PlaceLost(Exception):
    """MongoDB no longer has the changes since our place: all tracks must be sent again."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="streaming/feed.py", description="Send features of tracks as they come and go."
    )
    parser.add_argument(
        "--until-caught-up", action="store_true", help="end when all tracks and changes so far are sent"
    )
    given = parser.parse_args(arguments)
    try:
        chosen = settings()
    except ValueError as error:
        print(f"feed: {error}", file=sys.stderr)
        return 2
    try:
        mongo.client(chosen.mongo).close()
        topics.ensure(chosen.kafka)
        if given.until_caught_up:
            print(f"{Feed(chosen).run(until_caught_up=True):,} tracks sent", flush=True)
        else:
            keep(chosen, threading.Event())
    except KeyboardInterrupt:
        pass
    except (OSError, PyMongoError) as error:
        print(f"feed: {error}", file=sys.stderr)
        return 1
    return 0


def keep(settings: Settings, stopping: threading.Event) -> None:
    """Feeds until `stopping`; while MongoDB or Kafka is away it waits."""
    from kafka.errors import KafkaError

    follower.keep(
        "feed",
        lambda stopping: Feed(settings).run(stopping=stopping),
        (OSError, PyMongoError, KafkaError),
        lambda error: type(error).__name__,
        stopping,
    )


class Feed:
    """One connection to MongoDB and Kafka."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.topic = settings.kafka.features_topic

    def run(self, until_caught_up: bool = False, stopping: threading.Event | None = None) -> int:
        """Sends what has not been sent; returns how many messages."""
        from kafka import KafkaProducer

        source = topics.ensure(self.settings.kafka)[self.topic]
        producer = KafkaProducer(bootstrap_servers=self.settings.kafka.bootstrap_servers, acks="all", linger_ms=20)
        try:
            with mongo.client(self.settings.mongo) as client:
                database = client[self.settings.mongo.database]
                while True:
                    try:
                        return self._follow(database, producer, source, until_caught_up, stopping or threading.Event())
                    except PlaceLost:
                        database[PLACES].delete_one({"_id": source})
        finally:
            producer.close(timeout=5)

    def _follow(
        self,
        database: Database[dict[str, Any]],
        producer: KafkaProducer,
        source: str,
        once: bool,
        stopping: threading.Event,
    ) -> int:
        """All tracks where our place is not known, then every change."""
        place = (database[PLACES].find_one({"_id": source}) or {}).get("token")
        pipeline = [{"$project": {"documentKey": 1, "operationType": 1, **{f"fullDocument.{f}": 1 for f in FIELDS}}}]
        sent = 0
        try:
            with database.tracks.watch(
                pipeline, full_document="updateLookup", resume_after=place, max_await_time_ms=AWAIT_MS
            ) as changes:
                if place is None:  # what changes meanwhile comes once more behind it
                    sent += self._all(database, producer)
                    self._keep_place(database, source, changes.resume_token)
                while not stopping.is_set():
                    found = list(islice(_waiting(changes), CHUNK))
                    for change in found:
                        if change["operationType"] in WHOLE:
                            raise PlaceLost(change["operationType"])
                        self._send(producer, change["documentKey"]["_id"], change.get("fullDocument"))
                    if found:
                        producer.flush(30)
                        self._keep_place(database, source, changes.resume_token)
                        sent += len(found)
                    elif once:
                        break
        except OperationFailure as error:
            if error.has_error_label("NonResumableChangeStreamError") or error.code in (136, 280, 286):
                raise PlaceLost from error
            raise
        return sent

    def _all(self, database: Database[dict[str, Any]], producer: KafkaProducer) -> int:
        known: set[str] = set()
        documents = database.tracks.find({}, FIELDS)
        while chunk := list(islice(documents, CHUNK)):
            for document in chunk:
                known.add(str(document["_id"]))
                self._send(producer, document["_id"], document)
            producer.flush(30)
        gone = [] if not known else sorted(self._indexed() - known)
        for track_id in gone:
            self._send(producer, track_id, None)
        producer.flush(30)
        return len(known) + len(gone)

    def _indexed(self) -> set[str]:
        """The tracks that the latest model has."""
        try:
            index = registry.latest(self.settings.models.root).index
        except (registry.ModelNotFound, registry.ModelUnusable):
            return set()
        return {str(index.ids[int(row)]) for row in index.present}

    def _send(self, producer: KafkaProducer, track_id: Any, document: Mapping[str, Any] | None) -> None:
        """Sends what is known of a track's sound, or that it is gone; a document that is no track's is told and left out."""
        try:
            if not isinstance(track_id, str):
                raise ValueError(f"its _id is a {type(track_id).__name__}, expected a string")
            value = message(document)
            if value is not None or document is None:
                producer.send(self.topic, key=track_id.encode(), value=value)
        except ValueError as error:
            print(f"feed: track {track_id!r} left out: {error}", flush=True)

    def _keep_place(self, database: Database[dict[str, Any]], source: str, token: Any) -> None:
        if token is not None:
            database[PLACES].replace_one({"_id": source}, {"token": token, "at": time.time()}, upsert=True)


def message(document: Mapping[str, Any] | None) -> bytes | None:
    """A track as it travels on the topic; None for one that is gone or has no features. Raises ValueError for others."""
    if document is None or not document.get("features"):
        return None
    try:
        numbers = np.asarray(document["features"], dtype=np.float32)
        features = [float(number) for number in numbers.astype(str)]
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"its features are no list of numbers ({error})") from error
    if not np.isfinite(numbers).all():
        raise ValueError("its features are not all finite")
    fields = {"artist": document.get("artist"), "extractor_version": document.get("extractor_version")}
    return json.dumps({**fields, "features": features}, ensure_ascii=False, separators=(",", ":")).encode()


def _waiting(changes: Any) -> Iterator[dict[str, Any]]:
    """Changes that are there; ends when the server has waited for one in vain."""
    while (change := changes.try_next()) is not None:
        yield change


if __name__ == "__main__":
    sys.exit(main())
