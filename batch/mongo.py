"""MongoDB: every connection and its guarantees, bulk upserts by `_id` that touch only the fields given, deletes of all other
documents, and the document of a list, which batch and stream write."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pymongo import AsyncMongoClient, MongoClient
    from pymongo.collection import Collection

    from conf.settings import Mongo

DOCUMENTS_PER_REQUEST = 500
"""A track with features and 50 similar tracks has about 6 kB."""
IDS_PER_DELETE = 10_000
SERVER_TIMEOUT_MS = 5000
NEW_LISTENERS = "*"
"""`_id` of the list for new listeners, which publish writes; reserved, no listener may have it."""
SHORTEST_SECRET = 4
"""Characters from which on a part of a login is looked for in a driver's message; shorter ones are in many words."""
LIST_VERSION = 1
"""`version` of the documents of `recommendations`."""

GUARANTEES: dict[str, Any] = {
    "w": "majority",
    "journal": True,
    "readPreference": "primary",
    "readConcernLevel": "majority",
}
"""What is written survives a change of the primary, and only what survives it is read: so each event counts once."""
_OVERRIDDEN_OPTIONS = {name.lower() for name in GUARANTEES} | {"j", "readpreferencetags", "maxstalenessseconds"}

T = TypeVar("T")


class MongoAway(ConnectionError):
    """MongoDB does not answer."""


class MongoUriUnusable(MongoAway, ValueError):
    """The settings' URI of MongoDB is not valid."""


def connection(mongo: Mongo, **options: Any) -> MongoClient[dict[str, Any]]:
    """A client with GUARANTEES, whatever the settings' URI says of them; it connects with its first command.

    options : further arguments of MongoClient
    Raises MongoUriUnusable.
    """
    from pymongo import MongoClient

    with _usable_uri(mongo):
        return MongoClient(_uri(mongo), tz_aware=True, **GUARANTEES, **options)


def async_connection(mongo: Mongo, **options: Any) -> AsyncMongoClient[dict[str, Any]]:
    """As `connection`, for an event loop."""
    from pymongo import AsyncMongoClient

    with _usable_uri(mongo):
        return AsyncMongoClient(_uri(mongo), tz_aware=True, **GUARANTEES, **options)


@contextmanager
def _usable_uri(mongo: Mongo) -> Iterator[None]:
    """Raises MongoUriUnusable for what the driver says of the URI, unless that repeats a part of the login."""
    from pymongo.errors import PyMongoError

    try:
        yield
    except (PyMongoError, ValueError, OSError) as error:
        login = mongo.uri.get_secret_value().partition("://")[2].rpartition("@")[0]
        reason = (str(error).splitlines() or [""])[0]
        if any(part in reason for part in re.split("[:/@]", login) if len(part) >= SHORTEST_SECRET):
            reason = type(error).__name__
        raise MongoUriUnusable(f"OVERTONE_MONGO__URI cannot be used: {reason}") from error


def _uri(mongo: Mongo) -> str:
    """The settings' URI without what GUARANTEES override: the driver refuses a URI's tags or staleness beside the primary."""
    uri, mark, query = mongo.uri.get_secret_value().partition("?")
    own_options = [option for option in query.split("&") if option.partition("=")[0].lower() not in _OVERRIDDEN_OPTIONS]
    return uri + mark + "&".join(own_options)


def client(mongo: Mongo) -> MongoClient[dict[str, Any]]:
    """A connection to the server. Raises MongoAway where it does not answer within SERVER_TIMEOUT_MS, or the URI is not valid."""
    from pymongo.errors import OperationFailure, PyMongoError

    server = connection(mongo, serverSelectionTimeoutMS=SERVER_TIMEOUT_MS)
    try:
        server.admin.command("ping")
    except OperationFailure as error:
        server.close()
        raise MongoAway(
            f"MongoDB at {mongo.place} refuses the user or the password of OVERTONE_MONGO__URI ({type(error).__name__})"
        ) from error
    except PyMongoError as error:
        server.close()
        reason = type(error).__name__  # the message may repeat the URI, which holds a password
        if "SSL" in str(error):
            raise MongoAway(
                f"MongoDB at {mongo.place} and this program do not agree on TLS ({reason}): see tls and tlsCAFile in "
                "OVERTONE_MONGO__URI"
            ) from error
        raise MongoAway(
            f"MongoDB at {mongo.place} does not answer ({reason}); start it or set OVERTONE_MONGO__URI"
        ) from error
    return server


def list_document(
    user_id: str,
    items: Iterable[Mapping[str, Any]],
    generation: int,
    generated_at: datetime,
    model_version: str | None,
    events_applied: int,
) -> dict[str, Any]:
    """The document of `recommendations` for a listener, or for NEW_LISTENERS.

    items : documents of the list's items, by rank
    generation : 1, 2, … for each listener
    model_version : None where the list was made without a model
    events_applied : the events that the list follows
    """
    return {
        "_id": user_id,
        "version": LIST_VERSION,
        "items": list(items),
        "generation": generation,
        "generated_at": generated_at,
        "model_version": model_version,
        "events_applied": events_applied,
    }


def upsert(documents: Iterable[dict[str, Any]], collection: Collection[dict[str, Any]]) -> int:
    """Sets the documents' fields under their `_id` and leaves other fields as they are; a field of None is removed.

    Returns the number of documents.
    """
    from pymongo import UpdateOne

    count = 0
    for chunk in chunks(documents, DOCUMENTS_PER_REQUEST):
        collection.bulk_write(
            [UpdateOne({"_id": document["_id"]}, _update(document), upsert=True) for document in chunk], ordered=False
        )
        count += len(chunk)
    return count


def delete_others(collection: Collection[dict[str, Any]], ids: Iterable[str]) -> int:
    """Deletes the documents whose `_id` is none of these; returns their number."""
    others = {document["_id"] for document in collection.find({}, {"_id": 1})}.difference(ids)
    for chunk in chunks(sorted(others), IDS_PER_DELETE):
        collection.delete_many({"_id": {"$in": chunk}})
    return len(others)


def chunks(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """The values in lists of `size`; the last one may be shorter."""
    remaining = iter(values)
    while chunk := list(islice(remaining, size)):
        yield chunk


def _update(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    present = {name: value for name, value in document.items() if value is not None and name != "_id"}
    absent = {name: "" for name, value in document.items() if value is None}
    return {operator: fields for operator, fields in (("$set", present), ("$unset", absent)) if fields}
