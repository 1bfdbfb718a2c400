"""Every job on two workers that share nothing but an S3 server: tables and model are those of one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cluster_world import World
from deltalake import DeltaTable
from library_runs import ADDED, MODELS, TRACKS
from pymongo import MongoClient
from results import assert_same_model, rows

from batch import registry
from batch.index.lsh import Index
from batch.storage import objects
from batch.versions.remote_index import local_folder
from conf.settings import PREFIX

pytestmark = pytest.mark.timeout(1800)  # the first test waits for both runs


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
    on_one_machine: dict[str, str], on_cluster: dict[str, str], reading_store: None
) -> None:
    assert_same_model(on_one_machine, on_cluster)


def test_an_added_track_reaches_the_index_in_the_store(
    world: World, on_cluster: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in world.secrets.items():
        monkeypatch.setenv(name, value)
    with MongoClient[dict[str, Any]](world.mongo.uri) as client:
        tracks = client["cluster-cluster"].tracks
        track = tracks.find_one() or {}
        tracks.insert_one({**track, "_id": ADDED, "title": "Added", "artist": "Somebody new"})
    world.submit(on_cluster, "streaming/feed.py", "--until-caught-up")
    assert "1 added" in world.submit(on_cluster, "streaming/catalogue.py", "--until-caught-up")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model = registry.latest(MODELS)
    assert model.index_state == "00000001.npz"
    assert Index.open(local_folder(model.index_place)).rows_of([ADDED]).tolist() == [TRACKS]
    assert objects.names(f"{MODELS}/_writers") == []


def test_workers_without_the_environment_are_told_in_one_line(world: World, on_cluster: dict[str, str]) -> None:
    settings = {**on_cluster, "ENVIRONMENT": "", f"{PREFIX}LAKE__ROOT": "s3a://overtone/other-lake"}
    printed = world.submit(settings, "batch/extract.py", code=1)
    assert "extract: a worker cannot run our Python: Cannot run program" in printed
    assert "Traceback" not in printed
