"""Small files of a Delta table written together, by delta-rs, and what no version of the last seven days needs removed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from batch.storage.locations import allow_plain_http

if TYPE_CHECKING:
    from deltalake import DeltaTable

COMPACTED_FILE_BYTES = 64 * 1024 * 1024
MOST_SMALL_FILES = 16
"""A table with more files of less than half of COMPACTED_FILE_BYTES is due."""
LOG_KEPT = {"delta.logRetentionDuration": "interval 7 days"}
"""As long as Delta keeps removed files by default, beyond which earlier versions cannot be read anyway. A ledger commits
every few seconds: 50,000 files of a log in a week, a table."""

LONG_LOG_COMMITS = 1000


def compact(table: DeltaTable) -> None:
    """Writes small files together, removes files that no version of the last seven days needs, and entries of the log likewise.

    Raises CommitFailedError where another writer was first.
    """
    if table.version() >= LONG_LOG_COMMITS and LOG_KEPT.items() - table.metadata().configuration.items():
        table.alter.set_table_properties(dict(LOG_KEPT))
    table.optimize.compact(target_size=COMPACTED_FILE_BYTES)
    table.vacuum(dry_run=False)
    table.create_checkpoint()
    table.cleanup_metadata()


def compact_when_due(locations: Iterable[str]) -> None:
    """Compacts the tables that have more than MOST_SMALL_FILES small files. What cannot be compacted now is said, and waits."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    allow_plain_http()
    for location in locations:
        try:
            table = DeltaTable(location)
            sizes = table.get_add_actions(flatten=True).column("size_bytes").to_pylist()
            if sum(size < COMPACTED_FILE_BYTES / 2 for size in sizes) > MOST_SMALL_FILES:
                compact(table)
        except TableNotFoundError:
            continue
        except (DeltaError, OSError) as error:
            print(f"{location} cannot be compacted now: {(str(error).splitlines() or [''])[0]}", flush=True)
