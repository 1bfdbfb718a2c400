"""Serves listeners together, and by halves where that fails, so that one listener's trouble is nobody else's.

What fails for one listener alone is that listener's own trouble. An unavailable service is everybody's, and fails the
micro-batch, which Spark then runs again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from kafka.errors import (
    InvalidRecordError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
)
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

DOCUMENT_ERROR_CODES = frozenset([2, 9, 14, 15, 22, 40, 52, 56, 57, 121, 10334, 17280, 17419, 17420])
"""MongoDB's error codes that say that a document cannot be stored: BadValue, FailedToParse, TypeMismatch, Overflow (nested too
deeply), InvalidBSON, ConflictingUpdateOperators, wrong field names, DocumentValidationFailure, too large in several ways."""

RECORD_ERRORS = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidRecordError, PolicyViolationError)
"""Kafka's errors that a record has again however often it is sent."""

ALONE_PAUSE_S = 0.2
"""Before a listener for whom alone serving failed is tried once more."""

T = TypeVar("T")


def served_apart(
    users: Sequence[str], serve: Callable[[Sequence[str]], T], set_aside: Callable[[str, Exception], T]
) -> list[T]:
    """What `serve` returns for all users together; where it fails, for either half, down to single users.

    serve : must be harmless to repeat for users whom it has served already
    set_aside : called with a user for whom alone `serve` failed, and the error
    Raises errors that are not one listener's (`concerns_one_listener`).
    """
    if not users:
        return []
    try:
        return [serve(users)]
    except Exception as error:
        if not concerns_one_listener(error):
            raise
    if len(users) == 1:
        time.sleep(ALONE_PAUSE_S)
        try:
            return [serve(users)]  # once more: a moment's fault, as of a process that is ending, is nobody's
        except Exception as error:
            if not concerns_one_listener(error):
                raise
            return [set_aside(users[0], error)]
    middle = len(users) // 2
    return served_apart(users[:middle], serve, set_aside) + served_apart(users[middle:], serve, set_aside)


def concerns_one_listener(error: Exception) -> bool:
    """Whether the error may come from one listener's data, rather than from MongoDB, Kafka, the disk or a lack of memory."""
    if isinstance(error, BulkWriteError):
        return all(each.get("code") in DOCUMENT_ERROR_CODES for each in error.details.get("writeErrors") or [{}])
    if isinstance(error, OperationFailure):
        return error.code in DOCUMENT_ERROR_CODES
    if isinstance(error, KafkaError):
        return isinstance(error, RECORD_ERRORS)
    return not isinstance(error, PyMongoError | OSError | MemoryError)
