"""MLlib's scaler, PCA and BucketedRandomProjectionLSH, fitted on the features and read out as the numbers of an index.

features ─▶ scaler ─▶ learned metric (`batch.model.metric_learning`), unit length = points ─▶ PCA ─▶ LSH ─▶ index

MLlib's own lookup ORs single hashes and scans the catalogue; its hash functions are what we use, ANDed into bands
(`batch.index.hash_tables`). MLlib has no random offset, so a constant column is hashed along with the components: the
projection of that
constant is the offset.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark import SparkContext
from pyspark.ml.common import _java2py
from pyspark.ml.feature import (
    PCA,
    BucketedRandomProjectionLSH,
    BucketedRandomProjectionLSHModel,
    StandardScaler,
    VectorAssembler,
    VectorSlicer,
)
from pyspark.ml.functions import array_to_vector
from pyspark.ml.util import JavaMLWritable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, FloatType, IntegerType, LongType, StringType, StructField, StructType

from batch.index.hash_tables import Bands
from batch.index.lsh import NEAR, Index, artist_codes, local_scales, positive
from batch.index.projection import Floats, Space, grain_of, to_unit
from batch.index.tuning import Banding, Quality, narrowest, sample
from batch.library.labels import Tags
from batch.model.artist_cap import spread
from batch.model.metric_learning import Metric, learned

if TYPE_CHECKING:
    import pandas as pd

SIMILAR = StructType(
    [
        StructField("track_id", StringType()),
        StructField(
            "similar",
            ArrayType(StructType([StructField("track_id", StringType()), StructField("score", FloatType())])),
        ),
        StructField("near", ArrayType(IntegerType())),
    ]
)
"""One row a track: its list of up to 50 similar tracks, score 0 to 1; ranked, but for what `batch.model.artist_cap` moves back.

near : rows of the index, the ranking as it is
"""

SCALES = StructType([StructField("row", LongType()), StructField("scale", FloatType())])

SEED = 20
SKETCHED = 32
"""Principal components that are kept of each track, to shortlist candidates; bands may hash in fewer."""
ON_DRIVER = 5000
"""Up to so many tracks, local scales are found without a Spark job."""
RANKED = 2
"""So many times the tracks of a list are ranked, to have others where an artist has too many."""


class TooFewTracks(ValueError):
    """A model needs tracks to compare."""


@dataclass(frozen=True)
class Fitted:
    """The MLlib models by name, the space and bands made of them, and how good they are.

    points : float32 [shape=(n, m)], in the order of the vectors;  spread : root mean square of a projection
    """

    models: dict[str, JavaMLWritable]
    space: Space
    bands: Bands
    points: Floats
    components: Floats
    metric: Metric
    banding: Banding
    spread: float
    quality: Quality


def fit(features: DataFrame, vectors: NDArray[np.float32], tags: Tags, banding: Banding) -> Fitted:
    """Fits scaler, PCA and LSH on the cluster, and the narrowest buckets with recall@20 of at least `tuning.TARGET_RECALL`.

    features : (vector);  vectors : the same, float32 [shape=(n, d)];  tags : in the order of vectors
    Raises TooFewTracks with fewer than two.
    """
    if len(vectors) < 2:
        raise TooFewTracks(f"{len(vectors)} track with features, at least 2 are needed to compare; extract more first")
    spark = features.sparkSession
    scaler = StandardScaler(withMean=True, withStd=True, inputCol="features", outputCol="standardised").fit(
        features.select(array_to_vector(F.col("vector")).alias("features"))
    )
    none = np.empty((0, 0), dtype=np.float32)
    mean, deviation = (array.toArray().astype(np.float32) for array in (scaler.mean, scaler.std))
    space = Space(mean, deviation, none, none, none, 1.0, unit=True)
    standardised = space.standardised(vectors)
    metric = learned(standardised, tags)
    points = to_unit(standardised if metric.matrix is None else standardised @ metric.matrix)
    fitted = _hashed(spark, points, replace(space, metric=metric.matrix), banding)
    return replace(fitted, models={"scaler": scaler, **fitted.models}, metric=metric)


def rehashed(spark: SparkSession, fitted: Fitted, banding: Banding) -> Fitted:
    """The same points under another banding."""
    found = _hashed(spark, fitted.points, fitted.space, banding)
    return replace(found, models={**fitted.models, **found.models}, metric=fitted.metric)


def _hashed(spark: SparkSession, points: Floats, space: Space, banding: Banding) -> Fitted:
    """PCA and LSH of the points."""
    n, m = points.shape
    column = pa.FixedSizeListArray.from_arrays(pa.array(points.reshape(-1)), m).cast(pa.list_(pa.float32()))
    frame = spark.createDataFrame(pa.table({"point": column})).coalesce(spark.sparkContext.defaultParallelism)
    vectors = frame.select(array_to_vector(F.col("point")).alias("point")).cache()
    try:
        pca = PCA(k=min(max(banding.components, SKETCHED), m, n), inputCol="point", outputCol="components").fit(vectors)
        variance = float(points.var(axis=0, dtype=np.float64).sum())
        p = min(banding.components, pca.getK())
        shares = np.nan_to_num(pca.explainedVariance.toArray()[:p])  # of tracks that are all equal: 0 / 0
        spread = max(float(np.sqrt(shares.mean() * variance)), 1e-6)
        constant = 10 * spread * np.sqrt(p + 1)
        first = VectorSlicer(inputCol="components", outputCol="first", indices=list(range(p)))
        hashed = VectorAssembler(inputCols=["first", "constant"], outputCol="hashed").transform(
            first.transform(pca.transform(vectors)).withColumn("constant", F.lit(float(constant)))
        )
        lsh = BucketedRandomProjectionLSH(
            inputCol="hashed", outputCol="hashes", numHashTables=banding.hashes * banding.bands, seed=SEED
        )
        directions = _directions(lsh.setBucketLength(spread).fit(hashed)).reshape(banding.bands, banding.hashes, -1)
        tried = replace(
            space,
            components=np.nan_to_num(pca.pc.toArray()).astype(np.float32),
            directions=np.ascontiguousarray(directions[:, :, :-1]),
            offsets=directions[:, :, -1] * np.float32(constant),
            probes=banding.probes,
            shared=banding.shared,
            limit=banding.limit,
        )
        tried = replace(tried, grain=grain_of(points, tried.components))
        chosen, bands, quality = narrowest(points, tried, sample(points), spread)
        # The same seed gives the same directions: the model that is kept hashes as the index does.
        model = lsh.setBucketLength(chosen.width).fit(hashed)
    finally:
        vectors.unpersist()
    models: dict[str, JavaMLWritable] = {"pca": pca, "lsh": model}
    return Fitted(models, chosen, bands, points, chosen.components, Metric("", None, ()), banding, spread, quality)


def as_index(ids: list[str], artists: list[str | None], fitted: Fitted) -> Index:
    """The index of the tracks whose points were fitted, in their order; local scales of 1 until `with_scales`.

    ids : sorted
    """
    names, codes = artist_codes(artists)
    scales = np.ones(len(ids), dtype=np.float32)
    sketches = fitted.space.sketches(fitted.points)
    keys = np.array(ids, dtype=np.str_)
    return Index(fitted.space, keys, fitted.points, scales, codes, names, fitted.bands, sketches=sketches)


def with_scales(spark: SparkSession, folder: Path) -> Index:
    """The index in the folder with each track's local scale, which is written there; by Spark where there are many tracks."""
    whole = Index.open(folder, as_trained=True)
    if len(whole) <= ON_DRIVER:
        scales = local_scales(whole, whole.vectors)
    else:
        found = _scales(spark, str(folder), len(whole)).toArrow()
        scales = np.ones(len(whole), dtype=np.float32)
        scales[found["row"].to_numpy()] = found["scale"].to_numpy()
    np.save(folder / "scales.npy", positive(scales))
    return Index.open(folder, as_trained=True)


