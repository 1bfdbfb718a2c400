"""`train --tune`: sweep of the hash tables' settings on the library's own points, several Spark tasks at once,
and what it chose last.

sweep.parquet   one row for each choice of hash parameters and bucket length: `tuning.sweep_row`
sweep.png       recall over the share of candidates, with the Pareto front
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import DoubleType, LongType, StructField, StructType

from batch import registry
from batch.index.projection import Floats
from batch.index.tuning import (
    PARAMETER_COLUMNS,
    QUALITY_COLUMNS,
    HashParameters,
    HashQuality,
    cheapest_parameters,
    cheapest_row,
    default_parameters,
    parameter_grid,
    pareto_front,
    random_projection,
    shortest_buckets,
    sweep_row,
    tuning_sample,
)
from batch.model import genre_mlp

if TYPE_CHECKING:
    import pandas as pd

SWEEP = StructType(
    [StructField(name, LongType()) for name in PARAMETER_COLUMNS]
    + [StructField(name, DoubleType()) for name in QUALITY_COLUMNS]
)
MAX_TRACKS_SWEPT = 100_000
"""Tracks of the sweep; a larger library is sampled."""
MAX_PCA_TRACKS = 50_000
"""Tracks on which the sweep's principal components are computed, about."""
MAX_COMPONENTS = 32
SEED = 20


@dataclass(frozen=True)
class Tuned:
    """Settings to train with.  chosen_on : tracks on which the hyperparameters were tuned; None: they are the default"""

    hash_parameters: HashParameters
    hyperparameters: genre_mlp.Hyperparameters = field(default_factory=genre_mlp.Hyperparameters)
    chosen_on: str | None = None


def last_tuned(root: str, shape: tuple[int, ...]) -> Tuned:
    """Settings of the newest tuned version of a similar library; the defaults where there is none.

    root : of the model versions
    shape : (tracks, dimensions); similar is a third to three times as many tracks with as many dimensions
    A version whose manifest lacks the settings is skipped.
    """
    tracks, dimensions = shape
    for model in registry.readable(root):
        try:
            is_like = model.value("dimensions") == dimensions and tracks / 3 <= model.value("tracks") <= tracks * 3
            if model.manifest.get("tuned") and is_like:
                parameters = model.value("parameters")
                hash_parameters = HashParameters.from_document(parameters)
                if not (stored := parameters.get("genre")):
                    return Tuned(hash_parameters)
                # Early versions did not store what they were chosen on: it may have been any tracks.
                chosen_on = parameters.get("genre_chosen_on", genre_mlp.SHARED_TRACKS)
                return Tuned(hash_parameters, genre_mlp.Hyperparameters.read(stored), chosen_on)
        except registry.ModelUnusable:
            continue
    return Tuned(default_parameters(tracks))


def tuned_parameters(spark: SparkSession, points: Floats, new: registry.NewVersion) -> HashParameters:
    """The cheapest hash parameters that reach the target recall. Saves the sweep and its plot.

    points : float32 [shape=(n, m)];  new : the model version in the making
    """
    table = new.uri("sweep.parquet")
    sweep(spark, points).write.parquet(table)
    rows = [row.asDict() for row in spark.read.parquet(table).collect()]
    plot(rows, cheapest_row(rows), new.folder / "sweep.png")
    return cheapest_parameters(rows)


def sweep(spark: SparkSession, points: Floats) -> DataFrame:
    """SWEEP over `tuning.parameter_grid`.  points : float32 [shape=(n, m)]"""
    sampled = points[:: max(1, -(-len(points) // MAX_TRACKS_SWEPT))]
    shared = spark.sparkContext.broadcast(np.ascontiguousarray(sampled))
    components, variances = principal_components(sampled, MAX_COMPONENTS)

    def measured(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        points = shared.value
        queries = tuning_sample(points)
        for batch in batches:
            rows = []
            for fields in batch.to_dict("records"):
                parameters = HashParameters.from_document(fields)
                spread = max(float(np.sqrt(variances[: parameters.components].mean())), 1e-6)
                projection = random_projection(parameters, components, spread, SEED)
                qualities: list[HashQuality] = []
                shortest_buckets(points, projection, queries, spread, qualities)
                rows += [sweep_row(parameters, quality) for quality in qualities]
            yield pd.DataFrame(rows, columns=SWEEP.names)

    grid = spark.createDataFrame([parameters.document() for parameters in parameter_grid(len(sampled))])
    tasks = 4 * spark.sparkContext.defaultParallelism
    return grid.repartition(tasks).mapInPandas(measured, SWEEP)


def principal_components(points: Floats, max_components: int) -> tuple[Floats, Floats]:
    """(components [shape=(m, p)], variance along each [shape=(p,)]), most important first."""
    sampled = points[:: max(1, len(points) // MAX_PCA_TRACKS)].astype(np.float64)
    centred = sampled - sampled.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(sampled))
    order = np.argsort(-values)[: min(max_components, points.shape[1])]
    return vectors[:, order].astype(np.float32), np.maximum(values[order], 0).astype(np.float32)


def plot(rows: list[dict[str, Any]], chosen: dict[str, Any], file: Path) -> None:
    """Recall over the share of candidates, with the Pareto front and the chosen row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    share = np.array([100 * row["candidates"] for row in rows])
    recall = np.array([row["recall"] for row in rows])
    is_best = pareto_front(rows)
    axes.scatter(share[~is_best], recall[~is_best], s=18, color="0.65", label="tried")
    order = np.argsort(share[is_best])
    axes.plot(share[is_best][order], recall[is_best][order], "o-", color="tab:blue", label="Pareto front")
    axes.scatter(
        [100 * chosen["candidates"]], [chosen["recall"]], s=120, marker="*", color="tab:red", zorder=3, label="chosen"
    )
    axes.set_xlabel("candidates, % of the tracks")
    axes.set_ylabel("recall@20 against exact search")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=120)
