"""No artist fills a list: at most two of one stand in any ten places, as long as others are nearly as alike. Numbers only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_OF_ARTIST, WINDOW = 2, 10
COMPARABLE = 0.5
"""A track stands in for one of a capped artist when its score is at least this share of the other's."""


def spread(
    artists: NDArray[np.integer],
    scores: NDArray[np.floating],
    k: int,
    most: int = MOST_OF_ARTIST,
    window: int = WINDOW,
) -> NDArray[np.int64]:
    """Of a ranking, the places of the k tracks to show, in the order in which to show them: int64 [shape=(at most k,)].

    artists : of the ranked tracks, best first, -1 for none [shape=(n,)];  scores : theirs, 0 to 1;  window : at least 2
    Each time the best track is taken that is left and whose artist has fewer than `most` of the `window` - 1 places before; where
    only capped artists are left, or what else is left is far less alike, the best of all. A track without an artist never waits.
    """
    names, alike = artists.tolist(), scores.tolist()
    left, shown = list(range(len(names))), list[int]()
    while left and len(shown) < k:
        before = [names[at] for at in shown[1 - window :]]
        free = next((at for at in left if names[at] < 0 or before.count(names[at]) < most), left[0])
        shown.append(free if alike[free] >= COMPARABLE * alike[left[0]] else left[0])
        left.remove(shown[-1])
    return np.array(shown, dtype=np.int64)
