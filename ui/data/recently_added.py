"""The newest tracks of the library, read from Delta at most every 30 seconds."""

from __future__ import annotations

import logging
import time

from conf.settings import Lake
from ui.data import lake

log = logging.getLogger(__name__)

CACHE_S = 30.0


class RecentlyAdded:
    """Track ids, newest first, cached for CACHE_S seconds.

    root : the library whose tracks count; empty: every library
    """

    def __init__(self, settings: Lake, root: str) -> None:
        self._settings = settings
        self._root = root
        self._read_at = float("-inf")
        self._track_ids: list[str] = []

    def track_ids(self) -> list[str]:
        """Empty before a library has been scanned; unchanged while the lake cannot be read."""
        if time.monotonic() - self._read_at > CACHE_S:
            self._read_at = time.monotonic()
            try:
                self._track_ids = lake.recently_added(self._settings, self._root)
            except lake.LakeUnavailable as error:
                log.warning("recently added tracks are not updated: %s", error)
        return self._track_ids
