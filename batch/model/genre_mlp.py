"""MLlib's multilayer perceptrons on the features: a probability for each genre of the library, and how far it can be trusted.

Measured on artists that were held out; then trained on all. What MLlib fits is read out as numbers (`batch.model.mlp_inference`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.ml.classification import MultilayerPerceptronClassificationModel, MultilayerPerceptronClassifier
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DoubleType, StringType, StructField, StructType

from batch.index.projection import Floats
from batch.library.labels import Labels, labels, said, spellings
from batch.model.artist_split import Score, artist_folds, learnable, own_split, rebalanced, score
from batch.model.mlp_inference import Ensemble, Inputs, Perceptron, inputs, layers
from batch.registry import ModelUnusable

if TYPE_CHECKING:
    import pandas as pd

SEED = 20
FEWEST_TRACKS = 3
"""A genre with fewer tracks teaches nothing."""
KEPT = 5
"""Genres of a posterior that are kept, most likely first."""
FOLDS = 3
SEEDS = 5
SEEDS_MEASURED = 2
"""Where folds measure, each trains fewer of the pairs than the model that is kept."""
SEEDS_OF_MANY = 2
"""Above ON_ONE examples seeds differ less and cost more."""
AT_ONCE = 4
ON_ONE = 20_000
"""Up to so many examples, a fit is one Spark task an iteration."""

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
class Shape:
    """hidden : units;  iterations, wave_iterations : at most, of L-BFGS: stopping early is what keeps a network from learning by
    heart;  frequencies, gamma : of the random Fourier features, see `network.inputs`"""

    hidden: int = 48
    iterations: int = 60
    frequencies: int = 512
    gamma: float = 0.5
    wave_iterations: int = 30

    @classmethod
    def read(cls, stored: Any) -> Shape:
        """From a manifest. Raises ModelUnusable for what this version does not know."""
        if not isinstance(stored, dict):
            raise ModelUnusable(f"the genre networks' shape is {stored!r}; train again with batch/train.py")
        unknown = sorted(stored.keys() - cls.__dataclass_fields__.keys())
        if unknown:
            raise ModelUnusable(
                f"the genre networks' shape has {', '.join(unknown)}, known are {', '.join(cls.__dataclass_fields__)}; "
                "train again with batch/train.py"
            )
        return cls(**stored)


SHAPES = [
    Shape(h, i, 512, g, w)
    for h, i, g, w in ((48, 30, 0.5, 15), (48, 60, 0.5, 30), (96, 60, 0.5, 30), (96, 60, 0.25, 60))
]
SHAPES += [Shape(48, 60, 1024, g, 30) for g in (0.25, 1.0)]
"""What `train --tune` tries."""
VALIDATION = "validation part of the library's own split"
SHARED_TRACKS = "a quarter of all artists, the measured ones among them"
"""Where a shape was chosen: apart from the test tracks, or, where the library brings no split, not."""


@dataclass(frozen=True)
class Examples:
    """Tracks with a genre.

    features : float32 [shape=(n, d)];  genre : of `genres`, 0 …;  artist : Labels;  split : 0 training, 1 validation, 2 test, or
    None where the library brings none
    """

    features: Floats
    genre: Labels
    artist: Labels
    genres: tuple[str, ...]
    split: NDArray[np.int64] | None


@dataclass(frozen=True)
class GenreModel:
    """models : MLlib's own, by name, as they are saved;  score : None where there are too few artists to measure"""

    ensemble: Ensemble
    models: dict[str, MultilayerPerceptronClassificationModel]
    score: Score | None
    shape: Shape
    tracks: int


def examples(
    features: Floats,
    genres: Sequence[str | None],
    artists: Sequence[str | None],
    splits: Sequence[str | None] | None = None,
) -> Examples | None:
    """The tracks to learn from; None where fewer than two genres have three tracks each."""
    folded = np.array([said(genre) for genre in genres], dtype=np.str_)
    names, counts = np.unique(folded[folded != ""], return_counts=True)
    known = names[counts >= FEWEST_TRACKS]
    if len(known) < 2:
        return None
    rows = np.flatnonzero(np.isin(folded, known)).tolist()
    artist = labels([said(artists[row]) for row in rows])
    split = own_split([splits[row] for row in rows]) if splits is not None else None
    genre = np.searchsorted(known, folded[rows]).astype(np.int32)
    spelt = spellings(genres)
    return Examples(features[rows], genre, artist, tuple(spelt[str(name)] for name in known), split)


def fit(spark: SparkSession, known: Examples, shape: Shape) -> GenreModel:
    """Measured on what is held out, then trained on all examples."""
    measured = held_out(spark, known, shape)
    ensemble, models = trained(spark, known, np.arange(len(known.genre)), shape, SEEDS)
    return GenreModel(ensemble, models, measured, shape, len(known.genre))


def tuned(spark: SparkSession, known: Examples) -> tuple[Shape, list[dict[str, Any]]]:
    """The shape with the best macro-F1 on validation, and the table of all; the default and no table with too few artists.

    The library's own validation part decides, which the test part has no share in. Where the library brings no split, a quarter
    of its artists decides, and `held_out` measures on them as well: see `chosen_on`.
    """
    if known.split is not None:
        train, validate = np.flatnonzero(known.split == 0), np.flatnonzero(known.split == 1)
    else:
        fold = artist_folds(known.genre, known.artist, 4, SEED + 1)
        train, validate = np.flatnonzero(fold > 0), np.flatnonzero(fold == 0)
    validate = learnable(known.genre, train, validate)
    if not len(validate):
        return Shape(), []
    rows = []
    for shape in SHAPES:
        ensemble, _ = trained(spark, known, train, shape, 1)
        met = _score(ensemble, known, validate, "validation")
        rows.append({**asdict(shape), "accuracy": met.accuracy, "macro_f1": met.macro_f1})
    best = max(range(len(SHAPES)), key=lambda at: (rows[at]["macro_f1"], -at))
    return SHAPES[best], rows


