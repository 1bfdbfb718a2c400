"""Upkeep of the durable lane's tables between its batches: what has expired is removed, small files are written together."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from deltalake.exceptions import CommitFailedError

from batch.storage.compaction import compact
from streaming.profile.skip_rates import SKIP_RATES_TABLE, unreadable_errors
from streaming.sink.commits import DAY, Overtaken, delete, open_table
from streaming.sink.delta_append import LISTS_TABLE, MIXES_TABLE, REJECTED_TABLE, SCHEMAS, VALID_TABLE

if TYPE_CHECKING:
    from conf.settings import Lake

FIRST_COMPACTION_S = 120.0
"""After a start, so that short runs compact too."""
COMPACTED_TABLES = (*SCHEMAS, SKIP_RATES_TABLE)


class TableUpkeep:
    """Removes old days, each day once, and compacts at intervals. What another writer overtakes is done the next time.

    compact_minutes : interval of compaction, 0 for never
    """

    def __init__(self, lake: Lake, compact_minutes: float) -> None:
        self._lake = lake
        self._interval_s = 60 * compact_minutes
        self._compacted_at = time.monotonic() - max(0.0, self._interval_s - FIRST_COMPACTION_S)
        self._expired_on: date | None = None

    def do_when_due(self, now: datetime | None = None) -> None:
        """now : the present by default"""
        try:
            self._expire_when_due((now or datetime.now(UTC)).date())
            self._compact_when_due()
        except (CommitFailedError, Overtaken) as error:
            print(f"ledger: upkeep waits, another writer was first ({type(error).__name__})", flush=True)

    def _expire_when_due(self, today: date) -> None:
        if self._expired_on == today:
            return
        for name, days in kept_days(self._lake).items():
            table = open_table(self._lake.table(name))
            if not days or table is None or table.metadata().partition_columns != [DAY]:
                continue
            first = (today - timedelta(days=days)).isoformat()
            if any((partition[DAY] or first) < first for partition in table.partitions()):
                delete(table, f"{DAY} < '{first}'", "upkeep")
        self._expired_on = today

    def _compact_when_due(self) -> None:
        if not self._interval_s or time.monotonic() - self._compacted_at < self._interval_s:
            return
        self._compacted_at = time.monotonic()
        for name in COMPACTED_TABLES:
            try:
                self._compact(name)
            except (CommitFailedError, Overtaken):
                raise
            except unreadable_errors() as error:  # the other tables, and what is to be written, must not wait for this
                reason = (str(error).splitlines() or [""])[0]
                print(f"ledger: {self._lake.table(name)} cannot be compacted: {reason}", flush=True)

    def _compact(self, name: str) -> None:
        if (table := open_table(self._lake.table(name))) is not None:
            compact(table)


def kept_days(lake: Lake) -> dict[str, int]:
    """{table: days for which its rows are kept, 0 for good}"""
    return {
        VALID_TABLE: lake.keep_events_days,
        REJECTED_TABLE: lake.keep_rejected_days,
        LISTS_TABLE: lake.keep_lists_days,
        MIXES_TABLE: lake.keep_lists_days,
    }
