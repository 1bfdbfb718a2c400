"""The projection from features to points, and from points to sketches and hash keys.

features ─▶ standardised ─▶ @ metric ─▶ blocks to their lengths ─▶ unit length = point
point ─▶ @ components = sketch ─▶ ⌊(r·x + b) / bucket length⌋ ─▶ keys

A hash table ANDs several hashes, each as MLlib's BucketedRandomProjectionLSH computes it, into one key: a polynomial in the
bucket numbers. The values are fitted elsewhere (`batch.model.metric`, `batch.model.fit_index`) and only applied here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
"""Row numbers of an index."""

MAX_FEATURE = 1e18
"""Larger features are not used: their squares are beyond float32, and they are no measure of sound."""
MOST_DEVIATIONS = 1_000.0
"""How far a track that the training has not seen may lie from the mean in any feature, in standard deviations. Among n tracks
none lies further than the root of n (Samuelson, 1968): no library of less than a million has such a track. Of 1,990 tracks of
FMA none lies further than 15, and 99.99 % of the features within 10."""
LEAST_DEVIATION_SHARE = 0.1
"""A feature that hardly varies in the library counts as if it varied by this share of the median feature's deviation."""
ROWS_AT_ONCE = 2048
"""Rows of which what is computed from them is held at once, where the result is smaller."""
MIN_BLOCK_LENGTH = 1e-3
"""A shorter block is the mean but for rounding, as that of an imputed embedding: it has no direction. Others are near 10."""
_KEY_BASE = 0x100000001B3  # the FNV prime
_INT8_MAX = 127

_STORED_NAMES = {
    "mean": "mean",
    "deviation": "deviation",
    "components": "components",
    "directions": "directions",
    "offsets": "offsets",
    "width": "bucket_length",
    "metric": "metric",
    "unit": "unit_length",
    "probes": "probes",
    "shared": "min_collisions",
    "limit": "bucket_limit",
    "grain": "quantisation_step",
    "block_widths": "block_widths",
    "block_weights": "block_weights",
}
"""Member of space.npz → attribute of Projection."""
_REQUIRED = ("mean", "deviation", "components", "directions", "offsets", "width")
_SCALAR_TYPES = {"width": float, "unit": bool, "probes": int, "shared": int, "limit": int, "grain": float}


class FeaturesUnfit(ValueError):
    """The features are not of the length that the model was trained on, or not finite."""


