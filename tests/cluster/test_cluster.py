"""Every job on two workers that share nothing but an S3 server: tables, model and lists are those of one machine."""

from __future__ import annotations

import os
import signal
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deltalake import DeltaTable
from kafka import KafkaProducer
from pymongo import MongoClient

from batch import registry
from batch.index.lsh import Index
from batch.storage import lease, objects
from batch.versions.remote_index import local_folder
from conf.kafka import Kafka
from conf.settings import PREFIX
from streaming.events import Event, encode
from streaming.source import topics

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
from cluster_world import World  # noqa: E402
from made_library import make_library  # noqa: E402

LAKE, MODELS, CHECKPOINTS = "s3a://overtone/lake", "s3a://overtone/models", "s3a://overtone/checkpoints"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TRACKS = 24
pytestmark = pytest.mark.timeout(1800)  # the first test waits for both runs
LISTENERS = 8


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


@pytest.fixture(scope="module")
def on_one_machine(world: World) -> dict[str, str]:
    """Settings of a library in a folder, of which one machine has made tables, a model and documents."""
    home = world.folder / "home"
    settings = {
        **names("one"),
        f"{PREFIX}LIBRARY__ROOT": str(make_library(world.folder / "music", TRACKS, broken=2)),
        f"{PREFIX}LAKE__ROOT": str(home / "lake"),
        f"{PREFIX}MODELS__ROOT": str(home / "models"),
    }
    world.submit(settings, "local/batch.py", on_cluster=False)
    return settings


@pytest.fixture(scope="module")
def on_cluster(world: World, on_one_machine: dict[str, str]) -> dict[str, str]:
    """Settings of the same library in a bucket, of which the cluster has made the same; a worker is killed meanwhile."""
    music = Path(on_one_machine[f"{PREFIX}LIBRARY__ROOT"])
    for file in sorted(path for path in music.rglob("*") if path.is_file()):
        objects_put(world, f"music/{file.relative_to(music).as_posix()}", file.read_bytes())
    settings = {
        **names("cluster"),
        f"{PREFIX}LIBRARY__ROOT": "s3a://music",
        f"{PREFIX}LAKE__ROOT": LAKE,
        f"{PREFIX}MODELS__ROOT": MODELS,
        f"{PREFIX}STREAM__CHECKPOINTS": CHECKPOINTS,
    }
    world.submit(settings, "local/batch.py")
    return settings


def objects_put(world: World, path: str, content: bytes) -> None:
    with world.store.open_output_stream(path) as out:
        out.write(content)


def rows(location: str, columns: list[str], secrets: dict[str, str]) -> dict[str, Any]:
    """{track id: its other columns} of a Delta table."""
    options = {**secrets, "AWS_ALLOW_HTTP": "true"} if "://" in location else None
    table = DeltaTable(location, storage_options=options).to_pyarrow_table(columns=["track_id", *columns]).to_pylist()
    return {row.pop("track_id"): row for row in table}


def leaves(value: Any, place: str = "") -> dict[str, Any]:
    """{place: value} of what stands in nested objects and lists."""
    if isinstance(value, dict):
        return {name: leaf for key, inner in value.items() for name, leaf in leaves(inner, f"{place}/{key}").items()}
    if isinstance(value, list):
        return leaves(dict(enumerate(value)), place)
    return {place: value}


def test_the_workers_see_nothing_of_the_driver(world: World) -> None:
    for worker in world.cluster.workers.values():
        root = Path("/proc") / str(worker.pid) / "root"
        seen = {folder: list((root / folder.relative_to("/")).iterdir()) for folder in world.cluster.hidden}
        assert world.folder in seen and not any(seen.values())


def test_tables_are_those_of_one_machine(
    world: World, on_one_machine: dict[str, str], on_cluster: dict[str, str]
) -> None:
    tables = []
    for settings in (on_one_machine, on_cluster):
        lake = settings[f"{PREFIX}LAKE__ROOT"]
        columns = ["title", "artist", "genre", "duration_s", "sha256"]
        features = rows(f"{lake}/features", ["vector", "embedding", "extractor_version"], world.secrets)
        rejected = DeltaTable(
            f"{lake}/rejected_tracks",
            storage_options={**world.secrets, "AWS_ALLOW_HTTP": "true"} if "://" in lake else None,
        )
        reasons = sorted(rejected.to_pyarrow_table(columns=["reason"])["reason"].to_pylist())
        tables.append((rows(f"{lake}/tracks", columns, world.secrets), features, reasons))
    assert len(tables[0][0]) == TRACKS and len(tables[0][2]) == 2
    assert tables[0] == tables[1]


