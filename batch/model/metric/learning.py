"""Metrics: linear maps of the standardised features, learned from albums and genres. No Spark.

plain   standardised features, unit length
album   whitened within albums (power 1/4): directions in which the tracks of one album differ say less about the music
genre   discriminant directions of the genres (LDA; Fisher, 1936) beside the plain features, at half their length
both    the two together

Features of two blocks (`batch.model.blocks`) are whitened block by block, the embedding's numbers at the network's own scale
(`blocks.column_scales`). Each track is brought to the same length in each block, times the block's weight, so that the cosine of
two tracks is the weighted mean of the blocks' cosines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from batch.index.projection import Floats, row_blocks, to_unit, with_block_lengths
from batch.library.labels import Labels, TrackLabels, without_rare
from batch.model import blocks

ALBUM_SHRINKAGE = 0.2
"""Weight of the identity in the scatter within albums, 0 to 1."""
ALBUM_POWER = 0.25
ALBUM_POWER_IN_BLOCKS = 0.35
"""Of each of two blocks."""
GENRE_SHRINKAGE = 0.3
"""Weight of the identity in the scatter within genres, 0 to 1."""
GENRE_LENGTH = 0.5
"""Root mean square length of a track along the discriminant directions; along the others it is 1."""

Weights = tuple[float, ...]
"""A track's lengths in the blocks relative to each other, in the order of `blocks.BLOCKS`; a block of weight 0 is left out."""
Learner = Callable[[Floats, TrackLabels], Floats | None]
"""(standardised features, labels of the same tracks) → matrix [shape=(d, m)]; None: the identity."""


@dataclass(frozen=True)
class BlockScaling:
    """Columns of each block behind a metric, and a track's length in them: those of `Projection`."""

    widths: NDArray[np.int64]
    weights: Floats

    @classmethod
    def of(cls, block_lengths: tuple[int, ...], weights: Weights) -> BlockScaling | None:
        """The scaling behind each of `learners`, with the total length 1; None for one block."""
        if len(block_lengths) == 1:
            return None
        widths = np.array([length if weight else 0 for length, weight in zip(block_lengths, weights, strict=True)])
        return cls(widths, (np.array(weights) / np.linalg.norm(weights)).astype(np.float32))


def points(standardised: Floats, matrix: Floats | None, scaling: BlockScaling | None) -> Floats:
    """The points of standardised features [shape=(n, d)], of unit length: float32 [shape=(n, m)]."""
    mapped = np.empty(
        (len(standardised), standardised.shape[1] if matrix is None else matrix.shape[1]), dtype=np.float32
    )
    for part in row_blocks(len(standardised)):
        rows = standardised[part] if matrix is None else standardised[part] @ matrix
        mapped[part] = to_unit(rows if scaling is None else with_block_lengths(rows, scaling.widths, scaling.weights))
    return mapped


def learners(
    block_lengths: tuple[int, ...], weights: Weights, column_scales: Floats | None = None
) -> dict[str, Learner]:
    """The four metrics by name, simplest first, with the blocks at these weights.

    block_lengths : numbers of each block, one or two
    column_scales : of two blocks, see `blocks.column_scales` [shape=(d,)]; None: 1
    """
    if len(block_lengths) == 1:
        return {
            "plain": lambda standardised, tracks: None,
            "album": album_metric,
            "genre": lambda standardised, tracks: genre_metric(standardised, tracks, _identity(standardised)),
            "both": lambda standardised, tracks: genre_metric(standardised, tracks, album_metric(standardised, tracks)),
        }

    def plain(standardised: Floats, tracks: TrackLabels) -> Floats:
        return block_metric(standardised, tracks, block_lengths, weights, column_scales)

    def album(standardised: Floats, tracks: TrackLabels) -> Floats:
        whitening = partial(album_metric, power=ALBUM_POWER_IN_BLOCKS)
        return block_metric(standardised, tracks, block_lengths, weights, column_scales, whitening)

    return {
        "plain": plain,
        "album": album,
        "genre": lambda standardised, tracks: genre_metric(standardised, tracks, plain(standardised, tracks)),
        "both": lambda standardised, tracks: genre_metric(standardised, tracks, album(standardised, tracks)),
    }


