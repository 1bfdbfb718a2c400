"""An index made of features, its local scales, and its recall against exact search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from batch.index.exact import LOCAL_SCALE_NEIGHBOUR, rankings, recall, squared_distances
from batch.index.hash_tables import HashTables
from batch.index.lsh import Index
from batch.index.projection import Floats, Projection
from batch.library.labels import artist_key

LOCAL_SCALE_BLOCK_ROWS = 256


def build_index(
    ids: list[str], features: NDArray[np.floating], artists: Sequence[str | None], projection: Projection
) -> Index:
    """An index over n tracks, with local scales of 1 until `with_local_scales`.

    ids : track ids, in any order
    features : [shape=(n, d)], as in the table `features`
    artists : names, None for none
    """
    order = np.argsort(np.array(ids, dtype=np.str_))
    points = projection.points(np.asarray(features)[order])
    artist_names, codes = artist_codes([artists[position] for position in order])
    return Index(
        projection=projection,
        ids=np.array(ids, dtype=np.str_)[order],
        vectors=points,
        scales=np.ones(len(ids), dtype=np.float32),
        artists=codes,
        artist_names=artist_names,
        tables=HashTables.build(points, projection),
        sketches=projection.stored_sketch(points),
    )


def artist_codes(artists: Sequence[str | None]) -> tuple[NDArray[np.str_], NDArray[np.int32]]:
    """(the artists' names by `artist_key`, sorted; the code of each track's artist, its position among them, -1 for none)."""
    folded = np.array([artist_key(artist) for artist in artists], dtype=np.str_)
    names = np.unique(folded[folded != ""])
    return names, np.where(folded == "", -1, np.searchsorted(names, folded)).astype(np.int32)


def with_local_scales(index: Index) -> Index:
    """The index with each track's local scale, above 0."""
    return replace(index, scales=positive_scales(local_scales(index, index.vectors)))


def local_scales(index: Index, points: Floats) -> Floats:
    """Distance of each point to its seventh neighbour (its furthest in a tiny library), float32 [shape=(n,)].

    points : [shape=(n, m)], all of them in the index
    """
    scales = np.ones(len(points), dtype=np.float32)
    for start in range(0, len(points), LOCAL_SCALE_BLOCK_ROWS):
        block = slice(start, start + LOCAL_SCALE_BLOCK_ROWS)
        neighbours = index.neighbours(points[block], LOCAL_SCALE_NEIGHBOUR + 1)  # the point itself is one
        scales[block] = [distances[-1] for _, distances in neighbours]
    return scales


def positive_scales(scales: Floats) -> Floats:
    """Scales with those of 0, of tracks with many duplicates, raised to the least of the others."""
    above_0 = scales[scales > 0]
    return np.maximum(scales, above_0.min() if len(above_0) else np.float32(1.0)).astype(np.float32)


def recall_and_candidate_share(index: Index, queries: int, k: int) -> tuple[float, float]:
    """(recall@k of the candidates against exact search, mean share of the tracks that are candidates).

    queries : tracks to try, evenly spaced
    Queries with fewer than k candidates count with those they have.
    """
    points = np.asarray(index.vectors)
    query_points = points[np.linspace(0, len(index) - 1, min(queries, len(index))).astype(int)]
    candidates = index.candidates(query_points)
    share = sum(len(rows) for rows in candidates) / (len(query_points) * len(index))
    true_neighbours = [ranking[:k] for ranking in rankings(squared_distances(query_points, points))]
    return recall(candidates, true_neighbours), share