def test_the_model_is_that_of_one_machine(
    world: World,
    on_one_machine: dict[str, str],
    on_cluster: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name, value in world.secrets.items():
        monkeypatch.setenv(name, value)
    here = registry.latest(on_one_machine[f"{PREFIX}MODELS__ROOT"])
    there = registry.latest(on_cluster[f"{PREFIX}MODELS__ROOT"])
    different = {"version", "created_at", "library", "metrics", "index_files", "tables"}
    manifests = [leaves({k: v for k, v in model.manifest.items() if k not in different}) for model in (here, there)]
    assert manifests[0] == pytest.approx(manifests[1])  # sums of partitions are added in any order
    indexes = [Index.open(local_folder(model.index_place)) for model in (here, there)]
    assert indexes[0].ids.tolist() == indexes[1].ids.tolist()
    np.testing.assert_allclose(indexes[0].vectors, indexes[1].vectors, atol=1e-5)
    similar = [
        {row["track_id"]: [each["track_id"] for each in row["similar"]] for batch in lists for row in batch.to_pylist()}
        for lists in (model.batches("similar", ["track_id", "similar"]) for model in (here, there))
    ]
    assert similar[0] == similar[1] and len(similar[0]) == TRACKS


def events(ids: list[str]) -> list[tuple[bytes, bytes]]:
    """(key, value): each listener likes one of the two sounds."""
    made = []
    for listener in range(LISTENERS):
        for number in range(6):
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


def send(world: World, topic: str, sent: list[tuple[bytes, bytes]]) -> None:
    producer = KafkaProducer(bootstrap_servers=world.kafka.bootstrap_servers, acks="all")
    for key, value in sent:
        producer.send(topic, key=key, value=value)
    producer.flush()
    producer.close()


def lists(world: World, settings: dict[str, str]) -> dict[str, list[str]]:
    """{listener: ids of the list}"""
    with MongoClient[dict[str, Any]](world.mongo.uri) as client:
        documents = client[settings[f"{PREFIX}MONGO__DATABASE"]].recommendations.find({"_id": {"$ne": "*"}})
        return {document["_id"]: [item["track_id"] for item in document["items"]] for document in documents}


@pytest.mark.kills
def test_lists_are_those_of_one_machine_though_worker_and_driver_are_killed(
    world: World, on_one_machine: dict[str, str], on_cluster: dict[str, str]
) -> None:
    with MongoClient[dict[str, Any]](world.mongo.uri) as client:
        ids = sorted(document["_id"] for document in client["cluster-one"].tracks.find({}, {"_id": 1}))
    made = events(ids)
    for kind in ("one", "cluster"):
        topics.ensure(Kafka(bootstrap_servers=world.kafka.bootstrap_servers, partitions=2, **topic_names(kind)))
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


def test_an_added_track_reaches_the_index_in_the_store(
    world: World, on_cluster: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in world.secrets.items():
        monkeypatch.setenv(name, value)
    with MongoClient[dict[str, Any]](world.mongo.uri) as client:
        tracks = client["cluster-cluster"].tracks
        track = tracks.find_one() or {}
        tracks.insert_one({**track, "_id": "f" * 16, "title": "Added", "artist": "Somebody new"})
    world.submit(on_cluster, "streaming/feed.py", "--until-caught-up")
    assert "1 added" in world.submit(on_cluster, "streaming/catalogue.py", "--until-caught-up")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model = registry.latest(MODELS)
    assert model.index_state == "00000001.npz"
    assert Index.open(local_folder(model.index_place)).rows_of(["f" * 16]).tolist() == [TRACKS]
    assert objects.names(f"{MODELS}/_writers") == []


def test_workers_without_the_environment_are_told_in_one_line(world: World, on_cluster: dict[str, str]) -> None:
    settings = {**on_cluster, "ENVIRONMENT": "", f"{PREFIX}LAKE__ROOT": "s3a://overtone/other-lake"}
    printed = world.submit(settings, "batch/extract.py", code=1)
    assert "extract: a worker cannot run our Python: Cannot run program" in printed
    assert "Traceback" not in printed
