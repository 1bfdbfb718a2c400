"""The runs over one made library, on one machine and on the cluster, and listeners' events on it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from cluster_world import World
from kafka import KafkaProducer
from pymongo import MongoClient

from conf.kafka import Kafka
from conf.settings import PREFIX
from streaming.events import Event, encode
from streaming.source import topics

LAKE, MODELS, CHECKPOINTS = "s3a://overtone/lake", "s3a://overtone/models", "s3a://overtone/checkpoints"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TRACKS = 24
ADDED = "f" * 16
"""Id of a track that a test adds."""
LISTENERS = 8
EVENTS_A_LISTENER = 6


def topic_names(kind: str) -> dict[str, str]:
    """The topics of a run, by their settings."""
    return {
        "listening_topic": f"listens-{kind}",
        "recommendation_topic": f"lists-{kind}",
        "features_topic": f"features-{kind}",
    }


def names(kind: str) -> dict[str, str]:
    """A database and topics of its own."""
    variables = {f"{PREFIX}KAFKA__{setting.upper()}": topic for setting, topic in topic_names(kind).items()}
    return {f"{PREFIX}MONGO__DATABASE": f"cluster-{kind}", **variables}


def ensure_topics(world: World, kind: str) -> None:
    topics.ensure(Kafka(bootstrap_servers=world.kafka.bootstrap_servers, partitions=2, **topic_names(kind)))


def published_ids(world: World) -> list[str]:
    with MongoClient[dict[str, Any]](world.mongo.uri) as client:
        return sorted(document["_id"] for document in client["cluster-one"].tracks.find({}, {"_id": 1}))


def events(ids: list[str]) -> list[tuple[bytes, bytes]]:
    """(key, value), listener after listener: each likes one of the two sounds."""
    made = []
    for listener in range(LISTENERS):
        for number in range(EVENTS_A_LISTENER):
            track = ids[(listener % 2) * (TRACKS // 2) + (listener + number) % (TRACKS // 2)]
            at = NOON + timedelta(minutes=10 * number)
            event = Event(
                event_id=str(uuid.UUID(int=100 * listener + number)),
                user_id=f"listener {listener}",
                track_id=track,
                action=("play", "complete", "like")[number % 3],
                occurred_at=at,
            )
            made.append((event.user_id.encode(), encode(event)))
    return made


def visits() -> list[tuple[bytes, bytes]]:
    """One of each listener."""
    made = []
    for listener in range(LISTENERS):
        event = Event(user_id=f"listener {listener}", track_id=None, action="visit", occurred_at=datetime.now(UTC))
        made.append((event.user_id.encode(), encode(event)))
    return made


def send(world: World, topic: str, sent: list[tuple[bytes, bytes]]) -> None:
    producer = KafkaProducer(bootstrap_servers=world.kafka.bootstrap_servers, acks="all")
    for key, value in sent:
        producer.send(topic, key=key, value=value)
    producer.flush()
    producer.close()
