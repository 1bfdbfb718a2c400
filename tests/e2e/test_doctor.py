"""What `python -m local.doctor` names of real services, topics and checkpoints."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from batch.mongo import NEW_LISTENERS
from conf.settings import Settings
from local.doctor import mongodb as mongo_checks
from local.doctor.checkpoints import checkpoints
from local.doctor.findings import Finding
from local.doctor.kafka import kafka as kafka_check
from local.doctor.mongodb import document_versions, mongodb
from local.processes import free_port
from local.services import MongoServer
from streaming.source import topics as stream_topics
from streaming.source.kafka_source import checkpoint_folder


def whats(findings: Iterable[Finding]) -> list[str]:
    return [finding.what for finding in findings]


@pytest.fixture
def database(settings: Settings, mongo_client: MongoClient[dict[str, Any]]) -> Any:
    return mongo_client[settings.mongo.database]


def test_a_database_without_tracks_is_named(settings: Settings, database: Any) -> None:
    assert whats(mongodb(settings)) == [f"no tracks in the database {settings.mongo.database}"]
    database.tracks.insert_one({"_id": "a"})
    assert whats(mongodb(settings)) == ["no list for new listeners"]
    database.recommendations.insert_one({"_id": NEW_LISTENERS})
    assert whats(mongodb(settings)) == []
    assert database.status.count_documents({}) == 0, "asking for the right to write has written nothing"


def test_listeners_who_are_set_aside_are_named(settings: Settings, database: Any) -> None:
    database.tracks.insert_one({"_id": "a"})
    database.recommendations.insert_one({"_id": NEW_LISTENERS})
    database.set_aside.insert_one({"_id": "ana", "reason": "BSONError: too large"})
    (finding,) = mongodb(settings)
    assert (finding.what, finding.why) == ("1 listeners are set aside", "BSONError: too large")


def test_documents_of_a_later_version_are_named(settings: Settings, database: Any) -> None:
    database.profiles.insert_many([{"_id": "a", "version": 2}, {"_id": "b", "version": 99}, {"_id": "c"}])
    database.accounts.insert_one({"_id": "d", "version": 1})
    assert whats(document_versions(settings)) == ["profiles has documents of version 99"]


def test_a_mongodb_that_is_away_is_named(settings: Settings) -> None:
    uri = f"mongodb://ana:secret@127.0.0.1:{free_port()}/?directConnection=true"
    away = settings.model_copy(update={"mongo": settings.mongo.model_validate({"uri": uri, "database": "overtone"})})
    (finding,) = mongodb(away)
    assert finding.what.endswith("does not answer (ServerSelectionTimeoutError)") and "secret" not in str(finding)
    assert whats(document_versions(away)) == []


class Alone(MongoServer):
    """A server that is no replica set."""

    def arguments(self) -> list[str | Path]:
        arguments = super().arguments()
        place = arguments.index("--replSet")
        return [*arguments[:place], *arguments[place + 2 :]]


@pytest.fixture
def lone_mongo(tmp_path: Path) -> Iterator[Alone]:
    server = Alone(tmp_path / "alone")
    server.start()
    try:
        with MongoClient[dict[str, Any]](server.uri, serverSelectionTimeoutMS=500) as client:
            for _ in range(60):
                try:
                    client.admin.command("ping")
                    break
                except PyMongoError:
                    server.process.require_running("starting")
        yield server
    finally:
        server.stop()


def test_a_mongodb_that_is_no_replica_set_is_named(settings: Settings, lone_mongo: Alone) -> None:
    section = settings.mongo.model_validate({"uri": lone_mongo.uri, "database": "overtone"})
    alone = settings.model_copy(update={"mongo": section})
    assert whats(mongodb(alone)) == ["MongoDB is no replica set", "no tracks in the database overtone"]


def test_missing_topics_are_noted_and_not_made(settings: Settings, kafka_admin: KafkaAdminClient) -> None:
    findings = list(kafka_check(settings))
    assert whats(findings) == [
        f"there is no topic {name}"
        for name in (
            settings.kafka.listening_topic,
            settings.kafka.recommendation_topic,
            settings.kafka.features_topic,
        )
    ]
    assert not any(finding.is_wrong for finding in findings)
    assert settings.kafka.listening_topic not in kafka_admin.list_topics()


def test_topics_that_we_make_are_as_they_should_be(settings: Settings) -> None:
    stream_topics.ensure(settings.kafka)
    assert whats(kafka_check(settings)) == []


def test_topics_with_settings_that_lose_events_are_named(settings: Settings, kafka_admin: KafkaAdminClient) -> None:
    chosen = settings.kafka
    kafka_admin.create_topics(
        [
            NewTopic(
                chosen.listening_topic,
                1,
                1,
                topic_configs={"cleanup.policy": "compact", "message.timestamp.type": "CreateTime"},
            ),
            NewTopic(chosen.recommendation_topic, 2, 1, topic_configs={"retention.ms": "3600000"}),
            NewTopic(chosen.features_topic, 2, 1, topic_configs={"max.message.bytes": "1000"}),
        ]
    )
    kafka_admin.wait_for_topics([chosen.listening_topic, chosen.recommendation_topic, chosen.features_topic])
    assert whats(kafka_check(settings)) == [
        f"topic {chosen.listening_topic} has 1 partitions",
        f"topic {chosen.listening_topic} is compacted",
        f"topic {chosen.listening_topic}: message.timestamp.type is CreateTime",
        f"topic {chosen.recommendation_topic} keeps values for 1.0 hours",
        f"topic {chosen.features_topic} is not compacted",
        f"topic {chosen.features_topic} takes values of 1,000 bytes at most",
    ]


def test_a_kafka_that_is_away_is_named(settings_without_kafka: Settings) -> None:
    (finding,) = kafka_check(settings_without_kafka)
    assert "does not answer" in finding.what and "OVERTONE_KAFKA__BOOTSTRAP_SERVERS" in finding.to_do
    assert whats(checkpoints(settings_without_kafka)) == []


def test_a_clock_that_is_off_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    stream_topics.ensure(settings.kafka)
    real = time.time
    monkeypatch.setattr("time.time", lambda: real() + 100)
    assert [what for what in whats(kafka_check(settings)) if "clock" in what] == [
        "the clock of Kafka is 100 s behind this machine's"
    ]
    with mongo_checks.mongo.client(settings.mongo) as client:
        assert whats(mongo_checks._clock(client)) == ["the clock of MongoDB is 100 s behind this machine's"]


def write_checkpoint(settings: Settings, source: str, offset: int) -> Path:
    """A checkpoint as Spark writes it.  offset : the next one to read, of partition 0"""
    folder = Path(checkpoint_folder(settings, "recommend", source).removeprefix("file://"))
    (folder / "offsets").mkdir(parents=True)
    lines = ["v1", '{"batchWatermarkMs":0,"conf":{}}', f'{{"{settings.kafka.listening_topic}":{{"0":{offset},"1":0}}}}']
    (folder / "offsets" / "12").write_text("\n".join(lines))
    (folder / "offsets" / ".12.crc").write_bytes(b"crc")
    return folder


def test_offsets_that_kafka_no_longer_has_are_named(settings: Settings, kafka_admin: KafkaAdminClient) -> None:
    topic = settings.kafka.listening_topic
    source = stream_topics.ensure(settings.kafka)[topic]
    producer = KafkaProducer(**settings.kafka.client_options())
    for value in (b"a", b"b", b"c"):
        producer.send(topic, value=value, partition=0).get(30)
    producer.close()
    folder = write_checkpoint(settings, source, 1)
    assert whats(checkpoints(settings)) == []
    kafka_admin.delete_records({TopicPartition(topic, 0): 3})
    assert whats(checkpoints(settings)) == [f"2 values of {topic}/0 were removed before recommend read them"]
    offsets = folder / "offsets" / "12"
    offsets.write_text(offsets.read_text().replace('"0":1', '"0":9'))
    assert whats(checkpoints(settings)) == [f"recommend has read {topic}/0 up to 9, and it ends at 3"]
    offsets.write_text("")
    (finding,) = checkpoints(settings)
    assert finding.what.endswith("offsets/12 cannot be read") and str(folder) in finding.to_do


def test_a_topic_that_was_made_anew_is_noted(settings: Settings) -> None:
    stream_topics.ensure(settings.kafka)
    write_checkpoint(settings, "cluster/an-earlier-topic", 7)
    (finding,) = checkpoints(settings)
    assert finding.what == "recommend has no checkpoint of these topics, and 1 of earlier ones"
    assert not finding.is_wrong
