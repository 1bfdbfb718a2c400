"""What a guest did becomes the data of the listener whose name they choose: history, opinions, mutings, wishes and the place
on the slider as events, playlists, the queue, the place in a track. A name that nobody has needs none of it: the guest keeps
their user id under it (`ui.auth.session`).

Each step done twice is as done once, and the guest's data are deleted last: what a crash breaks off is completed by the next
attempt.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pymongo.errors import DuplicateKeyError

from streaming.events import Event
from streaming.profile.profile import LISTENING_ACTIONS
from ui.data.history import stored_profile
from ui.data.mongo import Document, unavailable_on_error
from ui.data.steering import steering_event, steering_of_profile
from ui.playback.store import Queues

if TYPE_CHECKING:
    from pymongo.collection import Collection

    from ui.dependencies import Services

OPINIONS = {"verdict": ("like", "dislike"), "wish": ("more", "less")}
PARTS = (
    ("at", ("action", "position_ms", "duration_ms")),
    ("verdict_at", ("verdict",)),
    ("wish_at", ("wish",)),
    ("steered_at", ("action", "target")),
)
"""The parts of a document of `listens`, each by its time; of each the later one stands."""
PROFILE_FIELDS = ("mutings", "tag_wishes", "adventure", "adventure_at")
EVENT_IDS = uuid.UUID("7d0c2f5e-6f0e-4c1b-9d5a-3a1d4b0f6a52")
"""Namespace of the ids of these events: handed over twice, they count once."""
_LOCKS = tuple(threading.Lock() for _ in range(64))


def hand_over_lock(guest_id: str) -> threading.Lock:
    """Held while a guest's data are given away: of two requests at once, the second finds that the guest is gone."""
    return _LOCKS[hash(guest_id) % len(_LOCKS)]


def hand_over(services: Services, guest_id: str, user_id: str, session: dict[str, Any]) -> int:
    """Gives the guest's data to a listener and deletes them; returns the number of tracks that the guest had an opinion of.

    session : of the listener
    Raises QueueFull, JournalUnwritable or LibraryUnavailable; then the guest still has all data, and it can be tried again.
    """
    db = services.db
    with unavailable_on_error():
        listens = list(db.listens.find({"user_id": guest_id}))
        profile = db.profiles.find_one({"_id": guest_id}, dict.fromkeys(PROFILE_FIELDS, 1)) or {}
    listens = [*listens, *_steering_of_profile_alone(profile, guest_id, listens)]
    for document in listens:
        for event in events_of(document, user_id):
            services.event_queue.publish(event, session.get("since"))
        with unavailable_on_error():
            bring(db.listens, document, user_id)
    with unavailable_on_error():
        db.playlists.update_many({"user_id": guest_id}, {"$set": {"user_id": user_id}})
        place = db.places.find_one({"_id": guest_id})
        if place is not None:
            _update_if_later(db.places, user_id, "at", {**place, "_id": user_id})
    Queues(db).hand_over(guest_id, user_id)
    services.revocations.revoke_all(guest_id)
    services.listener_data.delete(guest_id)
    return sum(any(document.get(state) for state in OPINIONS) for document in listens)


def bring(listens: Collection[Document], document: Document, user_id: str) -> None:
    """Stores under a listener's id what a guest's document of `listens` says, where nothing later is known of the same.

    Raises PyMongoError.
    """
    listen_id = {**document["_id"], "user": user_id}
    for time_field, others in PARTS:
        if not isinstance(document.get(time_field), datetime):
            continue
        fields = {name: document[name] for name in ("version", time_field, *others) if name in document}
        plays = int(document.get("plays") or 0) if time_field == "at" else 0
        _update_if_later(listens, listen_id, time_field, fields | {"user_id": user_id}, plays)


def events_of(listen: Document, user_id: str) -> Iterator[Event]:
    """The events that say for a listener what a document of `listens` says for a guest: what was heard last, the opinions that
    stand, or how lists are steered."""
    about = str(listen["_id"].get("track") or listen["_id"].get("steering"))

    def event_id(action: str, at: datetime) -> str:
        name = f"{listen['_id']['user']}\n{user_id}\n{about}\n{action}\n{_with_zone(at).isoformat()}"
        return str(uuid.uuid5(EVENT_IDS, name))

    def event(action: str, at: datetime, **fields: Any) -> Event:
        return Event(user_id, about, action, _with_zone(at), event_id=event_id(action, at), **fields)

    steered_at = listen.get("steered_at")
    if isinstance(steered_at, datetime):
        steering = steering_event(listen, user_id, event_id(str(listen.get("action")), steered_at))
        if steering is not None:
            yield steering
        return
    heard_at, action = listen.get("at"), str(listen.get("action") or "")
    if isinstance(heard_at, datetime) and action in LISTENING_ACTIONS:
        yield event("play", heard_at)
        if action != "play":
            yield event(action, heard_at, position_ms=listen.get("position_ms"), duration_ms=listen.get("duration_ms"))
    for state, values in OPINIONS.items():
        changed_at = listen.get(f"{state}_at")
        if isinstance(changed_at, datetime) and listen.get(state) in values:
            yield event(str(listen[state]), changed_at)


def _steering_of_profile_alone(profile: Document, guest_id: str, listens: list[Document]) -> Iterator[Document]:
    """Documents of what the profile knows and `listens` does not: events of other programs, and of earlier versions."""
    keys = {document["_id"].get("steering") for document in listens}
    for key, fields in steering_of_profile(stored_profile(profile)).items():
        if key not in keys:
            yield {"_id": {"user": guest_id, "steering": key}, **fields}


def _update_if_later(
    collection: Collection[Document], document_id: Any, time_field: str, fields: Document, plays: int = 0
) -> None:
    """Sets fields of a document, which is made where there is none, unless its own time is as late already.

    plays : added to the document's
    """
    update: Document = {"$set": {name: value for name, value in fields.items() if name != "_id"}}
    if plays:
        update["$inc"] = {"plays": plays}
    try:
        earlier = {"_id": document_id, time_field: {"$not": {"$gte": fields[time_field]}}}
        collection.update_one(earlier, update, upsert=True)
    except DuplicateKeyError:
        pass  # there is a document, and it is as late


def _with_zone(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time