@dataclass(frozen=True)
class Projection:
    """The fitted values, for d features, m dimensions of a point and p hashed components.

    mean, deviation : float32 [shape=(d,)], of the features; a feature that never varies has deviation 0 and is left out
    components : float32 [shape=(m, at least p)], principal components of the points; the first p of them are hashed
    directions : float32 [shape=(tables, hashes, p)], random directions
    offsets : float32 [shape=(tables, hashes)]
    bucket_length : of every hash, in units of the projected points
    metric : float32 [shape=(d, m)], applied to standardised features; None: the identity, m = d
    unit_length : whether points are scaled to length 1, so that Euclidean distance ranks as the cosine does
    probes : neighbouring buckets that a query looks into besides its own, in each hash table
    min_collisions : hash tables in which a track must share a bucket with a query to be its candidate, 1 or more
    bucket_limit : tracks that one bucket gives at most, those nearest along the first component; 0: all of them
    quantisation_step : of the int8 sketch; 0 keeps float32
    block_widths, block_weights : columns behind the metric of each block of the features (`batch.model.blocks`), and the length
        to which each point is brought in them [shape=(blocks,)]; None: one block
    """

    mean: Floats
    deviation: Floats
    components: Floats
    directions: Floats
    offsets: Floats
    bucket_length: float
    metric: Floats | None = None
    unit_length: bool = False
    probes: int = 0
    min_collisions: int = 1
    bucket_limit: int = 0
    quantisation_step: float = 0.0
    block_widths: NDArray[np.int64] | None = None
    block_weights: Floats | None = None

    def standardised(self, features: NDArray[np.floating]) -> Floats:
        """features : [shape=(n, d)]; returns float32 [shape=(n, d)] with mean 0 and deviation 1."""
        weight = np.divide(1.0, self.deviation, out=np.zeros_like(self.deviation), where=self.deviation > 0)
        return ((features - self.mean) * weight).astype(np.float32)

    def points(self, features: NDArray[np.floating]) -> Floats:
        """The points of tracks, float32 [shape=(n, m)].

        features : [shape=(n, d)]
        Raises FeaturesUnfit where there are not d features a track, or where one is not finite.
        """
        features = np.asarray(features)
        if features.ndim != 2 or features.shape[1] != len(self.mean):
            raise FeaturesUnfit(
                f"features of shape {features.shape}, the model was trained on {len(self.mean)} a track: "
                "train again, or extract with the version that it was trained on"
            )
        if not (np.abs(features) < MAX_FEATURE).all():  # false for nan
            raise FeaturesUnfit(
                f"features that are not finite numbers below {MAX_FEATURE:g}; extract these tracks again"
            )
        points = self.standardised(features)
        if self.metric is not None:
            points = points @ self.metric
        if self.block_widths is not None and self.block_weights is not None:
            points = with_block_lengths(points, self.block_widths, self.block_weights)
        return to_unit(points) if self.unit_length else points

    def points_of_new(self, features: NDArray[np.floating]) -> Floats:
        """As `points`, for tracks that the training has not seen.

        Raises FeaturesUnfit also where one lies further from the library than any track of a library can (MOST_DEVIATIONS).
        """
        points = self.points(features)
        varies = self.deviation > 0
        of_varying = self.deviation[varies]
        spread = (
            np.maximum(of_varying, LEAST_DEVIATION_SHARE * np.median(of_varying)) if len(of_varying) else of_varying
        )
        deviations = np.abs(np.asarray(features)[:, varies] - self.mean[varies]) / spread
        if (furthest := float(deviations.max(initial=0.0))) > MOST_DEVIATIONS:
            raise FeaturesUnfit(
                f"a feature lies {furthest:.3g} standard deviations from the mean, at most {MOST_DEVIATIONS:g} are taken; "
                "extract the track again, or train again with it"
            )
        return points

    def keys(self, points: Floats, probes: int = 0) -> NDArray[np.int64]:
        """Hash keys of points, int64 [shape=(tables, n, 1 + probes)], a point's own key first.

        points : [shape=(n, m)]
        probes : further keys, each of a bucket next to the point's own across the edge that the point lies nearest to: one
            bucket number changed by one (Lv et al., Multi-Probe LSH, 2007)
        """
        tables, hashes, p = self.directions.shape
        flat_directions = self.directions.reshape(tables * hashes, p).T
        powers = _key_powers(hashes)
        probes = min(probes, 2 * hashes)
        keys = np.empty((tables, len(points), 1 + probes), dtype=np.int64)
        for block in row_blocks(len(points)):
            projected = (points[block] @ self.components[:, :p]) @ flat_directions
            position = (projected + self.offsets.reshape(-1)) / self.bucket_length
            floor = np.floor(position)
            buckets = floor.astype(np.int64).reshape(-1, tables, hashes)
            own_keys = (buckets * powers).sum(axis=2, dtype=np.int64)  # modulo 2^64
            keys[:, block, 0] = own_keys.T
            if probes:
                inside = (position - floor).reshape(-1, tables, hashes)
                edges = np.concatenate([inside, 1 - inside], axis=2)  # to the bucket below, to the one above
                nearest_edges = np.argpartition(edges, probes - 1, axis=2)[:, :, :probes]
                step = np.concatenate([-powers, powers])
                keys[:, block, 1:] = (own_keys[:, :, None] + step[nearest_edges]).transpose(1, 0, 2)
        return keys

    def sketch(self, points: Floats) -> Floats:
        """All components of points in quantisation steps, not rounded: float32 [shape=(n, components)].

        In the sketch two points are never further apart than they are.
        """
        components = points @ self.components
        in_steps = components / self.quantisation_step if self.quantisation_step else components
        return np.ascontiguousarray(in_steps, dtype=np.float32)

    def stored_sketch(self, points: Floats) -> NDArray[np.float32] | NDArray[np.int8]:
        """The sketch as an index stores it: rounded to int8, a quarter of the memory, where there is a quantisation step."""
        sketch = self.sketch(points)
        if not self.quantisation_step:
            return sketch
        return np.clip(np.rint(sketch), -_INT8_MAX, _INT8_MAX).astype(np.int8)

    def first_component(self, points: Floats) -> Floats:
        """Positions of points along the first principal component, float32 [shape=(n,)]."""
        return np.ascontiguousarray(points @ self.components[:, 0], dtype=np.float32)

    def save(self, file: Path) -> None:
        """Writes the values that are not None as .npz, under the names of _STORED_NAMES."""
        values = {stored: getattr(self, attribute) for stored, attribute in _STORED_NAMES.items()}
        np.savez(file, **{stored: value for stored, value in values.items() if value is not None})

    @classmethod
    def open(cls, file: Path) -> Projection:
        """Reads what `save` wrote; a value that an older file lacks has its default.

        Raises OSError, ValueError or KeyError where the file holds no projection.
        """
        with np.load(file, allow_pickle=False) as archive:
            values: dict[str, Any] = {name: archive[name] for name in _STORED_NAMES if name in archive}
        missing = set(_REQUIRED) - set(values)
        if missing:
            raise KeyError(f"{file} lacks {', '.join(sorted(missing))}")
        for name, scalar_type in _SCALAR_TYPES.items():
            if name in values:
                values[name] = scalar_type(values[name])
        return cls(**{_STORED_NAMES[name]: value for name, value in values.items()})


