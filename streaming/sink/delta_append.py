"""Rows that arrive in order go to Delta tables, each once, in small commits by delta-rs.

Each commit carries, in the same atomic step, how far in each partition of its topic it reaches (Delta's `txn` action). Events
are decided once: the refused ones of a batch are written first and the good ones last, both with the end of the batch as their
mark. What lies at or before the mark of the good ones is done, whatever a checkpoint says. Between the two marks, after a crash
between the two commits, what is not among the refused ones was good. Lists are told apart by listener and generation, since one
that was sent twice has two offsets.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import TableNotFoundError
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

if TYPE_CHECKING:
    from conf.settings import Lake

COMPACT_BYTES = 64 * 1024 * 1024
FIRST_COMPACT_S = 120.0
"""After a start, so that runs shorter than the usual time leave no small files for ever."""
GOOD, REFUSED, LISTS = TABLES = "listening_events", "rejected_events", "recommendations"
Places = set[tuple[str, int, int]]
"""(topic id, partition, offset)"""


class Landing:
    """The tables of the durable lane. One writer a lake: what a table has is read once and remembered."""

    def __init__(self, lake: Lake, compact_minutes: float) -> None:
        self.lake = lake
        self._compact_s = 60 * compact_minutes
        self._compacted = time.monotonic() - max(0.0, self._compact_s - FIRST_COMPACT_S)
        self._marks: dict[str, dict[str, int]] = defaultdict(dict)
        self._generations: dict[str, dict[str, int]] = {}
        self._versions: dict[str, int] = {}

    def undecided(self, places: Places) -> tuple[Places, Places]:
        """(places that no batch has decided; places that one found good without writing them any more)."""
        good, refused = _opened(self.lake.table(GOOD)), _opened(self.lake.table(REFUSED))
        new: Places = set()
        left: Places = set()
        for topic_id, partition, offset in places:
            at = f"{topic_id}/{partition}"
            if offset > self._mark(GOOD, at, good):
                (new if offset > self._mark(REFUSED, at, refused) else left).add((topic_id, partition, offset))
        return new, left - _written(refused, left) if left else left

    def land(
        self, name: str, rows: list[dict[str, Any]], schema: StructType, ends: dict[str, int] | None = None
    ) -> int:
        """Appends the rows with (topic_id, partition, offset) that the table has not got; returns how many.

        ends : {"topic id/partition": the last offset that is decided with these rows}; else that of the rows
        """
        table = _opened(self.lake.table(name))
        new = [row for row in rows if row["offset"] > self._mark(name, _place(row), table)]
        if not new:
            return 0
        marks: dict[str, int] = dict(ends or {})
        for row in new:
            marks[_place(row)] = max(marks.get(_place(row), -1), row["offset"])
        arrow = pa.Table.from_pylist(new, schema=to_arrow_schema(schema, timezone="UTC"))
        self._append(name, arrow, table, [Transaction(place, offset) for place, offset in marks.items()])
        self._marks[name].update(marks)
        return len(new)

    def land_lists(self, name: str, items: pa.Table, schema: StructType) -> int:
        """Appends the items of lists (user_id, generation, rank) that the table has not got; returns how many items."""
        if not items.num_rows:
            return 0
        table = _opened(self.lake.table(name))
        known = self._known_generations(name, table)
        users, generations = items["user_id"].to_pylist(), items["generation"].to_pylist()
        ranks = items["rank"].to_pylist()
        keep, latest = [], dict[str, int]()
        seen: set[tuple[str, int, int]] = set()
        for user, generation, rank in zip(users, generations, ranks, strict=True):
            is_new = generation > known.get(user, 0) and (user, generation, rank) not in seen
            seen.add((user, generation, rank))
            keep.append(is_new)
            if is_new:
                latest[user] = max(latest.get(user, 0), generation)
        new = items.filter(pa.array(keep))
        if new.num_rows:
            self._append(name, new.cast(to_arrow_schema(schema, timezone="UTC")), table, [])
            known.update(latest)
        return int(new.num_rows)

    def compact_when_due(self) -> None:
        """Writes the small files of the tables together when their time has come: soon after a start, then at intervals."""
        if not self._compact_s or time.monotonic() - self._compacted < self._compact_s:
            return
        for name in TABLES:
            if (table := _opened(self.lake.table(name))) is not None:
                table.optimize.compact(target_size=COMPACT_BYTES)
                table.vacuum(dry_run=False)  # what no version of the last seven days needs
        self._compacted = time.monotonic()

    def _mark(self, name: str, place: str, table: DeltaTable | None) -> int:
        """The last offset of a place that the table has; -1 for none."""
        marks = self._marks[name]
        if place not in marks:
            told = None if table is None else table.transaction_version(place)
            marks[place] = told if told is not None else _last_offset(table, place)
        return marks[place]

    def _known_generations(self, name: str, table: DeltaTable | None) -> dict[str, int]:
        """The last generation of each listener that the table has."""
        # Another writer's commit may have taken a listener out who comes back with generation 1.
        version = None if table is None else table.version()
        if name not in self._generations or version != self._versions.get(name):
            self._generations[name] = {}
            if table is not None:
                self._versions[name] = table.version()
                first = table.to_pyarrow_dataset().to_table(
                    columns=["user_id", "generation"], filter=pc.field("rank") == 1
                )
                latest = first.group_by("user_id").aggregate([("generation", "max")])
                self._generations[name] = dict(
                    zip(latest["user_id"].to_pylist(), latest["generation_max"].to_pylist(), strict=True)
                )
        return self._generations[name]

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


def _place(row: dict[str, Any]) -> str:
    return f"{row['topic_id']}/{row['partition']}"


def _written(table: DeltaTable | None, places: Places) -> Places:
    """Those of the places that the table has."""
    if table is None:
        return set()
    first = min(offset for *_, offset in places)
    rows = table.to_pyarrow_dataset().to_table(
        columns=["topic_id", "partition", "offset"], filter=pc.field("offset") >= first
    )
    columns = (rows["topic_id"].to_pylist(), rows["partition"].to_pylist(), rows["offset"].to_pylist())
    return places & set(zip(*columns, strict=True))


def _opened(location: str) -> DeltaTable | None:
    try:
        return DeltaTable(location)
    except TableNotFoundError:
        return None


def _last_offset(table: DeltaTable | None, place: str) -> int:
    """Of a table whose commits carry no marks yet."""
    if table is None:
        return -1
    topic_id, _, partition = place.rpartition("/")
    rows = table.to_pyarrow_table(columns=["topic_id", "partition", "offset"])
    # text that a deletion has rewritten is of a type that has no comparison
    is_topic = pc.equal(rows["topic_id"].cast(pa.string()), topic_id)
    offsets = rows.filter(pc.and_(is_topic, pc.equal(rows["partition"], int(partition))))["offset"]
    return int(pc.max(offsets).as_py()) if len(offsets) else -1
