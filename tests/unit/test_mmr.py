"""Lists that take their places together: what each takes is what it would take alone, and what a plain loop takes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from streaming.ranking.mmr import ARTIST_CAP_WINDOW_ITEMS, ScoredPool, lists_at_a_time, rerank
from streaming.ranking.neighbour_cache import Points, similarity

D = 5


def pool(n: int, seed: int, diversity: float, artists: int = 12) -> ScoredPool:
    draw = np.random.default_rng(seed)
    vectors = draw.normal(0, 1, (n, D)).astype(np.float32)
    squares = np.einsum("ij,ij->i", vectors, vectors)
    points = Points(vectors, squares, np.full(n, 1.5, dtype=np.float32))
    names = draw.integers(-1, artists, n).astype(np.int32)
    return ScoredPool(points, draw.normal(0.5, 0.3, n).astype(np.float32), names, diversity)


def one_by_one(candidates: ScoredPool, most: int, cap: int) -> list[int]:
    """Maximal marginal relevance as it is written: all candidates, one place after the other."""
    likeness = similarity(candidates.points, candidates.points)
    relevance = (
        (1 - candidates.diversity) * candidates.scores.astype(np.float64) / float(np.abs(candidates.scores).max())
    )
    chosen: list[int] = []
    while len(chosen) < min(most, len(candidates.scores)):
        recent = Counter(int(candidates.artists[at]) for at in chosen[1 - ARTIST_CAP_WINDOW_ITEMS :])
        remaining = [at for at in range(len(candidates.scores)) if at not in chosen]
        free = [
            at for at in remaining if candidates.artists[at] < 0 or recent[int(candidates.artists[at])] < cap
        ] or remaining
        value = {
            at: relevance[at] - candidates.diversity * max([float(likeness[at, b]) for b in chosen], default=0)
            for at in free
        }
        chosen.append(max(value, key=lambda at: (value[at], -at)))
    return chosen


@pytest.mark.parametrize("diversity", [0.0, 0.3, 0.8])
def test_each_list_is_what_a_plain_loop_takes(diversity: float) -> None:
    pools = [pool(30, seed, diversity) for seed in range(6)]
    for each, (places, penalties) in zip(pools, rerank(pools, 12, 2), strict=True):
        assert places.tolist() == one_by_one(each, 12, 2)
        assert penalties[0] == 0 and (penalties >= 0).all()


def test_a_list_does_not_depend_on_those_beside_it() -> None:
    pools = [pool(3 + 17 * seed % 150, seed, 0.1 * (seed % 4)) for seed in range(69)]
    together = rerank(pools, 30, 2)
    for each, (places, penalties) in zip(pools, together, strict=True):
        ((alone, penalties_alone),) = rerank([each], 30, 2)
        assert places.tolist() == alone.tolist() and penalties.tolist() == penalties_alone.tolist()
        assert len(places) == min(30, len(each.scores)) == len(set(places.tolist()))
    assert rerank([], 30, 2) == []
    assert lists_at_a_time(30) == 32 and lists_at_a_time(500) == 1


def test_an_artist_has_no_more_than_the_cap_in_any_ten_while_others_are_left() -> None:
    ((places, _),) = rerank([pool(200, 3, 0.2, artists=40)], 30, 2)
    names = pool(200, 3, 0.2, artists=40).artists[places].tolist()
    for start in range(len(names) - ARTIST_CAP_WINDOW_ITEMS + 1):
        run = Counter(name for name in names[start : start + ARTIST_CAP_WINDOW_ITEMS] if name >= 0)
        assert max(run.values()) <= 2
    by_one_artist = pool(20, 4, 0.2, artists=1)
    ((places, _),) = rerank([by_one_artist], 20, 2)
    assert sorted(places.tolist()) == list(range(20)), "the cap gives way"
