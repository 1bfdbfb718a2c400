"""An index's folder: its arrays read and held against each other, so that what is damaged is told when it is opened.

ids.npy, vectors.npy, scales.npy, artists.npy, names.npy, sketches.npy    by row, see `batch.index.lsh`
keys.npy, rows.npy, order.npy                                             the bands, see `batch.index.hash_tables`
space.npz                                                                 the space, see `batch.index.projection`
added/                                                                    what came since, see `batch.index.segments`
"""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch.index.projection import Space
from batch.index.segments import Segment

FILES = ("ids", "vectors", "scales", "artists", "keys", "rows")
LATER_FILES = ("names", "order", "sketches", "near")
"""Not there in format 1 as first written; `near` not in format 2 as first written."""

UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    EOFError,
    TypeError,
    SyntaxError,
    NotImplementedError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy raises over a damaged .npy or .npz."""


class ModelUnusable(ValueError):
    """The model version cannot be used: damaged, of another format, or of other features."""


class IndexUnreadable(ModelUnusable):
    """The folder does not hold an index that this version can open: it is missing, damaged, or of another format."""


def arrays(folder: Path) -> dict[str, NDArray[Any]]:
    """The arrays by name, mapped into memory. Raises one of UNREADABLE."""
    there = [name for name in (*FILES, *LATER_FILES) if name in FILES or (folder / f"{name}.npy").exists()]
    found = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in there}
    return {name: array.view(np.ndarray) for name, array in found.items()}  # slices quicker than a memmap


def save(folder: Path, values: dict[str, Any], space: Space) -> None:
    """Writes the arrays that are not None, and the space."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*FILES, *LATER_FILES):
        if values[name] is not None:
            np.save(folder / f"{name}.npy", values[name])
    space.save(folder / "space.npz")


def check(found: dict[str, NDArray[Any]], space: Space, since: Segment) -> None:
    """Raises ValueError, with the part's name and both shapes, where parts do not belong together."""
    for name, shape, expected in _shapes(found, space, since):
        if len(shape) != len(expected) or any(e is not None and s != e for s, e in zip(shape, expected, strict=True)):
            wanted = " × ".join("any" if one is None else str(one) for one in expected)
            raise ValueError(f"{name} has shape {' × '.join(map(str, shape))}, expected {wanted}")


def _shapes(
    found: dict[str, NDArray[Any]], space: Space, since: Segment
) -> Iterator[tuple[str, tuple[int, ...], tuple[int | None, ...]]]:
    """(name, its shape, what it should be; None for any)"""
    n = len(found["ids"])
    yield "mean in space.npz", space.mean.shape, (None,)
    d = len(space.mean)
    yield "deviation in space.npz", space.deviation.shape, (d,)
    yield "components in space.npz", space.components.shape, (None, None)
    m, components = space.components.shape
    metric = (d, d) if space.metric is None else space.metric.shape
    yield "metric in space.npz", metric, (d, m)
    yield "directions in space.npz", space.directions.shape, (None, None, None)
    bands, hashes, p = space.directions.shape
    if p > components:
        raise ValueError(f"directions in space.npz hash {p} components, there are {components}")
    yield "offsets in space.npz", space.offsets.shape, (bands, hashes)
    yield "ids.npy", found["ids"].shape, (n,)
    yield "vectors.npy", found["vectors"].shape, (n, m)
    yield "scales.npy", found["scales"].shape, (n,)
    yield "artists.npy", found["artists"].shape, (n,)
    yield "keys.npy", found["keys"].shape, (bands, n)
    yield "rows.npy", found["rows"].shape, (bands, n)
    if "order" in found:
        yield "order.npy", found["order"].shape, (n,)
    if "sketches" in found:
        yield "sketches.npy", found["sketches"].shape, (n, components)
    if "near" in found:
        yield "near.npy", found["near"].shape, (n, None)
    if "names" in found:
        yield "names.npy", found["names"].shape, (None,)
    added = len(since.ids)
    yield "points in added/", since.points.shape, (added, m)
    yield "scales in added/", since.scales.shape, (added,)
    yield "artists in added/", since.artists.shape, (added,)
