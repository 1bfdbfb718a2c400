"""An index's folder: its arrays read and checked against each other, so that damage is reported when the index is opened.

ids.npy, vectors.npy, scales.npy, artists.npy, names.npy, sketches.npy, near.npy    by row, see `batch.index.lsh`
recordings.npy, title_keys.npy, durations.npy                                       by row, see `batch.index.recordings`
tags.npy, tag_names.npy                                                             see `batch.words.tag_percentiles`
keys.npy, rows.npy, order.npy                                                       see `batch.index.hash_tables`
space.npz                                                                           see `batch.index.projection`
added/                                                                              see `batch.index.segments`
"""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch.index.projection import Projection, Rows
from batch.index.segments import Segment, Stacked

REQUIRED_FILES = ("ids", "vectors", "scales", "artists", "keys", "rows")
OPTIONAL_FILES = ("names", "order", "sketches", "near", "recordings", "title_keys", "durations", "tags", "tag_names")
"""Missing in format 1 as first written; `near` and what follows also in format 2 as first written."""

FIELD_BY_FILE = {
    **{name: name for name in (*REQUIRED_FILES, *OPTIONAL_FILES) if name not in ("keys", "rows", "order")},
    "names": "artist_names",
    "near": "stored_neighbours",
}
"""Field of `batch.index.lsh.Index` by file name without suffix; the other files are its hash tables."""
BYTES_PER_CHARACTER = 4
"""Of numpy's strings."""

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
"""Exceptions that numpy raises for a damaged .npy or .npz."""

Shape = tuple[int, ...]
ExpectedShape = tuple[int | None, ...]


class ModelUnusable(ValueError):
    """The model version cannot be used: damaged, of another format, or of other features."""


class IndexUnreadable(ModelUnusable):
    """The folder does not hold an index that this version can open: it is missing, damaged, or of another format."""


def arrays(folder: Path) -> dict[str, NDArray[Any]]:
    """The arrays by file name without suffix, memory-mapped. Raises one of UNREADABLE."""
    optional = [name for name in OPTIONAL_FILES if (folder / f"{name}.npy").exists()]
    mapped = {
        name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        for name in (*REQUIRED_FILES, *optional)
    }
    return {name: array.view(np.ndarray) for name, array in mapped.items()}  # an ndarray slices faster than a memmap


def save(folder: Path, values: Mapping[str, Any], projection: Projection) -> None:
    """Writes the arrays that are not None, and the projection.

    values : by file name without suffix, all of REQUIRED_FILES and OPTIONAL_FILES
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*REQUIRED_FILES, *OPTIONAL_FILES):
        if values[name] is not None:
            np.save(folder / f"{name}.npy", values[name])
    projection.save(folder / "space.npz")


def check(arrays: Mapping[str, NDArray[Any]], projection: Projection, segment: Segment) -> None:
    """Raises ValueError with the part's name and both shapes where the parts do not belong together.

    arrays : by file name without suffix
    segment : all segments merged
    """
    for name, shape, expected in _shapes(arrays, projection, segment):
        fits = len(shape) == len(expected) and all(e is None or s == e for s, e in zip(shape, expected, strict=True))
        if not fits:
            expected_text = " × ".join("any" if size is None else str(size) for size in expected)
            raise ValueError(f"{name} has shape {' × '.join(map(str, shape))}, expected {expected_text}")


def _shapes(
    arrays: Mapping[str, NDArray[Any]], projection: Projection, segment: Segment
) -> Iterator[tuple[str, Shape, ExpectedShape]]:
    """(part, its shape, the expected one with None for any size)."""
    yield "mean in space.npz", projection.mean.shape, (None,)
    d = len(projection.mean)
    yield "deviation in space.npz", projection.deviation.shape, (d,)
    yield "components in space.npz", projection.components.shape, (None, None)
    m, components = projection.components.shape
    metric = (d, d) if projection.metric is None else projection.metric.shape
    yield "metric in space.npz", metric, (d, m)
    if projection.block_widths is not None:
        blocks = None if projection.block_weights is None else projection.block_weights.shape
        yield "block_weights in space.npz", blocks or (0,), projection.block_widths.shape
        if projection.block_widths.sum() > m:
            raise ValueError(f"block_widths in space.npz are {projection.block_widths.sum()} columns, there are {m}")
    yield "directions in space.npz", projection.directions.shape, (None, None, None)
    tables, hashes, p = projection.directions.shape
    if p > components:
        raise ValueError(f"directions in space.npz hash {p} components, there are {components}")
    yield "offsets in space.npz", projection.offsets.shape, (tables, hashes)
    n = len(arrays["ids"])
    expected_shapes: dict[str, ExpectedShape] = {
        "ids": (n,),
        "vectors": (n, m),
        "scales": (n,),
        "artists": (n,),
        "keys": (tables, n),
        "rows": (tables, n),
        "order": (n,),
        "sketches": (n, components),
        "near": (n, None),
        "recordings": (n,),
        "title_keys": (n,),
        "durations": (n,),
        "names": (None,),
        "tag_names": (None,),
        "tags": (n, len(arrays.get("tag_names", ()))),
    }
    for name, expected in expected_shapes.items():
        if name in arrays:
            yield f"{name}.npy", arrays[name].shape, expected
    appended = len(segment.ids)
    yield "points in added/", segment.points.shape, (appended, m)
    yield "scales in added/", segment.scales.shape, (appended,)
    yield "artists in added/", segment.artists.shape, (appended,)
    yield "recordings in added/", segment.recordings.shape, (appended,)
    yield "title_keys in added/", segment.title_keys.shape, (appended,)
    yield "durations in added/", segment.durations.shape, (appended,)
    yield "tags in added/", segment.tags.shape, (appended, None)


def positions_of_ids(ids: NDArray[np.str_] | Stacked, wanted_ids: Sequence[str]) -> Rows:
    """Position of each wanted id; -1 where it is not there.  ids : sorted, each part of stacked ones by itself"""
    if not len(ids) or not len(wanted_ids):
        return np.full(len(wanted_ids), -1, dtype=np.int64)
    longest = ids.dtype.itemsize // BYTES_PER_CHARACTER
    if isinstance(ids, Stacked):
        longest = max(longest, ids.second.dtype.itemsize // BYTES_PER_CHARACTER)
    # An array of strings is as wide as its longest one; of an id that is longer than all, nothing need be compared.
    wanted = np.array([each if len(each) <= longest else "" for each in wanted_ids], dtype=np.str_)
    if not isinstance(ids, Stacked):
        return positions(ids, wanted)
    of_second = positions(ids.second, wanted)
    return np.where(of_second >= 0, of_second + len(ids.first), positions(ids.first, wanted))


def positions(ids: NDArray[np.str_], wanted_ids: NDArray[np.str_]) -> Rows:
    """Position of each wanted id among sorted ones; -1 where it is not there."""
    if not len(ids):
        return np.full(len(wanted_ids), -1, dtype=np.int64)
    nearest = np.minimum(np.searchsorted(ids, wanted_ids), len(ids) - 1)
    return np.where(ids[nearest] == wanted_ids, nearest, -1)
