"""Ranks the candidate pool into a listener's list, with reasons. No Spark, no I/O.

Each place of a list belongs to a group of the listener's taste: one of the interests, the latest session, exploration. Turns give
each group its due share, whatever the client plays of the list. A place takes the candidate with the best value for its group, by
maximal marginal relevance with an artist cap that counts what was heard just before.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from batch.index.lsh import Rows
from streaming.profile.profile import NEUTRAL_ADVENTURE, Profile
from streaming.ranking.attraction import attraction, scale, wish_pull
from streaming.ranking.candidate_pool import Past, allowed, candidate_pool, is_heard_last, past, state_of
from streaming.ranking.exploration import drawn_rows, explored_positions
from streaming.ranking.mmr import ARTIST_CAP_WINDOW_ITEMS, Candidates, choose, lists_at_a_time
from streaming.ranking.neighbour_cache import CachedIndex, Points, similarity, sorted_unique
from streaming.ranking.reasons import LIKED, WANTED, Selection, items
from streaming.ranking.reasons import Item as Item
from streaming.ranking.tiers import NEAR_TIER, State, values
from streaming.ranking.turns import turns
from streaming.ranking.user_vector import UserVector, user_vector

if TYPE_CHECKING:
    from conf.settings import Taste

SESSION_SHARE = 1 / 3
"""Due share of what was liked in the latest session, of the places that do not explore."""
MOST_FAMILIAR_SHARE = 0.5
"""Due share of liked tracks that have rested, at adventure 0."""
FAMILIAR_REST_SHARE = 0.25
"""Share of `taste.heard_again_after_hours` after which a liked track may come back below adventure 0.5."""
MOST_REACH = 0.6
"""Share of a group's nearest tracks that comes after the others at adventure 1."""
MOST_DIVERSITY = 0.9
CANDIDATES_PER_PLACE = 2
SPARE_CANDIDATES = 6
EARLIER_TRACKS = 8
"""Tracks heard last, to which the first items should not be too similar."""
NOT_THIS_GROUP = -100.0
LIKED_RELEVANCE = 0.9
"""Share of its group's strongest attraction that a liked track has which was never heard: a like is no hearing."""
WISH_STEP = 3.0
"""What a word that more is wished of adds at most to a candidate's value, and one that less is wished of takes: a track near to
what is liked still comes before one that only has the word."""


@dataclass(frozen=True)
class ListRequest:
    """A list to make.

    muted : rows that it must not have
    rows : what to take it from, one of each recording; None: `candidate_pool`
    """

    profile: Profile
    user_vector: UserVector
    muted: Rows
    rows: Rows | None = None


@dataclass(frozen=True)
class _Prepared:
    """A list before its places are taken: what explains its items, and what `choose` takes them from."""

    selection: Selection
    candidates: Candidates


def ranked_list(
    profile: Profile,
    index: CachedIndex,
    new_listener_ids: Sequence[str],
    length: int,
    taste: Taste,
    muted: Rows | None = None,
) -> list[Item]:
    """The list of one listener; see `ranked_lists`."""
    rows = np.empty(0, dtype=np.int64) if muted is None else muted
    request = ListRequest(profile, user_vector(profile, index, taste), rows)
    return ranked_lists([request], index, new_listener_ids, length, taste)[0]


def ranked_lists(
    requests: Sequence[ListRequest], index: CachedIndex, new_listener_ids: Sequence[str], length: int, taste: Taste
) -> list[list[Item]]:
    """The requested lists, in the order of the requests.

    new_listener_ids : track ids of the list for new listeners, whose tracks are candidates for all
    A list is only empty where all tracks are muted or disliked; where all were heard, those heard longest ago come first.
    """
    new_listener_rows = index.rows_of(new_listener_ids)
    new_listener_rows = new_listener_rows[new_listener_rows >= 0]
    prepared = [_prepared(request, index, new_listener_rows, length, taste) for request in requests]
    made = []
    start = 0
    while start < len(prepared):
        step = lists_at_a_time(max(len(each.selection.rows) for each in prepared[start : start + 32]))
        together = prepared[start : start + step]
        chosen = choose([each.candidates for each in together], length, taste.artist_cap)
        made += [items(each.selection, index, *choice) for each, choice in zip(together, chosen, strict=True)]
        start += step
    return made


