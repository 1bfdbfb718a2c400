"""A model version in the making: a folder on the driver, and where its parts go.

Below a local root the folder lies beside the versions, and becomes one of them by a rename. In an object store Spark writes its
parts where they stay, what the driver made follows at the end, and `manifest.json` last: a version without it is none.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from batch.atomic import write_text
from batch.storage import objects
from batch.storage.locations import child, hadoop_uri, is_remote
from batch.versions.remote_index import FileSum, IndexPlace, RemoteIndex, file_sums, uploaded

ABANDONED_AFTER_S = 86_400.0
"""Age at which an unfinished version without a lock is removed."""
INDEX_FOLDER = "index"
MANIFEST_FILE = "manifest.json"
VERSION_FORMAT = "%Y%m%dT%H%M%S.%fZ"
_LOCK = ".lock"


@dataclass
class NewVersion:
    """version : its name;  folder : on the driver;  location : where the parts lie that Spark writes"""

    version: str
    folder: Path
    location: str
    _shared: RemoteIndex | None = field(default=None, repr=False)

    def uri(self, part: str) -> str:
        """The URI of a part that Spark writes."""
        return hadoop_uri(child(self.location, part))

    def remove(self, part: str) -> None:
        """Removes a part that was made for the next steps alone."""
        objects.remove_folder(child(self.location, part))

    def shared_index(self) -> IndexPlace:
        """The index as it lies in the folder now, where every worker finds it."""
        return self.uploaded_index() if is_remote(self.location) else self.folder / INDEX_FOLDER

    def uploaded_index(self) -> RemoteIndex:
        """The index in the store, as it lies in the folder now."""
        self._shared = uploaded(self.folder / INDEX_FOLDER, child(self.location, INDEX_FOLDER), self._shared)
        return self._shared


def new_version(root: str, now: datetime) -> AbstractContextManager[NewVersion]:
    """A version to fill. Without an error it is complete afterwards; on an error it is removed."""
    version = now.astimezone(UTC).strftime(VERSION_FORMAT)
    return _in_store(root, version, now) if is_remote(root) else _in_folder(root, version)


def _name_index_files(folder: Path, files: Sequence[FileSum]) -> None:
    """Adds the index's files to the manifest.  folder : of the version"""
    manifest = folder / MANIFEST_FILE
    values = json.loads(manifest.read_text()) if manifest.exists() else None
    if isinstance(values, dict):
        values["index_files"] = [asdict(file) for file in files]
        write_text(manifest, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def _in_store(root: str, version: str, now: datetime) -> Iterator[NewVersion]:
    location = child(root, version)
    _remove_abandoned(root, now)
    with tempfile.TemporaryDirectory(prefix="overtone-model-") as folder:
        new = NewVersion(version, Path(folder), location)
        try:
            yield new
            _name_index_files(new.folder, new.uploaded_index().files)
            for file in sorted(path for path in new.folder.rglob("*") if path.is_file()):
                name = file.relative_to(new.folder).as_posix()
                if name != MANIFEST_FILE and not name.startswith(f"{INDEX_FOLDER}/"):
                    objects.upload(file, child(location, name))
            objects.upload(new.folder / MANIFEST_FILE, child(location, MANIFEST_FILE))
        except BaseException:
            with suppress(OSError):
                objects.remove_folder(location)
            raise


def _remove_abandoned(root: str, now: datetime) -> None:
    """Removes versions in a store that were begun ABANDONED_AFTER_S ago and have no manifest."""
    begun_before = (now - timedelta(seconds=ABANDONED_AFTER_S)).astimezone(UTC).strftime(VERSION_FORMAT)
    for name in objects.names(root, folders=True):
        is_old = name[:1].isdigit() and name < begun_before
        if is_old and not objects.exists(child(child(root, name), MANIFEST_FILE)):
            objects.remove_folder(child(root, name))


@contextmanager
def _in_folder(root: str, version: str) -> Iterator[NewVersion]:
    base = Path(root)
    base.mkdir(parents=True, exist_ok=True)
    for unfinished in base.glob(".[0-9]*.part"):
        _remove_if_abandoned(unfinished)
    part = base / f".{version}.part"
    part.mkdir()
    try:
        with _training_lock(part):
            yield NewVersion(version, part, str(part))
            _name_index_files(part, file_sums(part / INDEX_FOLDER))
        (part / _LOCK).unlink()
        os.replace(part, base / version)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


@contextmanager
def _training_lock(part: Path) -> Iterator[None]:
    """Locks an unfinished version; the operating system releases the lock when the process ends in any way."""
    with (part / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_if_abandoned(part: Path) -> None:
    """Removes an unfinished version whose training has ended.

    One that is locked stays, and so does one without a lock file until ABANDONED_AFTER_S: its training may have just begun.
    """
    try:
        with (part / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(part, ignore_errors=True)
    except BlockingIOError:
        return
    except OSError:
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > ABANDONED_AFTER_S:
                shutil.rmtree(part, ignore_errors=True)
