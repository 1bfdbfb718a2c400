"""The search index in memory, as it follows what is published."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable

from ui.search.index import SearchIndex

log = logging.getLogger(__name__)

LIBRARY_CHECK_INTERVAL_S = 3.0
REREAD_INTERVAL_S = 60.0


class LiveSearchIndex:
    """The current search index: read at the first call, and again in the background when the library has changed.

    read : builds the index
    change_token : returns a value that differs once the library has changed; None where that cannot be told, and then the
        index is read again every REREAD_INTERVAL_S
    Both may raise ConnectionError. The first reading's error reaches the caller; later the old index stays.
    """

    def __init__(self, read: Callable[[], SearchIndex], change_token: Callable[[], Hashable]) -> None:
        self._read, self._change_token = read, change_token
        self._index: SearchIndex | None = None
        self._token: Hashable = None
        self._read_at = self._checked_at = float("-inf")
        self._reading = threading.Lock()

    def current(self) -> SearchIndex:
        if self._index is None:
            with self._reading:
                if self._index is None:
                    self._reread()
        elif time.monotonic() - self._checked_at > LIBRARY_CHECK_INTERVAL_S and self._reading.acquire(blocking=False):
            self._checked_at = time.monotonic()
            threading.Thread(target=self._check, name="search-index", daemon=True).start()
        assert self._index is not None
        return self._index

    def _reread(self) -> None:
        token = self._change_token()  # before reading, so that a change during the reading is seen by the next check
        self._index, self._token, self._read_at = self._read(), token, time.monotonic()
        self._checked_at = self._read_at

    def _check(self) -> None:
        try:
            token = self._change_token()
            if token != self._token or (token is None and time.monotonic() - self._read_at > REREAD_INTERVAL_S):
                self._reread()
        except ConnectionError as error:
            log.debug("the search index is not updated: %s", error)
        finally:
            self._reading.release()
