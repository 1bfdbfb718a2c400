"""Artist cap: at most two tracks of one artist in any ten places of a list, as long as others score comparably. No Spark."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

MAX_PER_ARTIST = 2
"""Tracks of one artist in any CAP_WINDOW places."""
CAP_WINDOW = 10
"""Places of a list."""
MIN_SCORE_RATIO = 0.5
"""A track may replace one of a capped artist when its score is at least this share of the other's."""


def capped_ranking(
    artists: NDArray[np.integer],
    scores: NDArray[np.floating],
    k: int,
    max_per_artist: int = MAX_PER_ARTIST,
    window: int = CAP_WINDOW,
) -> NDArray[np.int64]:
    """Positions of the k tracks to show, in the order to show them: int64 [shape=(at most k,)].

    artists : codes of the ranked tracks' artists, best track first; -1 for none, which is never capped [shape=(n,) or, where
        tracks have several, (n, artists)]
    scores : of the ranked tracks, 0 to 1 [shape=(n,)]
    window : places, at least 2
    Greedy: takes the best remaining track whose artist has fewer than `max_per_artist` of the `window` - 1 places before; where
    all are capped, or that one scores below MIN_SCORE_RATIO of the best, takes the best remaining track.
    """
    artists_of = [{code for code in codes if code >= 0} for codes in np.atleast_2d(artists.T).T.tolist()]
    similarity = scores.tolist()
    remaining, chosen = list(range(len(similarity))), list[int]()
    while remaining and len(chosen) < k:
        recent = Counter(code for position in chosen[1 - window :] for code in artists_of[position])
        uncapped = next(
            (position for position in remaining if all(recent[code] < max_per_artist for code in artists_of[position])),
            remaining[0],
        )
        is_comparable = similarity[uncapped] >= MIN_SCORE_RATIO * similarity[remaining[0]]
        chosen.append(uncapped if is_comparable else remaining[0])
        remaining.remove(chosen[-1])
    return np.array(chosen, dtype=np.int64)
