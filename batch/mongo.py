"""MongoDB for the batch jobs: a checked connection, bulk upserts by `_id` that touch only the fields given, and the document
of a list, which batch and stream write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.collection import Collection

    from conf.settings import Mongo

DOCUMENTS_PER_REQUEST = 500
"""A track with features and 50 similar tracks has about 6 kB."""
SERVER_TIMEOUT_MS = 5000
NEW_LISTENERS = "*"
"""`_id` of the list for new listeners, which publish writes; reserved, no listener may have it."""
LIST_VERSION = 1
"""`version` of the documents of `recommendations`."""

T = TypeVar("T")


class MongoAway(ConnectionError):
    """MongoDB does not answer."""


def client(mongo: Mongo) -> MongoClient[dict[str, Any]]:
    """A connection to the server. Raises MongoAway where it does not answer within SERVER_TIMEOUT_MS."""
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    connection: MongoClient[dict[str, Any]] = MongoClient(
        mongo.uri.get_secret_value(), serverSelectionTimeoutMS=SERVER_TIMEOUT_MS, tz_aware=True
    )
    try:
        connection.admin.command("ping")
    except PyMongoError as error:
        connection.close()
        reason = type(error).__name__  # the message may repeat the URI, which holds a password
        raise MongoAway(
            f"MongoDB at {mongo.place} does not answer ({reason}); start it or set OVERTONE_MONGO__URI"
        ) from error
    return connection


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


def chunks(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """The values in lists of `size`; the last one may be shorter."""
    remaining = iter(values)
    while chunk := list(islice(remaining, size)):
        yield chunk


def _update(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    present = {name: value for name, value in document.items() if value is not None and name != "_id"}
    absent = {name: "" for name, value in document.items() if value is None}
    return {operator: fields for operator, fields in (("$set", present), ("$unset", absent)) if fields}
