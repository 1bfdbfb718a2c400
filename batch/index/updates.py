"""Tracks appended to and removed from an index in use, without training it again.

A new track is hashed and scaled by the model as it is; directions, metric and the scales of the others stay as they were trained.
Public as `batch.growth`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batch.index import segments
from batch.index.building import local_scales
from batch.index.lsh import Index


def append(folder: Path, ids: Sequence[str], features: NDArray[np.floating], artists: Sequence[str | None]) -> str:
    """Adds tracks to the index in the folder, replacing those that it has; returns the new `Index.state`.

    ids : of m tracks
    features : [shape=(m, d)], as in the table `features`
    artists : their names, None for none
    Readers see the change when they open the index again. Raises FeaturesUnfit, and ValueError for an id that is given twice;
    then nothing was written.
    """
    if len(set(ids)) != len(ids):
        raise ValueError("a track id is given twice; an index holds each track once")
    if not len(ids):
        return segments.state(folder)
    with segments.write_lock(folder):
        trained = Index.open(folder, as_trained=True)
        order = np.argsort(np.array(ids, dtype=np.str_))
        points = trained.projection.points(np.asarray(features)[order])
        dimensions = points.shape[1]
        appended = replace(
            segments.empty(dimensions),
            ids=np.array(ids, dtype=np.str_)[order],
            points=points,
            scales=np.ones(len(ids), dtype=np.float32),
            artists=np.array([(artists[position] or "").casefold() for position in order], dtype=np.str_),
        )
        # The new tracks count among the neighbours that give their scales: a new album would else seem closer than it is.
        index = trained.with_segment(segments.merged([segments.read(folder, dimensions), appended], dimensions))
        min_scale = np.min(trained.scales, initial=1.0, where=np.asarray(trained.scales) > 0)
        scales = np.maximum(local_scales(index, points), min_scale)
        return segments.write(folder, replace(appended, scales=scales))


def remove(folder: Path, ids: Sequence[str]) -> str:
    """Removes tracks from the index in the folder, passing over ids that it lacks; returns the new `Index.state`."""
    if not len(ids):
        return segments.state(folder)
    with segments.write_lock(folder):
        index = Index.open(folder)
        removed_ids = sorted({track_id for track_id, row in zip(ids, index.rows_of(ids), strict=True) if row >= 0})
        if not removed_ids:
            return segments.state(folder)
        removal = segments.empty(index.vectors.shape[1])
        return segments.write(folder, replace(removal, removed_ids=np.array(removed_ids, dtype=np.str_)))
