"""The feed loses no track: not to a broker that refuses one, nor to a place in MongoDB's log that is gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import ConfigResource, KafkaAdminClient
from kafka.errors import KafkaTimeoutError
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from topic_records import records_of

from conf.settings import Settings
from local.services import MongoServer
from streaming import feed
from streaming.documents import FEEDS, SET_ASIDE_TRACKS, resume_token_from
from streaming.feed import Feed
from streaming.serving.isolation import served_apart
from streaming.serving.writes import send
from streaming.source import topics as kafka_topics

KILOBYTE = 1024


@pytest.fixture
def database(settings: Settings, mongo_client: MongoClient[dict[str, Any]]) -> Any:
    return mongo_client[settings.mongo.database]


def track(track_id: Any, kilobytes: int = 0, **fields: Any) -> dict[str, Any]:
    return {"_id": track_id, "title": "x" * KILOBYTE * kilobytes, "features": [1.0, 2.0], **fields}


def on_topic(settings: Settings, topic: str = "") -> list[str]:
    """Keys of all records of a topic, by default that of features, in order."""
    topic = topic or settings.kafka.features_topic
    return [record.key.decode() for record in records_of(topic, settings.kafka.bootstrap_servers)]


def set_aside(database: Any) -> dict[str, str]:
    """{id as text: reason}"""
    return {str(each["_id"]): each["reason"] for each in database[SET_ASIDE_TRACKS].find()}


def until(is_reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not is_reached():
        assert time.monotonic() < deadline, "not reached within two minutes"
        time.sleep(0.05)


def test_a_track_that_the_broker_refuses_is_set_aside_and_stops_no_other(
    settings: Settings, database: Any, kafka_admin: KafkaAdminClient, capsys: pytest.CaptureFixture[str]
) -> None:
    kafka_topics.ensure(settings.kafka)
    limit = {"max.message.bytes": str(20 * KILOBYTE)}
    kafka_admin.alter_configs([ConfigResource("topic", settings.kafka.features_topic, limit)])
    small = [f"small {number}" for number in range(60)]
    database.tracks.insert_many([track("large", 40), *map(track, small), track("huge", 2000)])
    database.tracks.insert_many([track("bad", features=["no number"]), track(7), track({"a": 1}), {"_id": "bare"}])
    Feed(settings).run(until_caught_up=True)
    assert sorted(on_topic(settings)) == sorted(small), "one that is too large does not take along those of its batch"
    reasons = set_aside(database)
    assert reasons.keys() == {"large", "huge", "bad", "7", "{'a': 1}"}
    assert reasons["large"].startswith("Kafka refused a record of 41,") and "MessageSizeTooLarge" in reasons["large"]
    assert reasons["huge"].startswith("Kafka refused a record of 2,048,") and reasons["bad"].startswith("features: ")
    assert "track 'large' set aside: Kafka refused" in capsys.readouterr().out
    database.tracks.update_one({"_id": "large"}, {"$set": {"title": "Short"}})
    database.tracks.delete_many({"_id": {"$in": ["huge", 7]}})
    Feed(settings).run(until_caught_up=True)
    assert set_aside(database).keys() == {"bad", "{'a': 1}"}, "what was sent or removed is set aside no longer"
    assert on_topic(settings).count("large") == 1


def test_the_place_moves_only_past_what_kafka_has_acknowledged(
    settings: Settings, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = kafka_topics.ensure(settings.kafka)[settings.kafka.features_topic]
    database.tracks.insert_one(track("first"))
    assert Feed(settings).run(until_caught_up=True) == 1
    place = resume_token_from(database[FEEDS].find_one({"_id": source}))

    def unacknowledged(_: Any) -> Any:
        raise KafkaTimeoutError("no acknowledgement")

    database.tracks.insert_one(track("second"))
    with monkeypatch.context() as context:
        context.setattr(feed.RecordSender, "outcomes", unacknowledged)
        with pytest.raises(KafkaTimeoutError):
            Feed(settings).run(until_caught_up=True)
    assert resume_token_from(database[FEEDS].find_one({"_id": source})) == place
    assert Feed(settings).run(until_caught_up=True) == 1, "it is sent again"
    assert on_topic(settings).count("second") >= 1


class ForgetfulServer(MongoServer):
    """Has a checkpoint, since which the log is kept, each second and not each minute."""

    def arguments(self) -> list[str | Path]:
        return [*super().arguments(), "--syncdelay", "1"]


@pytest.fixture
def small_log(tmp_path: Path) -> Iterator[MongoServer]:
    """A MongoDB whose log of changes holds little."""
    server = ForgetfulServer(tmp_path, oplog_mb=2).start()
    try:
        yield server.wait()
    finally:
        server.stop()


def overwrite_log(database: Any) -> None:
    """Writes elsewhere until the log of changes has nothing of before, as full profiles do."""
    oplog = database.client.local["oplog.rs"]

    def oldest() -> Any:
        while True:
            with suppress(OperationFailure):  # CappedPositionLost: it was overwritten while it was read
                return oplog.find_one(sort=[("$natural", 1)])["ts"]

    last = oplog.find_one(sort=[("$natural", -1)])["ts"]
    profile = "p" * 4000 * KILOBYTE
    deadline = time.monotonic() + 60
    while oldest() <= last:
        for user in range(5):
            database.profiles.replace_one({"_id": user}, {"profile": profile, "at": time.time()}, upsert=True)
        assert time.monotonic() < deadline, "the log forgets nothing"


def test_the_place_does_not_age_while_nothing_changes_and_a_lost_one_loses_no_track(
    settings: Settings, small_log: MongoServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(feed, "TOKEN_INTERVAL_S", 0.2)
    monkeypatch.setattr(feed, "CHANGE_WAIT_MS", 100)
    chosen = settings.model_copy(
        update={"mongo": settings.mongo.model_copy(update={"uri": type(settings.mongo.uri)(small_log.uri)})}
    )
    with MongoClient[dict[str, Any]](small_log.uri) as client:
        database = client[chosen.mongo.database]
        database.tracks.insert_many(map(track, ("a", "b")))
        stopping = threading.Event()
        running = threading.Thread(target=Feed(chosen).run, kwargs={"stopping": stopping})
        running.start()
        until(lambda: database[FEEDS].count_documents({}) == 1)
        first = resume_token_from(database[FEEDS].find_one())
        overwrite_log(database)
        until(lambda: resume_token_from(database[FEEDS].find_one()) != first)
        stopping.set()
        running.join(30)
        assert Feed(chosen).run(until_caught_up=True) == 0, "the place was still in the log"
        assert capsys.readouterr().out == ""

        database.tracks.update_one({"_id": "a"}, {"$set": {"title": "A"}})
        database.tracks.insert_one(track("c"))
        overwrite_log(database)
        assert Feed(chosen).run(until_caught_up=True) == 3
        assert "feed: sending all tracks again (MongoDB's oplog" in capsys.readouterr().out
        assert Feed(chosen).run(until_caught_up=True) == 0
    assert sorted(on_topic(chosen)) == ["a", "a", "b", "b", "c"]


def test_the_log_of_changes_of_an_existing_home_is_enlarged(tmp_path: Path) -> None:
    for oplog_mb, wanted in ((20, 20), (1000, 1000)):
        server = MongoServer(tmp_path, oplog_mb=oplog_mb).start()
        try:
            server.wait()
            with MongoClient[dict[str, Any]](server.uri) as client:
                assert client.local.command("collStats", "oplog.rs", scale=1024 * 1024)["maxSize"] == wanted
        finally:
            server.stop()


def test_a_list_that_the_broker_refuses_takes_along_no_other(settings: Settings, kafka_admin: KafkaAdminClient) -> None:
    kafka_topics.ensure(settings.kafka)
    topic = settings.kafka.recommendation_topic
    kafka_admin.alter_configs([ConfigResource("topic", topic, {"max.message.bytes": str(20 * KILOBYTE)})])
    lists = [(f"listener {number}", f"list {number}".encode()) for number in range(20)]
    lists[10] = ("large", b"x" * 40 * KILOBYTE)
    failed: list[str] = []

    def serve(users: Sequence[str]) -> int:
        send([(user, value) for user, value in lists if user in users], settings.kafka)
        return len(users)

    served = served_apart([user for user, _ in lists], serve, lambda user, _: failed.append(user) or 0)
    assert failed == ["large"] and sum(served) == 19
    assert set(on_topic(settings, topic)) == {user for user, _ in lists} - {"large"}
