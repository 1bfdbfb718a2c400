"""Delta tables: read with a fixed schema, merge by natural key, delete by key."""

from __future__ import annotations

from collections.abc import Sequence

from delta.tables import DeltaMergeBuilder, DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType


def table(spark: SparkSession, path: str, schema: StructType) -> DataFrame:
    """The table with exactly the schema's columns in their order; no rows where it does not exist yet.

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
    """Merges rows by their natural key, so that writing them twice changes nothing. Creates the table where it is missing."""
    if not DeltaTable.isDeltaTable(rows.sparkSession, path):
        rows.write.format("delta").mode("append").save(path)
        return
    merge = _merge(rows, path, key).withSchemaEvolution()
    merge.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()


def remove(keys: DataFrame, path: str) -> None:
    """Deletes the rows that have one of these keys (all columns of `keys`)."""
    if DeltaTable.isDeltaTable(keys.sparkSession, path):
        _merge(keys, path, keys.columns).whenMatchedDelete().execute()


def version(spark: SparkSession, path: str) -> int | None:
    """The table's latest version; None where there is no table."""
    if not DeltaTable.isDeltaTable(spark, path):
        return None
    return int(DeltaTable.forPath(spark, path).history(1).select("version").collect()[0][0])


def _merge(rows: DataFrame, path: str, key: Sequence[str]) -> DeltaMergeBuilder:
    has_same_key = " AND ".join(f"stored.{column} = new.{column}" for column in key)
    return DeltaTable.forPath(rows.sparkSession, path).alias("stored").merge(rows.alias("new"), has_same_key)
