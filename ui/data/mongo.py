"""The player's MongoDB: opened from the settings, and its errors turned into one that routes know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo.database import Database
from pymongo.errors import PyMongoError

from batch.mongo import connection
from conf.settings import Mongo

Document = dict[str, Any]

CONNECT_TIMEOUT_MS = 1500
PLAYER_SOCKET_TIMEOUT_MS = 5000


class LibraryUnusable(ValueError):
    """The settings' URI of MongoDB is not valid."""


class LibraryUnavailable(ConnectionError):
    """MongoDB does not answer; the message says why, without the URI's password."""


def database(mongo: Mongo) -> Database[Document]:
    """The database, not connected yet: the first query connects, and waits at most CONNECT_TIMEOUT_MS for a server.

    Raises LibraryUnusable where the URI is not valid.
    """
    try:
        client = connection(
            mongo,
            serverSelectionTimeoutMS=CONNECT_TIMEOUT_MS,
            connectTimeoutMS=CONNECT_TIMEOUT_MS,
            socketTimeoutMS=PLAYER_SOCKET_TIMEOUT_MS,
            appname="overtone-ui",
        )
        return client[mongo.database]
    except (PyMongoError, ValueError) as error:
        # Without the driver's message, which may repeat the URI and its password.
        raise LibraryUnusable(f"mongo.uri cannot be used ({type(error).__name__}); see OVERTONE_MONGO__URI") from error


@contextmanager
def unavailable_on_error() -> Iterator[None]:
    """Turns the driver's errors into LibraryUnavailable."""
    try:
        yield
    except PyMongoError as error:
        raise LibraryUnavailable(f"MongoDB does not answer: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The first line of a driver's error, without the topology that follows it."""
    first_line = (str(error).splitlines() or [type(error).__name__])[0]
    return first_line.split(" (configured", 1)[0].split(", Timeout", 1)[0][:200]
