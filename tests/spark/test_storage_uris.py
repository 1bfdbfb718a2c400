"""Locations as Spark must have them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.errors import IllegalArgumentException
from pyspark.sql import SparkSession

from batch.storage.spark import with_name_node

NAME_NODE = "hdfs://127.0.0.1:8020"
FOLDER = "overtone/the checkpoints/recommend/cluster-topic"


@pytest.fixture
def hdfs_is_default(spark: SparkSession) -> Iterator[None]:
    """Hadoop is configured as by core-site.xml of a cluster; no name node is asked for anything."""
    assert spark._jsc is not None
    configuration = spark._jsc.hadoopConfiguration()
    before = configuration.get("fs.defaultFS")
    configuration.set("fs.defaultFS", NAME_NODE)
    yield
    configuration.set("fs.defaultFS", before)


def test_a_checkpoint_on_hdfs_names_the_name_node_without_which_spark_refuses_it(
    spark: SparkSession, hdfs_is_default: None
) -> None:
    assert spark._jvm is not None and spark._jsc is not None
    hadoop, configuration = spark._jvm.org.apache.hadoop.fs, spark._jsc.hadoopConfiguration()
    location = f"hdfs:///{FOLDER}"
    with pytest.raises(IllegalArgumentException, match="Uri without authority"):
        hadoop.FileContext.getFileContext(hadoop.Path(location).toUri(), configuration)  # as for a checkpoint
    qualified = with_name_node(spark, location)
    assert qualified == f"{NAME_NODE}/{FOLDER}"
    hadoop.FileContext.getFileContext(hadoop.Path(qualified).toUri(), configuration)


@pytest.mark.parametrize("location", [f"hdfs://other:9000/{FOLDER}", f"s3a://bucket/{FOLDER}", f"file:///{FOLDER}"])
def test_other_checkpoints_stay_as_they_are(spark: SparkSession, hdfs_is_default: None, location: str) -> None:
    assert with_name_node(spark, location) == location
