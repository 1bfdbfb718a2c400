"""The tables that `bench/space.py` prints for a folder of audio: two blocks of features beside one, on unseen artists.

The folders directly below FOLDER are collections, which stand for a genre: weak labels, since a collection mixes styles. Vectors
and embeddings come from the product's own extraction (`bench.audio_songs`).

Three folds grouped by artist. The model is trained on two thirds of the artists as `train` does; the songs of the others are
appended to its index as the catalogue does, and are the queries: what a listener gets for an artist that no metric has seen.
Neighbours come from all songs. precision@10: hits ÷ 10; the artist filter leaves out neighbours by the same artist or on the same
album. The gain over today's index (MFCC and contrast alone) has its 90 % interval by a bootstrap over artists. Weights and
whitening were chosen on the collections of the first half, and the second half had no part in it; the halves are the collections
by size, in turn. pymusly (MFCC Gaussians, mutual proximity) is a row where it is installed.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pyspark.sql import SparkSession

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from batch.index.exact import locally_scaled_distances  # noqa: E402
from batch.index.hubness import k_occurrences, reachable_share, skewness  # noqa: E402
from batch.index.lsh import Index  # noqa: E402
from batch.index.pieces import TrackColumns  # noqa: E402
from batch.index.projection import to_unit  # noqa: E402
from batch.index.tuning import default_parameters  # noqa: E402
from batch.index.updates import append  # noqa: E402
from batch.library.labels import TrackLabels, labels, track_labels  # noqa: E402
from batch.model import blocks, fit_index  # noqa: E402
from batch.model.metric.choice import EQUAL, learned_metric  # noqa: E402
from batch.model.metric.learning import BlockScaling  # noqa: E402
from batch.model.metric.learning import points as learned_points  # noqa: E402
from bench.audio_songs import musly_distances  # noqa: E402
from bench.features import Songs, in_first_half  # noqa: E402

LIST_LENGTH = 10
RANKED = 100
"""Places of a ranking that the artist filter chooses from, as many as `train` asks the index for."""
UNSEEN_FOLDS = 3
RESAMPLES = 2000
SEED = 5
Ranked = Callable[[np.ndarray], np.ndarray]
"""Training rows → rankings of all songs, -1 where there are fewer, without the query: int [shape=(n, RANKED)]."""


@dataclass(frozen=True)
class Labelled:
    """n songs.  collection : codes;  is_same : artist filter [shape=(n, n)];  fold : of each song, grouped by artist"""

    songs: Songs
    tracks: TrackLabels
    collection: np.ndarray
    is_same: np.ndarray
    fold: np.ndarray

    @classmethod
    def of(cls, songs: Songs) -> Labelled:
        missing = [None] * len(songs.vectors)
        tracks = track_labels(songs.tags["artist"], songs.tags["album"], missing)
        _, group = np.unique(tracks.split_groups(), return_inverse=True)
        fold = (np.random.default_rng(SEED).permutation(group.max() + 1) % UNSEEN_FOLDS)[group]
        collection = labels([name.casefold() for name in songs.tags["collection"]])
        return cls(songs, tracks, collection, tracks.same_artist_or_album(), fold)

    @property
    def is_first_half(self) -> np.ndarray:
        """Whether a song's collection is one on which the settings were chosen."""
        return in_first_half(self.collection)


@dataclass
class Measured:
    """Hits of each query, and figures of each fold's lists."""

    hits: np.ndarray
    filtered_hits: np.ndarray
    skews: list[float] = field(default_factory=list)
    in_no_list: list[float] = field(default_factory=list)
    reachable: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def measured(library: Labelled, ranked: Ranked) -> Measured:
    n = len(library.fold)
    result = Measured(np.zeros(n), np.zeros(n))
    for held_out in range(UNSEEN_FOLDS):
        rankings = ranked(np.flatnonzero(library.fold != held_out))
        lists = rankings[:, :LIST_LENGTH]
        counts = k_occurrences(lists[lists >= 0], n)
        result.skews.append(skewness(counts))
        result.in_no_list.append(float((counts == 0).mean()))
        result.reachable.append(reachable_share(lists, n))
        for query in np.flatnonzero(library.fold == held_out):
            neighbours = rankings[query][rankings[query] >= 0]
            is_hit = library.collection[neighbours] == library.collection[query]
            is_other = ~library.is_same[query, neighbours]
            result.hits[query] = is_hit[:LIST_LENGTH].sum() / LIST_LENGTH
            result.filtered_hits[query] = is_hit[is_other][:LIST_LENGTH].sum() / LIST_LENGTH
    return result


