"""Processor time of the stream on a standalone cluster of one and of two executors of one core, all on this machine.

Called by bench/stream.py --cluster. Both run side by side and serve backlogs in turns, of which the medians count, so that what
else the machine does meets both alike; then the ledger writes both topics of one of them to the lake. Processor seconds are the
kernel's, of each process and its descendants; start and warm-up are left out.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyspark

from conf.settings import PREFIX, PROJECT
from local.processes import Process, cpu_by_program, cpu_by_threads, free_port

if TYPE_CHECKING:
    from bench.stream import Bench

SPARK_HOME = Path(pyspark.__file__).parent
EXECUTOR_MEMORY = "1g"
WORKER_MEMORY = "2g"
START_TIMEOUT_S = 120.0
SERVE_TIMEOUT_S = 1200.0
WARM_UP_EVENTS = 100
"""In a micro-batch: too many for the driver."""
ROUNDS = 6
PROGRAMS = ("java", "python")
COMPILERS = "java's compilers"
MEASURED = ((*PROGRAMS, COMPILERS), PROGRAMS)
"""Of the executors, of the driver."""
COMPILER_THREADS = ("C1 Comp", "C2 Comp")
"""Java ends such a thread when it has had nothing to do, except the first of each kind, which do nearly all."""
MOST_RATIO = 1.1
"""Of the executors' processor time for an event with two of them to that with one."""


