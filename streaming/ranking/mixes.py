"""Named lists beside "For you": a mix for each interest, "Discover" and "Rediscover". No Spark, no I/O.

mix-1 … mix-5  tracks near to one interest, the interest with the largest share first; a track is in one of them at most
discover       tracks never heard, by artists never heard, chosen once an ISO week
rediscover     liked tracks that have rested, those heard longest ago first
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from batch.index.lsh import Rows
from streaming.documents import DISCOVER, MOST_MIXES, REDISCOVER
from streaming.profile.profile import DAY_S, VERDICT, VERDICT_AT, Profile
from streaming.profile.weights import stated_values
from streaming.ranking import reasons
from streaming.ranking.attraction import NEAREST_SHARE, attraction, l2_norm
from streaming.ranking.candidate_pool import Past, allowed, candidate_pool, past
from streaming.ranking.interests import Interest
from streaming.ranking.neighbour_cache import CachedIndex, similarity
from streaming.ranking.ranker import Item, ListRequest, ranked_lists
from streaming.ranking.user_vector import UserVector

if TYPE_CHECKING:
    from conf.settings import Taste

FEWEST_TRACKS = 5
"""A list of fewer tracks is none."""
FEWEST_LIKED_TRACKS = 3
"""Before, too little is known for a "Discover" that stays for a week."""
DISCOVER_ROWS_PER_INTEREST = 200
NAMED_TRACKS = 2
"""Tracks that a mix's reason names."""
NEW_ARTIST = "By an artist you have not heard"
UNHEARD = "You have not heard it yet"
DISCOVER_REASON = "Never heard, by artists new to you. A new list every week."
_NOT_NEAR = (reasons.FURTHER, reasons.START, reasons.NEW, reasons.LITTLE_LEFT)


@dataclass(frozen=True)
class NamedList:
    """A list with a name of `streaming.documents.LIST_NAMES`.  reason : what all its items have in common"""

    name: str
    title: str
    reason: str
    items: list[Item]

    def document(self) -> dict[str, Any]:
        """The list in a document of `mixes`."""
        items = [item.document() for item in self.items]
        return {"name": self.name, "title": self.title, "reason": self.reason, "items": items}


@dataclass(frozen=True)
class MixRequest:
    """The named lists of one listener.

    muted : rows that they must not have
    discovered : track ids of this week's "Discover" (`discoveries`)
    artists : names by track id, of the medoids of the interests
    """

    profile: Profile
    user_vector: UserVector
    muted: Rows
    discovered: Sequence[str] = ()
    artists: Mapping[str, str] = field(default_factory=dict)


def week_of(when: float) -> str:
    """The ISO week in UTC, as `2026-W48`.  when : seconds since 1970"""
    year, week, _ = datetime.fromtimestamp(when, UTC).isocalendar()
    return f"{year}-W{week:02d}"


def discoveries(requests: Sequence[ListRequest], index: CachedIndex, length: int, taste: Taste) -> list[list[str]]:
    """For each request the ids of a new "Discover", best first; empty where FEWEST_TRACKS are not found, or
    FEWEST_LIKED_TRACKS not liked.

    Nearest to the interests, each by its due share, one track an artist where there are enough artists.
    """
    taste = taste.model_copy(update={"exploration": 0, "artist_cap": 1})
    with_rows = [replace(request, rows=_new_rows(request, index, taste)) for request in requests]
    lists = _ranked(with_rows, index, length, taste)
    ids_by_list = [[item.track_id for item in items if item.score > 0] for items in lists]
    return [ids if len(ids) >= FEWEST_TRACKS else [] for ids in ids_by_list]


def named_lists(requests: Sequence[MixRequest], index: CachedIndex, length: int, taste: Taste) -> list[list[NamedList]]:
    """The named lists of each request, in the order of LIST_NAMES; those with fewer than FEWEST_TRACKS are left out."""
    taste = taste.model_copy(update={"exploration": 0})
    pasts = [past(request.profile, index, taste, request.muted) for request in requests]
    mix_requests = [
        each
        for request, history in zip(requests, pasts, strict=True)
        for each in _mix_requests(request, index, history, length)
    ]
    discover_requests = [
        ListRequest(request.profile, request.user_vector, request.muted, _still_unheard(request, index, history))
        for request, history in zip(requests, pasts, strict=True)
    ]
    mixes = iter(_ranked(mix_requests, index, length, taste))
    discovers = _ranked(discover_requests, index, length, taste)
    made = []
    for request, history, discover in zip(requests, pasts, discovers, strict=True):
        lists = [
            *_mixes(request, mixes),
            _discover(request, discover, index, history),
            _rediscover(request, index, history, length, taste),
        ]
        made.append([each for each in lists if len(each.items) >= FEWEST_TRACKS])
    return made


