"""Maximal marginal relevance with an artist cap, for many lists at a time. No Spark, no I/O.

Carbonell & Goldstein (SIGIR 1998). Each of a list's thirty choices is a few operations on small arrays, where numpy's call
overhead dominates; so the lists of a micro-batch are vectorised over, place by place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streaming.ranking.neighbour_cache import Points, similarity

ARTIST_CAP_WINDOW_ITEMS = 10
"""The artist cap holds in any run of so many items."""
CANDIDATES_PER_PLACE = 3
"""The shortlist of a list has so many candidates for each of its places."""
MOST_SIMILARITIES = 1 << 18
"""Elements of the similarity matrices of lists taken together: what fits into the processor's cache."""


def lists_at_a_time(length: int) -> int:
    """How many lists of `length` places to rerank in one call."""
    return max(1, MOST_SIMILARITIES // (CANDIDATES_PER_PLACE * length) ** 2)


@dataclass(frozen=True)
class ScoredPool:
    """The n candidates of one list.

    points : n
    scores : [shape=(n,)]
    artists : codes, -1 for none [shape=(n,)]
    diversity : weight of similarity to earlier items against score, 0 to 1
    """

    points: Points
    scores: NDArray[np.floating]
    artists: NDArray[np.int32]
    diversity: float


def rerank(
    pools: Sequence[ScoredPool], length: int, artist_cap: int
) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """For each pool: (positions of up to `length` chosen candidates, best first; their penalties for similarity).

    At most `artist_cap` of an artist in any ARTIST_CAP_WINDOW_ITEMS; where only capped artists are left, the cap is ignored. Ties
    keep the pool's order.
    """
    if not pools:
        return []
    shortlists = [_shortlist(pool, length, artist_cap) for pool in pools]
    width = max(len(positions) for positions in shortlists)
    shape = (len(pools), width)
    relevance = np.full(shape, -np.inf)
    artists = np.full(shape, -1, dtype=np.int32)
    similarities = np.zeros((*shape, width), dtype=np.float32)
    diversity = np.array([pool.diversity for pool in pools])
    for row, (pool, positions) in enumerate(zip(pools, shortlists, strict=True)):
        n = len(positions)
        largest = max(float(np.abs(pool.scores).max(initial=0.0)), 1e-12)
        relevance[row, :n] = (1 - pool.diversity) * pool.scores[positions] / largest
        artists[row, :n] = pool.artists[positions]
        if pool.diversity:
            # Pool by pool: the last digit of a matrix product depends on its shape, and a list must not depend on the others.
            points = pool.points.take(positions)
            similarities[row, :n, :n] = similarity(points, points)
    chosen, penalties = _choose(relevance, similarities, diversity, artists, length, artist_cap)
    lengths = (chosen >= 0).sum(axis=1).tolist()
    return [
        (positions[chosen[row, :n]], penalties[row, :n])
        for row, (positions, n) in enumerate(zip(shortlists, lengths, strict=True))
    ]


def _choose(
    relevance: NDArray[np.float64],
    similarities: NDArray[np.float32],
    diversity: NDArray[np.float64],
    artists: NDArray[np.int32],
    length: int,
    artist_cap: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(column of each list's choice, -1 where none is left; its penalty) [shape=(lists, at most `length`)].

    relevance : -inf where there is no candidate [shape=(lists, n)]
    similarities : [shape=(lists, n, n)]
    diversity : [shape=(lists,)]
    artists : [shape=(lists, n)]
    """
    lists, n = relevance.shape
    remaining = relevance.copy()
    each_list = np.arange(lists)
    largest_similarity = np.zeros((lists, n), dtype=np.float32)  # to an item chosen before
    penalty = np.zeros((lists, n))
    in_window = np.zeros((lists, n), dtype=np.int8)  # items of the candidate's artist among the latest of the window
    chosen = np.full((lists, min(length, n)), -1, dtype=np.int64)
    chosen_artists = np.full(chosen.shape, -1, dtype=np.int32)
    penalties = np.zeros(chosen.shape)
    for place in range(chosen.shape[1]):
        value = remaining - penalty
        uncapped = np.where((in_window >= artist_cap) & (artists >= 0), -np.inf, value)
        column = uncapped.argmax(axis=1)
        is_capped = np.isneginf(uncapped[each_list, column])  # only capped artists are left
        if is_capped.any():
            column = np.where(is_capped, value.argmax(axis=1), column)
        is_candidate = remaining[each_list, column] > -np.inf
        chosen[:, place] = np.where(is_candidate, column, -1)
        penalties[:, place] = penalty[each_list, column]
        remaining[each_list, column] = -np.inf
        np.maximum(largest_similarity, similarities[each_list, column], out=largest_similarity)
        np.multiply(largest_similarity, diversity[:, None], out=penalty)
        chosen_artists[:, place] = artists[each_list, column]
        in_window += artists == chosen_artists[:, place, None]
        if place >= ARTIST_CAP_WINDOW_ITEMS - 1:
            in_window -= artists == chosen_artists[:, place - ARTIST_CAP_WINDOW_ITEMS + 1, None]
    return chosen, penalties


def _shortlist(pool: ScoredPool, length: int, artist_cap: int) -> NDArray[np.int64]:
    """Positions of the best scores, CANDIDATES_PER_PLACE × length at most, and of no artist more than a list can have."""
    best = np.argsort(-pool.scores, kind="stable")
    if len(best) <= CANDIDATES_PER_PLACE * length:
        return best
    artists = pool.artists[best]
    by_artist = np.argsort(artists, kind="stable")  # by descending score for each artist
    first = np.searchsorted(artists[by_artist], artists[by_artist])
    rank_of_artist = np.empty(len(best), dtype=np.int64)
    rank_of_artist[by_artist] = np.arange(len(best)) - first
    can_be_listed = (artists < 0) | (rank_of_artist < artist_cap * (length // ARTIST_CAP_WINDOW_ITEMS + 1))
    return np.concatenate([best[can_be_listed], best[~can_be_listed]])[: CANDIDATES_PER_PLACE * length]
