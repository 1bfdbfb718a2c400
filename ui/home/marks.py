"""Marks of cards: which tracks a listener has heard."""

from __future__ import annotations

from collections.abc import Collection

from ui.dependencies import Services
from ui.page.cards import HEARD


def heard_marks(services: Services, user_id: str | None, track_ids: Collection[str]) -> dict[str, str]:
    """HEARD for each of the tracks that the listener has listened to, by track id; none without a listener."""
    if user_id is None or not track_ids:
        return {}
    return dict.fromkeys(services.listener_data.history.heard_among(user_id, track_ids), HEARD)
