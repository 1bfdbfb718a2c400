"""A local Spark session with the jobs' configuration, for the benchmarks."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pyspark.sql import SparkSession

PROJECT = Path(__file__).resolve().parents[1]


def session(name: str, memory: str = "2g") -> SparkSession:
    """name : of the application;  memory : of the driver"""
    os.environ |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(PROJECT)}
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(threads, "1")
    builder = SparkSession.builder.master("local[2]").appName(name)
    for line in (PROJECT / "conf" / "spark-defaults.conf").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            option, value = line.split(None, 1)
            builder = builder.config(option, value.strip())
    overrides = {
        "spark.driver.extraClassPath": f"{sys.prefix}/jars/spark/*",
        "spark.driver.memory": memory,
        "spark.ui.enabled": "false",
        "spark.driver.maxResultSize": "2g",
    }
    for option, value in overrides.items():
        builder = builder.config(option, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark
