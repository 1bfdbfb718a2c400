"""Maximal marginal relevance by turns, with an artist cap, for many lists at a time. No Spark, no I/O.

Carbonell & Goldstein (SIGIR 1998). Each place of a list belongs to a group, whose values it is taken by. Each of a list's thirty
choices is a few operations on small arrays, where numpy's call overhead dominates; so the lists of a micro-batch are vectorised
over, place by place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streaming.ranking.neighbour_cache import Points, similarity

ARTIST_CAP_WINDOW_ITEMS = 10
"""The artist cap holds in any run of so many items, tracks heard just before the list included."""
ARTIST_REST_ITEMS = 3
"""An artist rests for so many items, while others are as near."""
CAPPED_ARTIST_PENALTY = 20.0
"""Taken from the value of a candidate whose artist is capped: it comes after all that is not on the rejected side or resting."""
RESTED_ARTIST_PENALTY = 6.0
"""Taken from the value of a candidate whose artist was heard just before: a near track still comes before what is not liked."""
NO_ARTIST = -2
_RESTING_DIGIT = 2 * ARTIST_CAP_WINDOW_ITEMS
MOST_SIMILARITIES = 1 << 18
"""Elements of the similarity matrices of lists taken together: what fits into the processor's cache."""


@dataclass(frozen=True)
class Candidates:
    """The n candidates of one list.

    points : n
    values : tier, and place within it, for each group of the listener's taste [shape=(groups, n)]
    diversity : weight of similarity to earlier items, 0 to 1
    artists : codes, -1 for none [shape=(n,) or, where tracks have several, (n, artists)]
    order : the group that each place belongs to
    earlier_artists : of the tracks heard last, latest last, likewise
    earlier_similarity : the largest similarity to a track heard just before [shape=(n,)]
    """

    points: Points
    values: NDArray[np.float64]
    diversity: float
    artists: NDArray[np.int32]
    order: Sequence[int]
    earlier_artists: Sequence[int] | NDArray[np.int32]
    earlier_similarity: NDArray[np.float32]


