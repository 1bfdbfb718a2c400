"""A job in a Spark that runs already."""

from __future__ import annotations

from pyspark.sql import SparkSession

from batch import job


def test_a_job_leaves_the_session_that_it_found_running(spark: SparkSession) -> None:
    assert job.in_spark("counted", lambda session: str(session.range(3).count())) == "3"
    assert spark.range(2).count() == 2
