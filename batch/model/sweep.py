"""`train --tune`: bandings tried on the library's own points, one Spark task each; the whole sweep is kept, with a picture.

sweep.parquet   one row a banding and bucket length that was tried: Banding and Quality
sweep.png       recall over the share of candidates, and what no other row beats
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
MOST_TRACKS = 100_000
"""A larger library is tuned on so many of its tracks."""
MOST_COMPONENTS = 32
SEED = 20


def tuned(spark: SparkSession, points: Floats, folder: Path) -> Banding:
    """The cheapest banding that reaches the target recall; the sweep and its picture are left in the folder.

    folder : of the model version
    """
    table = registry.uri(folder / "sweep.parquet")
    file = folder / "points.npy"
    try:
        swept(spark, points, file).write.parquet(table)
    finally:
        file.unlink(missing_ok=True)
    rows = [row.asDict() for row in spark.read.parquet(table).collect()]
    picture(rows, taken(rows), folder / "sweep.png")
    return cheapest(rows)


def swept(spark: SparkSession, points: Floats, file: Path) -> DataFrame:
    """SWEEP over `tuning.grid`.  points : float32 [shape=(n, m)];  file : where the workers find them while it runs"""
    some = points[:: max(1, -(-len(points) // MOST_TRACKS))]
    np.save(file, some)
    components, variances = principal(some, MOST_COMPONENTS)
    where = str(file)

    def tried(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        points = np.load(where, mmap_mode="r")
        known = sample(points)
        for batch in batches:
            rows = []
            for banding in (Banding(**{k: int(v) for k, v in one.items()}) for one in batch.to_dict("records")):
                spread = max(float(np.sqrt(variances[: banding.components].mean())), 1e-6)
                space = drawn(banding, components, spread, SEED)
                seen: list[Quality] = []
                narrowest(points, space, known, spread, seen)
                rows += [row(banding, met) for met in seen]
            yield pd.DataFrame(rows, columns=SWEEP.names)

    bandings = spark.createDataFrame([asdict(banding) for banding in grid(len(some))])
    tasks = 4 * spark.sparkContext.defaultParallelism
    return bandings.repartition(tasks).mapInPandas(tried, SWEEP)


def principal(points: Floats, most: int) -> tuple[Floats, Floats]:
    """(principal components [shape=(m, p)], variance along each [shape=(p,)]), most important first."""
    some = points[:: max(1, len(points) // 50_000)].astype(np.float64)
    centred = some - some.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(some))
    order = np.argsort(-values)[: min(most, points.shape[1])]
    return vectors[:, order].astype(np.float32), np.maximum(values[order], 0).astype(np.float32)


def picture(rows: list[dict[str, Any]], chosen: dict[str, Any], file: Path) -> None:
    """Recall over candidates, with the rows that no other beats and the one that was taken."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    share = np.array([100 * one["candidates"] for one in rows])
    recall = np.array([one["recall"] for one in rows])
    best = pareto(rows)
    axes.scatter(share[~best], recall[~best], s=18, color="0.65", label="tried")
    order = np.argsort(share[best])
    axes.plot(share[best][order], recall[best][order], "o-", color="tab:blue", label="beaten by none")
    at, reached = [100 * chosen["candidates"]], [chosen["recall"]]
    axes.scatter(at, reached, s=120, marker="*", color="tab:red", zorder=3, label="taken")
    axes.set_xlabel("candidates, % of the tracks")
    axes.set_ylabel("recall@20 against exact search")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=120)
