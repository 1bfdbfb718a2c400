"""Skip rates of tracks over all listeners: a skip of a track that most listeners skip weighs less.

The durable lane counts them into the Delta table `skip_rates` (`streaming.sink.skip_rate_table`): for each track, how many
listeners mostly skip it and how many mostly finish it. The table has one snapshot a day; the latest one is brought up to date
while its day lasts. The fast lane takes up a new version of it between micro-batches, a replay the snapshots of its time.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

    from conf.settings import Lake, Taste

SKIP_RATES_TABLE = "skip_rates"
LOOK_INTERVAL_S = 30.0
"""The fast lane looks for a new version of the table this often."""
REREAD_AFTER_S = 30.0
"""A version that could not be read is read again after this long."""
Floats64 = NDArray[np.float64]


@dataclass(frozen=True)
class RatesVersion:
    """A version of the table `skip_rates`; the values travel to the workers, which read it by them."""

    location: str
    version: int


def skip_factors(skippers: Floats64, finishers: Floats64, taste: Taste) -> Floats64:
    """Each track's factor of the weight of a skip: 1 for a track that is skipped as often as the average.

    skippers, finishers : listeners who mostly skip or mostly finish a track [shape=(n,)]
    The factor is the track's completion rate over that of all tracks, at most `taste.skip_factor_most`. One of a track's
    listeners does not count, since it may be the one who skips now; each track's rate is smoothed with
    `taste.skip_rate_prior` listeners at the average rate.
    """
    listeners = skippers + finishers
    others = np.maximum(0.0, listeners - 1)
    skipping_others = skippers * others / np.maximum(listeners, 1)
    prior = taste.skip_rate_prior
    completion_rate = 1 - (skipping_others.sum() + 0.5 * prior) / (others.sum() + prior)
    skip_rates = (skipping_others + prior * (1 - completion_rate)) / (others + prior)
    return np.minimum(taste.skip_factor_most, (1 - skip_rates) / completion_rate)


def latest_version(lake: Lake) -> RatesVersion | None:
    """The table's latest version; None where there is no table. Raises DeltaError or OSError where the lake is unavailable."""
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    location = lake.table(SKIP_RATES_TABLE)
    try:
        return RatesVersion(location, DeltaTable(location).version())
    except (TableNotFoundError, FileNotFoundError):
        return None


def unreadable_errors() -> tuple[type[Exception], ...]:
    """What reading a table raises that is damaged, or in a lake that is away."""
    import pyarrow as pa
    from deltalake.exceptions import DeltaError

    return DeltaError, OSError, pa.ArrowException


def factors_of(rates: RatesVersion | None, taste: Taste) -> Mapping[str, float]:
    """{track id: `skip_factors`} of the latest snapshot in a version, without tracks whose factor is 1.

    Cached in the process. Empty where there is no version, or where it cannot be read: the fast lane goes on without the lake.
    """
    if rates is None or _unreadable_until.get(rates, 0.0) > time.monotonic():
        return {}
    try:
        factors = _read_factors(rates, taste)
    except unreadable_errors():
        _unreadable_until.clear()  # of other versions
        _unreadable_until[rates] = time.monotonic() + REREAD_AFTER_S
        return {}
    return factors


_unreadable_until: dict[RatesVersion, float] = {}


class LatestRates:
    """The version of the table that the fast lane uses: looked up by a thread, so that a slow lake holds up no micro-batch."""

    def __init__(self, lake: Lake, taste: Taste) -> None:
        self._lake = lake
        self._taste = taste
        self._rates: RatesVersion | None = None
        self._looked_at: float | None = None
        self._thread: threading.Thread | None = None

    def current(self) -> RatesVersion | None:
        """The latest version that could be read, as of LOOK_INTERVAL_S ago or later; None for none.

        The first call looks it up; later ones return at once what a thread has found.
        """
        if self._looked_at is None:
            self._looked_at = time.monotonic()
            self._look()
        elif time.monotonic() - self._looked_at >= LOOK_INTERVAL_S and not (self._thread and self._thread.is_alive()):
            self._looked_at = time.monotonic()
            self._thread = threading.Thread(target=self._look, name="skip-rates", daemon=True)
            self._thread.start()
        return self._rates

    def _look(self) -> None:
        """Takes up the latest version, with its factors in this process's cache; keeps the former where it cannot be read."""
        try:
            rates = latest_version(self._lake)
            if rates is not None and rates != self._rates:
                _read_factors(rates, self._taste)
        except unreadable_errors():
            return
        self._rates = rates


