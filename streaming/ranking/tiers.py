"""Tiers: what may come at all, and before what. Numbers only.

A candidate's value for a group of the listener's taste is its tier plus its place within the tier, 0 to 1. Tiers stand
further apart than the penalty for similarity to earlier items, so that variety never brings a track of a lower tier before
one of a higher.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEAR_TIER = 8.0
"""Not heard, among the nearest of all tracks to this group."""
NEAR_TO_ANOTHER_TIER = 6.0
"""Not heard, among the nearest of all tracks to another group."""
RESTED_TIER = 4.0
"""Among the nearest, heard long enough ago; the longest ago first."""
FURTHER_TIER = 2.0
"""Not heard, on the side of what is liked, further away."""
START_TIER = 0.0
"""Not heard, of the list for new listeners."""
REJECTED_SIDE_TIER = -30.0
"""Not heard, nearer to what is rejected."""
RESTING_TIER = -50.0
"""Heard lately; the longest ago first."""


@dataclass(frozen=True)
class State:
    """What the listener did with the n candidates; all [shape=(n,)].

    heard_at : time last heard, 0 for never
    is_resting : whether it was heard too lately to come back
    shown : how often it was shown of late and not taken
    start_rank : place in the list for new listeners, -1 for none
    """

    heard_at: NDArray[np.float64]
    is_resting: NDArray[np.bool_]
    shown: NDArray[np.float64]
    start_rank: NDArray[np.int64]

    def take(self, positions: NDArray[np.integer]) -> State:
        return State(
            self.heard_at[positions], self.is_resting[positions], self.shown[positions], self.start_rank[positions]
        )

    @property
    def longest_first(self) -> NDArray[np.float64]:
        """0 for the track heard last, towards 1 for the one heard longest ago [shape=(n,)]."""
        order = np.argsort(np.argsort(-self.heard_at, kind="stable"), kind="stable")
        return order / max(1, len(order))


def values(
    net: NDArray[np.floating],
    is_near: NDArray[np.bool_],
    is_rejected: NDArray[np.bool_],
    repelled: NDArray[np.floating],
    state: State,
    shown_patience: float,
    reach: float,
) -> NDArray[np.float64]:
    """The value of each candidate for each group: tier plus place within it [shape=(groups, n)].

    net : attraction by each group less repulsion [shape=(groups, n)]
    is_near : whether it is among the nearest of all tracks to the group, and above nothing [shape=(groups, n)]
    repelled : how strongly the rejected tracks push it away, 0 to 1 [shape=(n,)]
    is_rejected : whether it is among the nearest of all tracks to what is rejected [shape=(n,)]
    shown_patience : times that a track may be shown and not taken before it sinks
    reach : share of a group's nearest candidates that come after the others, 0 to 1
    """
    positive = np.maximum(net, 0.0)
    relevance = positive / np.maximum(positive.max(axis=1, initial=0.0), 1e-12)[:, None]
    sinks = 1.0 / (1.0 + np.maximum(0.0, state.shown - shown_patience) / max(shown_patience, 1e-9))
    is_unheard = state.heard_at == 0
    is_rested = ~is_unheard & ~state.is_resting
    own = np.full(net.shape, -np.inf)
    unheard_near = is_near & is_unheard
    own = np.where(unheard_near, NEAR_TIER + _further_first(relevance, unheard_near, reach) * sinks, own)
    if len(net) > 1:
        others = np.where(unheard_near, NEAR_TO_ANOTHER_TIER + relevance * sinks, -np.inf).max(axis=0)
        own = np.maximum(own, np.where(np.isinf(own), others, own))
    own = np.where(is_near & is_rested, RESTED_TIER + state.longest_first, own)
    own = np.where(np.isinf(own) & (net > 0) & is_unheard, FURTHER_TIER + relevance * sinks, own)
    general = np.where(
        is_unheard,
        np.where(
            state.start_rank >= 0,
            START_TIER + 1.0 - state.start_rank / (1.0 + state.start_rank.max(initial=0)),
            START_TIER - 1.0,
        )
        - 3.0 * repelled,
        np.where(state.is_resting, RESTING_TIER, START_TIER - 2.0) + state.longest_first,
    )
    worst_net = net.max(axis=0, initial=-np.inf)
    general = np.where(
        is_unheard & is_rejected & (worst_net <= 0), REJECTED_SIDE_TIER + np.maximum(worst_net, -9.0), general
    )
    return np.where(np.isinf(own), general, own)


def _further_first(relevance: NDArray[np.float64], is_near: NDArray[np.bool_], reach: float) -> NDArray[np.float64]:
    """The relevance of each group's candidates, those of the nearest `reach` share lowered below the others."""
    if reach <= 0:
        return relevance
    lowered = relevance.copy()
    for group in range(len(relevance)):
        near = np.flatnonzero(is_near[group])
        nearest = near[np.argsort(-relevance[group, near], kind="stable")][: int(reach * len(near))]
        lowered[group, nearest] = -1.0 + relevance[group, nearest]
    return lowered
