"""A listener's interests: the liked tracks in up to five groups, each led by one of its tracks. Numbers only.

The mean of two kinds of music lies where neither is. As in PinnerSage (Pal et al., KDD 2020) the groups come from
agglomerative clustering, and a group is represented by its medoid, a track that was really heard, whose neighbours the index
knows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streaming.ranking.neighbour_cache import Points, scaled


@dataclass(frozen=True)
class Centre:
    """One interest. `weight`: its share of all liking, 0 to 1.

    members : places among the liked tracks, strongest first;  medoid : the member nearest to all of them, by weight
    """

    weight: float
    members: tuple[int, ...]
    medoid: int


def centres(points: Points, weights: NDArray[np.float64], most: int, reach: float) -> list[Centre]:
    """The groups of the liked tracks, weightiest first.

    points : of the liked tracks;  weights : of liking, positive [shape=(points,)];  most : groups at most
    reach : how far apart members may be on average, in local scales
    """
    if not len(points):
        return []
    apart = np.sqrt(scaled(points, points).astype(np.float64))
    np.fill_diagonal(apart, 0.0)
    found = []
    total = float(weights.sum())
    for members in _groups(apart, most, reach):
        mine = weights[members]
        medoid = members[int(np.argmin(np.square(apart[np.ix_(members, members)]) @ mine))]
        strongest = members[np.lexsort((members, -mine))]
        found.append(Centre(float(mine.sum()) / total, tuple(int(at) for at in strongest), int(medoid)))
    return sorted(found, key=lambda centre: (-centre.weight, centre.members))


def _groups(apart: NDArray[np.float64], most: int, reach: float) -> list[NDArray[np.int64]]:
    if len(apart) == 1:
        return [np.array([0])]
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    tree = linkage(squareform(apart, checks=False), method="average")
    # The tree is cut here, not by scipy's fcluster, which takes longer to check the tree than to make it. Its lines are merges,
    # nearest first; line m makes group n + m.
    merges = max(int(np.searchsorted(tree[:, 2], reach, side="right")), len(apart) - most)
    groups = {at: [at] for at in range(len(apart))}
    for merge, (one, other) in enumerate(tree[:merges, :2].astype(int).tolist()):
        groups[len(apart) + merge] = groups.pop(one) + groups.pop(other)
    return [np.array(sorted(members)) for members in groups.values()]
