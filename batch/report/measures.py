"""The report card's figures, measured on the user's own library. No Spark."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch.index.exact import Rows, exact_neighbours, locally_scaled_distances, precision, recall, squared_distances
from batch.index.hubness import k_occurrences, reachable_share, skewness
from batch.index.lsh import Index
from batch.index.projection import Floats
from batch.library.labels import TrackLabels
from batch.model.artist_cap import capped_ranking

RECALL_AT = (10, 20, 50)
"""Numbers of neighbours."""
MEASURED_QUERIES = 500
RANKING_DEPTH = 200
"""Places of a ranking that the artist filter and the artist cap choose from."""
LIST_LENGTH = 10
"""Tracks of a list: precision@10, 10-occurrence."""
MAX_TRACKS_COMPARED = 4000
"""Tracks among which exact lists are compared: n² distances."""
TIMED_QUERIES = 100
TIMINGS = 3
"""Runs of which the fastest counts."""
LIKES = 3
"""Tracks that a simulated listener likes."""
LISTED_PER_ARTIST = 2
"""Tracks of an artist in a simulated listener's list."""
DISTANCE_PAIRS = 2000
"""Random pairs of tracks that give the library's mean distance."""
SEED = 20


@dataclass(frozen=True)
class MeasuredLibrary:
    """The n tracks that are both in the library and in the model, by row of an index of them alone.

    standardised : the features before anything was learned, float32 [shape=(n, d)]
    genres : names by code
    block_lengths : numbers of each block of the features (`batch.model.blocks`); (): one block
    """

    index: Index
    standardised: Floats
    labels: TrackLabels
    genres: list[str]
    block_lengths: tuple[int, ...] = ()


def index_quality(index: Index) -> dict[str, Any]:
    """Recall at each of RECALL_AT and its cost, on up to MEASURED_QUERIES tracks that query for others."""
    n = len(index)
    queries = np.unique(np.linspace(0, n - 1, min(MEASURED_QUERIES, n)).astype(np.int64))
    points, vectors = np.asarray(index.vectors[queries]), np.asarray(index.vectors)
    true = _without_query(exact_neighbours(vectors, points, min(max(RECALL_AT) + 1, n)), queries)
    figures = [_recall_at(index, queries, points, true, k) for k in RECALL_AT if k < n]
    share_of_tables = np.array([len(rows) for rows in index.candidates(points)]) / n
    nearest_to_20 = min(
        figures, key=lambda at_k: abs(at_k["k"] - 20), default={"candidate_share": float(share_of_tables.mean())}
    )
    timed = points[: min(TIMED_QUERIES, len(points))]
    return {
        "at": figures,
        "queries": len(queries),
        "candidate_share": nearest_to_20["candidate_share"],
        "candidate_share_of_bands": float(share_of_tables.mean()),
        "bands": int(index.tables.keys.shape[0]),
        "hashes": int(index.projection.directions.shape[1]),
        "components": int(index.projection.directions.shape[2]),
        "probes": index.projection.probes,
        "shared": index.projection.min_collisions,
        "largest_bucket": index.tables.largest_bucket() / n,
        "megabytes": index.nbytes() / 1e6,
        "ms_index": _milliseconds(lambda: index.neighbours(timed, LIST_LENGTH), len(timed)),
        "ms_exact": _milliseconds(
            lambda: [exact_neighbours(vectors, point[None], min(LIST_LENGTH, n)) for point in timed], len(timed)
        ),
    }


def _recall_at(index: Index, queries: Rows, points: Floats, true: list[Rows], k: int) -> dict[str, Any]:
    """Recall@k and the share of candidates; with fewer than k candidates a query is answered exactly, all tracks count then."""
    answers = [rows[rows != row][:k] for row, (rows, _) in zip(queries, index.neighbours(points, k + 1), strict=True)]
    sizes = np.array([len(rows) for rows in index.candidates(points, k + 1)])
    is_exact = sizes < k + 1
    shares = np.where(is_exact, len(index), sizes) / len(index)
    return {
        "k": k,
        "recall": recall(answers, [neighbours[:k] for neighbours in true]),
        "fewer_than_k": float(is_exact.mean()),
        "candidate_share": float(shares.mean()),
        "candidate_share_p95": float(np.quantile(shares, 0.95)),
    }


