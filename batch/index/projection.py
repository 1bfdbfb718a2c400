"""From a track's features to a point, where distance means unlikeness, and from there to the buckets that find near points.

features ─▶ standardised ─▶ @ metric ─▶ unit length = point ─▶ @ components = sketch ─▶ floor((r·x + b) / width) ─▶ band keys

A band ANDs several hashes, each as MLlib's BucketedRandomProjectionLSH computes it, into one key: a polynomial in the bucket
numbers. What the numbers are is learned elsewhere (`batch.model.metric_learning`, `batch.model.fit_index`); here they are
only used.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_BLOCK = 8192
_BASE = 0x100000001B3


class FeaturesUnfit(ValueError):
    """Features that the model was not trained on: of another number, or not finite."""


@dataclass(frozen=True)
class Space:
    """The numbers of a space, of d features, m dimensions of a point and p hashed components.

    mean, deviation : float32 [shape=(d,)], of the features; a feature that never varies has deviation 0 and is left out
    metric : float32 [shape=(d, m)], what standardised features are multiplied by; None: they are the point, m = d
    unit : points are brought to unit length, so that Euclidean distance ranks as the cosine does
    components : float32 [shape=(m, at least p)], principal components of the points; bands hash in the first p of them
    directions : float32 [shape=(bands, hashes, p)];  offsets : float32 [shape=(bands, hashes)];  width : bucket length
    probes : neighbouring buckets that a query looks into besides its own, in each band
    shared : bands in which a track must share a bucket with a query to be its candidate
    limit : tracks that one bucket gives at most, those nearest along the first component; 0: all of them
    grain : of the sketch, which is kept in steps of it; 0: as it is
    """

    mean: Floats
    deviation: Floats
    components: Floats
    directions: Floats
    offsets: Floats
    width: float
    metric: Floats | None = None
    unit: bool = False
    probes: int = 0
    shared: int = 1
    limit: int = 0
    grain: float = 0.0

    def standardised(self, features: NDArray[np.floating]) -> Floats:
        """features : [shape=(n, d)]; returns float32 [shape=(n, d)] with mean 0 and deviation 1."""
        weight = np.divide(1.0, self.deviation, out=np.zeros_like(self.deviation), where=self.deviation > 0)
        return ((features - self.mean) * weight).astype(np.float32)

    def points(self, features: NDArray[np.floating]) -> Floats:
        """features : [shape=(n, d)]; returns float32 [shape=(n, m)]. Raises FeaturesUnfit."""
        features = np.asarray(features)
        if features.ndim != 2 or features.shape[1] != len(self.mean):
            raise FeaturesUnfit(
                f"features of shape {features.shape}, the model was trained on {len(self.mean)} a track: "
                "train again, or extract with the version that it was trained on"
            )
        if not np.isfinite(features).all():
            raise FeaturesUnfit("features that are not finite; extract these tracks again")
        points = self.standardised(features)
        if self.metric is not None:
            points = points @ self.metric
        return to_unit(points) if self.unit else points

    def keys(self, points: Floats, probes: int = 0) -> NDArray[np.int64]:
        """points : [shape=(n, m)]; returns int64 [shape=(bands, n, 1 + probes)], a point's own key first.

        A probe is the key with one bucket number changed by one, where the point lies nearest to that bucket's edge (Lv et
        al., Multi-Probe LSH, 2007).
        """
        bands, hashes, p = self.directions.shape
        flat = self.directions.reshape(bands * hashes, p).T
        power = _powers(hashes)
        probes = min(probes, 2 * hashes)
        keys = np.empty((bands, len(points), 1 + probes), dtype=np.int64)
        for start in range(0, len(points), _BLOCK):
            block = slice(start, start + _BLOCK)
            place = ((points[block] @ self.components[:, :p]) @ flat + self.offsets.reshape(-1)) / self.width
            floor = np.floor(place)
            buckets = floor.astype(np.int64).reshape(-1, bands, hashes)
            own = (buckets * power).sum(axis=2, dtype=np.int64)  # modulo 2^64
            keys[:, block, 0] = own.T
            if probes:
                inside = (place - floor).reshape(-1, bands, hashes)
                edges = np.concatenate([inside, 1 - inside], axis=2)  # to the bucket below, to the one above
                nearest = np.argpartition(edges, probes - 1, axis=2)[:, :, :probes]
                step = np.concatenate([-power, power])
                keys[:, block, 1:] = (own[:, :, None] + step[nearest]).transpose(1, 0, 2)
        return keys

    def sketch(self, points: Floats) -> Floats:
        """All components of points, in grains: float32 [shape=(n, components)]. Never further apart than the points are."""
        components = points @ self.components
        return np.ascontiguousarray(components / self.grain if self.grain else components, dtype=np.float32)

    def sketches(self, points: Floats) -> NDArray[np.float32] | NDArray[np.int8]:
        """The sketches that an index keeps: int8, a quarter of the memory to fetch, where there is a grain."""
        exact = self.sketch(points)
        return np.clip(np.rint(exact), -127, 127).astype(np.int8) if self.grain else exact

    def order(self, points: Floats) -> Floats:
        """Where points lie along the first component: float32 [shape=(n,)]."""
        return np.ascontiguousarray(points @ self.components[:, 0], dtype=np.float32)

    def save(self, file: Path) -> None:
        stored = {name: value for name in Space.__dataclass_fields__ if (value := getattr(self, name)) is not None}
        np.savez(file, **stored)

    @classmethod
    def open(cls, file: Path) -> Space:
        """Raises OSError, ValueError or KeyError where the file holds no space. What an older file lacks has its default."""
        with np.load(file, allow_pickle=False) as stored:
            values: dict[str, Any] = {name: stored[name] for name in Space.__dataclass_fields__ if name in stored}
        missing = {"mean", "deviation", "components", "directions", "offsets", "width"} - set(values)
        if missing:
            raise KeyError(f"{file} lacks {', '.join(sorted(missing))}")
        for name, kind in (
            ("width", float),
            ("unit", bool),
            ("probes", int),
            ("shared", int),
            ("limit", int),
            ("grain", float),
        ):
            if name in values:
                values[name] = kind(values[name])
        return cls(**values)


def grain_of(points: Floats, components: Floats) -> float:
    """The grain with which int8 reaches as far as any of the points' components."""
    return max(float(np.abs(points @ components).max(initial=0.0)) / 127, 1e-12)


def to_unit(points: Floats) -> Floats:
    """Points brought to length 1; one at the origin stays there."""
    length = np.linalg.norm(points, axis=-1, keepdims=True)
    return np.divide(points, length, out=np.zeros_like(points), where=length > 1e-12)


def _powers(hashes: int) -> NDArray[np.int64]:
    """The polynomial's factors, first hash highest, modulo 2^64."""
    factors = [pow(_BASE, hashes - 1 - h, 2**64) for h in range(hashes)]
    return np.array(factors, dtype=np.uint64).view(np.int64)
