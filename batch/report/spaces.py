"""The report card's table of spaces: what each block of the features, both, and the learned metric give. No Spark."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch.index.exact import Rows, locally_scaled_distances, precision
from batch.index.projection import Floats, to_unit
from batch.model import blocks
from batch.model.metric.choice import EQUAL
from batch.model.metric.learning import BlockScaling
from batch.model.metric.learning import points as learned_points
from batch.report.measures import LIST_LENGTH, MeasuredLibrary, compared_rows, nearest, occurrence_figures

SPACE_NAMES = {"timbre": "MFCC and contrast alone", "ear": "trained ear alone"}
"""By block, as the report names them."""


def spaces(library: MeasuredLibrary) -> list[dict[str, Any]]:
    """Exact lists with local scaling in each space that the features give, side by side: precision@10 by genre, hubness.

    With two blocks: each alone, both at equal length, and as learned. Among up to MAX_TRACKS_COMPARED tracks, all of which are
    queries; precision (`exact.precision`) is None with fewer than two genres.
    """
    rows = compared_rows(len(library.index))
    labels, standardised = library.labels[rows], library.standardised[rows]
    parts = blocks.split(standardised, library.block_lengths or (standardised.shape[1],))
    points = {SPACE_NAMES[name]: part for name, part in zip(blocks.BLOCKS, parts, strict=False)}
    if len(parts) > 1:
        scaling = BlockScaling.of(library.block_lengths, EQUAL)
        points["both at equal length"] = learned_points(standardised, None, scaling)
    points["as learned"] = np.asarray(library.index.vectors[rows])
    has_genres = len(np.unique(labels.genre[labels.genre >= 0])) > 1
    is_filtered = labels.same_artist_or_album()
    figures = []
    for name, space in points.items():
        distance = locally_scaled_distances(to_unit(np.ascontiguousarray(space)))
        lists = nearest(distance, min(LIST_LENGTH, len(rows) - 1))
        ranked = {"precision": list(lists), "artist_filtered": _rankings_without(distance, is_filtered)}
        precisions = {
            key: precision(rankings, labels.genre, labels.genre, LIST_LENGTH) if has_genres else None
            for key, rankings in ranked.items()
        }
        figures.append({"space": name, "tracks": len(rows), **precisions, **occurrence_figures(lists, len(rows))})
    return figures


def _rankings_without(distance: Floats, is_excluded: NDArray[np.bool_]) -> list[Rows]:
    """The first LIST_LENGTH columns of each row, nearest first, without the excluded ones.

    distance, is_excluded : [shape=(n, n)]
    """
    distance[is_excluded] = np.inf
    depth = min(LIST_LENGTH, distance.shape[1])
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :depth]
    return [row[np.isfinite(values[row])] for row, values in zip(nearest, distance, strict=True)]
