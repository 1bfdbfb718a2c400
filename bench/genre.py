"""The genre networks beside a support vector machine, in the same cross-validation.

    python bench/genre.py FOLDER [FOLDER …] [--json FILE]

A FOLDER holds features.csv: FMA's (genres from fma_small_paths_genre.csv beside it), or songs with tags, whose collection is then
the class, since few have a genre. Five folds, every row sees the same ones, and nobody is on both sides: a song's artist is kept
together, else its album. A song whose class is not among those learned from is not asked. FMA's files here name no artists, so
its level is too high.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyspark.sql import SparkSession  # noqa: E402

from batch.library.labels import tags  # noqa: E402
from batch.model import artist_split, genre_mlp  # noqa: E402
from bench.features import fma, fma_genres, songs, table  # noqa: E402
from bench.session import session  # noqa: E402

FEWEST = 8
FOLDS = 5
SEED = 0
Classifier = Callable[[genre_mlp.Examples, np.ndarray, np.ndarray], np.ndarray]


def examples(folder: Path) -> genre_mlp.Examples:
    if (folder / "fma_small_paths_genre.csv").exists():
        numbers, vectors = fma(folder)
        names = fma_genres(folder, numbers)
        origin = np.arange(len(names))
    else:
        known = songs(folder)
        vectors, names = known.vectors, known.tags["collection"]
        origin = tags(known.tags["artist"], known.tags["album"], names).origin()
    counts = {name: names.count(name) for name in set(names)}
    kept = [name if counts[name] >= FEWEST and name else None for name in names]
    found = genre_mlp.examples(vectors, kept, [f"origin {one}" for one in origin])
    assert found is not None
    return found


def machine(c: float) -> Classifier:
    def predicted(known: genre_mlp.Examples, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        model = make_pipeline(StandardScaler(), SVC(C=c)).fit(known.features[train], known.genre[train])
        return np.asarray(model.predict(known.features[test]))

    return predicted


def networks(spark: SparkSession, shape: genre_mlp.Shape, seeds: int, kinds: str = "both") -> Classifier:
    def predicted(known: genre_mlp.Examples, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        ensemble, _ = genre_mlp.trained(spark, known, train, shape, seeds)
        if kinds != "both":
            members = tuple(member for member in ensemble.members if (member.waves >= 0) == (kinds == "waves"))
            ensemble = type(ensemble)(ensemble.inputs, members, ensemble.genres)
        return ensemble.probabilities(known.features[test]).argmax(axis=1)

    return predicted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    spark = session("bench-genre")
    ways: dict[str, Classifier] = {
        **{f"RBF-SVM, C = {c:g}": machine(c) for c in (1.0, 3.0, 10.0)},
        "one network, 48 hidden": networks(spark, genre_mlp.Shape(), 1, "hidden"),
        "3 networks, 48 hidden": networks(spark, genre_mlp.Shape(), 3, "hidden"),
        "3 networks on Fourier features": networks(spark, genre_mlp.Shape(), 3, "waves"),
        "ensemble: 3 pairs": networks(spark, genre_mlp.Shape(), 3),
        "ensemble: 5 pairs (kept)": networks(spark, genre_mlp.Shape(), 5),
    }
    rows: list[dict[str, object]] = []
    for folder in given.folders:
        known = examples(folder)
        fold = artist_split.artist_folds(known.genre, known.artist, FOLDS, SEED)
        for name, predicted in ways.items():
            confusion = np.zeros((len(known.genres), len(known.genres)), dtype=np.int64)
            for one in range(FOLDS):
                train = np.flatnonzero(fold != one)
                test = artist_split.learnable(known.genre, train, np.flatnonzero(fold == one))
                if len(test):
                    answers = predicted(known, train, test)
                    confusion += artist_split.score(known.genres, known.genre[test], answers, "").confusion
            met = artist_split.Score(known.genres, confusion, "")
            error = float(np.sqrt(met.accuracy * (1 - met.accuracy) / met.tracks))
            rows.append(
                {
                    "set": f"{folder.name}: {met.tracks} tracks asked, {len(known.genres)} classes",
                    "way": name,
                    "accuracy": met.accuracy,
                    "± (binomial, tracks)": error,
                    "majority": float(confusion.sum(axis=1).max() / met.tracks),
                    "macro-F1": met.macro_f1,
                }
            )
            print(rows[-1], file=sys.stderr, flush=True)
    spark.stop()
    print(table(rows))
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
