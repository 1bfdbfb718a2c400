"""Hubs and orphans: k-occurrence counts, their skewness, and reachability (Radovanović, Nanopoulos & Ivanović, 2010)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def k_occurrences(lists: NDArray[np.integer], tracks: int) -> NDArray[np.int64]:
    """How many of the lists each track is in, int64 [shape=(tracks,)].

    lists : rows [shape=(n, k)]
    tracks : how many there are
    """
    return np.bincount(np.asarray(lists).reshape(-1), minlength=tracks)


def skewness(counts: NDArray[np.integer]) -> float:
    """Third standardised moment of k-occurrence counts: 0 where all are equal, above 1 where a few tracks are hubs."""
    from scipy.stats import skew  # takes a second to import

    # where all are equal, scipy has nan
    return float(skew(counts)) if counts.min() < counts.max() else 0.0


def reachable_share(lists: NDArray[np.integer], tracks: int) -> float:
    """Share of the tracks that can be reached by following lists from the largest strongly connected component.

    lists : rows [shape=(n, k)], -1 for an empty place
    tracks : how many there are, n
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    sources, places = np.nonzero(lists >= 0)
    edges = (np.ones(len(sources), dtype=np.int8), (sources, lists[sources, places]))
    _, components = connected_components(csr_matrix(edges, shape=(tracks, tracks)), directed=True, connection="strong")
    frontier = np.flatnonzero(components == np.argmax(np.bincount(components)))
    reached = np.zeros(tracks, dtype=bool)
    reached[frontier] = True
    while len(frontier):
        listed = np.unique(lists[frontier].reshape(-1))
        listed = listed[listed >= 0]
        frontier = listed[~reached[listed]]
        reached[frontier] = True
    return float(reached.mean())
