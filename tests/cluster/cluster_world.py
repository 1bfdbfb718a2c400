"""What the tests of a cluster run on, and the jobs run there by spark-submit.sh."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nodes import Cluster
from pyarrow import fs

from conf.settings import PREFIX, PROJECT
from local.processes import Process
from local.services import KafkaServer, MongoServer

JOB_S = 900
MESSAGE_CHARACTERS = 10_000


@dataclass
class World:
    """What the jobs run on.

    folder : the driver's own: home, music, temporary files;  secrets : for driver and workers, by the environment alone
    """

    cluster: Cluster
    mongo: MongoServer
    kafka: KafkaServer
    store: fs.S3FileSystem
    folder: Path
    archive: Path
    secrets: dict[str, str]

    def environment(self, settings: dict[str, str], on_cluster: bool) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        cluster = (
            {"MASTER": self.cluster.url, "ENVIRONMENT": str(self.archive)} if on_cluster else {"MASTER": "local[2,4]"}
        )
        common = {
            f"{PREFIX}HOME": str(self.folder / "home"),
            f"{PREFIX}MONGO__URI": self.mongo.uri,
            f"{PREFIX}KAFKA__BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            f"{PREFIX}STREAM__METRICS_PORT": "0",
            f"{PREFIX}STREAM__SMALL_BATCH_EVENTS": "0",  # every batch is served by the executors
            "TMPDIR": str(self.folder / "tmp"),
            "SPARK_LOCAL_IP": "127.0.0.1",
        }
        return {**ours, **common, **self.secrets, **cluster, **settings}

    def submit(self, settings: dict[str, str], *arguments: str, on_cluster: bool = True, code: int = 0) -> str:
        """What a job prints.  arguments : the job's file, below the project, and its own arguments"""
        command = [PROJECT / "spark-submit.sh", PROJECT / arguments[0], *arguments[1:]]
        environment = self.environment(settings, on_cluster)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd="/", timeout=JOB_S)
        printed = done.stdout + done.stderr
        assert done.returncode == code, self.message(printed)
        return printed

    def message(self, printed: str) -> str:
        """What says why a job failed: the end of what it printed without Java's frames, and the logs of its executors."""
        without_frames = "\n".join(line for line in printed.splitlines() if not line.startswith("\tat "))
        return without_frames[-MESSAGE_CHARACTERS:] + self.cluster.executor_logs()

    def start(self, name: str, settings: dict[str, str], *arguments: str, spark: Sequence[str] = ()) -> Process:
        """A job in the background.  spark : options for it"""
        command = [PROJECT / "spark-submit.sh", *spark, PROJECT / arguments[0], *arguments[1:]]
        return Process(name, self.folder / "home").start(command, self.environment(settings, True), cwd=Path("/"))


def objects_put(world: World, path: str, content: bytes) -> None:
    with world.store.open_output_stream(path) as out:
        out.write(content)
