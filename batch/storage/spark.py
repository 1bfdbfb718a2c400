"""What Spark must be told of a location: an S3 server's address, HDFS's name node.

Credentials stay in the environment of driver and executors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from batch.storage.locations import HDFS_SCHEMES, s3_endpoint, s3_region

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def s3_options() -> dict[str, str]:
    """Spark options for S3A by the environment's endpoint and region, as Arrow has them; empty where neither is set."""
    options = {}
    if region := s3_region():
        options["spark.hadoop.fs.s3a.endpoint.region"] = region
    if endpoint := s3_endpoint():
        is_plain = urlsplit(endpoint).scheme == "http"
        options |= {
            "spark.hadoop.fs.s3a.endpoint": endpoint,
            "spark.hadoop.fs.s3a.path.style.access": "true",  # a server of one's own has no name for each bucket
            "spark.hadoop.fs.s3a.connection.ssl.enabled": str(not is_plain).lower(),
        }
    return options


def with_name_node(spark: SparkSession, uri: str) -> str:
    """The URI of a checkpoint, with the name node of Hadoop's configuration where it names none.

    Spark refuses `hdfs:///folder` for a stream's checkpoint ("Uri without authority"), though it reads and writes files there.
    """
    if not uri.startswith(tuple(f"{scheme}:///" for scheme in HDFS_SCHEMES)):
        return uri
    assert spark._jvm is not None
    path = spark._jvm.org.apache.hadoop.fs.Path(uri)
    file_system = path.getFileSystem(spark._jsc.hadoopConfiguration())
    return str(file_system.makeQualified(path).toString())
