"""MLlib's multilayer perceptron: from a track's features to a probability for each genre of the library."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.ml import PipelineModel
from pyspark.ml.classification import MultilayerPerceptronClassifier
from pyspark.ml.feature import StandardScaler, StringIndexer, StringIndexerModel
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DoubleType, StringType, StructField, StructType

HIDDEN = 48
ITERATIONS = 80
SEED = 20
FEWEST_TRACKS = 3
"""A genre with fewer tracks teaches nothing."""
KEPT = 5
"""Genres of a posterior that are kept, most likely first."""

POSTERIORS = StructType(
    [
        StructField("track_id", StringType()),
        StructField(
            "genre_posterior",
            ArrayType(StructType([StructField("genre", StringType()), StructField("probability", DoubleType())])),
        ),
    ]
)
"""One row a track: its most likely genres."""


@dataclass(frozen=True)
class GenreModel:
    """The fitted pipeline, its genres in the order of the network's outputs, and the share of its own tracks it gets right."""

    pipeline: PipelineModel
    genres: tuple[str, ...]
    tracks: int
    training_accuracy: float


def fit(labelled: DataFrame) -> GenreModel | None:
    """Trains on (vector, genre); None where fewer than two genres have three tracks each."""
    enough = (
        labelled.where(F.col("genre").isNotNull()).groupBy("genre").count().where(F.col("count") >= FEWEST_TRACKS)
    ).select("genre")
    examples = (
        labelled.join(F.broadcast(enough), on="genre", how="inner")
        .select(array_to_vector(F.col("vector")).alias("features"), "genre")
        .coalesce(2)
        .cache()
    )
    try:
        indexer = StringIndexer(inputCol="genre", outputCol="label", stringOrderType="alphabetAsc")
        if examples.select("genre").distinct().count() < 2:
            return None
        labels: StringIndexerModel = indexer.fit(examples)
        scaler = StandardScaler(withMean=True, withStd=True, inputCol="features", outputCol="standardised").fit(
            examples
        )
        ready = labels.transform(scaler.transform(examples)).select("standardised", "label").cache()
        width = len(scaler.mean.toArray())
        network = MultilayerPerceptronClassifier(
            featuresCol="standardised",
            labelCol="label",
            layers=[width, HIDDEN, len(labels.labels)],
            maxIter=ITERATIONS,
            seed=SEED,
        ).fit(ready)
        right = network.transform(ready).where(F.col("prediction") == F.col("label")).count()
        tracks = ready.count()
        ready.unpersist()
    finally:
        examples.unpersist()
    return GenreModel(PipelineModel([scaler, network]), tuple(labels.labels), tracks, right / tracks)


def posteriors(features: DataFrame, model: GenreModel) -> DataFrame:
    """POSTERIORS of all tracks.  features : (track_id, vector)"""
    points = features.select("track_id", array_to_vector(F.col("vector")).alias("features"))
    genres = F.array(*[F.lit(genre) for genre in model.genres])
    pairs = F.arrays_zip(genres.alias("genre"), vector_to_array(F.col("probability")).alias("probability"))
    ranked = F.reverse(F.array_sort(F.transform(pairs, lambda pair: F.struct(pair["probability"], pair["genre"]))))
    best = F.transform(
        F.slice(ranked, 1, KEPT),
        lambda pair: F.struct(pair["genre"].alias("genre"), pair["probability"].alias("probability")),
    )
    return model.pipeline.transform(points).select("track_id", best.alias("genre_posterior"))