@dataclass(frozen=True)
class Cost:
    """Milliseconds of processor time for each event (of the ledger: each value of either topic), by program.

    seconds : from the first event to the last list;  of_executors : PROGRAMS, and what of Java its COMPILERS took
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
            "SPARK_LOCAL_DIRS": str(folder / "scratch"),
            "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false",
        }

    def start(self) -> None:
        spark_class = SPARK_HOME / "bin" / "spark-class"
        host, port = self.url.removeprefix("spark://").split(":")
        of_master = ["--host", host, "--port", port, "--webui-port", "0"]
        self.master.start([spark_class, "org.apache.spark.deploy.master.Master", *of_master], self._environment)
        of_worker: list[str | Path] = ["--host", host, "--cores", "1", "--memory", WORKER_MEMORY, "--webui-port", "0"]
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
        """Processor seconds of the workers and their executors, by program, and of Java those of its COMPILERS."""
        pids = [worker.pid for worker in self.workers]
        return cpu_by_program(pids) | {COMPILERS: cpu_by_threads(pids, COMPILER_THREADS)}

    def stop(self) -> None:
        for process in (*self.workers, self.master):
            process.stop()


def measure(bench: Bench) -> None:
    """Measures one executor and two, and prints a table; the same as JSON goes to the home's cluster.json."""
    sides = [Side(bench, executors) for executors in (1, 2)]
    try:
        for side in sides:
            side.start()
        for side in sides:
            side.warm_up(bench.options.history * bench.options.listeners)
        for _ in range(ROUNDS):
            for side in sides:
                side.serve(bench.options.events // ROUNDS)
        costs = [median(side.rounds) for side in sides]
        print(table(costs), flush=True)
        for side in sides:
            side.stop_serving()
        of_ledger = sides[-1].cost_of_the_ledger(bench.values_in_kafka(sides[-1].environment))
        if of_ledger is None:
            print("\nno row of the ledger: its first micro-batch took all values; more --events give it more")
        else:
            costs.append(of_ledger)
            print(table(costs), flush=True)
    finally:
        for side in sides:
            side.stop()
    out = bench.home / "cluster.json"
    results = [asdict(cost) | {"events_per_driver_core": cost.events_per_driver_core} for cost in costs]
    out.write_text(json.dumps({"ratio": ratio(costs), "costs": results}, indent=2) + "\n")
    print(f"\n{out}")


class Side:
    """A cluster, a driver with a topic and a home of its own, and its listeners."""

    def __init__(self, bench: Bench, executors: int) -> None:
        self.home = bench.home / f"executors-{executors}"
        self.cluster = Cluster(self.home, executors)
        self.driver = Process("driver", self.home)
        self.environment = bench.new_topics() | {
            f"{PREFIX}HOME": str(self.home),
            "MASTER": self.cluster.url,
            "SPARK_LOCAL_IP": "127.0.0.1",
        }
        self.load = bench.load(self.environment[f"{PREFIX}KAFKA__LISTENING_TOPIC"], f"{executors}-listener")
        self.rounds: list[Cost] = []
        self._is_serving = False

    def start(self) -> None:
        self.cluster.start()
        self.driver.start([*_submit(), PROJECT / "streaming" / "recommend.py"], self.environment)
        self.load.start()
        self._is_serving = True
        self.serve(1)

    def warm_up(self, events: int) -> None:
        """Serves events in many small micro-batches: profiles have a length then, and Java has compiled what is run."""
        for start in range(0, events, WARM_UP_EVENTS):
            self.serve(min(WARM_UP_EVENTS, events - start))
        self.rounds.clear()

    def serve(self, events: int) -> None:
        """Sends events, waits until all are served, and adds a round."""
        clock = _Clock(self.cluster, self.driver)
        for _ in range(events):
            self.load.send_one()
        until(lambda: not self.load.waiting, SERVE_TIMEOUT_S, "events to be served", self._processes)
        self.rounds.append(clock.cost("recommend", events))

    def cost_of_the_ledger(self, values: int) -> Cost | None:
        """Of all micro-batches but the first; None where there is no other.  values : in both topics"""
        self.driver.start([*_submit(), PROJECT / "streaming" / "ledger.py"], self.environment)
        checkpoints = self.home / "checkpoints" / "ledger"
        (folder,) = until(
            lambda: [file.parent for file in checkpoints.glob("*/commits") if self._is_ours(file)],
            START_TIMEOUT_S,
            "the ledger to begin",
            self._processes,
        )
        until(lambda: _committed(folder) > 0, SERVE_TIMEOUT_S, "the first micro-batch of the ledger", self._processes)
        clock, before = _Clock(self.cluster, self.driver), _committed(folder)
        if before >= values:
            return None
        until(lambda: _committed(folder) >= values, SERVE_TIMEOUT_S, "the ledger to catch up", self._processes)
        return clock.cost("ledger", values - before)

    def stop_serving(self) -> None:
        if self._is_serving:
            self._is_serving = False
            self.load.stop()
        self.driver.stop()

    def stop(self) -> None:
        self.stop_serving()
        self.cluster.stop()

    def _is_ours(self, commits: Path) -> bool:
        """Whether a checkpoint's first micro-batch is of these topics."""
        first = commits.parent / "offsets" / "0"
        return first.exists() and self.environment[f"{PREFIX}KAFKA__LISTENING_TOPIC"] in first.read_text()

    @property
    def _processes(self) -> list[Process]:
        return [self.driver, self.cluster.master, *self.cluster.workers]


def ratio(costs: list[Cost], counts_compilers: bool = True) -> float | None:
    """The executors' processor time for an event with two of them to that with one; None where one is missing."""
    serving = {
        cost.executors: sum(cost.of_executors[program] for program in PROGRAMS)
        - (0 if counts_compilers else cost.of_executors[COMPILERS])
        for cost in costs
        if cost.job == "recommend"
    }
    return serving[2] / serving[1] if serving.keys() >= {1, 2} else None


def table(costs: list[Cost]) -> str:
    lines = [
        "\n| job | executors | events | events/s | executors, ms an event: Java (of it its compilers) · Python | "
        "driver, ms an event: Java · Python | events/s that take one core of the driver |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for cost in costs:
        java, python, compilers = (cost.of_executors[name] for name in (*PROGRAMS, COMPILERS))
        of_driver = " · ".join(f"{cost.of_driver[program]:.3f}" for program in PROGRAMS)
        lines.append(
            f"| {cost.job} | {cost.executors} | {cost.events:,} | {cost.events / cost.seconds:.0f} | "
            f"{java:.3f} ({compilers:.3f}) · {python:.3f} | {of_driver} | {cost.events_per_driver_core:,.0f} |"
        )
    of_two = ratio(costs)
    if of_two is not None:
        lines.append(
            f"\nexecutors, an event with two to one with one: {of_two:.2f} (at most {MOST_RATIO} is wanted), "
            f"{ratio(costs, counts_compilers=False):.2f} without Java's compilers"
        )
    return "\n".join(lines)


def _submit() -> list[str | Path]:
    options = {"spark.executor.memory": EXECUTOR_MEMORY, "spark.executor.cores": "1", "spark.ui.enabled": "false"}
    return [PROJECT / "spark-submit.sh", *(part for pair in options.items() for part in ("--conf", "=".join(pair)))]


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
        self._before_s = self._used_s()

    def cost(self, job: str, events: int) -> Cost:
        seconds = time.monotonic() - self._started
        of_each = (
            {name: 1000 * (used.get(name, 0.0) - before.get(name, 0.0)) / events for name in names}
            for names, used, before in zip(MEASURED, self._used_s(), self._before_s, strict=True)
        )
        return Cost(job, self._cluster.executors, events, seconds, *of_each)

    def _used_s(self) -> tuple[dict[str, float], dict[str, float]]:
        """Seconds by program: of the executors, of the driver."""
        return self._cluster.used_s(), cpu_by_program([self._driver.pid])


def median(rounds: list[Cost]) -> Cost:
    """The medians of what an event took in several rounds; of events and seconds the sums."""
    of_executors, of_driver = (
        {name: statistics.median(each[name] for each in parts) for name in parts[0]}
        for parts in ([each.of_executors for each in rounds], [each.of_driver for each in rounds])
    )
    events, seconds = sum(each.events for each in rounds), sum(each.seconds for each in rounds)
    return Cost(rounds[0].job, rounds[0].executors, events, seconds, of_executors, of_driver)


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
