"""What the report card says of a model, measured on the user's own library. Numbers only."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch.hubness import occurrences, reachable, skewness
from batch.index import Index, Rows
from batch.metric import Tags, scaled
from batch.space import Floats
from batch.tuning import exact

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
    """The model's tracks by row of its index.

    standardised : float32 [shape=(n, d)], the features before anything was learned;  tags : see batch.metric
    """

    index: Index
    standardised: Floats
    tags: Tags
    genres: list[str]


def index_quality(index: Index) -> dict[str, Any]:
    """Recall of the answers at each of KS beside what it costs, on up to QUERIES tracks asked for others than themselves."""
    n = len(index)
    queries = np.unique(np.linspace(0, n - 1, min(QUERIES, n)).astype(np.int64))
    points = np.asarray(index.vectors[queries])
    candidates = index.candidates(points)
    shares = np.array([len(some) for some in candidates]) / n
    deepest = min(max(KS) + 1, n)
    true = exact(np.asarray(index.vectors), points, deepest)
    at: list[dict[str, Any]] = []
    for k in KS:
        if k >= n:
            continue
        answers = index.neighbours(points, k + 1)
        found = [
            np.isin(near[near != row][:k], rows).mean()
            for row, near, (rows, _) in zip(queries, true, answers, strict=True)
        ]
        short = [len(some) - 1 < k for some in index.candidates(points, k + 1)]
        at.append({"k": k, "recall": float(np.mean(found)), "fewer_than_k": float(np.mean(short))})
    timed = points[: min(TIMED, len(points))]
    return {
        "at": at,
        "queries": len(queries),
        "candidate_share": float(shares.mean()),
        "candidate_share_p95": float(np.quantile(shares, 0.95)),
        "bands": int(index.found.keys.shape[0]),
        "hashes": int(index.space.directions.shape[1]),
        "components": int(index.space.directions.shape[2]),
        "probes": index.space.probes,
        "shared": index.space.shared,
        "largest_bucket": index.found.largest() / n,
        "megabytes": index.nbytes() / 1e6,
        "ms_index": _ms(lambda: index.neighbours(timed, TEN), len(timed)),
        "ms_exact": _ms(
            lambda: [exact(np.asarray(index.vectors), one[None], min(TEN, n)) for one in timed], len(timed)
        ),
    }


def precision(library: Library) -> dict[str, Any] | None:
    """Precision@10 by genre, of each way to choose ten, with and without the artist filter; None with fewer than two genres."""
    index, tags = library.index, library.tags
    labelled = np.flatnonzero(tags.genre >= 0)
    if len(np.unique(tags.genre[labelled])) < 2:
        return None
    rng = np.random.default_rng(SEED)
    queries = np.sort(rng.permutation(labelled)[:QUERIES])
    deep = min(DEEP, len(index) - 1)
    euclidean = _but(exact(library.standardised, library.standardised[queries], deep + 1), queries)
    popular = np.argsort(-occurrences(np.concatenate([one[:TEN] for one in euclidean]), len(index)), kind="stable")[
        : deep + 1
    ]
    rankings: dict[str, list[Rows]] = {
        "as served": [rows for rows, _ in index.similar(queries, deep)],
        "exact, same space": _but(
            exact(np.asarray(index.vectors), np.asarray(index.vectors[queries]), deep + 1), queries
        ),
        "exact, plain Euclidean": euclidean,
        "popularity": _but(np.tile(popular, (len(queries), 1)), queries),
        "random": [rng.permutation(np.delete(np.arange(len(index)), row))[:deep] for row in queries],
    }
    unfiltered, filtered = _could(queries, tags, False), _could(queries, tags, True)
    return {
        "queries": len(queries),
        "genres": len(np.unique(tags.genre[labelled])),
        "ways": [
            {
                "way": way,
                "precision": _precision(ranking, queries, tags, False, unfiltered),
                "artist_filtered": _precision(ranking, queries, tags, True, filtered),
            }
            for way, ranking in rankings.items()
        ],
    }


def hubness(library: Library, served: NDArray[np.int64]) -> dict[str, Any]:
    """Who stands in how many lists of ten: before anything was done about it, step by step, and as served.

    served : each track's ten by row, -1 where there are fewer [shape=(n, 10)]
    """
    n = len(library.index)
    rows = np.arange(n)
    if n > MOST_COMPARED:
        rows = np.sort(np.random.default_rng(SEED).permutation(n)[:MOST_COMPARED])
    k = min(TEN, len(rows) - 1)
    plain = np.asarray(library.standardised[rows])
    learned = np.asarray(library.index.vectors[rows])
    ways = {
        "plain Euclidean": _lists(_squared(plain), k),
        "learned space": _lists(_squared(learned), k),
        "learned space, local scaling": _lists(scaled(learned), k),
    }
    told = [{"way": way, "tracks": len(rows), **_hubs(lists, len(rows))} for way, lists in ways.items()]
    told.append({"way": "as served", "tracks": n, **_hubs(served, n)})
    return {
        "k": k,
        "ways": told,
        "histogram_before": np.bincount(occurrences(ways["plain Euclidean"], len(rows))).tolist(),
        "histogram_served": np.bincount(occurrences(served[served >= 0], n)).tolist(),
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
    tens = [tags.artist[one[:TEN]] for one in lists if len(one)]
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
        else 0.0,
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


def _precision(
    rankings: list[Rows], queries: Rows, tags: Tags, is_filtered: bool, could: NDArray[np.int64]
) -> float | None:
    """Mean share of the first ten, of those that could, that have the query's genre. Neighbours without a genre do not count."""
    shares = []
    for row, ranking, most in zip(queries, rankings, could, strict=True):
        if not most:
            continue
        counts = tags.genre[ranking] >= 0
        if is_filtered:
            counts &= ~_same_origin(tags, int(row), ranking)
        ten = ranking[counts][:TEN]
        shares.append((tags.genre[ten] == tags.genre[row]).sum() / min(TEN, most))
    return float(np.mean(shares)) if shares else None


