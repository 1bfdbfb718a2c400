"""`train --tune`: sweep of the hash tables' settings on the library's own points, several Spark tasks at once.

sweep.parquet   one row for each banding and bucket length: Banding and Quality
sweep.png       recall over the share of candidates, with the Pareto front
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import DoubleType, LongType, StructField, StructType

from batch import registry
from batch.index.projection import Floats
from batch.index.tuning import Banding, Quality, cheapest, drawn, grid, narrowest, pareto, row, sample, taken

if TYPE_CHECKING:
    import pandas as pd

SWEEP = StructType(
    [StructField(name, LongType()) for name in Banding.__dataclass_fields__]
    + [StructField(name, DoubleType()) for name in Quality.__dataclass_fields__]
)
MAX_TRACKS = 100_000
"""Tracks of the sweep; a larger library is sampled."""
MAX_PCA_TRACKS = 50_000
"""Tracks on which the sweep's principal components are computed, about."""
MAX_COMPONENTS = 32
SEED = 20


def tuned_banding(spark: SparkSession, points: Floats, folder: Path) -> Banding:
    """The cheapest banding that reaches the target recall. Saves the sweep and its plot.

    points : float32 [shape=(n, m)];  folder : of the model version
    """
    table = registry.uri(folder / "sweep.parquet")
    points_file = folder / "points.npy"
    try:
        sweep(spark, points, points_file).write.parquet(table)
    finally:
        points_file.unlink(missing_ok=True)
    rows = [row.asDict() for row in spark.read.parquet(table).collect()]
    plot(rows, taken(rows), folder / "sweep.png")
    return cheapest(rows)


def sweep(spark: SparkSession, points: Floats, points_file: Path) -> DataFrame:
    """SWEEP over `tuning.grid`.

    points : float32 [shape=(n, m)];  points_file : written here, must stay until the result is computed: workers read it
    """
    sampled = points[:: max(1, -(-len(points) // MAX_TRACKS))]
    np.save(points_file, sampled)
    components, variances = principal_components(sampled, MAX_COMPONENTS)
    points_path = str(points_file)

    def measured(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        points = np.load(points_path, mmap_mode="r")
        queries = sample(points)
        for batch in batches:
            rows = []
            for fields in batch.to_dict("records"):
                banding = Banding(**{name: int(value) for name, value in fields.items()})
                spread = max(float(np.sqrt(variances[: banding.components].mean())), 1e-6)
                space = drawn(banding, components, spread, SEED)
                qualities: list[Quality] = []
                narrowest(points, space, queries, spread, qualities)
                rows += [row(banding, quality) for quality in qualities]
            yield pd.DataFrame(rows, columns=SWEEP.names)

    bandings = spark.createDataFrame([asdict(banding) for banding in grid(len(sampled))])
    tasks = 4 * spark.sparkContext.defaultParallelism
    return bandings.repartition(tasks).mapInPandas(measured, SWEEP)


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
    is_best = pareto(rows)
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
