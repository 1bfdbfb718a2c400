"""MLlib's scaler, PCA and BucketedRandomProjectionLSH, fitted on the features and read out as the numbers of an index.

MLlib's own lookup ORs single hashes and scans the catalogue; its hash functions are what we use, ANDed into bands
(`batch.index`). MLlib has no random offset, so a constant column is hashed along with the components: the projection of that
constant is the offset.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pyspark import SparkContext
from pyspark.ml.common import _java2py
from pyspark.ml.feature import (
    PCA,
    BucketedRandomProjectionLSH,
    BucketedRandomProjectionLSHModel,
    PCAModel,
    StandardScaler,
    StandardScalerModel,
    VectorAssembler,
)
from pyspark.ml.functions import array_to_vector
from pyspark.ml.util import JavaMLWritable
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, FloatType, StringType, StructField, StructType

from batch.index import Index, index, quality, with_local_scales
from batch.space import Space

if TYPE_CHECKING:
    import pandas as pd

SIMILAR = StructType(
    [
        StructField("track_id", StringType()),
        StructField(
            "similar",
            ArrayType(StructType([StructField("track_id", StringType()), StructField("score", FloatType())])),
        ),
    ]
)
"""One row a track: its ranked list of up to 50 similar tracks, score 0 to 1."""

HASHES = 10
BANDS = 32
COMPONENTS = 32
SEED = 20
TARGET_RECALL = 0.95
RECALL_AT = 20
SAMPLE = 200
WIDTHS = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
"""Bucket lengths to choose from, in root mean squares of a projection."""


class TooFewTracks(ValueError):
    """A model needs tracks to compare."""


@dataclass(frozen=True)
class Fitted:
    """The MLlib models by name, the index made of them, and how good it is."""

    models: dict[str, JavaMLWritable]
    index: Index
    recall: float
    candidate_share: float


def fit(features: DataFrame, ids: list[str], vectors: NDArray[np.float32], artists: list[str | None]) -> Fitted:
    """Fits scaler, PCA and LSH on the cluster and builds the index from their numbers.

    features : (track_id, vector);  vectors : the same, float32 [shape=(n, d)], in the order of ids
    The narrowest buckets with recall@20 of at least 0.95 are taken. Raises TooFewTracks with fewer than two.
    """
    if len(ids) < 2:
        raise TooFewTracks(f"{len(ids)} track with features, at least 2 are needed to compare; extract more first")
    n, d = vectors.shape
    points = features.select(array_to_vector(F.col("vector")).alias("features")).cache()
    try:
        scaler = StandardScaler(withMean=True, withStd=True, inputCol="features", outputCol="standardised").fit(points)
        standardised = scaler.transform(points)
        pca = PCA(k=min(COMPONENTS, d, n), inputCol="standardised", outputCol="components").fit(standardised)
        spread = max(float(np.sqrt(pca.explainedVariance.toArray().mean() * d)), 1e-6)
        constant = 10 * spread * np.sqrt(pca.getK() + 1)
        hashed = VectorAssembler(inputCols=["components", "constant"], outputCol="hashed").transform(
            pca.transform(standardised).withColumn("constant", F.lit(float(constant)))
        )
        lsh = BucketedRandomProjectionLSH(
            inputCol="hashed", outputCol="hashes", numHashTables=HASHES * BANDS, seed=SEED
        )
        directions = _directions(lsh.setBucketLength(spread).fit(hashed))
        for width in WIDTHS:
            built = index(ids, vectors, artists, _space(scaler, pca, directions, constant, width * spread))
            found, share = quality(built, SAMPLE, RECALL_AT)
            if found >= TARGET_RECALL:
                break
        # The same seed gives the same directions: the model that is kept hashes as the index does.
        model = lsh.setBucketLength(built.space.width).fit(hashed)
    finally:
        points.unpersist()
    return Fitted({"scaler": scaler, "pca": pca, "lsh": model}, with_local_scales(built), found, share)


def similar(ids: DataFrame, folder: str, k: int) -> DataFrame:
    """Each track's ranked list of the k most similar: SIMILAR.

    ids : (track_id);  folder : of the index, which every worker maps into its memory
    """

    def ranked(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        whole = Index.open(Path(folder))
        for batch in batches:
            rows = whole.rows_of(list(batch["track_id"]))
            lists = [
                [{"track_id": str(whole.ids[row]), "score": float(s)} for row, s in zip(near, score, strict=True)]
                for near, score in whole.similar(rows, k)
            ]
            yield pd.DataFrame({"track_id": batch["track_id"], "similar": lists})

    return ids.mapInPandas(ranked, SIMILAR)


def _directions(model: BucketedRandomProjectionLSHModel) -> NDArray[np.float32]:
    """MLlib's random unit vectors, float32 [shape=(bands, hashes, p + 1)]."""
    context = SparkContext._active_spark_context
    assert context is not None and model._java_obj is not None  # a fitted model has both
    vectors = [_java2py(context, vector).toArray() for vector in model._java_obj.randUnitVectors()]
    return np.asarray(vectors, dtype=np.float32).reshape(BANDS, HASHES, -1)


def _space(
    scaler: StandardScalerModel, pca: PCAModel, directions: NDArray[np.float32], constant: float, width: float
) -> Space:
    return Space(
        mean=scaler.mean.toArray().astype(np.float32),
        deviation=scaler.std.toArray().astype(np.float32),
        components=pca.pc.toArray().astype(np.float32),
        directions=directions[:, :, :-1],
        offsets=directions[:, :, -1] * np.float32(constant),
        width=width,
    )
