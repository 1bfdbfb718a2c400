"""Commits to the durable lane's Delta tables of which none overlooks another.

Each commit of a ledger, and each deletion of a listener, sets Delta's `txn` action of one application, WRITER. Delta refuses a
commit where that action has changed since the table was read. So what is committed was decided knowing all commits before it: a
second ledger writes nothing twice, and no event of a listener is written who was deleted between the question and the commit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError

if TYPE_CHECKING:
    import pyarrow as pa

WRITER = "overtone-ledger"
WRITER_ID = "overtoneWriter"
"""Where a commit's metadata have the writer's id; DELETION for a deletion."""
DELETION = "deletion"
DAY = "day"
"""The column by which the tables are partitioned: a date in UTC."""
MOST_OVERTAKING_COMMITS = 20
"""So many commits are looked through for those of other ledgers."""


class Overtaken(RuntimeError):
    """Another writer has committed since the table was read: what is to be written must be decided again."""


def open_table(location: str) -> DeltaTable | None:
    """The table; None where it has not been written yet."""
    try:
        return DeltaTable(location)
    except TableNotFoundError:
        return None


def append(table: DeltaTable, rows: pa.Table, marks: Mapping[str, int], writer_id: str) -> None:
    """Appends rows in one commit. Raises Overtaken.

    marks : {"topic id/partition": last offset that is decided with these rows}
    """
    properties = _properties(table, writer_id, marks)
    try:
        write_deltalake(table, rows, mode="append", schema_mode="merge", commit_properties=properties)
    except CommitFailedError as error:
        raise Overtaken(str(error)) from error


def rewrite(table: DeltaTable, rows: pa.RecordBatchReader, marks: Mapping[str, int], writer_id: str) -> None:
    """Replaces all rows, partitioned by DAY, in one commit.  marks : see `append`.  Raises Overtaken."""
    properties = _properties(table, writer_id, marks)
    try:
        write_deltalake(
            table,
            rows,
            mode="overwrite",
            schema_mode="overwrite",
            partition_by=[DAY],
            commit_properties=properties,
        )
    except CommitFailedError as error:
        raise Overtaken(str(error)) from error


def delete(table: DeltaTable, predicate: str, writer_id: str = DELETION) -> int:
    """Deletes the rows of an SQL predicate and returns their number; commits in any case. Raises Overtaken.

    A ledger that read the table before, and asked about deletions then, cannot commit after it.
    """
    properties = _properties(table, writer_id)
    try:
        version = table.version()
        deleted = table.delete(predicate, commit_properties=properties).get("num_deleted_rows")
        if table.version() == version:  # no such rows
            empty = table.to_pyarrow_dataset().schema.empty_table()
            write_deltalake(table, empty, mode="append", commit_properties=properties)
    except CommitFailedError as error:
        raise Overtaken(str(error)) from error
    return int(deleted or 0)


def has_other_ledger(table: DeltaTable, version: int, writer_id: str) -> bool:
    """Whether one of the latest commits after a version is another ledger's."""
    if table.version() <= version:
        return False
    commits = table.history(min(MOST_OVERTAKING_COMMITS, table.version() - version))
    writers = {commit.get(WRITER_ID) for commit in commits if commit["version"] > version}
    return bool(writers - {None, DELETION, writer_id})


def _properties(table: DeltaTable, writer_id: str, marks: Mapping[str, int] | None = None) -> CommitProperties:
    commits = table.transaction_version(WRITER) or 0
    transactions = [
        Transaction(WRITER, commits + 1),
        *(Transaction(name, mark) for name, mark in (marks or {}).items()),
    ]
    return CommitProperties(custom_metadata={WRITER_ID: writer_id}, app_transactions=transactions)
