"""MLlib's scaler, PCA and BucketedRandomProjectionLSH, fitted on the features and read out as the arrays of an index.

features ─▶ scaler ─▶ learned metric (`batch.model.metric`), unit length = points ─▶ PCA ─▶ LSH ─▶ index

MLlib's own lookup ORs single hashes and scans all tracks. We take its hash functions and AND several of them into the key of a
hash table (`batch.index.hash_tables`). MLlib has no random offset, so a constant column is hashed along with the components: the
projection of that constant is the offset.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
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
from pyspark.sql.types import FloatType, LongType, StructField, StructType

from batch.index.building import artist_codes, local_scales, positive_scales
from batch.index.hash_tables import HashTables
from batch.index.lsh import Index
from batch.index.projection import Floats, Projection, int8_quantisation_step
from batch.index.recordings import recording_codes
from batch.index.tuning import HashParameters, HashQuality, shortest_buckets, tuning_sample
from batch.library.labels import TrackLabels
from batch.library.titles import title_keys, track_lengths
from batch.model.metric.choice import Metric, learned_metric
from batch.versions.remote_index import IndexPlace, local_folder

if TYPE_CHECKING:
    import pandas as pd

LOCAL_SCALES = StructType([StructField("row", LongType()), StructField("scale", FloatType())])

SEED = 20
SKETCH_COMPONENTS = 32
"""Principal components of a sketch, which shortlists candidates; the hash tables may use fewer."""
MAX_TRACKS_ON_DRIVER = 5000
"""Up to so many tracks, local scales are computed without a Spark job."""


class TooFewTracks(ValueError):
    """Fewer than two tracks have features."""


@dataclass(frozen=True)
class Fitted:
    """The fitted MLlib models by name, what was read out of them, and the quality of the hash tables.

    points : float32 [shape=(n, m)], in the order of the vectors
    components : principal components of the points, float32 [shape=(m, p)]
    spread : root mean square of a projection
    """

    models: dict[str, JavaMLWritable]
    projection: Projection
    tables: HashTables
    points: Floats
    components: Floats
    metric: Metric
    hash_parameters: HashParameters
    spread: float
    quality: HashQuality


def fit(
    features: DataFrame,
    rows: NDArray[np.float32],
    tracks: TrackLabels,
    hash_parameters: HashParameters,
    block_lengths: tuple[int, ...] = (),
) -> Fitted:
    """Scaler, metric, PCA and LSH, with the shortest buckets that reach recall@20 of `tuning.TARGET_CANDIDATE_RECALL`.

    features : (features), on which MLlib fits
    rows : the same on the driver, float32 [shape=(n, d)];  tracks : labels in the order of the rows
    block_lengths : numbers of each block of a row (`batch.model.blocks`); (): one block
    Raises TooFewTracks with fewer than two.
    """
    if len(rows) < 2:
        raise TooFewTracks(
            f"{len(rows)} track with features, a model needs at least 2; run ./spark-submit.sh batch/extract.py first"
        )
    spark = features.sparkSession
    scaler = StandardScaler(withMean=True, withStd=True, inputCol="features", outputCol="standardised").fit(
        features.select(array_to_vector(F.col("features")).alias("features"))
    )
    empty = np.empty((0, 0), dtype=np.float32)
    mean, deviation = (array.toArray().astype(np.float32) for array in (scaler.mean, scaler.std))
    projection = Projection(mean, deviation, empty, empty, empty, 1.0, unit_length=True)
    standardised = projection.standardised(rows)
    metric = learned_metric(standardised, tracks, block_lengths, deviation)
    scaling = metric.scaling
    projection = replace(
        projection,
        metric=metric.matrix,
        block_widths=scaling.widths if scaling else None,
        block_weights=scaling.weights if scaling else None,
    )
    fitted = _hashed(spark, metric.points(standardised), projection, hash_parameters)
    return replace(fitted, models={"scaler": scaler, **fitted.models}, metric=metric)


def rehashed(spark: SparkSession, fitted: Fitted, hash_parameters: HashParameters) -> Fitted:
    """The same points under other hash parameters."""
    again = _hashed(spark, fitted.points, fitted.projection, hash_parameters)
    return replace(again, models={**fitted.models, **again.models}, metric=fitted.metric)


def _hashed(spark: SparkSession, points: Floats, projection: Projection, hash_parameters: HashParameters) -> Fitted:
    """PCA and LSH of the points."""
    n, m = points.shape
    column = pa.FixedSizeListArray.from_arrays(pa.array(points.reshape(-1)), m).cast(pa.list_(pa.float32()))
    frame = spark.createDataFrame(pa.table({"point": column})).coalesce(spark.sparkContext.defaultParallelism)
    vectors = frame.select(array_to_vector(F.col("point")).alias("point")).cache()
    try:
        pca = PCA(
            k=min(max(hash_parameters.components, SKETCH_COMPONENTS), m, n), inputCol="point", outputCol="components"
        ).fit(vectors)
        variance = float(points.var(axis=0, dtype=np.float64).sum())
        p = min(hash_parameters.components, pca.getK())
        shares = np.nan_to_num(pca.explainedVariance.toArray()[:p])  # 0 / 0 where all tracks are equal
        spread = max(float(np.sqrt(shares.mean() * variance)), 1e-6)
        constant = 10 * spread * np.sqrt(p + 1)
        hashed_components = VectorSlicer(inputCol="components", outputCol="hashed_components", indices=list(range(p)))
        hashed = VectorAssembler(inputCols=["hashed_components", "constant"], outputCol="hashed").transform(
            hashed_components.transform(pca.transform(vectors)).withColumn("constant", F.lit(float(constant)))
        )
        lsh = BucketedRandomProjectionLSH(
            inputCol="hashed",
            outputCol="hashes",
            numHashTables=hash_parameters.hashes * hash_parameters.tables,
            seed=SEED,
        )
        directions = _directions(lsh.setBucketLength(spread).fit(hashed))
        directions = directions.reshape(hash_parameters.tables, hash_parameters.hashes, -1)
        untuned = replace(
            projection,
            components=np.nan_to_num(pca.pc.toArray()).astype(np.float32),
            directions=np.ascontiguousarray(directions[:, :, :-1]),
            offsets=directions[:, :, -1] * np.float32(constant),
            probes=hash_parameters.probes,
            min_collisions=hash_parameters.min_collisions,
            bucket_limit=hash_parameters.bucket_limit,
        )
        untuned = replace(untuned, quantisation_step=int8_quantisation_step(points, untuned.components))
        chosen, tables, quality = shortest_buckets(points, untuned, tuning_sample(points), spread)
        # The same seed gives the same directions, so the MLlib model that is saved hashes as the index does.
        model = lsh.setBucketLength(chosen.bucket_length).fit(hashed)
    finally:
        vectors.unpersist()
    models: dict[str, JavaMLWritable] = {"pca": pca, "lsh": model}
    no_metric = Metric("", None, ())
    return Fitted(models, chosen, tables, points, chosen.components, no_metric, hash_parameters, spread, quality)


def as_index(ids: list[str], artists: list[str | None], fitted: Fitted) -> Index:
    """The index of the fitted points; local scales are 1 until `with_scales`.

    ids : sorted, in the order of the points;  artists : of the same tracks
    """
    names, codes = artist_codes(artists)
    scales = np.ones(len(ids), dtype=np.float32)
    sketches = fitted.projection.stored_sketch(fitted.points)
    keys = np.array(ids, dtype=np.str_)
    return Index(fitted.projection, keys, fitted.points, scales, codes, names, fitted.tables, sketches=sketches)


def with_scales(spark: SparkSession, folder: Path, place: IndexPlace | None = None) -> Index:
    """Computes each track's local scale, by Spark where there are many tracks, and saves it; returns the index with it.

    folder : of the saved index;  place : where workers find it; None: there
    """
    whole = Index.open(folder, as_trained=True)
    if len(whole) <= MAX_TRACKS_ON_DRIVER:
        scales = local_scales(whole, whole.vectors)
    else:
        table = _local_scales(spark, place or folder, len(whole)).toArrow()
        scales = np.ones(len(whole), dtype=np.float32)
        scales[table["row"].to_numpy()] = table["scale"].to_numpy()
    np.save(folder / "scales.npy", positive_scales(scales))
    return Index.open(folder, as_trained=True)


def _local_scales(spark: SparkSession, place: IndexPlace, tracks: int) -> DataFrame:
    """LOCAL_SCALES of all rows of the index."""

    def measured(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        whole = Index.open(local_folder(place), as_trained=True)
        for batch in batches:
            rows = batch["id"].to_numpy()
            yield pd.DataFrame({"row": rows, "scale": local_scales(whole, whole.vectors[rows])})

    tasks = max(2 * spark.sparkContext.defaultParallelism, tracks // 20_000)
    return spark.range(0, tracks, 1, tasks).mapInPandas(measured, LOCAL_SCALES)


def save_recordings(
    folder: Path,
    artists: Sequence[str | None],
    titles: Sequence[str | None],
    durations_s: Sequence[float | None],
) -> int:
    """Saves with the index which tracks are one recording, and what appended ones are compared by.

    Returns the number of different recordings.
    folder : of the index, with stored neighbours
    artists, titles, durations_s : of the tracks in the order of the index
    """
    whole = Index.open(folder, as_trained=True)
    whole = replace(whole, title_keys=title_keys(artists, titles), durations=track_lengths(durations_s))
    codes = recording_codes(whole)
    for name, array in (("title_keys", whole.title_keys), ("durations", whole.durations), ("recordings", codes)):
        np.save(folder / f"{name}.npy", array)
    return len(np.unique(codes))


def _directions(model: BucketedRandomProjectionLSHModel) -> NDArray[np.float32]:
    """MLlib's random unit vectors, float32 [shape=(tables * hashes, p + 1)]."""
    context = SparkContext._active_spark_context
    assert context is not None and model._java_obj is not None  # a fitted model has both
    vectors = [_java2py(context, vector).toArray() for vector in model._java_obj.randUnitVectors()]
    return np.asarray(vectors, dtype=np.float32)
