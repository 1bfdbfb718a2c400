"""An index grows while it is in use: tracks added and removed without a refit.

    append(folder, ids, features, artists)      remove(folder, ids)      Index.open(folder)      Index.state(folder)

A new track is hashed and scaled as the model says; directions, metric and the scales of the others stay as they were trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batch.index import segments
from batch.index.lsh import Index, local_scales, with_added


def append(folder: Path, ids: Sequence[str], features: NDArray[np.floating], artists: Sequence[str | None]) -> str:
    """Adds tracks to the index in the folder; those that it has already are replaced. Returns the new state.

    features : [shape=(m, d)], as in the table `features`;  artists : their names
    Readers see it when they open the index again. Raises FeaturesUnfit, and then nothing was added; ValueError for an id that
    is given twice.
    """
    if len(set(ids)) != len(ids):
        raise ValueError("a track id is given twice; an index holds each track once")
    if not len(ids):
        return segments.state(folder)
    with segments.writing(folder):
        trained = Index.open(folder, as_trained=True)
        order = np.argsort(np.array(ids, dtype=np.str_))
        points = trained.space.points(np.asarray(features)[order])
        new = replace(
            segments.empty(points.shape[1]),
            ids=np.array(ids, dtype=np.str_)[order],
            points=points,
            scales=np.ones(len(ids), dtype=np.float32),
            artists=np.array([(artists[at] or "").casefold() for at in order], dtype=np.str_),
        )
        before = segments.read(folder, points.shape[1])
        # The new tracks count among the neighbours that give their scales: a new album would else look crowded to itself.
        together = with_added(trained, segments.merged([before, new], points.shape[1]))
        least = np.min(trained.scales, initial=1.0, where=np.asarray(trained.scales) > 0)
        return segments.write(folder, replace(new, scales=np.maximum(local_scales(together, points), least)))


def remove(folder: Path, ids: Sequence[str]) -> str:
    """Takes tracks out of the index in the folder; ids that it lacks are passed over. Returns the new state."""
    if not len(ids):
        return segments.state(folder)
    with segments.writing(folder):
        whole = Index.open(folder)
        known = sorted({track_id for track_id, row in zip(ids, whole.rows_of(ids), strict=True) if row >= 0})
        if not known:
            return segments.state(folder)
        nothing = segments.empty(whole.vectors.shape[1])
        return segments.write(folder, replace(nothing, removed=np.array(known, dtype=np.str_)))
