"""What changes in MongoDB, from its change stream, and whom it concerns.

One task a process follows all collections and tells the hub. Where the server has no change streams (it is no replica set, or
its user may not watch the database), all pages are told to look every SLOW_POLL_S instead. Only ids are read, no documents.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pymongo.errors import OperationFailure, PyMongoError

from batch.mongo import NEW_LISTENERS, async_connection
from conf.settings import Mongo
from ui.data.mongo import CONNECT_TIMEOUT_MS, PLAYER_SOCKET_TIMEOUT_MS
from ui.push.hub import Hub

if TYPE_CHECKING:
    from pymongo.asynchronous.change_stream import AsyncChangeStream
    from pymongo.asynchronous.database import AsyncDatabase

log = logging.getLogger(__name__)

KIND_BY_COLLECTION = {
    "recommendations": "list",
    "profiles": "list",
    "listens": "list",
    "mixes": "mixes",
    "queues": "queue",
    "tracks": "library",
    "albums": "library",
    "artists": "library",
}
"""What pages are told of a change in each collection."""
SESSION_COLLECTIONS = ("sessions", "accounts", "deletions")
"""A change in these may end sessions."""
PIPELINE: list[dict[str, Any]] = [
    {"$match": {"ns.coll": {"$in": [*KIND_BY_COLLECTION, *SESSION_COLLECTIONS]}}},
    {"$project": {"operationType": 1, "ns.coll": 1, "documentKey": 1}},
]
CHANGES_WAIT_MS = 1000
ANSWER_TIMEOUT_S = 5.0
"""MongoDB answers within CHANGES_WAIT_MS, with or without a change; after so long it counts as away."""
CURSOR_CLOSE_TIMEOUT_S = 1.0
FIRST_RETRY_PAUSE_S, LONGEST_RETRY_PAUSE_S = 0.25, 2.0
SLOW_POLL_S = 5.0
CHANGES_IN_A_ROW = 200
"""Then other tasks have their turn: a library of 100,000 tracks comes as that many changes."""
UNSUPPORTED_ERROR_CODES = (13, 40573, 40324, 59)
"""Unauthorized; $changeStream needs a replica set; unknown stage; unknown command."""


class Concern(NamedTuple):
    """What a change means. kind : of the hub, or "session" or "account";  key : user or session id, None for everybody"""

    kind: str
    key: str | None


def concern_of(change: Mapping[str, Any]) -> Concern | None:
    """What a document of the change stream means for pages; None for nothing that they show."""
    collection = (change.get("ns") or {}).get("coll")
    if collection is None:
        return None
    document_id = (change.get("documentKey") or {}).get("_id")
    if collection == "sessions":
        return Concern("session", document_id) if change.get("operationType") == "insert" else None
    if collection in SESSION_COLLECTIONS:
        return Concern("account", document_id) if isinstance(document_id, str) else None
    kind = KIND_BY_COLLECTION.get(collection)
    if kind is None:
        return None
    if kind == "library":
        return Concern(kind, None)
    listener = document_id.get("user") if isinstance(document_id, Mapping) else document_id
    return Concern(kind, listener if isinstance(listener, str) and listener != NEW_LISTENERS else None)


async def follow_changes(mongo: Mongo, hub: Hub) -> None:
    """Tells the hub of changes until it is cancelled; waits while MongoDB is unavailable."""
    client = async_connection(
        mongo,
        serverSelectionTimeoutMS=CONNECT_TIMEOUT_MS,
        connectTimeoutMS=CONNECT_TIMEOUT_MS,
        socketTimeoutMS=PLAYER_SOCKET_TIMEOUT_MS,
        appname="overtone-push",
        maxPoolSize=4,
    )
    try:
        await _follow(client[mongo.database], hub)
    finally:
        await client.close()


async def _follow(database: AsyncDatabase[dict[str, Any]], hub: Hub) -> None:
    pause_s = FIRST_RETRY_PAUSE_S
    is_supported = True
    while True:
        try:
            if is_supported:
                await _tell_changes(database, hub)
            else:
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    await database.command("ping")
                hub.set_away("")
                hub.tell_everything()
                pause_s = SLOW_POLL_S
        except OperationFailure as error:
            if error.code in UNSUPPORTED_ERROR_CODES and is_supported:
                log.warning("MongoDB offers no change stream (%s): pages look every %.0f s", error.code, SLOW_POLL_S)
                is_supported = False
            pause_s = FIRST_RETRY_PAUSE_S
        except (PyMongoError, TimeoutError) as error:
            hub.set_away(f"MongoDB does not answer ({type(error).__name__}).")
            pause_s = min(2 * pause_s, LONGEST_RETRY_PAUSE_S)
        await asyncio.sleep(pause_s)


async def _tell_changes(database: AsyncDatabase[dict[str, Any]], hub: Hub) -> None:
    """Tells the hub of changes until one cannot be read. Raises PyMongoError, TimeoutError."""
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        changes = await database.watch(PIPELINE, max_await_time_ms=CHANGES_WAIT_MS)
    try:
        hub.set_away("")
        hub.tell_everything()  # of what changed before the stream was open
        while changes.alive:  # not after the database was dropped
            await _tell_some(changes, hub)
            await asyncio.sleep(0)
    finally:
        async with asyncio.timeout(CURSOR_CLOSE_TIMEOUT_S):
            await changes.close()


async def _tell_some(changes: AsyncChangeStream[dict[str, Any]], hub: Hub) -> None:
    for _ in range(CHANGES_IN_A_ROW):
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            change = await changes.try_next()
        if change is None:
            return
        concern = concern_of(change)
        if concern is None:
            continue
        if concern.kind == "session":
            hub.end_session(str(concern.key))
        elif concern.kind == "account":
            hub.end_listener(str(concern.key))
        else:
            hub.tell(concern.kind, concern.key)
