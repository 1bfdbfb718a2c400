"""The running driver, as an operator meets it: a new model, new tracks, services that go away and come back, figures to watch."""

from __future__ import annotations

import os
import signal
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from kafka import KafkaAdminClient, KafkaProducer

from batch import registry
from batch.index.lsh import Index
from conf.settings import PREFIX
from local.processes import free_port
from local.services import KafkaServer, MongoServer
from streaming.events import Event, encode
from streaming.serving.clients import SERVER_SELECTION_TIMEOUT_MS
from streaming.source import topics

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from harness import D, World, make_model, make_world  # noqa: E402

MONGO_AWAY_S = SERVER_SELECTION_TIMEOUT_MS / 1000 + 5.0
"""Longer than a new connection waits for the server."""
KAFKA_AWAY_S = 10.0
"""Several micro-batches, and attempts of a consumer to reconnect, at most a second apart."""


class Running:
    """A world whose driver runs, and a producer."""

    def __init__(self, world: World, metrics: int) -> None:
        self.world, self.metrics = world, metrics
        self.sent = 0

    def send(self, user: str, track: str | None, action: str, target: str | None = None) -> None:
        producer = KafkaProducer(bootstrap_servers=self.world.kafka.bootstrap_servers, acks="all")
        event = Event(user, track, action, datetime.now(UTC), target=target)
        topic = self.world.settings.kafka.listening_topic
        producer.send(topic, key=user.encode(), value=encode(event)).get(timeout=60)
        producer.close()

    def wait(
        self,
        user: str,
        what: Callable[[dict[str, Any]], bool],
        collection: str = "recommendations",
        seconds: float = 90.0,
    ) -> dict[str, Any]:
        """A listener's list, or profile, which is written after it, as soon as it is as wanted."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.world.database[collection].find_one({"_id": user}) or {}
            if found and what(found):
                return dict(found)
            assert time.monotonic() < deadline, f"last of {collection} {found}\n{self.world.driver.tail(30)}"
            self.world.driver.require_running("serving")
            time.sleep(0.1)

    def wait_ok(self, path: str, seconds: float = 60.0) -> None:
        """Returns when the driver answers a probe with 200."""
        deadline = time.monotonic() + seconds
        while True:
            response = httpx.get(f"http://127.0.0.1:{self.metrics}/{path}", timeout=30)
            if response.status_code == 200:
                assert response.json() == {"status": "ok", "problems": []}
                return
            assert time.monotonic() < deadline, response.text
            time.sleep(0.5)

    def lands(self, table: str, column: str, wanted: dict[str, int], seconds: float = 90.0) -> Counter[str]:
        """Rows by a column, as soon as there are as many as wanted."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                found = DeltaTable(self.world.settings.lake.table(table)).to_pyarrow_table(columns=[column])
            except TableNotFoundError:
                found = {column: pa.chunked_array([[]], pa.string())}
            counts = Counter(found[column].to_pylist())
            if all(counts[value] >= number for value, number in wanted.items()) or time.monotonic() > deadline:
                return counts
            self.world.driver.require_running("landing")
            time.sleep(0.5)


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, killable_servers: tuple[MongoServer, KafkaServer]
) -> Iterator[Running]:
    world = make_world(tmp_path_factory.mktemp("stream"), killable_servers)
    port = free_port()
    environment = world.environment()
    environment[f"{PREFIX}STREAM__METRICS_PORT"] = str(port)
    world.environment = lambda: environment  # type: ignore[method-assign]
    try:
        world.start_driver()
        world.wait_ready()
        yield Running(world, port)
    finally:
        world.driver.stop()


def track(at: int) -> str:
    return f"{at:016x}"


def test_a_list_follows_and_a_muted_artist_leaves_it(running: Running) -> None:
    running.send("ana", track(3), "like")
    first = running.wait("ana", lambda found: found["events_applied"] == 1)
    tracks = {one["_id"]: one for one in running.world.database.tracks.find()}
    artist = tracks[first["items"][0]["track_id"]]["artist"]
    running.send("ana", None, "mute", f"artist:{artist}")
    second = running.wait("ana", lambda found: found["events_applied"] == 2)
    assert artist not in {tracks[item["track_id"]]["artist"] for item in second["items"]}
    profile = running.wait("ana", lambda found: found["events_applied"] == 2, "profiles")
    assert profile["muted"] == [f"artist:{artist}"] and profile["centres"][0]["tracks"] == [track(3)]


def test_a_new_model_is_taken_up_between_micro_batches(running: Running) -> None:
    root = Path(running.world.settings.models.root)
    before = registry.latest(str(root)).version
    running.send("flo", track(4), "play")
    assert running.wait("flo", lambda found: found["events_applied"] == 1)["model_version"] == before
    make_model(root, hour=13)
    after = registry.latest(str(root)).version
    assert after != before
    running.send("flo", track(5), "play")
    running.wait("flo", lambda found: found["model_version"] == after)


