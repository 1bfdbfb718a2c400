"""Extract, train and publish on two workers that share nothing but an S3 server: tables and model are those of one machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deltalake import DeltaTable

from batch import registry
from batch.index.lsh import Index
from batch.versions.remote_index import local_folder
from conf.settings import PREFIX

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
from cluster_world import World  # noqa: E402
from made_library import make_library  # noqa: E402

LAKE, MODELS, CHECKPOINTS = "s3a://overtone/lake", "s3a://overtone/models", "s3a://overtone/checkpoints"
TRACKS = 24
pytestmark = pytest.mark.timeout(1800)  # the first test waits for both runs


def names(kind: str) -> dict[str, str]:
    """A database and topics of its own."""
    return {
        f"{PREFIX}MONGO__DATABASE": f"cluster-{kind}",
        f"{PREFIX}KAFKA__LISTENING_TOPIC": f"listens-{kind}",
        f"{PREFIX}KAFKA__RECOMMENDATION_TOPIC": f"lists-{kind}",
        f"{PREFIX}KAFKA__FEATURES_TOPIC": f"features-{kind}",
    }


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
    """Settings of the same library in a bucket, of which the cluster has made the same."""
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
    assert {name: value for name, value in here.manifest.items() if name not in different} == {
        name: value for name, value in there.manifest.items() if name not in different
    }
    indexes = [Index.open(local_folder(model.index_place)) for model in (here, there)]
    assert indexes[0].ids.tolist() == indexes[1].ids.tolist()
    np.testing.assert_allclose(indexes[0].vectors, indexes[1].vectors, atol=1e-5)
    similar = [
        {row["track_id"]: [each["track_id"] for each in row["similar"]] for batch in lists for row in batch.to_pylist()}
        for lists in (model.batches("similar", ["track_id", "similar"]) for model in (here, there))
    ]
    assert similar[0] == similar[1] and len(similar[0]) == TRACKS


def test_workers_without_the_environment_are_told_in_one_line(world: World, on_cluster: dict[str, str]) -> None:
    settings = {**on_cluster, "ENVIRONMENT": "", f"{PREFIX}LAKE__ROOT": "s3a://overtone/other-lake"}
    printed = world.submit(settings, "batch/extract.py", code=1)
    assert "extract: a worker cannot run our Python: Cannot run program" in printed
    assert "Traceback" not in printed
