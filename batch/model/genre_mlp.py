"""MLlib's multilayer perceptrons for genres: scored on an artist-grouped split, then trained on all examples.

What MLlib fits is read out as arrays (`batch.model.mlp_inference`), which give each track's genre posterior.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.ml.classification import MultilayerPerceptronClassificationModel, MultilayerPerceptronClassifier
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DoubleType, StringType, StructField, StructType

from batch.index.projection import Floats
from batch.library.labels import Labels
from batch.model.artist_split import Score, artist_folds, learnable, oversampled
from batch.model.genre_examples import Examples
from batch.model.mlp_inference import NO_FOURIER, Ensemble, Inputs, Perceptron, fitted_inputs, unflattened
from batch.registry import ModelUnusable
from batch.storage.locations import child, hadoop_uri
from batch.storage.parquet import write_parts

if TYPE_CHECKING:
    import pandas as pd

Classifiers = dict[str, MultilayerPerceptronClassificationModel]

SEED = 20
TOP_GENRES = 5
"""Genres of a posterior that are stored, most likely first."""
TEST_FOLDS = 3
TUNING_FOLDS = 4
"""One of them validates the hyperparameters that `tuned` tries."""
PAIRS = 5
"""Pairs of networks in the ensemble, each with a seed of its own."""
PAIRS_IN_FOLDS = 2
"""Pairs trained in each fold of the cross-validation: fewer, to save time."""
PAIRS_ABOVE_LIMIT = 2
"""Pairs where there are more than MAX_EXAMPLES_IN_ONE_TASK: seeds differ less then and cost more."""
CONCURRENT_FITS = 4
MAX_EXAMPLES_IN_ONE_TASK = 20_000
"""Up to so many examples, an iteration of a fit is one Spark task."""
ROWS_A_FILE = 4096
"""Of more examples, those of one file."""

EXAMPLES = "inputs array<float>, label double"
"""One row an example."""

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

VALIDATION = "validation part of the library's own split"
"""Manifest's `genre_chosen_on` where the library brings a split: the test tracks had no part in the choice."""
SHARED_TRACKS = "a quarter of all artists, the measured ones among them"
"""Manifest's `genre_chosen_on` where it brings none; stored models have both texts."""


@dataclass(frozen=True)
class Hyperparameters:
    """Quality of the genre networks, stored in the manifest under these names.

    hidden : units of the hidden layer
    iterations, wave_iterations : of L-BFGS at most, with a hidden layer and on Fourier features; early stopping regularises
    frequencies, gamma : of the random Fourier features, see `mlp_inference.fitted_inputs`
    """

    hidden: int = 48
    iterations: int = 60
    frequencies: int = 512
    gamma: float = 0.5
    wave_iterations: int = 30

    @classmethod
    def read(cls, stored: Any) -> Hyperparameters:
        """From a manifest. Raises ModelUnusable for a field that this version does not know."""
        if not isinstance(stored, dict):
            raise ModelUnusable(
                f"expected the genre networks' hyperparameters as an object, got {stored!r}; "
                "train again with batch/train.py"
            )
        unknown = sorted(stored.keys() - cls.__dataclass_fields__.keys())
        if unknown:
            raise ModelUnusable(
                f"unknown hyperparameters of the genre networks: {', '.join(unknown)}; this version knows "
                f"{', '.join(cls.__dataclass_fields__)}; train again with batch/train.py"
            )
        return cls(**stored)


TUNING_GRID = [
    Hyperparameters(hidden, iterations, 512, gamma, wave_iterations)
    for hidden, iterations, gamma, wave_iterations in (
        (48, 30, 0.5, 15),
        (48, 60, 0.5, 30),
        (96, 60, 0.5, 30),
        (96, 60, 0.25, 60),
    )
]
TUNING_GRID += [Hyperparameters(48, 60, 1024, gamma, 30) for gamma in (0.25, 1.0)]
"""Parameters that `train --tune` tries."""


@dataclass(frozen=True)
class GenreModel:
    """models : MLlib's own, by name, as they are saved;  score : None where there are too few artists to measure"""

    ensemble: Ensemble
    models: Classifiers
    score: Score | None
    hyperparameters: Hyperparameters
    tracks: int


