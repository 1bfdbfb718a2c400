"""Genre networks: artist-grouped splits, scores, and inference in numpy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from batch.model.artist_split import Score, artist_folds, learnable, oversampled, own_split
from batch.model.genre_examples import examples
from batch.model.genre_mlp import Hyperparameters
from batch.model.mlp_inference import NO_FOURIER, Ensemble, Perceptron, fitted_inputs, unflattened
from batch.registry import ModelUnusable


def test_no_artist_is_on_both_sides_and_genres_are_spread() -> None:
    rng = np.random.default_rng(1)
    artist = rng.integers(-1, 40, 300).astype(np.int32)
    genre = (np.abs(artist) % 4).astype(np.int32)
    fold = artist_folds(genre, artist, 3, seed=5)
    assert all(len(np.unique(fold[artist == code])) == 1 for code in range(40))
    shares = np.array([[np.mean(genre[fold == f] == g) for g in range(4)] for f in range(3)])
    assert np.abs(shares - shares.mean(axis=0)).max() < 0.1
    assert (artist_folds(genre, artist, 3, seed=5) == fold).all()


def test_the_librarys_own_split_counts_only_where_it_is_whole() -> None:
    whole = ["training", "validation", "test", "training"]
    assert own_split(whole).tolist() == [0, 1, 2, 0]
    assert own_split([*whole, None]) is None
    assert own_split(["training", "training"]) is None
    assert own_split([]) is None


def test_small_genres_come_more_often() -> None:
    genre = np.repeat([0, 1, 2], [100, 25, 1]).astype(np.int32)
    counts = np.bincount(genre[oversampled(genre, 1)])
    assert (counts[0], counts[2]) == (100, 5)
    assert 48 <= counts[1] <= 52


def test_scores_on_held_out_tracks() -> None:
    score = Score(("a", "b", "c"), np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), "two")
    assert score.confusion.tolist() == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert (score.tracks, score.accuracy, score.majority) == (4, 0.75, 0.75)
    assert score.recall == {"a": pytest.approx(2 / 3), "b": 1.0, "c": None}
    assert score.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2), "the genre that was not held out does not count"
    assert json.loads(json.dumps(score.document()))["how"] == "two"


def test_scores_of_no_tracks_are_zero() -> None:
    nothing = np.array([], dtype=np.int32)
    document = Score(("a", "b"), nothing, nothing, "").document()
    assert (document["macro_f1"], document["accuracy"], document["majority"]) == (0.0, 0.0, 0.0)
    assert document["confusion"] == [[0, 0], [0, 0]] and document["recall"] == {"a": None, "b": None}


def test_a_genre_that_is_only_predicted_counts_as_a_false_positive_of_none() -> None:
    score = Score(("a", "b", "c"), np.array([0, 0, 1, 1]), np.array([0, 2, 1, 2]), "")
    assert score.recall == {"a": 0.5, "b": 0.5, "c": None}
    assert score.macro_f1 == pytest.approx(2 / 3)


def ensemble() -> Ensemble:
    rng = np.random.default_rng(2)
    inputs = fitted_inputs(rng.normal(3, 2, (50, 4)), blocks=2, frequencies=6, gamma=0.5, seed=1)
    hidden = Perceptron(NO_FOURIER, unflattened([4, 3, 2], rng.normal(size=4 * 3 + 3 + 3 * 2 + 2)))
    fourier = Perceptron(1, unflattened([6, 2], rng.normal(size=6 * 2 + 2)))
    return Ensemble(inputs, (hidden, fourier), ("Folk", "Techno"))


def test_probabilities_add_up_to_one_and_survive_a_file(tmp_path: Path) -> None:
    features = np.random.default_rng(3).normal(3, 2, (5, 4))
    probabilities = ensemble().probabilities(features)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    ensemble().save(tmp_path / "genre.npz")
    opened = Ensemble.open(tmp_path / "genre.npz")
    assert opened.genres == ("Folk", "Techno")
    np.testing.assert_array_equal(opened.probabilities(features), probabilities)


def test_extreme_and_constant_features_are_no_error() -> None:
    inputs = fitted_inputs(np.array([[1.0, 5.0], [2.0, 5.0]]), 1, 4, 0.5, 1)
    standardised = inputs.standardised(np.array([[1e30, 7.0], [-1e30, -7.0]]))
    assert np.isfinite(inputs.fourier(standardised, 0)).all()
    assert np.abs(standardised[:, 0]).max() <= 1.5 + 1e-6 and (standardised[:, 1] == 0).all()


def test_examples_are_of_genres_with_three_tracks_and_keep_the_librarys_split() -> None:
    features = np.arange(16, dtype=np.float32).reshape(8, 2)
    genres = ["Rock", "Folk", "Rock", None, "Folk", "Rock", "Folk", "Jazz"]
    splits = ["training", "test", "test", None, "validation", "training", "training", None]
    learned = examples(features, genres, ["a", "b", None, "c", "B ", "d", "e", "f"], splits)
    assert learned is not None and learned.genres == ("Folk", "Rock")
    assert learned.genre.tolist() == [1, 0, 1, 0, 1, 0]
    assert learned.features[:, 0].tolist() == [0, 2, 4, 8, 10, 12]
    assert learned.artist[1] == learned.artist[3] >= 0 > learned.artist[2]
    assert learned.split is not None and learned.split.tolist() == [0, 2, 2, 1, 0, 0]
    unsplit = examples(features, genres, [None] * 8, [None, *splits[1:]])
    assert unsplit is not None and unsplit.split is None, "a split that one track lacks is none"


@pytest.mark.parametrize(
    "genres", [[None] * 6, ["Folk"] * 6, ["Folk"] * 3 + ["Rock"] * 2 + [None], ["a", "b", "c", "d", "e", "f"]]
)
def test_too_few_genres_are_nothing_to_learn_from(genres: list[str | None]) -> None:
    assert examples(np.zeros((6, 2), dtype=np.float32), genres, [None] * 6) is None


def test_spellings_of_one_genre_are_one_genre_and_unknown_is_none() -> None:
    genres = ["Rock", "rock", "ROCK ", "Folk", "Folk", "folk", "Unknown", "Unknown", "unknown", "Rock"]
    learned = examples(np.zeros((10, 2), dtype=np.float32), genres, [None] * 10)
    assert learned is not None and learned.genres == ("Folk", "Rock")
    assert learned.genre.tolist() == [1, 1, 1, 0, 0, 0, 1]


def test_a_genre_without_another_artist_to_train_on_is_not_tested() -> None:
    genre = np.array([0, 0, 1, 1, 2, 2], dtype=np.int32)
    train, test = np.array([0, 1, 2, 4]), np.array([3, 5])
    assert learnable(genre, train, test).tolist() == [3, 5]
    assert learnable(genre, np.array([0, 2, 3]), np.array([1, 4])).tolist() == [1]
    assert learnable(genre, np.array([0]), np.array([1])).tolist() == [], "one genre is nothing to tell apart"


def test_stored_hyperparameters_that_this_version_does_not_know_are_refused() -> None:
    assert Hyperparameters.read({"hidden": 8}) == Hyperparameters(8)
    with pytest.raises(
        ModelUnusable, match="unknown hyperparameters .* depth; this version knows hidden, .*train again"
    ):
        Hyperparameters.read({"hidden": 8, "depth": 3})
    with pytest.raises(ModelUnusable, match=r"as an object, got \[48\]; train again"):
        Hyperparameters.read([48])