def block_metric(
    standardised: Floats,
    tracks: TrackLabels,
    block_lengths: tuple[int, ...],
    weights: Weights,
    column_scales: Floats | None = None,
    learn: Callable[[Floats, TrackLabels], Floats] | None = None,
) -> Floats:
    """The metrics of the blocks side by side, float32 [shape=(d, m)], block-diagonal; a block of weight 0 has no columns.

    column_scales : factors of the standardised features before the metric [shape=(d,)]; None: 1
    learn : the metric of a block, such as `album_metric`; None: the identity
    """
    from scipy.linalg import block_diag

    scales = np.ones(standardised.shape[1], dtype=np.float32) if column_scales is None else column_scales
    matrices = []
    parts = blocks.split(standardised, block_lengths), blocks.split(scales[None], block_lengths)
    for block, scales_of_block, weight in zip(*parts, weights, strict=True):
        if weight:
            matrices.append(_identity(block) if learn is None else learn(block * scales_of_block, tracks))
        else:
            matrices.append(np.empty((block.shape[1], 0), dtype=np.float32))
    return np.asarray(scales[:, None] * block_diag(*matrices), dtype=np.float32)


def album_metric(standardised: Floats, tracks: TrackLabels, power: float = ALBUM_POWER) -> Floats:
    """W^-power of the scatter W within albums: float32 [shape=(d, d)]."""
    within, _ = _scatter(standardised, tracks.album, ALBUM_SHRINKAGE)
    values, vectors = np.linalg.eigh(within)
    return ((vectors * np.maximum(values, 1e-9) ** -power) @ vectors.T).astype(np.float32)


def genre_metric(standardised: Floats, tracks: TrackLabels, base: Floats, length: float = GENRE_LENGTH) -> Floats:
    """The base metric with the genres' discriminant directions beside it: float32 [shape=(d, m + genres - 1)].

    base : [shape=(d, m)]
    length : along the genres' directions, in root mean square lengths along the others
    """
    # Not scikit-learn's LinearDiscriminantAnalysis(solver="eigen"): it shrinks the scatter between genres as well, which gives
    # another matrix (precision 0.377 instead of 0.375 on unseen artists, within the error) and takes 2 to 3 times as long.
    from scipy.linalg import eigh

    genre = without_rare(tracks.genre, 3)
    within, between = _scatter(standardised, genre, GENRE_SHRINKAGE)
    count = len(np.unique(genre[genre >= 0])) - 1
    values, vectors = eigh(between, within, subset_by_index=(len(within) - count, len(within) - 1))
    directions = vectors[:, values > 1e-9].astype(np.float32)
    blocks = [base / _length(standardised, base), length * directions / _length(standardised, directions)]
    return np.hstack(blocks).astype(np.float32)


def _scatter(standardised: Floats, label: Labels, shrinkage: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scatter (within, between) groups of two or more tracks of a label: float64 [shape=(d, d)] each.

    shrinkage : of `within` towards a multiple of the identity, 0 to 1
    """
    label = without_rare(label, 2)
    rows = np.flatnonzero(label >= 0)
    _, group = np.unique(label[rows], return_inverse=True)
    sizes = np.bincount(group)
    d = standardised.shape[1]
    sums, within = np.zeros((len(sizes), d)), np.zeros((d, d))
    for part in row_blocks(len(rows)):
        np.add.at(sums, group[part], standardised[rows[part]].astype(np.float64))
    means = sums / sizes[:, None]
    for part in row_blocks(len(rows)):
        residuals = standardised[rows[part]] - means[group[part]]
        within += residuals.T @ residuals
    within /= max(1, len(rows) - len(sizes))
    within = (1 - shrinkage) * within + (shrinkage * np.trace(within) / d + 1e-6) * np.eye(d)
    centred = (means - sums.sum(axis=0) / len(rows)) * np.sqrt(sizes)[:, None]
    return within, centred.T @ centred / len(rows)


def _identity(standardised: Floats) -> Floats:
    return np.eye(standardised.shape[1], dtype=np.float32)


def _length(standardised: Floats, matrix: Floats) -> float:
    """Root mean square length of the mapped features, at least 1e-9."""
    squares = sum(
        float(np.square(standardised[part] @ matrix).sum(dtype=np.float64)) for part in row_blocks(len(standardised))
    )
    return max(float(np.sqrt(squares / len(standardised))), 1e-9)
