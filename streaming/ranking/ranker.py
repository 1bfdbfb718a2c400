"""Ranks the candidate pool into a listener's list, with reasons. No Spark, no I/O.

A candidate's score is the L2 norm of its attraction by liked tracks, less that of its repulsion by rejected ones. The list is
taken from the pool by maximal marginal relevance with an artist cap; tracks that were heard lately are excluded, and some ranks
explore.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from batch.index.lsh import Rows
from streaming.profile.profile import NEUTRAL_ADVENTURE, Opinion, Profile
from streaming.ranking.candidate_pool import candidate_pool, excluded_rows, random_rows
from streaming.ranking.mmr import ScoredPool, lists_at_a_time, rerank
from streaming.ranking.neighbour_cache import CachedIndex, Points
from streaming.ranking.user_vector import UserVector, l2_norm, user_vector

if TYPE_CHECKING:
    from conf.settings import Taste

MOST_REASON_TRACKS = 3
EXPLORATION_RANKS = (5, 12, 18, 24)
EXPLORATION_DRAWN_TRACKS = 64
EXPLORATION_REASON = "Something else, to explore"
MOST_DIVERSITY = 0.9
LEAST_REASON_SHARE = 0.05
"""Of the attraction by the strongest liked track; weaker ones are no reason."""


class Item(NamedTuple):
    """One item of a list.

    score : similarity to what is liked, less similarity to what is rejected
    because : ids of the liked tracks that attract it most, strongest first
    explore : whether it was drawn at random
    parts : terms of score and rank, by name
    percentile : share of all tracks that are less attracted, 0 to 100; None where nothing is liked
    """

    track_id: str
    rank: int
    score: float
    reason: str
    because: list[str]
    explore: bool
    parts: dict[str, float]
    percentile: float | None

    def document(self) -> dict[str, Any]:
        """The item in a list's document; without `percentile` where that is None."""
        document = self._asdict()
        if self.percentile is None:
            del document["percentile"]
        return document


@dataclass(frozen=True)
class ListRequest:
    """A list to make.  muted : rows that it must not have"""

    profile: Profile
    user_vector: UserVector
    muted: Rows


@dataclass(frozen=True)
class _Scored:
    """The n candidates of a list.

    excluded : rows that must not come
    attractions : by each liked track [shape=(liked, n)]
    attraction : L2 norm of `attractions` [shape=(n,)]
    repulsion : the same of the rejected tracks, times `taste.rejection` [shape=(n,)]
    draw : source of all randomness in the list
    """

    request: ListRequest
    rows: Rows
    points: Points
    excluded: Rows
    attractions: NDArray[np.floating]
    attraction: NDArray[np.floating]
    repulsion: NDArray[np.floating]
    draw: np.random.Generator

    @property
    def adventure_factor(self) -> float:
        """Multiplies diversity and exploration of the settings, 0 to 2."""
        return self.request.profile.adventure / NEUTRAL_ADVENTURE


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
    A list is only empty where all tracks are muted; where all were heard lately, those that are not disliked come back.
    """
    new_listener_rows = index.rows_of(new_listener_ids)
    new_listener_rows = new_listener_rows[new_listener_rows >= 0]
    made = []
    step = lists_at_a_time(length)
    for start in range(0, len(requests), step):
        scored = [
            _scored(request, index, new_listener_rows, length, taste) for request in requests[start : start + step]
        ]
        chosen = rerank([_pool(each, index, taste) for each in scored], length, taste.artist_cap)
        made += [
            _items(each, positions, penalties, index, length, taste)
            for each, (positions, penalties) in zip(scored, chosen, strict=True)
        ]
    return made


def _scored(request: ListRequest, index: CachedIndex, new_listener_rows: Rows, length: int, taste: Taste) -> _Scored:
    profile, vector = request.profile, request.user_vector
    draw = np.random.default_rng(_seed(profile))
    excluded = excluded_rows(profile, index, taste, request.muted)
    rows = candidate_pool(profile, vector, index, new_listener_rows, length, excluded, request.muted, draw)
    points = index.points(rows)
    attractions, repulsions = vector.attraction_and_repulsion(points)
    return _Scored(
        request,
        rows,
        points,
        excluded,
        attractions,
        l2_norm(attractions),
        taste.rejection * l2_norm(repulsions),
        draw,
    )


def _seed(profile: Profile) -> int:
    """Depends on the events counted alone, so that batching and retries do not change the list."""
    return zlib.crc32(f"{profile.user_id}\x00{profile.events_applied}".encode())


def _pool(scored: _Scored, index: CachedIndex, taste: Taste) -> ScoredPool:
    diversity = min(MOST_DIVERSITY, taste.diversity * scored.adventure_factor)
    scores = scored.attraction - scored.repulsion
    return ScoredPool(scored.points, scores, index.artists(scored.rows), diversity)


def _items(
    scored: _Scored,
    positions: Rows,
    penalties: NDArray[np.float64],
    index: CachedIndex,
    length: int,
    taste: Taste,
) -> list[Item]:
    """The list of the chosen candidates, with the exploring items inserted.

    positions : of the chosen candidates in the pool, best first
    penalties : for similarity to earlier items [shape=(positions,)]
    """
    vector = scored.request.user_vector
    exploration = round(taste.exploration * scored.adventure_factor)
    exploration_ranks = [rank for rank in EXPLORATION_RANKS if rank <= length][:exploration]
    explored = _explored(scored, positions, index, len(exploration_ranks))
    attraction, repulsion = scored.attraction[positions], scored.repulsion[positions]
    terms = zip(_rounded(attraction), _rounded(-repulsion), _rounded(-penalties), strict=True)
    ids = index.index.ids[scored.rows[positions]].tolist()
    ranks = [rank for rank in range(1, length + 1) if rank not in exploration_ranks[: len(explored)]]
    items = [
        Item(track_id, rank, score, reason, because, False, parts, percentile)
        for track_id, rank, score, (reason, because), parts, percentile in zip(
            ids,
            ranks,
            _rounded(attraction - repulsion),
            _reasons(scored.attractions[:, positions], vector),
            ({"similarity": like, "rejection": unlike, "diversity": less} for like, unlike, less in terms),
            _percentiles(attraction, vector, index),
            strict=False,
        )
    ]
    for rank, (track_id, parts) in zip(exploration_ranks, explored, strict=False):
        last_rank = min(rank, len(items) + 1)  # in a list that is too short to have the rank
        items.insert(last_rank - 1, Item(track_id, last_rank, 0.0, EXPLORATION_REASON, [], True, parts, None))
    return items


def _rounded(values: NDArray[np.floating]) -> list[float]:
    return list(np.round(values.astype(np.float64), 6).tolist())


def _percentiles(attraction: NDArray[np.floating], vector: UserVector, index: CachedIndex) -> list[float | None]:
    """`Item.percentile` of each item, estimated on the index's sample."""
    if not len(vector.rows):
        return [None] * len(attraction)
    sample = np.sort(l2_norm(vector.attraction(index.sample)))
    return [round(100 * less / len(sample), 1) for less in np.searchsorted(sample, attraction).tolist()]


