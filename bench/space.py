"""Compares metrics on real songs: hubness, and precision by collection with and without the artist filter.

    python bench/space.py FOLDER [--kept FILE.npz] [--json FILE]

FOLDER holds audio, a folder for each collection: both blocks of features, extracted as the product does and kept in FILE.npz, are
compared with one (`bench.both_blocks`).

Or FOLDER/features.csv holds songs with artist, album and collection (see bench/features.py); or FMA's features with
fma_small_paths_genre.csv beside them, where the genre takes the collection's place. The first rows are exact search over the
whole set, on songs that the metric may have been learned from; "unseen artists" learns on two thirds of the artists and measures
on the others, which is what counts. "posterior" and "hidden layer" take the genre networks' outputs as points, NCA is
scikit-learn's. The last row is the index as `train` builds it, through MLlib and the hash tables. A second table is of the songs
that have a genre tag.

precision@10: hits ÷ 10. normalised: hits ÷ hits that were possible, over queries with at least one (`batch.index.exact`).
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

from batch.index.exact import locally_scaled_distances, normalised_precision, precision, rankings, squared_distances  # noqa: E402
from batch.index.hubness import k_occurrences, reachable_share, skewness  # noqa: E402
from batch.index.pieces import TrackColumns  # noqa: E402
from batch.index.projection import to_unit  # noqa: E402
from batch.index.tuning import default_parameters  # noqa: E402
from batch.library.labels import TrackLabels, labels, track_labels, without_rare  # noqa: E402
from batch.model import fit_index, genre_mlp  # noqa: E402
from batch.model.genre_examples import examples  # noqa: E402
from batch.model.metric import learning as metric_learning  # noqa: E402
from batch.model.mlp_inference import NO_FOURIER, Ensemble  # noqa: E402
from bench import both_blocks  # noqa: E402
from bench.audio_songs import audio_songs  # noqa: E402
from bench.both_blocks import LIST_LENGTH, SEED, UNSEEN_FOLDS  # noqa: E402
from bench.features import fma, fma_genres, songs, table  # noqa: E402
from bench.session import session  # noqa: E402

MIN_GENRE_SONGS = 6
SPACE_ROUNDS = 4
Points = Callable[[np.ndarray], np.ndarray]
Learn = Callable[[np.ndarray, TrackLabels, np.ndarray], Points]
"""(standardised, labels, collections) of the training songs → function from standardised features to points."""


def proximity(points: np.ndarray) -> np.ndarray:
    """1 - mutual proximity under normal distances (Schnitzer et al., 2012)."""
    from scipy.stats import norm

    distance = np.sqrt(squared_distances(points))
    mean, deviation = distance.mean(axis=1), distance.std(axis=1)
    return 1 - norm.sf(distance, mean[:, None], deviation[:, None]) * norm.sf(distance, mean, deviation)


def quantiles(vectors: np.ndarray) -> np.ndarray:
    from scipy.special import ndtri

    return ndtri((vectors.argsort(axis=0).argsort(axis=0) + 0.5) / len(vectors)).astype(np.float32)


def row(name: str, distance: np.ndarray, tracks: TrackLabels, collection: np.ndarray) -> dict[str, object]:
    distance = distance.astype(np.float64).copy()
    np.fill_diagonal(distance, np.inf)
    return {
        "space": name,
        **measured(np.argsort(distance, axis=1, kind="stable")[:, :LIST_LENGTH], distance, tracks, collection),
    }


def measured(lists: np.ndarray, distance: np.ndarray, tracks: TrackLabels, collection: np.ndarray) -> dict[str, object]:
    counts = k_occurrences(lists, len(lists))
    unfiltered = rankings(distance)
    filtered = rankings(np.where(tracks.same_artist_or_album(), np.inf, distance))
    return {
        "skew": skewness(counts),
        "in no list, %": 100 * float((counts == 0).mean()),
        "reachable, %": 100 * reachable_share(lists, len(lists)),
        "precision@10": precision(unfiltered, collection, collection, LIST_LENGTH),
        "artist-filtered": precision(filtered, collection, collection, LIST_LENGTH),
        "… normalised": normalised_precision(filtered, collection, collection, LIST_LENGTH),
    }


def unseen(
    name: str, standardised: np.ndarray, tracks: TrackLabels, collection: np.ndarray, learn: Learn
) -> dict[str, object]:
    """Means over SPACE_ROUNDS of an artist-grouped cross-validation with UNSEEN_FOLDS."""
    _, number = np.unique(tracks.split_groups(), return_inverse=True)
    rng = np.random.default_rng(SEED)
    rows: list[dict[str, object]] = []
    for _ in range(SPACE_ROUNDS):
        fold = (rng.permutation(number.max() + 1) % UNSEEN_FOLDS)[number]
        for held_out in range(UNSEEN_FOLDS):
            train, test = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
            points = learn(standardised[train], tracks[train], collection[train])(standardised[test])
            rows.append(row("", locally_scaled_distances(to_unit(points)), tracks[test], collection[test]))
    means = {key: float(np.nanmean([float(str(values[key])) for values in rows])) for key in rows[0] if key != "space"}
    print(name, means, file=sys.stderr, flush=True)
    return {"space": name, **means}


def by_matrix(learn: Callable[[np.ndarray, TrackLabels], np.ndarray | None]) -> Learn:
    def learned(standardised: np.ndarray, tracks: TrackLabels, collection: np.ndarray) -> Points:
        matrix = learn(standardised, tracks)
        return lambda features: features if matrix is None else features @ matrix

    return learned


def by_networks(spark: SparkSession, points: Callable[[Ensemble, np.ndarray], np.ndarray]) -> Learn:
    """Points from genre networks trained on the collections, centred."""

    def learned(standardised: np.ndarray, tracks: TrackLabels, collection: np.ndarray) -> Points:
        names = [f"collection {code:03d}" if code >= 0 else None for code in collection]
        dataset = examples(standardised, names, [f"artist {group}" for group in tracks.split_groups()])
        assert dataset is not None
        rows, hyperparameters = np.arange(len(dataset.genre)), genre_mlp.Hyperparameters()
        with tempfile.TemporaryDirectory() as scratch:
            ensemble, _ = genre_mlp.trained(
                spark, dataset, rows, hyperparameters, genre_mlp.PAIRS_IN_FOLDS, scratch
            )
        mean = points(ensemble, standardised).mean(axis=0)
        return lambda features: points(ensemble, features) - mean

    return learned


def posterior(ensemble: Ensemble, standardised: np.ndarray) -> np.ndarray:
    """Square roots of the probabilities: Euclidean distance is then Hellinger distance."""
    return np.sqrt(ensemble.probabilities(standardised)).astype(np.float32)


def hidden_layer(ensemble: Ensemble, standardised: np.ndarray) -> np.ndarray:
    """The last hidden layers of the networks that have one, side by side."""
    inputs = ensemble.inputs.standardised(standardised).astype(np.float64)
    first = [member.layers[0] for member in ensemble.members if member.fourier_block == NO_FOURIER]
    return np.hstack([1 / (1 + np.exp(-(inputs @ weights + bias))) for weights, bias in first]).astype(np.float32)


def components(standardised: np.ndarray, tracks: TrackLabels, collection: np.ndarray) -> Points:
    """Neighbourhood components analysis (Goldberger et al., 2004) to 32 dimensions, from the principal ones."""
    labelled = collection >= 0
    model = NeighborhoodComponentsAnalysis(n_components=32, init="pca", max_iter=30, random_state=0)
    model.fit(standardised[labelled], collection[labelled])
    return lambda features: np.asarray(model.transform(features), dtype=np.float32)


def learned_from_labels(
    spark: SparkSession, what: str, standardised: np.ndarray, tracks: TrackLabels, collection: np.ndarray
) -> list[dict[str, object]]:
    """The genre networks' points and NCA, on unseen songs."""
    return [
        unseen(f"networks' posterior, {what}", standardised, tracks, collection, by_networks(spark, posterior)),
        unseen(f"networks' hidden layer, {what}", standardised, tracks, collection, by_networks(spark, hidden_layer)),
        unseen(f"NCA, 32 dimensions, {what}", standardised, tracks, collection, components),
    ]


