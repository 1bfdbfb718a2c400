"""Tracks from elsewhere: away from what is liked, and where nothing was rejected. No Spark, no I/O."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from batch.index.lsh import Rows
from streaming.profile.profile import Profile
from streaming.ranking.attraction import Attraction, Scale
from streaming.ranking.candidate_pool import Past, random_rows
from streaming.ranking.neighbour_cache import CachedIndex

DRAWN_TRACKS = 64
PLAYS_PER_DRAW = 15
"""The same tracks are drawn for so many plays, so that one that is announced comes."""


def drawn_rows(profile: Profile, index: CachedIndex, history: Past, excluded: Rows) -> Rows:
    """Unheard rows from anywhere in the library, in an order that holds for PLAYS_PER_DRAW plays.

    excluded : rows that are candidates for another reason
    """
    rng = np.random.default_rng(zlib.crc32(f"{profile.user_id}\x00{profile.plays // PLAYS_PER_DRAW}".encode()))
    rows = random_rows(index, history.barred, DRAWN_TRACKS, rng)
    recordings = index.recordings(rows)
    _, first = np.unique(recordings, return_index=True)
    is_free = np.zeros(len(rows), dtype=bool)
    is_free[first] = True
    is_free &= (history.last_heard(recordings) == 0) & ~np.isin(recordings, history.barred_recordings)
    return rows[is_free & ~np.isin(rows, excluded)]


def explored_positions(drawn: Attraction, limits: Scale, artists: NDArray[np.int32], most: int) -> list[int]:
    """Positions of up to `most` of the drawn tracks, of as many artists: first those drawn first; fewer where there are no more.

    drawn : their attraction
    Of those that are near neither to what is liked nor to what is rejected, the third that is rejected least.
    """
    is_elsewhere = (drawn.by_group < limits.near_group[:, None]).all(axis=0) & ~(
        (drawn.repulsion >= limits.repulsion) & (drawn.repulsion > 0)
    )
    positions = np.flatnonzero(is_elsewhere)
    least_rejected = np.sort(
        positions[np.argsort(drawn.repulsion[positions], kind="stable")][: max(most, len(positions) // 3)]
    )
    chosen: list[int] = []
    chosen_artists: set[int] = set()
    for position, artist in zip(least_rejected.tolist(), artists[least_rejected].tolist(), strict=True):
        if len(chosen) < most and artist not in chosen_artists:
            chosen.append(position)
            chosen_artists |= {artist} if artist >= 0 else set()
    return chosen
