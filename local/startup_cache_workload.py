"""Exercises the Spark features that our jobs use, so that Java can dump a CDS archive of the classes loaded.

    spark-submit.sh local/startup_cache_workload.py FOLDER

Run when .venv is set up (local/startup_cache.sh). Later jobs map these classes from one file and start sooner. Needs no service;
classes that it does not load are loaded by jobs as usual.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from delta.tables import DeltaTable
from pyspark.ml.classification import MultilayerPerceptronClassifier
from pyspark.ml.feature import PCA, BucketedRandomProjectionLSH, StandardScaler
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

if TYPE_CHECKING:
    import pyarrow as pa


def main(folder: str) -> int:
    spark = SparkSession.builder.appName("startup-cache").getOrCreate()
    table = delta(spark, f"{folder}/table")
    models(table)
    streams(spark, f"{folder}/table", folder)
    spark.stop()
    return 0


def delta(spark: SparkSession, path: str) -> DataFrame:
    """A table that was written, merged into and read by Arrow."""
    number = F.col("id")
    features = F.array(*(F.rand(seed) for seed in range(4)))
    rows = spark.range(60).select(
        number, number.cast("string").alias("name"), (number % 2).alias("label"), features.alias("v")
    )
    rows.write.format("delta").mode("overwrite").save(path)
    stored = DeltaTable.forPath(spark, path)
    merge = stored.alias("old").merge(rows.alias("new"), "old.id = new.id")
    merge.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()
    table = stored.toDF()
    table.groupBy("label").agg(F.count("*"), F.collect_list("name")).collect()
    table.select("id", "name").mapInArrow(_same, "id long, name string").repartition(4, "name").toPandas()
    return table


def models(table: DataFrame) -> None:
    data = table.select(
        array_to_vector(F.col("v")).alias("features"), F.col("label").cast("double").alias("label")
    ).cache()
    MultilayerPerceptronClassifier(layers=[4, 3, 2], maxIter=3, seed=1).fit(data).transform(data).collect()
    lsh = BucketedRandomProjectionLSH(inputCol="features", outputCol="hashes", bucketLength=1.0, seed=1)
    lsh.fit(data).transform(data).collect()
    StandardScaler(inputCol="features", outputCol="scaled").fit(data)
    PCA(k=2, inputCol="features", outputCol="turned").fit(data)


def streams(spark: SparkSession, path: str, folder: str) -> None:
    """A stream that was run to its end; of Kafka's source what there is without a broker."""
    kafka = spark.readStream.format("kafka").option("subscribe", "none")
    kafka.option("kafka.bootstrap.servers", "127.0.0.1:9").load()
    query = spark.readStream.format("delta").load(path).writeStream.trigger(availableNow=True)
    query.option("checkpointLocation", f"{folder}/checkpoint").foreachBatch(_counted).start().awaitTermination()


def _counted(batch: DataFrame, _batch_id: int) -> None:
    batch.count()


def _same(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
