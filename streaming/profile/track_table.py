"""A small table of numbers by track id, as profiles hold and store it: ids in order, a float column each. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrackTable:
    """n tracks with some numbers each; changes return another table.

    ids : n track ids, each once
    values : [shape=(n, columns)]
    """

    ids: tuple[str, ...]
    values: Floats64

    @classmethod
    def empty(cls, columns: int) -> TrackTable:
        return cls((), np.empty((0, columns)))

    @classmethod
    def of(cls, ids: Sequence[str], columns: Iterable[Sequence[float] | Floats64]) -> TrackTable:
        """Raises ValueError where a column is not as long as the ids."""
        values = np.array([np.asarray(column, dtype=np.float64) for column in columns]).T
        if values.shape[0] != len(ids):
            raise ValueError(f"a table of {len(ids)} tracks has columns of {values.shape[0]} numbers")
        return cls(tuple(ids), np.ascontiguousarray(values))

    def __len__(self) -> int:
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TrackTable) and self.ids == other.ids and np.array_equal(self.values, other.values)

    @cached_property
    def position_by_id(self) -> dict[str, int]:
        """Row by track id, for many look-ups; for a few, `row` is quicker."""
        return {track_id: position for position, track_id in enumerate(self.ids)}

    def row(self, track_id: str) -> Floats64 | None:
        """The numbers of a track; None where the table lacks it."""
        position = self._position(track_id)
        return None if position is None else self.values[position]

    def _position(self, track_id: str) -> int | None:
        try:
            return self.ids.index(track_id)
        except ValueError:
            return None

    def column(self, number: int) -> Floats64:
        return self.values[:, number]

    def with_row(self, track_id: str, numbers: Sequence[float]) -> TrackTable:
        """The table with the numbers of one track replaced, or that track appended."""
        position = self._position(track_id)
        if position is None:
            return TrackTable((*self.ids, track_id), np.vstack([self.values, numbers]))
        values = self.values.copy()
        values[position] = numbers
        return TrackTable(self.ids, values)

    def without(self, track_ids: Iterable[str]) -> TrackTable:
        """The table without these tracks; those that it lacks are ignored."""
        dropped = {position for track_id in track_ids if (position := self._position(track_id)) is not None}
        if not dropped:
            return self
        return self.take([position for position in range(len(self)) if position not in dropped])

    def take(self, positions: Sequence[int] | NDArray[np.integer]) -> TrackTable:
        rows = np.asarray(positions, dtype=np.int64)
        return TrackTable(tuple(self.ids[position] for position in rows.tolist()), self.values[rows])

    def latest(self, most: int, column: int) -> TrackTable:
        """The `most` tracks with the largest numbers in a column, in the table's order; itself where it has no more."""
        if len(self) <= most:
            return self
        return self.take(np.sort(np.argsort(self.values[:, column], kind="stable")[-most:]))
