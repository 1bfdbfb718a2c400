"""Hubs and orphans: who stands in how many lists (Radovanović, Nanopoulos & Ivanović, 2010). Numbers only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def occurrences(lists: NDArray[np.integer], tracks: int) -> NDArray[np.int64]:
    """In how many of the lists each track stands.  lists : rows [shape=(n, k)]; returns int64 [shape=(tracks,)]"""
    return np.bincount(np.asarray(lists).reshape(-1), minlength=tracks)


def skewness(counts: NDArray[np.integer]) -> float:
    """Third standardised moment of the occurrences: 0 where all stand in as many lists, above 1 where a few are hubs."""
    centred = counts - counts.mean()
    spread = float(np.sqrt(np.square(centred).mean()))
    return 0.0 if spread == 0 else float((centred**3).mean() / spread**3)


def reachable(lists: NDArray[np.integer], tracks: int) -> float:
    """Share of the tracks that one can get to from the largest set that is connected by going from list to list.

    lists : rows [shape=(n, k)], -1 where there is none
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    head, at = np.nonzero(lists >= 0)
    edges = (np.ones(len(head), dtype=np.int8), (head, lists[head, at]))
    _, part = connected_components(csr_matrix(edges, shape=(tracks, tracks)), directed=True, connection="strong")
    core = np.flatnonzero(part == np.argmax(np.bincount(part)))
    seen = np.zeros(tracks, dtype=bool)
    seen[core] = True
    frontier = core
    while len(frontier):
        step = np.unique(lists[frontier].reshape(-1))
        step = step[step >= 0]
        frontier = step[~seen[step]]
        seen[frontier] = True
    return float(seen.mean())
