"""Tracks from elsewhere: away from what is liked, and where nothing was rejected. No Spark, no I/O."""

from __future__ import annotations

import zlib

import numpy as np

from batch.index.lsh import Rows
from streaming.profile.profile import Profile
from streaming.ranking.attraction import Scale, attraction
from streaming.ranking.candidate_pool import Past, random_rows
from streaming.ranking.neighbour_cache import CachedIndex
from streaming.ranking.user_vector import UserVector

DRAWN_TRACKS = 64
PLAYS_PER_DRAW = 15
"""The same tracks are drawn for so many plays, so that one that is announced comes."""


def explored_rows(
    profile: Profile,
    vector: UserVector,
    index: CachedIndex,
    history: Past,
    limits: Scale,
    excluded: Rows,
    most: int,
    rejection: float,
) -> Rows:
    """Up to `most` unheard rows from elsewhere in the library, of as many artists.

    excluded : rows that are candidates anyway
    Of the drawn tracks those that are near neither to what is liked nor to what is rejected; of these the third that is
    rejected least, in the order drawn. Fewer where there are no more.
    """
    if most <= 0:
        return np.empty(0, dtype=np.int64)
    rng = np.random.default_rng(zlib.crc32(f"{profile.user_id}\x00{profile.plays // PLAYS_PER_DRAW}".encode()))
    rows = random_rows(index, history.barred, DRAWN_TRACKS, rng)
    recordings = index.recordings(rows)
    is_free = (history.last_heard(recordings) == 0) & ~np.isin(recordings, history.barred_recordings)
    rows = rows[is_free & ~np.isin(rows, excluded)]
    if not len(rows):
        return rows
    drawn = attraction(vector, rows, index.points(rows), index, rejection)
    is_elsewhere = (drawn.by_group < limits.near_group[:, None]).all(axis=0) & ~(
        (drawn.repulsion >= limits.repulsion) & (drawn.repulsion > 0)
    )
    positions = np.flatnonzero(is_elsewhere)
    least_rejected = np.sort(
        positions[np.argsort(drawn.repulsion[positions], kind="stable")][: max(most, len(positions) // 3)]
    )
    chosen: list[int] = []
    artists: set[int] = set()
    for row, artist in zip(rows[least_rejected].tolist(), index.artists(rows[least_rejected]).tolist(), strict=True):
        if len(chosen) < most and artist not in artists:
            chosen.append(row)
            artists |= {artist} if artist >= 0 else set()
    return np.array(chosen, dtype=np.int64)