def _reasons(attractions: NDArray[np.floating], vector: UserVector) -> list[tuple[str, list[str]]]:
    """(`Item.reason`, `Item.because`) of each item.  attractions : [shape=(liked, items)]"""
    strongest = np.argsort(-attractions, axis=0)[:MOST_REASON_TRACKS]
    largest = np.maximum(attractions.max(axis=0, initial=0.0), 1e-9)
    is_reason = np.take_along_axis(attractions, strongest, axis=0) > LEAST_REASON_SHARE * largest
    reasons = [
        [vector.liked[position] for position, is_strong in zip(positions, are_strong, strict=True) if is_strong]
        for positions, are_strong in zip(strongest.T.tolist(), is_reason.T.tolist(), strict=True)
    ]
    return [(_reason(opinions), [opinion.track_id for opinion in opinions]) for opinions in reasons]


def _reason(opinions: list[Opinion]) -> str:
    if not opinions:
        return "A way into your library"
    first = opinions[0]
    action = "you liked" if first.verdict == "like" else "you want more of" if first.wish == "more" else "you played"
    if len(opinions) == 1 or not opinions[1].title:
        return f"Because {action} “{first.title}”"
    return f"Because {action} “{first.title}”, also like “{opinions[1].title}”"


def _explored(scored: _Scored, positions: Rows, index: CachedIndex, most: int) -> list[tuple[str, dict[str, float]]]:
    """(track id, parts) of up to `most` random tracks from outside of the pool: the least rejected of those drawn.

    By artists that the list does not have. Where the pool is the whole library, from the candidates that were not chosen: of
    these the half that is attracted least.

    positions : of the chosen candidates in the pool
    """
    chosen, vector = scored.rows[positions], scored.request.user_vector
    if not len(chosen) or not most:
        return []
    pool_and_excluded = np.concatenate([scored.rows, scored.excluded])
    rows = random_rows(index, pool_and_excluded, EXPLORATION_DRAWN_TRACKS, scored.draw)
    if len(rows) < most:
        rest = np.setdiff1d(scored.rows, np.concatenate([chosen, scored.excluded, rows]))
        attraction = l2_norm(vector.attraction(index.points(rest)))
        least = rest[np.lexsort((rest, attraction))][: max(most, len(rest) // 2)]
        rows = np.concatenate([rows, scored.draw.permutation(least)])
    artists = index.artists(rows).tolist()
    listed_artists = set(index.artists(chosen).tolist()) - {-1}
    attractions, repulsions = vector.attraction_and_repulsion(index.points(rows))
    attraction, repulsion = l2_norm(attractions), l2_norm(repulsions)
    explored: list[tuple[str, dict[str, float]]] = []
    for drawn in np.argsort(np.round(repulsion, 3), kind="stable").tolist():
        if len(explored) == most:
            break
        if artists[drawn] in listed_artists:
            continue
        if artists[drawn] >= 0:
            listed_artists.add(artists[drawn])
        parts = {"similarity": round(float(attraction[drawn]), 6), "rejection": round(-float(repulsion[drawn]), 6)}
        explored.append((str(index.index.ids[int(rows[drawn])]), parts))
    return explored
