"""Two ledgers at once, listeners who are deleted, and a broker that refuses, under load."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kafka.admin import ConfigResource, KafkaAdminClient

from batch import registry
from batch.index.lsh import Index
from conf.settings import PREFIX, PROJECT
from local.processes import Process
from streaming.admission.rules import deletions_of
from streaming.documents import DELETIONS, SET_ASIDE_TRACKS, Deletion, deletion_fields
from streaming.source import topics
from ui.data.lake import delete_rows

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from harness import Producer as LoadProducer  # noqa: E402
from harness import World, in_topic, made_events, make_world, rows, state, wait_until_done  # noqa: E402
from topic_records import records_of  # noqa: E402

PATIENCE_S = 240.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    environment = made.environment() | {f"{PREFIX}STREAM__LEDGER_TRIGGER_SECONDS": "0.2"}
    made.environment = lambda: environment  # type: ignore[method-assign]
    try:
        yield made
    finally:
        made.stop()


def until(is_reached: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_reached():
        assert time.monotonic() < deadline, what
        time.sleep(0.5)


def decided(world: World) -> list[tuple[Any, ...]]:
    """(partition, offset) of all rows of the listening topic, in either table."""
    topic = world.settings.kafka.listening_topic
    tables = (rows(world, name, "topic", "partition", "offset") for name in ("listening_events", "rejected_events"))
    return sorted(row[1:] for table in tables for row in table if row[0] == topic)


@pytest.mark.timeout(1200)
def test_two_ledgers_write_nothing_twice_and_all_of_it(world: World, tmp_path: Path) -> None:
    second = Process("ledger", tmp_path / "second")
    environment = world.environment() | {
        f"{PREFIX}HOME": str(tmp_path / "second"),
        f"{PREFIX}LAKE__ROOT": world.settings.lake.root,
    }
    try:
        world.start_driver()
        second.start([PROJECT / "spark-submit.sh", PROJECT / "streaming" / "ledger.py"], environment)
        world.wait_ready()
        producer = LoadProducer(world, made_events(3000), rate=40)
        producer.thread.start()
        producer.thread.join(600)
        assert producer.failed is None and not producer.thread.is_alive(), producer.failed
        events = in_topic(world)
        until(lambda: len(decided(world)) >= events, "not all events are in the lake")
        last = {each["_id"]: each["generation"] for each in world.database.recommendations.find({"_id": {"$ne": "*"}})}
        until(
            lambda: {row[0]: row[1] for row in rows(world, "recommendations", "user_id", "generation")} == last, "lists"
        )
        time.sleep(3)  # for either to write what the other has written
        assert len(decided(world)) == len(set(decided(world))) == events
        lists = rows(world, "recommendations", "user_id", "generation", "rank")
        assert len(lists) == len(set(lists))
        mixes = rows(world, "mixes", "user_id", "list", "generated_at", "rank")
        assert mixes and len(mixes) == len(set(mixes))
        second.require_running("writing")
        logs = world.driver.log.read_text() + second.log.read_text()
        assert "ledger: another ledger writes to this lake" in logs
    finally:
        second.stop()


@pytest.mark.timeout(1200)
def test_an_old_and_a_new_driver_on_one_checkpoint_count_nothing_twice(world: World, tmp_path: Path) -> None:
    """The fast lane in two processes over one home: they take batches away from each other, until the old one ends."""
    new = Process("recommend", tmp_path / "new")
    alone = world.another(tmp_path / "alone")
    try:
        world.start_driver()
        world.wait_ready()
        producer = LoadProducer(world, made_events(3000), rate=40)
        producer.thread.start()
        new.start([PROJECT / "spark-submit.sh", PROJECT / "streaming" / "recommend.py"], world.environment())
        both_logs = lambda: world.driver.log.read_text() + new.log.read_text()  # noqa: E731
        until(lambda: "recommend: another driver works on the same checkpoint" in both_logs(), "they never met")
        time.sleep(10)
        world.driver.stop()
        producer.thread.join(600)
        assert producer.failed is None and not producer.thread.is_alive(), producer.failed
        new.require_running("serving alone")
        alone.start_driver()
        wanted = wait_until_done(alone, in_topic(world))
        alone.driver.stop()
        reached: dict[str, Any] = {}

        def is_equal() -> bool:
            reached.update(state(world))
            return all(reached[part] == wanted[part] for part in ("profiles", "lists", "mixes"))

        until(is_equal, "profiles or lists differ from those of one driver alone")
    finally:
        new.stop()
        alone.driver.stop()


@pytest.mark.timeout(1200)
def test_who_is_deleted_under_load_is_nowhere_in_the_lake(world: World) -> None:
    world.start_driver()
    world.wait_ready()
    producer = LoadProducer(world, made_events(1500), rate=40)
    producer.thread.start()
    draw, kafka = random.Random(3), world.settings.kafka
    while producer.thread.is_alive():
        user = f"ana.{draw.randrange(8)}$@'"
        fields = deletion_fields(datetime.now(UTC), topics.listening_ends(kafka))
        world.database[DELETIONS].update_one({"_id": user}, {"$set": fields}, upsert=True)
        delete_rows(world.settings.lake, user)
        time.sleep(draw.uniform(0.0, 1.0))
    assert producer.failed is None, producer.failed
    deletions = deletions_of([f"ana.{user}$@'" for user in range(25)], world.database)
    others = [f"last-{user}" for user in range(25) if f"ana.{user}$@'" not in deletions]
    until(
        lambda: set(others) <= {row[0] for row in rows(world, "listening_events", "event_id")},
        "the others' last visits",
    )
    assert len(deletions) == 8 and all(len(each.end_by_partition) == kafka.partitions for each in deletions.values())
    events = rows(world, "listening_events", "user_id", "topic_id", "partition", "offset", "received_at")
    assert [event for event in events if event[0] in deletions and deletions[event[0]].covers(*event[1:])] == []
    of_after = lists_of_after(world, deletions)
    for name in ("recommendations", "mixes"):
        lists = {row for row in rows(world, name, "user_id", "generated_at") if row[0] in deletions}
        assert lists - of_after == set(), name


def lists_of_after(world: World, deletions: Mapping[str, Deletion]) -> set[tuple[str, datetime]]:
    """(user id, generated_at) of the lists in the topic that note their listener's last deletion."""
    topic, servers = world.settings.kafka.recommendation_topic, world.kafka.bootstrap_servers
    values = [json.loads(record.value) for record in records_of(topic, servers)]
    return {
        (value["user_id"], datetime.fromisoformat(value["generated_at"]))
        for value in values
        if value["user_id"] in deletions
        and "deleted_at" in value
        and datetime.fromisoformat(value["deleted_at"]) == deletions[value["user_id"]].deleted_at
    }