def through_the_index(
    spark: SparkSession, vectors: np.ndarray, tracks: TrackLabels, collection: np.ndarray, artists: list[str]
) -> dict[str, object]:
    import pyarrow as pa

    frame = spark.createDataFrame(pa.table({"features": pa.array(list(vectors), pa.list_(pa.float32()))}))
    fitted = fit_index.fit(frame, vectors, tracks, default_parameters(len(vectors)))
    ids = [f"{row:06d}" for row in range(len(vectors))]
    with tempfile.TemporaryDirectory() as folder:
        fit_index.save_index(Path(folder), TrackColumns.of(ids, list(artists)), fitted)
        index = fit_index.with_scales(spark, Path(folder))
        lists = np.full((len(ids), LIST_LENGTH), -1)
        distance = np.full((len(ids), len(ids)), np.inf)
        for query, (rows, scores) in enumerate(index.similar(np.arange(len(ids)), len(ids) - 1)):
            lists[query] = rows[:LIST_LENGTH]
            distance[query, rows] = 1 - scores
    share = 100 * fitted.quality.candidate_share
    name = f"the index: {fitted.metric.name}, recall@20 {fitted.quality.recall:.3f}, {share:.0f} % candidates"
    return {"space": name, **measured(lists, distance, tracks, collection)}


