"""Compares the genre networks with a support vector machine in the same artist-grouped cross-validation.

    python bench/genre.py FOLDER [FOLDER …] [--kept FILE.npz] [--json FILE]

A FOLDER holds audio, a folder for each collection (`bench.audio_songs`; kept in FILE.npz): every way is measured on MFCC and
contrast, and on both blocks. Or it holds features.csv: FMA's (genres from fma_small_paths_genre.csv beside it), or songs with
tags. A song's class is its collection, since few have a genre. Five folds, the same for every row; a song's group is its artist,
else its album. Songs of a class that is not in the training folds are not tested. FMA's files here name no artists, so its scores
are too high.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyspark.sql import SparkSession  # noqa: E402

from batch.library.labels import track_labels  # noqa: E402
from batch.model import artist_split, blocks, genre_mlp  # noqa: E402
from batch.model.genre_examples import Examples, examples  # noqa: E402
from batch.model.genre_mlp import Hyperparameters  # noqa: E402
from batch.model.mlp_inference import NO_FOURIER  # noqa: E402
from bench.audio_songs import audio_songs  # noqa: E402
from bench.features import Songs, fma, fma_genres, songs, table  # noqa: E402
from bench.session import session  # noqa: E402

MIN_CLASS_SONGS = 8
GENRE_FOLDS = 5
SEED = 0
Classifier = Callable[[Examples, np.ndarray, np.ndarray], np.ndarray]
"""(dataset, training rows, test rows) → predicted class of each test row."""


def datasets_of(folder: Path, kept: Path | None) -> dict[str, Examples]:
    """Songs of classes with at least MIN_CLASS_SONGS, by set and inputs; the artist labels are the groups of the folds."""
    if not (folder / "features.csv").exists():
        library = audio_songs(folder, kept)
        rows = {", both blocks": blocks.joined(library.vectors, library.embeddings), "": library.vectors}
        return {
            folder.name + inputs: _dataset(vectors, library.tags["collection"], _groups(library))
            for inputs, vectors in rows.items()
        }
    if (folder / "fma_small_paths_genre.csv").exists():
        numbers, vectors = fma(folder)
        names = fma_genres(folder, numbers)
        return {folder.name: _dataset(vectors, names, np.arange(len(names)))}
    library = songs(folder)
    return {folder.name: _dataset(library.vectors, library.tags["collection"], _groups(library))}


def _groups(library: Songs) -> np.ndarray:
    names = library.tags["collection"]
    return track_labels(library.tags["artist"], library.tags["album"], names).split_groups()


def _dataset(vectors: np.ndarray, names: list[str], groups: np.ndarray) -> Examples:
    counts = {name: names.count(name) for name in set(names)}
    classes = [name if counts[name] >= MIN_CLASS_SONGS and name else None for name in names]
    dataset = examples(vectors, classes, [f"group {group}" for group in groups])
    assert dataset is not None
    return dataset


def support_vector_machine(c: float) -> Classifier:
    def predicted(dataset: Examples, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        model = make_pipeline(StandardScaler(), SVC(C=c)).fit(dataset.features[train], dataset.genre[train])
        return np.asarray(model.predict(dataset.features[test]))

    return predicted


def networks(spark: SparkSession, pairs: int, kinds: str = "both") -> Classifier:
    """kinds : "hidden", "fourier" or "both" networks of each pair"""

    def predicted(dataset: Examples, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        with TemporaryDirectory() as scratch:
            ensemble, _ = genre_mlp.trained(spark, dataset, train, Hyperparameters(), pairs, scratch)
        if kinds != "both":
            members = tuple(
                member for member in ensemble.members if (member.fourier_block != NO_FOURIER) == (kinds == "fourier")
            )
            ensemble = type(ensemble)(ensemble.inputs, members, ensemble.genres)
        return ensemble.probabilities(dataset.features[test]).argmax(axis=1)

    return predicted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--kept", type=Path, help="features of an earlier run; written where it is missing")
    parser.add_argument("--ways", nargs="*", default=[""], help="parts of the names of the rows to measure; else all")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    spark = session("bench-genre")
    ways: dict[str, Classifier] = {
        **{f"RBF-SVM, C = {c:g}": support_vector_machine(c) for c in (1.0, 3.0, 10.0)},
        "one network, 48 hidden": networks(spark, 1, "hidden"),
        "3 networks, 48 hidden": networks(spark, 3, "hidden"),
        "3 networks on Fourier features": networks(spark, 3, "fourier"),
        "ensemble: 3 pairs": networks(spark, 3),
        "ensemble: 5 pairs (kept)": networks(spark, 5),
    }
    rows: list[dict[str, object]] = []
    datasets = [pair for folder in options.folders for pair in datasets_of(folder, options.kept).items()]
    for set_name, dataset in datasets:
        fold = artist_split.artist_folds(dataset.genre, dataset.artist, GENRE_FOLDS, SEED)
        chosen = {name: way for name, way in ways.items() if any(part in name for part in options.ways)}
        for name, classifier in chosen.items():
            true, predicted = [], []
            for held_out in range(GENRE_FOLDS):
                train = np.flatnonzero(fold != held_out)
                test = artist_split.learnable(dataset.genre, train, np.flatnonzero(fold == held_out))
                if len(test):
                    true.append(dataset.genre[test])
                    predicted.append(classifier(dataset, train, test))
            score = artist_split.Score(dataset.genres, np.concatenate(true), np.concatenate(predicted), "")
            error = float(np.sqrt(score.accuracy * (1 - score.accuracy) / score.tracks))
            rows.append(
                {
                    "set": f"{set_name}: {score.tracks} tracks tested, {len(dataset.genres)} classes",
                    "way": name,
                    "accuracy": score.accuracy,
                    "± (binomial, tracks)": error,
                    "majority": score.majority,
                    "macro-F1": score.macro_f1,
                }
            )
            print(rows[-1], file=sys.stderr, flush=True)
    spark.stop()
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
