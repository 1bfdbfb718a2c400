"""A library in an object store (s3://, gs://, abfs://, hdfs://), listed and fetched by Arrow's file systems.

Credentials and endpoints come from the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS,
HADOOP_HOME …) of the driver and of every worker. A worker copies a file to a temporary one before it reads it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urlsplit

from batch.library.files import SUFFIXES, AudioFile, EmptyLibrary, LibraryNotFound, is_passed_over

_COPY_PREFIX = "overtone-copy-"


def remote_files(uri: str) -> list[AudioFile]:
    """All audio files below a URI, sorted; each path is a URI. Raises LibraryNotFound, EmptyLibrary."""
    from pyarrow import fs

    store, base = open_store(uri)
    try:
        entries = store.get_file_info(fs.FileSelector(base, recursive=True))
    except (OSError, ValueError) as error:
        raise LibraryNotFound(f"{_without_password(uri)} cannot be listed: {error}") from error
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
        raise EmptyLibrary(f"no audio below {_without_password(uri)}: looked for files ending in {suffixes}")
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


def is_remote(path: str) -> bool:
    return "://" in path


def open_store(uri: str) -> tuple[Any, str]:
    """(Arrow file system, path in it) of a URI. Raises LibraryNotFound."""
    from pyarrow import fs

    scheme, _, rest = uri.partition("://")
    host = rest.partition("/")[0]
    if "@" in host and (scheme in ("s3", "s3a") or ":" in host.partition("@")[0]):
        raise LibraryNotFound(f"{_without_password(uri)}: credentials belong in the environment, not in the URI")
    try:
        if scheme in ("s3", "s3a"):
            # not by from_uri, which asks Amazon for the bucket's region even where the endpoint is not Amazon's
            region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
            endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "")
            store = fs.S3FileSystem(
                region=region, endpoint_override=endpoint.netloc or None, scheme=endpoint.scheme or "https"
            )
            return store, rest.rstrip("/")
        # from_uri decodes percent escapes, and our URIs are not encoded
        store, path = fs.FileSystem.from_uri(f"{scheme}://{quote(rest, safe='/:@')}")
    except (OSError, ValueError) as error:
        raise LibraryNotFound(f"{_without_password(uri)} cannot be opened: {error}") from error
    return store, path.rstrip("/")


def _downloaded(uri: str) -> Path:
    store, name = open_store(uri)
    suffix = PurePosixPath(name).suffix
    with tempfile.NamedTemporaryFile(prefix=f"{_COPY_PREFIX}{os.getpid()}-", suffix=suffix, delete=False) as copy:
        try:
            with store.open_input_stream(name) as content:
                shutil.copyfileobj(content, copy, 1 << 20)
        except BaseException:
            Path(copy.name).unlink()
            raise
    return Path(copy.name)


def _is_hidden(path: str) -> bool:
    return any(is_passed_over(part) for part in PurePosixPath(path).parts)


def _without_password(uri: str) -> str:
    """The URI without user, password and query, for messages."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
