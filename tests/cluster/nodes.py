"""A Spark cluster on this machine whose nodes share nothing: a master and workers, each with a file system view of its own.

A worker runs in a mount namespace where the project, the driver's home, its music and its temporary files are empty folders. It
has Spark, a Python, Java, the network, and folders of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import libfaketime
import pyspark

from conf.settings import PROJECT
from local.processes import Process, free_port

START_S = 180.0
WORKER_MB = 1400
PYSPARK = Path(pyspark.__file__).resolve().parent
OTHER_CLOCK = next(Path(libfaketime.__file__).parent.rglob("libfaketime.so.1"))
"""Java does not run with it: its waits end at once."""
CLOCK_OF_PYTHON = """
import os, sys
if "LD_PRELOAD" not in os.environ:
    os.environ["LD_PRELOAD"] = os.environ["OTHER_CLOCK"]
    os.execv(sys.executable, sys.orig_argv)
"""
"""Imported by each Python as it starts (`sitecustomize`): starts it again with the other clock."""
NODE_SCRIPT = """
set -e
mount --bind "$PYSPARK" "$SPARK_HOME"
for folder in $HIDDEN; do mount -t tmpfs -o size=64k tmpfs "$folder"; done
cd "$NODE"
exec java -cp "$SPARK_HOME/jars/*" -Xmx256m -Dspark.worker.cleanup.interval=10 -Dspark.worker.cleanup.appDataTtl=1 \
  org.apache.spark.deploy.worker.Worker --host 127.0.0.1 --cores 1 \
  --memory "${MEMORY_MB}m" --work-dir "$NODE/work" --webui-port 0 "$MASTER"
"""


class Cluster:
    """A standalone master and its workers.

    folder : for what they keep;  hidden : folders that workers see empty
    """

    def __init__(self, folder: Path, hidden: Sequence[Path]) -> None:
        self._folder, self.hidden = folder, list(hidden)
        self._master = Process("master", folder)
        self.workers: dict[str, Process] = {}
        self._page = free_port()
        self.url = f"spark://127.0.0.1:{free_port()}"

    def start(self, names: Sequence[str], secrets: dict[str, str]) -> None:
        """Starts the master and a worker of each name, and waits until all are there.  secrets : in the workers' environment"""
        page = ["--webui-port", str(self._page)]
        place = ["--host", "127.0.0.1", "--port", self.url.rpartition(":")[2]]
        classes = f"{PYSPARK}/jars/*"
        self._master.start(
            ["java", "-cp", classes, "-Xmx256m", "-Dspark.master.rest.enabled=false"]
            + ["org.apache.spark.deploy.master.Master", *place, *page],
            {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"},
        )
        self.wait_for(0)  # a worker that asks too early asks again after seconds only
        for name in names:
            self.start_worker(name, secrets)
        self.wait_for(len(names))

    def wait_for(self, workers: int) -> None:
        """Waits until the master answers and counts so many workers."""
        deadline = time.monotonic() + START_S
        while (alive := self.alive_workers()) is None or len(alive) < workers:
            for process in (self._master, *self.workers.values()):
                process.require_running("starting")
            assert time.monotonic() < deadline, self._master.tail()
            time.sleep(0.2)

    def start_worker(self, name: str, secrets: dict[str, str], clock_ahead_s: int = 0) -> None:
        """Starts a worker.  clock_ahead_s : of its Python, before this machine's"""
        node = self.folder_of(name)
        for folder in ("tmp", "spark", "work"):
            (node / folder).mkdir(parents=True, exist_ok=True)
        environment = {
            "PATH": os.environ["PATH"],
            "NODE": str(node),
            "TMPDIR": str(node / "tmp"),
            "SPARK_HOME": str(node / "spark"),
            "SPARK_LOCAL_DIRS": str(node / "tmp"),
            "SPARK_SCALA_VERSION": "2.13",
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK": str(PYSPARK),
            "HIDDEN": " ".join(map(str, self.hidden)),
            "MASTER": self.url,
            "MEMORY_MB": str(WORKER_MB),
            **({"JAVA_HOME": os.environ["JAVA_HOME"]} if "JAVA_HOME" in os.environ else {}),
            **secrets,
            **(_other_clock(node / "clock", clock_ahead_s) if clock_ahead_s else {}),
        }
        as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
        command = ["unshare", "--mount", "--propagation", "private", *as_root, "bash", "-c", NODE_SCRIPT]
        self.workers[name] = Process(f"worker-{name}", self._folder).start(command, environment, cwd=node)

    def folder_of(self, name: str) -> Path:
        """What a worker has for itself."""
        return self._folder / name

    def kill_worker(self, process_id: int) -> str:
        """Kills the worker to whose process group a process belongs, with its executors; returns its name."""
        group = os.getpgid(process_id)
        (name,) = (name for name, worker in self.workers.items() if worker.pid == group)
        os.killpg(group, signal.SIGKILL)
        self.workers[name].stop(0)
        for unpacked in (self.folder_of(name) / "tmp").glob("spark-*"):  # a gigabyte of each executor
            shutil.rmtree(unpacked, ignore_errors=True)
        return name

    def alive_workers(self) -> list[str] | None:
        """Ids of the workers that the master counts as alive; None where it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._page}/json/", timeout=5) as answer:  # noqa: S310
                state = json.load(answer)
        except (OSError, ValueError):
            return None
        return [worker["id"] for worker in state["workers"] if worker["state"] == "ALIVE"]

    def executor_logs(self) -> str:
        """The ends of what the executors printed, for a message."""
        logs = sorted(self._folder.glob("*/work/app-*/*/stderr"))
        return "\n".join(f"{log}:\n{log.read_text(errors='replace')[-3000:]}" for log in logs[-4:])

    def stop(self) -> None:
        for process in (*self.workers.values(), self._master):
            process.stop()


def _other_clock(folder: Path, ahead_s: int) -> dict[str, str]:
    """Environment in which Python has a clock of its own.  folder : that a worker sees, for what this needs"""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(CLOCK_OF_PYTHON)
    library = shutil.copy(OTHER_CLOCK, folder)
    return {
        "PYTHONPATH": str(folder),
        "OTHER_CLOCK": str(library),
        "FAKETIME": f"{ahead_s:+d}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def missing_tools() -> list[str]:
    """What of the tools a cluster needs is not on this machine."""
    return [tool for tool in ("unshare", "mount", "java") if shutil.which(tool) is None]


def hidden_from_workers(*more: Path) -> list[Path]:
    """The project and its environment, wherever that lies, and more folders; none inside another."""
    folders = {path.resolve() for path in (PROJECT, Path(sys.prefix), *more)}
    return sorted(path for path in folders if not folders & set(path.parents))
