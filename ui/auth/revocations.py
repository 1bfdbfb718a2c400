"""Sessions that are over before their cookie is: signed out, grown old, or of a listener whose data were deleted.

A cookie cannot be taken back from whoever has copied it, so its end is kept here, and every request asks for it.

Collections: `sessions` (`_id` = id of a session that was signed out, ended_at), `deletions` (`_id` = user id, deleted_at): the
streaming queries, too, pass over what that listener did until then.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime

from pymongo.database import Database
from pymongo.errors import PyMongoError

from streaming.admission.rules import DELETIONS
from ui.data.library import Document, LibraryUnavailable

log = logging.getLogger(__name__)

LASTS_S = 180 * 24 * 3600
"""No session is older; so long an end has to be remembered."""
BELIEVED_S = 10.0
"""So long an answer holds; an end that this player wrote itself holds at once."""
REMEMBERED = 10_000


class Sessions:
    def __init__(self, db: Database[Document]) -> None:
        self._db = db
        self._known: dict[str, tuple[float, bool]] = {}
        self._is_indexed = False

    def is_over(self, user_id: str, session_id: str, since: float) -> bool:
        """Whether a session of this listener that began at `since` (seconds since 1970) has ended. While MongoDB is away, it
        goes on as it was known last.
        """
        if time.time() - since > LASTS_S:
            return True
        asked_at, is_over = self._known.get(session_id, (float("-inf"), False))
        if is_over or time.monotonic() - asked_at <= BELIEVED_S:
            return is_over
        try:
            is_over = self._ask(user_id, session_id, since)
        except PyMongoError as error:
            log.debug("a session is taken as it was: %s", error)
        self._know(session_id, is_over)
        return is_over

    def end(self, session_id: str) -> None:
        """Nobody listens by this session any more. While MongoDB is away, only this process knows."""
        self._know(session_id, True)
        try:
            if not self._is_indexed:
                self._db.sessions.create_index("ended_at", expireAfterSeconds=LASTS_S)
                self._is_indexed = True
            self._db.sessions.replace_one({"_id": session_id}, {"ended_at": datetime.now(UTC)}, upsert=True)
        except PyMongoError as error:
            log.warning("the end of a session is not written down: %s", error)

    def delete(self, user_id: str) -> None:
        """Ends all sessions of a listener, and what was done until now counts nowhere any more. Raises LibraryUnavailable."""
        try:
            self._db[DELETIONS].replace_one({"_id": user_id}, {"deleted_at": datetime.now(UTC)}, upsert=True)
        except PyMongoError as error:
            raise LibraryUnavailable(f"MongoDB does not answer ({type(error).__name__})") from error
        self._known = {session_id: known for session_id, known in self._known.items() if known[1]}

    def _ask(self, user_id: str, session_id: str, since: float) -> bool:
        if self._db.sessions.find_one({"_id": session_id}, {"_id": 1}) is not None:
            return True
        deletion = self._db[DELETIONS].find_one({"_id": user_id})
        return deletion is not None and since <= deletion["deleted_at"].timestamp()

    def _know(self, session_id: str, is_over: bool) -> None:
        if len(self._known) > REMEMBERED:
            self._known.clear()
        self._known[session_id] = (time.monotonic(), is_over)
