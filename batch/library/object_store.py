"""A library that lies elsewhere: s3://, gs://, abfs:// or hdfs://, listed and fetched by Arrow's file systems.

Credentials and endpoints are those of the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS,
HADOOP_HOME …), on the driver and on every worker. A worker fetches a file whole into a temporary one, reads it and removes it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urlsplit

from batch.library.files import SUFFIXES, AudioFile, EmptyLibrary, LibraryNotFound

_PREFIX = "overtone-copy-"


def listing(uri: str) -> list[AudioFile]:
    """All audio files below a URI, sorted; each path is a URI again. Raises LibraryNotFound or EmptyLibrary."""
    from pyarrow import fs

    store, base = store_of(uri)
    try:
        found = store.get_file_info(fs.FileSelector(base, recursive=True))
    except (OSError, ValueError) as error:
        raise LibraryNotFound(f"{_shown(uri)} cannot be listed: {error}") from error
    root = uri.rstrip("/")
    files = [
        AudioFile(root + info.path.removeprefix(base.rstrip("/")), info.size, info.mtime_ns or 0)
        for info in found
        if info.type == fs.FileType.File
        and PurePosixPath(info.path).suffix.lower() in SUFFIXES
        and not _is_hidden(info.path.removeprefix(base))
    ]
    if not files:
        raise EmptyLibrary(f"no audio below {_shown(uri)}: looked for files ending in {' '.join(sorted(SUFFIXES))}")
    return sorted(files, key=lambda file: file.path)


class Copies:
    """Local copies of remote files, one at a time: asking for the next removes the last."""

    def __init__(self) -> None:
        self._uri, self._file = "", Path()
        for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):  # of a process that a file took along
            if not Path("/proc", left.name.removeprefix(_PREFIX).partition("-")[0]).exists():
                left.unlink(missing_ok=True)

    def of(self, path: str) -> Path:
        """A file with the content of `path`, which is that file itself where it is no URI. Raises OSError."""
        if not is_remote(path):
            return Path(path)
        if path != self._uri:
            self.clear()
            self._file = _fetched(path)
            self._uri = path
        return self._file

    def clear(self) -> None:
        if self._uri:
            with suppress(FileNotFoundError):
                self._file.unlink()
            self._uri = ""


def is_remote(path: str) -> bool:
    return "://" in path


def _fetched(uri: str) -> Path:
    store, name = store_of(uri)
    suffix = PurePosixPath(name).suffix
    with tempfile.NamedTemporaryFile(prefix=f"{_PREFIX}{os.getpid()}-", suffix=suffix, delete=False) as copy:
        try:
            with store.open_input_stream(name) as content:
                shutil.copyfileobj(content, copy, 1 << 20)
        except BaseException:
            Path(copy.name).unlink()
            raise
    return Path(copy.name)


def store_of(uri: str) -> tuple[Any, str]:
    """(file system, path in it) of a URI. Raises LibraryNotFound."""
    from pyarrow import fs

    scheme, _, rest = uri.partition("://")
    host = rest.partition("/")[0]
    if "@" in host and (scheme in ("s3", "s3a") or ":" in host.partition("@")[0]):
        raise LibraryNotFound(f"{_shown(uri)}: credentials belong in the environment, not in the URI")
    try:
        if scheme in ("s3", "s3a"):
            # named by hand: from_uri asks Amazon for the bucket's region even where the bucket is not Amazon's
            region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
            endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "")
            store = fs.S3FileSystem(
                region=region, endpoint_override=endpoint.netloc or None, scheme=endpoint.scheme or "https"
            )
            return store, rest.rstrip("/")
        # Arrow decodes what it is given, and what a listing gave is not encoded
        store, path = fs.FileSystem.from_uri(f"{scheme}://{quote(rest, safe='/:@')}")
    except (OSError, ValueError) as error:
        raise LibraryNotFound(f"{_shown(uri)} cannot be opened: {error}") from error
    return store, path.rstrip("/")


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(path).parts)


def _shown(uri: str) -> str:
    """The URI without a password that it may hold."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
