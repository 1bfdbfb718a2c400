"""What each client holds of something bounded at the moment, so that none takes all of it.

A client counts twice: as the listener, and as the place from which it asks, since a place can make guests at will.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ui.auth.places import Client

RETRY_AFTER_S = 2


class ShareTaken(RuntimeError):
    """Nothing is left. status : of HTTP, 429 where the client itself holds too much;  retry_after_s : before another attempt"""

    def __init__(self, what: str, is_own: bool, retry_after_s: int) -> None:
        cause = f"Too many {what} at once from here" if is_own else f"Too many {what} at once"
        super().__init__(f"{cause}. Try again in a moment.")
        self.status = 429 if is_own else 503
        self.retry_after_s = retry_after_s


class Shares:
    """Counts what clients hold.

    what : plural, for messages
    total, of_place, of_listener : how many all clients, one place and one listener may hold; where nobody was chosen, the
        place counts as a listener too
    """

    def __init__(
        self, what: str, total: int, of_place: int, of_listener: int, retry_after_s: int = RETRY_AFTER_S
    ) -> None:
        self._what, self._total, self._retry_after_s = what, total, retry_after_s
        self._of_place, self._of_listener = of_place, of_listener
        self._held: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many are held."""
        return self._held.total() // 2

    def take(self, client: Client) -> None:
        """Counts one more of a client. Raises ShareTaken."""
        listener, place = _owners(client)
        with self._lock:
            if self._held[listener] >= self._of_listener or self._held[place] >= self._of_place:
                raise ShareTaken(self._what, is_own=True, retry_after_s=self._retry_after_s)
            if len(self) >= self._total:
                raise ShareTaken(self._what, is_own=False, retry_after_s=self._retry_after_s)
            self._held.update((listener, place))

    def give_back(self, client: Client) -> None:
        """A client has done with one of those that it took."""
        with self._lock:
            self._held.subtract(_owners(client))
            self._held = +self._held  # drops those who hold nothing

    @contextmanager
    def held(self, client: Client) -> Iterator[None]:
        """Counts one of a client meanwhile. Raises ShareTaken."""
        self.take(client)
        try:
            yield
        finally:
            self.give_back(client)


def _owners(client: Client) -> tuple[str, str]:
    listener = f"nobody at {client.place}" if client.listener is None else f"listener {client.listener}"
    return listener, f"place {client.place}"