def fit(spark: SparkSession, dataset: Examples, hyperparameters: Hyperparameters, scratch: str) -> GenreModel:
    """Networks trained on all examples, with their score on held-out artists.  scratch : as of `trained`"""
    score = held_out_score(spark, dataset, hyperparameters, scratch)
    ensemble, models = trained(spark, dataset, np.arange(len(dataset.genre)), hyperparameters, PAIRS, scratch)
    return GenreModel(ensemble, models, score, hyperparameters, len(dataset.genre))


def tuned(spark: SparkSession, dataset: Examples, scratch: str) -> tuple[Hyperparameters, list[dict[str, Any]]]:
    """(hyperparameters with the best macro-F1 on validation tracks, table of all that were tried).

    scratch : as of `trained`
    The validation part of the library's own split decides. Where the library brings none, a quarter of its artists does, and
    `held_out_score` measures on these as well: see `chosen_on`. With too few artists: the default and an empty table.
    """
    if dataset.split is not None:
        train, validation = np.flatnonzero(dataset.split == 0), np.flatnonzero(dataset.split == 1)
    else:
        fold = artist_folds(dataset.genre, dataset.artist, TUNING_FOLDS, SEED + 1)
        train, validation = np.flatnonzero(fold > 0), np.flatnonzero(fold == 0)
    validation = learnable(dataset.genre, train, validation)
    if not len(validation):
        return Hyperparameters(), []
    rows = []
    for hyperparameters in TUNING_GRID:
        ensemble, _ = trained(spark, dataset, train, hyperparameters, 1, scratch)
        score = Score(
            dataset.genres, dataset.genre[validation], _predicted(ensemble, dataset, validation), "validation"
        )
        rows.append({**asdict(hyperparameters), "accuracy": score.accuracy, "macro_f1": score.macro_f1})
    best = max(range(len(TUNING_GRID)), key=lambda number: (rows[number]["macro_f1"], -number))
    return TUNING_GRID[best], rows


def chosen_on(dataset: Examples) -> str:
    """The tracks on which `tuned` chooses: VALIDATION or SHARED_TRACKS."""
    return SHARED_TRACKS if dataset.split is None else VALIDATION


def held_out_score(
    spark: SparkSession, dataset: Examples, hyperparameters: Hyperparameters, scratch: str
) -> Score | None:
    """Score on the test part of the library's own split, else in a cross-validation grouped by artist.

    scratch : as of `trained`
    None where there are too few artists to measure: no genre has an artist to train on and another to test on.
    """
    if dataset.split is not None:
        parts = [(np.flatnonzero(dataset.split < 2), np.flatnonzero(dataset.split == 2))]
        method, pairs = "the test part of the library's own split", PAIRS
    else:
        fold = artist_folds(dataset.genre, dataset.artist, TEST_FOLDS, SEED)
        parts = [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in range(TEST_FOLDS)]
        method, pairs = f"{TEST_FOLDS}-fold cross-validation grouped by artist", PAIRS_IN_FOLDS
    true: list[Labels] = []
    predicted: list[Labels] = []
    for train, test in parts:
        tested = learnable(dataset.genre, train, test)
        if len(tested):
            ensemble, _ = trained(spark, dataset, train, hyperparameters, pairs, scratch)
            true.append(dataset.genre[tested])
            predicted.append(_predicted(ensemble, dataset, tested))
    return Score(dataset.genres, np.concatenate(true), np.concatenate(predicted), method) if true else None


def posteriors(features: DataFrame, ensemble: Ensemble) -> DataFrame:
    """POSTERIORS of all tracks.  features : (track_id, features)"""
    shared = features.sparkSession.sparkContext.broadcast(ensemble)

    def most_likely(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        ensemble = shared.value
        for batch in batches:
            probabilities = (
                ensemble.probabilities(np.vstack(batch["features"]))
                if len(batch)
                else np.empty((0, len(ensemble.genres)))
            )
            top = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP_GENRES]
            posterior_lists = [
                [{"genre": ensemble.genres[code], "probability": float(track_probabilities[code])} for code in codes]
                for track_probabilities, codes in zip(probabilities, top, strict=True)
            ]
            yield pd.DataFrame({"track_id": batch["track_id"], "genre_posterior": posterior_lists})

    return features.select("track_id", "features").mapInPandas(most_likely, POSTERIORS)


