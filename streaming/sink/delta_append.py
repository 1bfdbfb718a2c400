"""Appends rows to the durable lane's Delta tables, each row once, in small commits by delta-rs.

Each commit has an application transaction (Delta's `txn` action) for each partition of the topic: the last offset that it covers,
here called mark. The rejected events of a batch are committed first and the valid ones last, both with the end of the batch as
their mark. Offsets up to the mark of the valid ones are done, whatever a checkpoint says. Offsets between the two marks, after a
crash between the commits, were valid unless they are among the rejected ones. Lists are identified by listener and generation
instead, named lists by listener, name and time, since a list that was sent twice has two offsets.
"""

from __future__ import annotations

import time
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import TableNotFoundError
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from streaming.profile.skip_rates import SKIP_RATES_TABLE

if TYPE_CHECKING:
    from conf.settings import Lake

COMPACTED_FILE_BYTES = 64 * 1024 * 1024
FIRST_COMPACTION_S = 120.0
"""After a start, so that short runs compact too."""
VALID_TABLE = "listening_events"
REJECTED_TABLE = "rejected_events"
LISTS_TABLE = "recommendations"
MIXES_TABLE = "mixes"
TABLES = (VALID_TABLE, REJECTED_TABLE, LISTS_TABLE, MIXES_TABLE, SKIP_RATES_TABLE)


class Succession(NamedTuple):
    """The column by which lists of a table follow each other.

    owner : columns, equal for lists of which one replaces another
    order : column that grows from one to the next
    least : a list whose `order` is not above is none
    """

    owner: tuple[str, ...]
    order: str
    least: Any


SUCCESSION = {
    LISTS_TABLE: Succession(("user_id",), "generation", 0),
    MIXES_TABLE: Succession(("user_id", "list"), "generated_at", datetime.min.replace(tzinfo=UTC)),
}
Places = set[tuple[str, int, int]]
"""(topic id, partition, offset)"""


