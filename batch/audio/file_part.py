"""A part of a file as a file of its own: files that were joined are decoded one by one."""

from __future__ import annotations

import io
import os
from pathlib import Path


class FilePart(io.RawIOBase):
    """A part of a file, as a file of its own.  start, size : in bytes"""

    def __init__(self, path: Path, start: int, size: int) -> None:
        super().__init__()
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by close()
        self._start, self._size, self._position = start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        wanted = max(0, min(len(buffer), self._size - self._position))
        content = os.pread(self._file.fileno(), wanted, self._start + self._position)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)

    def close(self) -> None:
        self._file.close()
        super().close()