def chosen_on(known: Examples) -> str:
    """The tracks on which `tuned` chooses."""
    return SHARED_TRACKS if known.split is None else VALIDATION


def held_out(spark: SparkSession, known: Examples, shape: Shape) -> Score | None:
    """How well genres are told on artists that were not learned from: the library's own test part, or all in turn.

    None where there are too few artists to measure: no genre has an artist to learn from and another to ask.
    """
    if known.split is not None:
        parts = [(np.flatnonzero(known.split < 2), np.flatnonzero(known.split == 2))]
        how, seeds = "the test part of the library's own split", SEEDS
    else:
        fold = artist_folds(known.genre, known.artist, FOLDS, SEED)
        parts = [(np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in range(FOLDS)]
        how, seeds = f"each of {FOLDS} folds of artists, learned from the others", SEEDS_MEASURED
    confusion = np.zeros((len(known.genres), len(known.genres)), dtype=np.int64)
    for train, test in parts:
        asked = learnable(known.genre, train, test)
        if len(asked):
            ensemble, _ = trained(spark, known, train, shape, seeds)
            confusion += _score(ensemble, known, asked, how).confusion
    return Score(known.genres, confusion, how) if confusion.any() else None


def posteriors(features: DataFrame, file: Path) -> DataFrame:
    """POSTERIORS of all tracks.  features : (track_id, vector);  file : of the ensemble, which every worker opens"""
    where = str(file)

    def likeliest(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        ensemble = Ensemble.open(Path(where))
        for batch in batches:
            shares = (
                ensemble.probabilities(np.vstack(batch["vector"]))
                if len(batch)
                else np.empty((0, len(ensemble.genres)))
            )
            best = np.argsort(-shares, axis=1, kind="stable")[:, :KEPT]
            lists = [
                [{"genre": ensemble.genres[at], "probability": float(share[at])} for at in order]
                for share, order in zip(shares, best, strict=True)
            ]
            yield pd.DataFrame({"track_id": batch["track_id"], "genre_posterior": lists})

    return features.select("track_id", "vector").mapInPandas(likeliest, POSTERIORS)


def _score(ensemble: Ensemble, known: Examples, rows: NDArray[np.int64], how: str) -> Score:
    predicted = ensemble.probabilities(known.features[rows]).argmax(axis=1).astype(np.int32)
    return score(known.genres, known.genre[rows], predicted, how)


def trained(
    spark: SparkSession, known: Examples, rows: NDArray[np.int64], shape: Shape, seeds: int
) -> tuple[Ensemble, dict[str, MultilayerPerceptronClassificationModel]]:
    """Pairs of networks on these rows, rebalanced: (as numbers, MLlib's own by name). Some are fitted at once, since small ones
    leave a cluster idle."""
    drawn = rows[rebalanced(known.genre[rows], SEED)]
    seeds = seeds if len(drawn) <= ON_ONE else min(seeds, SEEDS_OF_MANY)
    entering = inputs(known.features[rows], seeds, shape.frequencies, shape.gamma, SEED)
    plain = entering.plain(known.features[drawn])
    frames = {-1: _frame(spark, plain, known.genre[drawn])}
    frames |= {block: _frame(spark, entering.waves(plain, block), known.genre[drawn]) for block in range(seeds)}
    wanted = [(waves, seed) for seed in range(seeds) for waves in (-1, seed)]

    def one(asked: tuple[int, int]) -> MultilayerPerceptronClassificationModel:
        waves, seed = asked
        return MultilayerPerceptronClassifier(
            layers=_sizes(entering, shape, waves, len(known.genres)),
            maxIter=shape.iterations if waves < 0 else shape.wave_iterations,
            seed=SEED + seed,
        ).fit(frames[waves])

    try:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            models = list(threads.map(one, wanted))
    finally:
        for frame in frames.values():
            frame.unpersist()
    members = tuple(
        Perceptron(waves, layers(_sizes(entering, shape, waves, len(known.genres)), model.weights.toArray()))
        for (waves, _), model in zip(wanted, models, strict=True)
    )
    names = [f"{'hidden' if waves < 0 else 'waves'}-{seed}" for waves, seed in wanted]
    return Ensemble(entering, members, known.genres), dict(zip(names, models, strict=True))


def _sizes(entering: Inputs, shape: Shape, waves: int, genres: int) -> list[int]:
    return [len(entering.mean), shape.hidden, genres] if waves < 0 else [shape.frequencies, genres]


def _frame(spark: SparkSession, entered: Floats, genre: Labels) -> DataFrame:
    """(features, label), in memory; every genre that is learned has an output, also where these rows lack it."""
    column = pa.FixedSizeListArray.from_arrays(pa.array(entered.reshape(-1)), entered.shape[1]).cast(
        pa.list_(pa.float32())
    )
    table = pa.table({"entered": column, "label": pa.array(genre.astype(np.float64))})
    frame = spark.createDataFrame(table)
    frame = frame.coalesce(1) if len(genre) <= ON_ONE else frame.repartition(spark.sparkContext.defaultParallelism)
    frame = frame.select(array_to_vector(F.col("entered")).alias("features"), "label").cache()
    frame.count()  # several fits at once would each put it into memory
    return frame
