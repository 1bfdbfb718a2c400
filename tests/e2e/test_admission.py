"""Both lanes decide alike about unknown tracks, however far the durable one lags behind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kafka.admin import ConfigResource, KafkaAdminClient
from pymongo import MongoClient

from conf.settings import Settings
from streaming import ledger
from streaming.admission.rules import ReceivedEvent, create_indexes, with_known_track
from streaming.documents import REFUSALS
from streaming.events import Event, encode
from streaming.profile.documents import profile_document
from streaming.profile.profile import Profile
from streaming.source import topics as kafka_topics

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
SOURCE = "cluster/topic"


@pytest.fixture
def database(settings_without_kafka: Settings, mongo_client: MongoClient[dict[str, Any]]) -> Any:
    made = mongo_client[settings_without_kafka.mongo.database]
    create_indexes(made, None)
    made.tracks.insert_one({"_id": "known", "title": "Known"})
    return made


def received(offset: int, track_id: str, event_id: str = "") -> ReceivedEvent:
    event = Event("ana", track_id, "play", NOON, event_id or f"e{offset}")
    return ReceivedEvent(event, SOURCE, 0, offset, NOON)


def fast_lane(database: Any, *events: ReceivedEvent) -> list[int]:
    """Offsets that the fast lane counts."""
    return [each.offset for each in with_known_track(events, database)[0]]


def durable_lane(settings: Settings, *events: ReceivedEvent) -> list[int]:
    """Offsets that the ledger writes to `listening_events`."""
    rows = [
        {
            "topic": "listens",
            "partition": each.partition,
            "offset": each.offset,
            "received_ms": int(NOON.timestamp() * 1000),
            "value": (value := encode(each.event)),
            "bytes": len(value),
            "sha256": None,
        }
        for each in events
    ]
    return [row["offset"] for row in ledger.admit(rows, settings.mongo, SOURCE)[0]]


def test_a_track_that_is_added_after_its_event_was_refused_changes_nothing(
    database: Any, settings_without_kafka: Settings
) -> None:
    events = [received(0, "known"), received(1, "later")]
    assert fast_lane(database, *events) == [0]
    database.tracks.insert_one({"_id": "later", "title": "Later"})
    assert fast_lane(database, *events) == [0], "read again, after a crash or with a new checkpoint"
    assert durable_lane(settings_without_kafka, *events) == [0]
    again = received(2, "later")
    assert fast_lane(database, again) == [2] and durable_lane(settings_without_kafka, again) == [2]


def test_a_track_that_is_removed_after_its_event_was_counted_changes_nothing(
    database: Any, settings_without_kafka: Settings
) -> None:
    """However many events later: the profile remembers the ids of 500, and the offset for good."""
    events: Sequence[ReceivedEvent] = [received(3, "known"), received(4, "never"), received(9, "known")]
    assert fast_lane(database, *events) == [3, 9]
    database.profiles.insert_one(profile_document(Profile("ana", offsets={f"{SOURCE}/0": 8}, events_applied=700)))
    database.tracks.delete_one({"_id": "known"})
    assert durable_lane(settings_without_kafka, *events) == [3], "4 was refused, 9 is new to both"
    assert fast_lane(database, *events) == []
    assert durable_lane(settings_without_kafka, *events) == [3], "reading it again is no refusal"


def test_refusals_are_kept_as_long_as_the_topic_keeps_events(
    database: Any, settings: Settings, kafka_admin: KafkaAdminClient, topics: None
) -> None:
    def ttl_s() -> Any:
        create_indexes(database, kafka_topics.kept_s(settings.kafka))
        return database[REFUSALS].index_information().get("at_1", {}).get("expireAfterSeconds")

    def keep(days: int) -> None:
        retention = {"retention.ms": str(days * 86_400_000 if days > 0 else -1)}
        kafka_admin.alter_configs([ConfigResource("topic", settings.kafka.listening_topic, retention)])

    assert ttl_s() > timedelta(days=14).total_seconds(), "what the embedded broker keeps"
    keep(60)
    assert ttl_s() > timedelta(days=60).total_seconds()
    keep(-1)
    assert ttl_s() is None
    keep(1)
    assert timedelta(days=1).total_seconds() < ttl_s() < timedelta(days=14).total_seconds()
    database[REFUSALS].drop_index("at_1")
    database[REFUSALS].create_index("at", expireAfterSeconds=7 * 86_400)  # as version 0.1.0 did
    assert ttl_s() > timedelta(days=8).total_seconds()
