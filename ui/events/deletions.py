"""When listeners' data were deleted, by this player or another one over the same database, and where Kafka's topic ended then."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from pymongo.errors import PyMongoError

from conf.settings import Kafka
from streaming.admission.rules import deletion_times
from streaming.source import topics

if TYPE_CHECKING:
    from pymongo.database import Database

    from ui.data.mongo import Document

log = logging.getLogger(__name__)

LOOKUP_PAUSE_S = 10.0
"""After MongoDB was away it is not asked for so long: events wait for no second service."""


class Deletions:
    """Looks deletions up, for events that wait."""

    def __init__(self, db: Database[Document]) -> None:
        self._db = db
        self._asks_after = 0.0  # monotonic seconds

    def times(self, user_ids: Collection[str]) -> dict[str, float]:
        """{user id: seconds since 1970} of those whose data were deleted; empty while MongoDB is away."""
        if time.monotonic() < self._asks_after:
            return {}
        try:
            deleted_at = deletion_times(user_ids, self._db)
        except PyMongoError:
            self._asks_after = time.monotonic() + LOOKUP_PAUSE_S
            return {}
        return {user_id: at.timestamp() for user_id, at in deleted_at.items()}


def listening_ends(kafka: Kafka, is_connected: bool) -> dict[str, int]:
    """As `topics.listening_ends`; empty where Kafka is away.  is_connected : False where it is known to be away"""
    if is_connected:
        try:
            return topics.listening_ends(kafka)
        except topics.KafkaAway as error:
            log.warning("%s", error)
    log.warning("Kafka is unavailable: which of a listener's events a deletion covers is told by the clocks")
    return {}
