"""What all tiers share: a Spark session, a store on this machine, the order in which several workers take tests (`./test.sh`)."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling

from local.processes import stop_leftovers
from local.services import archived_classes

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem
    from pyspark.sql import SparkSession

TESTS = Path(__file__).parent
PROJECT = TESTS.parent

GROUPS = {
    "cluster": "cluster",
    "spark/test_extract.py": "extraction",
    "spark/test_extract_ear.py": "extraction",
    "spark/test_extract_fma.py": "extraction",
    "spark/test_extract_hostile.py": "extraction",
    "e2e/test_extract_killed.py": "extraction",
    "e2e/test_jobs.py": "extraction",
    "spark": "training",
    "e2e/test_ledger.py": "training",
    "e2e/test_backup.py": "training",
    "e2e/test_upgrade.py": "training",
    "e2e/test_large_batches.py": "training",
    "e2e/test_fma_features.py": "training",
    "e2e/test_secure_services.py": "training",
    "e2e/test_demo.py": "demo",
    "e2e/test_player_pages.py": "player pages",
    "e2e/test_stream.py": "world",
    "e2e/test_faults.py": "world",
    "e2e/test_once.py": "world",
    "e2e/test_replay.py": "world",
    "e2e/test_isolation.py": "world",
    "e2e/test_round_trips.py": "world",
    "e2e/test_player_kafka.py": "world",
}
"""Tests that share something costly run one after another in one worker: a file or folder here, and its group.

A group that needs Spark has one session; all of them in one group would be the last to end by minutes. Every other file is a
group by itself. Groups are begun in this order, then the other files of `e2e`, then those of `unit`. The longest comes first,
and beside what computes runs what waits.
"""


def group_of(test: str) -> str:
    """The group of a test.  test : its id, beginning with the path from the project's folder"""
    path = test.partition("::")[0].removeprefix("tests/")
    return GROUPS.get(path) or GROUPS.get(path.partition("/")[0]) or path


class ByGroup(LoadScopeScheduling):
    """Gives whole groups to workers, in the order of the collection."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def pytest_configure() -> None:
    """A run in a shell's background ignores Ctrl-C; what the tests start must not inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByGroup:
    config.option.loadscopereorder = False
    return ByGroup(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts by group; within a group, and among files that have none, the order stays."""
    order = list(dict.fromkeys(GROUPS.values()))

    def place(item: pytest.Item) -> tuple[int, bool]:
        group = group_of(item.nodeid)
        return (order.index(group) if group in order else len(order)), group.startswith("unit/")

    items.sort(key=place)


def _services_folder(config: pytest.Config) -> Path:
    """Where the services of this run have their data: one folder for all workers."""
    folder: Path = config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    return (folder.parent if hasattr(config, "workerinput") else folder) / "services"


@pytest.fixture(scope="session")
def services_folder(request: pytest.FixtureRequest) -> Path:
    return _services_folder(request.config)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stops the run's services after all workers have ended. Here, since the process that has workers reads no other conftest."""
    if not hasattr(session.config, "workerinput"):
        stop_leftovers(_services_folder(session.config))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """One local session for all tests of a worker: the configuration that the jobs have, and a few values of its own."""
    from pyspark.sql import SparkSession

    from bench.session import options_in

    # The JVM and its Python workers inherit these.
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    paths = [str(PROJECT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    java_options = ["-Xlog:cds*=off", *(f'-XX:SharedArchiveFile="{file}"' for file in archived_classes("spark"))]
    # Java's second compiler does not give back in short tests what it takes (three trainings 74 s of a core, 64 without), and
    # neither does a collector with threads of its own.
    java_options += ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    ours = {
        "spark.driver.extraClassPath": f"{sys.prefix}/jars/spark/*",
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": " ".join(java_options),
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
    }
    builder = SparkSession.builder.master("local[2,4]").appName("tests")
    for name, value in (options_in(PROJECT / "conf" / "spark-defaults.conf") | ours).items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3FileSystem]:
    """An S3 server on this machine with the buckets `music` and `empty`; the environment leads to it."""
    from bench.s3_server import S3Server

    server = S3Server(tmp_path_factory.mktemp("s3"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        try:
            server.start()
            yield server.wait("music", "empty")
        finally:
            server.stop()
