"""HDFS as an Arrow file system, by the library hdfs-native: without Java, which Arrow's own needs.

It reads core-site.xml and hdfs-site.xml in $HADOOP_CONF_DIR, and takes Kerberos tickets and YARN's delegation tokens.
"""

from __future__ import annotations

import io
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pyarrow import PythonFile, fs

if TYPE_CHECKING:
    from hdfs_native import Client, FileStatus, FileWriter

NS_A_MS = 1_000_000
PART_SUFFIX = ".part"
"""Ends the name of a file that is being written; such files are not listed."""
_SURROUNDINGS = re.compile(r"^RPCError\(\"[\w.$]+\", \"|(?:\n|\\n)(?:\t|\\t)at .*", re.DOTALL)
"""What stands around a name node's message: its Java class, and its stack."""


@lru_cache
def file_system(authority: str, failovers: int | None = None) -> fs.PyFileSystem:
    """The Arrow file system of a cluster.

    authority : scheme and host of its URIs, such as "hdfs://namenode:8020"; "hdfs://" for that of core-site.xml
    failovers : how often its name nodes are tried; None: as it is configured
    Raises OSError where the configuration does not know it.
    """
    from hdfs_native import Client

    _act_as_spark_user()
    with _as_os_error():
        url = None if authority.endswith("://") else authority
        configured = None if failovers is None else {"dfs.client.failover.max.attempts": str(failovers)}
        return fs.PyFileSystem(_Hdfs(Client(url, configured), authority))


def _act_as_spark_user() -> None:
    """Without Kerberos, YARN runs containers under a name of its own; to HDFS they are the user who submitted the job."""
    if user := os.environ.get("SPARK_USER"):
        os.environ.setdefault("HADOOP_USER_NAME", user)


@contextmanager
def _as_os_error() -> Iterator[None]:
    """Turns the client's errors into OSError, without the name node's stack."""
    try:
        yield
    except Exception as error:
        kind = type(error) if isinstance(error, OSError) else OSError
        raise kind(_SURROUNDINGS.sub("", str(error))) from error


class _Hdfs(fs.FileSystemHandler):  # type: ignore[misc]
    """What Arrow asks of a file system. A file appears under its name when it is whole, also in place of an earlier one."""

    def __init__(self, client: Client, authority: str) -> None:
        self._client, self._authority = client, authority

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hdfs) and other._authority == self._authority

    def __hash__(self) -> int:
        return hash(self._authority)

    def get_type_name(self) -> str:
        return "hdfs"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: Sequence[str]) -> list[fs.FileInfo]:
        return [self._info(path) for path in paths]

    def get_file_info_selector(self, selector: fs.FileSelector) -> list[fs.FileInfo]:
        folder = selector.base_dir or "/"
        try:
            with _as_os_error():
                statuses = list(self._client.list_status(folder, selector.recursive))
        except FileNotFoundError:
            if selector.allow_not_found:
                return []
            raise
        return [_file_info(status) for status in statuses if not status.path.endswith(PART_SUFFIX)]

    def create_dir(self, path: str, recursive: bool) -> None:
        with _as_os_error():
            self._client.mkdirs(path, create_parent=recursive)

    def delete_dir(self, path: str) -> None:
        self._delete(path, recursive=True)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        for entry in self.get_file_info_selector(fs.FileSelector(path, allow_not_found=missing_dir_ok)):
            self._delete(entry.path, recursive=True)

    def delete_root_dir_contents(self) -> None:
        raise OSError("the root folder of HDFS is not emptied")

    def delete_file(self, path: str) -> None:
        self._delete(path, recursive=False)

    def move(self, src: str, dest: str) -> None:
        with _as_os_error():
            self._client.rename(src, dest, overwrite=True)

    def copy_file(self, src: str, dest: str) -> None:
        raise NotImplementedError("HDFS copies no files by itself")

    def open_input_stream(self, path: str) -> PythonFile:
        return self.open_input_file(path)

    def open_input_file(self, path: str) -> PythonFile:
        with _as_os_error():
            return PythonFile(self._client.read(path), mode="r")

    def open_output_stream(self, path: str, metadata: Any) -> PythonFile:
        return PythonFile(_WholeFile(self._client, path), mode="w")

    def open_append_stream(self, path: str, metadata: Any) -> PythonFile:
        with _as_os_error():
            return PythonFile(self._client.append(path), mode="w")

    def _info(self, path: str) -> fs.FileInfo:
        try:
            with _as_os_error():
                return _file_info(self._client.get_file_info(path or "/"), path)
        except FileNotFoundError:
            return fs.FileInfo(path, fs.FileType.NotFound)

    def _delete(self, path: str, recursive: bool) -> None:
        with _as_os_error():
            if not self._client.delete(path, recursive):
                raise FileNotFoundError(path)


class _WholeFile(io.RawIOBase):
    """A file that gets its name, in place of an earlier file of that name, when it is closed."""

    def __init__(self, client: Client, path: str) -> None:
        from hdfs_native import WriteOptions

        folder, _, name = path.rpartition("/")
        self._client, self._path, self._part = client, path, f"{folder}/.{name}.{uuid.uuid4().hex}{PART_SUFFIX}"
        with _as_os_error():
            self._content: FileWriter = client.create(self._part, WriteOptions(create_parent=True))

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        with _as_os_error():
            return self._content.write(content)

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        with _as_os_error():
            self._content.close()
            self._client.rename(self._part, self._path, overwrite=True)


def _file_info(status: FileStatus, path: str | None = None) -> fs.FileInfo:
    kind = fs.FileType.Directory if status.isdir else fs.FileType.File
    size = None if status.isdir else status.length
    return fs.FileInfo(path or status.path, kind, size=size, mtime_ns=status.modification_time * NS_A_MS)
