"""Spaces compared on real songs: hubs, and neighbours of the same collection, with and without the artist filter.

    python bench/space.py FOLDER [--json FILE]

FOLDER/features.csv holds songs with artist, album and collection (see bench/features.py); or FMA's features with
fma_small_paths_genre.csv beside them, where the genre takes the collection's place. The first rows are exact search over the
whole set, on songs that the space may have learned from; "unseen artists" learns on two thirds of the artists and measures on
the others, which is what counts. "posterior" and "hidden layer" are the genre networks as a space, NCA is scikit-learn's.
The last row is the index as `train` builds it, through MLlib and the bands. A second table is of the songs that have a genre
tag, with fellows of it by another artist.

precision@10: hits by ten. normalised: hits by the fellows that could be hit, of those who have one (`batch.index.exact`).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from pyspark.sql import SparkSession
from sklearn.neighbors import NeighborhoodComponentsAnalysis

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from batch.index.exact import normalised_precision, precision, rankings, scaled, squared  # noqa: E402
from batch.index.hubness import occurrences, reachable, skewness  # noqa: E402
from batch.index.projection import to_unit  # noqa: E402
from batch.index.tuning import default_banding  # noqa: E402
from batch.library.labels import Tags, labels, tags, with_enough  # noqa: E402
from batch.model import fit_index, genre_mlp, metric_learning  # noqa: E402
from batch.model.mlp_inference import Ensemble  # noqa: E402
from bench.features import fma, fma_genres, songs, table  # noqa: E402
from bench.session import session  # noqa: E402

TEN = 10
FEWEST_OF_GENRE = 6
ROUNDS, FOLDS = 4, 3
SEED = 5
Points = Callable[[np.ndarray], np.ndarray]
Learn = Callable[[np.ndarray, Tags, np.ndarray], Points]
"""(standardised, tags, collections) that are seen → what makes points of standardised features."""


def proximity(points: np.ndarray) -> np.ndarray:
    """1 - mutual proximity under normal distances (Schnitzer et al., 2012)."""
    from scipy.stats import norm

    distance = np.sqrt(squared(points))
    mean, deviation = distance.mean(axis=1), distance.std(axis=1)
    return 1 - norm.sf(distance, mean[:, None], deviation[:, None]) * norm.sf(distance, mean, deviation)


def quantiles(vectors: np.ndarray) -> np.ndarray:
    from scipy.special import ndtri

    return ndtri((vectors.argsort(axis=0).argsort(axis=0) + 0.5) / len(vectors)).astype(np.float32)


def row(name: str, distance: np.ndarray, tags: Tags, collection: np.ndarray) -> dict[str, object]:
    distance = distance.astype(np.float64).copy()
    np.fill_diagonal(distance, np.inf)
    return {"space": name, **measured(np.argsort(distance, axis=1, kind="stable")[:, :TEN], distance, tags, collection)}


def measured(lists: np.ndarray, distance: np.ndarray, tags: Tags, collection: np.ndarray) -> dict[str, object]:
    counts = occurrences(lists, len(lists))
    everybody = rankings(distance)
    others = rankings(np.where(tags.same_origin(), np.inf, distance))
    return {
        "skew": skewness(counts),
        "in nobody's list, %": 100 * float((counts == 0).mean()),
        "reachable, %": 100 * reachable(lists, len(lists)),
        "precision@10": precision(everybody, collection, collection, TEN),
        "artist-filtered": precision(others, collection, collection, TEN),
        "… normalised": normalised_precision(others, collection, collection, TEN),
    }


def unseen(name: str, standardised: np.ndarray, tags: Tags, collection: np.ndarray, learn: Learn) -> dict[str, object]:
    """Means over four rounds of three folds of artists: learned on two, measured on the third."""
    _, number = np.unique(tags.origin(), return_inverse=True)
    rng = np.random.default_rng(SEED)
    found: list[dict[str, object]] = []
    for _ in range(ROUNDS):
        fold = (rng.permutation(number.max() + 1) % FOLDS)[number]
        for held_out in range(FOLDS):
            seen, rest = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
            points = learn(standardised[seen], tags[seen], collection[seen])(standardised[rest])
            found.append(row("", scaled(to_unit(points)), tags[rest], collection[rest]))
    means = {key: float(np.nanmean([float(str(one[key])) for one in found])) for key in found[0] if key != "space"}
    print(name, means, file=sys.stderr, flush=True)
    return {"space": name, **means}


def by_matrix(learn: Callable[[np.ndarray, Tags], np.ndarray | None]) -> Learn:
    def learned(standardised: np.ndarray, tags: Tags, collection: np.ndarray) -> Points:
        matrix = learn(standardised, tags)
        return lambda some: some if matrix is None else some @ matrix

    return learned


def by_networks(spark: SparkSession, points: Callable[[Ensemble, np.ndarray], np.ndarray]) -> Learn:
    """What the genre networks, learned on the collections that are seen, make of the features."""

    def learned(standardised: np.ndarray, tags: Tags, collection: np.ndarray) -> Points:
        names = [f"collection {one:03d}" if one >= 0 else None for one in collection]
        known = genre_mlp.examples(standardised, names, [f"artist {one}" for one in tags.origin()])
        assert known is not None
        ensemble, _ = genre_mlp.trained(
            spark, known, np.arange(len(known.genre)), genre_mlp.Shape(), genre_mlp.SEEDS_MEASURED
        )
        middle = points(ensemble, standardised).mean(axis=0)
        return lambda some: points(ensemble, some) - middle

    return learned


def posterior(ensemble: Ensemble, standardised: np.ndarray) -> np.ndarray:
    """Roots of the probabilities: their distance is Hellinger's."""
    return np.sqrt(ensemble.probabilities(standardised)).astype(np.float32)