def report_row(name: str, library: Labelled, way: Measured, today: Measured) -> dict[str, object]:
    first = library.is_first_half
    ratio, low, high = gain(library, way.filtered_hits, today.filtered_hits)
    other = gain(library, np.where(first, 0, way.filtered_hits), np.where(first, 0, today.filtered_hits))[0]
    row = {
        "space, unseen artists": name,
        "skew": float(np.mean(way.skews)),
        "skew by fold": ", ".join(f"{skew:.2f}" for skew in way.skews),
        "in no list, %": 100 * float(np.mean(way.in_no_list)),
        "reachable, %": 100 * float(np.mean(way.reachable)),
        "precision@10": float(way.hits.mean()),
        "artist-filtered": float(way.filtered_hits.mean()),
        "× today's": ratio,
        "90 %": f"{low:.2f} to {high:.2f}",
        "first half": float(way.filtered_hits[first].mean()),
        "second half": float(way.filtered_hits[~first].mean()),
        "× today's, second half": other,
    }
    print(row, file=sys.stderr, flush=True)
    return row


def gain(library: Labelled, hits: np.ndarray, baseline: np.ndarray) -> tuple[float, float, float]:
    """(ratio of the hits, its 5th and 95th percentile under resampled artists)."""
    _, group = np.unique(library.tracks.split_groups(), return_inverse=True)
    sums = np.stack([np.bincount(group, weights=values) for values in (hits, baseline)])
    drawn = np.random.default_rng(SEED).integers(0, sums.shape[1], (RESAMPLES, sums.shape[1]))
    ratios = sums[0][drawn].sum(axis=1) / sums[1][drawn].sum(axis=1)
    low, high = np.quantile(ratios, (0.05, 0.95))
    return float(sums[0].sum() / sums[1].sum()), float(low), float(high)


def by_distance(distance: np.ndarray) -> np.ndarray:
    """Rankings of all songs by distances [shape=(n, n)]."""
    distance = distance.astype(np.float64)
    np.fill_diagonal(distance, np.inf)
    return np.argsort(distance, axis=1, kind="stable")[:, : min(RANKED, len(distance) - 1)]


def exact(library: Labelled, rows: np.ndarray, block_lengths: tuple[int, ...]) -> Ranked:
    """Exact search with the metric that `train` would learn from the training rows."""

    def ranked(training: np.ndarray) -> np.ndarray:
        mean, deviation = rows[training].mean(axis=0), np.maximum(rows[training].std(axis=0), 1e-9)
        standardised = ((rows - mean) / deviation).astype(np.float32)
        metric = learned_metric(standardised[training], library.tracks[training], block_lengths, deviation)
        return by_distance(locally_scaled_distances(metric.points(standardised)))

    return ranked


def served(
    spark: SparkSession, library: Labelled, rows: np.ndarray, block_lengths: tuple[int, ...], notes: list[str]
) -> Ranked:
    """The index of a training on the training rows, with the other songs appended."""
    import pyarrow as pa

    ids = [f"{row:06d}" for row in range(len(rows))]
    artists = [name or None for name in library.songs.tags["artist"]]

    def ranked(training: np.ndarray) -> np.ndarray:
        column = pa.array(list(rows[training]), pa.list_(pa.float32()))
        frame = spark.createDataFrame(pa.table({"features": column}))
        parameters = default_parameters(len(training))
        fitted = fit_index.fit(frame, rows[training], library.tracks[training], parameters, block_lengths)
        others = np.setdiff1d(np.arange(len(rows)), training)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            of_training = [artists[row] for row in training]
            fit_index.save_index(folder, TrackColumns.of([ids[row] for row in training], of_training), fitted)
            fit_index.with_scales(spark, folder)
            append(folder, [ids[row] for row in others], rows[others], [artists[row] for row in others])
            index = Index.open(folder)
            numbers = np.array([int(track_id) for track_id in index.ids.tolist()])
            rankings = np.full((len(rows), RANKED), -1)
            for query, (neighbours, _) in zip(numbers, index.similar(np.arange(len(index)), RANKED), strict=True):
                rankings[query, : len(neighbours)] = numbers[neighbours]
        weights = " : ".join(f"{weight:g}" for weight in fitted.metric.weights)
        share = fitted.quality.candidate_share
        notes.append(
            f"{fitted.metric.name} {weights}, recall@20 {fitted.quality.recall:.3f}, {100 * share:.0f} % candidates"
        )
        return rankings

    return ranked