class DeltaAppender:
    """Appends to the tables of one lake. There must be no other appender: marks and last lists are read once and cached.

    compact_minutes : interval of compaction, 0 for never
    """

    def __init__(self, lake: Lake, compact_minutes: float) -> None:
        self.lake = lake
        self._compaction_interval_s = 60 * compact_minutes
        self._compacted_at = time.monotonic() - max(0.0, self._compaction_interval_s - FIRST_COMPACTION_S)
        self._marks: dict[str, dict[str, int]] = defaultdict(dict)
        self._lists: dict[str, dict[tuple[str, ...], Any]] = {}
        self._versions: dict[str, int] = {}

    def undecided(self, places: Places) -> tuple[Places, Places]:
        """(places that no batch has decided; places that a batch decided to be valid and did not write before a crash)."""
        valid, rejected = open_table(self.lake.table(VALID_TABLE)), open_table(self.lake.table(REJECTED_TABLE))
        new: Places = set()
        between_marks: Places = set()
        for topic_id, partition, offset in places:
            source = f"{topic_id}/{partition}"
            if offset > self._mark(VALID_TABLE, source, valid):
                is_new = offset > self._mark(REJECTED_TABLE, source, rejected)
                (new if is_new else between_marks).add((topic_id, partition, offset))
        return new, between_marks - _written_places(rejected, between_marks) if between_marks else between_marks

    def append_rows(
        self, name: str, rows: list[dict[str, Any]], schema: StructType, ends: dict[str, int] | None = None
    ) -> int:
        """Appends the rows after the table's mark; returns how many.

        rows : with topic_id, partition and offset
        ends : {"topic id/partition": last offset that is decided with these rows}, by default the last one of the rows
        """
        table = open_table(self.lake.table(name))
        new = [row for row in rows if row["offset"] > self._mark(name, _source(row), table)]
        if not new:
            return 0
        marks: dict[str, int] = dict(ends or {})
        for row in new:
            marks[_source(row)] = max(marks.get(_source(row), -1), row["offset"])
        arrow = pa.Table.from_pylist(new, schema=to_arrow_schema(schema, timezone="UTC"))
        self._append(name, arrow, table, [Transaction(source, offset) for source, offset in marks.items()])
        self._marks[name].update(marks)
        return len(new)

    def append_lists(self, name: str, items: pa.Table, schema: StructType) -> int:
        """Appends the items of lists that come after those of the table (SUCCESSION), each rank once; returns how many."""
        if not items.num_rows:
            return 0
        table = open_table(self.lake.table(name))
        succession, last = SUCCESSION[name], self._last_lists(name, table)
        owners = zip(*(items[column].to_pylist() for column in succession.owner), strict=True)
        are_new, latest = [], dict[tuple[str, ...], Any]()
        seen: set[tuple[tuple[str, ...], Any, int]] = set()
        for owner, order, rank in zip(
            owners, items[succession.order].to_pylist(), items["rank"].to_pylist(), strict=True
        ):
            is_new = order > last.get(owner, succession.least) and (owner, order, rank) not in seen
            seen.add((owner, order, rank))
            are_new.append(is_new)
            if is_new:
                latest[owner] = max(latest.get(owner, succession.least), order)
        new = items.filter(pa.array(are_new))
        if new.num_rows:
            self._append(name, new.cast(to_arrow_schema(schema, timezone="UTC")), table, [])
            last.update(latest)
        return int(new.num_rows)

    def compact_when_due(self) -> None:
        """Compacts the tables FIRST_COMPACTION_S after the start and then at intervals, and removes files of old versions."""
        if not self._compaction_interval_s or time.monotonic() - self._compacted_at < self._compaction_interval_s:
            return
        for name in TABLES:
            if (table := open_table(self.lake.table(name))) is not None:
                table.optimize.compact(target_size=COMPACTED_FILE_BYTES)
                table.vacuum(dry_run=False)  # files that no version of the last seven days needs
        self._compacted_at = time.monotonic()

    def _mark(self, name: str, source: str, table: DeltaTable | None) -> int:
        """The last offset of "topic id/partition" that the table covers; -1 for none."""
        marks = self._marks[name]
        if source not in marks:
            mark = None if table is None else table.transaction_version(source)
            marks[source] = mark if mark is not None else _last_offset(table, source)
        return marks[source]

    def _last_lists(self, name: str, table: DeltaTable | None) -> dict[tuple[str, ...], Any]:
        """{owner: `order` of the last list that the table has}, by SUCCESSION."""
        # Read again after a commit of another writer: it may have deleted a listener, who would start with generation 1 again.
        version = None if table is None else table.version()
        if name not in self._lists or version != self._versions.get(name):
            self._lists[name] = {}
            if table is not None:
                self._versions[name] = table.version()
                owner, order, _ = SUCCESSION[name]
                first = table.to_pyarrow_dataset().to_table(columns=[*owner, order], filter=pc.field("rank") == 1)
                latest = first.group_by(list(owner)).aggregate([(order, "max")])
                owners = zip(*(latest[column].to_pylist() for column in owner), strict=True)
                self._lists[name] = dict(zip(owners, latest[f"{order}_max"].to_pylist(), strict=True))
        return self._lists[name]

    def _append(self, name: str, rows: pa.Table, table: DeltaTable | None, marks: list[Transaction]) -> None:
        write_deltalake(
            self.lake.table(name) if table is None else table,
            rows,
            mode="append",
            schema_mode="merge",
            commit_properties=CommitProperties(app_transactions=marks or None),
        )
        if table is not None:
            self._versions[name] = table.version()


def _source(row: dict[str, Any]) -> str:
    return f"{row['topic_id']}/{row['partition']}"


def _written_places(table: DeltaTable | None, places: Places) -> Places:
    """The places that the table has rows of."""
    if table is None:
        return set()
    first = min(offset for *_, offset in places)
    rows = table.to_pyarrow_dataset().to_table(
        columns=["topic_id", "partition", "offset"], filter=pc.field("offset") >= first
    )
    columns = (rows["topic_id"].to_pylist(), rows["partition"].to_pylist(), rows["offset"].to_pylist())
    return places & set(zip(*columns, strict=True))


def open_table(location: str) -> DeltaTable | None:
    """The table; None where it has not been written yet."""
    try:
        return DeltaTable(location)
    except TableNotFoundError:
        return None


def _last_offset(table: DeltaTable | None, source: str) -> int:
    """The last offset in a table whose commits have no marks; -1 for none."""
    if table is None:
        return -1
    topic_id, _, partition = source.rpartition("/")
    rows = table.to_pyarrow_table(columns=["topic_id", "partition", "offset"])
    # files that a deletion has rewritten have a text type without comparison
    is_topic = pc.equal(rows["topic_id"].cast(pa.string()), topic_id)
    offsets = rows.filter(pc.and_(is_topic, pc.equal(rows["partition"], int(partition))))["offset"]
    return int(pc.max(offsets).as_py()) if len(offsets) else -1
