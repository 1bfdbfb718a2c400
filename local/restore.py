"""python -m local.restore FROM: a backup of `python -m local.backup` into an empty home, lake and database.

Exit codes: 0 done, 1 it could not be restored, 2 a setting is wrong, the backup cannot be used, or something is in its place.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from pymongo.errors import PyMongoError

from batch import job, mongo, registry
from batch.storage import objects
from batch.storage.locations import child, without_password
from conf.settings import Settings
from local.backup.content import LAKE_PART, MODELS_PART, Backup, BackupUnusable, read
from local.backup.copying import copy_back
from local.backup.database import LEFT_OUT, deleted_meanwhile, restore_database
from streaming.profile.skip_rates import unreadable_errors
from ui.data.lake import delete_rows


class NotRestored(OSError):
    """A file could not be read or written, as on a full disk."""


def restore(settings: Settings, source: str) -> str:
    """Restores a backup; returns the line to print.

    Raises WrongArgument where it is not whole, or a place is not empty; NotRestored.
    """
    try:
        backup = read(source)
    except BackupUnusable as error:
        raise job.WrongArgument(str(error)) from error
    with mongo.client(settings.mongo) as client:
        database = client[settings.mongo.database]
        for problem in _not_empty(
            settings, [name for name in database.list_collection_names() if name not in LEFT_OUT]
        ):
            raise job.WrongArgument(f"{problem}; a backup is restored into an empty home and database alone")
        for part, name, root in (
            (LAKE_PART, "lake.root", settings.lake.root),
            (MODELS_PART, "models.root", settings.models.root),
        ):
            try:
                _copy_part(backup, part, source, root)
            except OSError as error:
                raise NotRestored(
                    f"{name} = {without_password(root)} is not restored: {error}; mend that, empty what "
                    "was restored, and try again"
                ) from error
        restore_database(database, backup, source)
        for user_id in deleted_meanwhile(database, backup):
            delete_rows(settings.lake, user_id)
    if backup.latest:
        registry.make_latest(settings.models.root, backup.latest)
    return (
        f"restore: {len(backup.tables)} tables, {len(backup.models)} models, {sum(backup.collections.values()):,} documents, as "
        f"of {backup.began_at}; queries begin at the earliest event, and count those since then"
    )


def _copy_part(backup: Backup, part: str, source: str, root: str) -> None:
    files = {child(source, path): file for path, file in backup.below(part).items()}
    targets = {child(source, path): child(root, path.removeprefix(f"{part}/")) for path in backup.below(part)}
    copy_back(files, targets)


def _not_empty(settings: Settings, collections: Sequence[str]) -> Iterator[str]:
    """What is in the places where a backup would go.

    Checkpoints too: one of another state is ahead of what is restored, and its query would skip the events in between.
    """
    for name, location in settings.written_locations.items():
        if objects.sizes(location):
            yield f"{name} = {without_password(location)} is not empty"
    if collections:
        yield f"the database {settings.mongo.database} has the collection {collections[0]}"


def main(arguments: Sequence[str] | None = None) -> int:
    return job.run(
        "local/restore",
        "Restore a backup into an empty home, lake and database.",
        lambda settings, options: restore(settings, options.source),
        arguments,
        lambda parser: parser.add_argument("source", metavar="FROM", help="the folder or URI of a backup"),
        failures=(ValueError, PyMongoError, *unreadable_errors()),
    )


if __name__ == "__main__":
    sys.exit(main())
