"""The open streams of one player, and what each page is told next. All of it runs in the event loop of the server.

A stream carries that something has changed, and the page asks for it by the ordinary routes. So nothing is lost where several
changes become one message, and what waits for a slow page is bounded by the number of kinds:

list     "For you" or opinions       mixes   the lists beside it
library  tracks, albums or artists   queue   the listener's, on another device
status   Kafka or MongoDB is away, or back; the one kind with data
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from ui.auth.places import Client
from ui.auth.shares import Shares

EVERYTHING = ("list", "mixes", "library", "queue")
"""What may have changed while no changes could be followed."""
MAX_STREAMS = 2000
MAX_STREAMS_OF_PLACE = 500
MAX_STREAMS_OF_LISTENER = 16
"""A browser that has shared workers needs a single one for all of its tabs."""
GATHER_S = 0.03
"""What changes within so long is told at once: the stream of events writes a profile, a list and mixes together."""
LIBRARY_INTERVAL_S = 2.0
"""While a library is extracted, pages are told so often."""
SERVICES_LOOK_INTERVAL_S = 0.25
STREAM_RETRY_AFTER_S = 10


class Message(NamedTuple):
    """data : JSON object of a `status`, {} of other kinds"""

    kind: str
    data: dict[str, Any]


class Subscription:
    """What one open stream is told.

    listener : user id, None where nobody was chosen
    """

    def __init__(self, listener: str | None, session_id: str | None) -> None:
        self.listener, self.session_id = listener, session_id
        self.is_ended = False
        self._waiting: dict[str, dict[str, Any]] = {}
        self._wake = asyncio.Event()

    def tell(self, kind: str, data: dict[str, Any] | None = None) -> None:
        """Puts a message in the queue, in place of an earlier one of its kind."""
        self._waiting[kind] = data or {}
        self._wake.set()

    def end(self) -> None:
        """The stream ends after what waits; its page connects again, by the session that it has then."""
        self.is_ended = True
        self._wake.set()

    async def messages(self, timeout_s: float) -> list[Message]:
        """The messages since the last call, none after `timeout_s` without one or at the end."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return []
        if not self.is_ended:
            await asyncio.sleep(GATHER_S)
        self._wake.clear()
        messages = [Message(kind, data) for kind, data in self._waiting.items()]
        self._waiting.clear()
        return messages


class Hub:
    """The open streams.

    queue_state : (whether Kafka takes events, number of events that wait for it)
    """

    def __init__(self, queue_state: Callable[[], tuple[bool, int]]) -> None:
        self._queue_state = queue_state
        self._subscriptions: set[Subscription] = set()
        self._shares = Shares(
            "open pages", MAX_STREAMS, MAX_STREAMS_OF_PLACE, MAX_STREAMS_OF_LISTENER, STREAM_RETRY_AFTER_S
        )
        self._library_changed = False
        self._away = ""
        self._status: dict[str, Any] = self._current_status()

    def __len__(self) -> int:
        return len(self._subscriptions)

    @contextmanager
    def subscribe(self, client: Client, session_id: str | None) -> Iterator[Subscription]:
        """A stream's subscription, which begins with the status. Raises ShareTaken where there are too many streams."""
        with self._shares.held(client):
            subscription = Subscription(client.listener, session_id)
            self._subscriptions.add(subscription)
            subscription.tell("status", self._status)
            try:
                yield subscription
            finally:
                self._subscriptions.discard(subscription)

    def tell(self, kind: str, listener: str | None = None) -> None:
        """Tells a listener's pages, or all pages, that something of this kind has changed."""
        if kind == "library":
            self._library_changed = True  # `run` tells it
            return
        for subscription in self._subscriptions:
            if listener is None or subscription.listener == listener:
                subscription.tell(kind)

    def tell_everything(self) -> None:
        """Changes may have been missed: all pages look."""
        for kind in EVERYTHING:
            self.tell(kind)

    def set_away(self, reason: str) -> None:
        """Whether MongoDB is unavailable, and why; "" where it answers."""
        self._away = reason
        self._tell_status()

    def end_session(self, session_id: str) -> None:
        self._end(lambda subscription: subscription.session_id == session_id)

    def end_listener(self, listener: str) -> None:
        """The account or the data of a listener have changed: each of their pages shows its session again."""
        self._end(lambda subscription: subscription.listener == listener)

    def end_all(self) -> None:
        """The player stops."""
        self._end(lambda _: True)

    async def run(self) -> None:
        """Tells changes of the status, and those of the library now and then, until it is cancelled."""
        library_told_at = float("-inf")
        while True:
            self._tell_status()
            now = asyncio.get_running_loop().time()
            if self._library_changed and now - library_told_at >= LIBRARY_INTERVAL_S:
                self._library_changed, library_told_at = False, now
                for subscription in self._subscriptions:
                    subscription.tell("library")
            await asyncio.sleep(SERVICES_LOOK_INTERVAL_S)

    def _end(self, matches: Callable[[Subscription], bool]) -> None:
        for subscription in self._subscriptions:
            if matches(subscription):
                subscription.end()

    def _current_status(self) -> dict[str, Any]:
        connected, waiting = self._queue_state()
        events = {"connected": connected, "waiting": 0 if connected else waiting}
        return {**events, "away": self._away} if self._away else events

    def _tell_status(self) -> None:
        status = self._current_status()
        if status != self._status:
            self._status = status
            for subscription in self._subscriptions:
                subscription.tell("status", status)
