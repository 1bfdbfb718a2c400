"""Choice of hash parameters and bucket length on generated points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from batch.index.exact import exact_neighbours
from batch.index.hash_tables import HashTables
from batch.index.projection import Projection
from batch.index.tuning import (
    TARGET_CANDIDATE_RECALL,
    HashParameters,
    HashQuality,
    cheapest_parameters,
    default_parameters,
    hash_quality,
    parameter_grid,
    pareto_front,
    random_projection,
    shortest_buckets,
    sweep_row,
    tuning_sample,
)

D = 12


def points(n: int = 800) -> np.ndarray:
    rng = np.random.default_rng(2)
    return (rng.normal(0, 2, (20, D))[np.arange(n) % 20] + rng.normal(0, 0.7, (n, D))).astype(np.float32)


def projection(parameters: HashParameters, bucket_length: float = 1.0) -> Projection:
    return random_projection(parameters, np.eye(D, dtype=np.float32), bucket_length, seed=3)


def test_exact_search_is_what_sorting_all_distances_gives() -> None:
    tracks = points(150)
    expected = np.argsort(np.square(tracks[:70, None] - tracks).sum(axis=2), axis=1, kind="stable")[:, :20]
    assert (exact_neighbours(tracks, tracks[:70], 20) == expected).mean() > 0.999
    assert exact_neighbours(tracks[:3], tracks[:2], 3).shape == (2, 3)


def test_the_shortest_bucket_length_that_reaches_the_target_is_found() -> None:
    tracks = points()
    sample = tuning_sample(tracks)
    chosen, _, quality = shortest_buckets(tracks, projection(HashParameters(6, 16, D)), sample, projection_rms=2.0)
    assert quality.recall >= TARGET_CANDIDATE_RECALL and quality.bucket_length == chosen.bucket_length
    shorter = replace(chosen, bucket_length=chosen.bucket_length * 0.8)
    worse = hash_quality(tracks, shorter, HashTables.build(tracks, shorter), sample)
    assert worse.recall < TARGET_CANDIDATE_RECALL + 0.02 and worse.candidate_share < quality.candidate_share


def test_where_nothing_reaches_the_target_the_best_recall_is_kept() -> None:
    tracks = points(300)
    tried: list[HashQuality] = []
    chosen, tables, quality = shortest_buckets(
        tracks, projection(HashParameters(14, 1, D)), tuning_sample(tracks), 0.02, tried
    )
    assert max(each.recall for each in tried) == quality.recall < TARGET_CANDIDATE_RECALL
    assert chosen.bucket_length == quality.bucket_length and len(tables.keys) == 1
    assert max(each.bucket_length for each in tried) == pytest.approx(0.02 * 12.8), "the longest was tried"


def test_with_a_limit_all_lengths_are_scanned_since_a_longer_one_may_find_less() -> None:
    tracks = points(1500)
    sample = tuning_sample(tracks)
    tried: list[HashQuality] = []
    _, _, quality = shortest_buckets(tracks, projection(HashParameters(3, 6, D, bucket_limit=25)), sample, 2.0, tried)
    recall = [each.recall for each in sorted(tried, key=lambda each: each.bucket_length)]
    assert max(np.diff(recall)) > 0 > min(np.diff(recall)), "it rises and falls again"
    assert quality.recall == max(recall) and quality.bucket_length < max(each.bucket_length for each in tried)


def test_with_a_limit_that_does_no_harm_the_shortest_that_reaches_the_target_is_taken() -> None:
    tracks = points()
    sample = tuning_sample(tracks)
    free = shortest_buckets(tracks, projection(HashParameters(6, 16, D)), sample, 2.0)[2]
    limited = shortest_buckets(tracks, projection(HashParameters(6, 16, D, bucket_limit=790)), sample, 2.0)[2]
    assert limited.recall >= TARGET_CANDIDATE_RECALL and 0.8 < limited.bucket_length / free.bucket_length < 1.25


def test_probes_reach_the_target_with_fewer_candidates_a_lookup() -> None:
    tracks = points()
    sample = tuning_sample(tracks)
    without = shortest_buckets(tracks, projection(HashParameters(8, 8, D)), sample, 2.0)[2]
    probed = shortest_buckets(tracks, projection(HashParameters(8, 8, D, probes=4)), sample, 2.0)[2]
    assert probed.bucket_length < without.bucket_length and probed.largest_bucket_share < without.largest_bucket_share


def test_the_cheapest_that_reaches_the_target_is_chosen_and_the_pareto_front_is_what_none_beats() -> None:
    figures = [(0.96, 0.05, 900), (0.97, 0.05, 700), (0.99, 0.2, 2000), (0.90, 0.01, 100), (0.89, 0.02, 90)]
    rows = [
        {**HashParameters(hashes=number).document(), "recall": recall, "candidates": share, "cost_us": cost}
        for number, (recall, share, cost) in enumerate(figures, start=1)
    ]
    assert cheapest_parameters(rows).hashes == 2
    assert pareto_front(rows).tolist() == [False, True, True, True, False]
    assert cheapest_parameters(rows[3:]).hashes == 4, "where none reaches it, the one with the best recall"


def test_all_parameters_of_the_grid_differ_and_defaults_are_sound() -> None:
    assert len(set(parameter_grid(100_000))) == len(parameter_grid(100_000)) > 70
    assert all(parameters.bucket_limit < 100 for parameters in parameter_grid(500))
    for tracks in (2, 5000, 100_000, 1_000_000):
        assert default_parameters(tracks).tables * default_parameters(tracks).hashes <= 64 * 22


def test_parameters_are_stored_under_the_names_of_earlier_versions() -> None:
    parameters = HashParameters(10, 32, 24, probes=2, bucket_limit=256, min_collisions=3)
    document = {"hashes": 10, "bands": 32, "components": 24, "probes": 2, "limit": 256, "shared": 3}
    assert parameters.document() == document
    assert HashParameters.from_document({**document, "bucket_length": 0.4, "seed": 20}) == parameters
    assert HashParameters.from_document({"hashes": 8, "bands": 4}) == HashParameters(8, 4), "defaults for the others"
    quality = HashQuality(0.4, 0.97, 0.02, 0.0, 0.01, 300.0)
    measured = {"width": 0.4, "recall": 0.97, "candidates": 0.02, "short": 0.0, "largest_bucket": 0.01, "cost_us": 300}
    assert sweep_row(parameters, quality) == {**document, **measured}
