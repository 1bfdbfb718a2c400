"""At most two of an artist in any ten, as long as others are there."""

from __future__ import annotations

import numpy as np

from batch.library.labels import artist_parts, artists_in, joined_artists
from batch.model.artist_cap import MIN_SCORE_RATIO, capped_ranking


def capped(artists: np.ndarray, k: int) -> np.ndarray:
    """Of tracks with equal scores."""
    return capped_ranking(artists, np.ones(len(artists)), k)


def test_a_third_track_of_an_artist_waits_until_ten_places_hold_two() -> None:
    artists = np.array([7, 7, 7, 1, 2, 3, 4, 5, 6, 8, 9, 7])
    assert capped(artists, 12).tolist() == [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 2, 11]
    assert capped(artists, 3).tolist() == [0, 1, 3]


def test_any_ten_places_hold_two_of_an_artist_at_most_where_there_are_artists_enough() -> None:
    artists = np.sort(np.random.default_rng(1).integers(0, 12, 120))
    shown = artists[capped(artists, 60)]
    assert max(np.bincount(shown[place : place + 10]).max() for place in range(51)) == 2


def test_the_cap_gives_way_when_only_capped_artists_are_left() -> None:
    assert capped(np.array([5, 5, 5, 5]), 4).tolist() == [0, 1, 2, 3]
    assert capped(np.array([5, 5, 5, 1]), 4).tolist() == [0, 1, 3, 2]


def test_tracks_without_an_artist_are_never_capped_and_an_empty_ranking_is_no_error() -> None:
    assert capped(np.full(6, -1), 10).tolist() == [0, 1, 2, 3, 4, 5]
    assert capped(np.array([], dtype=int), 10).tolist() == []


def test_each_of_a_tracks_artists_is_capped() -> None:
    artists = np.array([[7, -1], [7, 8], [8, 7], [8, -1], [9, -1], [-1, -1]])
    assert capped(artists, 6).tolist() == [0, 1, 3, 4, 5, 2]  # the third would be the third of 7


def test_artists_of_a_name_have_codes_and_placeholders_have_none() -> None:
    names = np.array(["ada", joined_artists("Ada/Bo", ["ada", "bo"]), "various artists"], dtype=np.str_)
    assert artist_parts(names).tolist() == [[0, -1], [0, 3], [-1, -1], [-1, -1]]
    assert artists_in(joined_artists("Fox/Hen", ["Fox/Hen"])) == ["Fox/Hen"]
    assert (joined_artists(None, None), artists_in(None)) == (None, [])


def test_a_track_with_a_far_lower_score_replaces_none() -> None:
    artists = np.array([5, 5, 5, 1, 2])
    near, far = MIN_SCORE_RATIO * 0.8 + 0.01, MIN_SCORE_RATIO * 0.8 - 0.01
    assert capped_ranking(artists, np.array([0.9, 0.85, 0.8, near, 0.1]), 5).tolist() == [0, 1, 3, 2, 4]
    assert capped_ranking(artists, np.array([0.9, 0.85, 0.8, far, 0.1]), 5).tolist() == [0, 1, 2, 3, 4]