def _prepared(
    request: ListRequest, index: CachedIndex, new_listener_rows: Rows, length: int, taste: Taste
) -> _Prepared:
    profile, vector = request.profile, request.user_vector
    rng = np.random.default_rng(zlib.crc32(f"{profile.user_id}\x00{profile.plays}".encode()))
    history = past(profile, index, taste, request.muted)
    limits = scale(vector, index, taste.rejection)
    familiar = vector.rows[:0]
    if request.rows is None:
        familiar = _familiar_rows(profile, vector, index, history, taste)
    adventure = profile.adventure / NEUTRAL_ADVENTURE  # 0 to 2
    explore_share = min(0.5, adventure * taste.exploration / length)
    most_explored = ceil(explore_share * length)
    lottery = drawn_rows(profile, index, history, familiar) if most_explored else familiar[:0]
    pool = request.rows
    if pool is None:
        pool = candidate_pool(profile, vector, index, history, new_listener_rows, length, rng)
        is_unheard = history.last_heard(index.recordings(vector.rows)) == 0
        if is_unheard.any():
            pool = allowed(np.concatenate([pool, vector.rows[is_unheard]]), index, history)
    pool = pool[~np.isin(index.recordings(pool), index.recordings(np.concatenate([familiar, lottery])))]
    rows = np.concatenate([pool, familiar, lottery])
    first_familiar, first_of_lottery = len(pool), len(pool) + len(familiar)
    is_familiar, is_explored = np.zeros((2, len(rows)), dtype=bool)
    is_familiar[first_familiar:first_of_lottery] = True
    points, artists = index.points(rows), index.artists(rows)
    drawn = attraction(vector, rows, points, index, taste.rejection)
    pull = wish_pull(profile, rows, index)
    may_explore = first_of_lottery + np.flatnonzero(pull[first_of_lottery:] >= 0)
    is_explored[
        may_explore[explored_positions(drawn.take(may_explore), limits, artists[may_explore], most_explored)]
    ] = True
    net = drawn.net
    is_near = (drawn.by_group >= limits.near_group[:, None]) & (net > 0)
    state = state_of(rows, profile, index, history, new_listener_rows, taste)
    own_reasons = np.full(len(rows), "", dtype=f"U{max(len(LIKED), len(WANTED))}")
    for position, candidates_of_track in _unheard_liked(vector, rows, state, index):
        is_liked = profile.verdict(vector.liked_ids[position]) == "like"
        own_reasons[candidates_of_track] = LIKED if is_liked else WANTED
        of_groups = np.ix_(np.flatnonzero(vector.membership[:, position]), candidates_of_track)
        is_near[of_groups] = True
        net[of_groups] = np.maximum(net[of_groups], LIKED_RELEVANCE * net[of_groups[0][:, 0]].max(axis=1)[:, None])
    is_rejected = (drawn.repulsion >= limits.repulsion) & (drawn.repulsion > 0)
    # The root tells a little repulsion from none: similarities fall off exponentially.
    repelled = np.minimum(1.0, drawn.repulsion / max(limits.most_repulsion, 1e-12)) ** 0.25
    reach = MOST_REACH * max(0.0, adventure - 1)
    groups = len(vector.groups)
    if groups:
        by_group = values(net, is_near, is_rejected, repelled, state, taste.shown_patience, reach)
    else:
        nothing = np.zeros((1, len(rows)))
        by_group = values(
            nothing - drawn.repulsion, nothing > 0, is_rejected, repelled, state, taste.shown_patience, reach
        )
    by_group += WISH_STEP * pull
    best = by_group.max(axis=0)
    by_group[:, is_familiar | is_explored] = NOT_THIS_GROUP
    shares = _shares(vector, max(1, groups))
    extra: list[NDArray[np.float64]] = []
    if len(familiar) and adventure < 1:
        familiar_share = MOST_FAMILIAR_SHARE * (1 - adventure)
        shares = [share * (1 - familiar_share) for share in shares] + [familiar_share]
        extra.append(
            np.where(is_familiar, NEAR_TIER + 2 + state.longest_first, np.where(is_explored, NOT_THIS_GROUP, best))
        )
    if is_explored.any():
        shares = [share * (1 - explore_share) for share in shares] + [explore_share]
        announced = NEAR_TIER + 2 - np.cumsum(is_explored) / 100
        extra.append(np.where(is_explored, announced, np.where(is_familiar, NOT_THIS_GROUP, best)))
    all_values = np.vstack([by_group, *extra])
    order = turns(shares, profile.plays, length)
    shortlist = _shortlist(all_values, order, artists, taste.artist_cap, length)
    diversity = min(MOST_DIVERSITY, taste.diversity * adventure)
    earlier = history.rows_latest_first[:EARLIER_TRACKS]
    heard_just_before = history.rows_latest_first[: ARTIST_CAP_WINDOW_ITEMS - 1][::-1]
    candidates = Candidates(
        points.take(shortlist),
        all_values[:, shortlist],
        diversity,
        index.artists_of_each(rows[shortlist]),
        order,
        index.artists_of_each(heard_just_before),
        _largest_similarity(points.take(shortlist), index.points(earlier)),
    )
    selection = Selection(
        profile,
        vector,
        rows[shortlist],
        drawn.take(shortlist),
        limits,
        state.take(shortlist),
        is_near[:, shortlist],
        is_explored[shortlist],
        is_familiar[shortlist],
        pull[shortlist] > 0,
        own_reasons[shortlist],
        np.array(order),
    )
    return _Prepared(selection, candidates)


