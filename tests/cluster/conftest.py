"""A cluster, an S3 server, MongoDB and Kafka."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch.atomic import replacing
from conf.settings import PROJECT
from local.processes import Process, free_port
from local.services import KafkaServer, MongoServer

sys.path.insert(0, str(Path(__file__).parent))
from cluster_world import World, store_of  # noqa: E402
from nodes import Cluster, hidden_from_workers, missing_tools  # noqa: E402


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
    port = free_port()
    nodes = tmp_path_factory.mktemp("cluster")
    s3 = Process("s3", nodes)
    secrets = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "name",
        "AWS_SECRET_ACCESS_KEY": "word",
        "AWS_REGION": "us-east-1",
    }
    services = tmp_path_factory.mktemp("services")
    mongo, kafka = MongoServer(services), KafkaServer(services)
    cluster = Cluster(nodes, hidden_from_workers(folder))
    try:
        s3.start([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)])
        mongo.start()
        kafka.start()
        cluster.start(["one", "two"], secrets)
        mongo.wait()
        kafka.wait()
        store = store_of(port, s3)
        yield World(cluster, mongo, kafka, store, folder, archive, secrets)
    finally:
        cluster.stop()
        s3.stop()
        kafka.stop()
        mongo.stop()
