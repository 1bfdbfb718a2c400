"""What the player reads from Delta, by delta-rs and without Spark: newest tracks, rejections, one listener's rows.

It writes only to delete a listener's rows; the durable lane then decides again what it was about to append.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from batch.library.files import library_name
from batch.storage import objects
from conf.settings import Lake
from streaming.admission.named_listeners import named_listeners

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

MAX_RECENTLY_ADDED = 200
LISTENER_TABLES = ("listening_events", "recommendations", "mixes")
REFUSED_VALUES_TABLE = "rejected_events"
OTHER_TABLES = frozenset(
    {*LISTENER_TABLES, REFUSED_VALUES_TABLE, "tracks", "features", "rejected_tracks", "skip_rates"}
)
"""A replay may have written any other."""
DAY = "day"
"""The column by which the stream's tables are partitioned."""
DELETE_ATTEMPTS = 20
DELETE_RETRY_S = 0.2
OFFSETS_PER_DELETE = 1000


class LakeUnavailable(ConnectionError):
    """A table exists and cannot be read; the message says which and why."""


@dataclass(frozen=True)
class Rejections:
    """Rows of a table of rejections: how many, (reason, count) most frequent first, and the latest rows."""

    count: int
    reasons: tuple[tuple[str, int], ...]
    latest: tuple[dict[str, Any], ...]


NO_REJECTIONS = Rejections(0, (), ())
MAX_CACHED_REJECTIONS = 8
_rejections_by_state: dict[tuple[str, str, int, int, str], Rejections] = {}
"""Of states of tables: the service page asks every five seconds."""


def recently_added(lake: Lake, root: str) -> list[str]:
    """Ids of the library's newest tracks, latest first; empty where the table does not exist yet."""
    table = _table(lake, "tracks")
    if table is None:
        return []
    rows = table.to_pyarrow_table(columns=["track_id", "found_at", "gone_at", "library"])
    import pyarrow.compute as pc

    is_present = pc.is_null(rows["gone_at"])
    if root:
        is_present = pc.and_(is_present, pc.equal(rows["library"], library_name(root)))
    newest = rows.filter(is_present).sort_by([("found_at", "descending"), ("track_id", "ascending")])
    return [str(track_id) for track_id in newest["track_id"].slice(0, MAX_RECENTLY_ADDED).to_pylist()]


def rejected_tracks(lake: Lake, root: str, latest: int = 50) -> Rejections:
    """Files that extract could not use."""
    return _rejections(
        lake, "rejected_tracks", "rejected_at", ("path", "reason", "detail", "rejected_at"), latest, root
    )


def rejected_events(lake: Lake, latest: int = 50) -> Rejections:
    """Values on the listening topic that were not valid events, or were about no known track."""
    columns = ("reason", "bytes", "received_at", "partition", "offset")
    return _rejections(lake, REFUSED_VALUES_TABLE, "received_at", columns, latest)


def events_of(lake: Lake, user_id: str) -> Iterator[dict[str, Any]]:
    """A listener's events in the ledger by the day of their arrival, each day's oldest first."""
    return _listener_rows(lake, "listening_events", user_id, [("occurred_at", "ascending"), ("offset", "ascending")])


def lists_of(lake: Lake, user_id: str) -> Iterator[dict[str, Any]]:
    """A listener's recommendations, one row for each place of each list."""
    return _listener_rows(lake, "recommendations", user_id, [("generation", "ascending"), ("rank", "ascending")])


def mixes_of(lake: Lake, user_id: str) -> Iterator[dict[str, Any]]:
    """A listener's named lists, one row for each place of each list."""
    order = [("generated_at", "ascending"), ("list", "ascending"), ("rank", "ascending")]
    return _listener_rows(lake, "mixes", user_id, order)


def delete_rows(lake: Lake, user_id: str) -> int:
    """Deletes a listener's rows and returns their number. The old files are removed when the table is next vacuumed.

    A ledger that asked about deletions before this one was recorded does not commit after it (`streaming.sink.commits`).
    Raises OSError where a table stays busy.
    """
    escaped = user_id.replace("'", "''")  # in SQL the quote is the only character that ends a string
    of_listener = f"user_id = '{escaped}'"
    deleted = sum(_delete(lake, name, lambda _: [of_listener]) for name in LISTENER_TABLES)
    deleted += _delete(lake, REFUSED_VALUES_TABLE, lambda table: _values_of(table, user_id))
    for name in sorted(set(objects.names(lake.root, folders=True)) - OTHER_TABLES):  # those of replays
        deleted += _delete(
            lake,
            name,
            lambda table: [of_listener] if "user_id" in {field.name for field in table.schema().fields} else [],
        )
    return deleted