def lists_at_a_time(width: int) -> int:
    """How many lists with `width` candidates to choose in one call."""
    return max(1, MOST_SIMILARITIES // max(1, width) ** 2)


def choose(
    requests: Sequence[Candidates], length: int, artist_cap: int
) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """For each list: (positions of up to `length` chosen candidates, in order; their penalties for similarity).

    At most `artist_cap` of an artist in any ARTIST_CAP_WINDOW_ITEMS, unless all that is left is capped or should not come.
    """
    if not requests:
        return []
    width = max(len(request.artists) for request in requests)
    groups = max(len(request.values) for request in requests)
    lists = len(requests)
    values = np.full((lists, groups, width), -np.inf)
    artists_of = [np.atleast_2d(request.artists.T).T for request in requests]
    most_artists = max(1, *(codes.shape[1] for codes in artists_of))
    artists = np.full((lists, width, most_artists), -1, dtype=np.int32)
    similarities = np.zeros((lists, width, width), dtype=np.float32)
    order = np.zeros((lists, length), dtype=np.int64)
    earlier = np.full((lists, ARTIST_CAP_WINDOW_ITEMS - 1, most_artists), -1, dtype=np.int32)
    largest = np.zeros((lists, width), dtype=np.float32)
    for row, request in enumerate(requests):
        n = len(request.artists)
        values[row, : len(request.values), :n] = request.values
        artists[row, :n, : artists_of[row].shape[1]] = artists_of[row]
        order[row] = request.order
        latest = np.asarray(request.earlier_artists, dtype=np.int32)[-earlier.shape[1] :]
        if len(latest):
            latest = latest.reshape(len(latest), -1)
            earlier[row, -len(latest) :, : latest.shape[1]] = latest
        largest[row, :n] = request.diversity * request.earlier_similarity
        if request.diversity:
            # List by list: the last digit of a matrix product depends on its shape, and a list must not depend on the others.
            similarities[row, :n, :n] = similarity(request.points, request.points)
            similarities[row] *= np.float32(request.diversity)
    chosen, penalties = _chosen(values, similarities, artists, order, earlier, largest, artist_cap)
    lengths = (chosen >= 0).sum(axis=1).tolist()
    return [(chosen[row, :n], penalties[row, :n]) for row, n in enumerate(lengths)]


def _chosen(
    values: NDArray[np.float64],
    similarities: NDArray[np.float32],
    artists: NDArray[np.int32],
    order: NDArray[np.int64],
    earlier: NDArray[np.int32],
    largest: NDArray[np.float32],
    artist_cap: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(column of each list's choice, -1 where none is left; its penalty) [shape=(lists, places)].

    values : -inf where there is no candidate [shape=(lists, groups, n)]
    similarities : times the list's diversity [shape=(lists, n, n)]
    order : [shape=(lists, places)]
    artists : codes of each candidate's artists [shape=(lists, n, artists)]
    earlier : artists of the tracks heard before [shape=(lists, window - 1, artists)]
    largest : the largest of these to an item chosen or heard before [shape=(lists, n)]
    """
    lists, _, n = values.shape
    each_list = np.arange(lists)
    places = min(order.shape[1], n)
    window = earlier.shape[1]
    names = np.where(artists >= 0, artists, NO_ARTIST)  # so that no two candidates without one are of one artist
    is_by = [_is_by(names, earlier[:, position]) for position in range(window)]
    in_window = np.sum(is_by, axis=0, dtype=np.int64)
    # Items of each of the candidate's artists among the latest ones, as a digit each: in the window, and while it rests.
    latest_items: NDArray[np.int64] = np.asarray(
        in_window + _RESTING_DIGIT * np.sum(is_by[-ARTIST_REST_ITEMS:], axis=0, dtype=np.int64)
    )
    penalty_by_items = _artist_penalties(artist_cap)
    by_place = values[each_list[:, None], order[:, :places]]
    chosen = np.full((lists, places), -1, dtype=np.int64)
    penalties = np.zeros((lists, places))
    for place in range(places):
        value = by_place[:, place] - largest
        value -= _largest_of_artists(penalty_by_items[latest_items])
        column = value.argmax(axis=1)
        is_candidate = value[each_list, column] > -np.inf
        chosen[:, place] = np.where(is_candidate, column, -1)
        penalties[:, place] = largest[each_list, column]
        by_place[each_list, :, column] = -np.inf
        np.maximum(largest, similarities[each_list, column], out=largest)
        is_by.append(_is_by(names, np.where(is_candidate[:, None], artists[each_list, column], -1)))
        np.add(latest_items, 1 + _RESTING_DIGIT, out=latest_items, where=is_by[-1])
        np.subtract(latest_items, 1, out=latest_items, where=is_by[place])
        np.subtract(latest_items, _RESTING_DIGIT, out=latest_items, where=is_by[-1 - ARTIST_REST_ITEMS])
    return chosen, penalties


def _artist_penalties(artist_cap: int) -> NDArray[np.float64]:
    """What is taken from a candidate's value, by `latest_items`."""
    resting, in_window = np.divmod(np.arange(_RESTING_DIGIT * (ARTIST_REST_ITEMS + 2)), _RESTING_DIGIT)
    return CAPPED_ARTIST_PENALTY * (in_window >= artist_cap) + RESTED_ARTIST_PENALTY * (resting > 0)


def _is_by(names: NDArray[np.int32], artists: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether each artist of each candidate is one of an item's [shape=(lists, n, artists)].

    names : of the candidates [shape=(lists, n, artists)];  artists : of one item of each list [shape=(lists, artists)]
    """
    if names.shape[2] == 1:
        return np.asarray(names == artists[:, None])
    is_same: Any = names[..., None] == artists[:, None, None]
    return np.asarray(is_same.any(axis=3))


def _largest_of_artists(penalties: NDArray[np.float64]) -> NDArray[np.float64]:
    """[shape=(lists, n)] of [shape=(lists, n, artists)]."""
    return np.asarray(penalties[..., 0] if penalties.shape[2] == 1 else penalties.max(axis=2))
