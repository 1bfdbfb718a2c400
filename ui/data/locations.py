"""Where the audio of tracks is, cached: a track that plays needs no query for each of its ranges."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from batch.library.object_store import is_remote
from ui.data.mongo import LibraryUnavailable

LOCATION_TTL_S = 600.0
MAX_CACHED_LOCATIONS = 10_000


class AudioLocations:
    """path_of : the path or URI of a track as it is stored, "" for none. May raise LibraryUnavailable"""

    def __init__(self, path_of: Callable[[str], str]) -> None:
        self._path_of = path_of
        self._cached: dict[str, tuple[float, str]] = {}

    def location(self, track_id: str) -> str | None:
        """The path of a readable file, or the URI of an object in a store; None without one. Raises LibraryUnavailable.

        Cached for LOCATION_TTL_S, and for as long as MongoDB is unavailable.
        """
        cached_at, location = self._cached.get(track_id, (float("-inf"), None))
        if location is None or time.monotonic() - cached_at > LOCATION_TTL_S or not _may_exist(location):
            try:
                location = _openable(self._path_of(track_id))
            except LibraryUnavailable:
                if location is None:
                    raise
            if len(self._cached) >= MAX_CACHED_LOCATIONS:
                self._cached.clear()
            if location is not None:
                self._cached[track_id] = (time.monotonic(), location)
        return location if location is not None and _may_exist(location) else None


def _openable(path: str) -> str | None:
    """A path or URI of `tracks` as it can be opened; None for anything else."""
    if path.startswith("file:"):
        path = unquote(urlsplit(path).path)
    return path if (path.startswith("/") or is_remote(path)) and "\x00" not in path else None


def _may_exist(location: str) -> bool:
    """Whether a file is readable. Remote objects are assumed to exist until opened."""
    return is_remote(location) or (os.path.isfile(location) and os.access(location, os.R_OK))
