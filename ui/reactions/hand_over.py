"""What a guest did becomes the data of the listener whose name they choose: history and opinions as events, playlists, the place
in a track. A name that nobody has needs none of it: the guest keeps their user id under it (`ui.auth.session`)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from streaming.events import Event
from streaming.profile.profile import LISTENING_ACTIONS
from ui.data.mongo import Document, unavailable_on_error

if TYPE_CHECKING:
    from ui.dependencies import Services

OPINIONS = {"verdict": ("like", "dislike"), "wish": ("more", "less")}
EVENT_IDS = uuid.UUID("7d0c2f5e-6f0e-4c1b-9d5a-3a1d4b0f6a52")
"""Namespace of the ids of these events: handed over twice, they count once."""


def hand_over(services: Services, guest_id: str, user_id: str, session: dict[str, Any]) -> int:
    """Gives the guest's data to a listener and deletes them; returns the number of tracks that the guest had an opinion of.

    session : of the listener
    Raises QueueFull, JournalUnwritable or LibraryUnavailable; then the guest still has all data, and it can be tried again.
    """
    db = services.db
    with unavailable_on_error():
        listens = list(db.listens.find({"user_id": guest_id}))
        own = {each["_id"]["track"]: each for each in db.listens.find({"user_id": user_id})}
    for document in listens:
        for event in events_of(document, user_id):
            services.event_queue.publish(event, session.get("since"))
            if is_later(event, own.get(document["_id"]["track"], {})):
                services.listener_data.history.record(event)
    with unavailable_on_error():
        db.playlists.update_many({"user_id": guest_id}, {"$set": {"user_id": user_id}})
        place = db.places.find_one({"_id": guest_id})
        if place is not None and db.places.find_one({"_id": user_id}, {"_id": 1}) is None:
            db.places.insert_one({**place, "_id": user_id})
    services.revocations.revoke_all(guest_id)
    services.listener_data.delete(guest_id)
    return sum(any(document.get(state) for state in OPINIONS) for document in listens)


def events_of(listen: Document, user_id: str) -> Iterator[Event]:
    """The events that say for a listener what a document of `listens` says for a guest: what was heard last, the opinions that
    stand."""
    track_id = str(listen["_id"]["track"])

    def event(action: str, at: datetime, **fields: Any) -> Event:
        occurred_at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        name = f"{listen['_id']['user']}\n{user_id}\n{track_id}\n{action}\n{occurred_at.isoformat()}"
        return Event(user_id, track_id, action, occurred_at, event_id=str(uuid.uuid5(EVENT_IDS, name)), **fields)

    heard_at, action = listen.get("at"), str(listen.get("action") or "")
    if isinstance(heard_at, datetime) and action in LISTENING_ACTIONS:
        yield event("play", heard_at)
        if action != "play":
            yield event(action, heard_at, position_ms=listen.get("position_ms"), duration_ms=listen.get("duration_ms"))
    for state, values in OPINIONS.items():
        changed_at = listen.get(f"{state}_at")
        if isinstance(changed_at, datetime) and listen.get(state) in values:
            yield event(str(listen[state]), changed_at)


def is_later(event: Event, listen: Document) -> bool:
    """Whether an event came after what a document of `listens` says of the same thing."""
    state = next((state for state, values in OPINIONS.items() if event.action in values), None)
    known_at = listen.get("at" if state is None else f"{state}_at")
    if not isinstance(known_at, datetime):
        return True
    return event.occurred_at > (known_at.replace(tzinfo=UTC) if known_at.tzinfo is None else known_at)
