"""The search index in memory, as it follows what is published."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait

from ui.search.index import SearchIndex

log = logging.getLogger(__name__)

LIBRARY_CHECK_INTERVAL_S = 3.0
REREAD_INTERVAL_S = 60.0
FIRST_READING_WAIT_S = 2.0
"""A request waits for the first reading no longer: 100,000 tracks take some seconds."""
MAX_WAITING_REQUESTS = 8
"""The others do not wait, since each that waits holds a thread."""


class LibraryBeingRead(RuntimeError):
    """The library is read for the first time since the start, and searching it is possible in a moment."""

    def __init__(self) -> None:
        super().__init__("Your library is still being read. Try again in a moment.")


class LiveSearchIndex:
    """The current search index: read in the background at the first call, and again when the library has changed.

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
        self._first_reading: Future[None] | None = None
        self._waiting_requests = threading.BoundedSemaphore(MAX_WAITING_REQUESTS)

    def current(self) -> SearchIndex:
        """Raises LibraryBeingRead where the first reading takes longer than FIRST_READING_WAIT_S."""
        if self._index is None and not self.is_ready(FIRST_READING_WAIT_S):
            raise LibraryBeingRead
        is_due = time.monotonic() - self._checked_at > LIBRARY_CHECK_INTERVAL_S
        if is_due and self._reading.acquire(blocking=False):
            self._checked_at = time.monotonic()
            threading.Thread(target=self._check, name="search-index", daemon=True).start()
        assert self._index is not None
        return self._index

    def is_ready(self, wait_s: float) -> bool:
        """Whether there is an index, or will be within so many seconds. Raises what the first reading raises."""
        if self._index is not None:
            return True
        with self._reading:
            reading = self._first_reading
            if reading is None:
                reading = self._first_reading = Future()
                threading.Thread(target=self._read_first, args=(reading,), name="search-index", daemon=True).start()
        if self._waiting_requests.acquire(blocking=False):
            try:
                wait([reading], wait_s)
            finally:
                self._waiting_requests.release()
        if reading.done():
            reading.result()
        return self._index is not None

    def _read_first(self, reading: Future[None]) -> None:
        try:
            self._reread()
        except Exception as error:  # noqa: BLE001 - whatever it is, it reaches those who wait
            with self._reading:
                self._first_reading = None  # the next call tries again
            reading.set_exception(error)
        else:
            reading.set_result(None)

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
