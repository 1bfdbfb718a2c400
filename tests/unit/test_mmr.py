"""Lists that take their places together: what each takes is what it would take alone, and what a plain loop takes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from streaming.ranking.mmr import (
    ARTIST_CAP_WINDOW_ITEMS,
    ARTIST_REST_ITEMS,
    CAPPED_ARTIST_PENALTY,
    RESTED_ARTIST_PENALTY,
    Candidates,
    choose,
    lists_at_a_time,
)
from streaming.ranking.neighbour_cache import Points, similarity
from streaming.ranking.turns import ROUND_PLAYS, turns

D = 5


def pool(n: int, seed: int, diversity: float, artists: int = 12, groups: int = 3, length: int = 12) -> Candidates:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(0, 1, (n, D)).astype(np.float32)
    squares = np.einsum("ij,ij->i", vectors, vectors)
    return Candidates(
        Points(vectors, squares, np.full(n, 1.5, dtype=np.float32)),
        rng.uniform(0, 1, (groups, n)),
        diversity,
        rng.integers(-1, artists, n).astype(np.int32),
        rng.integers(0, groups, length).tolist(),
        rng.integers(-1, artists, 5).tolist(),
        np.zeros(n, dtype=np.float32),
    )


def one_by_one(candidates: Candidates, most: int, cap: int) -> list[int]:
    """Maximal marginal relevance by turns as it is written: all candidates, one place after the other."""
    likeness = similarity(candidates.points, candidates.points)
    artists = [set(codes) - {-1} for codes in np.atleast_2d(candidates.artists.T).T.tolist()]
    earlier = [set(codes) for codes in np.atleast_2d(np.array(candidates.earlier_artists).T).T.tolist()]
    chosen: list[int] = []
    while len(chosen) < min(most, len(artists)):
        sequence = [*earlier, *(artists[at] for at in chosen)]
        recent = Counter(code for codes in sequence[1 - ARTIST_CAP_WINDOW_ITEMS :] for code in codes)
        resting = Counter(code for codes in sequence[-ARTIST_REST_ITEMS:] for code in codes)
        values = candidates.values[candidates.order[len(chosen)]]
        value = {}
        for at in set(range(len(artists))) - set(chosen):
            value[at] = values[at] - candidates.diversity * max([float(likeness[at, b]) for b in chosen], default=0)
            value[at] -= CAPPED_ARTIST_PENALTY * any(recent[code] >= cap for code in artists[at])
            value[at] -= RESTED_ARTIST_PENALTY * any(resting[code] > 0 for code in artists[at])
        chosen.append(max(value, key=lambda at: (value[at], -at)))
    return chosen


@pytest.mark.parametrize("diversity", [0.0, 0.3, 0.8])
def test_each_list_is_what_a_plain_loop_takes(diversity: float) -> None:
    pools = [pool(30, seed, diversity) for seed in range(6)]
    for each, (places, penalties) in zip(pools, choose(pools, 12, 2), strict=True):
        assert places.tolist() == one_by_one(each, 12, 2)
        assert penalties[0] == 0 and (penalties >= 0).all()


def test_each_of_several_artists_counts() -> None:
    rng = np.random.default_rng(9)
    pools = []
    for seed in range(6):
        artists = rng.integers(-1, 15, (30, 2)).astype(np.int32)
        artists[artists[:, 0] == artists[:, 1], 1] = -1
        pools.append(replace(pool(30, seed, 0.3), artists=artists, earlier_artists=rng.integers(0, 15, (5, 2))))
    pools.append(pool(30, 6, 0.3))  # beside a list of tracks with one artist each
    for each, (places, _) in zip(pools, choose(pools, 12, 2), strict=True):
        assert places.tolist() == one_by_one(each, 12, 2)


def test_a_list_does_not_depend_on_those_beside_it() -> None:
    pools = [pool(3 + 17 * seed % 150, seed, 0.1 * (seed % 4), length=30) for seed in range(69)]
    together = choose(pools, 30, 2)
    for each, (places, penalties) in zip(pools, together, strict=True):
        ((alone, penalties_alone),) = choose([each], 30, 2)
        assert places.tolist() == alone.tolist() and penalties.tolist() == penalties_alone.tolist()
        assert len(places) == min(30, len(each.artists)) == len(set(places.tolist()))
    assert choose([], 30, 2) == []
    assert lists_at_a_time(90) == 32 and lists_at_a_time(1500) == 1


def test_an_artist_has_no_more_than_the_cap_in_any_ten_what_was_heard_before_included() -> None:
    candidates = pool(200, 3, 0.2, artists=40, length=30)
    ((places, _),) = choose([candidates], 30, 2)
    names = [*candidates.earlier_artists, *candidates.artists[places].tolist()]
    for start in range(len(names) - ARTIST_CAP_WINDOW_ITEMS + 1):
        run = Counter(name for name in names[start : start + ARTIST_CAP_WINDOW_ITEMS] if name >= 0)
        assert max(run.values()) <= 2
    by_one_artist = replace(pool(20, 4, 0.2, length=20), artists=np.zeros(20, dtype=np.int32))
    ((places, _),) = choose([by_one_artist], 20, 2)
    assert sorted(places.tolist()) == list(range(20)), "the cap gives way"


def test_an_item_like_what_was_just_heard_comes_later() -> None:
    candidates = replace(pool(5, 1, 0.5, artists=0, groups=1, length=5), values=np.ones((1, 5)))
    heard = np.array([0.9, 0.0, 0.0, 0.0, 0.0], dtype=np.float32)
    ((places, penalties),) = choose([replace(candidates, earlier_similarity=heard)], 5, 2)
    assert places[-1] == 0 or penalties[places.tolist().index(0)] >= 0.45


@pytest.mark.parametrize("first", [0, 7, 59, 12_345])
def test_turns_give_each_group_its_share_to_within_one_in_ten(first: int) -> None:
    shares = [0.5, 0.3, 0.13, 0.07]
    order = turns(shares, first, 300)
    for length in (10, 30, 300):
        counts = np.bincount(order[:length], minlength=4)
        assert np.abs(counts - length * np.array(shares)).max() <= max(1.5, length / ROUND_PLAYS)


def test_turns_go_on_from_list_to_list() -> None:
    shares = [0.6, 0.4]
    assert [turns(shares, play, 30)[0] for play in range(200)] == turns(shares, 0, 200)
    assert turns([1.0], 3, 4) == [0, 0, 0, 0]
