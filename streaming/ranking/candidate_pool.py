"""The candidate pool of a list: neighbours of what is liked, the list for new listeners, and random tracks. No Spark, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from batch.index.lsh import Rows
from streaming.profile.profile import DAY_S, HEARD_AT, SHOWN_AT, SHOWN_COUNT, Profile
from streaming.profile.track_table import Floats64
from streaming.ranking.neighbour_cache import CachedIndex, sorted_unique
from streaming.ranking.tiers import State
from streaming.ranking.user_vector import UserVector

if TYPE_CHECKING:
    from conf.settings import Taste

SEEDS_AT_A_TIME = 6
MOST_SEEDS = 48
UNHEARD_PER_PLACE = 5
"""Seeds are added until the pool has so many unheard tracks for each place of the list."""
FEWEST_UNHEARD_PER_PLACE = 3
"""Where neighbours give fewer, the wide neighbours of the first seeds are taken, too."""
WIDE_SEEDS = 8
FEWEST_RANDOM_TRACKS = 200
MOST_RETURNING_TRACKS = 300
WISHED_PER_PLACE = 2
"""Tracks of each word that more is wished of, drawn for each place of the list."""


@dataclass(frozen=True)
class Past:
    """What a listener heard and was shown, by recording; times in seconds since 1970.

    recordings : codes of the recordings heard, sorted, each once
    heard_at : when each was last heard
    order : the same recordings' rows, latest first
    barred : rows that never come: disliked, muted, and the other tracks of their recordings' codes
    barred_recordings : codes of the disliked recordings, sorted
    """

    recordings: Rows
    heard_at: Floats64
    rows_latest_first: Rows
    barred: Rows
    barred_recordings: Rows
    shown_recordings: Rows
    shown: Floats64

    def last_heard(self, recordings: Rows) -> Floats64:
        """When each recording was last heard, 0 for never [shape=(recordings,)]."""
        return _looked_up(recordings, self.recordings, self.heard_at)

    def shown_count(self, recordings: Rows) -> Floats64:
        return _looked_up(recordings, self.shown_recordings, self.shown)


def past(profile: Profile, index: CachedIndex, taste: Taste, muted: Rows) -> Past:
    """The listener's past as of the latest event.  muted : rows of muted artists and genres"""
    rows = index.rows_of(profile.heard.ids)
    held = np.flatnonzero(rows >= 0)
    heard_at = profile.heard.column(HEARD_AT)[held]
    latest_first = held[np.lexsort((held, heard_at))[::-1]]
    recordings, times = _latest_by(index.recordings(rows[held]), heard_at)
    disliked = index.rows_of(profile.disliked)
    disliked = disliked[disliked >= 0]
    shown_rows = index.rows_of(profile.shown.ids)
    shown_held = np.flatnonzero(shown_rows >= 0)
    age_s = profile.latest_at - profile.shown.column(SHOWN_AT)[shown_held]
    counts = profile.shown.column(SHOWN_COUNT)[shown_held] * np.exp2(
        -np.maximum(0.0, age_s) / (taste.shown_half_life_days * DAY_S)
    )
    shown_recordings, shown = _latest_by(index.recordings(shown_rows[shown_held]), counts)
    return Past(
        recordings,
        times,
        rows[latest_first],
        sorted_unique(np.concatenate([disliked, muted])),
        sorted_unique(index.recordings(disliked)),
        shown_recordings,
        shown,
    )


def candidate_pool(
    profile: Profile,
    user_vector: UserVector,
    index: CachedIndex,
    history: Past,
    new_listener_rows: Rows,
    length: int,
    rng: np.random.Generator,
) -> Rows:
    """Rows to rank, one of each recording, without barred ones.

    Neighbours of the seeds until enough of them are unheard, then tracks of words that more is wished of and the list for new
    listeners; where too few tracks are
    unheard, what was heard longest ago, and random ones. The track heard last is only there when nothing else is.

    new_listener_rows : of the list for new listeners
    length : places of the list
    """
    seeds = _seeds(user_vector)
    parts: list[Rows] = []
    unheard = 0
    for start in range(0, min(len(seeds), MOST_SEEDS), SEEDS_AT_A_TIME):
        parts.append(index.neighbours(sorted_unique(seeds[start : start + SEEDS_AT_A_TIME])))
        unheard = _count_unheard(np.concatenate(parts), index, history)
        if unheard >= UNHEARD_PER_PLACE * length:
            break
    if unheard < FEWEST_UNHEARD_PER_PLACE * length:
        parts += [index.wide_neighbours(row) for row in seeds[:WIDE_SEEDS].tolist()]
    parts += _wished_rows(profile, index, history, WISHED_PER_PLACE * length, rng)
    rows = allowed(np.concatenate([*parts, new_listener_rows]), index, history)
    unheard = _count_unheard(rows, index, history)
    if unheard >= length and len(user_vector.rejected_rows):  # what is near may all be on the rejected side
        random = random_rows(index, np.concatenate([rows, history.barred]), length, rng)
        rows = allowed(np.concatenate([rows, random]), index, history)
    elif unheard < length:
        random = random_rows(index, np.concatenate([rows, history.barred]), max(FEWEST_RANDOM_TRACKS, length), rng)
        returning = history.rows_latest_first[::-1][:MOST_RETURNING_TRACKS]
        rows = allowed(np.concatenate([rows, random, returning]), index, history)
    others = rows[~is_heard_last(rows, profile, index)]
    return others if len(others) else rows


