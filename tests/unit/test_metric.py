"""Metric learning: whitening and discriminants on generated tracks, kept only where they generalise to other artists."""

from __future__ import annotations

import numpy as np
import pytest

from batch.index import hubness
from batch.index.exact import locally_scaled_distances, normalised_precision, rankings
from batch.index.projection import ROWS_AT_ONCE, to_unit
from batch.library.labels import TrackLabels, track_labels
from batch.model.blocks import column_scales
from batch.model.metric.choice import BLOCK_WEIGHTS, learned_metric
from batch.model.metric.learning import (
    ALBUM_POWER,
    ALBUM_POWER_IN_BLOCKS,
    ALBUM_SHRINKAGE,
    BlockScaling,
    album_metric,
    learners,
)

D = 20


def library(genres: int, noise: float = 6.0, count: int = 240, artists: int = 40) -> tuple[np.ndarray, TrackLabels]:
    """Two dimensions tell the genre, three vary wildly within each album, the rest is noise; an artist has two albums."""
    rng = np.random.default_rng(3)
    artist = np.arange(count) % artists
    genre = artist % max(genres, 1)
    album = np.arange(count) // artists % 2
    points = rng.normal(0, 1, (count, D))
    corners = rng.normal(0, 1.5, (max(genres, 1), 2))
    points[:, :2] += corners[genre]
    points[:, 2:5] *= noise
    tracks = track_labels(
        [f"artist {a}" for a in artist],
        [f"artist {a} album {b}" for a, b in zip(artist, album, strict=True)],
        [f"genre {g}" if genres else None for g in genre],
    )
    return ((points - points.mean(0)) / points.std(0).mean()).astype(np.float32), tracks


def precision(points: np.ndarray, tracks: TrackLabels) -> float:
    distance = locally_scaled_distances(to_unit(points))
    distance[tracks.same_artist_or_album()] = np.inf
    return normalised_precision(rankings(distance), tracks.genre, tracks.genre, 10)


def test_genres_that_can_be_told_are_learned_and_judged_on_other_artists() -> None:
    points, tracks = library(genres=4)
    metric = learned_metric(points, tracks)
    assert metric.name in ("genre", "both")
    score_by_name = {score.name: score for score in metric.scores}
    assert score_by_name["plain"].gain == 0.0
    gain = score_by_name[metric.name].gain
    assert gain is not None and gain > 0.05
    assert metric.matrix is not None and precision(points @ metric.matrix, tracks) > precision(points, tracks) + 0.05


def test_genres_that_mean_nothing_are_not_learned() -> None:
    points, tracks = library(genres=4)
    shuffled = np.random.default_rng(1).permutation(40)
    nothing = TrackLabels(
        tracks.artist, tracks.album, (shuffled[tracks.artist] % 4).astype(np.int32), tracks.album_title
    )
    assert learned_metric(np.random.default_rng(2).normal(0, 1, points.shape).astype(np.float32), nothing).name in (
        "plain",
        "album",
    )


def test_albums_alone_give_a_whitening_that_shrinks_what_varies_within_them() -> None:
    points, tracks = library(genres=0)
    metric = learned_metric(points, tracks)
    assert metric.name == "album" and all(score.normalised_precision is None for score in metric.scores)
    spread = (points @ metric.matrix).std(axis=0)
    before = points.std(axis=0)
    assert spread[2:5].mean() / spread[5:].mean() < 0.6 * before[2:5].mean() / before[5:].mean()


def test_albums_that_suffice_in_the_library_may_be_fewer_in_the_parts_that_score_them() -> None:
    points, _ = library(genres=0, count=60, artists=15)
    albums = [f"album {row // 4}" if row < 56 else None for row in range(60)]
    metric = learned_metric(points, track_labels(albums, albums, [None] * 60))
    assert metric.name == "album" and [score.name for score in metric.scores] == ["plain", "album"]


def test_a_library_without_labels_has_the_plain_metric() -> None:
    points, _ = library(genres=0)
    metric = learned_metric(points, track_labels([None] * 240, ["Unknown album"] * 240, [""] * 240))
    assert (metric.name, metric.matrix, metric.scores) == ("plain", None, ())


@pytest.mark.parametrize("genres", [["Folk"] * 240, ["Folk"] * 239 + ["Techno"], ["Folk", "Techno"] + [None] * 238])
def test_one_genre_or_one_track_of_a_genre_is_nothing_to_learn_from(genres: list[str | None]) -> None:
    points, _ = library(genres=0)
    assert learned_metric(
        points, track_labels([f"artist {row % 30}" for row in range(240)], [None] * 240, genres)
    ).name in (
        "plain",
        "album",
    )


@pytest.mark.parametrize("points", [np.zeros((80, D)), np.ones((2, D)), np.eye(80, D)])
def test_equal_few_or_degenerate_points_are_no_error(points: np.ndarray) -> None:
    n = len(points)
    tracks = track_labels(
        [f"artist {row % 20}" for row in range(n)],
        [f"a {row % 20}" for row in range(n)],
        [f"g {row % 20 % 2}" for row in range(n)],
    )
    metric = learned_metric(points.astype(np.float32), tracks)
    assert metric.matrix is None or np.isfinite(metric.matrix).all()


def test_neighbours_by_the_same_artist_or_album_do_not_count() -> None:
    tracks = track_labels(["a", "a", "b", "c"], ["x", "y", "x", "z"], ["g", "g", "g", "h"])
    assert tracks.same_artist_or_album().tolist() == [
        [True, True, True, False],
        [True, True, False, False],
        [True, False, True, False],
        [False, False, False, True],
    ]
    distance = np.array([[0, 1, 2, 3], [1, 0, 2, 3], [2, 1, 0, 3], [1, 2, 3, 0]], dtype=np.float32)
    distance[tracks.same_artist_or_album()] = np.inf
    # only the second and third track have one of their genre by another artist, and it is their nearest
    assert normalised_precision(rankings(distance), tracks.genre, tracks.genre, 1) == 1.0
    assert tracks.same_artist_or_album(np.array([2])).tolist() == [[True, False, True, False]]