def standard(vectors: np.ndarray) -> np.ndarray:
    return ((vectors - vectors.mean(axis=0)) / np.maximum(vectors.std(axis=0), 1e-9)).astype(np.float32)


def plain(standardised: np.ndarray, tracks: TrackLabels) -> None:
    return None


def along_genres(length: float, base: np.ndarray | None = None) -> Learn:
    def learn(standardised: np.ndarray, tracks: TrackLabels) -> np.ndarray:
        identity = np.eye(standardised.shape[1], dtype=np.float32)
        return metric_learning.genre_metric(standardised, tracks, identity if base is None else base, length)

    return by_matrix(learn)


def of_fma(spark: SparkSession, folder: Path) -> list[list[dict[str, object]]]:
    """Metrics learned from genres on two thirds of FMA's tracks and measured on the others."""
    numbers, vectors = fma(folder)
    standardised = standard(vectors)
    missing = [None] * len(numbers)
    tracks = track_labels(missing, missing, fma_genres(folder, numbers))
    what = "unseen tracks"
    rows = [unseen(f"plain, {what}", standardised, tracks, tracks.genre, by_matrix(plain))]
    for length in (0.25, 0.5, 1.0, 2.0):
        rows.append(
            unseen(f"genre at length {length:g}, {what}", standardised, tracks, tracks.genre, along_genres(length))
        )
    rows.append(unseen(f"genre directions alone, {what}", standardised, tracks, tracks.genre, along_genres(1000.0)))
    return [[*rows, *learned_from_labels(spark, what, standardised, tracks, tracks.genre)]]