def _unheard_liked(
    vector: UserVector, rows: Rows, state: State, index: CachedIndex
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(position among the liked tracks, positions of its recording among the candidates) of liked tracks never heard."""
    recordings = np.where(state.heard_at == 0, index.recordings(rows), -1)
    liked = index.recordings(vector.rows)
    for position in np.flatnonzero(np.isin(liked, recordings)).tolist():
        yield position, np.flatnonzero(recordings == liked[position])


def _shares(vector: UserVector, groups: int) -> list[float]:
    """Due shares of the user vector's groups: a third for the latest session, the rest for the interests."""
    if not vector.interests:
        return [1.0 / groups] * groups
    interests = [interest.share for interest in vector.interests]
    if not len(vector.session):
        return interests
    return [(1 - SESSION_SHARE) * share for share in interests] + [SESSION_SHARE]


def _familiar_rows(profile: Profile, vector: UserVector, index: CachedIndex, history: Past, taste: Taste) -> Rows:
    """Rows of liked tracks that have rested for who asks for familiar ones, without the one heard last; none from the neutral
    adventure on."""
    if profile.adventure >= NEUTRAL_ADVENTURE or not len(vector.rows):
        return np.empty(0, dtype=np.int64)
    heard_at = history.last_heard(index.recordings(vector.rows))
    rest_s = FAMILIAR_REST_SHARE * 3600 * taste.heard_again_after_hours
    has_rested = (heard_at > 0) & (heard_at <= profile.latest_at - rest_s)
    rows = allowed(vector.rows[has_rested], index, history)
    return rows[~is_heard_last(rows, profile, index)]


def _largest_similarity(points: Points, earlier: Points) -> NDArray[np.float32]:
    if not len(earlier):
        return np.zeros(len(points), dtype=np.float32)
    return np.asarray(similarity(points, earlier).max(axis=1), dtype=np.float32)


def _shortlist(
    all_values: NDArray[np.float64], order: Sequence[int], artists: NDArray[np.int32], artist_cap: int, length: int
) -> NDArray[np.int64]:
    """Positions of the candidates that places may choose from: the best of each group, of no artist more than a list can have."""
    n = all_values.shape[1]
    if n <= SPARE_CANDIDATES + CANDIDATES_PER_PLACE * length:
        return np.arange(n)
    of_artist = artist_cap * (length // ARTIST_CAP_WINDOW_ITEMS + 1)
    counts = np.bincount(order, minlength=len(all_values))
    turning = np.flatnonzero(counts)
    best = np.argsort(-all_values[turning], axis=1, kind="stable")
    names = artists[best]
    by_artist = np.argsort(names, axis=1, kind="stable")
    ordered = np.take_along_axis(names, by_artist, axis=1)
    places = np.arange(n)
    begins = np.append(np.ones((len(turning), 1), dtype=bool), ordered[:, 1:] != ordered[:, :-1], axis=1)
    rank_of_artist = np.empty_like(best)
    np.put_along_axis(
        rank_of_artist, by_artist, places - np.maximum.accumulate(np.where(begins, places, 0), axis=1), axis=1
    )
    can_be_listed = (names < 0) | (rank_of_artist < of_artist)
    most = CANDIDATES_PER_PLACE * counts[turning, None] + SPARE_CANDIDATES
    shortlist = sorted_unique(best[can_be_listed & (np.cumsum(can_be_listed, axis=1) <= most)])
    if len(shortlist) < length:
        rest = np.setdiff1d(np.argsort(-all_values.max(axis=0), kind="stable"), shortlist, assume_unique=True)
        shortlist = np.sort(np.concatenate([shortlist, rest[: length - len(shortlist)]]))
    return shortlist
