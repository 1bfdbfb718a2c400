"""Counts who skips and who finishes each track, from `listening_events` into the Delta table `skip_rates`. No Spark.

Listeners count, not events: each counts once for a track, by what they did more often, or last where they did both as often.
A count is one commit. It replaces the snapshot of its day and leaves those of the days before for replays.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError
from pyspark.sql.pandas.types import to_arrow_schema

from streaming.profile.skip_rates import SKIP_RATES_TABLE, snapshot, snapshot_days, unreadable_errors
from streaming.schemas import SKIP_RATES
from streaming.sink.commits import open_table
from streaming.sink.delta_append import VALID_TABLE

if TYPE_CHECKING:
    from conf.settings import Lake

ENDINGS = ("complete", "skip")
COUNTED_EVENTS = 2_000_000
"""The latest rows of `listening_events` that are looked at, and those that share their files: some seconds of one core."""
FIRST_COUNT_S = 120.0
"""After a start, as the first compaction."""
COUNT_COLUMNS = ["track_id", "skippers", "finishers"]


class SkipRateTimer:
    """Brings `skip_rates` up to date FIRST_COUNT_S after the start and then at intervals.

    minutes : the interval; 0 for never
    """

    def __init__(self, lake: Lake, minutes: float) -> None:
        self._lake = lake
        self._interval_s = 60 * minutes
        self._due_at = time.monotonic() + min(FIRST_COUNT_S, self._interval_s)

    def update_when_due(self) -> None:
        if self._interval_s and time.monotonic() >= self._due_at:
            try:
                update_skip_rates(self._lake)
            except CommitFailedError:
                pass  # another ledger has counted
            except unreadable_errors() as error:  # events and lists must not wait for this
                reason = (str(error).splitlines() or [""])[0]
                print(
                    f"ledger: the skips are not counted ({reason}); the next time is in {self._interval_s / 60:g} min. If this "
                    f"stays so, remove the folder {self._lake.table(SKIP_RATES_TABLE)}: it is counted anew from the events",
                    flush=True,
                )
            self._due_at = time.monotonic() + self._interval_s

    def update_when_old(self) -> None:
        """Counts unless the latest snapshot is younger than the interval; for a job that ends."""
        table = open_table(self._lake.table(SKIP_RATES_TABLE))
        latest = None if table is None else _latest_snapshot(table)
        counted_at = latest["as_of"][0].as_py() if latest else datetime.min.replace(tzinfo=UTC)
        if self._interval_s and (datetime.now(UTC) - counted_at).total_seconds() >= self._interval_s:
            update_skip_rates(self._lake)


def update_skip_rates(lake: Lake, now: datetime | None = None) -> bool:
    """Counts, and commits the counts where they differ from the latest ones; returns whether they do.

    now : time of the count; None: the present
    """
    events = open_table(lake.table(VALID_TABLE))
    if events is None:
        return False
    counts = listeners_by_track(latest_endings(events))
    table = open_table(lake.table(SKIP_RATES_TABLE))
    latest = None if table is None else _latest_snapshot(table)
    if not counts.num_rows or (latest is not None and _columns(latest) == _columns(counts)):
        return False
    now = now or datetime.now(UTC)
    schema = to_arrow_schema(SKIP_RATES, timezone="UTC")
    rows = pa.table(
        {
            **{name: counts[name] for name in COUNT_COLUMNS},
            "as_of": pa.array([now] * counts.num_rows, schema.field("as_of").type),
            "day": pa.array([now.astimezone(UTC).date()] * counts.num_rows, pa.date32()),
        },
        schema,
    )
    if table is None:
        write_deltalake(lake.table(SKIP_RATES_TABLE), rows, partition_by=["day"])
    else:
        predicate = f"day = '{now.astimezone(UTC).date().isoformat()}'"
        write_deltalake(table, rows, mode="overwrite", predicate=predicate, partition_by=["day"])
    return True


def latest_endings(events: DeltaTable, most: int = COUNTED_EVENTS) -> pa.Table:
    """(user_id, track_id, action, occurred_at) of the skips and completes among the latest rows of `listening_events`.

    most : rows looked at, and those that share their files
    """
    # The casts: files that a deletion has rewritten have a text type without comparison.
    wanted = pc.field("action").cast(pa.string()).isin(list(ENDINGS))
    if (first := _received_since(events, most)) is not None:
        wanted &= pc.field("received_at") >= first
    columns = ["user_id", "track_id", "action", "occurred_at"]
    rows = events.to_pyarrow_dataset().to_table(columns=columns, filter=wanted, use_threads=False)
    texts = {name: rows[name].cast(pa.string()) for name in columns[:3]}
    return pa.table({**texts, "occurred_at": rows["occurred_at"]})


def listeners_by_track(endings: pa.Table) -> pa.Table:
    """(track_id, skippers, finishers): listeners of each track who mostly skip it, and who mostly finish it; sorted.

    endings : of `latest_endings`
    """
    is_skip = pc.equal(endings["action"], "skip")
    times = endings["occurred_at"].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    listens = pa.table(
        {
            "user_id": endings["user_id"],
            "track_id": endings["track_id"],
            "skips": is_skip.cast(pa.int64()),
            "completes": pc.invert(is_skip).cast(pa.int64()),
            "skipped_at": pc.if_else(is_skip, times, None),
            "completed_at": pc.if_else(is_skip, None, times),
        }
    )
    sums = listens.group_by(["user_id", "track_id"], use_threads=False).aggregate(
        [("skips", "sum"), ("completes", "sum"), ("skipped_at", "max"), ("completed_at", "max")]
    )
    skips, completes = sums["skips_sum"], sums["completes_sum"]
    is_last = pc.greater(sums["skipped_at_max"], sums["completed_at_max"])  # null where one of them never happened
    is_tie = pc.and_kleene(pc.equal(skips, completes), is_last)
    skips_mostly = pc.or_(pc.greater(skips, completes), pc.fill_null(is_tie, False))
    listeners = pa.table(
        {
            "track_id": sums["track_id"],
            "skippers": skips_mostly.cast(pa.int64()),
            "finishers": pc.invert(skips_mostly).cast(pa.int64()),
        }
    )
    counts = listeners.group_by("track_id", use_threads=False).aggregate([("skippers", "sum"), ("finishers", "sum")])
    renamed = counts.select(["track_id", "skippers_sum", "finishers_sum"]).rename_columns(COUNT_COLUMNS)
    return renamed.sort_by("track_id")


def _received_since(events: DeltaTable, most: int) -> datetime | None:
    """The time from which on events are looked at; None for all. By the statistics of the table's files."""
    files = pa.table(events.get_add_actions(flatten=True))
    names = ("num_records", "min.received_at", "max.received_at")
    if not set(names) <= set(files.column_names) or any(files[name].null_count for name in names):
        return None
    rows, since = 0, None
    for count, first, _ in sorted(
        zip(*(files[name].to_pylist() for name in names), strict=True), key=lambda file: file[2], reverse=True
    ):
        if rows >= most:
            return since
        rows += count
        since = first if since is None else min(since, first)
    return None


def _latest_snapshot(table: DeltaTable) -> pa.Table | None:
    days = snapshot_days(table)
    return snapshot(table, days[-1]) if days else None


def _columns(counts: pa.Table) -> dict[str, list[object]]:
    ordered = counts.sort_by("track_id")
    return {name: ordered[name].to_pylist() for name in COUNT_COLUMNS}
