"""The ledger on real services: it catches up at any interval, says what Kafka had removed, and writes nobody who was deleted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from pymongo import MongoClient
from pyspark.sql import SparkSession

from conf.settings import Settings
from streaming import ledger
from streaming.documents import DELETIONS, deletion_fields
from streaming.events import Event, encode
from streaming.operations.metrics import DRIVER_METRICS
from streaming.sink.delta_append import DeltaAppender
from streaming.source import topics as kafka_topics
from ui.data.lake import delete_rows

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
FIELDS = pa.schema(
    {
        "topic": pa.string(),
        "partition": pa.int32(),
        "offset": pa.int64(),
        "received_ms": pa.int64(),
        "value": pa.binary(),
        "bytes": pa.int64(),
        "sha256": pa.string(),
    }
)


@pytest.fixture
def database(settings: Settings, mongo_client: MongoClient[dict[str, Any]]) -> Any:
    made = mongo_client[settings.mongo.database]
    made.tracks.insert_one({"_id": "known", "title": "Known"})
    return made


def send(settings: Settings, numbers: range, user: str = "ana") -> None:
    producer = KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers, acks="all", linger_ms=20)
    for number in numbers:
        value = encode(Event(user, "known", "play", datetime.now(UTC), f"e{number}"))
        producer.send(settings.kafka.listening_topic, key=user.encode(), value=value)
    producer.flush(60)
    producer.close()


def landed(settings: Settings) -> Counter[tuple[int, int]]:
    """Rows by (partition, offset)."""
    try:
        table = DeltaTable(settings.lake.table("listening_events")).to_pyarrow_table(columns=["partition", "offset"])
    except TableNotFoundError:
        return Counter()
    return Counter(tuple(row.values()) for row in table.to_pylist())


def until(is_reached: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_reached():
        assert time.monotonic() < deadline, f"not reached within {seconds:.0f} s"
        time.sleep(0.2)


def test_a_backlog_is_caught_up_whatever_the_interval(
    spark: SparkSession, settings: Settings, topics: None, database: Any
) -> None:
    """By the interval alone ten micro-batches took an hour and a half."""
    rare = settings.stream.model_copy(update={"ledger_trigger_seconds": 600.0, "max_events_per_trigger": 30})
    chosen = settings.model_copy(update={"stream": rare})
    send(chosen, range(3000))
    query = ledger.start(spark, chosen, kafka_topics.ensure(chosen.kafka))
    try:
        until(lambda: len(landed(chosen)) >= 2700)
        rows_read = [each.numInputRows for each in query.recentProgress]
        assert max(rows_read) <= 300, "each batch stays as small as memory demands, and is read once"
        assert set(landed(chosen).values()) == {1}
    finally:
        query.stop()


def test_values_that_kafka_has_removed_are_counted_and_said(
    spark: SparkSession,
    settings: Settings,
    topics: None,
    database: Any,
    kafka_admin: KafkaAdminClient,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sources, topic = kafka_topics.ensure(settings.kafka), settings.kafka.listening_topic
    send(settings, range(10))
    ledger.start(spark, settings, sources, until_caught_up=True).awaitTermination()
    (partition,) = {partition for partition, _ in landed(settings)}
    assert "Kafka had removed" not in capsys.readouterr().out
    send(settings, range(10, 50))
    kafka_admin.delete_records({TopicPartition(topic, partition): 17})
    removed_before = removed()
    ledger.start(spark, settings, sources, until_caught_up=True).awaitTermination()
    assert (
        f"ledger: Kafka had removed 7 values before they were read (7 of {topic}/{partition})"
        in capsys.readouterr().out
    )
    assert removed() - removed_before == 7
    assert sorted(offset for _, offset in landed(settings)) == [*range(10), *range(17, 50)]
    send(settings, range(50, 60))
    ledger.start(spark, settings, sources, until_caught_up=True).awaitTermination()
    assert "Kafka had removed" not in capsys.readouterr().out, "once"


def removed() -> int:
    documents = {each["_id"]: each for each in DRIVER_METRICS.documents()}
    return int(documents.get("ledger", {}).get("removed_values", 0))


def rows(*places: tuple[str, int], settings: Settings) -> pa.Table:
    """places : (user id, offset)"""
    values = [(offset, encode(Event(user, "known", "play", NOON, f"e{offset}"))) for user, offset in places]
    received_ms = int(NOON.timestamp() * 1000)
    made = [
        (settings.kafka.listening_topic, 0, offset, received_ms, value, len(value), None) for offset, value in values
    ]
    return pa.Table.from_pylist([dict(zip(FIELDS.names, row, strict=True)) for row in made], schema=FIELDS)


def test_a_listener_who_is_deleted_between_the_question_and_the_commit_is_not_written(
    settings: Settings, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deletion finds no rows of theirs, since these are not committed yet."""
    sources = {settings.kafka.listening_topic: "cluster/topic", settings.kafka.recommendation_topic: "cluster/lists"}
    ask, asked = ledger.after_deletion, 0

    def deleted_meanwhile(*arguments: Any) -> Any:
        nonlocal asked
        answer = ask(*arguments)
        asked += 1
        if asked == 1:
            deleted_at = deletion_fields(NOON + timedelta(seconds=5))
            database[DELETIONS].update_one({"_id": "ana"}, {"$set": deleted_at}, upsert=True)
            assert delete_rows(settings.lake, "ana") == 0
        return answer

    monkeypatch.setattr(ledger, "after_deletion", deleted_meanwhile)
    both = rows(("ana", 0), ("bo", 1), ("ana", 2), settings=settings)
    ledger.write_rows(both, DeltaAppender(settings.lake), settings, sources)
    assert asked == 2, "it was asked again"
    assert sorted(offset for _, offset in landed(settings)) == [1]


