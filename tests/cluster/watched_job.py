"""A job of which a worker is killed while its executor has a task: by the pages of the job's driver, and Spark's event log."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from cluster_world import JOB_S, World

from local.processes import command_line, free_port, processes

LOOK_INTERVAL_S = 0.05
EXECUTOR_CLASS = b"org.apache.spark.executor.CoarseGrainedExecutorBackend"
REPORT_S = 0.4
"""In which the driver hears of a task that ended."""


@dataclass(frozen=True)
class RunningTask:
    task: int
    executor: str


class WatchedJob:
    """A job in the background, which ends with the block at the latest.  arguments : as for `World.submit`"""

    def __init__(self, world: World, settings: dict[str, str], *arguments: str) -> None:
        self.world = world
        name = Path(arguments[0]).stem
        self._page = free_port()
        self._events = world.folder / f"events-{self._page}"
        self._events.mkdir()
        options = {
            "spark.ui.port": str(self._page),
            "spark.ui.liveUpdate.period": "0ms",
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": self._events.as_uri(),
            "spark.eventLog.compress": "false",
            "spark.eventLog.rolling.enabled": "false",
        }
        spark = [word for option, value in options.items() for word in ("--conf", f"{option}={value}")]
        self.process = world.start(f"{name}-{self._page}", settings, *arguments, spark=spark)

    def __enter__(self) -> WatchedJob:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.stop()

    @property
    def printed(self) -> str:
        return self.process.log.read_text(errors="replace")

    def wait(self, code: int = 0) -> str:
        """Waits for the end of the job; returns what it printed."""
        deadline = time.monotonic() + JOB_S
        while self.process.returncode is None:
            assert time.monotonic() < deadline, self._message()
            time.sleep(0.2)
        assert self.process.returncode == code, self._message()
        return self.printed

    def kill_worker_at_work(
        self, is_time: Callable[[], bool] = lambda: True, is_at_work: Callable[[int], bool] = lambda executor: True
    ) -> tuple[str, str]:
        """Kills a worker whose executor has a task that has not ended; returns (name of the worker, id of the executor).

        is_time : whether it may be killed yet
        is_at_work : whether the executor, by its process id, does what it is to be killed in
        The executor is stopped first: a task that had ended by then is no longer running a moment later, and it goes on.
        """
        deadline = time.monotonic() + JOB_S
        while True:
            self.process.require_running("being watched")
            assert time.monotonic() < deadline, self._message()
            for task in self.running_tasks() if is_time() else ():
                executor = self._process_of(task.executor)
                if executor is None or not is_at_work(executor):
                    continue
                os.kill(executor, signal.SIGSTOP)
                time.sleep(REPORT_S)
                if task in self.running_tasks():
                    return self.world.cluster.kill_worker(executor), task.executor
                os.kill(executor, signal.SIGCONT)
            time.sleep(LOOK_INTERVAL_S)

    def lost_tasks(self, executor: str) -> int:
        """Tasks that ended with their executor, by the event log of the job, which has ended."""
        (log,) = self._events.iterdir()
        reasons = [
            event["Task End Reason"]
            for event in map(json.loads, log.read_text().splitlines())
            if event["Event"] == "SparkListenerTaskEnd"
        ]
        return sum(
            reason["Reason"] == "ExecutorLostFailure" and reason["Executor ID"] == executor for reason in reasons
        )

    def running_tasks(self) -> list[RunningTask]:
        tasks = self._tasks("status=active&")
        return [RunningTask(task["taskId"], task["executorId"]) for task in tasks if task["status"] == "RUNNING"]

    def tasks_lost_so_far(self, executor: str) -> int:
        """As `lost_tasks`, of a job that runs."""
        errors = [task.get("errorMessage") or "" for task in self._tasks() if task["executorId"] == executor]
        return sum(error.startswith("ExecutorLostFailure") for error in errors)

    def _tasks(self, which: str = "") -> list[dict[str, Any]]:
        stages = [
            stage
            for application in self._answer("applications")
            for stage in self._answer(f"applications/{application['id']}/stages?{which}details=true")
        ]
        return [task for stage in stages for task in (stage.get("tasks") or {}).values()]

    def _answer(self, path: str) -> list[dict[str, Any]]:
        """What the driver's page answers; nothing where it is not there yet, or no longer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._page}/api/v1/{path}", timeout=10) as answer:  # noqa: S310
                return list(json.load(answer))
        except (OSError, ValueError):
            return []

    def _process_of(self, executor: str) -> int | None:
        """The process id of this job's executor; None where there is none."""
        for application in self._answer("applications"):
            wanted = {b"--executor-id": executor.encode(), b"--app-id": application["id"].encode()}
            for process, _ in processes():
                words = command_line(process)
                value_by_option = dict(pairwise(words))
                if EXECUTOR_CLASS in words and wanted.items() <= value_by_option.items():
                    return process
        return None

    def _message(self) -> str:
        return self.world.message(self.printed)