def int8_quantisation_step(points: Floats, components: Floats) -> float:
    """The step with which int8 reaches the largest component of any of the points."""
    return max(float(np.abs(points @ components).max(initial=0.0)) / _INT8_MAX, 1e-12)


def row_blocks(n: int) -> Iterator[slice]:
    """Slices of at most ROWS_AT_ONCE of n rows."""
    return (slice(start, start + ROWS_AT_ONCE) for start in range(0, n, ROWS_AT_ONCE))


def mean_and_variance(rows: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(mean, variance) of each column, float64 [shape=(d,)] both, without a copy of the rows.  rows : [shape=(n, d)], n > 0"""
    mean = rows.mean(axis=0, dtype=np.float64)
    squares = np.zeros_like(mean)
    for block in row_blocks(len(rows)):
        squares += np.square(rows[block] - mean).sum(axis=0)
    return mean, squares / len(rows)


def to_unit(points: Floats) -> Floats:
    """Points scaled to length 1; one at the origin stays there."""
    length = np.linalg.norm(points, axis=-1, keepdims=True)
    return np.divide(points, length, out=np.zeros_like(points), where=length > 1e-12)


def with_block_lengths(points: Floats, widths: NDArray[np.int64], weights: Floats) -> Floats:
    """Points whose columns of each block have the block's weight as length; further columns stay as they are.

    points : [shape=(n, m)];  widths : columns of each block, from the first;  weights : of each block
    """
    scaled, start = points.copy(), 0
    for width, weight in zip(widths.tolist(), weights.tolist(), strict=True):
        columns = slice(start, start + width)
        is_mean = np.linalg.norm(points[:, columns], axis=1, keepdims=True) < MIN_BLOCK_LENGTH
        scaled[:, columns] = np.where(is_mean, 0, weight * to_unit(points[:, columns]))
        start += width
    return scaled


def _key_powers(hashes: int) -> NDArray[np.int64]:
    """The factors of the key's polynomial, first hash highest, modulo 2^64."""
    factors = [pow(_KEY_BASE, hashes - 1 - position, 2**64) for position in range(hashes)]
    return np.array(factors, dtype=np.uint64).view(np.int64)
