"""The index as a Spark join, for a library whose arrays are larger than a node: slower, and as large as the cluster.

tracks ─▶ band_table (band, key, track_id) ⨝ keys of queries ─▶ candidates that share enough bands ─▶ exact distance ─▶ k nearest

Up to a node's memory `batch.index.lsh` answers the same, without Spark's fixed cost of about a second. Buckets have no limit here
and nobody is asked for all tracks: a query whose bands give fewer than k has fewer neighbours.
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

from batch.index.hash_tables import folded
from batch.index.projection import Space

if TYPE_CHECKING:
    import pandas as pd

BAND_TABLE = StructType(
    [StructField("band", IntegerType()), StructField("key", LongType()), StructField("track_id", StringType())]
)
"""One row a track and band (and bucket beside its own, for queries)."""

NEIGHBOURS = StructType(
    [
        StructField("query_id", StringType()),
        StructField("track_id", StringType()),
        StructField("distance", FloatType()),
        StructField("rank", IntegerType()),
    ]
)


def band_table(points: DataFrame, space: Space, probes: int = 0) -> DataFrame:
    """The buckets of points: BAND_TABLE.

    points : (track_id, point array<float>), as Space.points gives them;  probes : buckets beside their own, a band
    """

    def hashed(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        for batch in batches:
            keys = folded(space.keys(np.vstack(batch["point"]).astype(np.float32), probes))  # bands, tracks, probes
            band, track, _ = np.indices(keys.shape)
            ids = batch["track_id"].to_numpy()[track.ravel()]
            yield pd.DataFrame({"band": band.ravel(), "key": keys.ravel().astype(np.int64), "track_id": ids})

    return points.select("track_id", "point").mapInPandas(hashed, BAND_TABLE)


def neighbours(queries: DataFrame, points: DataFrame, bands: DataFrame, space: Space, k: int) -> DataFrame:
    """The k nearest tracks of each query among its candidates: NEIGHBOURS, rank 1 the nearest, equal ones by id.

    queries : (query_id, point);  points : (track_id, point);  bands : of the points, from `band_table`, kept or cached
    """
    asked = queries.select(F.col("query_id").alias("track_id"), "point")
    keys = band_table(asked, space, space.probes).withColumnRenamed("track_id", "query_id")
    shares_enough = F.col("shared") >= space.shared
    candidates = (
        keys.join(bands, on=["band", "key"], how="inner")
        .groupBy("query_id", "track_id")
        .agg(F.count_distinct("band").alias("shared"))
        .where(shares_enough)
        .select("query_id", "track_id")
    )
    measured = candidates.join(points, on="track_id", how="inner").join(
        queries.select("query_id", F.col("point").alias("wanted")), on="query_id", how="inner"
    )
    apart = F.zip_with("point", "wanted", lambda one, other: (one - other) * (one - other))
    distance = F.sqrt(F.aggregate(apart, F.lit(0.0), lambda total, each: total + each)).cast("float")
    nearest = Window.partitionBy("query_id").orderBy("distance", "track_id")
    ranked = measured.withColumn("distance", distance).withColumn("rank", F.row_number().over(nearest))
    return ranked.where(F.col("rank") <= k).select(*NEIGHBOURS.names)
