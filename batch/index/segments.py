"""Append-only segments of an index, with tombstones and compaction.

A segment is a .npz file in the index's folder `added/` with the tracks that were appended and the ids that were removed. It is
written whole and never changed. Segments are numbered; the latest one that names a track holds. Before there are MAX_SEGMENTS of
them they are compacted into one; what was compacted may be in use, and is deleted at the next compaction. One writer at a time (a
lock on the folder); any number of readers.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch.atomic import replacing
from batch.index.projection import Floats

SEGMENTS_FOLDER = "added"
MAX_SEGMENTS = 32
READ_ATTEMPTS = 10
STATE_PAUSE_S = 0.2
"""Between two attempts to read a segment that the folder does not show yet."""
_COMPACTED = "-whole"
"""Part of the name of a segment that holds all before it."""


class OtherState(RuntimeError):
    """The folder does not have, or no longer has, the segments that are to be read."""


@dataclass(frozen=True)
class Segment:
    """m appended tracks, sorted by id, and the ids of removed ones.

    ids : [shape=(m,)]
    points : float32 [shape=(m, dimensions)]
    scales : local scales, float32 [shape=(m,)]
    artists : casefolded names, "" for none [shape=(m,)]
    recordings : id of a track that each is one recording with, "" for the first of its recording [shape=(m,)]
    title_keys, durations : uint64 and float32 [shape=(m,)], see `batch.library.titles`
    tags : uint8 [shape=(m, words)], see `batch.words.tag_percentiles`; without columns where none are known
    removed_ids : [shape=(r,)]
    """

    ids: NDArray[np.str_]
    points: Floats
    scales: Floats
    artists: NDArray[np.str_]
    recordings: NDArray[np.str_]
    title_keys: NDArray[np.uint64]
    durations: Floats
    tags: NDArray[np.uint8]
    removed_ids: NDArray[np.str_]

    def __len__(self) -> int:
        """Appended tracks."""
        return len(self.ids)

    def subset(self, rows: NDArray[Any]) -> Segment:
        """These of the appended tracks alone.  rows : numbers or a mask"""
        by_row = {name: getattr(self, name)[rows] for name in BY_ROW}
        return Segment(**by_row, removed_ids=self.removed_ids[:0])


BY_ROW = ("ids", "points", "scales", "artists", "recordings", "title_keys", "durations", "tags")
"""The attributes of a segment that have a value for each track, which are their names in its file, too."""


class Stacked:
    """Two arrays read by row as if they were one: those of the training, then those of the segments.

    The first may be memory-mapped; it is not copied.
    """

    def __init__(self, first: NDArray[Any], second: NDArray[Any]) -> None:
        self.first, self.second = first, second
        self.shape = (len(first) + len(second), *first.shape[1:])
        self.dtype = first.dtype

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, key: Any) -> Any:
        n = len(self.first)
        if isinstance(key, (int, np.integer)):
            row = int(key) + len(self) * (key < 0)
            return self.first[row] if row < n else self.second[row - n]
        rows = np.arange(len(self))[key] if isinstance(key, slice) else np.asarray(key)
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        if not len(self.second):
            return self.first[rows]
        in_second = rows >= n
        if not in_second.any():
            return self.first[rows]
        values = self.first[np.where(in_second, 0, rows)] if n else self.second[np.zeros_like(rows)]
        if values.dtype != self.second.dtype:  # strings of another length
            values = values.astype(np.promote_types(values.dtype, self.second.dtype))
        values[in_second] = self.second[rows[in_second] - n]
        return values

    def take(self, rows: NDArray[np.integer], axis: int = 0) -> NDArray[Any]:
        """Rows by number, as numpy's `take`."""
        return np.asarray(self[rows])

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        values = np.concatenate([self.first, self.second])
        return values if dtype is None else values.astype(dtype)

    def tolist(self) -> list[Any]:
        return [*self.first.tolist(), *self.second.tolist()]


def empty(dimensions: int) -> Segment:
    no_strings = np.empty(0, dtype=np.str_)
    no_points = np.empty((0, dimensions), np.float32)
    no_numbers = np.empty(0, np.float32)
    no_tags = np.empty((0, 0), np.uint8)
    return Segment(
        no_strings,
        no_points,
        no_numbers,
        no_strings,
        no_strings,
        np.empty(0, np.uint64),
        no_numbers,
        no_tags,
        no_strings,
    )


def state(index_folder: Path) -> str:
    """Name of the latest segment, "" where there is none: changes with every append and remove. Costs one listing of a folder."""
    names = current_names(index_folder)
    return names[-1] if names else ""


def read(index_folder: Path, dimensions: int, state: str | None = None) -> Segment:
    """All segments merged into one.

    state : the latest segment to read; None: the latest that there is. Raises OtherState where the folder does not have it
    """
    folder = index_folder / SEGMENTS_FOLDER
    for attempt in range(READ_ATTEMPTS):
        names = current_names(index_folder, state)
        if state and names[-1:] != [state]:
            time.sleep(STATE_PAUSE_S)  # a shared folder may show a new file late
            continue
        try:
            return merged([_load(folder / name) for name in names], dimensions)
        except FileNotFoundError:  # compacted and deleted since the listing
            if attempt == READ_ATTEMPTS - 1:
                raise
    raise OtherState(f"{folder} does not have segment {state}, which the index must be read with: it has changed since")


