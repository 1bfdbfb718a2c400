"""The index as a Spark join answers as the arrays do."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from batch.index.lsh import Index, index
from batch.index.projection import Space
from batch.index.spark_join import band_table, neighbours

D, N = 6, 200


@pytest.fixture(scope="module")
def whole() -> Index:
    rng = np.random.default_rng(7)
    points = (rng.normal(0, 3, (5, D))[np.arange(N) % 5] + rng.normal(0, 0.4, (N, D))).astype(np.float32)
    space = Space(
        mean=np.zeros(D, np.float32),
        deviation=np.ones(D, np.float32),
        components=np.eye(D, dtype=np.float32),
        directions=rng.normal(0, D**-0.5, (12, 3, D)).astype(np.float32),
        offsets=rng.uniform(0, 1.5, (12, 3)).astype(np.float32),
        width=1.5,
        probes=1,
        shared=2,
    )
    return index([f"t{at:03d}" for at in range(N)], points, [None] * N, space)


@pytest.fixture(scope="module")
def tracks(spark: SparkSession, whole: Index) -> DataFrame:
    rows = [(str(track_id), point.tolist()) for track_id, point in zip(whole.ids, whole.vectors, strict=True)]
    return spark.createDataFrame(rows, "track_id string, point array<float>")


def test_a_track_has_one_row_a_band_and_tracks_in_one_bucket_share_its_key(tracks: DataFrame, whole: Index) -> None:
    rows = band_table(tracks, whole.space).collect()
    assert len(rows) == 12 * N == len({(row.band, row.track_id) for row in rows})
    keys = whole.space.keys(whole.vectors)[:, :, 0]
    buckets: dict[tuple[int, int], set[str]] = {}
    for row in rows:
        buckets.setdefault((row.band, row.key), set()).add(row.track_id)
    for band in range(12):
        expected = {
            frozenset(str(whole.ids[at]) for at in np.flatnonzero(keys[band] == key)) for key in set(keys[band])
        }
        assert {frozenset(ids) for (at, _), ids in buckets.items() if at == band} == expected


def test_the_join_finds_what_the_arrays_find(spark: SparkSession, tracks: DataFrame, whole: Index) -> None:
    asked = np.arange(0, N, 29)
    rows = [(f"q{at}", (whole.vectors[at] + 0.05).tolist()) for at in asked]
    queries = spark.createDataFrame(rows, "query_id string, point array<float>")
    found = neighbours(queries, tracks, band_table(tracks, whole.space), whole.space, 5).collect()
    for at, (near, distance) in zip(asked, whole.neighbours(whole.vectors[asked] + 0.05, 5), strict=True):
        mine = sorted((row for row in found if row.query_id == f"q{at}"), key=lambda row: row.rank)
        assert [row.track_id for row in mine] == [str(whole.ids[row]) for row in near]
        np.testing.assert_allclose([row.distance for row in mine], distance, rtol=1e-5)
