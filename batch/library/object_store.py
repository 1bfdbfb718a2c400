"""A library in an object store (s3://, gs://, abfs://, hdfs://), listed and fetched by Arrow's file systems.

Credentials and endpoints come from the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS,
HADOOP_CONF_DIR …) of the driver and of every worker. A worker copies a file to a temporary one before it reads it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from batch.library.files import SUFFIXES, AudioFile, EmptyLibrary, LibraryNotFound, is_passed_over
from batch.storage import locations
from batch.storage.locations import is_remote as is_remote
from batch.storage.locations import without_password

_COPY_PREFIX = "overtone-copy-"


def remote_files(uri: str) -> list[AudioFile]:
    """All audio files below a URI, sorted; each path is a URI. Raises LibraryNotFound, EmptyLibrary."""
    from pyarrow import fs

    store, base = open_store(uri)
    try:
        entries = store.get_file_info(fs.FileSelector(base, recursive=True))
    except (OSError, ValueError) as error:
        raise LibraryNotFound(f"{without_password(uri)} cannot be listed: {error}") from error
    root = uri.rstrip("/")
    files = [
        AudioFile(root + entry.path.removeprefix(base.rstrip("/")), entry.size, entry.mtime_ns or 0)
        for entry in entries
        if entry.type == fs.FileType.File
        and PurePosixPath(entry.path).suffix.lower() in SUFFIXES
        and not _is_hidden(entry.path.removeprefix(base))
    ]
    if not files:
        suffixes = " ".join(sorted(SUFFIXES))
        raise EmptyLibrary(f"no audio below {without_password(uri)}: looked for files ending in {suffixes}")
    return sorted(files, key=lambda file: file.path)


class LocalCopy:
    """A local copy of a remote file, one at a time: fetching the next file removes the previous copy."""

    def __init__(self) -> None:
        self._uri, self._file = "", Path()
        for orphan in Path(tempfile.gettempdir()).glob(f"{_COPY_PREFIX}*"):  # its process has crashed
            if not Path("/proc", orphan.name.removeprefix(_COPY_PREFIX).partition("-")[0]).exists():
                orphan.unlink(missing_ok=True)

    def fetch(self, path: str) -> Path:
        """A local file with the content of `path`; a path that is no URI is returned as it is. Raises OSError."""
        if not is_remote(path):
            return Path(path)
        if path != self._uri:
            self.remove()
            self._file = _downloaded(path)
            self._uri = path
        return self._file

    def remove(self) -> None:
        if self._uri:
            with suppress(FileNotFoundError):
                self._file.unlink()
            self._uri = ""


def open_store(uri: str) -> tuple[Any, str]:
    """(Arrow file system, path in it) of a library's URI. Raises LibraryNotFound."""
    try:
        return locations.open_store(uri)
    except OSError as error:
        raise LibraryNotFound(str(error)) from error


def _downloaded(uri: str) -> Path:
    store, name = open_store(uri)
    suffix = PurePosixPath(name).suffix
    with tempfile.NamedTemporaryFile(prefix=f"{_COPY_PREFIX}{os.getpid()}-", suffix=suffix, delete=False) as copy:
        try:
            with store.open_input_stream(name, compression=None) as content:
                shutil.copyfileobj(content, copy, 1 << 20)
        except BaseException:
            Path(copy.name).unlink()
            raise
    return Path(copy.name)


def _is_hidden(path: str) -> bool:
    return any(is_passed_over(part) for part in PurePosixPath(path).parts)
