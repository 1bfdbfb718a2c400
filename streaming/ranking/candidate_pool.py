"""The candidate pool of a list: neighbours of what is liked, the list for new listeners, and random tracks. No Spark, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from batch.index.lsh import Rows
from streaming.profile.profile import Profile
from streaming.ranking.neighbour_cache import CachedIndex, sorted_unique
from streaming.ranking.user_vector import UserVector

if TYPE_CHECKING:
    from conf.settings import Taste

FEWEST_RANDOM_TRACKS = 200
"""Drawn where a pool is smaller than its list; as many as the list has places, if these are more."""


def excluded_rows(profile: Profile, index: CachedIndex, taste: Taste, muted: Rows) -> Rows:
    """Rows that the list must not have: tracks touched within `taste.heard_again_after_hours`, disliked ones, muted ones."""
    since = profile.latest_at - taste.heard_again_after_hours * 3600
    ids = [o.track_id for o in profile.opinions if o.touched_at > since or o.verdict == "dislike"]
    rows = index.rows_of(ids)
    return sorted_unique(np.concatenate([rows[rows >= 0], muted]))


def candidate_pool(
    profile: Profile,
    user_vector: UserVector,
    index: CachedIndex,
    new_listener_rows: Rows,
    length: int,
    excluded: Rows,
    muted: Rows,
    draw: np.random.Generator,
) -> Rows:
    """Rows to rank: neighbours of each medoid and of the latest liked track, then the list for new listeners.

    Random tracks are added where these are fewer than the list has places. Where all tracks are excluded, those touched lately
    come back, but neither disliked nor muted ones.

    new_listener_rows : of the list for new listeners
    length : places of the list
    excluded : see `excluded_rows`
    muted : those of the excluded that never come back
    """
    neighbours = index.neighbours(user_vector.query_rows)
    others = index.without(new_listener_rows, neighbours)
    rows = index.without(np.concatenate([neighbours, others]), excluded)
    if len(rows) < length:
        random = random_rows(index, np.concatenate([rows, excluded]), max(FEWEST_RANDOM_TRACKS, length), draw)
        rows = np.concatenate([rows, random])
    if not len(rows):
        disliked = index.rows_of([o.track_id for o in profile.opinions if o.verdict == "dislike"])
        rows = np.setdiff1d(index.present, np.concatenate([disliked, muted]))
    return rows if len(rows) else np.setdiff1d(index.present, muted)


def random_rows(index: CachedIndex, excluded: Rows, most: int, draw: np.random.Generator) -> Rows:
    """Up to `most` rows drawn from all that are not excluded."""
    if len(index) > 4 * (most + len(excluded)):  # large: drawing with duplicates is cheaper than permuting all rows
        drawn = index.present[draw.integers(0, len(index), 2 * most)]
        return np.array(list(dict.fromkeys(index.without(drawn, excluded).tolist()))[:most], dtype=np.int64)
    return draw.permutation(np.setdiff1d(index.present, excluded))[:most]