def _predicted(ensemble: Ensemble, dataset: Examples, rows: NDArray[np.int64]) -> Labels:
    return ensemble.probabilities(dataset.features[rows]).argmax(axis=1).astype(np.int32)


def trained(
    spark: SparkSession,
    dataset: Examples,
    rows: NDArray[np.int64],
    hyperparameters: Hyperparameters,
    pairs: int,
    scratch: str,
) -> tuple[Ensemble, Classifiers]:
    """(ensemble, MLlib's models by name) trained on these rows, small genres oversampled.

    pairs : of networks, one with a hidden layer and one on Fourier features
    scratch : location of a folder that driver and executors see, for more examples than one task is given; the caller removes it
    Several are fitted at once, since small ones leave a cluster idle.
    """
    drawn = rows[oversampled(dataset.genre[rows], SEED)]
    pairs = pairs if len(drawn) <= MAX_EXAMPLES_IN_ONE_TASK else min(pairs, PAIRS_ABOVE_LIMIT)
    inputs = fitted_inputs(dataset.features[rows], pairs, hyperparameters.frequencies, hyperparameters.gamma, SEED)
    standardised, genre = inputs.standardised(dataset.features[drawn]), dataset.genre[drawn]
    frames = {NO_FOURIER: _frame(spark, standardised, genre, scratch)}
    frames |= {block: _frame(spark, inputs.fourier(standardised, block), genre, scratch) for block in range(pairs)}
    networks = [(block, seed) for seed in range(pairs) for block in (NO_FOURIER, seed)]

    def fitted(network: tuple[int, int]) -> MultilayerPerceptronClassificationModel:
        block, seed = network
        return MultilayerPerceptronClassifier(
            layers=_layer_sizes(inputs, hyperparameters, block, len(dataset.genres)),
            maxIter=hyperparameters.iterations if block == NO_FOURIER else hyperparameters.wave_iterations,
            seed=SEED + seed,
        ).fit(frames[block])

    try:
        with ThreadPoolExecutor(CONCURRENT_FITS) as threads:
            models = list(threads.map(fitted, networks))
    finally:
        for frame in frames.values():
            frame.unpersist()
    members = tuple(
        Perceptron(
            block,
            unflattened(_layer_sizes(inputs, hyperparameters, block, len(dataset.genres)), model.weights.toArray()),
        )
        for (block, _), model in zip(networks, models, strict=True)
    )
    names = [f"{'hidden' if block == NO_FOURIER else 'waves'}-{seed}" for block, seed in networks]
    return Ensemble(inputs, members, dataset.genres), dict(zip(names, models, strict=True))


def _layer_sizes(inputs: Inputs, hyperparameters: Hyperparameters, block: int, genres: int) -> list[int]:
    """Units of each layer, inputs first."""
    if block == NO_FOURIER:
        return [len(inputs.mean), hyperparameters.hidden, genres]
    return [hyperparameters.frequencies, genres]


def _frame(spark: SparkSession, inputs: Floats, genre: Labels, scratch: str) -> DataFrame:
    """(features, label), ready to be read several times. Every learned genre has an output, also where these rows lack it.

    scratch : as of `trained`; what Spark is given by the driver stays in its heap for as long as there is a frame of it
    """
    column = pa.FixedSizeListArray.from_arrays(pa.array(inputs.reshape(-1)), inputs.shape[1]).cast(
        pa.list_(pa.float32())
    )
    table = pa.table({"inputs": column, "label": pa.array(genre.astype(np.float64))})
    if len(genre) > MAX_EXAMPLES_IN_ONE_TASK:
        folder = child(scratch, uuid4().hex)
        write_parts(folder, table, ROWS_A_FILE)
        return _vectors(spark.read.schema(EXAMPLES).parquet(hadoop_uri(folder)))
    frame = _vectors(spark.createDataFrame(table).coalesce(1)).cache()
    frame.count()  # fills the cache once; several fits at once would each fill it
    return frame


def _vectors(stored: DataFrame) -> DataFrame:
    """(features, label), as MLlib has them.  stored : EXAMPLES"""
    return stored.select(array_to_vector(F.col("inputs")).alias("features"), "label")