def genre_precision(library: MeasuredLibrary) -> dict[str, Any] | None:
    """Precision@10 by genre of six ways to choose a list, with and without the artist filter; None with fewer than two genres.

    Mean over up to MEASURED_QUERIES tracks with a genre; a neighbour without a genre is a miss (`exact.precision`).
    """
    index, labels = library.index, library.labels
    labelled = np.flatnonzero(labels.genre >= 0)
    if len(np.unique(labels.genre[labelled])) < 2:
        return None
    rng = np.random.default_rng(SEED)
    queries = np.sort(rng.permutation(labelled)[:MEASURED_QUERIES])
    depth = min(RANKING_DEPTH, len(index) - 1)
    vectors = np.asarray(index.vectors)
    euclidean = _without_query(
        exact_neighbours(library.standardised, library.standardised[queries], depth + 1), queries
    )
    counts = k_occurrences(np.concatenate([ranking[:LIST_LENGTH] for ranking in euclidean]), len(index))
    popular = np.argsort(-counts, kind="stable")[: depth + 1]
    all_rows = np.arange(len(index))
    similar = index.similar(queries, depth)
    rankings: dict[str, list[Rows]] = {
        "as served": [rows[capped_ranking(index.artists_of_each(rows), scores, depth)] for rows, scores in similar],
        "index without artist cap": [rows for rows, _ in similar],
        "exact search, learned metric": _without_query(exact_neighbours(vectors, vectors[queries], depth + 1), queries),
        "exact search, plain Euclidean": euclidean,
        "popularity": _without_query(np.tile(popular, (len(queries), 1)), queries),
        "random": [rng.permutation(np.delete(all_rows, row))[:depth] for row in queries],
    }
    query_genre = labels.genre[queries]
    is_filtered = labels.same_artist_or_album(queries)
    has_other_artist = ((query_genre[:, None] == labels.genre) & ~is_filtered).any(axis=1)
    return {
        "queries": len(queries),
        "queries_with_a_fellow_by_another_artist": int(has_other_artist.sum()),
        "genres": len(np.unique(labels.genre[labelled])),
        "ways": [
            {
                "way": way,
                "precision": precision(ranking, query_genre, labels.genre, LIST_LENGTH),
                "artist_filtered": precision(
                    [rows[~filtered[rows]] for rows, filtered in zip(ranking, is_filtered, strict=True)],
                    query_genre,
                    labels.genre,
                    LIST_LENGTH,
                ),
            }
            for way, ranking in rankings.items()
        ],
    }


def hubness(library: MeasuredLibrary, served: NDArray[np.int64]) -> dict[str, Any]:
    """10-occurrence of exact lists, step by step from plain Euclidean ones, and of the lists as served.

    served : each track's list by row, -1 where there are fewer [shape=(m, 10)], of these n tracks or of more
    `before` and `after` are of lists among the same tracks: with more than MAX_TRACKS_COMPARED, `after` is the last exact step.
    """
    n = len(library.index)
    rows = compared_rows(n)
    k = min(LIST_LENGTH, len(rows) - 1)
    plain, learned = np.asarray(library.standardised[rows]), np.asarray(library.index.vectors[rows])
    ways = {
        "plain Euclidean": (rows, nearest(squared_distances(plain), k)),
        "learned metric": (rows, nearest(squared_distances(learned), k)),
        "learned metric, local scaling": (rows, nearest(locally_scaled_distances(learned), k)),
        "as served": (np.arange(len(served)), served),
    }
    figures = [
        {"way": way, "tracks": len(among), **occurrence_figures(lists, len(among))}
        for way, (among, lists) in ways.items()
    ]
    # Lists as served are chosen among all tracks; only lists among the same tracks can be compared.
    before, after = figures[0], figures[3] if len(served) == len(rows) else figures[2]
    return {
        "k": k,
        "ways": figures,
        "before": before,
        "after": after,
        "histogram_before": _histogram(ways[before["way"]][1], before["tracks"]),
        "histogram_after": _histogram(ways[after["way"]][1], after["tracks"]),
    }


