"""What happened to an index since it was trained: segments of tracks that were added, and of ids that were removed.

A segment is a .npz file in the index's folder `added/`, written whole and never changed. They are numbered; the later one
holds where two speak of a track. When there are many they are written together as one, and the older ones deleted.
One writer at a time (a lock on the folder); any number of readers.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch.index.projection import Floats

FOLDER = "added"
MOST_SEGMENTS = 32
_WHOLE = "-whole"
_ATTEMPTS = 10


@dataclass(frozen=True)
class Segment:
    """m tracks that came, sorted by id, and the ids that went.

    ids : [shape=(m,)];  points : float32 [shape=(m, dimensions)];  scales : float32 [shape=(m,)];  artists : folded names, ""
    for none [shape=(m,)];  removed : ids [shape=(r,)]
    """

    ids: NDArray[np.str_]
    points: Floats
    scales: Floats
    artists: NDArray[np.str_]
    removed: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.ids)


class Stacked:
    """Two arrays, one behind the other, read by row as if they were one. The first may be memory-mapped and is not copied."""

    def __init__(self, first: NDArray[Any], second: NDArray[Any]) -> None:
        self.first, self.second = first, second
        self.shape = (len(first) + len(second), *first.shape[1:])
        self.dtype = first.dtype

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, at: Any) -> Any:
        n = len(self.first)
        if isinstance(at, (int, np.integer)):
            at = int(at) + len(self) * (at < 0)
            return self.first[at] if at < n else self.second[at - n]
        rows = np.arange(len(self))[at] if isinstance(at, slice) else np.asarray(at)
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        if not len(self.second):
            return self.first[rows]
        is_second = rows >= n
        if not is_second.any():
            return self.first[rows]
        found = self.first[np.where(is_second, 0, rows)] if n else self.second[np.zeros_like(rows)]
        if found.dtype != self.second.dtype:  # strings of another length
            found = found.astype(np.promote_types(found.dtype, self.second.dtype))
        found[is_second] = self.second[rows[is_second] - n]
        return found

    def take(self, rows: NDArray[np.integer], axis: int = 0) -> NDArray[Any]:
        """Rows by number, as numpy's `take`."""
        return np.asarray(self[rows])

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        whole = np.concatenate([self.first, self.second])
        return whole if dtype is None else whole.astype(dtype)

    def tolist(self) -> list[Any]:
        return [*self.first.tolist(), *self.second.tolist()]


def empty(dimensions: int) -> Segment:
    none = np.empty(0, dtype=np.str_)
    return Segment(none, np.empty((0, dimensions), np.float32), np.empty(0, np.float32), none, none)


def state(index: Path) -> str:
    """Changes whenever something was added or removed; "" where nothing ever was. Costs one listing of a folder."""
    names = _names(index)
    return names[-1] if names else ""


def read(index: Path, dimensions: int) -> Segment:
    """All segments as one."""
    for _ in range(_ATTEMPTS):
        try:
            return merged([_load(index / FOLDER / name) for name in _names(index)], dimensions)
        except FileNotFoundError:  # written together and deleted while we read
            continue
    return merged([_load(index / FOLDER / name) for name in _names(index)], dimensions)


def write(index: Path, segment: Segment) -> str:
    """Writes one segment, all of it or nothing; returns the new state. Call it under `writing`."""
    folder = index / FOLDER
    names = _names(index)
    together = len(names) + 1 >= MOST_SEGMENTS
    if together:
        segment = merged([*(_load(folder / name) for name in names), segment], segment.points.shape[1])
    number = 1 + (int(names[-1][:8]) if names else 0)
    name = f"{number:08d}{_WHOLE if together else ''}.npz"
    part = folder / ".part"
    with part.open("wb") as file:
        np.savez(file, **vars(segment))
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, folder / name)
    for old in sorted(folder.glob("[0-9]*.npz")) if together else ():
        if old.name < name:
            old.unlink()
    return name


@contextmanager
def writing(index: Path) -> Iterator[None]:
    """Waits until no other process adds to this index, and keeps the others waiting."""
    folder = index / FOLDER
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _names(index: Path) -> list[str]:
    """The segments that count, oldest first: the last one that holds all before it, and those after it."""
    try:
        names = sorted(name for name in os.listdir(index / FOLDER) if name.endswith(".npz") and name[0].isdigit())
    except FileNotFoundError:
        return []
    wholes = [at for at, name in enumerate(names) if _WHOLE in name]
    return names[wholes[-1] :] if wholes else names


def _load(file: Path) -> Segment:
    with np.load(file, allow_pickle=False) as stored:
        return Segment(**{name: stored[name] for name in Segment.__dataclass_fields__})


def merged(segments: list[Segment], dimensions: int) -> Segment:
    """Of each id, what the last segment says."""
    segments = segments or [empty(dimensions)]
    ids = np.concatenate([s.ids for s in segments])
    starts = np.cumsum([0, *(len(s) for s in segments)])
    latest: dict[str, int] = {}
    removed: dict[str, None] = {}
    for start, segment in zip(starts, segments, strict=False):
        for track_id in segment.removed.tolist():
            latest.pop(track_id, None)
            removed[track_id] = None
        for at, track_id in enumerate(segment.ids.tolist(), start=int(start)):
            latest[track_id] = at
            removed.pop(track_id, None)
    rows = np.array([latest[track_id] for track_id in sorted(latest)], dtype=np.int64)
    return Segment(
        ids[rows],
        np.concatenate([s.points for s in segments])[rows],
        np.concatenate([s.scales for s in segments])[rows],
        np.concatenate([s.artists for s in segments])[rows],
        np.array(sorted(removed), dtype=np.str_),
    )
