"""What a backup consists of.

manifest.json             written last: a place without it is no backup
lake/TABLE/               the log and the files of one version of each table
models/VERSION/           each complete model version
mongodb/COLLECTION.bson   documents, one after the other, and COLLECTION.metadata.json, options and indexes: as mongodump has them
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from batch.storage import objects
from batch.storage.locations import child, without_password

BACKUP_FORMAT = 1
BACKUP_MANIFEST = "manifest.json"
LAKE_PART, MODELS_PART, MONGODB_PART = "lake", "models", "mongodb"


class BackupUnusable(ValueError):
    """There is no backup at this place, or it is not whole, or a later version of the program made it."""


@dataclass(frozen=True)
class CopiedFile:
    """size : bytes;  sha256 : of the content, in hex digits"""

    size: int
    sha256: str


@dataclass
class Backup:
    """began_at, ended_at : ISO times in UTC
    files : {path in the backup: its size and checksum}
    tables : {table: version}
    models : complete versions, oldest first;  latest : the one in use, "" for none
    collections : {collection: number of documents}
    """

    began_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    ended_at: str = ""
    files: dict[str, CopiedFile] = field(default_factory=dict)
    tables: dict[str, int] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    latest: str = ""
    collections: dict[str, int] = field(default_factory=dict)

    @property
    def total_bytes(self) -> int:
        return sum(file.size for file in self.files.values())

    def below(self, folder: str) -> dict[str, CopiedFile]:
        """The files below a folder of the backup, by their path."""
        return {path: file for path, file in self.files.items() if path.startswith(f"{folder}/")}


def complete(backup: Backup, location: str) -> None:
    """Writes the manifest, which makes the files at this place a backup."""
    backup.ended_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    text = json.dumps({"format": BACKUP_FORMAT, **asdict(backup)}, indent=1, ensure_ascii=False)
    objects.replace_text(child(location, BACKUP_MANIFEST), text + "\n")


def read(location: str) -> Backup:
    """The backup at a place, all of whose files are there with their sizes. Raises BackupUnusable, OSError."""
    shown = without_password(location)
    try:
        values = objects.read_json(child(location, BACKUP_MANIFEST))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BackupUnusable(
            f"{shown} has no {BACKUP_MANIFEST}: it is no backup, or one that was not finished; take another one"
        ) from error
    except ValueError as error:
        raise BackupUnusable(f"{BACKUP_MANIFEST} in {shown} is damaged: {error}; take another backup") from error
    if not isinstance(values, dict) or values.pop("format", None) != BACKUP_FORMAT:
        raise BackupUnusable(f"{shown} is not a backup of format {BACKUP_FORMAT}; restore it with the version that made it")
    try:
        backup = Backup(**values | {"files": {path: CopiedFile(**file) for path, file in values["files"].items()}})
    except (TypeError, KeyError, AttributeError) as error:
        raise BackupUnusable(f"{BACKUP_MANIFEST} in {shown} is damaged: {error}; take another backup") from error
    sizes = objects.sizes(location)
    wrong = [path for path, file in backup.files.items() if sizes.get(path) != file.size]
    if wrong:
        raise BackupUnusable(
            f"{len(wrong)} of {len(backup.files)} files of the backup in {shown} are missing or have another size, the first "
            f"is {wrong[0]}; take another backup"
        )
    return backup