def hidden_layer(ensemble: Ensemble, standardised: np.ndarray) -> np.ndarray:
    """The last hidden layers of the networks that have one, side by side."""
    entered = ensemble.inputs.plain(standardised).astype(np.float64)
    first = [member.layers[0] for member in ensemble.members if member.waves < 0]
    return np.hstack([1 / (1 + np.exp(-(entered @ weights + bias))) for weights, bias in first]).astype(np.float32)


def components(standardised: np.ndarray, tags: Tags, collection: np.ndarray) -> Points:
    """Neighbourhood components analysis (Goldberger et al., 2004) to 32 dimensions, from the principal ones."""
    some = collection >= 0
    found = NeighborhoodComponentsAnalysis(n_components=32, init="pca", max_iter=30, random_state=0)
    found.fit(standardised[some], collection[some])
    return lambda points: np.asarray(found.transform(points), dtype=np.float32)


def learned_from_labels(
    spark: SparkSession, what: str, standardised: np.ndarray, tags: Tags, collection: np.ndarray
) -> list[dict[str, object]]:
    """The genre networks' spaces and NCA, on those that they have not seen."""
    return [
        unseen(f"networks' posterior, {what}", standardised, tags, collection, by_networks(spark, posterior)),
        unseen(f"networks' hidden layer, {what}", standardised, tags, collection, by_networks(spark, hidden_layer)),
        unseen(f"NCA, 32 dimensions, {what}", standardised, tags, collection, components),
    ]


def through_the_index(
    spark: SparkSession, vectors: np.ndarray, tags: Tags, collection: np.ndarray, artists: list[str]
) -> dict[str, object]:
    import pyarrow as pa

    frame = spark.createDataFrame(pa.table({"vector": pa.array(list(vectors), pa.list_(pa.float32()))}))
    fitted = fit_index.fit(frame, vectors, tags, default_banding(len(vectors)))
    ids = [f"{at:06d}" for at in range(len(vectors))]
    with tempfile.TemporaryDirectory() as folder:
        fit_index.as_index(ids, list(artists), fitted).save(Path(folder))
        index = fit_index.with_scales(spark, Path(folder))
        lists = np.full((len(ids), TEN), -1)
        distance = np.full((len(ids), len(ids)), np.inf)
        for at, (rows, score) in enumerate(index.similar(np.arange(len(ids)), len(ids) - 1)):
            lists[at] = rows[:TEN]
            distance[at, rows] = 1 - score
    share = 100 * fitted.quality.candidates
    name = f"the index: {fitted.metric.name}, recall@20 {fitted.quality.recall:.3f}, {share:.0f} % candidates"
    return {"space": name, **measured(lists, distance, tags, collection)}


def standard(vectors: np.ndarray) -> np.ndarray:
    return ((vectors - vectors.mean(axis=0)) / np.maximum(vectors.std(axis=0), 1e-9)).astype(np.float32)


def plain(standardised: np.ndarray, tags: Tags) -> None:
    return None


def along_genres(length: float, base: np.ndarray | None = None) -> Learn:
    def learn(standardised: np.ndarray, tags: Tags) -> np.ndarray:
        one = np.eye(standardised.shape[1], dtype=np.float32) if base is None else base
        return metric_learning.genre_metric(standardised, tags, one, length)

    return by_matrix(learn)


