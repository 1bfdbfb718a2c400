"""Thumbnails on disk, bounded: those looked at longest ago are removed first."""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from batch import atomic

log = logging.getLogger(__name__)

MAX_STORE_BYTES = 512 << 20
SHARE_KEPT = 0.8
"""Of MAX_STORE_BYTES, after thumbnails were removed."""
LOOKED_AT_PRECISION_S = 86_400.0
"""The time of the last look is written so often at most."""
NONE_SUFFIX = ".none"


class ThumbnailStore:
    """Thumbnails by key and size, and the keys that have no picture. What cannot be written is made again.

    folder : created when it is needed;  max_bytes : of all thumbnails
    A key is of letters and digits.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_STORE_BYTES) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        self._lock = threading.Lock()
        self._bytes: int | None = None

    def get(self, key: str, size: int) -> bytes | None:
        path = self._path(key, f"-{size}.jpg")
        try:
            content = path.read_bytes()
            if time.time() - path.stat().st_mtime > LOOKED_AT_PRECISION_S:
                os.utime(path)
        except OSError:
            return None
        return content or None

    def put(self, key: str, size: int, content: bytes) -> None:
        self._write(self._path(key, f"-{size}.jpg"), content)

    def has_none(self, key: str, max_age_s: float = float("inf")) -> bool:
        """Whether it was found to have no picture, at most so long ago."""
        try:
            return time.time() - self._path(key, NONE_SUFFIX).stat().st_mtime <= max_age_s
        except OSError:
            return False

    def put_none(self, key: str) -> None:
        self._write(self._path(key, NONE_SUFFIX), b"")

    def _path(self, key: str, ending: str) -> Path:
        return self._folder / key[:2] / f"{key}{ending}"

    def _write(self, path: Path, content: bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic.replacing(path) as part:
                part.write_bytes(content)
        except OSError as error:  # a full disk
            log.warning("a cover is not kept: %s", error)
            return
        with self._lock:
            if self._bytes is None:
                self._bytes = sum(size for _, size, _ in self._files())
            else:
                self._bytes += len(content)
            if self._bytes > self._max_bytes:
                self._bytes = self._trimmed()

    def _files(self) -> list[tuple[float, int, Path]]:
        """(time of the last look, size, path) of each."""
        files = []
        for path in self._folder.glob("*/*"):
            with suppress(OSError):
                status = path.stat()
                files.append((status.st_mtime, status.st_size, path))
        return files

    def _trimmed(self) -> int:
        """The bytes that are left after the thumbnails looked at longest ago were removed."""
        files = sorted(self._files())
        left = sum(size for _, size, _ in files)
        for _, size, path in files:
            if left <= SHARE_KEPT * self._max_bytes:
                break
            with suppress(OSError):
                path.unlink()
                left -= size
        return left
