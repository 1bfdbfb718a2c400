"""Lists that take their places together: what each takes is what it would take alone, and what a plain loop takes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from streaming.ranking.mmr import TOGETHER, Ranked, at_once, diverse
from streaming.ranking.neighbour_cache import Points, alike

D = 5


def pool(n: int, seed: int, diversity: float, artists: int = 12) -> Ranked:
    draw = np.random.default_rng(seed)
    vectors = draw.normal(0, 1, (n, D)).astype(np.float32)
    squares = np.einsum("ij,ij->i", vectors, vectors)
    points = Points(vectors, squares, np.full(n, 1.5, dtype=np.float32))
    names = draw.integers(-1, artists, n).astype(np.int32)
    return Ranked(points, draw.normal(0.5, 0.3, n).astype(np.float32), names, diversity)


def one_by_one(one: Ranked, most: int, cap: int) -> list[int]:
    """Maximal marginal relevance as it is written: all candidates, one place after the other."""
    likeness = alike(one.points, one.points)
    relevance = (1 - one.diversity) * one.score.astype(np.float64) / float(np.abs(one.score).max())
    chosen: list[int] = []
    while len(chosen) < min(most, len(one.score)):
        recent = Counter(int(one.artists[at]) for at in chosen[1 - TOGETHER :])
        left = [at for at in range(len(one.score)) if at not in chosen]
        free = [at for at in left if one.artists[at] < 0 or recent[int(one.artists[at])] < cap] or left
        value = {
            at: relevance[at] - one.diversity * max([float(likeness[at, b]) for b in chosen], default=0) for at in free
        }
        chosen.append(max(value, key=lambda at: (value[at], -at)))
    return chosen


@pytest.mark.parametrize("diversity", [0.0, 0.3, 0.8])
def test_each_list_is_what_a_plain_loop_takes(diversity: float) -> None:
    pools = [pool(30, seed, diversity) for seed in range(6)]
    for one, (places, lost) in zip(pools, diverse(pools, 12, 2), strict=True):
        assert places.tolist() == one_by_one(one, 12, 2)
        assert lost[0] == 0 and (lost >= 0).all()


def test_a_list_does_not_depend_on_those_beside_it() -> None:
    pools = [pool(3 + 17 * seed % 150, seed, 0.1 * (seed % 4)) for seed in range(69)]
    together = diverse(pools, 30, 2)
    for one, (places, lost) in zip(pools, together, strict=True):
        ((alone, lost_alone),) = diverse([one], 30, 2)
        assert places.tolist() == alone.tolist() and lost.tolist() == lost_alone.tolist()
        assert len(places) == min(30, len(one.score)) == len(set(places.tolist()))
    assert diverse([], 30, 2) == []
    assert at_once(30) == 32 and at_once(500) == 1


def test_an_artist_has_no_more_than_the_cap_in_any_ten_while_others_are_left() -> None:
    ((places, _),) = diverse([pool(200, 3, 0.2, artists=40)], 30, 2)
    names = pool(200, 3, 0.2, artists=40).artists[places].tolist()
    for start in range(len(names) - TOGETHER + 1):
        run = Counter(name for name in names[start : start + TOGETHER] if name >= 0)
        assert max(run.values()) <= 2
    one = pool(20, 4, 0.2, artists=1)
    ((places, _),) = diverse([one], 20, 2)
    assert sorted(places.tolist()) == list(range(20)), "the cap gives way"
