"""Layout of the library's map: similar tracks close together on a plane. No Spark but in `library_map` and
`map_by_sample`.

Starts from the first two principal components; then each track attracts those in its list and repels random ones, by the forces
of UMAP (McInnes, Healy & Melville, 2018). Seeded: the same library gives the same map.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, FloatType, IntegerType, LongType, StringType, StructField, StructType

from batch.index.exact import squared_distances
from batch.index.lsh import Index
from batch.index.projection import Floats, Rows
from batch.model.fit_index import tasks_for
from batch.versions.remote_index import IndexPlace, local_folder

if TYPE_CHECKING:
    import pandas as pd

MAP = StructType([StructField("track_id", StringType()), StructField("x", FloatType()), StructField("y", FloatType())])
"""One row a track: its position on the map, -1 to 1 in each direction."""

ATTRACTIONS = StructType(
    [
        StructField("position", LongType()),
        StructField("neighbours", ArrayType(IntegerType())),
        StructField("scores", ArrayType(FloatType())),
    ]
)
"""One row a sampled track: its position in the sample, those of the most similar sampled tracks, and how similar they are."""

PLACING = 5
"""Sampled tracks among which another one is placed, at most."""
PLACING_JITTER = 0.005
"""Deviation of its place, so that tracks near the same ones do not hide each other."""
QUERIES_AT_ONCE = 128
ATTRACTING = 15
"""Neighbours of a track's list that attract it."""
REPELLING = 5
"""Random tracks that repel a track in each step."""
MAX_STEPS = 200
MIN_STEPS = 20
MAX_ATTRACTIONS = 60_000_000
"""Attractions in all steps together: large libraries take fewer steps."""
CURVE_A = 1.577
CURVE_B = 0.895
"""UMAP's curve 1 / (1 + a d^(2 b)), fitted to a minimum distance of 0.1."""
MAX_FORCE = 4.0
SEED = 20


def library_map(spark: SparkSession, index: Index, similar: DataFrame) -> DataFrame:
    """MAP of all tracks of the index.  similar : `batch.model.similar_tracks.SIMILAR_SCHEMA`"""
    attracting = F.slice("similar", 1, ATTRACTING)
    table = similar.select(
        "track_id",
        F.transform(attracting, lambda item: item["track_id"]).alias("neighbours"),
        F.transform(attracting, lambda item: item["score"]).alias("scores"),
    ).toArrow()
    neighbours = np.full((len(index), ATTRACTING), -1, dtype=np.int64)
    weights = np.zeros(neighbours.shape, dtype=np.float32)
    rows = index.rows_of(table["track_id"].to_pylist())
    for row, ids, scores in zip(rows, table["neighbours"].to_pylist(), table["scores"].to_pylist(), strict=True):
        neighbours[row, : len(ids)], weights[row, : len(ids)] = index.rows_of(ids), scores
    start = np.asarray(index.vectors @ index.projection.components[:, :2])
    plane = positions(start, neighbours, weights)
    position_rows = [(track_id, float(x), float(y)) for track_id, (x, y) in zip(index.ids.tolist(), plane, strict=True)]
    return spark.createDataFrame(position_rows, MAP).coalesce(1)


