"""Choosing hashes, bands and bucket length on made points."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from batch.index.hash_tables import bands
from batch.index.tuning import (
    TARGET_RECALL,
    Banding,
    Quality,
    cheapest,
    default_banding,
    drawn,
    exact,
    grid,
    narrowest,
    pareto,
    quality,
    sample,
)

D = 12


def points(n: int = 800) -> np.ndarray:
    rng = np.random.default_rng(2)
    return (rng.normal(0, 2, (20, D))[np.arange(n) % 20] + rng.normal(0, 0.7, (n, D))).astype(np.float32)


def space(banding: Banding, width: float = 1.0):  # noqa: ANN201
    return drawn(banding, np.eye(D, dtype=np.float32), width, seed=3)


def test_exact_search_is_what_sorting_all_distances_gives() -> None:
    some = points(150)
    expected = np.argsort(np.square(some[:70, None] - some).sum(axis=2), axis=1, kind="stable")[:, :20]
    assert (exact(some, some[:70], 20) == expected).mean() > 0.999
    assert exact(some[:3], some[:2], 3).shape == (2, 3)


def test_the_narrowest_bucket_length_that_reaches_the_target_is_found() -> None:
    some = points()
    known = sample(some)
    chosen, _, met = narrowest(some, space(Banding(6, 16, D)), known, spread=2.0)
    assert met.recall >= TARGET_RECALL and met.width == chosen.width
    narrower = space(Banding(6, 16, D), chosen.width * 0.8)
    narrower = type(narrower)(**{**vars(chosen), "width": chosen.width * 0.8})
    worse = quality(some, narrower, bands(some, narrower), known)
    assert worse.recall < TARGET_RECALL + 0.02 and worse.candidates < met.candidates


def test_where_nothing_reaches_the_target_the_best_recall_seen_is_kept() -> None:
    some = points(300)
    seen: list[Quality] = []
    chosen, hashed, met = narrowest(some, space(Banding(14, 1, D)), sample(some), 0.02, seen)
    assert max(one.recall for one in seen) == met.recall < TARGET_RECALL
    assert chosen.width == met.width and len(hashed.keys) == 1
    assert max(one.width for one in seen) == pytest.approx(0.02 * 12.8), "the widest was tried"


def test_with_a_limit_all_widths_are_looked_through_since_wider_may_find_less() -> None:
    some = points(1500)
    known = sample(some)
    seen: list[Quality] = []
    _, _, met = narrowest(some, space(Banding(3, 6, D, limit=25)), known, 2.0, seen)
    recall = [one.recall for one in sorted(seen, key=lambda one: one.width)]
    assert max(np.diff(recall)) > 0 > min(np.diff(recall)), "it rises and falls again"
    assert met.recall == max(recall) and met.width < max(one.width for one in seen)


def test_with_a_limit_that_does_no_harm_the_narrowest_that_reaches_the_target_is_taken() -> None:
    some = points()
    known = sample(some)
    free = narrowest(some, space(Banding(6, 16, D)), known, 2.0)[2]
    limited = narrowest(some, space(Banding(6, 16, D, limit=790)), known, 2.0)[2]
    assert limited.recall >= TARGET_RECALL and 0.8 < limited.width / free.width < 1.25


def test_probes_reach_the_target_with_fewer_candidates_a_lookup() -> None:
    some = points()
    known = sample(some)
    without = narrowest(some, space(Banding(8, 8, D)), known, 2.0)[2]
    probed = narrowest(some, space(Banding(8, 8, D, probes=4)), known, 2.0)[2]
    assert probed.width < without.width and probed.largest_bucket < without.largest_bucket


def test_the_cheapest_that_reaches_the_target_is_taken_and_pareto_shows_what_none_beats() -> None:
    figures = [(0.96, 0.05, 900), (0.97, 0.05, 700), (0.99, 0.2, 2000), (0.90, 0.01, 100), (0.89, 0.02, 90)]
    rows = [
        {**asdict(Banding(hashes=at + 1)), "recall": recall, "candidates": share, "cost_us": cost}
        for at, (recall, share, cost) in enumerate(figures)
    ]
    assert cheapest(rows).hashes == 2
    assert pareto(rows).tolist() == [False, True, True, True, False]
    assert cheapest(rows[3:]).hashes == 4, "where none reaches it, the one with the best recall"


def test_every_banding_of_the_grid_is_another_and_defaults_are_sound() -> None:
    assert len(set(grid(100_000))) == len(grid(100_000)) > 70
    assert all(banding.limit < 100 for banding in grid(500))
    for tracks in (2, 5000, 100_000, 1_000_000):
        assert default_banding(tracks).bands * default_banding(tracks).hashes <= 64 * 22
