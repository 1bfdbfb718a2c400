"""A cluster, an S3 server, MongoDB and Kafka, and what one machine and the cluster have made of one library."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch.atomic import replacing
from bench.s3_server import S3Server
from conf.settings import PREFIX, PROJECT
from local.processes import command_line, family
from local.services import KafkaServer, MongoServer

sys.path += [str(Path(__file__).parents[1] / name) for name in ("cluster", "e2e")]
from cluster_world import World, objects_put  # noqa: E402
from library_runs import CHECKPOINTS, LAKE, MODELS, TRACKS, names  # noqa: E402
from made_library import make_library  # noqa: E402
from nodes import Cluster, hidden_from_workers, missing_tools  # noqa: E402
from watched_job import WatchedJob  # noqa: E402


@pytest.fixture(scope="session")
def archive() -> Path:
    """The executors' environment, packed once for what decides its content."""
    script = PROJECT / "deploy" / "pack-environment.sh"
    contents = [file.read_bytes() for file in (*sorted(PROJECT.glob("requirements*.txt")), PROJECT / "constraints.txt")]
    key = hashlib.sha256(b"\0".join([*contents, script.read_bytes(), sys.version.encode()])).hexdigest()[:16]
    folder = PROJECT / ".cache"
    file = folder / f"environment-{key}.tar.gz"
    if not file.exists():
        folder.mkdir(exist_ok=True)
        for former in folder.glob("environment-*.tar.gz"):
            former.unlink()
        with replacing(file) as part:
            packed = part.with_name(f"{part.name}.tar.gz")  # the packer goes by the name's end
            subprocess.run([script, packed], check=True, capture_output=True, text=True)
            packed.rename(part)
    return file


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, archive: Path) -> Iterator[World]:
    """All that the jobs run on, with two workers."""
    assert missing_tools() == [], "needed for nodes that share nothing"
    folder = tmp_path_factory.mktemp("driver")
    for name in ("home", "music", "tmp"):
        (folder / name).mkdir()
    nodes = tmp_path_factory.mktemp("cluster")
    s3 = S3Server(nodes)
    services = tmp_path_factory.mktemp("services")
    mongo, kafka = MongoServer(services), KafkaServer(services)
    cluster = Cluster(nodes, hidden_from_workers(folder))
    try:
        s3.start()
        mongo.start()
        kafka.start()
        cluster.start(["one", "two"], s3.environment)
        mongo.wait()
        kafka.wait()
        store = s3.wait("music", "overtone")
        yield World(cluster, mongo, kafka, store, folder, archive, s3.environment)
    finally:
        cluster.stop()
        s3.stop()
        kafka.stop()
        mongo.stop()


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def on_cluster(world: World, on_one_machine: dict[str, str]) -> dict[str, str]:
    """Settings of the same library in a bucket, of which the cluster has made the same; a worker is killed as it reads files."""
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
    with WatchedJob(world, settings, "local/batch.py") as job:
        worker, executor = job.kill_worker_at_work(is_at_work=is_reading_files)
        world.cluster.start_worker(worker, world.secrets)
        job.wait()
    assert job.lost_tasks(executor) >= 1
    return settings


@pytest.fixture
def reading_store(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Lets this process read the store, as a node of its own."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name, value in world.secrets.items():
        monkeypatch.setenv(name, value)


def is_reading_files(executor: int) -> bool:
    """Whether the executor's Python has begun a process that reads audio."""
    return any(b"batch.library.extraction:read_file" in command_line(process) for process in family([executor]))