def _scales(spark: SparkSession, folder: str, tracks: int) -> DataFrame:
    def measured(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        whole = Index.open(Path(folder), as_trained=True)
        for batch in batches:
            rows = batch["id"].to_numpy()
            yield pd.DataFrame({"row": rows, "scale": local_scales(whole, whole.vectors[rows])})

    tasks = max(2 * spark.sparkContext.defaultParallelism, tracks // 20_000)
    return spark.range(0, tracks, 1, tasks).mapInPandas(measured, SCALES)


def similar(ids: DataFrame, folder: str, k: int) -> DataFrame:
    """Each track's list of the k most similar, at most two of one artist in any ten where others are near: SIMILAR.

    ids : (track_id);  folder : of the index, which every worker maps into its memory
    """

    def ranked(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        whole = Index.open(Path(folder), as_trained=True)
        for batch in batches:
            rows = whole.rows_of(list(batch["track_id"]))
            lists, rankings = [], []
            for near, score in whole.similar(rows, max(NEAR, RANKED * k)):
                shown = spread(whole.artists[near], score, k)
                lists.append([{"track_id": str(whole.ids[near[at]]), "score": float(score[at])} for at in shown])
                rankings.append(near[:NEAR].tolist())
            yield pd.DataFrame({"track_id": batch["track_id"], "similar": lists, "near": rankings})

    return ids.mapInPandas(ranked, SIMILAR)


def keep_near(similar: DataFrame, folder: Path) -> None:
    """Writes each track's ranking into the index in the folder, where the stream finds it without asking.  similar : SIMILAR"""
    whole = Index.open(folder, as_trained=True)
    stored = similar.select("track_id", "near").toArrow()
    near = pc.list_flatten(stored["near"]).to_numpy().reshape(len(stored), -1)
    table = np.empty_like(near)
    table[whole.rows_of(stored["track_id"].to_pylist())] = near
    np.save(folder / "near.npy", table)


def _directions(model: BucketedRandomProjectionLSHModel) -> NDArray[np.float32]:
    """MLlib's random unit vectors, float32 [shape=(bands * hashes, p + 1)]."""
    context = SparkContext._active_spark_context
    assert context is not None and model._java_obj is not None  # a fitted model has both
    vectors = [_java2py(context, vector).toArray() for vector in model._java_obj.randUnitVectors()]
    return np.asarray(vectors, dtype=np.float32)
