"""Sessions that ended before their cookie expired: signed out, or of a listener who deleted their data.

A copied cookie cannot be taken back, so its end is stored, and every request checks it.

Collections: `sessions` (`_id` = id of a signed-out session; ended_at, version), and `deletions` of streaming.documents: the
streaming queries refuse events from before the deletion too. `version` is that of the code that wrote the document last; absent
means 1.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from pymongo.database import Database
from pymongo.errors import PyMongoError

from streaming.documents import DELETIONS, deleted_at_from, deletion_fields
from ui.data.mongo import Document, unavailable_on_error

log = logging.getLogger(__name__)

REVOCATION_VERSION = 1
REVOCATION_KEPT_S = 180 * 24 * 3600
"""Longer than the cookie of an ended session is valid."""
REVOCATION_CACHE_S = 10.0
"""Cache look-ups this long; a session that this player revoked itself is refused at once."""
MAX_CACHED_SESSIONS = 10_000


class Revocations:
    """The ended sessions of one database."""

    def __init__(self, db: Database[Document]) -> None:
        self._db = db
        self._cache: dict[str, tuple[float, bool]] = {}
        self._is_indexed = False

    def is_revoked(self, user_id: str, session_id: str, started_at: float) -> bool:
        """Whether a listener's session has ended. While MongoDB is away, the last answer holds.

        started_at : seconds since 1970
        """
        checked_at, is_revoked = self._cache.get(session_id, (float("-inf"), False))
        if is_revoked or time.monotonic() - checked_at <= REVOCATION_CACHE_S:
            return is_revoked
        try:
            is_revoked = self._look_up(user_id, session_id, started_at)
        except PyMongoError as error:
            log.debug("MongoDB is away, the session keeps its state: %s", error)
        self._remember(session_id, is_revoked)
        return is_revoked

    def revoke(self, session_id: str) -> None:
        """Ends one session. While MongoDB is away, only this process refuses it."""
        self._remember(session_id, True)
        try:
            if not self._is_indexed:
                self._db.sessions.create_index("ended_at", expireAfterSeconds=REVOCATION_KEPT_S)
                self._is_indexed = True
            self._db.sessions.update_one(
                {"_id": session_id}, {"$set": revocation_fields(datetime.now(UTC))}, upsert=True
            )
        except PyMongoError as error:
            log.warning("MongoDB is away, the end of a session is not stored: %s", error)

    def revoke_all(self, user_id: str, end_by_partition: Mapping[str, int] | None = None) -> None:
        """Ends all sessions of a listener, and their events up to now count no longer. Raises LibraryUnavailable.

        end_by_partition : where the listening topic ends (`Deletion`); where that is not known the clocks count
        """
        fields = deletion_fields(datetime.now(UTC), end_by_partition)
        with unavailable_on_error():
            self._db[DELETIONS].update_one({"_id": user_id}, {"$set": fields}, upsert=True)
        self._cache = {session_id: cached for session_id, cached in self._cache.items() if cached[1]}

    def _look_up(self, user_id: str, session_id: str, started_at: float) -> bool:
        if self._db.sessions.find_one({"_id": session_id}, {"_id": 1}) is not None:
            return True
        deleted_at = deleted_at_from(self._db[DELETIONS].find_one({"_id": user_id}))
        return deleted_at is not None and started_at <= deleted_at.timestamp()

    def _remember(self, session_id: str, is_revoked: bool) -> None:
        if len(self._cache) > MAX_CACHED_SESSIONS:
            self._cache.clear()
        self._cache[session_id] = (time.monotonic(), is_revoked)


def revocation_fields(ended_at: datetime) -> Document:
    """Fields to set in `sessions` under the session's id. Readers only ask whether there is such a document."""
    return {"ended_at": ended_at, "version": REVOCATION_VERSION}