def _could(queries: Rows, tags: Tags, is_filtered: bool) -> NDArray[np.int64]:
    """How many tracks of each query's genre there are to be found."""
    everyone = np.arange(len(tags.genre))
    found = []
    for row in queries:
        alike = (tags.genre == tags.genre[row]) & (everyone != row)
        if is_filtered:
            alike &= ~_same_origin(tags, int(row), everyone)
        found.append(int(alike.sum()))
    return np.array(found, dtype=np.int64)


def _same_origin(tags: Tags, row: int, others: Rows) -> NDArray[np.bool_]:
    by_artist = (tags.artist[others] == tags.artist[row]) & (tags.artist[row] >= 0)
    return np.asarray(by_artist | ((tags.same_album[others] == tags.same_album[row]) & (tags.same_album[row] >= 0)))


def _hubs(lists: NDArray[np.int64], n: int) -> dict[str, float]:
    counts = occurrences(lists[lists >= 0], n)
    return {
        "skew": skewness(counts),
        "in_no_list": float((counts == 0).mean()),
        "most": int(counts.max()),
        "reachable": reachable(lists, n),
    }


def _squared(points: Floats) -> Floats:
    length = np.einsum("ij,ij->i", points, points)
    return np.asarray(length[:, None] + length - 2 * (points @ points.T), dtype=np.float32)


def _lists(apart: Floats, k: int) -> NDArray[np.int64]:
    np.fill_diagonal(apart, np.inf)
    return np.argsort(apart, axis=1, kind="stable")[:, :k]


def _but(rankings: NDArray[np.int64], queries: Rows) -> list[Rows]:
    return [ranking[ranking != row] for ranking, row in zip(rankings, queries, strict=True)]


def _mean_distance(points: Floats) -> float:
    squared = np.maximum(_squared(points), 0)
    n = len(points)
    return float(np.sqrt(squared).sum() / (n * (n - 1)))


def _ms(ask: Callable[[], object], queries: int) -> float:
    """Milliseconds a query, the best of three."""
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - started)
    return 1000 * min(taken) / max(1, queries)
