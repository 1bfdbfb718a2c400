"""The model's index asked from the player: what sounds like a clip, and a way from one track to another.

The index is mapped into memory, shared with the stream's workers; a new version, or tracks added to this one, are taken up at
the next question.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from batch import registry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batch.index.lsh import Index


class NoModel(LookupError):
    """There is no model to ask yet."""


class SimilaritySearch:
    """root : the folder of model versions"""

    def __init__(self, root: str) -> None:
        self._root = root
        self._opened: tuple[str, str, Index] | None = None
        self._lock = threading.Lock()

    @property
    def index(self) -> Index:
        """Raises NoModel."""
        from batch.index.lsh import Index

        try:
            model = registry.latest(self._root)
            folder = model.folder / "index"
            state = Index.state(folder)
            with self._lock:
                if self._opened is None or self._opened[:2] != (model.version, state):
                    self._opened = (model.version, state, Index.open(folder))
                return self._opened[2]
        except (OSError, ValueError) as error:
            raise NoModel("There is no model yet; this works once the library has been trained on.") from error

    def like(self, vector: list[float], limit: int = 24) -> list[tuple[str, float]]:
        """Tracks nearest to features as extract gives them: (track id, Euclidean distance). Raises NoModel."""
        index = self.index
        # An index of FMA's published features has the first 140 of our 189 numbers.
        point = index.space.points(np.asarray([vector[: len(index.space.mean)]], dtype=np.float32))
        ((rows, distance),) = index.neighbours(point, limit)
        return [(str(index.ids[row]), float(far)) for row, far in zip(rows, distance, strict=True)]

    def path(self, start: str, end: str, steps: int) -> list[str]:
        """Ids of `steps` tracks from start to end, each sounding a little more like the end; fewer in a small library.

        Points are placed evenly on the straight line between the two, and each takes the track that is nearest to it among
        those that are not in the path yet and lie between its neighbours: nearer to the end than the track before.
        Raises NoModel, or KeyError for a track that the index lacks.
        """
        index = self.index
        present = index.present
        first, last = (int(row) for row in index.rows_of([start, end]))
        for row, track_id in ((first, start), (last, end)):
            if row < 0:
                raise KeyError(track_id)
        vectors = np.asarray(index.vectors[present])
        first, last = (int(np.searchsorted(present, row)) for row in (first, last))
        a, b = vectors[first].astype(np.float64), vectors[last].astype(np.float64)
        along = (vectors @ (b - a).astype(np.float32)).astype(np.float64)
        along = (along - along[first]) / max(along[last] - along[first], 1e-12)
        # |x - p|^2 = |x|^2 - 2 x.p + |p|^2: three products with the whole library instead of one pass for each point
        size = np.einsum("ij,ij->i", vectors, vectors).astype(np.float64)
        to_a, to_b = vectors @ a.astype(np.float32), vectors @ b.astype(np.float32)
        rows = [first]
        for share in np.linspace(0, 1, steps)[1:-1]:
            point = (1 - share) * a + share * b
            distance = size - 2 * ((1 - share) * to_a + share * to_b) + point @ point
            is_between = (along > along[rows[-1]]) & (along < 1)
            is_between[[*rows, last]] = False
            candidates = np.flatnonzero(is_between)
            if len(candidates):
                rows.append(int(candidates[np.argmin(distance[candidates])]))
        return [str(index.ids[present[row]]) for row in ([*rows, last] if last != first else rows)]


def between(points: NDArray[np.float32]) -> tuple[float, float] | None:
    """The middle of places on the map; None where none has one."""
    known = points[~np.isnan(points).any(axis=1)] if len(points) else points
    return (float(known[:, 0].mean()), float(known[:, 1].mean())) if len(known) else None
