"""How long a job takes to start: Spark up, a Delta table written and read, Spark down.

    PYTHONPATH=. .venv/bin/python bench/start.py --home DIR [--runs 5]

Side by side, one run of each in turn: Java as it is; with the second compiler held back; and with the classes at hand that
`local/startup_cache.sh` wrote down, too, which is how `spark-submit.sh` starts jobs on one machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import pyspark

PROJECT = Path(__file__).resolve().parents[1]
JOB = """
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.appName("start").getOrCreate()
spark.range(50).write.format("delta").mode("overwrite").save(sys.argv[1])
assert spark.read.format("delta").load(sys.argv[1]).count() == 50
spark.stop()
"""
LOGGING = f"-Dlog4j2.configurationFile={(PROJECT / 'conf' / 'log4j2.properties').as_uri()}"
NAMED = {"SPARK_HOME": str(Path(pyspark.__file__).parent)}
"""For a Spark that is named, be it the same one, spark-submit.sh takes no classes."""
WAYS: dict[str, tuple[dict[str, str], list[str]]] = {
    "Java as it is": (NAMED, ["--driver-java-options", LOGGING]),
    "second compiler held back": (NAMED, []),
    "and classes at hand": ({}, []),
}
"""(what the environment has besides, what spark-submit.sh is told besides)"""


@dataclass(frozen=True)
class Start:
    """Medians of the runs: seconds on the clock, and of the cores."""

    way: str
    seconds: float
    core_seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/start.py")
    parser.add_argument("--home", type=Path, required=True, help="folder for the table and the results")
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    given.home.mkdir(parents=True, exist_ok=True)
    job = given.home / "job.py"
    job.write_text(JOB)
    taken: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for _ in range(given.runs):
        for way, (environment, options) in WAYS.items():
            taken[way].append(started(job, given.home / "table", environment, options))
    starts = [Start(way, *map(statistics.median, zip(*runs, strict=True))) for way, runs in taken.items()]
    print("| | seconds | seconds of a core |")
    print("| --- | --- | --- |")
    for start in starts:
        print(f"| {start.way} | {start.seconds:.1f} | {start.core_seconds:.1f} |")
    (given.home / "start.json").write_text(json.dumps([asdict(start) for start in starts], indent=2) + "\n")
    return 0


def started(job: Path, table: Path, environment: dict[str, str], options: list[str]) -> tuple[float, float]:
    """(seconds, seconds of a core) of one run."""
    before, used = time.monotonic(), _used()
    command = [PROJECT / "spark-submit.sh", *options, job, table]
    environment = {**os.environ, "OVERTONE_HOME": str(table.parent), **environment}
    subprocess.run(command, env=environment, capture_output=True, check=True)
    return time.monotonic() - before, _used() - used


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
