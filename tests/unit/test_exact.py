"""Exact distances, recall and precision on a few points whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from batch.index.exact import (
    exact_neighbours,
    locally_scaled_distances,
    normalised_precision,
    precision,
    rankings,
    recall,
    squared_distances,
)
from batch.library.labels import normalised, spellings

POINTS = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]], dtype=np.float32)


def test_squared_distances_of_all_pairs_and_to_other_points() -> None:
    assert squared_distances(POINTS).tolist() == [[0, 25, 1], [25, 0, 18], [1, 18, 0]]
    assert squared_distances(POINTS[:1], POINTS).tolist() == [[0, 25, 1]]
    assert (np.diag(locally_scaled_distances(POINTS)) == 0).all()


def test_the_nearest_come_first_and_infinite_distances_are_left_out() -> None:
    assert exact_neighbours(POINTS, POINTS[:1], 2).tolist() == [[0, 2]]
    ranked = rankings(np.array([[np.inf, 2.0, 1.0], [1.0, np.inf, np.inf]]))
    assert [rows.tolist() for rows in ranked] == [[2, 1], [0]]


def test_recall_is_the_share_of_the_true_neighbours_in_the_answer() -> None:
    assert recall([np.array([1, 2, 3]), np.array([], dtype=int)], [np.array([1, 9]), np.array([5])]) == 0.25


def test_precision_is_hits_by_ten_and_a_neighbour_without_a_genre_is_a_miss() -> None:
    genre = np.array([0, 0, 1, -1, 0], dtype=np.int32)
    ranked = [np.array([1, 3, 2, 4]), np.array([0]), np.array([0, 1]), np.array([0, 1])]
    # two hits of ten, one, none; the last query has no genre
    assert precision(ranked, genre[:4], genre, 10) == pytest.approx((0.2 + 0.1 + 0) / 3)
    # of the possible hits: 1 and 1; the third query has none
    assert normalised_precision(ranked, genre[:4], genre, 10) == 1.0
    assert np.isnan(precision(ranked[3:], genre[3:4], genre, 10))


def test_a_random_ranking_hits_as_often_as_the_genre_is_frequent() -> None:
    rng = np.random.default_rng(4)
    genre = (np.arange(400) % 4).astype(np.int32)
    ranked = [rng.permutation(400)[:50] for _ in range(400)]
    assert precision(ranked, genre, genre, 10) == pytest.approx(0.25, abs=0.02)


def test_a_genre_is_spelt_as_most_do_and_one_that_says_nothing_is_none() -> None:
    assert spellings(["rock", "Rock", "ROCK ", "Rock", None, "Unknown", "hip  hop"]) == {
        "rock": "Rock",
        "hip hop": "hip hop",
    }
    assert [normalised(one) for one in ("ROCK ", "Unknown", " ", None)] == ["rock", "", "", ""]
