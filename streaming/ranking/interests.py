"""Interests: a listener's liked tracks in up to five clusters, each represented by its medoid. No Spark, no I/O.

Clusters rather than one mean, since the mean of two kinds of music lies where neither is. As in PinnerSage (Pal et al., KDD
2020): agglomerative clustering, and medoids, which are tracks whose neighbours the index has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streaming.ranking.neighbour_cache import Points, scaled_distances


@dataclass(frozen=True)
class Interest:
    """A cluster of liked tracks.

    share : of the places of a list that are its due, 0 to 1
    members : positions among the liked tracks, heaviest first
    medoid : the member with the least weighted sum of squared distances to the members
    """

    share: float
    members: tuple[int, ...]
    medoid: int


def interests(
    points: Points, weights: NDArray[np.float64], represented: NDArray[np.float64], most: int, reach: float
) -> list[Interest]:
    """The interests of a listener, those with the largest share first.

    points : of the liked tracks
    weights : of the liked tracks, positive [shape=(points,)]
    represented : how many tracks of the listener each stands for in its interest's share [shape=(points,)]
    most : clusters at most
    reach : largest Ward distance between merged clusters, in local scales
    """
    if not len(points):
        return []
    distances = np.sqrt(scaled_distances(points, points).astype(np.float64))
    np.fill_diagonal(distances, 0.0)
    clusters = []
    for members in _clusters(distances, most, reach):
        member_weights = weights[members]
        medoid = members[int(np.argmin(np.square(distances[np.ix_(members, members)]) @ member_weights))]
        heaviest_first = members[np.lexsort((members, -member_weights))]
        clusters.append((float(member_weights @ represented[members]), heaviest_first.tolist(), int(medoid)))
    total = sum(weight for weight, _, _ in clusters)
    unsorted = [Interest(weight / total, tuple(members), medoid) for weight, members, medoid in clusters]
    return sorted(unsorted, key=lambda interest: (-interest.share, interest.members))


def _clusters(distances: NDArray[np.float64], most: int, reach: float) -> list[NDArray[np.int64]]:
    """Positions of each cluster's members, by Ward's linkage: average linkage leaves one large cluster and single tracks.

    distances : [shape=(points, points)]
    """
    if len(distances) == 1:
        return [np.array([0])]
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    tree = linkage(squareform(distances, checks=False), method="ward")
    # Cut here rather than by scipy's fcluster, which takes longer to validate the tree than linkage to build it. Rows are merges,
    # nearest first; row m makes cluster n + m.
    merges = max(int(np.searchsorted(tree[:, 2], reach, side="right")), len(distances) - most)
    clusters = {position: [position] for position in range(len(distances))}
    for merge, (first, second) in enumerate(tree[:merges, :2].astype(int).tolist()):
        clusters[len(distances) + merge] = clusters.pop(first) + clusters.pop(second)
    return [np.array(sorted(members)) for members in clusters.values()]