def of_songs(spark: SparkSession, folder: Path) -> list[list[dict[str, object]]]:
    """(by collection, by genre tag)"""
    library = songs(folder)
    tracks = track_labels(library.tags["artist"], library.tags["album"], [None] * len(library.vectors))
    collection = labels([name.casefold() for name in library.tags["collection"]])
    standardised, normal = standard(library.vectors), quantiles(library.vectors)
    unit, whitened = to_unit(standardised), to_unit(standardised @ metric_learning.album_metric(standardised, tracks))
    normal_whitened = to_unit(normal @ metric_learning.album_metric(normal, tracks))
    whole = {
        "standardised, Euclidean": squared_distances(standardised),
        "standardised, Euclidean, local scaling": locally_scaled_distances(standardised),
        "cosine": squared_distances(unit),
        "cosine, local scaling (plain)": locally_scaled_distances(unit),
        "cosine, mutual proximity": proximity(unit),
        "quantile-normal, cosine, local scaling": locally_scaled_distances(to_unit(normal)),
        "whitened within albums, cosine": squared_distances(whitened),
        "whitened within albums, cosine, local scaling (album)": locally_scaled_distances(whitened),
        "whitened within albums, cosine, mutual proximity": proximity(whitened),
        "quantile-normal, whitened, local scaling": locally_scaled_distances(normal_whitened),
    }
    rows = [row(name, distance, tracks, collection) for name, distance in whole.items()]
    what = "unseen artists"
    ways: dict[str, tuple[np.ndarray, Learn]] = {
        "plain": (standardised, by_matrix(plain)),
        "album": (standardised, by_matrix(metric_learning.album_metric)),
        "album, power 1/8": (standardised, by_matrix(partial(metric_learning.album_metric, power=1 / 8))),
        "album, power 1/2": (standardised, by_matrix(partial(metric_learning.album_metric, power=1 / 2))),
        "quantile-normal album": (normal, by_matrix(metric_learning.album_metric)),
    }
    rows += [unseen(f"{name}, {what}", points, tracks, collection, learn) for name, (points, learn) in ways.items()]
    rows += learned_from_labels(spark, what, standardised, tracks, collection)
    rows.append(through_the_index(spark, library.vectors, tracks, collection, library.tags["artist"]))
    return [rows, of_tagged_songs(spark, library.vectors, library.tags)]


def of_tagged_songs(spark: SparkSession, vectors: np.ndarray, names: dict[str, list[str]]) -> list[dict[str, object]]:
    """Precision by genre tag, on songs whose genre has at least MIN_GENRE_SONGS."""
    all_tracks = track_labels(names["artist"], names["album"], names["genre"])
    rows = np.flatnonzero(without_rare(all_tracks.genre, MIN_GENRE_SONGS) >= 0)
    tracks, standardised = all_tracks[rows], standard(vectors)[rows]
    genres, what = len(np.unique(tracks.genre)), "unseen artists"
    print(f"{len(rows)} songs of {genres} genres by {len(np.unique(tracks.split_groups()))} artists", file=sys.stderr)
    return [
        row("standardised, Euclidean", squared_distances(standardised), tracks, tracks.genre),
        row("cosine, local scaling (plain)", locally_scaled_distances(to_unit(standardised)), tracks, tracks.genre),
        unseen(f"plain, {what}", standardised, tracks, tracks.genre, by_matrix(plain)),
        unseen(f"album, {what}", standardised, tracks, tracks.genre, by_matrix(metric_learning.album_metric)),
        unseen(f"genre at length 0.5, {what}", standardised, tracks, tracks.genre, along_genres(0.5)),
        *learned_from_labels(spark, what, standardised, tracks, tracks.genre),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kept", type=Path, help="features of an earlier run; written where it is missing")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    songs_of_audio = None
    if not (options.folder / "features.csv").exists():
        songs_of_audio = audio_songs(options.folder, options.kept)
    spark = session("bench-space")
    models: dict[str, list[str]] = {}
    if songs_of_audio is not None:
        tables, models = both_blocks.tables(spark, songs_of_audio)
    else:
        is_fma = (options.folder / "fma_small_paths_genre.csv").exists()
        tables = (of_fma if is_fma else of_songs)(spark, options.folder)
    spark.stop()
    print("\n\n".join(table(rows) for rows in tables))
    for name, folds in models.items():
        print(f"\n{name}: {'; '.join(folds)}")
    if options.json:
        result = {"tables": tables, "models": models} if models else tables
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
