"""The index as a Spark equi-join, for a library whose arrays no node holds: slower, and as large as the cluster.

tracks ─▶ bucket_table (hash_table, key, track_id) ⨝ keys of queries ─▶ enough collisions ─▶ exact distance ─▶ k nearest

Up to a node's memory `batch.index.lsh` answers the same without Spark's fixed cost of about a second. Here buckets have no limit,
and there is no exact fallback: a query with fewer than k candidates has fewer neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import (
    FloatType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
)

from batch.index.hash_tables import fold_keys
from batch.index.projection import Projection

if TYPE_CHECKING:
    import pandas as pd

BUCKETS = StructType(
    [StructField("hash_table", IntegerType()), StructField("key", LongType()), StructField("track_id", StringType())]
)
"""One row a track and hash table, and one a probe."""

NEIGHBOURS_SCHEMA = StructType(
    [
        StructField("query_id", StringType()),
        StructField("track_id", StringType()),
        StructField("distance", FloatType()),
        StructField("rank", IntegerType()),
    ]
)


def bucket_table(points: DataFrame, projection: Projection, probes: int = 0) -> DataFrame:
    """The buckets that points fall into: BUCKETS.

    points : (track_id, point array<float>), as Projection.points gives them
    probes : neighbouring buckets besides their own, in each hash table
    """

    def hashed(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        for batch in batches:
            keys = fold_keys(projection.keys(np.vstack(batch["point"]).astype(np.float32), probes))
            table, track, _ = np.indices(keys.shape)
            ids = batch["track_id"].to_numpy()[track.ravel()]
            yield pd.DataFrame({"hash_table": table.ravel(), "key": keys.ravel().astype(np.int64), "track_id": ids})

    return points.select("track_id", "point").mapInPandas(hashed, BUCKETS)


def neighbours(
    queries: DataFrame, points: DataFrame, track_buckets: DataFrame, projection: Projection, k: int
) -> DataFrame:
    """The k nearest tracks of each query among its candidates: NEIGHBOURS_SCHEMA, rank 1 the nearest, equal ones by id.

    queries : (query_id, point)
    points : (track_id, point)
    track_buckets : of the points, from `bucket_table`, stored or cached
    """
    query_points = queries.select(F.col("query_id").alias("track_id"), "point")
    query_buckets = bucket_table(query_points, projection, projection.probes).withColumnRenamed("track_id", "query_id")
    has_enough_collisions = F.col("collisions") >= projection.min_collisions
    candidates = (
        query_buckets.join(track_buckets, on=["hash_table", "key"], how="inner")
        .groupBy("query_id", "track_id")
        .agg(F.count_distinct("hash_table").alias("collisions"))
        .where(has_enough_collisions)
        .select("query_id", "track_id")
    )
    pairs = candidates.join(points, on="track_id", how="inner").join(
        queries.select("query_id", F.col("point").alias("query_point")), on="query_id", how="inner"
    )
    squares = F.zip_with("point", "query_point", lambda x, y: (x - y) * (x - y))
    distance = F.sqrt(F.aggregate(squares, F.lit(0.0), lambda total, square: total + square)).cast("float")
    nearest_first = Window.partitionBy("query_id").orderBy("distance", "track_id")
    ranked = pairs.withColumn("distance", distance).withColumn("rank", F.row_number().over(nearest_first))
    return ranked.where(F.col("rank") <= k).select(*NEIGHBOURS_SCHEMA.names)