def test_split_groups_are_an_artist_or_an_album_or_the_track_alone() -> None:
    groups = track_labels(
        ["a", "A", None, None, None, None], ["x", "y", "z", "z", None, None], [None] * 6
    ).split_groups()
    assert groups[0] == groups[1] and groups[2] == groups[3]
    assert len(set(groups.tolist())) == 4 and (groups >= 0).all()


def test_hubs_orphans_and_reach() -> None:
    lists = np.array([[1, 2], [0, 2], [0, 1], [0, 1]])
    counts = hubness.k_occurrences(lists, 4)
    assert counts.tolist() == [3, 3, 2, 0]
    assert hubness.skewness(np.array([2, 2, 2])) == 0.0
    assert hubness.skewness(np.array([0, 0, 0, 0, 10])) > 1 > 0 > hubness.skewness(np.array([0, 10, 10, 10, 10]))
    assert hubness.reachable_share(lists, 4) == 0.75


def two_blocks(telling_first: bool, genres: int = 4) -> tuple[np.ndarray, TrackLabels]:
    """One block of the library's features, which tell the genre, and one of noise that is thirty times as long."""
    points, tracks = library(genres)
    noise = np.random.default_rng(5).normal(0, 30, (len(points), 30)).astype(np.float32)
    return np.hstack([points, noise] if telling_first else [noise, points]), tracks


@pytest.mark.parametrize("telling_first", [True, False])
def test_a_block_that_tells_less_weighs_less(telling_first: bool) -> None:
    points, tracks = two_blocks(telling_first)
    lengths = (D, 30) if telling_first else (30, D)
    metric = learned_metric(points, tracks, lengths)
    telling, noise = metric.weights if telling_first else reversed(metric.weights)
    assert telling > noise and metric.matrix is not None
    assert {score.weights for score in metric.scores} == set(BLOCK_WEIGHTS), "all weights are in the manifest"
    embedding_alone = next(score for score in metric.scores if score.weights == (0.0, 1.0))
    assert embedding_alone.gain is not None and (embedding_alone.gain < 0) == telling_first
    left_out = BlockScaling.of(lengths, (0.0, 1.0))
    matrix = learners(lengths, (0.0, 1.0))["plain"](points, tracks)
    assert left_out is not None and matrix is not None
    assert (left_out.widths.tolist(), matrix.shape) == ([0, lengths[1]], (D + 30, lengths[1]))


def test_without_genres_both_blocks_have_one_length_whatever_their_scale() -> None:
    points, tracks = two_blocks(telling_first=True, genres=0)
    metric = learned_metric(points, tracks, (D, 30))
    assert (metric.name, metric.weights) == ("album", (1.0, 1.0)) and metric.matrix is not None
    first, second = np.split(metric.points(points), [D], axis=1)
    for block in (first, second):
        np.testing.assert_allclose(np.square(block).sum(axis=1), 0.5, rtol=1e-4)
    no_labels = track_labels([None] * 240, [None] * 240, [None] * 240)
    plain = learned_metric(points, no_labels, (D, 30))
    assert (plain.name, plain.weights, plain.scores) == ("plain", (1.0, 1.0), ())
    assert plain.matrix is not None and np.count_nonzero(plain.matrix) == D + 30, "a factor for each feature"


def test_an_embedding_keeps_the_scale_of_its_network_and_a_vector_is_standardised() -> None:
    deviation = np.array([5.0, 0.1, 3.0, 4.0], dtype=np.float32)
    scales = column_scales(deviation, (2, 2))
    np.testing.assert_allclose(scales, [1, 1, 3 / 12.5**0.5, 4 / 12.5**0.5], rtol=1e-6)
    assert column_scales(deviation, (4,)).tolist() == [1, 1, 1, 1]
    features = np.random.default_rng(4).normal(0, 1, (240, 4)).astype(np.float32)
    no_labels = track_labels([None] * 240, [None] * 240, [None] * 240)
    metric = learned_metric(features, no_labels, (2, 2), deviation)
    assert metric.matrix is not None
    np.testing.assert_allclose(metric.matrix, np.diag(scales), rtol=1e-6)
    _, tracks = library(4)
    album = learners((2, 2), (1.0, 1.0), scales)["album"](features, tracks)
    assert album is not None
    scaled = features * scales
    expected = scaled[:, 2:] @ album_metric(scaled[:, 2:], tracks, ALBUM_POWER_IN_BLOCKS)
    np.testing.assert_allclose((features @ album)[:, 2:], expected, rtol=1e-3, atol=1e-4)


def test_a_metric_of_more_rows_than_are_held_at_once_is_that_of_all_of_them() -> None:
    points, tracks = library(genres=4, count=ROWS_AT_ONCE + 100, artists=400)
    group, rows = tracks.album, points.astype(np.float64)
    means = np.stack([rows[group == album].mean(axis=0) for album in range(group.max() + 1)])
    within = (rows - means[group]).T @ (rows - means[group]) / (len(rows) - len(means))
    d = len(within)
    shrunk = (1 - ALBUM_SHRINKAGE) * within + (ALBUM_SHRINKAGE * np.trace(within) / d + 1e-6) * np.eye(d)
    values, vectors = np.linalg.eigh(shrunk)
    np.testing.assert_allclose(
        album_metric(points, tracks), (vectors * values**-ALBUM_POWER) @ vectors.T, rtol=1e-4, atol=1e-6
    )
