"""One local Spark session for all tests here: the configuration that the jobs have, and a few values of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from local.services import archived_classes

PROJECT = Path(__file__).resolve().parents[2]


def defaults() -> dict[str, str]:
    """The names and values of conf/spark-defaults.conf."""
    lines = (PROJECT / "conf" / "spark-defaults.conf").read_text().splitlines()
    pairs = [line.split(None, 1) for line in lines if line.strip() and not line.startswith("#")]
    return {name: value.strip() for name, value in pairs}


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    # The JVM and its Python workers inherit these.
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    paths = [str(PROJECT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    archive = [f'-XX:SharedArchiveFile="{file}"' for file in archived_classes("spark")]
    ours = {
        "spark.driver.extraClassPath": f"{sys.prefix}/jars/spark/*",
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": " ".join(["-Xlog:cds*=off", *archive]),  # classes at hand: it starts sooner
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
    }
    builder = SparkSession.builder.master("local[2,4]").appName("tests")
    for name, value in (defaults() | ours).items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
