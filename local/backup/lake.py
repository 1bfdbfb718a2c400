"""Delta tables as of a version: the files that it names, and its log since the last checkpoint.

A commit meanwhile adds files, which are not copied; a compaction removes none before a vacuum. Where a vacuum takes a file away
before it is copied, the table is copied as of its newest version instead.
"""

from __future__ import annotations

import re

from batch.storage import locations, objects
from batch.storage.locations import child
from conf.settings import Lake
from local.backup.content import LAKE_PART, Backup
from local.backup.copying import all_copied
from local.backup.lake_tables import LOG_FOLDER, data_files
from streaming.sink.commits import open_table

ATTEMPTS_A_TABLE = 5
_COMMIT = re.compile(r"^(\d{20})\.json$")
_CHECKPOINT = re.compile(r"^(\d{20})\.checkpoint(\.\d{10}\.\d{10})?\.parquet$")


def back_up_tables(lake: Lake, backup: Backup, to: str) -> None:
    """Copies all Delta tables of the lake. Raises OSError, or DeltaError for a table that cannot be read."""
    locations.allow_plain_http()
    for name in objects.names(lake.root, folders=True):
        for remaining_attempts in reversed(range(ATTEMPTS_A_TABLE)):
            try:
                _back_up_table(name, lake.table(name), backup, to)
                break
            except FileNotFoundError:  # removed by a vacuum, or by a clean-up of the log
                if not remaining_attempts:
                    raise


def _back_up_table(name: str, location: str, backup: Backup, to: str) -> None:
    table = open_table(location)
    if table is None:
        return
    version = table.version()
    paths = [*(f"{LOG_FOLDER}/{each}" for each in _log_files(child(location, LOG_FOLDER), version)), *data_files(table)]
    part = f"{LAKE_PART}/{name}"
    # A data file is never changed, so one that an earlier attempt has copied is right.
    new = [path for path in paths if f"{part}/{path}" not in backup.files or path.startswith(LOG_FOLDER)]
    files = all_copied({child(location, path): child(to, f"{part}/{path}") for path in new})
    before = backup.below(part)
    for path in before:
        del backup.files[path]
    backup.files |= {path: file for path, file in before.items() if path.removeprefix(f"{part}/") in set(paths)}
    backup.files |= {target[len(to.rstrip("/")) + 1 :]: file for target, file in files.items()}
    backup.tables[name] = version


def _log_files(folder: str, version: int) -> list[str]:
    """Names of the last checkpoint up to a version, and of the commits from there to the version."""
    names = objects.names(folder)
    checkpoints = [(int(match[1]), name) for name in names if (match := _CHECKPOINT.match(name))]
    since = max((number for number, _ in checkpoints if number <= version), default=0)
    commits = [name for name in names if (match := _COMMIT.match(name)) and since <= int(match[1]) <= version]
    return [*(name for number, name in checkpoints if number == since), *commits]
