"""Marks of cards: which tracks a listener has heard, and which are new to the library."""

from __future__ import annotations

from collections.abc import Collection

from ui.dependencies import Services
from ui.page.cards import ADDED_LATELY, HEARD


def card_marks(services: Services, user_id: str | None, track_ids: Collection[str]) -> dict[str, str]:
    """HEARD for each of the tracks that the listener has listened to, else ADDED_LATELY for those added lately, by track id."""
    if not track_ids:
        return {}
    heard = services.listener_data.history.heard_among(user_id, track_ids) if user_id else set()
    return dict.fromkeys(services.library.new_among(track_ids), ADDED_LATELY) | dict.fromkeys(heard, HEARD)
