"""Which tracks are new to the library: added lately, and not when most of it was read for the first time."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from pymongo.database import Database

from ui.data.mongo import Document, unavailable_on_error

NEW_FOR = timedelta(days=14)
FIRST_READING = timedelta(minutes=10)
"""What was added so soon after the first track is not new: it was there before."""
MOST_NEW_SHARE = 0.2
"""Of the library. If more of it is new, nothing is: it was read over days, or moved."""
NOVELTY_CACHE_S = 60.0


class Novelty:
    """Methods raise LibraryUnavailable.  scope : selects the library's tracks"""

    def __init__(self, db: Database[Document], scope: Document) -> None:
        self._db, self._scope = db, scope
        self._looked_at = float("-inf")
        self._since: datetime | None = None

    def new_among(self, track_ids: Iterable[str]) -> set[str]:
        """The new ones of these tracks."""
        if time.monotonic() - self._looked_at > NOVELTY_CACHE_S:
            self._since, self._looked_at = self._new_since(datetime.now(UTC)), time.monotonic()
        if self._since is None:
            return set()
        query = {"_id": {"$in": list(track_ids)}, "added_at": {"$gt": self._since}, **self._scope}
        with unavailable_on_error():
            return {str(document["_id"]) for document in self._db.tracks.find(query, {"_id": 1})}

    def _new_since(self, now: datetime) -> datetime | None:
        """Tracks that were added later are new; None: none is."""
        tracks = self._db.tracks
        with unavailable_on_error():
            dated = {"added_at": {"$type": "date"}, **self._scope}
            first = tracks.find_one(dated, {"added_at": 1}, sort=[("added_at", 1)])
            if first is None:
                return None
            first_at = first["added_at"]
            since = max(now - NEW_FOR, first_at.replace(tzinfo=first_at.tzinfo or UTC) + FIRST_READING)
            most = int(MOST_NEW_SHARE * tracks.estimated_document_count())
            count = tracks.count_documents({"added_at": {"$gt": since}, **self._scope}, limit=most + 1)
        return since if count <= most else None
