"""Similarity queries on the model's index: the tracks nearest to a clip, and a path from one track to another.

The index is memory-mapped, shared with the stream's workers; each query uses the latest version with its latest segments.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from batch import registry
from batch.audio.features import N_FEATURES
from batch.versions.remote_index import local_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batch.index.lsh import Index


_log = logging.getLogger(__name__)

OVERSAMPLING = 2
"""Tracks asked for, for each one wanted: copies of one recording count once."""


class NoModel(LookupError):
    """No model has been trained yet."""


class SimilaritySearch:
    """Queries on the index of the latest model. root : folder of the model versions"""

    def __init__(self, root: str) -> None:
        self._root = root
        self._opened: tuple[str, str, Index] | None = None
        self._last_problem = ""
        self._lock = threading.Lock()

    @property
    def index(self) -> Index:
        """The index of the latest model, reopened after a change. Raises NoModel."""
        from batch.index.lsh import Index

        try:
            model = registry.latest(self._root)
            state = model.index_state
            with self._lock:
                if self._opened is None or self._opened[:2] != (model.version, state):
                    self._opened = (
                        model.version,
                        state,
                        Index.open(local_folder(model.index_place, state), state=state),
                    )
                return self._opened[2]
        except registry.ModelNotFound as error:
            raise NoModel("There is no model yet. Train one with ./spark-submit.sh batch/train.py first.") from error
        except (OSError, ValueError) as error:
            if str(error) != self._last_problem:
                self._last_problem = str(error)
                _log.warning("the model cannot be used: %s", error)
            raise NoModel("The model cannot be read right now. The player's log says why.") from error

    @property
    def has_embeddings(self) -> bool:
        """Whether the index is of vectors with the trained ear's embedding behind them. Raises NoModel."""
        return len(self.index.projection.mean) > N_FEATURES

    def nearest(self, features: list[float], limit: int = 24) -> list[tuple[str, float]]:
        """(track id, similarity from 0 to 1) of the tracks nearest to features as extract computes them, nearest first, one of
        each recording; similarities as in `Index.similarity`.

        features : with an embedding where the index `has_embeddings`
        Raises NoModel.
        """
        from batch.index.exact import local_scale
        from batch.index.recordings import first_of_each_recording

        index = self.index
        # An index of FMA's published features has the first 140 of our 189 features.
        point = index.projection.points(np.asarray([features[: len(index.projection.mean)]], dtype=np.float32))
        ((rows, distances),) = index.neighbours(point, OVERSAMPLING * limit)
        recordings = rows if index.recordings is None else index.recordings[rows]
        firsts = first_of_each_recording(recordings)[:limit]
        # The local scales of the tracks differ: a farther one is never called closer.
        similarities = np.minimum.accumulate(index.similarity(float(local_scale(distances)), rows, distances))
        return [(str(index.ids[rows[place]]), float(similarities[place])) for place in firsts]

    def similar(self, track_id: str, limit: int) -> list[tuple[str, float]]:
        """(track id, similarity) of the tracks most similar to one, most similar first.

        None where there is no model, or the index lacks the track.
        """
        try:
            index = self.index
        except NoModel:
            return []
        rows = index.rows_of([track_id])
        if rows[0] < 0:
            return []
        ((similar_rows, similarities),) = index.similar(rows, limit)
        return [(str(index.ids[row]), float(each)) for row, each in zip(similar_rows, similarities, strict=True)]

    def path(self, start: str, end: str, steps: int, left_out: Collection[str] = ()) -> list[str]:
        """Ids of `steps` tracks from start to end, one of each recording, each further along the line between the two; fewer
        only where fewer tracks lie between them.

        Points are placed evenly on the straight line between the two tracks. Each takes its nearest track among those whose
        projection on the line lies between the previous track's and the end, and that leave enough tracks for the points
        after it.
        left_out : ids of tracks that do not come between the two, nor other tracks of their recordings
        Raises NoModel, or KeyError for a track that the index lacks.
        """
        from batch.index.recordings import first_of_each_recording

        index = self.index
        present = index.present
        start_row, end_row = (int(row) for row in index.rows_of([start, end]))
        for row, track_id in ((start_row, start), (end_row, end)):
            if row < 0:
                raise KeyError(track_id)
        vectors = np.asarray(index.vectors[present])
        first, last = (int(np.searchsorted(present, row)) for row in (start_row, end_row))
        a, b = vectors[first].astype(np.float64), vectors[last].astype(np.float64)
        projection = (vectors @ (b - a).astype(np.float32)).astype(np.float64)
        projection = (projection - projection[first]) / max(projection[last] - projection[first], 1e-12)
        # |x - p|^2 = |x|^2 - 2 x.p + |p|^2: three products with the whole library instead of one pass for each point
        squared_norm = np.einsum("ij,ij->i", vectors, vectors).astype(np.float64)
        dot_a, dot_b = vectors @ a.astype(np.float32), vectors @ b.astype(np.float32)
        recordings = present if index.recordings is None else np.asarray(index.recordings[present])
        is_left_out = np.isin(present, index.rows_of(list(left_out)))
        is_left_out = np.isin(recordings, recordings[[*np.flatnonzero(is_left_out), first, last]])
        between = np.flatnonzero((projection > 0) & (projection < 1) & ~is_left_out)
        between = between[first_of_each_recording(recordings[between])]
        between = between[np.argsort(projection[between], kind="stable")]
        rows, place = [first], 0
        shares = np.linspace(0, 1, steps)[1:-1]
        for points_left, share in zip(range(len(shares) - 1, -1, -1), shares, strict=True):
            candidates = between[place : max(len(between) - points_left, place + 1)]
            if len(candidates) == 0:
                break
            point = (1 - share) * a + share * b
            squared_distance = squared_norm - 2 * ((1 - share) * dot_a + share * dot_b) + point @ point
            nearest = int(np.argmin(squared_distance[candidates]))
            rows.append(int(candidates[nearest]))
            place += nearest + 1
        return [str(index.ids[present[row]]) for row in ([*rows, last] if last != first else rows)]


def centroid(positions: NDArray[np.float32]) -> tuple[float, float] | None:
    """The mean of positions on the map [shape=(n, 2)], NaN rows left out; None without any."""
    positions = positions[~np.isnan(positions).any(axis=1)] if len(positions) else positions
    return (float(positions[:, 0].mean()), float(positions[:, 1].mean())) if len(positions) else None
