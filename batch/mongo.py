"""The one way into MongoDB for batch: documents upserted by `_id`, many at a time, touching only the fields given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.collection import Collection

    from conf.settings import Mongo

BULK = 500
"""Documents in one request; one with features and 50 similar tracks has about 6 kB."""
PATIENCE_MS = 5000
EVERYONE = "*"
"""`_id` of the list for listeners without events, which publish writes; no listener may have it."""


class MongoAway(ConnectionError):
    """MongoDB does not answer."""


def client(mongo: Mongo) -> MongoClient[dict[str, Any]]:
    """A connection to the server. Raises MongoAway where it does not answer within five seconds."""
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    connection: MongoClient[dict[str, Any]] = MongoClient(
        mongo.uri.get_secret_value(), serverSelectionTimeoutMS=PATIENCE_MS, tz_aware=True
    )
    try:
        connection.admin.command("ping")
    except PyMongoError as error:
        connection.close()
        reason = type(error).__name__  # the message may repeat the URI
        raise MongoAway(
            f"MongoDB at {mongo.place} does not answer ({reason}); start it or set OVERTONE_MONGO__URI"
        ) from error
    return connection


def upsert(documents: Iterable[dict[str, Any]], collection: Collection[dict[str, Any]]) -> int:
    """Sets the documents' fields under their `_id`, leaving other fields of theirs alone; a field of None is removed.

    Returns how many documents there were.
    """
    from pymongo import UpdateOne

    done = 0
    for bulk in _bulks(documents):
        collection.bulk_write(
            [UpdateOne({"_id": document["_id"]}, _change(document), upsert=True) for document in bulk], ordered=False
        )
        done += len(bulk)
    return done


def _change(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    present = {name: value for name, value in document.items() if value is not None and name != "_id"}
    absent = {name: "" for name, value in document.items() if value is None}
    return {operator: fields for operator, fields in (("$set", present), ("$unset", absent)) if fields}


def _bulks(documents: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    rest = iter(documents)
    while bulk := list(islice(rest, BULK)):
        yield bulk
