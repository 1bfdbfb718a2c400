"""The stream on two workers, of which one is killed, and the driver: lists, counts and rows are those of one machine."""

from __future__ import annotations

import os
import signal
import time
import uuid
from typing import Any

import pytest
from cluster_world import World
from deltalake import DeltaTable
from library_runs import LAKE, LISTENERS, ensure_topics, events, published_ids, send
from pymongo import MongoClient
from results import lists

from batch.storage import lease

pytestmark = [pytest.mark.kills, pytest.mark.timeout(1800)]


def test_lists_are_those_of_one_machine_though_worker_and_driver_are_killed(
    world: World, on_one_machine: dict[str, str], on_cluster: dict[str, str]
) -> None:
    made = events(published_ids(world))
    for kind in ("one", "cluster"):
        ensure_topics(world, kind)
        send(world, f"listens-{kind}", made[: len(made) // 2] if kind == "cluster" else made)

    stream = world.start("recommend", on_cluster, "streaming/recommend.py")
    deadline = time.monotonic() + 240
    while len(lists(world, on_cluster)) < LISTENERS // 2:
        stream.require_running("serving")
        assert time.monotonic() < deadline, stream.tail(40) + world.cluster.executor_logs()
        time.sleep(0.3)
    killed = world.cluster.workers["one"]
    os.killpg(killed.pid, signal.SIGKILL)
    send(world, "listens-cluster", made[len(made) // 2 :])
    time.sleep(3)
    os.killpg(stream.pid, signal.SIGKILL)
    killed_at = time.monotonic()
    world.cluster.start_worker("one", world.secrets)
    refusal = world.submit(on_cluster, "streaming/recommend.py", "--until-caught-up", code=1)
    assert "recommend: another recommend writes there: process " in refusal
    world.submit(on_one_machine, "streaming/recommend.py", "--until-caught-up", on_cluster=False)
    world.submit(on_cluster, "streaming/ledger.py", "--until-caught-up")
    time.sleep(max(0.0, killed_at + lease.EXPIRES_S + lease.RENEWED_EVERY_S - time.monotonic()))
    world.submit(on_cluster, "streaming/recommend.py", "--until-caught-up")

    assert lists(world, on_cluster) == lists(world, on_one_machine)
    with MongoClient[dict[str, Any]](world.mongo.uri) as client:
        profiles = {document["_id"]: document for document in client["cluster-cluster"].profiles.find()}
        assert {user: profile["events_applied"] for user, profile in profiles.items()} == {
            f"listener {number}": 6 for number in range(LISTENERS)
        }
    table = DeltaTable(f"{LAKE}/listening_events", storage_options={**world.secrets, "AWS_ALLOW_HTTP": "true"})
    stored = table.to_pyarrow_table(columns=["event_id"])["event_id"].to_pylist()
    assert sorted(stored) == sorted(
        str(uuid.UUID(int=100 * user + number)) for user in range(LISTENERS) for number in range(6)
    )
