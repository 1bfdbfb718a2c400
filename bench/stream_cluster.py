"""Processor time of the stream on a standalone cluster of one and of two executors of one core, all on this machine.

Called by bench/stream.py --cluster. A backlog of events is served by executors; then both topics are written to the lake by
the ledger. Processor seconds are the kernel's, of each process and its descendants; start and warm-up are left out.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyspark

from conf.settings import PREFIX, PROJECT
from local.processes import Process, cpu_by_program, free_port

if TYPE_CHECKING:
    from bench.stream import Bench, Load

SPARK_HOME = Path(pyspark.__file__).parent
EXECUTOR_MEMORY = "1g"
WORKER_MEMORY = "2g"
START_TIMEOUT_S = 120.0
SERVE_TIMEOUT_S = 1200.0
MOST_RATIO = 1.1
"""Of the executors' processor time for an event with two of them to that with one."""


@dataclass(frozen=True)
class Cost:
    """Milliseconds of processor time for each event (of the ledger: each value of either topic), by program.

    seconds : from the first event to the last list
    """

    job: str
    executors: int
    events: int
    seconds: float
    of_executors: dict[str, float]
    of_driver: dict[str, float]

    @property
    def events_per_driver_core(self) -> float:
        """Events a second that take one core of the driver."""
        return 1000 / sum(self.of_driver.values())


class Cluster:
    """A standalone master, and workers of one core each."""

    def __init__(self, folder: Path, executors: int) -> None:
        self.executors = executors
        self.master = Process("master", folder)
        self.workers = [Process(f"worker-{number}", folder) for number in range(executors)]
        self.url = f"spark://127.0.0.1:{free_port()}"
        self._folder = folder
        self._environment = {
            **os.environ,
            "SPARK_HOME": str(SPARK_HOME),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": str(folder / "spark"),
            "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false",
        }

    def start(self) -> None:
        spark_class = SPARK_HOME / "bin" / "spark-class"
        host, port = self.url.removeprefix("spark://").split(":")
        of_master = ["--host", host, "--port", port, "--webui-port", "0"]
        self.master.start([spark_class, "org.apache.spark.deploy.master.Master", *of_master], self._environment)
        of_worker = ["--host", host, "--cores", "1", "--memory", WORKER_MEMORY, "--webui-port", "0"]
        for worker in self.workers:
            folder = ["--work-dir", str(self._folder / "work" / worker.name)]
            command = [spark_class, "org.apache.spark.deploy.worker.Worker", *of_worker, *folder, self.url]
            worker.start(command, self._environment)
        until(
            lambda: all("Successfully registered" in worker.log.read_text(errors="replace") for worker in self.workers),
            START_TIMEOUT_S,
            "the workers to register",
            [self.master, *self.workers],
        )

    def used_s(self) -> dict[str, float]:
        """Processor seconds of the workers and their executors, by program."""
        return cpu_by_program([worker.pid for worker in self.workers])

    def stop(self) -> None:
        for process in (*self.workers, self.master):
            process.stop()


def measure(bench: Bench) -> None:
    """Measures one executor and two, and prints a table; the same as JSON goes to the home's cluster.json."""
    costs = []
    for executors in (1, 2):
        cluster = Cluster(bench.home / f"cluster-{executors}", executors)
        try:
            cluster.start()
            environment = bench.new_topics() | {"MASTER": cluster.url, "SPARK_LOCAL_IP": "127.0.0.1"}
            costs.append(_cost_of_serving(bench, cluster, environment))
            costs.append(_cost_of_the_ledger(bench, cluster, environment))
        finally:
            bench.streams.stop()
            cluster.stop()
        print(table(costs), flush=True)
    out = bench.home / "cluster.json"
    results = [asdict(cost) | {"events_per_driver_core": cost.events_per_driver_core} for cost in costs]
    out.write_text(json.dumps({"ratio": ratio(costs), "costs": results}, indent=2) + "\n")
    print(f"\n{out}")


def ratio(costs: list[Cost]) -> float | None:
    """The executors' processor time for an event with two of them to that with one; None where one is missing."""
    serving = {cost.executors: sum(cost.of_executors.values()) for cost in costs if cost.job == "recommend"}
    return serving[2] / serving[1] if serving.keys() >= {1, 2} else None