class PastFactors:
    """Factors as of several times.

    snapshots : (since when, {track id: factor}), earliest first
    """

    def __init__(self, snapshots: Sequence[tuple[datetime, Mapping[str, float]]]) -> None:
        self._since = [since.timestamp() for since, _ in snapshots]
        ids = dict.fromkeys(track_id for _, factors in snapshots for track_id in factors)
        self._column_by_id = {track_id: column for column, track_id in enumerate(ids)}
        self._factors = np.ones((len(snapshots), len(ids)), dtype=np.float32)
        for row, (_, factors) in enumerate(snapshots):
            columns = [self._column_by_id[track_id] for track_id in factors]
            self._factors[row, columns] = list(factors.values())

    def factor(self, track_id: str, when: datetime) -> float:
        """The factor of a skip of the track at that time; 1 where there was none yet."""
        row = bisect_right(self._since, when.timestamp()) - 1
        column = self._column_by_id.get(track_id)
        return 1.0 if row < 0 or column is None else float(self._factors[row, column])


@lru_cache(maxsize=1)
def past_factors(rates: RatesVersion | None, start: datetime, end: datetime, taste: Taste) -> PastFactors:
    """The factors from start to end, of all snapshots of that time and the one before it.

    An event of a day is served by the last snapshot of the day before it, or by that of its day where it came after it: the fast
    lane had counts that are at most a day newer.
    """
    if rates is None:
        return PastFactors([])
    from deltalake import DeltaTable

    table = DeltaTable(rates.location, version=rates.version)
    days = snapshot_days(table)
    last_before = max((day for day in days if day < start.astimezone(UTC).date()), default=date.min)
    snapshots = []
    for day in days:
        if last_before <= day <= end.astimezone(UTC).date():
            counts = snapshot(table, day)
            snapshots.append((counts["as_of"][0].as_py(), _factor_by_id(counts, taste)))
    return PastFactors(snapshots)


def snapshot_days(table: DeltaTable) -> list[date]:
    """The days of which a table `skip_rates` has a snapshot, in order."""
    return sorted({date.fromisoformat(partition["day"]) for partition in table.partitions()})


def snapshot(table: DeltaTable, day: date) -> pa.Table:
    """The rows (track_id, skippers, finishers, as_of) of a day's snapshot."""
    return table.to_pyarrow_table(columns=["track_id", "skippers", "finishers", "as_of"], filters=[("day", "=", day)])


@lru_cache(maxsize=2)
def _read_factors(rates: RatesVersion, taste: Taste) -> dict[str, float]:
    from deltalake import DeltaTable

    table = DeltaTable(rates.location, version=rates.version)
    days = snapshot_days(table)
    return _factor_by_id(snapshot(table, days[-1]), taste) if days else {}


def _factor_by_id(counts: pa.Table, taste: Taste) -> dict[str, float]:
    """{track id: factor} without tracks whose factor is 1.  counts : of one snapshot"""
    skippers, finishers = (counts[name].to_numpy().astype(np.float64) for name in ("skippers", "finishers"))
    factors = skip_factors(skippers, finishers, taste)
    ids, differs = counts["track_id"].to_pylist(), np.flatnonzero(np.abs(factors - 1) > 1e-9)
    return {ids[row]: factor for row, factor in zip(differs.tolist(), factors[differs].tolist(), strict=True)}