def test_no_refused_value_of_a_deleted_listener_is_kept(settings: Settings, database: Any) -> None:
    sources = {settings.kafka.listening_topic: "cluster/topic", settings.kafka.recommendation_topic: "cluster/lists"}
    database[DELETIONS].update_one({"_id": "ana"}, {"$set": deletion_fields(NOON + timedelta(seconds=5))}, upsert=True)
    values = [b'{"user_id": "ana", "track_id": 7}', b'{"user_id": "bo", "track_id": 7}', b"no JSON"]
    received_ms = int(NOON.timestamp() * 1000)
    made = [
        (topic, 0, offset, received_ms + later_ms, value, len(value), None)
        for topic in (settings.kafka.listening_topic, settings.kafka.recommendation_topic)
        for offset, (value, later_ms) in enumerate([*((value, 0) for value in values), (values[0], 6_000)])
    ]
    rows = pa.Table.from_pylist([dict(zip(FIELDS.names, row, strict=True)) for row in made], schema=FIELDS)
    ledger.write_rows(rows, DeltaAppender(settings.lake), settings, sources)
    rejected = DeltaTable(settings.lake.table("rejected_events")).to_pyarrow_table(columns=["topic_id", "offset"])
    offsets = [rejected.filter(pc.equal(rejected["topic_id"], source))["offset"] for source in sources.values()]
    assert [sorted(each.to_pylist()) for each in offsets] == [[1, 2, 3], [1, 2, 3]]


def test_a_second_ledger_takes_up_what_the_first_has_decided(
    settings: Settings, database: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It commits between the first one's question and commit, and knows a track that the first one did not."""
    sources = {settings.kafka.listening_topic: "cluster/topic", settings.kafka.recommendation_topic: "cluster/lists"}
    values = rows(("ana", 0), ("bo", 1), settings=settings)
    admit, is_first = ledger.admit, True

    def second_meanwhile(*arguments: Any) -> Any:
        nonlocal is_first
        decided = admit(*arguments)
        if is_first:
            is_first = False
            database.tracks.delete_one({"_id": "known"})
            ledger.write_rows(values, DeltaAppender(settings.lake), settings, sources)
        return decided

    monkeypatch.setattr(ledger, "admit", second_meanwhile)
    ledger.write_rows(values, DeltaAppender(settings.lake), settings, sources)
    assert landed(settings) == Counter()
    rejected = DeltaTable(settings.lake.table("rejected_events")).to_pyarrow_table(columns=["offset"])
    assert sorted(rejected["offset"].to_pylist()) == [0, 1]
    assert "ledger: another ledger writes to this lake" in capsys.readouterr().out
