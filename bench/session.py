"""Spark sessions with the jobs' configuration, for the benchmarks."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pyspark.sql import SparkSession

PROJECT = Path(__file__).resolve().parents[1]
SPARK_JARS = f"{sys.prefix}/jars/spark/*"


def session(name: str, memory: str = "2g") -> SparkSession:
    """name : of the application;  memory : of the driver"""
    os.environ |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(PROJECT)}
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(threads, "1")
    options = {"spark.driver.memory": memory, "spark.driver.maxResultSize": "2g"}
    return session_of_jobs(name, "local[2]", options)


def options_in(file: Path) -> dict[str, str]:
    """The options of a file of Spark's properties."""
    lines = [line.strip() for line in file.read_text().splitlines()]
    pairs = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    return dict(pairs)


def session_of_jobs(name: str, master: str, options: Mapping[str, str]) -> SparkSession:
    """A session with the settings of conf/spark-defaults.conf, the jobs' jars and no page, and these options besides."""
    builder = SparkSession.builder.master(master).appName(name)
    of_all = options_in(PROJECT / "conf" / "spark-defaults.conf")
    of_all |= {"spark.driver.extraClassPath": SPARK_JARS, "spark.ui.enabled": "false"}
    for option, value in {**of_all, **options}.items():
        builder = builder.config(option, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark
