"""python -m local.backup TO: lake, models and MongoDB into an empty folder or URI, while everything runs.

Exit codes: 0 done, 1 it could not be made, 2 a setting or the argument is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pymongo.errors import PyMongoError

from batch import job, mongo
from batch.storage import locations, objects
from batch.storage.locations import StorageUnusable, without_password
from conf.settings import Settings
from local.backup.content import Backup, complete
from local.backup.database import SnapshotLost, back_up_database
from local.backup.lake import back_up_tables
from local.backup.models import back_up_models
from streaming.profile.skip_rates import unreadable_errors


class NotBackedUp(OSError):
    """A file could not be read or written, as on a full disk."""


def back_up(settings: Settings, to: str) -> str:
    """Makes a backup; returns the line to print.

    Raises WrongArgument where the place cannot be used, or is not empty, or where there is nothing to back up; NotBackedUp.
    """
    try:
        locations.check(to)
        if objects.sizes(to):
            raise job.WrongArgument(f"{without_password(to)} is not empty; name a new place for each backup")
    except StorageUnusable as error:
        raise job.WrongArgument(str(error)) from error
    backup = Backup()
    with mongo.client(settings.mongo) as client:
        try:
            back_up_models(settings.models.root, backup, to)
            # Tables before MongoDB: what queries have done in between is counted again from Kafka by both alike, and who was
            # deleted in between is known when the backup is restored.
            back_up_tables(settings.lake, backup, to)
            if not (backup.models or backup.tables):
                raise job.WrongArgument(
                    f"there is nothing to back up: no model in models.root = {without_password(settings.models.root)}, no table "
                    f"in lake.root = {without_password(settings.lake.root)}; set OVERTONE_HOME, or both, as the jobs have them"
                )
            back_up_database(client[settings.mongo.database], backup, to)
            complete(backup, to)
        except OSError as error:
            raise NotBackedUp(
                f"there is no backup in {without_password(to)}: {error}; mend that, empty the place, and try again"
            ) from error
    return (
        f"backup: {len(backup.tables)} tables, {len(backup.models)} models, {sum(backup.collections.values()):,} documents, "
        f"{backup.total_bytes / 2**20:,.0f} MiB in {without_password(to)}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    return job.run(
        "local/backup",
        "Copy lake, models and MongoDB to an empty folder or URI, while everything runs.",
        lambda settings, options: back_up(settings, options.to),
        arguments,
        lambda parser: parser.add_argument("to", metavar="TO", help="an empty or new folder, or a URI"),
        failures=(ValueError, PyMongoError, SnapshotLost, *unreadable_errors()),
    )


if __name__ == "__main__":
    sys.exit(main())
