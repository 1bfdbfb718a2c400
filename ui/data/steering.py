"""What a listener has steered their lists by, as documents of `listens`: mutings, wishes for words, the place on the slider.

The stream's profile has it too, of events from every program, some seconds later.

_id               fields
{user, steering}  user_id, action, target, steered_at, version;  steering : "mute TARGET", "wish TARGET" or "adventure"
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from streaming.events import ADVENTURE, MUTING_ACTIONS, WISH_ACTIONS, Event
from streaming.profile.profile import Profile
from ui.data.mongo import Document

STEERING_VERSION = 1
MUTE_KEY, WISH_KEY = "mute", "wish"


def steering_key(event: Event) -> str | None:
    """What of a listener's steering an event changes; None for events that do not steer."""
    if event.action == ADVENTURE:
        return ADVENTURE
    if event.track_id is not None or event.target is None:
        return None
    kind = {**dict.fromkeys(MUTING_ACTIONS, MUTE_KEY), **dict.fromkeys(WISH_ACTIONS, WISH_KEY)}.get(event.action)
    return None if kind is None else f"{kind} {event.target}"


def steering_update(event: Event) -> Document:
    """The MongoDB update that stores a steering event in its document."""
    fields = {"user_id": event.user_id, "version": STEERING_VERSION}
    return {"$set": fields | _said(event.action, event.target, event.occurred_at)}


def steering_of_profile(profile: Profile) -> dict[str, Document]:
    """What a profile says, as the fields of documents, by `steering_key`."""
    muted = {
        f"{MUTE_KEY} {each.target}": _said("mute" if each.muted else "unmute", each.target, _time(each.at))
        for each in profile.mutings
    }
    wished = {
        f"{WISH_KEY} {each.target}": _said(each.wish or "neutral", each.target, _time(each.at))
        for each in profile.tag_wishes
    }
    slider = {ADVENTURE: _said(ADVENTURE, f"{profile.adventure:.2f}", _time(profile.adventure_at))}
    return muted | wished | (slider if profile.adventure_at else {})


def steering_event(document: Mapping[str, object], user_id: str, event_id: str) -> Event | None:
    """The event that says the same for a listener; None where the document cannot be read."""
    action, target, said_at = (document.get(name) for name in ("action", "target", "steered_at"))
    if not isinstance(action, str) or not isinstance(target, str) or not isinstance(said_at, datetime):
        return None
    occurred_at = said_at.replace(tzinfo=UTC) if said_at.tzinfo is None else said_at
    return Event(user_id, None, action, occurred_at, event_id=event_id, target=target)


def _said(action: str, target: str | None, said_at: datetime) -> Document:
    return {"action": action, "target": target, "steered_at": said_at}


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