def test_a_new_track_is_listed_without_a_restart_and_a_removed_one_is_not(running: Running) -> None:
    database = running.world.database
    model = registry.latest(running.world.settings.models.root)
    near = np.array(model.index.vectors[3])
    near[0] += 0.8 * float(model.index.scales[3])  # another song: what is nearer would be the same recording
    database.tracks.insert_one({"_id": "new", "title": "New", "artist": "New Artist", "features": near.tolist()})
    arrived = time.monotonic()
    while Index.open(model.folder / "index").rows_of(["new"])[0] < 0:
        assert time.monotonic() < arrived + 90, running.world.driver.tail(30)
        time.sleep(0.2)
    running.send("bo", track(3), "like")
    listed = running.wait("bo", lambda found: found["events_applied"] == 1)
    assert "new" in [item["track_id"] for item in listed["items"]]
    assert len(near) == D
    database.tracks.delete_one({"_id": "new"})
    gone = time.monotonic()
    while Index.open(model.folder / "index").rows_of(["new"])[0] >= 0:
        assert time.monotonic() < gone + 90, running.world.driver.tail(30)
        time.sleep(0.2)
    running.send("bo", track(4), "play")
    listed = running.wait("bo", lambda found: found["events_applied"] == 2)
    assert "new" not in [item["track_id"] for item in listed["items"]]


def test_values_that_are_no_lists_and_very_large_ones_hold_up_nobody(running: Running) -> None:
    kafka = running.world.settings.kafka
    producer = KafkaProducer(bootstrap_servers=running.world.kafka.bootstrap_servers, acks="all")
    for value in (b"hello", b'{"user_id": 7}', b"\xff", b"[]"):
        producer.send(kafka.recommendation_topic, key=b"x", value=value)
    for _ in range(1_000):  # more than is taken at once
        producer.send(kafka.listening_topic, key=b"x", value=b"[" * 65_000)
    producer.flush(60)
    producer.close()
    running.send("di", track(7), "like")
    running.wait("di", lambda found: found["events_applied"] == 1)
    landed = running.lands("listening_events", "user_id", {"di": 1})
    assert landed["di"] == 1
    refused = running.lands("rejected_events", "topic", {kafka.recommendation_topic: 4, kafka.listening_topic: 1_000})
    assert refused == {kafka.recommendation_topic: 4, kafka.listening_topic: 1_000}


def test_topics_that_are_made_anew_are_noticed(running: Running) -> None:
    world, kafka = running.world, running.world.settings.kafka
    admin = KafkaAdminClient(bootstrap_servers=world.kafka.bootstrap_servers)
    admin.delete_topics([kafka.listening_topic])
    deadline = time.monotonic() + 60
    while kafka.listening_topic in admin.list_topics():
        assert time.monotonic() < deadline, "the topic is not deleted"
        time.sleep(0.1)
    topics.ensure(kafka)
    admin.close()
    running.send("ed", track(8), "like")
    running.wait("ed", lambda found: found["events_applied"] == 1)
    assert running.lands("listening_events", "user_id", {"ed": 1})["ed"] == 1


def test_while_mongodb_is_away_the_stream_waits(running: Running) -> None:
    group = running.world.mongo.process.pid
    os.killpg(group, signal.SIGSTOP)
    try:
        running.send("cy", track(9), "like")
        time.sleep(MONGO_AWAY_S)  # a query that waits leaves nothing to poll for
    finally:
        os.killpg(group, signal.SIGCONT)
    running.wait("cy", lambda found: found["events_applied"] == 1)
    running.world.driver.require_running("serving")


def test_a_kafka_that_was_killed_is_waited_for(running: Running) -> None:
    kafka = running.world.kafka
    os.killpg(kafka.process.pid, signal.SIGKILL)
    kafka.process.stop(0)
    time.sleep(KAFKA_AWAY_S)  # a consumer that reconnects leaves nothing to poll for
    kafka.start()
    kafka.wait()
    running.send("guy", track(10), "play")
    running.wait("guy", lambda found: found["events_applied"] == 1)
    running.world.driver.require_running("serving")


def test_the_figures_are_there_to_watch(running: Running) -> None:
    running.send("hal", track(11), "play")
    running.wait("hal", lambda found: found["events_applied"] == 1)
    deadline = time.monotonic() + 60
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{running.metrics}/metrics", timeout=60) as answer:
            text = answer.read().decode()
        status = {document["_id"]: document for document in running.world.database.status.find()}
        is_measured = 'overtone_event_to_list_seconds{quantile="0.95"}' in text
        if is_measured and (status.get("recommend") or {}).get("p95_s") and "batch_ms" in status.get("ledger", {}):
            break
        assert time.monotonic() < deadline, status
        time.sleep(0.2)
    assert 'overtone_query_running{query="recommend"} 1' in text
    assert "overtone_applied_total" in text and 'overtone_event_to_list_seconds{quantile="0.95"}' in text
    assert status["recommend"]["model_version"] == registry.latest(running.world.settings.models.root).version
    assert status["recommend"]["p95_s"] >= status["recommend"]["p50_s"] > 0
    assert {"lag_events", "batch_ms", "at"} <= status["ledger"].keys()
    signs = {
        query for query in ("recommend", "ledger", "feed", "catalogue") if f'_since_sign{{query="{query}"}}' in text
    }
    assert signs == {"recommend", "ledger", "feed", "catalogue"}
    for path in ("healthz", "readyz"):
        running.wait_ok(path)
    deadline = time.monotonic() + 60
    while True:
        report = running.world.database.status.find_one({"_id": "recommend"})
        if report.get("idle") and report["lag_events"] is not None:  # None: started again, nothing looked at yet
            break
        assert time.monotonic() < deadline, report
        time.sleep(0.5)
    assert (report["running"], report["lag_events"], report["events_per_second"]) == (True, 0, 0.0)
