"""The index as a Spark join answers as the arrays do."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from batch.index.building import build_index
from batch.index.lsh import Index
from batch.index.projection import Projection
from batch.index.spark_join import bucket_table, neighbours

D = 6
N = 200


@pytest.fixture(scope="module")
def index() -> Index:
    rng = np.random.default_rng(7)
    points = (rng.normal(0, 3, (5, D))[np.arange(N) % 5] + rng.normal(0, 0.4, (N, D))).astype(np.float32)
    projection = Projection(
        mean=np.zeros(D, np.float32),
        deviation=np.ones(D, np.float32),
        components=np.eye(D, dtype=np.float32),
        directions=rng.normal(0, D**-0.5, (12, 3, D)).astype(np.float32),
        offsets=rng.uniform(0, 1.5, (12, 3)).astype(np.float32),
        bucket_length=1.5,
        probes=1,
        min_collisions=2,
    )
    return build_index([f"t{at:03d}" for at in range(N)], points, [None] * N, projection)


@pytest.fixture(scope="module")
def tracks(spark: SparkSession, index: Index) -> DataFrame:
    rows = [(str(track_id), point.tolist()) for track_id, point in zip(index.ids, index.vectors, strict=True)]
    return spark.createDataFrame(rows, "track_id string, point array<float>")


def test_a_track_has_one_row_a_hash_table_and_tracks_in_one_bucket_share_its_key(
    tracks: DataFrame, index: Index
) -> None:
    rows = bucket_table(tracks, index.projection).collect()
    assert len(rows) == 12 * N == len({(row.hash_table, row.track_id) for row in rows})
    keys = index.projection.keys(index.vectors)[:, :, 0]
    buckets: dict[tuple[int, int], set[str]] = {}
    for row in rows:
        buckets.setdefault((row.hash_table, row.key), set()).add(row.track_id)
    for table in range(12):
        expected = {
            frozenset(str(index.ids[at]) for at in np.flatnonzero(keys[table] == key)) for key in set(keys[table])
        }
        assert {frozenset(ids) for (at, _), ids in buckets.items() if at == table} == expected


def test_the_join_finds_what_the_arrays_find(spark: SparkSession, tracks: DataFrame, index: Index) -> None:
    query_rows = np.arange(0, N, 29)
    rows = [(f"q{at}", (index.vectors[at] + 0.05).tolist()) for at in query_rows]
    queries = spark.createDataFrame(rows, "query_id string, point array<float>")
    joined = neighbours(queries, tracks, bucket_table(tracks, index.projection), index.projection, 5).collect()
    for at, (rows, distances) in zip(query_rows, index.neighbours(index.vectors[query_rows] + 0.05, 5), strict=True):
        answer = sorted((row for row in joined if row.query_id == f"q{at}"), key=lambda row: row.rank)
        assert [row.track_id for row in answer] == [str(index.ids[row]) for row in rows]
        np.testing.assert_allclose([row.distance for row in answer], distances, rtol=1e-5)
