"""Rows of `bench/index.py` that need Spark: the index within a job, MLlib's own lookup."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from pyspark.ml.feature import BucketedRandomProjectionLSH, BucketedRandomProjectionLSHModel
from pyspark.sql import DataFrame, Row, SparkSession, Window
from pyspark.sql import functions as F

from batch.index.exact import recall as mean_recall
from batch.index.lsh import Index

K = 20
TIMED_QUERIES = 100

ReportRow = dict[str, object]


def best_seconds(call: Callable[[], object], times: int = 5) -> float:
    """Seconds of the fastest of some calls."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def report_row(
    way: str, seconds: float, answers: list[np.ndarray], true_neighbours: np.ndarray, **more: object
) -> ReportRow:
    """A row of the table.  seconds : of all TIMED_QUERIES together"""
    recall = mean_recall(answers, list(true_neighbours))
    return {"way": way, "ms a query": 1000 * seconds / TIMED_QUERIES, "recall@20": recall, **more}


def spark_job_rows(
    spark: SparkSession, index: Index, queries: np.ndarray, true_neighbours: np.ndarray
) -> list[ReportRow]:
    """100 queries in one Spark job, the index mapped by the worker: the whole job, and the index's own part of it."""
    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder))
        frame = spark.createDataFrame(
            [(number, query.tolist()) for number, query in enumerate(queries)], "query long, point array<float>"
        )
        frame = frame.coalesce(1).cache()
        frame.count()

        def answered(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
            opened = _opened(folder)
            for batch in batches:
                started = time.perf_counter()
                nearest = opened.neighbours(np.vstack(batch["point"]).astype(np.float32), K)
                seconds = time.perf_counter() - started
                rows = [rows.tolist() for rows, _ in nearest]
                yield pd.DataFrame({"query": batch["query"], "neighbours": rows, "seconds": seconds})

        def job() -> list[Row]:
            return frame.mapInPandas(answered, "query long, neighbours array<long>, seconds double").collect()

        for _ in range(3):
            job()
        job_seconds, index_seconds = float("inf"), float("inf")
        for _ in range(5):
            started = time.perf_counter()
            rows = job()
            job_seconds = min(job_seconds, time.perf_counter() - started)
            index_seconds = min(index_seconds, rows[0]["seconds"])
        answers = [np.array(row["neighbours"]) for row in sorted(rows, key=lambda row: row["query"])]
        frame.unpersist()
    return [
        report_row("index in a Spark job, warm", job_seconds, answers, true_neighbours),
        report_row("… of it the index", index_seconds, answers, true_neighbours),
    ]


def by_query(pairs: Iterator[tuple[int, int]], queries: int) -> list[np.ndarray]:
    """The tracks of each query, from (query, track) pairs."""
    answers: list[list[int]] = [[] for _ in range(queries)]
    for query, track in pairs:
        answers[query].append(track)
    return [np.array(tracks, dtype=int) for tracks in answers]


_OPENED: dict[str, Index] = {}


def _opened(folder: str) -> Index:
    """The index in the folder, opened once a worker process."""
    if folder not in _OPENED:
        _OPENED.clear()
        _OPENED[folder] = Index.open(Path(folder))
    return _OPENED[folder]


def numbered(spark: SparkSession, points: np.ndarray) -> DataFrame:
    """Points [shape=(n, m)] as (id long, point array<float>)."""
    import pyarrow as pa

    flat = pa.FixedSizeListArray.from_arrays(pa.array(points.reshape(-1)), points.shape[1]).cast(pa.list_(pa.float32()))
    return spark.createDataFrame(pa.table({"id": pa.array(np.arange(len(points))), "point": flat}))


def mllib_rows(
    spark: SparkSession, points: np.ndarray, queries: np.ndarray, true_neighbours: np.ndarray
) -> list[ReportRow]:
    """approxSimilarityJoin of 100 queries with all tracks, warm: ORed single hashes."""
    from pyspark.ml.functions import array_to_vector

    def frame(points: np.ndarray) -> DataFrame:
        vector = array_to_vector(F.col("point")).alias("point")
        return numbered(spark, points).select("id", vector).repartition(4).cache()

    tracks, query_points = frame(points), frame(queries)
    tracks.count(), query_points.count()
    furthest = float(
        max(np.linalg.norm(points[rows[-1]] - query) for rows, query in zip(true_neighbours, queries, strict=True))
    )
    deviation = float(np.sqrt(points.var(axis=0).mean()))
    report = []
    for tables, length in ((3, 0.25), (3, 1.0), (5, 1.0)):
        model = BucketedRandomProjectionLSH(
            inputCol="point", outputCol="hashes", bucketLength=length * deviation, numHashTables=tables, seed=1
        ).fit(tracks)
        # hashed and cached beforehand, as the index is built beforehand
        hashed, hashed_queries = (model.transform(frame).cache() for frame in (tracks, query_points))
        hashed.count(), hashed_queries.count()
        rows = mllib_neighbours(model, hashed_queries, hashed, furthest)
        seconds = best_seconds(partial(mllib_neighbours, model, hashed_queries, hashed, furthest), 3)
        hashed.unpersist(), hashed_queries.unpersist()
        answers = by_query(((row["query"], row["id"]) for row in rows), len(queries))
        way = f"MLlib approxSimilarityJoin, {tables} tables, bucket {length:g} σ"
        report.append(report_row(way, seconds, answers, true_neighbours))
        print(report[-1], file=sys.stderr, flush=True)
    tracks.unpersist(), query_points.unpersist()
    return report


def mllib_neighbours(
    model: BucketedRandomProjectionLSHModel, queries: DataFrame, tracks: DataFrame, max_distance: float
) -> list[Row]:
    """The K nearest of each query that MLlib finds within a distance: (query, id, distance, rank)."""
    pairs = model.approxSimilarityJoin(queries, tracks, max_distance * 1.001, "distance").select(
        F.col("datasetA.id").alias("query"), F.col("datasetB.id").alias("id"), "distance"
    )
    nearest_first = Window.partitionBy("query").orderBy("distance", "id")
    return pairs.withColumn("rank", F.row_number().over(nearest_first)).where(F.col("rank") <= K).collect()
