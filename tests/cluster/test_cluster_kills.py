"""Workers and drivers that are killed, a clock that is off, a model that is removed: nothing is lost, nothing is there twice."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cluster_world import World, objects_put
from deltalake import DeltaTable
from library_runs import (
    EVENTS_A_LISTENER,
    LAKE,
    LISTENERS,
    TRACKS,
    ensure_topics,
    events,
    names,
    published_ids,
    send,
    visits,
)
from pyarrow import fs
from pymongo import MongoClient
from results import applied, assert_same_model, lists, published
from watched_job import WatchedJob

from batch.storage import lease
from conf.settings import PREFIX

CLOCK_AHEAD_S = 600
PATIENCE_S = 240.0
pytestmark = [pytest.mark.kills, pytest.mark.timeout(1800)]


def test_lists_are_those_of_one_machine_though_workers_and_driver_are_killed_and_a_clock_is_off(
    world: World, on_one_machine: dict[str, str], on_cluster: dict[str, str]
) -> None:
    made = events(published_ids(world))
    first, second, last = made[:24], made[24:36], made[36:]
    for kind in ("one", "cluster"):
        ensure_topics(world, kind)
    send(world, "listens-one", made)
    send(world, "listens-cluster", first)

    with WatchedJob(world, on_cluster, "streaming/recommend.py") as stream:
        wait_for(lambda: len(lists(world, on_cluster)) == LISTENERS // 2, stream)
        os.killpg(world.mongo.process.pid, signal.SIGSTOP)  # so that what serves does not end before it is killed
        send(world, "listens-cluster", second)
        killed, executor = stream.kill_worker_at_work()
        wait_for(lambda: stream.tasks_lost_so_far(executor) >= 1, stream)
        wait_for(lambda: any(task.executor != executor for task in stream.running_tasks()), stream)
        os.killpg(stream.process.pid, signal.SIGKILL)
        killed_at = time.monotonic()
    os.killpg(world.mongo.process.pid, signal.SIGCONT)
    send(world, "listens-cluster", last)
    clocks = {killed: CLOCK_AHEAD_S}
    world.cluster.start_worker(killed, world.secrets, clocks[killed])

    refusal = world.submit(on_cluster, "streaming/recommend.py", "--until-caught-up", code=1)
    assert "recommend: another recommend writes there: process " in refusal
    world.submit(on_one_machine, "streaming/recommend.py", "--until-caught-up", on_cluster=False)
    time.sleep(max(0.0, killed_at + lease.EXPIRES_S + lease.RENEWED_EVERY_S - time.monotonic()))
    in_small_tasks = {**on_cluster, f"{PREFIX}STREAM__EVENTS_PER_TASK": "3"}  # some for either executor
    printed = world.submit(in_small_tasks, "streaming/recommend.py", "--until-caught-up")
    assert printed.count(f"recommend: the clock of {socket.gethostname()} is at least ") == 1
    assert " s ahead of this driver's; set it right by NTP" in printed

    with WatchedJob(world, on_cluster, "streaming/ledger.py", "--until-caught-up") as ledger:
        worker, executor = ledger.kill_worker_at_work()
        world.cluster.start_worker(worker, world.secrets, clocks.get(worker, 0))
        ledger.wait()
    assert ledger.lost_tasks(executor) >= 1

    assert lists(world, on_cluster) == lists(world, on_one_machine)
    assert applied(world, on_cluster) == {f"listener {number}": EVENTS_A_LISTENER for number in range(LISTENERS)}
    options = {**world.secrets, "AWS_ALLOW_HTTP": "true"}
    stored, listed = (
        DeltaTable(f"{LAKE}/{name}", storage_options=options).to_pyarrow_table(columns=columns).to_pylist()
        for name, columns in (
            ("listening_events", ["event_id"]),
            ("recommendations", ["user_id", "generation", "rank", "generated_at"]),
        )
    )
    assert sorted(row["event_id"] for row in stored) == sorted(
        str(uuid.UUID(int=100 * user + number)) for user in range(LISTENERS) for number in range(EVENTS_A_LISTENER)
    )
    assert len({(row["user_id"], row["generation"], row["rank"]) for row in listed}) == len(listed)
    assert {row["user_id"] for row in listed} == set(lists(world, on_cluster))
    assert all(row["generated_at"] < datetime.now(UTC) for row in listed)  # not by the clock that is ahead
    world.cluster.kill_worker(world.cluster.workers[killed].pid)
    world.cluster.start_worker(killed, world.secrets)


def test_model_and_documents_are_the_same_though_a_worker_is_killed_in_training_and_in_publishing(
    world: World, on_one_machine: dict[str, str], on_cluster: dict[str, str], reading_store: None
) -> None:
    again = {**on_cluster, **names("again"), f"{PREFIX}MODELS__ROOT": "s3a://overtone/models-again"}
    uploaded = fs.FileSelector("overtone/models-again", recursive=True, allow_not_found=True)
    executors = []
    with WatchedJob(world, again, "local/batch.py") as job:
        for is_time in (
            lambda: any("/index/" in entry.path for entry in world.store.get_file_info(uploaded)),
            lambda: "train: model" in job.printed,
        ):
            worker, executor = job.kill_worker_at_work(is_time)
            world.cluster.start_worker(worker, world.secrets)
            executors.append(executor)
        assert f"publish: {TRACKS} tracks, 0 removed" in job.wait()
    assert [job.lost_tasks(executor) >= 1 for executor in executors] == [True, True]
    assert_same_model(on_one_machine, again)
    first, second = published(world, on_cluster), published(world, again)
    assert len(first["tracks"]) == TRACKS and first["artists"]
    for name, documents in first.items():
        assert documents.keys() == second[name].keys()
        for document_id, document in documents.items():
            other = second[name][document_id]
            assert document.keys() == other.keys()
            for place, value in document.items():
                expected = pytest.approx(other[place], abs=1e-5) if isinstance(value, float) else other[place]
                assert value == expected, (document_id, place)


def test_a_model_that_is_removed_while_in_use_is_served_from_the_nodes_copies(
    world: World, on_cluster: dict[str, str]
) -> None:
    made = events(published_ids(world))
    settings = {
        **on_cluster,
        **names("removed"),
        f"{PREFIX}MODELS__ROOT": "s3a://overtone/models-removed",
        f"{PREFIX}STREAM__CHECKPOINTS": "s3a://overtone/checkpoints-removed",
        f"{PREFIX}STREAM__EVENTS_PER_TASK": "3",
    }
    ensure_topics(world, "removed")
    with MongoClient[dict[str, Any]](world.mongo.uri) as client:
        for name in ("tracks", "recommendations"):
            documents = client["cluster-cluster"][name].find({} if name == "tracks" else {"_id": "*"})
            client["cluster-removed"][name].insert_many(documents)
    publish_copy(world, "1")
    sent = 0

    def serve(some: list[tuple[bytes, bytes]]) -> None:
        nonlocal sent
        send(world, "listens-removed", some)
        sent += len(some)
        wait_for(lambda: sum(applied(world, settings).values()) == sent, stream)

    caches = {name: world.cluster.folder_of(name) / "tmp" / "overtone-models-0" for name in world.cluster.workers}
    former = {name: indexes(cache) for name, cache in caches.items()}
    with WatchedJob(world, settings, "streaming/recommend.py") as stream:
        serve(made[:24])
        for _ in range(10):  # until both nodes have served
            if all(indexes(cache) - former[name] for name, cache in caches.items()):
                break
            serve(visits())
        assert all(indexes(cache) - former[name] for name, cache in caches.items())
        world.store.delete_dir("overtone/models-removed/1")
        shutil.rmtree(caches["two"])
        serve(made[24:])
        assert set(lists(world, settings)) == {f"listener {number}" for number in range(LISTENERS)}
        removed = (
            "recommend: no model version '1' in s3a://overtone/models-removed; run ./spark-submit.sh batch/train.py"
        )
        assert stream.printed.count(removed) == 1

        for name, worker in [*world.cluster.workers.items()]:
            world.cluster.kill_worker(worker.pid)
            shutil.rmtree(caches[name], ignore_errors=True)
            world.cluster.start_worker(name, world.secrets)
        send(world, "listens-removed", visits())
        sent += LISTENERS
        (last_line,) = [line for line in stream.wait(code=1).splitlines() if line.startswith("recommend: batch.index")]
        assert "no index in s3a://overtone/models-removed/1/index: " in last_line
        assert last_line.endswith("is missing; train again. Started again, it goes on where it was")

    publish_copy(world, "2")
    world.submit(settings, "streaming/recommend.py", "--until-caught-up")
    assert sum(applied(world, settings).values()) == sent
    with MongoClient[dict[str, Any]](world.mongo.uri) as client:
        documents = client["cluster-removed"].recommendations.find({"_id": {"$ne": "*"}})
        assert {document["model_version"] for document in documents} == {"2"}


def wait_for(what: Callable[[], bool], job: WatchedJob) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        job.process.require_running("serving")
        assert time.monotonic() < deadline, job.process.tail(40) + job.world.cluster.executor_logs()
        time.sleep(0.2)


def publish_copy(world: World, version: str) -> None:
    """Makes a copy of the cluster's model the latest version below `models-removed`."""
    with world.store.open_input_stream("overtone/models/latest") as content:
        trained = str(content.read(), "utf-8").strip()
    fs.copy_files(
        f"overtone/models/{trained}",
        f"overtone/models-removed/{version}",
        source_filesystem=world.store,
        destination_filesystem=world.store,
    )
    objects_put(world, "overtone/models-removed/latest", f"{version}\n".encode())


def indexes(cache: Path) -> set[str]:
    """Names of the indexes in a node's cache."""
    return {folder.name for folder in cache.glob("indexes/[0-9a-f]*")}