def is_heard_last(rows: Rows, profile: Profile, index: CachedIndex) -> NDArray[np.bool_]:
    """Whether each row is of the recording heard last; none is where the index lacks that [shape=(rows,)]."""
    heard_last = index.rows_of([profile.last_track])
    return np.isin(index.recordings(rows), index.recordings(heard_last[heard_last >= 0]))


def state_of(
    rows: Rows, profile: Profile, index: CachedIndex, history: Past, new_listener_rows: Rows, taste: Taste
) -> State:
    """What the listener did with each candidate."""
    recordings = index.recordings(rows)
    heard_at = history.last_heard(recordings)
    place = {row: rank for rank, row in enumerate(new_listener_rows.tolist())}
    return State(
        heard_at,
        heard_at > profile.latest_at - 3600 * taste.heard_again_after_hours,
        history.shown_count(recordings),
        np.array([place.get(row, -1) for row in rows.tolist()], dtype=np.int64),
    )


def random_rows(index: CachedIndex, excluded: Rows, most: int, rng: np.random.Generator) -> Rows:
    """Up to `most` rows drawn from all that are not excluded."""
    if len(index) > 4 * (most + len(excluded)):  # large: drawing with duplicates is cheaper than permuting all rows
        drawn = index.present[rng.integers(0, len(index), 2 * most)]
        return np.array(list(dict.fromkeys(index.without(drawn, excluded).tolist()))[:most], dtype=np.int64)
    return rng.permutation(np.setdiff1d(index.present, excluded))[:most]


def _seeds(user_vector: UserVector) -> Rows:
    """Rows whose neighbours are candidates: of each group in turn the medoid, then its members, heaviest or latest first."""
    members = [[interest.medoid, *interest.members] for interest in user_vector.interests]
    in_turn = zip_longest(*members, user_vector.session.tolist())
    positions = dict.fromkeys(position for each in in_turn for position in each if position is not None)
    return user_vector.rows[list(positions)]


def allowed(rows: Rows, index: CachedIndex, history: Past) -> Rows:
    """The rows without barred ones, one of each recording."""
    rows = index.without(sorted_unique(rows), history.barred)
    recordings = index.recordings(rows)
    _, first = np.unique(recordings, return_index=True)
    rows, recordings = rows[first], recordings[first]
    return rows[~np.isin(recordings, history.barred_recordings)]


def _wished_rows(
    profile: Profile, index: CachedIndex, history: Past, most: int, rng: np.random.Generator
) -> list[Rows]:
    """For each word that more is wished of up to `most` rows that were never heard, drawn."""
    drawn = []
    for word in sorted(word for word, sign in profile.wished_tags.items() if sign > 0):
        rows = index.rows_with(word)
        unheard = rows[history.last_heard(index.recordings(rows)) == 0]
        drawn.append(np.sort(rng.permutation(unheard)[:most]))
    return drawn


def _count_unheard(rows: Rows, index: CachedIndex, history: Past) -> int:
    return int((history.last_heard(sorted_unique(index.recordings(rows))) == 0).sum())


def _latest_by(codes: Rows, numbers: Floats64) -> tuple[Rows, Floats64]:
    """(codes, sorted, each once; the largest number of each)."""
    unique, inverse = np.unique(codes, return_inverse=True)
    largest = np.zeros(len(unique))
    np.maximum.at(largest, inverse, numbers)
    return unique, largest


def _looked_up(codes: Rows, sorted_codes: Rows, numbers: Floats64) -> Floats64:
    if not len(sorted_codes):
        return np.zeros(len(codes))
    places = np.minimum(np.searchsorted(sorted_codes, codes), len(sorted_codes) - 1)
    return np.where(sorted_codes[places] == codes, numbers[places], 0.0)