def _delete(lake: Lake, name: str, predicates_of: Callable[[DeltaTable], list[str]]) -> int:
    """Deletes the rows of any of the SQL predicates, and returns their number. Raises OSError where the table stays busy."""
    from streaming.sink.commits import Overtaken, delete

    deleted = 0
    for remaining_attempts in reversed(range(DELETE_ATTEMPTS)):
        table = _table(lake, name)
        if table is None:
            return deleted
        try:
            for predicate in predicates_of(table):
                deleted += delete(table, predicate)
            return deleted
        except Overtaken as error:  # another writer committed first
            if not remaining_attempts:
                raise OSError(f"{lake.table(name)} is busy; try again") from error
            time.sleep(DELETE_RETRY_S)
    return deleted


def _values_of(table: DeltaTable, user_id: str) -> list[str]:
    """SQL predicates of the refused values that name a listener; one that matches nothing where there are none."""
    offsets_by_partition: dict[tuple[str, int], list[int]] = defaultdict(list)
    columns = ["topic_id", "partition", "offset", "raw"]
    for batch in table.to_pyarrow_dataset().to_batches(columns=columns):
        for row in batch.to_pylist():
            if user_id in named_listeners(row["raw"] or b""):
                offsets_by_partition[row["topic_id"], row["partition"]].append(row["offset"])
    predicates = []
    for (topic_id, partition), offsets in offsets_by_partition.items():
        for first in range(0, len(offsets), OFFSETS_PER_DELETE):
            places = ", ".join(map(str, offsets[first : first + OFFSETS_PER_DELETE]))
            predicates.append(f"topic_id = '{topic_id}' AND partition = {partition} AND offset IN ({places})")
    # the commit is needed where there are none, too: a ledger that asked about deletions before cannot commit after it
    return predicates or ["false"]


def rows_of(table: DeltaTable, user_id: str, columns: list[str] | None = None) -> pa.Table:
    """A listener's rows of a table."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # The cast: files rewritten by a deletion hold large_string.
    is_listener = pc.field("user_id").cast(pa.string()) == user_id
    return table.to_pyarrow_dataset().to_table(columns=columns, filter=is_listener)


def _listener_rows(lake: Lake, name: str, user_id: str, order: list[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """A listener's rows, read day by day. Raises LakeUnavailable at once, OSError while they are read."""
    table = _table(lake, name)
    return iter(()) if table is None else _rows_by_day(table, user_id, order)


def _rows_by_day(table: DeltaTable, user_id: str, order: list[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    rows, is_listener = table.to_pyarrow_dataset(), pc.field("user_id").cast(pa.string()) == user_id
    filters = [is_listener]
    if table.metadata().partition_columns == [DAY]:  # a table of an earlier version is read at once
        days = sorted({partition[DAY] for partition in table.partitions()}, key=lambda day: day or "")
        dates = [None if day is None else date.fromisoformat(day) for day in days]
        filters = [
            is_listener & (pc.field(DAY).is_null() if day is None else pc.field(DAY) == pa.scalar(day)) for day in dates
        ]
    for is_wanted in filters:
        yield from rows.to_table(filter=is_wanted).sort_by(order).to_pylist()


def _rejections(
    lake: Lake, name: str, time_column: str, columns: tuple[str, ...], latest: int, root: str = ""
) -> Rejections:
    """The rejections in a table, read piece by piece; read again only once the table has changed.

    root : the library whose rows count; empty: all
    """
    table = _table(lake, name)
    if table is None:
        return NO_REJECTIONS
    state = (lake.table(name), str(table.metadata().id), table.version(), latest, root)
    rejections = _rejections_by_state.get(state)
    if rejections is None:
        rejections = _read_rejections(table, time_column, columns, latest, root)
        while len(_rejections_by_state) >= MAX_CACHED_REJECTIONS:
            _rejections_by_state.pop(next(iter(_rejections_by_state)), None)
        _rejections_by_state[state] = rejections
    return rejections


def _read_rejections(
    table: DeltaTable, time_column: str, columns: tuple[str, ...], latest: int, root: str
) -> Rejections:
    import pyarrow as pa
    import pyarrow.compute as pc

    is_in_library = pc.field("library").cast(pa.string()) == library_name(root) if root else None
    counts: Counter[str] = Counter()
    newest: list[dict[str, Any]] = []
    for batch in table.to_pyarrow_dataset().to_batches(columns=list(columns), filter=is_in_library):
        for reason in pc.value_counts(batch["reason"]).to_pylist():
            counts[str(reason["values"])] += int(reason["counts"])
        rows = batch.sort_by([(time_column, "descending")]).slice(0, latest).to_pylist()
        rows = [row for row in rows if row[time_column] is not None]
        newest = sorted([*newest, *rows], key=lambda row: row[time_column], reverse=True)[:latest]
    return Rejections(sum(counts.values()), tuple(counts.most_common()), tuple(newest))


def _table(lake: Lake, name: str) -> DeltaTable | None:
    """The table; None where it has not been written yet. Raises LakeUnavailable."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        return DeltaTable(lake.table(name))
    except (TableNotFoundError, FileNotFoundError):
        return None
    except (DeltaError, OSError) as error:
        raise LakeUnavailable(f"{lake.table(name)}: {(str(error).splitlines() or [''])[0][:200]}") from error
