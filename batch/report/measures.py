"""What the report card says of a model, measured on the user's own library. Numbers only."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch.index.exact import Rows, exact, precision, recalled, scaled, squared
from batch.index.hubness import occurrences, reachable, skewness
from batch.index.lsh import Index
from batch.index.projection import Floats
from batch.library.labels import Tags
from batch.model.artist_cap import spread

KS = (10, 20, 50)
QUERIES = 500
DEEP = 200
"""Places of a ranking from which the filtered ten are taken."""
TEN = 10
MOST_COMPARED = 4000
"""Tracks among which exact lists are compared; more would be n² distances."""
TIMED = 100
SEED = 20


@dataclass(frozen=True)
class Library:
    """The tracks that are in the library and in the model, by row of an index of them alone.

    standardised : float32 [shape=(n, d)], the features before anything was learned;  tags : see batch.model.metric_learning
    """

    index: Index
    standardised: Floats
    tags: Tags
    genres: list[str]


def index_quality(index: Index) -> dict[str, Any]:
    """Recall of the answers at each of KS beside what it costs, on up to QUERIES tracks asked for others than themselves."""
    n = len(index)
    queries = np.unique(np.linspace(0, n - 1, min(QUERIES, n)).astype(np.int64))
    points, vectors = np.asarray(index.vectors[queries]), np.asarray(index.vectors)
    true = _but(exact(vectors, points, min(max(KS) + 1, n)), queries)
    at = [_at(index, queries, points, true, k) for k in KS if k < n]
    alone = np.array([len(rows) for rows in index.candidates(points)]) / n
    nearest_to_20 = min(at, key=lambda one: abs(one["k"] - 20), default={"candidate_share": float(alone.mean())})
    timed = points[: min(TIMED, len(points))]
    return {
        "at": at,
        "queries": len(queries),
        "candidate_share": nearest_to_20["candidate_share"],
        "candidate_share_of_bands": float(alone.mean()),
        "bands": int(index.found.keys.shape[0]),
        "hashes": int(index.space.directions.shape[1]),
        "components": int(index.space.directions.shape[2]),
        "probes": index.space.probes,
        "shared": index.space.shared,
        "largest_bucket": index.found.largest() / n,
        "megabytes": index.nbytes() / 1e6,
        "ms_index": _ms(lambda: index.neighbours(timed, TEN), len(timed)),
        "ms_exact": _ms(lambda: [exact(vectors, one[None], min(TEN, n)) for one in timed], len(timed)),
    }


def _at(index: Index, queries: Rows, points: Floats, true: list[Rows], k: int) -> dict[str, Any]:
    """Recall of k answers beside the tracks that were candidates for them: all of them, where the bands give too few."""
    answers = [rows[rows != row][:k] for row, (rows, _) in zip(queries, index.neighbours(points, k + 1), strict=True)]
    sizes = np.array([len(rows) for rows in index.candidates(points, k + 1)])
    is_short = sizes < k + 1
    shares = np.where(is_short, len(index), sizes) / len(index)
    return {
        "k": k,
        "recall": recalled(answers, [near[:k] for near in true]),
        "fewer_than_k": float(is_short.mean()),
        "candidate_share": float(shares.mean()),
        "candidate_share_p95": float(np.quantile(shares, 0.95)),
    }


def genre_precision(library: Library) -> dict[str, Any] | None:
    """Precision@10 by genre, of each way to choose ten, with and without the artist filter; None with fewer than two genres.

    Hits by ten, mean over the tracks asked, all of which have a genre; a neighbour without one is a miss (`pairs.precision`).
    """
    index, tags = library.index, library.tags
    labelled = np.flatnonzero(tags.genre >= 0)
    if len(np.unique(tags.genre[labelled])) < 2:
        return None
    rng = np.random.default_rng(SEED)
    queries = np.sort(rng.permutation(labelled)[:QUERIES])
    deep = min(DEEP, len(index) - 1)
    vectors = np.asarray(index.vectors)
    euclidean = _but(exact(library.standardised, library.standardised[queries], deep + 1), queries)
    shown = occurrences(np.concatenate([one[:TEN] for one in euclidean]), len(index))
    popular = np.argsort(-shown, kind="stable")[: deep + 1]
    everyone = np.arange(len(index))
    similar = index.similar(queries, deep)
    ranked = [rows for rows, _ in similar]
    rankings: dict[str, list[Rows]] = {
        "as served": [rows[spread(index.artists[rows], score, deep)] for rows, score in similar],
        "the index, any number of an artist": ranked,
        "exact, same space": _but(exact(vectors, vectors[queries], deep + 1), queries),
        "exact, plain Euclidean": euclidean,
        "popularity": _but(np.tile(popular, (len(queries), 1)), queries),
        "random": [rng.permutation(np.delete(everyone, row))[:deep] for row in queries],
    }
    of = tags.genre[queries]
    same_origin = tags.same_origin(queries)
    has_fellow = ((of[:, None] == tags.genre) & ~same_origin).any(axis=1)
    return {
        "queries": len(queries),
        "queries_with_a_fellow_by_another_artist": int(has_fellow.sum()),
        "genres": len(np.unique(tags.genre[labelled])),
        "ways": [
            {
                "way": way,
                "precision": precision(ranking, of, tags.genre, TEN),
                "artist_filtered": precision(
                    [rows[~same[rows]] for rows, same in zip(ranking, same_origin, strict=True)], of, tags.genre, TEN
                ),
            }
            for way, ranking in rankings.items()
        ],
    }


def hubness(library: Library, served: NDArray[np.int64]) -> dict[str, Any]:
    """Who stands in how many lists of ten: before anything was done about it, step by step, and as served.

    `before` and `after` are of lists among the same tracks: of more than MOST_COMPARED, `after` is the step before the bands.

    served : each track's ten by row, -1 where there are fewer [shape=(n, 10)]
    """
    n = len(library.index)
    rows = np.arange(n)
    if n > MOST_COMPARED:
        rows = np.sort(np.random.default_rng(SEED).permutation(n)[:MOST_COMPARED])
    k = min(TEN, len(rows) - 1)
    plain, learned = np.asarray(library.standardised[rows]), np.asarray(library.index.vectors[rows])
    ways = {
        "plain Euclidean": (rows, _lists(squared(plain), k)),
        "learned space": (rows, _lists(squared(learned), k)),
        "learned space, local scaling": (rows, _lists(scaled(learned), k)),
        "as served": (np.arange(n), served),
    }
    figures = [{"way": way, "tracks": len(among), **_hubs(lists, len(among))} for way, (among, lists) in ways.items()]
    # What is served was chosen among all; only lists among the same tracks tell what changed.
    before, after = figures[0], figures[3] if n == len(rows) else figures[2]
    return {
        "k": k,
        "ways": figures,
        "before": before,
        "after": after,
        "histogram_before": _histogram(ways[before["way"]][1], before["tracks"]),
        "histogram_after": _histogram(ways[after["way"]][1], after["tracks"]),
    }


def simulated_lists(library: Library, listeners: int = 300, items: int = 30) -> dict[str, Any]:
    """Coverage, diversity and novelty of lists of simulated listeners, each of whom likes three tracks of one genre (or of any).

    They are what the index alone gives, two tracks of an artist at most; no listener was asked.
    """
    index, tags = library.index, library.tags
    n = len(index)
    rng = np.random.default_rng(SEED)
    lists: list[Rows] = []
    for _ in range(min(listeners, 3 * n)):
        first = int(rng.integers(n))
        alike = np.flatnonzero(tags.genre == tags.genre[first])
        likes = np.unique([first, *rng.choice(alike, min(2, len(alike)), replace=False)])
        lists.append(_list(index, likes, tags, items))
    shown = np.concatenate(lists) if lists else np.empty(0, dtype=np.int64)
    counts = occurrences(shown, n)
    share = counts / max(1, len(lists))
    pairs = rng.integers(0, n, (2000, 2))
    far = float(
        np.linalg.norm(np.asarray(index.vectors[pairs[:, 0]]) - np.asarray(index.vectors[pairs[:, 1]]), axis=1).mean()
    )
    within = [_mean_distance(np.asarray(index.vectors[one])) for one in lists if len(one) > 1]
    tens = [tags.artist[one[:TEN]] for one in lists if len(one)] if (tags.artist >= 0).any() else []
    ordered = np.sort(counts)
    gini = float((2 * np.arange(1, n + 1) - n - 1) @ ordered / max(1, n * ordered.sum()))
    return {
        "simulated": True,
        "listeners": len(lists),
        "items": items,
        "coverage": float((counts > 0).mean()),
        "diversity": float(np.mean(within) / max(far, 1e-9)) if within else 0.0,
        "novelty_bits": float(np.mean([-np.log2(np.maximum(share[one], 1e-9)).mean() for one in lists if len(one)])),
        "artists_among_ten": float(np.mean([len(np.unique(ten[ten >= 0])) + int((ten < 0).sum()) for ten in tens]))
        if tens
        else None,
        "gini": gini,
        "most_shown": float(share.max()) if len(share) else 0.0,
    }


def _list(index: Index, likes: Rows, tags: Tags, items: int) -> Rows:
    """The tracks most like the liked ones together, at most two of an artist."""
    total: dict[int, float] = {}
    for rows, score in index.similar(likes, 3 * items):
        for row, one in zip(rows.tolist(), score.tolist(), strict=True):
            total[row] = total.get(row, 0.0) + one**2
    of_artist: dict[int, int] = {}
    chosen = []
    for row in sorted(total.keys() - set(likes.tolist()), key=lambda row: (-total[row], row)):
        artist = int(tags.artist[row])
        if artist >= 0 and of_artist.get(artist, 0) >= 2:
            continue
        of_artist[artist] = of_artist.get(artist, 0) + 1
        chosen.append(row)
        if len(chosen) == items:
            break
    return np.array(chosen, dtype=np.int64)


def _hubs(lists: NDArray[np.int64], n: int) -> dict[str, Any]:
    counts = occurrences(lists[lists >= 0], n)
    return {
        "skew": skewness(counts),
        "in_no_list": float((counts == 0).mean()),
        "most": int(counts.max()),
        "reachable": reachable(lists, n),
    }


def _histogram(lists: NDArray[np.int64], n: int) -> list[int]:
    """How many tracks stand in no list, in one, in two …"""
    return [int(count) for count in np.bincount(occurrences(lists[lists >= 0], n))]


def _lists(distance: Floats, k: int) -> NDArray[np.int64]:
    np.fill_diagonal(distance, np.inf)
    return np.argsort(distance, axis=1, kind="stable")[:, :k]


def _but(rankings: NDArray[np.int64], queries: Rows) -> list[Rows]:
    return [ranking[ranking != row] for ranking, row in zip(rankings, queries, strict=True)]


def _mean_distance(points: Floats) -> float:
    n = len(points)
    return float(np.sqrt(squared(points)).sum() / (n * (n - 1)))


def _ms(ask: Callable[[], object], queries: int) -> float:
    """Milliseconds a query, the best of three."""
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - started)
    return 1000 * min(taken) / max(1, queries)
