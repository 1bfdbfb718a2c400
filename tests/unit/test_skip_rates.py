"""Everybody's skips: what one of them counts, and that the first count stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.settings import settings
from streaming.profile.skip_rates import SKIP_COUNTS_FILE, frozen_skip_factors, skip_factors, write_skip_counts

TASTE = settings().taste.model_copy(update={"skip_rate_prior": 20.0, "skip_factor_most": 2.0})


def test_a_skip_of_what_all_skip_counts_little_and_of_what_none_skips_much() -> None:
    factors = skip_factors({"skipped": (900, 1000), "loved": (10, 1000), "usual": (455, 1000), "new": (0, 0)}, TASTE)
    assert factors["skipped"] < 0.3 < 1 < factors["loved"] <= 2.0
    assert factors["usual"] == pytest.approx(1.0, abs=0.02)
    assert factors["new"] == pytest.approx(1.0)


def test_no_factor_leaves_its_bounds() -> None:
    factors = skip_factors({"all": (10**6, 10**6), "none": (0, 10**6)}, TASTE)
    assert 0 <= factors["all"] < 0.01 < 1.99 < factors["none"] <= 2.0


def test_one_skip_says_little_of_a_track() -> None:
    assert skip_factors({"once": (1, 1), "rest": (500, 1000)}, TASTE)["once"] > 0.9


def test_the_first_count_is_kept(tmp_path: Path) -> None:
    write_skip_counts(tmp_path / SKIP_COUNTS_FILE, {"a": (9, 10)})
    write_skip_counts(tmp_path / SKIP_COUNTS_FILE, {"a": (0, 10)})
    assert frozen_skip_factors(tmp_path, TASTE) == skip_factors({"a": (9, 10)}, TASTE)
    assert list(tmp_path.iterdir()) == [tmp_path / SKIP_COUNTS_FILE]


def test_without_a_count_every_skip_counts_one(tmp_path: Path) -> None:
    assert frozen_skip_factors(tmp_path, TASTE) == {}