def map_by_sample(spark: SparkSession, place: IndexPlace, ranked: DataFrame, sample: Rows) -> DataFrame:
    """MAP of a library of which a sample is laid out; each other track lies among the sampled tracks that it is most like.

    place : of the index;  ranked : `batch.model.similar_tracks.RANKINGS`;  sample : rows, sorted
    """
    table = _neighbours_in_sample(spark, place, sample).toArrow().sort_by("position")
    neighbours = np.array(table["neighbours"].to_pylist(), dtype=np.int64)
    weights = np.array(table["scores"].to_pylist(), dtype=np.float32)
    index = Index.open(local_folder(place), as_trained=True)
    plane = positions(np.asarray(index.vectors[sample] @ index.projection.components[:, :2]), neighbours, weights)
    shared = spark.sparkContext.broadcast((sample, plane))

    def placed(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        sample, plane = shared.value
        index = Index.open(local_folder(place), as_trained=True)
        sketches = np.asarray(index.sketches[sample], dtype=np.float32)
        for batch in batches:
            rows = index.rows_of(batch["track_id"].tolist())
            xy = np.empty((len(batch), 2), dtype=np.float32)
            for number, (row, near, scores) in enumerate(zip(rows, batch["rows"], batch["scores"], strict=True)):
                candidates = np.append(row, near)
                position = np.minimum(np.searchsorted(sample, candidates), len(sample) - 1)
                is_in_sample = sample[position] == candidates
                if is_in_sample[0]:
                    xy[number] = plane[position[0]]
                    continue
                nearest, weight = position[is_in_sample][:PLACING], np.asarray(scores)[is_in_sample[1:]][:PLACING]
                if not len(nearest):
                    distance = np.square(sketches - np.asarray(index.sketches[row], dtype=np.float32)).sum(axis=1)
                    nearest, weight = distance.argmin()[None], np.ones(1)
                jitter = np.random.default_rng([SEED, int(row)]).normal(0, PLACING_JITTER, 2)
                xy[number] = np.average(plane[nearest], axis=0, weights=weight + 1e-6) + jitter
            xy = np.clip(xy, -1, 1)
            yield pd.DataFrame({"track_id": batch["track_id"], "x": xy[:, 0], "y": xy[:, 1]})

    return ranked.mapInPandas(placed, MAP)


def _neighbours_in_sample(spark: SparkSession, place: IndexPlace, sample: Rows) -> DataFrame:
    """ATTRACTIONS: the sampled tracks most similar to each sampled one, by exact search on executors."""
    shared = spark.sparkContext.broadcast(sample)

    def attracting(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        sample = shared.value
        index = Index.open(local_folder(place), as_trained=True)
        points, scales = np.asarray(index.vectors[sample]), np.asarray(index.scales[sample])
        for batch in batches:
            every_position = batch["id"].to_numpy()
            for start in range(0, len(every_position), QUERIES_AT_ONCE):
                position = every_position[start : start + QUERIES_AT_ONCE]
                scaled = squared_distances(points[position], points) / (scales[position][:, None] * scales + 1e-12)
                scaled[np.arange(len(position)), position] = np.inf
                nearest = np.argpartition(scaled, ATTRACTING - 1, axis=1)[:, :ATTRACTING]
                values = np.take_along_axis(scaled, nearest, axis=1)
                order = np.argsort(values, axis=1, kind="stable")
                columns = {
                    "position": position,
                    "neighbours": list(np.take_along_axis(nearest, order, axis=1).astype(np.int32)),
                    "scores": list(np.exp(-np.take_along_axis(values, order, axis=1)).astype(np.float32)),
                }
                yield pd.DataFrame(columns)

    tasks = tasks_for(spark, len(sample))
    return spark.range(0, len(sample), 1, tasks).mapInPandas(attracting, ATTRACTIONS)


def positions(start: Floats, neighbours: NDArray[np.integer], weights: Floats) -> Floats:
    """x and y of each track, -1 to 1: float32 [shape=(n, 2)].

    start : principal components, most important first [shape=(n, at least 1)]
    neighbours : rows, most similar first; -1 for none [shape=(n, k)]
    weights : similarity to each neighbour, 0 to 1 [shape=(n, k)]
    """
    n = len(start)
    if n < 3:
        return np.array([[-0.5, 0], [0.5, 0]] if n == 2 else np.zeros((n, 2)), dtype=np.float32)
    plane = np.zeros((n, 2), dtype=np.float32)
    plane[:, : min(2, start.shape[1])] = start[:, :2]
    deviation = plane.std(axis=0)
    plane = 10 * (plane - plane.mean(axis=0)) / np.where(deviation > 0, deviation, 1) / 3
    rng = np.random.default_rng(SEED)
    plane += rng.normal(0, 1e-3, plane.shape).astype(np.float32)  # so that equal tracks can separate
    nearest = neighbours[:, :ATTRACTING]
    tail, place = np.nonzero(nearest >= 0)
    head, weight = nearest[tail, place], np.sqrt(np.clip(weights[tail, place], 1e-3, 1)).astype(np.float32)
    if len(tail):
        steps = int(np.clip(MAX_ATTRACTIONS / len(tail), MIN_STEPS, MAX_STEPS))
        for step in range(steps):
            _step(plane, tail, head, weight, rng, 1.0 - step / steps)
    return _framed(plane)


def _step(
    plane: Floats,
    tail: NDArray[np.integer],
    head: NDArray[np.integer],
    weight: Floats,
    rng: np.random.Generator,
    rate: float,
) -> None:
    """Moves all tracks once, in place.

    tail, head : rows of the tracks at both ends of each attraction [shape=(e,)];  weight : of each
    A track's forces are averaged, so that hubs do not overshoot.
    """
    n = len(plane)
    difference = plane[tail] - plane[head]
    squared = np.square(difference).sum(axis=1) + 1e-6
    attraction = weight * (-2 * CURVE_A * CURVE_B * squared ** (CURVE_B - 1) / (1 + CURVE_A * squared**CURVE_B))
    force = np.clip(attraction[:, None] * difference, -MAX_FORCE, MAX_FORCE)
    total, count = np.zeros((n, 2), dtype=np.float64), np.bincount(tail, minlength=n) + np.bincount(head, minlength=n)
    for axis in range(2):
        total[:, axis] += np.bincount(tail, force[:, axis], n) - np.bincount(head, force[:, axis], n)
    total /= np.maximum(1, count / ATTRACTING)[:, None]
    for _ in range(REPELLING):
        other = rng.integers(0, n, n)
        difference = plane - plane[other]
        squared = np.square(difference).sum(axis=1)
        repulsion = 2 * CURVE_B / ((0.001 + squared) * (1 + CURVE_A * squared**CURVE_B))
        repulsion = np.where(other == np.arange(n), 0, repulsion)
        total += np.clip(repulsion[:, None] * difference, -MAX_FORCE, MAX_FORCE) * 3
    plane += (0.1 * rate * np.clip(total, -10, 10)).astype(np.float32)


def _framed(plane: Floats) -> Floats:
    """Centred and scaled to -1 … 1 by the 1st and 99th percentile; outliers are clipped to the edge."""
    low, high = np.percentile(plane, [1, 99], axis=0)
    half = np.maximum((high - low) / 2, 1e-6) * 1.1
    return np.clip((plane - (high + low) / 2) / half, -1, 1).astype(np.float32)