def of_fma(spark: SparkSession, folder: Path) -> list[list[dict[str, object]]]:
    """What is learned from genres, on FMA's features: learned on two thirds of the tracks and measured on the others."""
    numbers, vectors = fma(folder)
    standardised = standard(vectors)
    nobody = [None] * len(numbers)
    known = tags(nobody, nobody, fma_genres(folder, numbers))
    what = "unseen tracks"
    rows = [unseen(f"plain, {what}", standardised, known, known.genre, by_matrix(plain))]
    for length in (0.25, 0.5, 1.0, 2.0):
        rows.append(
            unseen(f"genre at length {length:g}, {what}", standardised, known, known.genre, along_genres(length))
        )
    rows.append(unseen(f"genre directions alone, {what}", standardised, known, known.genre, along_genres(1000.0)))
    return [[*rows, *learned_from_labels(spark, what, standardised, known, known.genre)]]


def of_songs(spark: SparkSession, folder: Path) -> list[list[dict[str, object]]]:
    """(by collection, by genre tag)"""
    known = songs(folder)
    said = tags(known.tags["artist"], known.tags["album"], [None] * len(known.vectors))
    collection = labels([name.casefold() for name in known.tags["collection"]])
    standardised, normal = standard(known.vectors), quantiles(known.vectors)
    unit, whitened = to_unit(standardised), to_unit(standardised @ metric_learning.album_metric(standardised, said))
    normal_whitened = to_unit(normal @ metric_learning.album_metric(normal, said))
    whole = {
        "standardised, Euclidean": squared(standardised),
        "standardised, Euclidean, local scaling": scaled(standardised),
        "cosine": squared(unit),
        "cosine, local scaling (plain)": scaled(unit),
        "cosine, mutual proximity": proximity(unit),
        "quantile-normal, cosine, local scaling": scaled(to_unit(normal)),
        "whitened within albums, cosine": squared(whitened),
        "whitened within albums, cosine, local scaling (album)": scaled(whitened),
        "whitened within albums, cosine, mutual proximity": proximity(whitened),
        "quantile-normal, whitened, local scaling": scaled(normal_whitened),
    }
    rows = [row(name, distance, said, collection) for name, distance in whole.items()]
    what = "unseen artists"
    ways: dict[str, tuple[np.ndarray, Learn]] = {
        "plain": (standardised, by_matrix(plain)),
        "album": (standardised, by_matrix(metric_learning.album_metric)),
        "album, power 1/8": (standardised, by_matrix(partial(metric_learning.album_metric, power=1 / 8))),
        "album, power 1/2": (standardised, by_matrix(partial(metric_learning.album_metric, power=1 / 2))),
        "quantile-normal album": (normal, by_matrix(metric_learning.album_metric)),
    }
    rows += [unseen(f"{name}, {what}", points, said, collection, learn) for name, (points, learn) in ways.items()]
    rows += learned_from_labels(spark, what, standardised, said, collection)
    rows.append(through_the_index(spark, known.vectors, said, collection, known.tags["artist"]))
    return [rows, of_tagged_songs(spark, known.vectors, known.tags)]


def of_tagged_songs(spark: SparkSession, vectors: np.ndarray, said: dict[str, list[str]]) -> list[dict[str, object]]:
    """Genre tags, of the songs whose genre six songs or more have."""
    everybody = tags(said["artist"], said["album"], said["genre"])
    rows = np.flatnonzero(with_enough(everybody.genre, FEWEST_OF_GENRE) >= 0)
    known, standardised = everybody[rows], standard(vectors)[rows]
    genres, what = len(np.unique(known.genre)), "unseen artists"
    print(f"{len(rows)} songs of {genres} genres by {len(np.unique(known.origin()))} artists", file=sys.stderr)
    return [
        row("standardised, Euclidean", squared(standardised), known, known.genre),
        row("cosine, local scaling (plain)", scaled(to_unit(standardised)), known, known.genre),
        unseen(f"plain, {what}", standardised, known, known.genre, by_matrix(plain)),
        unseen(f"album, {what}", standardised, known, known.genre, by_matrix(metric_learning.album_metric)),
        unseen(f"genre at length 0.5, {what}", standardised, known, known.genre, along_genres(0.5)),
        *learned_from_labels(spark, what, standardised, known, known.genre),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    spark = session("bench-space")
    is_fma = (given.folder / "fma_small_paths_genre.csv").exists()
    tables = (of_fma if is_fma else of_songs)(spark, given.folder)
    spark.stop()
    print("\n\n".join(table(rows) for rows in tables))
    if given.json:
        given.json.write_text(json.dumps(tables, indent=2) + "\n")


if __name__ == "__main__":
    main()