def _ranked(requests: Sequence[ListRequest], index: CachedIndex, length: int, taste: Taste) -> list[list[Item]]:
    """The lists of the requests; empty where there is nothing to take them from."""
    possible = [request for request in requests if request.rows is None or len(request.rows)]
    lists = iter(ranked_lists(possible, index, (), length, taste))
    return [next(lists) if request.rows is None or len(request.rows) else [] for request in requests]


def _of_interest(vector: UserVector, interest: Interest) -> UserVector:
    """The user vector of a listener who only has this interest."""
    members = np.array(interest.members, dtype=np.int64)
    alone = replace(
        interest, share=1.0, members=tuple(range(len(members))), medoid=interest.members.index(interest.medoid)
    )
    return replace(
        vector,
        liked_ids=[vector.liked_ids[member] for member in interest.members],
        rows=vector.rows[members],
        points=vector.points.take(members),
        weights=vector.weights[members],
        touched_at=vector.touched_at[members],
        interests=[alone],
        session=vector.session[:0],
    )


def _mix_requests(request: MixRequest, index: CachedIndex, history: Past, length: int) -> list[ListRequest]:
    """The requests for the mix of each interest; those have no track in common, nor two of one recording.

    Interests may lie close to each other. A track belongs to the one with the liked track that is most similar to it.
    """
    profile, vector = request.profile, request.user_vector
    of_interests = [_of_interest(vector, interest) for interest in vector.interests[:MOST_MIXES]]
    none = index.rows_of([])
    rng = np.random.default_rng(profile.plays)
    pools = [candidate_pool(profile, each, index, history, none, length, rng) for each in of_interests]
    rows = allowed(np.concatenate([none, *pools]), index, history)
    points = index.points(rows)
    nearness = [similarity(each.points, points).max(axis=0) for each in of_interests]
    owner = np.argmax(nearness, axis=0) if nearness else none
    return [
        ListRequest(profile, each, request.muted, rows[owner == number]) for number, each in enumerate(of_interests)
    ]


def _mixes(request: MixRequest, lists: Iterator[list[Item]]) -> Iterator[NamedList]:
    """The mix of each interest.  lists : those of the interests, of which so many are taken"""
    for number, interest in enumerate(request.user_vector.interests[:MOST_MIXES], start=1):
        items = [item for item in next(lists) if _is_near(item)]
        ids = [request.user_vector.liked_ids[position] for position in (interest.medoid, *interest.members)]
        title, reason = _mix_texts(list(dict.fromkeys(ids)), number, request)
        yield NamedList(f"mix-{number}", title, reason, _renumbered(items))


def _is_near(item: Item) -> bool:
    """Whether an item is among the nearest of all tracks to its interest, and has rested where it was heard."""
    percentile = 0.0 if item.percentile is None else item.percentile
    return item.reason not in _NOT_NEAR and item.score > 0 and percentile >= 100 * (1 - NEAREST_SHARE)


def _mix_texts(ids: Sequence[str], number: int, request: MixRequest) -> tuple[str, str]:
    """(title, reason) of a mix.  ids : of the interest's tracks, the medoid first"""
    titles = request.profile.titles
    medoid, artist = titles.get(ids[0], ""), request.artists.get(ids[0], "")
    title = f"Like “{medoid}”{f' by {artist}' if artist else ''}" if medoid else f"Mix {number}"
    named = [f"“{titles[each]}”" for each in ids if titles.get(each)][:NAMED_TRACKS]
    others = len(ids) - len(named)
    if not named:
        return title, reasons.CLOSE
    parts = [*named, *([f"{others} more of your tracks"] if others else [])]
    return title, f"Near to {' and '.join(filter(None, [', '.join(parts[:-1]), parts[-1]]))}"