def unseen_rows(spark: SparkSession, library: Labelled) -> tuple[list[dict[str, object]], dict[str, list[str]]]:
    """(the table, settings of each fold's model by row)."""
    vectors, embeddings = library.songs.vectors, library.songs.embeddings
    assert embeddings is not None
    both, lengths = blocks.joined(vectors, embeddings), blocks.lengths(vectors, embeddings)
    notes: dict[str, list[str]] = {"MFCC and contrast, index as served": [], "both blocks, index as served": []}
    of_today, of_both = notes.values()
    ways: dict[str, Ranked] = {
        "MFCC and contrast, index as served": served(spark, library, vectors, (vectors.shape[1],), of_today),
        "both blocks, index as served": served(spark, library, both, lengths, of_both),
        "MFCC and contrast, exact": exact(library, vectors, (vectors.shape[1],)),
        "both blocks, exact": exact(library, both, lengths),
        "trained ear alone, exact": exact(library, embeddings, (embeddings.shape[1],)),
    }
    if library.songs.musly is not None:
        by_musly = by_distance(musly_distances(library.songs.musly))
        ways["pymusly, nothing learned"] = lambda training: by_musly
    rows: list[dict[str, object]] = []
    today: Measured | None = None
    for name, ranked in ways.items():
        way = measured(library, ranked)
        today = today or way
        rows.append(report_row(name, library, way, today))
    if library.songs.musly is None:
        rows.append({"space, unseen artists": "pymusly (not installed)"})
    return rows, notes


def plain_rows(library: Labelled) -> list[dict[str, object]]:
    """Exact search with local scaling where nothing is learned: each block, and both by weights."""
    parts = [library.songs.vectors, library.songs.embeddings]
    standardised = [
        ((part - part.mean(axis=0)) / np.maximum(part.std(axis=0), 1e-9)).astype(np.float32) for part in parts
    ]
    spaces = dict(zip(("MFCC and contrast", "trained ear"), standardised, strict=True))
    lengths = tuple(part.shape[1] for part in standardised)
    for weights in (EQUAL, (2.0, 1.0), (1.0, 2.0)):
        name = f"both, {weights[0]:g} : {weights[1]:g}"
        spaces[name] = learned_points(np.hstack(standardised), None, BlockScaling.of(lengths, weights))
    first = library.is_first_half
    report: list[dict[str, object]] = []
    for name, points in spaces.items():
        rankings = by_distance(locally_scaled_distances(to_unit(points)))
        way = measured(library, lambda training, rankings=rankings: rankings)
        report.append(
            {
                "space, nothing learned": name,
                "skew": way.skews[0],
                "in no list, %": 100 * way.in_no_list[0],
                "precision@10": float(way.hits.mean()),
                "artist-filtered": float(way.filtered_hits.mean()),
                "first half": float(way.filtered_hits[first].mean()),
                "second half": float(way.filtered_hits[~first].mean()),
            }
        )
    return report


def tables(spark: SparkSession, songs: Songs) -> tuple[list[list[dict[str, object]]], dict[str, list[str]]]:
    """(unseen artists, spaces where nothing is learned; the settings of each fold's model by row of the first)."""
    library = Labelled.of(songs)
    named = int((library.tracks.artist >= 0).sum())
    collections = len(np.unique(library.collection))
    print(f"{len(library.fold)} songs of {collections} collections, {named} name an artist", file=sys.stderr)
    rows, notes = unseen_rows(spark, library)
    return [rows, plain_rows(library)], notes
