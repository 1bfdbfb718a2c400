"""MLlib's scaler, PCA and BucketedRandomProjectionLSH, fitted on the features and read out as the arrays of an index.

features ─▶ scaler ─▶ learned metric (`batch.model.metric`), unit length = points ─▶ PCA ─▶ LSH ─▶ index

MLlib's own lookup ORs single hashes and scans all tracks. We take its hash functions and AND several of them into the key of a
hash table (`batch.index.hash_tables`). MLlib has no random offset, so a constant column is hashed along with the components: the
projection of that constant is the offset.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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

from batch.index.building import local_scales, positive_scales
from batch.index.lsh import Index
from batch.index.pieces import Piece, TrackColumns, write_index
from batch.index.projection import Floats, Projection, int8_quantisation_step, mean_and_variance
from batch.index.recordings import Nearness, near_pairs, recording_codes
from batch.index.tuning import HashParameters, HashQuality, TuningSample, shortest_buckets, tuning_sample
from batch.library.labels import TrackLabels
from batch.model.library_neighbours import sampled_tuning
from batch.model.metric.choice import Metric, learned_metric
from batch.versions.remote_index import IndexPlace, local_folder

if TYPE_CHECKING:
    import pandas as pd

LOCAL_SCALES = StructType([StructField("row", LongType()), StructField("scale", FloatType())])

NEAR_PAIRS = StructType([StructField("row", LongType()), StructField("other", LongType())])

SEED = 20
SKETCH_COMPONENTS = 32
"""Principal components of a sketch, which shortlists candidates; the hash tables may use fewer."""
MAX_TRACKS_ON_DRIVER = 5000
"""Up to so many tracks, local scales and recordings are computed without a Spark job."""
TRACKS_A_TASK = 5000
"""Tracks of a task of a job that computes something for each track."""


class TooFewTracks(ValueError):
    """Fewer than two tracks have features."""


@dataclass(frozen=True)
class Fitted:
    """The fitted MLlib models by name, what was read out of them, and the quality of the hash tables.

    points : float32 [shape=(n, m)], in the order of the rows that it was fitted on
    components : principal components of the points, float32 [shape=(m, p)]
    spread : root mean square of a projection
    tuning : points and sample that the hash tables were tuned on
    """

    models: dict[str, JavaMLWritable]
    projection: Projection
    points: Floats
    components: Floats
    metric: Metric
    hash_parameters: HashParameters
    spread: float
    quality: HashQuality
    tuning: tuple[Floats, TuningSample]


def fit(
    features: DataFrame,
    rows: NDArray[np.float32],
    tracks: TrackLabels,
    hash_parameters: HashParameters,
    block_lengths: tuple[int, ...] = (),
    library: int | None = None,
) -> Fitted:
    """Scaler, metric, PCA and LSH, with the shortest buckets that reach recall@20 of `tuning.TARGET_CANDIDATE_RECALL`.

    features : (features) of the library, on which the scaler is fitted
    rows : of it, or of a sample, float32 [shape=(n, d)], on which the rest is;  tracks : labels in the order of the rows
    block_lengths : numbers of each block of a row (`batch.model.blocks`); (): one block
    library : tracks in it; None: the rows are the library. Of a sample, `features` has the column track_id as well
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
    points = metric.points(standardised)
    del standardised
    if library is not None and library > len(rows):
        tuning = sampled_tuning(features, library, points, projection)
    else:
        tuning = points, tuning_sample(points)
    fitted = _hashed(spark, points, projection, hash_parameters, tuning)
    return replace(fitted, models={"scaler": scaler, **fitted.models}, metric=metric)


def rehashed(spark: SparkSession, fitted: Fitted, hash_parameters: HashParameters) -> Fitted:
    """The same points under other hash parameters."""
    again = _hashed(spark, fitted.points, fitted.projection, hash_parameters, fitted.tuning)
    return replace(again, models={**fitted.models, **again.models}, metric=fitted.metric)