def simulated_lists(library: MeasuredLibrary, listeners: int = 300, items: int = 30) -> dict[str, Any]:
    """Coverage, diversity and novelty of lists for simulated listeners, each of whom likes three tracks of a genre (or of any).

    items : length of a list, which the index alone gives, under a cap of two tracks an artist
    """
    index, labels = library.index, library.labels
    n = len(index)
    rng = np.random.default_rng(SEED)
    lists: list[Rows] = []
    for _ in range(min(listeners, 3 * n)):
        first = int(rng.integers(n))
        same_genre = np.flatnonzero(labels.genre == labels.genre[first])
        likes = np.unique([first, *rng.choice(same_genre, min(LIKES - 1, len(same_genre)), replace=False)])
        lists.append(_simulated_list(index, likes, labels, items))
    counts = k_occurrences(np.concatenate(lists) if lists else np.empty(0, dtype=np.int64), n)
    share = counts / max(1, len(lists))
    pairs = rng.integers(0, n, (DISTANCE_PAIRS, 2))
    differences = np.asarray(index.vectors[pairs[:, 0]]) - np.asarray(index.vectors[pairs[:, 1]])
    library_distance = float(np.linalg.norm(differences, axis=1).mean())
    list_distances = [_mean_distance(np.asarray(index.vectors[rows])) for rows in lists if len(rows) > 1]
    novelty = [-np.log2(np.maximum(share[rows], 1e-9)).mean() for rows in lists if len(rows)]
    has_artists = bool((labels.artist >= 0).any())
    artists_of_lists = [labels.artist[rows[:LIST_LENGTH]] for rows in lists if len(rows)] if has_artists else []
    artist_counts = [len(np.unique(artists[artists >= 0])) + int((artists < 0).sum()) for artists in artists_of_lists]
    ascending = np.sort(counts)
    gini = float((2 * np.arange(1, n + 1) - n - 1) @ ascending / max(1, n * ascending.sum()))
    return {
        "simulated": True,
        "listeners": len(lists),
        "items": items,
        "coverage": float((counts > 0).mean()),
        "diversity": float(np.mean(list_distances) / max(library_distance, 1e-9)) if list_distances else 0.0,
        "novelty_bits": float(np.mean(novelty)),
        "artists_among_ten": float(np.mean(artist_counts)) if artist_counts else None,
        "gini": gini,
        "most_shown": float(share.max()) if len(share) else 0.0,
    }


def _simulated_list(index: Index, likes: Rows, labels: TrackLabels, items: int) -> Rows:
    """Rows with the largest sum of squared similarities to the liked ones, at most LISTED_PER_ARTIST of an artist."""
    score_by_row: dict[int, float] = {}
    for rows, similarities in index.similar(likes, 3 * items):
        for row, similarity in zip(rows.tolist(), similarities.tolist(), strict=True):
            score_by_row[row] = score_by_row.get(row, 0.0) + similarity**2
    count_by_artist: dict[int, int] = {}
    chosen: list[int] = []
    candidates = score_by_row.keys() - set(likes.tolist())
    for row in sorted(candidates, key=lambda row: (-score_by_row[row], row)):
        artist = int(labels.artist[row])
        if artist >= 0 and count_by_artist.get(artist, 0) >= LISTED_PER_ARTIST:
            continue
        count_by_artist[artist] = count_by_artist.get(artist, 0) + 1
        chosen.append(row)
        if len(chosen) == items:
            break
    return np.array(chosen, dtype=np.int64)


def compared_rows(n: int) -> Rows:
    """Rows of up to MAX_TRACKS_COMPARED tracks, sorted."""
    if n <= MAX_TRACKS_COMPARED:
        return np.arange(n)
    return np.sort(np.random.default_rng(SEED).permutation(n)[:MAX_TRACKS_COMPARED])


def occurrence_figures(lists: NDArray[np.int64], n: int) -> dict[str, Any]:
    counts = k_occurrences(lists[lists >= 0], n)
    return {
        "skew": skewness(counts),
        "in_no_list": float((counts == 0).mean()),
        "most": int(counts.max()),
        "reachable": reachable_share(lists, n),
    }


def _histogram(lists: NDArray[np.int64], n: int) -> list[int]:
    """Tracks in no list, in one, in two …"""
    return [int(count) for count in np.bincount(k_occurrences(lists[lists >= 0], n))]


def nearest(distance: Floats, k: int) -> NDArray[np.int64]:
    """The k nearest columns of each row but itself [shape=(n, k)].  distance : [shape=(n, n)]"""
    np.fill_diagonal(distance, np.inf)
    return np.argsort(distance, axis=1, kind="stable")[:, :k]


def _without_query(rankings: NDArray[np.int64], queries: Rows) -> list[Rows]:
    return [ranking[ranking != row] for ranking, row in zip(rankings, queries, strict=True)]


def _mean_distance(points: Floats) -> float:
    n = len(points)
    return float(np.sqrt(squared_distances(points)).sum() / (n * (n - 1)))


def _milliseconds(search: Callable[[], object], queries: int) -> float:
    """Milliseconds a query, fastest of TIMINGS runs."""
    seconds = []
    for _ in range(TIMINGS):
        started = time.perf_counter()
        search()
        seconds.append(time.perf_counter() - started)
    return 1000 * min(seconds) / max(1, queries)
