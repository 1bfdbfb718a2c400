"""Tracks appended to and removed from an index in use, without training it again.

A new track is hashed and scaled by the model as it is; directions, metric and the scales of the others stay as they were trained.
New tracks are compared with all others: which are one recording with a track that is there is written with them.
Public as `batch.growth`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batch.index import recordings, segments
from batch.index.exact import LOCAL_SCALE_NEIGHBOUR
from batch.index.lsh import Index
from batch.index.segments import Segment, Stacked
from batch.library.labels import artist_key
from batch.library.titles import title_keys, track_lengths
from batch.words.tag_percentiles import rows_of_words

MAX_SCALE_GROWTH = 4.0
"""An index that has grown further is due for a training."""


def append(
    folder: Path,
    ids: Sequence[str],
    features: NDArray[np.floating],
    artists: Sequence[str | None],
    titles: Sequence[str | None] | None = None,
    durations_s: Sequence[float | None] | None = None,
    words: Sequence[Mapping[str, int]] | None = None,
) -> str:
    """Adds tracks to the index in the folder, replacing those that it has; returns the new `Index.state`.

    ids : of m tracks
    features : [shape=(m, d)], as in the table `features`
    artists : their names, None for none
    titles, durations_s : None where unknown; with them a track is also one recording with those of its artist, title and length
    words : percentile by name of the words said of each (`batch.words.tag_percentiles.read_words`); None where unknown
    Readers see the change when they open the index again. Raises FeaturesUnfit, and ValueError for an id that is given twice;
    then nothing was written.
    """
    if len(set(ids)) != len(ids):
        raise ValueError("a track id is given twice; an index holds each track once")
    if not len(ids):
        return segments.state(folder)
    titles = [None] * len(ids) if titles is None else titles
    durations_s = [None] * len(ids) if durations_s is None else durations_s
    words = [{}] * len(ids) if words is None else words
    with segments.write_lock(folder):
        trained = Index.open(folder, as_trained=True)
        points = trained.projection.points_of_new(np.asarray(features))
        dimensions = points.shape[1]
        added = replace(
            segments.empty(dimensions),
            ids=np.array(ids, dtype=np.str_),
            points=points,
            scales=np.ones(len(ids), dtype=np.float32),
            artists=np.array([artist_key(artist) for artist in artists], dtype=np.str_),
            recordings=np.zeros(len(ids), dtype=np.str_),
            title_keys=title_keys(artists, titles),
            durations=track_lengths(durations_s),
            tags=rows_of_words(words, trained.tag_names.tolist()),
        )
        earlier = segments.read(folder, dimensions)
        appended = segments.merged([_referring(earlier, ids), added], dimensions)
        return segments.write(folder, _compared(trained, earlier, appended))


def _referring(earlier: Segment, ids: Sequence[str]) -> Segment:
    """The appended tracks whose recording one of the ids names, alone again: that id's track may be another one now."""
    referring = earlier.subset(np.isin(earlier.recordings, np.array(ids, dtype=np.str_)))
    return replace(referring, recordings=np.zeros(len(referring), dtype=np.str_))


def _compared(trained: Index, earlier: Segment, appended: Segment) -> Segment:
    """The appended tracks with their local scales and recordings.

    earlier : all segments before, merged
    """
    dimensions = appended.points.shape[1]
    # The new tracks count among the neighbours that give their scales: a new album would else seem closer than it is.
    whole = segments.merged([earlier, appended], dimensions)
    index = trained.with_segment(whole)
    # As far down the list as the index has grown: the scales of the training, of fewer tracks, would else be the larger ones, and
    # its tracks hubs among the appended ones.
    growth = min(MAX_SCALE_GROWTH, max(1.0, len(index.present) / max(1, len(trained))))
    neighbours = index.neighbours(appended.points, round(LOCAL_SCALE_NEIGHBOUR * growth) + 1)
    min_scale = np.min(trained.scales, initial=1.0, where=np.asarray(trained.scales) > 0)
    scales = np.maximum(np.array([distances[-1] for _, distances in neighbours], dtype=np.float32), min_scale)
    rows = index.rows_of(appended.ids.tolist())
    segment_scales = whole.scales.copy()
    segment_scales[rows - len(trained)] = scales
    index = replace(index, scales=Stacked(trained.scales, segment_scales))
    nearness = recordings.Nearness.of(trained)
    names = recordings.representatives(index, rows, [near for near, _ in neighbours], nearness)
    return replace(appended, scales=scales, recordings=np.array(names, dtype=np.str_))


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
