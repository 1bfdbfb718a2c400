"""The true neighbours of some tracks among all of a library, found on executors: what hash tables are tuned by on a sample.

A sample's own nearest tracks are further away than the library's: tuned by them, buckets would be too long.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, IntegerType, StringType, StructField, StructType

from batch.index.exact import exact_neighbours
from batch.index.projection import Floats, Projection
from batch.index.tuning import RECALL_NEIGHBOURS, SAMPLE_QUERIES, TuningSample

if TYPE_CHECKING:
    import pandas as pd

NEAREST = StructType(
    [
        StructField("query", IntegerType()),
        StructField("track_id", StringType()),
        StructField("distance", DoubleType()),
    ]
)
"""The nearest tracks of each query.  distance : squared, of points"""


def sampled_tuning(
    features: DataFrame, tracks: int, points: Floats, projection: Projection, k: int = RECALL_NEIGHBOURS
) -> tuple[Floats, TuningSample]:
    """(points to tune on, queries and their true neighbours among them): the sample, and behind it neighbours of its queries.

    features : (track_id, features) of the whole library;  tracks : in it
    points : of the sample [shape=(n, m)], which has the queries
    projection : features → points
    """
    queries = np.linspace(0, len(points) - 1, min(SAMPLE_QUERIES, len(points))).astype(np.int64)
    nearest = library_neighbours(features, projection, points[queries], k).toArrow()
    ids, place = np.unique(nearest["track_id"].to_numpy(), return_inverse=True)
    by_query = np.argsort(nearest["query"].to_numpy(), kind="stable")
    neighbour_points = _points_of(features, ids.tolist(), projection)
    true_neighbours = len(points) + place[by_query].reshape(len(queries), -1)
    return np.vstack([points, neighbour_points]), TuningSample(queries, true_neighbours, len(points), tracks)


def library_neighbours(features: DataFrame, projection: Projection, queries: Floats, k: int) -> DataFrame:
    """NEAREST: the k nearest tracks of each query among all; of equally near ones the first by id.

    features : (track_id, features);  queries : points [shape=(q, m)]
    """
    shared = features.sparkSession.sparkContext.broadcast((projection, queries))

    def nearest(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        projection, queries = shared.value
        best = pd.DataFrame({"query": [], "track_id": [], "distance": []})
        for batch in batches:
            if not len(batch):
                continue
            points = projection.points(np.vstack(batch["features"]))
            rows = exact_neighbours(points, queries, min(k, len(points)))
            query = np.repeat(np.arange(len(queries)), rows.shape[1])
            difference = points[rows.ravel()] - queries[query]
            of_batch = pd.DataFrame(
                {
                    "query": query,
                    "track_id": batch["track_id"].to_numpy()[rows.ravel()],
                    "distance": np.einsum("ij,ij->i", difference, difference).astype(np.float64),
                }
            )
            joined = pd.concat([best, of_batch]) if len(best) else of_batch
            best = joined.sort_values(["query", "distance", "track_id"]).groupby("query").head(k)
        yield best.astype({"query": np.int32})

    nearest_first = Window.partitionBy("query").orderBy("distance", "track_id")
    return (
        features.select("track_id", "features")
        .mapInPandas(nearest, NEAREST)
        .withColumn("rank", F.row_number().over(nearest_first))
        .where(F.col("rank") <= k)
        .select(*NEAREST.names)
    )


def _points_of(features: DataFrame, ids: list[str], projection: Projection) -> Floats:
    """The points of a few tracks [shape=(ids, m)].  ids : sorted"""
    wanted = features.sparkSession.createDataFrame(pa.table({"track_id": ids}))
    rows = features.join(F.broadcast(wanted), on="track_id", how="left_semi").select("track_id", "features")
    arrow = rows.toArrow().sort_by("track_id")
    return projection.points(np.vstack(arrow["features"].to_numpy()))