@pytest.mark.timeout(1200)
def test_tracks_that_the_broker_refuses_hold_up_no_other(world: World) -> None:
    kafka = world.settings.kafka
    admin = KafkaAdminClient(bootstrap_servers=world.kafka.bootstrap_servers)
    admin.alter_configs([ConfigResource("topic", kafka.features_topic, {"max.message.bytes": "10000"})])
    world.start_driver()
    world.wait_ready()
    producer = LoadProducer(world, made_events(400), rate=20)
    producer.thread.start()
    model = registry.latest(world.settings.models.root)
    near = np.array(model.index.vectors[3])
    database = world.database
    for number in range(60):
        near[number % len(near)] += 0.8 * float(model.index.scales[3])
        title = "x" * 20_000 if number % 3 == 0 else f"Song {number}"
        database.tracks.insert_one({"_id": f"new {number}", "title": title, "features": near.tolist()})
    fitting = [f"new {number}" for number in range(60) if number % 3]
    refused = {f"new {number}" for number in range(0, 60, 3)}

    def added(ids: list[str]) -> bool:
        return bool((Index.open(model.folder / "index").rows_of(ids) >= 0).all())

    until(lambda: added(fitting), "what the broker takes is in the index")
    until(lambda: {each["_id"] for each in database[SET_ASIDE_TRACKS].find()} == refused, "the others are set aside")
    producer.thread.join(120)
    assert producer.failed is None, producer.failed
    admin.alter_configs([ConfigResource("topic", kafka.features_topic, {"max.message.bytes": "1000000"})])
    for track_id in refused:
        database.tracks.update_one({"_id": track_id}, {"$set": {"artist": "Somebody"}})
    until(lambda: added(sorted(refused)), "once it takes them, they follow")
    until(lambda: database[SET_ASIDE_TRACKS].count_documents({}) == 0, "and are set aside no longer")
    until(lambda: len(decided(world)) == in_topic(world), "events")
