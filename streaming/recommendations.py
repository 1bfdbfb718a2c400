"""Taste meets the index: a ranked list with reasons. Numbers only.

Every liked track asks the LSH index for its neighbours; a candidate's score is how like it is to what was liked, less how
like it is to what was skipped. Nothing heard lately, few of one artist, a few slots to explore.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from batch.index import Index, Rows, distances
from streaming.taste import Opinion, Profile

if TYPE_CHECKING:
    from conf.settings import Taste

LIKED = 20
REJECTED = 20
NEIGHBOURS = 60
BECAUSE = 3
TOGETHER = 10
"""The artist cap holds in any run of this many items."""
EXPLORED_RANKS = (5, 12, 18, 24)


@dataclass(frozen=True)
class Item:
    """One place in a list. `because`: the heard tracks behind it, strongest first."""

    track_id: str
    rank: int
    score: float
    reason: str
    because: list[str] = field(default_factory=list)
    explore: bool = False

    def document(self) -> dict[str, Any]:
        return dict(vars(self))


def items(profile: Profile, index: Index, opening: list[str], most: int, taste: Taste) -> list[Item]:
    """The listener's list.

    opening : track ids of the list for everyone, which fills what the taste leaves open
    Never empty while the index has a track: where all was heard lately, all but the disliked comes back.
    """
    now = profile.latest_at
    weights = {opinion.track_id: opinion.weight(now, taste) for opinion in profile.opinions}
    by_weight = sorted(profile.opinions, key=lambda opinion: (-weights[opinion.track_id], opinion.track_id))
    liked = _known([o for o in by_weight if weights[o.track_id] > 0][:LIKED], index)
    rejected = _known([o for o in reversed(by_weight) if weights[o.track_id] < 0][:REJECTED], index)

    barred = _barred(profile, index, now, taste)
    pool = _pool(liked, index)
    spare = index.rows_of(opening)
    pool = pool[~np.isin(pool, barred)]
    spare = spare[(spare >= 0) & ~np.isin(spare, pool) & ~np.isin(spare, barred)]
    rows = np.concatenate([pool, spare])
    if len(rows) < most:
        rest = np.setdiff1d(np.arange(len(index)), np.concatenate([rows, barred]))
        rows = np.concatenate([rows, rest])
    if not len(rows):
        rows = _heard_again(profile, index)

    attraction, shares = _likeness(rows, liked, weights, index)
    repulsion, _ = _likeness(rows, rejected, weights, index)
    score = attraction - taste.rejection * repulsion
    # Ties, as for a listener who has only skipped so far, keep the order of the opening list.
    ranked = np.lexsort((np.arange(len(rows)), -score))
    chosen = _capped(ranked, index.artists[rows], most, taste.artist_cap)
    listed = [_item(rows[at], float(score[at]), shares[:, at], liked, index) for at in chosen]
    listed = _with_explored(listed, rows[ranked], barred, profile, index, taste)
    return [Item(**{**vars(item), "rank": rank}) for rank, item in enumerate(listed[:most], start=1)]


_Heard = list[tuple[Opinion, int]]


def _known(opinions: list[Opinion], index: Index) -> _Heard:
    """The opinions whose tracks the index has, with their rows."""
    rows = index.rows_of([opinion.track_id for opinion in opinions])
    return [(opinion, int(row)) for opinion, row in zip(opinions, rows, strict=True) if row >= 0]


def _barred(profile: Profile, index: Index, now: float, taste: Taste) -> Rows:
    """Rows of tracks heard, liked or skipped lately, or disliked."""
    since = now - taste.heard_again_after_hours * 3600
    ids = [o.track_id for o in profile.opinions if o.touched_at > since or o.verdict == "dislike"]
    rows = index.rows_of(ids)
    return np.unique(rows[rows >= 0])


def _heard_again(profile: Profile, index: Index) -> Rows:
    """All tracks but the disliked ones; those too where there is nothing else."""
    disliked = index.rows_of([opinion.track_id for opinion in profile.opinions if opinion.verdict == "dislike"])
    fine = np.setdiff1d(np.arange(len(index)), disliked)
    return fine if len(fine) else np.arange(len(index))


def _pool(liked: _Heard, index: Index) -> Rows:
    if not liked:
        return np.empty(0, dtype=np.int64)
    points = index.vectors[[row for _, row in liked]]
    return np.unique(np.concatenate([near for near, _ in index.neighbours(points, NEIGHBOURS)]))


def _likeness(
    rows: Rows, heard: _Heard, weights: dict[str, float], index: Index
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How like each row is to the heard tracks: (one value a row, what each heard track [first axis] adds to it).

    The root of the sum of squares lies between the strongest match and the sum of all: two interests do not drown in
    each other, and agreement still counts.
    """
    if not heard:
        return np.zeros(len(rows)), np.zeros((0, len(rows)))
    shares = np.stack(
        [
            abs(weights[opinion.track_id])
            * index.similarity(float(index.scales[row]), rows, distances(index.vectors[row], index.vectors[rows]))
            for opinion, row in heard
        ]
    ).astype(np.float64)
    return np.sqrt(np.square(shares).sum(axis=0)), shares


def _capped(ranked: NDArray[np.int64], artists: NDArray[np.int32], most: int, cap: int) -> list[int]:
    """The best positions in order, at most `cap` of one artist in any ten; what the cap keeps out comes at the end."""
    chosen: list[int] = []
    waiting = [int(at) for at in ranked]
    while waiting and len(chosen) < most:
        recent = [int(artists[at]) for at in chosen[-(TOGETHER - 1) :]]
        fits = (at for at in waiting if artists[at] < 0 or recent.count(int(artists[at])) < cap)
        at = next(fits, waiting[0])
        chosen.append(at)
        waiting.remove(at)
    return chosen


def _item(row: int, score: float, shares: NDArray[np.float64], liked: _Heard, index: Index) -> Item:
    strongest = [at for at in np.argsort(-shares)[:BECAUSE] if shares[at] > 0.05 * max(1e-9, float(shares.max()))]
    heard = [liked[at][0] for at in strongest]
    return Item(str(index.ids[row]), 0, round(score, 6), _reason(heard), [opinion.track_id for opinion in heard])


def _reason(heard: list[Opinion]) -> str:
    if not heard:
        return "A way into your library"
    did = "liked" if heard[0].verdict == "like" else "played"
    if len(heard) == 1 or not heard[1].title:
        return f"Because you {did} “{heard[0].title}”"
    return f"Because you {did} “{heard[0].title}”, also like “{heard[1].title}”"


def _with_explored(
    listed: list[Item], ranked: Rows, barred: Rows, profile: Profile, index: Index, taste: Taste
) -> list[Item]:
    """The list with a few tracks from elsewhere in the library, drawn by user and generation so that a replay draws the same."""
    seed = zlib.crc32(f"{profile.user_id}\x00{profile.generation}".encode())
    elsewhere = np.setdiff1d(np.arange(len(index)), np.concatenate([ranked, barred]))
    if not len(elsewhere) or not listed:
        return listed
    drawn = np.random.default_rng(seed).permutation(elsewhere)[: taste.exploration]
    mixed = list(listed)
    for place, row in zip(EXPLORED_RANKS, drawn, strict=False):
        mixed.insert(place - 1, Item(str(index.ids[row]), 0, 0.0, "Something else, to explore", explore=True))
    return mixed
