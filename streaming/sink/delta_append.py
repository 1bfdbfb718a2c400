"""Appends rows to the durable lane's Delta tables, each row once, in small commits by delta-rs.

Each commit has an application transaction (Delta's `txn` action) for each partition of the topic: the last offset that it covers,
here called mark. The rejected events of a batch are committed first, also where there are none, and the valid ones last, both
with the end of the batch as their mark: the first commit says who has decided the batch. Offsets up to the mark of the valid
ones are done, whatever a checkpoint says. Offsets between the two marks, after a crash between the commits, were valid
unless they are among the rejected ones. A list that was sent twice has two offsets: it is known by its listener, generation
and time, a named list by listener, name and time.

Marks and lists are those of the tables as `read` found them, and nothing is committed over what another writer has committed
since (`streaming.sink.commits`).
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from streaming.schemas import LISTENING_EVENTS, MIXES, RECOMMENDATIONS, REJECTED_EVENTS
from streaming.sink.commits import (
    DAY,
    append,
    has_other_ledger,
    open_table,
    rewrite,
)

if TYPE_CHECKING:
    from conf.settings import Lake

VALID_TABLE = "listening_events"
REJECTED_TABLE = "rejected_events"
LISTS_TABLE = "recommendations"
MIXES_TABLE = "mixes"
SCHEMAS = {
    VALID_TABLE: LISTENING_EVENTS,
    REJECTED_TABLE: REJECTED_EVENTS,
    LISTS_TABLE: RECOMMENDATIONS,
    MIXES_TABLE: MIXES,
}
TIME_COLUMNS = {
    VALID_TABLE: "received_at",
    REJECTED_TABLE: "received_at",
    LISTS_TABLE: "generated_at",
    MIXES_TABLE: "generated_at",
}
"""The time whose date is a row's day."""
LIST_KEYS = {
    LISTS_TABLE: ("user_id", "generation", "generated_at", "rank"),
    MIXES_TABLE: ("user_id", "list", "generated_at", "rank"),
}
STATISTICS_PRECISION = timedelta(seconds=1)
"""A Delta log has the least and the greatest time of a file to the millisecond at best."""
Places = set[tuple[str, int, int]]
"""(topic id, partition, offset)"""


