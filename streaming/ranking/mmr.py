"""Many lists are taken at once, place by place: the best that is not like what is listed already. Numbers only.

Maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998) with a cap on artists. A list is some thirty such choices, each a
few small sums: numpy needs longer to be asked than to add, so the lists of a micro-batch take their places together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streaming.ranking.neighbour_cache import Points, alike

TOGETHER = 10
"""The artist cap holds in any run of this many items."""
SHORTLISTED = 3
"""For each place, so many of the best candidates are looked at."""
CELLS = 1 << 18
"""Likenesses of candidates that lists taken together have at most: what fits into the processor's cache."""


def at_once(most: int) -> int:
    """How many lists of that length to take together."""
    return max(1, CELLS // (SHORTLISTED * most) ** 2)


@dataclass(frozen=True)
class Ranked:
    """The candidates of one list, n of them.

    points : n;  score : [shape=(n,)];  artists : [shape=(n,)], -1 for none;  diversity : how much likeness counts, 0 to 1
    """

    points: Points
    score: NDArray[np.floating]
    artists: NDArray[np.int32]
    diversity: float


def diverse(pools: Sequence[Ranked], most: int, cap: int) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Of each pool (places of the `most` that are listed, best first; what each lost by being like an earlier one).

    At most `cap` of an artist in any ten; where only capped artists are left, the cap gives way. Ties keep the pool's order.
    """
    if not pools:
        return []
    near = [_shortlist(pool, most, cap) for pool in pools]
    width = max(len(places) for places in near)
    shape = (len(pools), width)
    relevance = np.full(shape, -np.inf)
    artists = np.full(shape, -1, dtype=np.int32)
    likeness = np.zeros((*shape, width), dtype=np.float32)
    diversity = np.array([pool.diversity for pool in pools])
    for at, (pool, places) in enumerate(zip(pools, near, strict=True)):
        n = len(places)
        largest = max(float(np.abs(pool.score).max(initial=0.0)), 1e-12)
        relevance[at, :n] = (1 - pool.diversity) * pool.score[places] / largest
        artists[at, :n] = pool.artists[places]
        if pool.diversity:
            # One by one: a product's last digit depends on its shape, and a list must not depend on its neighbours.
            mine = pool.points.at(places)
            likeness[at, :n, :n] = alike(mine, mine)
    chosen, lost = _chosen_in_turn(relevance, likeness, diversity, artists, most, cap)
    taken = (chosen >= 0).sum(axis=1).tolist()
    return [(places[chosen[at, :n]], lost[at, :n]) for at, (places, n) in enumerate(zip(near, taken, strict=True))]


def _chosen_in_turn(
    relevance: NDArray[np.float64],
    likeness: NDArray[np.float32],
    diversity: NDArray[np.float64],
    artists: NDArray[np.int32],
    most: int,
    cap: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(which candidates each list takes, -1 where none is left; what each lost) [shape=(lists, at most `most`)].

    relevance : -inf where there is no candidate [shape=(lists, n)];  likeness : [shape=(lists, n, n)]
    diversity : [shape=(lists,)];  artists : [shape=(lists, n)]
    """
    lists, n = relevance.shape
    left = relevance.copy()
    each = np.arange(lists)
    crowd = np.zeros((lists, n), dtype=np.float32)
    loss = np.zeros((lists, n))
    of_artist = np.zeros((lists, n), dtype=np.int8)  # how many of the latest nine are by the candidate's artist
    chosen = np.full((lists, min(most, n)), -1, dtype=np.int64)
    by = np.full(chosen.shape, -1, dtype=np.int32)
    lost = np.zeros(chosen.shape)
    for place in range(chosen.shape[1]):
        value = left - loss
        free = np.where((of_artist >= cap) & (artists >= 0), -np.inf, value)
        at = free.argmax(axis=1)
        is_capped = np.isneginf(free[each, at])  # none is left but of capped artists
        if is_capped.any():
            at = np.where(is_capped, value.argmax(axis=1), at)
        is_one = left[each, at] > -np.inf
        chosen[:, place] = np.where(is_one, at, -1)
        lost[:, place] = loss[each, at]
        left[each, at] = -np.inf
        np.maximum(crowd, likeness[each, at], out=crowd)
        np.multiply(crowd, diversity[:, None], out=loss)
        by[:, place] = artists[each, at]
        of_artist += artists == by[:, place, None]
        if place >= TOGETHER - 1:
            of_artist -= artists == by[:, place - TOGETHER + 1, None]
    return chosen, lost


def _shortlist(pool: Ranked, most: int, cap: int) -> NDArray[np.int64]:
    """Places of those with the best scores, enough for diversity, and of no artist more than a list can take."""
    best = np.argsort(-pool.score, kind="stable")
    if len(best) <= SHORTLISTED * most:
        return best
    artists = pool.artists[best]
    by_artist = np.argsort(artists, kind="stable")  # in each artist's own order of scores
    first = np.searchsorted(artists[by_artist], artists[by_artist])
    within = np.empty(len(best), dtype=np.int64)
    within[by_artist] = np.arange(len(best)) - first
    can_be_taken = (artists < 0) | (within < cap * (most // TOGETHER + 1))
    return np.concatenate([best[can_be_taken], best[~can_be_taken]])[: SHORTLISTED * most]
