"""The Delta tables: whether each can be read, and has all files that its log names."""

from __future__ import annotations

from collections.abc import Iterator

from batch.storage import locations, objects
from batch.storage.locations import without_password
from conf.settings import Settings
from local.backup.lake_tables import TABLES, data_files
from local.doctor.findings import Finding, first_line
from local.doctor.locations import unusable
from streaming.profile.skip_rates import unreadable_errors
from streaming.sink.commits import open_table

NEWEST_READER, NEWEST_WRITER = 1, 2
"""Protocol of the tables that this program writes: no deletion vectors, no column mapping."""
MAKERS = {"tracks": "batch/extract.py", "features": "batch/extract.py"}


def tables(settings: Settings) -> Iterator[Finding]:
    if unusable(settings.lake.root):
        return  # the check of storage says so
    locations.allow_plain_http()
    unreadable: tuple[type[Exception], ...] = (*unreadable_errors(), ValueError)
    for name in TABLES:
        location = settings.lake.table(name)
        try:
            yield from _table(name, location)
        except unreadable as error:
            yield Finding(
                f"table {without_password(location)} cannot be read",
                first_line(error),
                "restore it from a backup (python -m local.restore), or move it away: "
                + (
                    f"./spark-submit.sh {MAKERS[name]} makes it again"
                    if name in MAKERS
                    else "the ledger begins a new one"
                ),
            )


def _table(name: str, location: str) -> Iterator[Finding]:
    shown = without_password(location)
    table = open_table(location)
    if table is None:
        if sizes := objects.sizes(location):
            yield Finding(
                f"{shown} is no Delta table",
                f"it has {len(sizes)} files and no log",
                "move it away: what makes the table cannot write there",
            )
        elif name in MAKERS:
            yield Finding(
                f"there is no table {name}", "no library has been read", f"run ./spark-submit.sh {MAKERS[name]}"
            )
        return
    stored = objects.sizes(location)
    named = data_files(table)
    missing = [file for file in named if file not in stored]
    if missing:
        yield Finding(
            f"table {shown} lacks {len(missing)} of {len(named)} files that version {table.version()} names",
            f"the first is {missing[0]}",
            "restore it from a backup (python -m local.restore); reading it fails until then",
        )
    empty = [file for file in named if stored.get(file) == 0]
    if empty:
        yield Finding(
            f"table {shown} has {len(empty)} empty files", f"the first is {empty[0]}", "restore it from a backup"
        )
    protocol = table.protocol()
    if protocol.min_reader_version > NEWEST_READER or protocol.min_writer_version > NEWEST_WRITER:
        features = sorted({*(protocol.reader_features or ()), *(protocol.writer_features or ())})
        yield Finding(
            f"table {shown} asks for reader {protocol.min_reader_version} and writer {protocol.min_writer_version}",
            f"another program has set features: {', '.join(features) or 'not named'}",
            "drop them (ALTER TABLE … DROP FEATURE) where delta-rs cannot read or write it",
            False,
        )
