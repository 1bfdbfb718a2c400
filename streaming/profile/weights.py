"""Weights of tracks at a time: what a listener's evidence says of each, liked above 0, rejected below. No Spark, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from streaming.profile.profile import (
    AT,
    DAY_S,
    LASTING,
    LASTING_PLAYS,
    SESSION,
    SESSION_PLAYS,
    VERDICT,
    VERDICT_AT,
    WISH,
    WISH_AT,
    Profile,
)
from streaming.profile.track_table import Floats64

if TYPE_CHECKING:
    from conf.settings import Taste

LEAST_SHARE_OF_STATE = 0.1
"""Skips take at most the rest of a like's weight while the like stands."""


@dataclass(frozen=True)
class Weights:
    """n tracks with evidence.

    ids : n
    weights : unclipped, positive for liked tracks [shape=(n,)]
    stated : the part of a positive weight that verdict and wish give [shape=(n,)]
    touched_at : times of the latest action that changed the weight, in seconds since 1970 [shape=(n,)]
    """

    ids: list[str]
    weights: Floats64
    stated: Floats64
    touched_at: Floats64


def track_weights(profile: Profile, now: float, taste: Taste) -> Weights:
    """The weights of all tracks with evidence or a verdict.  now : seconds since 1970"""
    ids = list(dict.fromkeys((*profile.evidence.ids, *profile.verdicts.ids)))
    position = {track_id: row for row, track_id in enumerate(ids)}
    listening, touched_at, state = np.zeros(len(ids)), np.zeros(len(ids)), np.zeros(len(ids))

    evidence = profile.evidence
    rows = np.arange(len(evidence))
    age_s = now - evidence.column(AT)
    # Plays alone never say more than one complete: some clients send a play every few minutes while paused.
    session = evidence.column(SESSION) + np.minimum(evidence.column(SESSION_PLAYS), taste.complete)
    lasting = evidence.column(LASTING) + np.minimum(evidence.column(LASTING_PLAYS), taste.complete)
    session *= _decays(age_s, taste.session_half_life_minutes * 60)
    lasting *= _decays(age_s, taste.half_life_days * DAY_S)
    listening[rows] = np.clip(taste.session_share * session + (1 - taste.session_share) * lasting, -1.0, 1.0)
    touched_at[rows] = evidence.column(AT)

    verdicts = profile.verdicts
    rows = np.array([position[track_id] for track_id in verdicts.ids], dtype=np.int64)
    state[rows] = stated_values(verdicts.values, now, taste)
    stands = (verdicts.column(VERDICT) != 0) | (verdicts.column(WISH) != 0)
    judged_at = np.maximum(verdicts.column(VERDICT_AT), verdicts.column(WISH_AT))
    touched_at[rows] = np.where(stands, np.maximum(touched_at[rows], judged_at), touched_at[rows])

    liked, rejected = state > 0, state < 0
    weights = np.where(
        liked,
        np.maximum(LEAST_SHARE_OF_STATE * state, state + listening),
        np.where(rejected, state + np.minimum(listening, 0.0), listening),
    )
    return Weights(ids, weights, np.where(liked, np.minimum(state, weights), 0.0), touched_at)


def stated_values(verdicts: Floats64, now: float, taste: Taste) -> Floats64:
    """What verdict and wish say of tracks: of two with different signs the later one [shape=(n,)].

    verdicts : as `Profile.verdicts` holds them [shape=(n, 4)]
    """
    half_life_s = taste.half_life_days * DAY_S
    verdict = np.where(verdicts[:, VERDICT] > 0, taste.like, -abs(taste.dislike)) * np.abs(verdicts[:, VERDICT])
    wish = np.where(verdicts[:, WISH] > 0, taste.more, -abs(taste.less)) * np.abs(verdicts[:, WISH])
    verdict = verdict * _decays(now - verdicts[:, VERDICT_AT], half_life_s)
    wish = wish * _decays(now - verdicts[:, WISH_AT], half_life_s)
    later = np.where(verdicts[:, WISH_AT] > verdicts[:, VERDICT_AT], wish, verdict)
    return np.where(verdict * wish < 0, later, verdict + wish)


def _decays(ages_s: Floats64, half_life_s: float) -> Floats64:
    return np.exp2(-np.maximum(0.0, ages_s) / half_life_s)
