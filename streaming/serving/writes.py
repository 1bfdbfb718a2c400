"""Writes of a micro-batch: documents only over those that were read, and their copies on the topic `recommendations`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson
from kafka.errors import KafkaError

from conf.settings import Kafka
from streaming.serving.clients import forget_producer, producer_of

if TYPE_CHECKING:
    from pymongo.collection import Collection

Write = tuple[Mapping[str, Any], dict[str, Any]]
"""(REVISION_FIELDS of the document that was read, {} where there was none; the document to write in its place)"""
REVISION_FIELDS = ("generation", "events_applied")
"""Each write of a list or profile changes one of them."""
KAFKA_SEND_TIMEOUT_S = 30.0
DUPLICATE_KEY_CODE = 11000


class ConcurrentWrite(RuntimeError):
    """A list or profile was replaced or deleted after it was read."""


def replace_documents(
    writes: Sequence[Write], collection: Collection[dict[str, Any]], keeps_other_fields: bool = False
) -> None:
    """Replaces each document that was read. Raises ConcurrentWrite where it has changed since.

    keeps_other_fields : leave fields that the new document lacks as they are
    """
    from pymongo import ReplaceOne, UpdateOne
    from pymongo.errors import BulkWriteError

    if not writes:
        return
    requests: list[ReplaceOne[dict[str, Any]] | UpdateOne] = []
    for read, document in writes:
        is_new = not read  # an upsert, which fails by a duplicate key where the document has been created since
        # MongoDB's {name: None} matches a field that is missing.
        revision = (
            {"events_applied": {"$exists": False}} if is_new else {name: read.get(name) for name in REVISION_FIELDS}
        )
        filtered = {"_id": document["_id"], **revision}
        if keeps_other_fields:
            fields = {name: value for name, value in document.items() if name != "_id"}
            requests.append(UpdateOne(filtered, {"$set": fields}, upsert=is_new))
        else:
            requests.append(ReplaceOne(filtered, document, upsert=is_new))
    try:
        result = collection.bulk_write(requests, ordered=False)
    except BulkWriteError as error:
        failures = error.details["writeErrors"]
        if all(failure["code"] == DUPLICATE_KEY_CODE for failure in failures):
            raise ConcurrentWrite(f"{len(failures)} documents of {collection.name} were created meanwhile") from error
        raise
    if (written := result.matched_count + result.upserted_count) < len(writes):
        raise ConcurrentWrite(f"{len(writes) - written} documents of {collection.name} changed meanwhile")


def send(messages: Iterable[tuple[str, bytes]], kafka: Kafka) -> None:
    """Sends (user id, value) to the topic `recommendations`, and waits until Kafka has them. Raises KafkaError."""
    try:
        sent = [
            producer_of(kafka).send(kafka.recommendation_topic, key=user_id.encode(), value=value)
            for user_id, value in messages
        ]
        for future in sent:
            future.get(timeout=KAFKA_SEND_TIMEOUT_S)
    except KafkaError:
        forget_producer()
        raise


def message(document: Mapping[str, Any]) -> bytes:
    """A list's document as UTF-8 JSON for the topic `recommendations`: `user_id` in place of `_id`."""
    fields = {name: value for name, value in document.items() if name != "_id"}
    fields |= {"user_id": document["_id"], "generated_at": document["generated_at"].isoformat(timespec="milliseconds")}
    return orjson.dumps(fields)


def mix_messages(document: Mapping[str, Any]) -> list[bytes]:
    """A value for each named list of a document of `mixes`; `list` is its name, which "For you" does not have."""
    names = ("_id", "version", "generated_at", "model_version", "events_applied", "deleted_at")
    common = {name: document[name] for name in names if name in document}
    return [
        message(common | {name: value for name, value in each.items() if name != "name"} | {"list": each["name"]})
        for each in document["lists"]
    ]
