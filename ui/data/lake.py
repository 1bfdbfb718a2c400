"""What the player reads from Delta, by delta-rs: newest tracks, what was rejected, and one listener's events. No Spark.

It writes only to delete a listener's rows; the durable lane appends, which a deletion never stands in the way of.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batch.library.files import library_name
from conf.settings import Lake

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

MAX_FRESH = 200
MAX_ROWS = 1_000_000
"""Of a table at most so many of a listener's rows are read, the latest."""
PERSONAL = ("listening_events", "recommendations")
TRIES = 5


class LakeUnavailable(ConnectionError):
    """A table is there and cannot be read; the message says which and why."""


@dataclass(frozen=True)
class Rejected:
    """How many rows there are for each reason, most first, and the latest of them."""

    count: int
    reasons: tuple[tuple[str, int], ...]
    latest: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Rows:
    """A listener's rows of a table, the latest of `count`."""

    rows: list[dict[str, Any]]
    count: int

    @property
    def left_out(self) -> int:
        return self.count - len(self.rows)


NOTHING = Rejected(0, (), ())


def fresh(lake: Lake, root: str) -> list[str]:
    """Ids of the tracks that were found last, latest first; none where there is no such table (yet)."""
    table = _table(lake, "tracks")
    if table is None:
        return []
    rows = table.to_pyarrow_table(columns=["track_id", "found_at", "gone_at", "library"])
    import pyarrow.compute as pc

    is_here = pc.is_null(rows["gone_at"])
    if root:
        is_here = pc.and_(is_here, pc.equal(rows["library"], library_name(root)))
    here = rows.filter(is_here).sort_by([("found_at", "descending"), ("track_id", "ascending")])
    return [str(track_id) for track_id in here["track_id"].slice(0, MAX_FRESH).to_pylist()]


def rejected_tracks(lake: Lake, root: str, latest: int = 50) -> Rejected:
    """Files that extract could not use."""
    table = _table(lake, "rejected_tracks")
    if table is None:
        return NOTHING
    rows = table.to_pyarrow_table(columns=["library", "path", "reason", "detail", "rejected_at"])
    if root:
        import pyarrow.compute as pc

        rows = rows.filter(pc.equal(rows["library"], library_name(root)))
    return _counted(rows, "rejected_at", ("path", "reason", "detail", "rejected_at"), latest)


def rejected_events(lake: Lake, latest: int = 50) -> Rejected:
    """Values on the listening topic that were no events, or about no track."""
    table = _table(lake, "rejected_events")
    if table is None:
        return NOTHING
    rows = table.to_pyarrow_table(columns=["reason", "bytes", "received_at", "partition", "offset"])
    return _counted(rows, "received_at", ("reason", "bytes", "received_at", "partition", "offset"), latest)


def events_of(lake: Lake, user_id: str) -> Rows:
    """A listener's events as the ledger keeps them, oldest first."""
    return _of(lake, "listening_events", user_id, [("occurred_at", "ascending"), ("offset", "ascending")])


def lists_of(lake: Lake, user_id: str) -> Rows:
    """A listener's lists, row by row."""
    return _of(lake, "recommendations", user_id, [("generation", "ascending"), ("rank", "ascending")])


def forget(lake: Lake, user_id: str) -> int:
    """Deletes a listener's rows; returns how many. The files that held them go when the table is next vacuumed.

    Raises OSError where a table stays too busy.
    """
    from deltalake.exceptions import CommitFailedError

    quoted = user_id.replace("'", "''")  # the one sign that ends a string in SQL
    deleted = 0
    for name in PERSONAL:
        for left in reversed(range(TRIES)):
            table = _table(lake, name)
            if table is None:
                break
            try:
                deleted += int(table.delete(f"user_id = '{quoted}'").get("num_deleted_rows") or 0)
                break
            except CommitFailedError as error:  # another writer was quicker
                if not left:
                    raise OSError(f"{lake.table(name)} is busy; try again") from error
                time.sleep(0.2)
    return deleted


def _of(lake: Lake, name: str, user_id: str, order: list[tuple[str, str]]) -> Rows:
    table = _table(lake, name)
    if table is None:
        return Rows([], 0)
    rows = rows_of(table, user_id)
    first = max(0, len(rows) - MAX_ROWS)
    return Rows(rows.sort_by(order).slice(first).to_pylist(), len(rows))


def rows_of(table: DeltaTable, user_id: str, columns: list[str] | None = None) -> pa.Table:
    """A listener's rows. Files that a deletion has written anew hold another kind of string, hence the cast."""
    import pyarrow as pa
    import pyarrow.compute as pc

    is_theirs = pc.field("user_id").cast(pa.string()) == user_id
    return table.to_pyarrow_dataset().to_table(columns=columns, filter=is_theirs)


def _counted(rows: pa.Table, at: str, shown: tuple[str, ...], latest: int) -> Rejected:
    counts = rows.group_by("reason").aggregate([("reason", "count")]).sort_by([("reason_count", "descending")])
    newest = rows.sort_by([(at, "descending")]).select(list(shown)).slice(0, latest)
    named = zip(counts["reason"].to_pylist(), counts["reason_count"].to_pylist(), strict=True)
    return Rejected(len(rows), tuple((str(reason), int(count)) for reason, count in named), tuple(newest.to_pylist()))


def _table(lake: Lake, name: str) -> DeltaTable | None:
    """The table, None where it has not been written yet. Raises LakeUnavailable."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        return DeltaTable(lake.table(name))
    except (TableNotFoundError, FileNotFoundError):
        return None
    except (DeltaError, OSError) as error:
        raise LakeUnavailable(f"{lake.table(name)}: {(str(error).splitlines() or [''])[0][:200]}") from error
