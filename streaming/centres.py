"""A listener's interests: the liked tracks in up to five groups, each led by one of its tracks. Numbers only.

The mean of two kinds of music lies where neither is. As in PinnerSage (Pal et al., KDD 2020) the groups come from
agglomerative clustering, and a group is represented by its medoid, a track that was really heard, whose neighbours the index
knows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batch.index import Rows
from streaming.candidates import Catalogue, scaled


@dataclass(frozen=True)
class Centre:
    """One interest. `weight`: its share of all liking, 0 to 1.

    members : places among the liked tracks, strongest first;  medoid : the member nearest to all of them, by weight
    """

    weight: float
    members: tuple[int, ...]
    medoid: int


def centres(rows: Rows, weights: NDArray[np.float64], catalogue: Catalogue, most: int, reach: float) -> list[Centre]:
    """The groups of the liked tracks, weightiest first.

    rows : of the liked tracks;  weights : of liking, positive [shape=(rows,)];  most : groups at most
    reach : how far apart members may be on average; 1 is the usual distance between any two tracks
    """
    if not len(rows):
        return []
    points = catalogue.points(rows)
    apart = np.sqrt(scaled(*points, *points))
    np.fill_diagonal(apart, 0.0)
    found = []
    total = float(weights.sum())
    for members in _groups(apart, most, reach * catalogue.typical):
        mine = weights[members]
        medoid = members[int(np.argmin(np.square(apart[np.ix_(members, members)]) @ mine))]
        strongest = members[np.lexsort((members, -mine))]
        found.append(Centre(float(mine.sum()) / total, tuple(int(at) for at in strongest), int(medoid)))
    return sorted(found, key=lambda centre: (-centre.weight, centre.members))


def _groups(apart: NDArray[np.float64], most: int, reach: float) -> list[NDArray[np.int64]]:
    if len(apart) == 1:
        return [np.array([0])]
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    tree = linkage(squareform(apart, checks=False), method="average")
    labels = fcluster(tree, reach, criterion="distance")
    if labels.max() > most:
        labels = fcluster(tree, most, criterion="maxclust")
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]
