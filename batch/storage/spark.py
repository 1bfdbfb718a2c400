"""What Spark must be told of an S3 server; credentials stay in the environment of driver and executors."""

from __future__ import annotations

from urllib.parse import urlsplit

from batch.storage.locations import s3_endpoint, s3_region


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
