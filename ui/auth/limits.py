"""How much one listener, or one place, may ask of the player in a while; beyond that, 429 with Retry-After."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from starlette.requests import Request

from ui.auth.places import place_of
from ui.auth.throttle import Throttle, TooManyAttempts, too_many

MAX_EVENTS_OF_LISTENER = 600
"""In a minute; a page that was without its server for long sends what it has kept by and by."""
MAX_EVENTS_OF_PLACE = 6000
MAX_SOUNDS_OF_PLACE = 20
MAX_EXPORTS = 6
EXPORTS_WINDOW_S = 600.0
MAX_IMPORTS = 10
"""Of playlists, in a minute."""
MAX_REMEMBERED_EVENTS = 20_000


@dataclass(frozen=True)
class RequestLimits:
    """Limits on events, searches by sound and exports, in this process."""

    events_by_listener: Throttle = field(default_factory=lambda: Throttle(MAX_EVENTS_OF_LISTENER))
    events_by_place: Throttle = field(default_factory=lambda: Throttle(MAX_EVENTS_OF_PLACE))
    sounds_by_place: Throttle = field(default_factory=lambda: Throttle(MAX_SOUNDS_OF_PLACE))
    exports_by_listener: Throttle = field(default_factory=lambda: Throttle(MAX_EXPORTS, window_s=EXPORTS_WINDOW_S))

    imports_by_listener: Throttle = field(default_factory=lambda: Throttle(MAX_IMPORTS))

    def take_import(self, user_id: str) -> None:
        """Counts an import of a playlist. Raises Refused."""
        _take(self.imports_by_listener, user_id)

    def take_event(self, request: Request, user_id: str) -> None:
        """Counts an event of a listener. Raises Refused."""
        _take(self.events_by_place, place_of(request))
        _take(self.events_by_listener, user_id)

    def take_sound(self, request: Request) -> None:
        """Counts a search by sound. Raises Refused."""
        _take(self.sounds_by_place, place_of(request))

    def take_export(self, user_id: str) -> None:
        """Counts an export of a listener. Raises Refused."""
        _take(self.exports_by_listener, user_id)


class RecentEvents:
    """The events that were accepted lately, so that one which is sent again is not counted again."""

    def __init__(self) -> None:
        self._keys: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self._keys

    def add(self, user_id: str, event_id: str) -> None:
        """Remembers an event; beyond MAX_REMEMBERED_EVENTS the oldest is forgotten."""
        with self._lock:
            self._keys[user_id, event_id] = None
            while len(self._keys) > MAX_REMEMBERED_EVENTS:
                self._keys.popitem(last=False)


def _take(throttle: Throttle, key: str) -> None:
    try:
        throttle.take(key)
    except TooManyAttempts as error:
        raise too_many(error) from error
