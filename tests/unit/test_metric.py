"""The space that is learned: whitening and discriminants on made tracks, kept only where they hold on other artists."""

from __future__ import annotations

import numpy as np
import pytest

from batch.index import hubness
from batch.index.exact import normalised_precision, rankings, scaled
from batch.index.projection import to_unit
from batch.library.labels import Tags, tags
from batch.model.metric_learning import learned

D = 20


def library(genres: int, noise: float = 6.0, tracks: int = 240, artists: int = 40) -> tuple[np.ndarray, Tags]:
    """Two dimensions tell the genre, three vary wildly within each album, the rest is noise; an artist has two albums."""
    rng = np.random.default_rng(3)
    artist = np.arange(tracks) % artists
    genre = artist % max(genres, 1)
    album = np.arange(tracks) // artists % 2
    points = rng.normal(0, 1, (tracks, D))
    corners = rng.normal(0, 1.5, (max(genres, 1), 2))
    points[:, :2] += corners[genre]
    points[:, 2:5] *= noise
    named = tags(
        [f"artist {a}" for a in artist],
        [f"artist {a} album {b}" for a, b in zip(artist, album, strict=True)],
        [f"genre {g}" if genres else None for g in genre],
    )
    return ((points - points.mean(0)) / points.std(0).mean()).astype(np.float32), named


def precision(points: np.ndarray, named: Tags) -> float:
    apart = scaled(to_unit(points))
    apart[named.same_origin()] = np.inf
    return normalised_precision(rankings(apart), named.genre, named.genre, 10)


def test_genres_that_can_be_told_are_learned_and_judged_on_other_artists() -> None:
    points, named = library(genres=4)
    kept = learned(points, named)
    assert kept.name in ("genre", "both")
    judged = {one.name: one for one in kept.judged}
    assert judged["plain"].gain == 0.0
    gain = judged[kept.name].gain
    assert gain is not None and gain > 0.05
    assert kept.matrix is not None and precision(points @ kept.matrix, named) > precision(points, named) + 0.05


def test_genres_that_mean_nothing_are_not_learned() -> None:
    points, named = library(genres=4)
    shuffled = np.random.default_rng(1).permutation(40)
    nothing = Tags(named.artist, named.album, (shuffled[named.artist] % 4).astype(np.int32), named.same_album)
    assert learned(np.random.default_rng(2).normal(0, 1, points.shape).astype(np.float32), nothing).name in (
        "plain",
        "album",
    )


def test_albums_alone_give_a_whitening_that_shrinks_what_varies_within_them() -> None:
    points, named = library(genres=0)
    kept = learned(points, named)
    assert kept.name == "album" and all(one.normalised_precision is None for one in kept.judged)
    spread = (points @ kept.matrix).std(axis=0)
    before = points.std(axis=0)
    assert spread[2:5].mean() / spread[5:].mean() < 0.6 * before[2:5].mean() / before[5:].mean()


def test_a_library_without_labels_has_the_plain_space() -> None:
    points, _ = library(genres=0)
    kept = learned(points, tags([None] * 240, ["Unknown album"] * 240, [""] * 240))
    assert (kept.name, kept.matrix, kept.judged) == ("plain", None, ())


@pytest.mark.parametrize("genres", [["Folk"] * 240, ["Folk"] * 239 + ["Techno"], ["Folk", "Techno"] + [None] * 238])
def test_one_genre_or_one_track_of_a_genre_is_nothing_to_learn_from(genres: list[str | None]) -> None:
    points, _ = library(genres=0)
    assert learned(points, tags([f"artist {at % 30}" for at in range(240)], [None] * 240, genres)).name in (
        "plain",
        "album",
    )


@pytest.mark.parametrize("points", [np.zeros((80, D)), np.ones((2, D)), np.eye(80, D)])
def test_equal_few_or_degenerate_points_are_no_error(points: np.ndarray) -> None:
    n = len(points)
    named = tags(
        [f"artist {at % 20}" for at in range(n)],
        [f"a {at % 20}" for at in range(n)],
        [f"g {at % 20 % 2}" for at in range(n)],
    )
    kept = learned(points.astype(np.float32), named)
    assert kept.matrix is None or np.isfinite(kept.matrix).all()


def test_neighbours_by_the_same_artist_or_album_do_not_count() -> None:
    named = tags(["a", "a", "b", "c"], ["x", "y", "x", "z"], ["g", "g", "g", "h"])
    assert named.same_origin().tolist() == [
        [True, True, True, False],
        [True, True, False, False],
        [True, False, True, False],
        [False, False, False, True],
    ]
    apart = np.array([[0, 1, 2, 3], [1, 0, 2, 3], [2, 1, 0, 3], [1, 2, 3, 0]], dtype=np.float32)
    apart[named.same_origin()] = np.inf
    # only the second and third tracks have another artist's of their genre to find, and do
    assert normalised_precision(rankings(apart), named.genre, named.genre, 1) == 1.0
    assert named.same_origin(np.array([2])).tolist() == [[True, False, True, False]]


def test_what_is_held_out_together_is_an_artist_or_an_album_or_the_track_alone() -> None:
    origin = tags(["a", "A", None, None, None, None], ["x", "y", "z", "z", None, None], [None] * 6).origin()
    assert origin[0] == origin[1] and origin[2] == origin[3]
    assert len(set(origin.tolist())) == 4 and (origin >= 0).all()


def test_hubs_orphans_and_reach() -> None:
    lists = np.array([[1, 2], [0, 2], [0, 1], [0, 1]])
    counts = hubness.occurrences(lists, 4)
    assert counts.tolist() == [3, 3, 2, 0]
    assert hubness.skewness(np.array([2, 2, 2])) == 0.0
    assert hubness.skewness(np.array([0, 0, 0, 0, 10])) > 1 > 0 > hubness.skewness(np.array([0, 10, 10, 10, 10]))
    assert hubness.reachable(lists, 4) == 0.75