class DeltaAppender:
    """Appends to the tables of one lake."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.writer_id = uuid.uuid4().hex
        self.is_alone = True
        """Whether no commit of another ledger was met."""
        self._tables: dict[str, DeltaTable] = {}

    def read(self) -> None:
        """Reads the tables' present versions; creates those that are missing, and partitions those of earlier versions.

        What is looked up after this, here or in `deletions`, holds for what is appended: else that raises Overtaken.
        """
        for name in SCHEMAS:
            before, table = self._tables.get(name), self._partitioned(name)
            self._tables[name] = table
            if before is not None and has_other_ledger(table, before.version(), self.writer_id):
                self.is_alone = False

    def undecided(self, places: Places) -> tuple[Places, Places]:
        """(places that no batch has decided; places that a batch decided to be valid and did not write before a crash)."""
        sources = {f"{topic_id}/{partition}" for topic_id, partition, _ in places}
        valid, rejected = (self._marks(name, sources) for name in (VALID_TABLE, REJECTED_TABLE))
        new: Places = set()
        between_marks: Places = set()
        for topic_id, partition, offset in places:
            source = f"{topic_id}/{partition}"
            if offset > valid[source]:
                (new if offset > rejected[source] else between_marks).add((topic_id, partition, offset))
        return new, between_marks - _written_places(self._table(REJECTED_TABLE), between_marks)

    def append_rows(
        self,
        name: str,
        rows: list[dict[str, Any]],
        schema: StructType,
        ends: dict[str, int] | None = None,
        commits_none: bool = False,
    ) -> int:
        """Appends the rows after the table's mark; returns how many. Raises Overtaken.

        rows : with topic_id, partition and offset
        ends : {"topic id/partition": last offset that is decided with these rows}, by default the last one of the rows
        commits_none : commit the marks where there are no such rows too
        """
        present = self._marks(name, {_source(row) for row in rows})
        new = [row for row in rows if row["offset"] > present[_source(row)]]
        if not new and not commits_none:
            return 0
        marks: dict[str, int] = dict(ends or {})
        for row in new:
            marks[_source(row)] = max(marks.get(_source(row), -1), row["offset"])
        self._append(name, pa.Table.from_pylist(new, schema=to_arrow_schema(schema, timezone="UTC")), marks)
        return len(new)

    def append_lists(self, name: str, items: pa.Table, schema: StructType, ends: dict[str, int] | None = None) -> int:
        """Appends the items of lists that the table lacks (LIST_KEYS), in whatever order they come; returns how many.

        ends : {"topic id/partition": last offset that is decided with these lists}
        Raises Overtaken.
        """
        if not items.num_rows:
            return 0
        new = items.take(_missing_rows(items.select(LIST_KEYS[name]), self._present_keys(name, items)))
        if new.num_rows:
            self._append(name, new.cast(to_arrow_schema(schema, timezone="UTC")), ends or {})
        return int(new.num_rows)

    def mark(self, name: str, source: str) -> int:
        """The last offset of "topic id/partition" that the table covers; -1 for none."""
        mark = self._table(name).transaction_version(source)
        return -1 if mark is None else mark

    def _marks(self, name: str, sources: Iterable[str]) -> dict[str, int]:
        """`mark` of each source, which takes a quarter of a millisecond: too long for each row."""
        return {source: self.mark(name, source) for source in sources}

    def _table(self, name: str) -> DeltaTable:
        if name not in self._tables:
            self.read()
        return self._tables[name]

    def _append(self, name: str, rows: pa.Table, marks: dict[str, int]) -> None:
        # Where a checkpoint was lost, a batch may be past one partition's mark and behind another's, which must not go back.
        marks = {source: max(offset, self.mark(name, source)) for source, offset in marks.items()}
        append(self._table(name), _with_day(rows, TIME_COLUMNS[name]), marks, self.writer_id)

    def _partitioned(self, name: str) -> DeltaTable:
        """The table, partitioned by DAY: a missing one is created, one of an earlier version rewritten."""
        location, schema = self.lake.table(name), to_arrow_schema(SCHEMAS[name], timezone="UTC")
        table = open_table(location)
        if table is None:
            DeltaTable.create(location, schema, mode="ignore", partition_by=[DAY])
            return DeltaTable(location)
        if table.metadata().partition_columns != [DAY]:
            print(f"ledger: the table {name} is rewritten once, by day", flush=True)
            marks = {} if name in LIST_KEYS else _marks_of_rows(table)
            rewrite(table, _rows_by_day(table, name, schema.field(DAY)), marks, self.writer_id)
        return table

    def _present_keys(self, name: str, items: pa.Table) -> pa.Table:
        """The keys (LIST_KEYS) that the table has of the days and times of these items: few files are read."""
        times = pc.min_max(items["generated_at"]).as_py()
        first, last = times["min"] - STATISTICS_PRECISION, times["max"] + STATISTICS_PRECISION
        days = pc.unique(items["generated_at"].cast(pa.date32()))
        is_near = (pc.field("generated_at") >= first) & (pc.field("generated_at") <= last) & pc.field(DAY).isin(days)
        return self._table(name).to_pyarrow_dataset().to_table(columns=list(LIST_KEYS[name]), filter=is_near)


def _source(row: dict[str, Any]) -> str:
    return f"{row['topic_id']}/{row['partition']}"


def _missing_rows(keys: pa.Table, present: pa.Table) -> pa.Array:
    """Positions of the keys that are not present, each key at its first one, in order."""
    columns = keys.column_names
    numbered = keys.append_column("row", pa.array(range(keys.num_rows), pa.int64()))
    first = numbered.group_by(columns).aggregate([("row", "min")])
    missing = first.join(present.cast(keys.schema), columns, join_type="left anti")
    return missing["row_min"].combine_chunks().sort()


def _keys(rows: pa.Table, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    return zip(*(rows[column].to_pylist() for column in columns), strict=True)


def _with_day(rows: pa.Table, time_column: str) -> pa.Table:
    """The rows with DAY, the date of their time in UTC."""
    day = rows[time_column].cast(pa.timestamp("us", "UTC")).cast(pa.date32())
    rows = rows.drop_columns([DAY]) if DAY in rows.column_names else rows
    return rows.append_column(DAY, day)


def _written_places(table: DeltaTable, places: Places) -> Places:
    """The places that the table has rows of."""
    if not places:
        return set()
    first = min(offset for *_, offset in places)
    columns = ["topic_id", "partition", "offset"]
    rows = table.to_pyarrow_dataset().to_table(columns=columns, filter=pc.field("offset") >= first)
    return places & set(_keys(rows, columns))


def _rows_by_day(table: DeltaTable, name: str, day: pa.Field) -> pa.RecordBatchReader:
    """All rows with DAY, one batch after the other."""
    stored = table.to_pyarrow_dataset()
    schema = pa.schema([*(field for field in stored.schema if field.name != DAY), day])

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in stored.to_batches():
            yield from _with_day(pa.Table.from_batches([batch]), TIME_COLUMNS[name]).cast(schema).to_batches()

    return pa.RecordBatchReader.from_batches(schema, batches())


def _marks_of_rows(table: DeltaTable) -> dict[str, int]:
    """{"topic id/partition": last offset} of what a table has no marks of; rows are read one batch after the other."""
    last: dict[str, int] = defaultdict(lambda: -1)
    for batch in table.to_pyarrow_dataset().to_batches(columns=["topic_id", "partition", "offset"]):
        rows = pa.Table.from_batches([batch])
        # files that a deletion has rewritten have another text type
        rows = rows.set_column(0, "topic_id", rows["topic_id"].cast(pa.string()))
        for row in rows.group_by(["topic_id", "partition"]).aggregate([("offset", "max")]).to_pylist():
            last[_source(row)] = max(last[_source(row)], row["offset_max"])
    return {source: offset for source, offset in last.items() if table.transaction_version(source) is None}
