"""Delta in, Delta out, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType


def table(spark: SparkSession, path: str, schema: StructType) -> DataFrame:
    """The table, with exactly the schema's columns in their order; no rows where it does not exist yet.

    A column that an older table lacks is null.
    """
    if not DeltaTable.isDeltaTable(spark, path):
        return spark.createDataFrame([], schema)
    stored = spark.read.format("delta").load(path)
    return stored.select(
        *[
            F.col(field.name) if field.name in stored.columns else F.lit(None).cast(field.dataType).alias(field.name)
            for field in schema
        ]
    )


def upsert(rows: DataFrame, path: str, key: Sequence[str]) -> None:
    """Writes rows by their natural key, so that writing them twice changes nothing. Creates the table where it is missing."""
    spark = rows.sparkSession
    if not DeltaTable.isDeltaTable(spark, path):
        rows.write.format("delta").mode("append").save(path)
        return
    same = " AND ".join(f"stored.{column} = new.{column}" for column in key)
    merge = DeltaTable.forPath(spark, path).alias("stored").merge(rows.alias("new"), same)
    merge.withSchemaEvolution().whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()


def insert_new(rows: DataFrame, path: str, key: Sequence[str]) -> None:
    """Adds the rows whose key the table lacks and leaves the others as they are."""
    spark = rows.sparkSession
    if not DeltaTable.isDeltaTable(spark, path):
        rows.dropDuplicates(list(key)).write.format("delta").mode("append").save(path)
        return
    same = " AND ".join(f"stored.{column} = new.{column}" for column in key)
    merge = DeltaTable.forPath(spark, path).alias("stored").merge(rows.dropDuplicates(list(key)).alias("new"), same)
    merge.whenNotMatchedInsertAll().execute()


def remove(keys: DataFrame, path: str) -> None:
    """Deletes the rows that have one of these keys (all columns of `keys`)."""
    spark = keys.sparkSession
    if not DeltaTable.isDeltaTable(spark, path):
        return
    same = " AND ".join(f"stored.{column} = gone.{column}" for column in keys.columns)
    DeltaTable.forPath(spark, path).alias("stored").merge(keys.alias("gone"), same).whenMatchedDelete().execute()


def version(spark: SparkSession, path: str) -> int | None:
    """The table's latest version; None where there is no table."""
    if not DeltaTable.isDeltaTable(spark, path):
        return None
    return int(DeltaTable.forPath(spark, path).history(1).select("version").collect()[0][0])
