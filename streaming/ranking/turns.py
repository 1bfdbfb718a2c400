"""Turns: which group of a listener's taste each place of a list belongs to, by due shares. Numbers only.

A listener plays on from the first place, from anywhere among the first ones, or only ever the first: each gets the due shares,
since the order of turns goes on from list to list with the number of tracks heard.
"""

from __future__ import annotations

from collections.abc import Sequence

ROUND_PLAYS = 60
"""After so many plays the order of turns begins again, so that a place is found in as many steps at most."""


def turns(shares: Sequence[float], first_play: int, length: int) -> list[int]:
    """The group whose turn it is at each of `length` plays from `first_play` on: always the one that is furthest behind its
    share.

    shares : of the groups, with a sum of 1
    """
    begin = first_play - first_play % ROUND_PLAYS
    counts = [0] * len(shares)
    order = []
    for play in range(begin, first_play + length):
        if play > begin and play % ROUND_PLAYS == 0:
            counts = [0] * len(shares)
        position = play % ROUND_PLAYS + 1
        behind = [share * position - count for share, count in zip(shares, counts, strict=True)]
        group = behind.index(max(behind))
        counts[group] += 1
        if play >= first_play:
            order.append(group)
    return order