def table(costs: list[Cost]) -> str:
    lines = [
        "\n| job | executors | events | events/s | executors, ms an event: Java · Python | "
        "driver, ms an event: Java · Python | events/s that take one core of the driver |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for cost in costs:
        parts = [
            " · ".join(f"{used.get(program, 0.0):.3f}" for program in ("java", "python"))
            for used in (cost.of_executors, cost.of_driver)
        ]
        lines.append(
            f"| {cost.job} | {cost.executors} | {cost.events:,} | {cost.events / cost.seconds:.0f} | "
            f"{parts[0]} | {parts[1]} | {cost.events_per_driver_core:,.0f} |"
        )
    of_two = ratio(costs)
    if of_two is not None:
        lines.append(f"\nexecutors, an event with two to one with one: {of_two:.2f} (at most {MOST_RATIO} is wanted)")
    return "\n".join(lines)


def _cost_of_serving(bench: Bench, cluster: Cluster, environment: dict[str, str]) -> Cost:
    bench.streams.start([*_submit(), PROJECT / "streaming" / "recommend.py"], environment)
    load = bench.load(environment[f"{PREFIX}KAFKA__LISTENING_TOPIC"])
    load.start()
    try:
        bench.wait_for_first(load)
        bench.send_history(load)  # the same for one executor and two: profiles of the same length, and warm ones
        return _served_backlog(bench, cluster, load)
    finally:
        load.stop()
        bench.streams.stop()


def _served_backlog(bench: Bench, cluster: Cluster, load: Load) -> Cost:
    clock = _Clock(cluster, bench.streams)
    for _ in range(bench.options.events):
        load.send_one()
    until(lambda: not load.waiting, SERVE_TIMEOUT_S, "the events to be served", [bench.streams, *cluster.workers])
    return clock.cost("recommend", bench.options.events)


def _cost_of_the_ledger(bench: Bench, cluster: Cluster, environment: dict[str, str]) -> Cost:
    """Of all micro-batches but the first and what comes after all values are written."""
    bench.streams.start([*_submit(), PROJECT / "streaming" / "ledger.py"], environment)
    checkpoints = bench.home / "checkpoints" / "ledger"
    (folder,) = until(
        lambda: [file.parent for file in checkpoints.glob("*/commits") if _is_of(file, environment)],
        START_TIMEOUT_S,
        "the ledger to begin",
        [bench.streams],
    )
    values = bench.values_in_kafka(environment)
    until(lambda: _committed(folder) > 0, SERVE_TIMEOUT_S, "the first micro-batch of the ledger", [bench.streams])
    clock, before = _Clock(cluster, bench.streams), _committed(folder)
    until(lambda: _committed(folder) >= values, SERVE_TIMEOUT_S, "the ledger to catch up", [bench.streams])
    return clock.cost("ledger", values - before)


def _submit() -> list[str | Path]:
    options = {"spark.executor.memory": EXECUTOR_MEMORY, "spark.executor.cores": "1", "spark.ui.enabled": "false"}
    return [PROJECT / "spark-submit.sh", *(part for pair in options.items() for part in ("--conf", "=".join(pair)))]


def _is_of(commits: Path, environment: dict[str, str]) -> bool:
    """Whether a checkpoint's first micro-batch is of these topics."""
    first = commits.parent / "offsets" / "0"
    return first.exists() and environment[f"{PREFIX}KAFKA__LISTENING_TOPIC"] in first.read_text()


def _committed(checkpoint: Path) -> int:
    """The sum of the offsets up to which micro-batches are done; 0 for none."""
    done = [int(file.name) for file in (checkpoint / "commits").iterdir() if file.name.isdecimal()]
    if not done:
        return 0
    lines = (checkpoint / "offsets" / str(max(done))).read_text().splitlines()
    ends = json.loads(lines[-1])
    return sum(offset for partitions in ends.values() for offset in partitions.values())


class _Clock:
    """Processor time of the cluster's workers and of the driver since its creation."""

    def __init__(self, cluster: Cluster, driver: Process) -> None:
        self._cluster, self._driver = cluster, driver
        self._started = time.monotonic()
        self._before = self._used()

    def _used(self) -> tuple[dict[str, float], dict[str, float]]:
        return self._cluster.used_s(), cpu_by_program([self._driver.pid])

    def cost(self, job: str, events: int) -> Cost:
        seconds = time.monotonic() - self._started
        of_each = [
            {name: 1000 * (used[name] - before.get(name, 0.0)) / events for name in used if name in ("java", "python")}
            for used, before in zip(self._used(), self._before, strict=True)
        ]
        return Cost(job, self._cluster.executors, events, seconds, *of_each)


def until(is_reached: Callable[[], Any], seconds: float, what: str, processes: list[Process]) -> Any:
    """What `is_reached` returns once that is true.

    Raises SystemExit after so many seconds, StepFailed where a process ends.
    """
    deadline = time.monotonic() + seconds
    while not (result := is_reached()):
        for process in processes:
            process.require_running(f"waiting for {what}")
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {seconds:.0f} s for {what}\n{processes[0].tail()}")
        time.sleep(0.1)
    return result
