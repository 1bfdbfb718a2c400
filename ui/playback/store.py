"""Queues and playback settings by listener, in the collection `queues`."""

from __future__ import annotations

from datetime import UTC, datetime

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from ui.data.mongo import Document, LibraryUnavailable, unavailable_on_error
from ui.playback.queue_document import (
    PlaybackSettings,
    StoredQueue,
    joined,
    queue_fields,
    read_queue,
    read_settings,
    settings_fields,
)

MAX_QUEUE_ATTEMPTS = 10
"""Of a change that other changes come before."""


class Queues:
    """Queues and playback settings by user id, which callers must take from the session. Methods raise LibraryUnavailable."""

    def __init__(self, db: Database[Document]) -> None:
        self._queues = db.queues

    def get(self, user_id: str) -> tuple[StoredQueue, PlaybackSettings]:
        """The listener's queue and settings; an empty queue and the defaults where nothing was saved."""
        with unavailable_on_error():
            document = self._queues.find_one({"_id": user_id}) or {}
        return read_queue(document), read_settings(document)

    def save(self, user_id: str, queue: StoredQueue) -> bool:
        """Replaces the queue, where it is at the revision of `queue`, which goes up by one; False where it is at another."""
        is_first = queue.revision == 0
        # A document of settings alone has no revision, which means 0.
        condition = {"_id": user_id, "revision": {"$in": [0, None]} if is_first else queue.revision}
        change = {"$set": queue_fields(queue, datetime.now(UTC)) | {"revision": queue.revision + 1}}
        with unavailable_on_error():
            try:
                matched = self._queues.update_one(condition, change, upsert=is_first)
            except DuplicateKeyError:  # there is a queue already, at another revision
                return False
        return matched.matched_count == 1 or matched.upserted_id is not None

    def save_settings(self, user_id: str, settings: PlaybackSettings) -> None:
        with unavailable_on_error():
            self._queues.update_one({"_id": user_id}, {"$set": settings_fields(settings)}, upsert=True)

    def hand_over(self, guest_id: str, user_id: str) -> None:
        """Puts a guest's queue before the listener's own; done twice it is as once. Settings go where the listener has none."""
        with unavailable_on_error():
            guest = self._queues.find_one({"_id": guest_id})
            if guest is None:
                return
            if "settings" in guest:
                try:
                    without = {"_id": user_id, "settings": {"$exists": False}}
                    self._queues.update_one(without, {"$set": settings_fields(read_settings(guest))}, upsert=True)
                except DuplicateKeyError:
                    pass  # the listener has settings
        for _ in range(MAX_QUEUE_ATTEMPTS):
            own, _ = self.get(user_id)
            both = joined(read_queue(guest), own)
            if both == own or self.save(user_id, both):
                return
        raise LibraryUnavailable("The queue is changed too often by another device.")