def _hashed(
    spark: SparkSession,
    points: Floats,
    projection: Projection,
    hash_parameters: HashParameters,
    tuning: tuple[Floats, TuningSample],
) -> Fitted:
    """PCA and LSH of the points."""
    n, m = points.shape
    column = pa.FixedSizeListArray.from_arrays(pa.array(points.reshape(-1)), m).cast(pa.list_(pa.float32()))
    frame = spark.createDataFrame(pa.table({"point": column})).coalesce(spark.sparkContext.defaultParallelism)
    vectors = frame.select(array_to_vector(F.col("point")).alias("point")).cache()
    try:
        pca = PCA(
            k=min(max(hash_parameters.components, SKETCH_COMPONENTS), m, n), inputCol="point", outputCol="components"
        ).fit(vectors)
        variance = float(mean_and_variance(points)[1].sum())
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
        chosen, _, quality = shortest_buckets(tuning[0], untuned, tuning[1], spread)
        # The same seed gives the same directions, so the MLlib model that is saved hashes as the index does.
        model = lsh.setBucketLength(chosen.bucket_length).fit(hashed)
    finally:
        vectors.unpersist()
    models: dict[str, JavaMLWritable] = {"pca": pca, "lsh": model}
    no_metric = Metric("", None, ())
    return Fitted(models, chosen, points, chosen.components, no_metric, hash_parameters, spread, quality, tuning)


def without_points(fitted: Fitted) -> Fitted:
    """What was fitted without the points, when the index has them."""
    return replace(fitted, points=fitted.points[:0].copy(), tuning=(fitted.points[:0].copy(), fitted.tuning[1]))


def save_index(folder: Path, tracks: TrackColumns, fitted: Fitted, pieces: Iterable[Piece] | None = None) -> None:
    """Writes the index of a library, with local scales of 1 until `with_scales`.

    pieces : of all tracks; None: the points that it was fitted on are the library, in the order of the ids
    """
    if pieces is None:
        pieces = [Piece.of(np.arange(len(tracks.ids)), fitted.points, fitted.projection)]
    write_index(folder, tracks, fitted.projection, pieces)


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

    return spark.range(0, tracks, 1, tasks_for(spark, tracks)).mapInPandas(measured, LOCAL_SCALES)


def save_recordings(spark: SparkSession, folder: Path, place: IndexPlace | None = None) -> int:
    """Saves with the index which tracks are one recording; returns the number of different recordings.

    folder : of the index, with stored neighbours, title keys and durations
    place : where workers find it; None: there
    """
    whole = Index.open(folder, as_trained=True)
    pairs = None
    if len(whole) > MAX_TRACKS_ON_DRIVER:
        table = _near_pairs(spark, place or folder, Nearness.of(whole), len(whole)).toArrow()
        pairs = np.column_stack([table["row"].to_numpy(), table["other"].to_numpy()])
    codes = recording_codes(whole, pairs)
    np.save(folder / "recordings.npy", codes)
    return len(np.unique(codes))


def _near_pairs(spark: SparkSession, place: IndexPlace, nearness: Nearness, tracks: int) -> DataFrame:
    """NEAR_PAIRS of all rows of the index."""
    shared = spark.sparkContext.broadcast(nearness)

    def compared(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        whole = Index.open(local_folder(place), as_trained=True)
        for batch in batches:
            pairs = near_pairs(whole, shared.value, batch["id"].to_numpy())
            yield pd.DataFrame({"row": pairs[:, 0], "other": pairs[:, 1]})

    return spark.range(0, tracks, 1, tasks_for(spark, tracks)).mapInPandas(compared, NEAR_PAIRS)


def tasks_for(spark: SparkSession, tracks: int) -> int:
    """Tasks of a job that computes something for so many tracks of the index."""
    return max(2 * spark.sparkContext.defaultParallelism, tracks // TRACKS_A_TASK)


def _directions(model: BucketedRandomProjectionLSHModel) -> NDArray[np.float32]:
    """MLlib's random unit vectors, float32 [shape=(tables * hashes, p + 1)]."""
    context = SparkContext._active_spark_context
    assert context is not None and model._java_obj is not None  # a fitted model has both
    vectors = [_java2py(context, vector).toArray() for vector in model._java_obj.randUnitVectors()]
    return np.asarray(vectors, dtype=np.float32)