def write(index_folder: Path, segment: Segment) -> str:
    """Writes one segment in one step, and compacts where there are many; returns the new state. Call it under `write_lock`."""
    folder = index_folder / SEGMENTS_FOLDER
    names = current_names(index_folder)
    compacts = len(names) + 1 >= MAX_SEGMENTS
    if compacts:
        segment = merged([*(_load(folder / name) for name in names), segment], segment.points.shape[1])
    number = 1 + (int(names[-1][:8]) if names else 0)
    name = f"{number:08d}{_COMPACTED if compacts else ''}.npz"
    stored: dict[str, Any] = {**{name: getattr(segment, name) for name in BY_ROW}, "removed": segment.removed_ids}
    with replacing(folder / name, durable=True) as part, part.open("wb") as file:
        np.savez(file, **stored)
    for older in sorted(folder.glob("[0-9]*.npz")) if compacts else ():
        if older.name < names[0]:
            older.unlink()
    return name


@contextmanager
def write_lock(index_folder: Path) -> Iterator[None]:
    """Waits until no other process writes segments of this index, and makes other writers wait."""
    folder = index_folder / SEGMENTS_FOLDER
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def current_names(index_folder: Path, state: str | None = None) -> list[str]:
    """Files of the segments that count, oldest first: the last compacted one and those after it.

    state : the latest segment that counts, "" for none of them; None: the latest that there is
    """
    try:
        files = os.listdir(index_folder / SEGMENTS_FOLDER)
    except FileNotFoundError:
        return []
    names = sorted(name for name in files if name.endswith(".npz") and name[0].isdigit())
    if state is not None:
        names = [name for name in names if name <= state]
    compacted = [position for position, name in enumerate(names) if _COMPACTED in name]
    return names[compacted[-1] :] if compacted else names


def _load(file: Path) -> Segment:
    with np.load(file, allow_pickle=False) as stored:
        m = len(stored["ids"])
        missing: dict[str, NDArray[Any]] = {  # as earlier versions wrote them
            "recordings": np.zeros(m, dtype=np.str_),
            "title_keys": np.zeros(m, dtype=np.uint64),
            "durations": np.full(m, np.nan, dtype=np.float32),
            "tags": np.zeros((m, 0), dtype=np.uint8),
        }
        by_row: dict[str, Any] = {name: stored[name] if name in stored else missing[name] for name in BY_ROW}
        return Segment(**by_row, removed_ids=stored["removed"])


def merged(segments: list[Segment], dimensions: int) -> Segment:
    """One segment with what the last of the given ones says of each id."""
    segments = segments or [empty(dimensions)]
    starts = np.cumsum([0, *(len(segment) for segment in segments)])
    latest_row: dict[str, int] = {}
    removed_ids: dict[str, None] = {}
    for start, segment in zip(starts, segments, strict=False):
        for track_id in segment.removed_ids.tolist():
            latest_row.pop(track_id, None)
            removed_ids[track_id] = None
        for row, track_id in enumerate(segment.ids.tolist(), start=int(start)):
            latest_row[track_id] = row
            removed_ids.pop(track_id, None)
    rows = np.array([latest_row[track_id] for track_id in sorted(latest_row)], dtype=np.int64)
    words = max(segment.tags.shape[1] for segment in segments)
    segments = [replace(segment, tags=with_columns(segment.tags, words)) for segment in segments]
    by_row = {name: np.concatenate([getattr(segment, name) for segment in segments])[rows] for name in BY_ROW}
    return Segment(**by_row, removed_ids=np.array(sorted(removed_ids), dtype=np.str_))


def with_columns(tags: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """The tags with so many columns: zeros where they have others, as segments of a version without tags."""
    return tags if tags.shape[1] == columns else np.zeros((len(tags), columns), dtype=np.uint8)


def stacked_recordings(
    segment: Segment,
    trained_ids: NDArray[np.str_],
    codes: NDArray[np.int32] | None,
    title_keys: NDArray[np.uint64] | None,
    durations: Floats | None,
) -> tuple[Stacked, Stacked, Stacked]:
    """(recordings, title keys, durations) of the training and of the appended tracks.

    codes, title_keys, durations : of the n tracks of the training; None, as in indexes of earlier versions: each track is alone
    """
    n = len(trained_ids)
    codes = np.arange(n, dtype=np.int32) if codes is None else codes
    title_keys = np.zeros(n, dtype=np.uint64) if title_keys is None else title_keys
    durations = np.full(n, np.nan, dtype=np.float32) if durations is None else durations
    return (
        Stacked(codes, recording_codes(segment, trained_ids, codes)),
        Stacked(title_keys, segment.title_keys),
        Stacked(durations, segment.durations),
    )


def recording_codes(
    segment: Segment, trained_ids: NDArray[np.str_], trained_codes: NDArray[np.int32]
) -> NDArray[np.int32]:
    """For each appended track the row of its recording's first track, int32 [shape=(m,)].

    trained_ids, trained_codes : of the training [shape=(n,)]; the appended tracks have the rows from n on
    The track that a representative's id names is the appended one where there is one, else that of the training, removed or not.
    """
    n = len(trained_ids)
    codes = np.arange(n, n + len(segment), dtype=np.int32)
    is_copy = np.char.str_len(segment.recordings) > 0
    if not is_copy.any():
        return codes
    row_by_id = {track_id: row for row, track_id in enumerate(segment.ids.tolist(), start=n)}
    groups: dict[int | str, list[int | str]] = {}
    for row, name in zip((np.flatnonzero(is_copy) + n).tolist(), segment.recordings[is_copy].tolist(), strict=True):
        representative: int | str = row_by_id.get(name, name)
        if representative == name and n:
            position = min(int(np.searchsorted(trained_ids, name)), n - 1)
            representative = int(trained_codes[position]) if trained_ids[position] == name else name
        first, second = groups.setdefault(row, [row]), groups.setdefault(representative, [representative])
        if first is not second:
            first.extend(second)
            groups.update(dict.fromkeys(second, first))
    for members in groups.values():
        rows = [member for member in members if isinstance(member, int)]
        for row in rows:
            if row >= n:
                codes[row - n] = min(rows)
    return codes
