"""The space of the benchmarks: standardised, hashed in 32 principal components, as the training makes it without labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

COMPONENTS = 32
HASH_TABLES = 32
HASHES_PER_TABLE = 10


def numbers(features: NDArray[np.float32]) -> tuple[Any, ...]:
    """(mean, deviation, components, directions, offsets, bucket length) of the features [shape=(n, d)]."""
    rng = np.random.default_rng(20)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    standardised = (features - mean) / np.where(deviation > 0, deviation, 1)
    _, sizes, axes = np.linalg.svd(standardised, full_matrices=False)
    count = min(COMPONENTS, features.shape[1])
    components = axes[:count].T.astype(np.float32)
    spread = float(np.sqrt((sizes[:count] ** 2).mean() / len(features)))
    directions = rng.normal(0, 1, (HASH_TABLES, HASHES_PER_TABLE, count)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    offsets = rng.uniform(0, 2 * spread, (HASH_TABLES, HASHES_PER_TABLE)).astype(np.float32)
    return mean, deviation, components, directions, offsets, 2 * spread