def _new_rows(request: ListRequest, index: CachedIndex, taste: Taste) -> Rows:
    """The tracks nearest to each interest that were never heard, by artists never heard."""
    history = past(request.profile, index, taste, request.muted)
    heard_artists = np.unique(index.artists(history.rows_latest_first))
    parts = [request.user_vector.rows[:0]]
    is_known = len(request.user_vector.rows) >= FEWEST_LIKED_TRACKS
    for interest in request.user_vector.interests if is_known else ():
        rows = index.wide_neighbours(int(request.user_vector.rows[interest.medoid]))
        artists = index.artists(rows)
        is_new = (artists >= 0) & ~np.isin(artists, heard_artists)
        parts.append(_unheard(rows[is_new], index, history)[:DISCOVER_ROWS_PER_INTEREST])
    return allowed(np.concatenate(parts), index, history)


def _still_unheard(request: MixRequest, index: CachedIndex, history: Past) -> Rows:
    """Rows of this week's "Discover" that were not heard since, and are neither disliked nor muted."""
    rows = index.rows_of(request.discovered)
    return allowed(_unheard(rows[rows >= 0], index, history), index, history)


def _unheard(rows: Rows, index: CachedIndex, history: Past) -> Rows:
    return rows[history.last_heard(index.recordings(rows)) == 0]


def _discover(request: MixRequest, items: Sequence[Item], index: CachedIndex, history: Past) -> NamedList:
    """ "Discover" in the order in which it was chosen.  items : its tracks, ranked again"""
    heard_artists = set(index.artists(history.rows_latest_first).tolist())
    place_by_id = {track_id: place for place, track_id in enumerate(request.discovered)}
    in_order = sorted(items, key=lambda item: place_by_id[item.track_id])
    artists = index.artists(index.rows_of([item.track_id for item in in_order])).tolist()
    with_reasons = [
        item if item.because else item._replace(reason=UNHEARD if artist in heard_artists else NEW_ARTIST)
        for item, artist in zip(in_order, artists, strict=True)
    ]
    return NamedList(DISCOVER, "Discover", DISCOVER_REASON, _renumbered(with_reasons))


def _rediscover(request: MixRequest, index: CachedIndex, history: Past, length: int, taste: Taste) -> NamedList:
    """Liked tracks that have rested for `taste.heard_again_after_hours`, a day at least, those heard longest ago first.

    A liked track that was never heard has rested since it was liked.
    """
    profile, vector = request.profile, request.user_vector
    rest_s = max(DAY_S, 3600 * taste.heard_again_after_hours)
    verdicts = profile.verdicts
    is_liked = (verdicts.column(VERDICT) > 0) & (stated_values(verdicts.values, profile.latest_at, taste) > 0)
    positions = np.flatnonzero(is_liked)
    rows = index.rows_of([verdicts.ids[position] for position in positions.tolist()])
    positions, rows = positions[rows >= 0], rows[rows >= 0]
    heard_at = history.last_heard(index.recordings(rows))
    rests_since = np.where(heard_at > 0, heard_at, verdicts.column(VERDICT_AT)[positions])
    is_chosen = (rests_since <= profile.latest_at - rest_s) & np.isin(rows, allowed(rows, index, history))
    longest_first = np.flatnonzero(is_chosen)
    longest_first = longest_first[np.lexsort((rows[longest_first], rests_since[longest_first]))][:length]
    rows, rests_since = rows[longest_first], rests_since[longest_first]
    drawn = attraction(vector, rows, index.points(rows), index, taste.rejection)
    items = [
        _rested_item(str(track_id), rank, similarity, repulsion, profile.latest_at - since)
        for rank, (track_id, similarity, repulsion, since) in enumerate(
            zip(
                index.index.ids[rows].tolist(),
                l2_norm(drawn.by_track).tolist(),
                drawn.repulsion.tolist(),
                rests_since.tolist(),
                strict=True,
            ),
            start=1,
        )
    ]
    return NamedList(REDISCOVER, "Rediscover", f"You liked them. {reasons.rested_text(rest_s)} or longer.", items)


def _rested_item(track_id: str, rank: int, similarity: float, repulsion: float, age_s: float) -> Item:
    parts = {"similarity": round(similarity, 6), "rejection": -round(repulsion, 6)}
    score = round(parts["similarity"] + parts["rejection"], 6)
    return Item(track_id, rank, score, reasons.rested_text(age_s), [], False, parts, None)


def _renumbered(items: Sequence[Item]) -> list[Item]:
    return [item._replace(rank=rank) for rank, item in enumerate(items, start=1)]
