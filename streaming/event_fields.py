"""The fields of a JSON object in a Kafka value: one reader for each kind of field, which raises BadEvent where a value is none.

`streaming.events` names the fields of an event and reads them with these.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import numpy as np

MAX_ID_LENGTH = 128
MAX_DEPTH = 32
"""Nesting of objects and lists. Python's recursion limit depends on the caller's stack; this one does not."""
MAX_REASON_LENGTH = 500
MAX_MS = 7 * 24 * 3600 * 1000
"""Largest position or duration: a week."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
MAX_AHEAD = timedelta(days=1)
"""Clock skew allowed: an event dated further ahead of its arrival is refused."""

_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""A string, or what follows the quotation mark of one that does not end: it matches at every mark, so that a search is linear."""
_CONTROL_OR_SURROGATE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Unicode's categories Cc and Cs; no UTF-8 database can store a lone surrogate."""
_DEPTH_CHANGES = np.zeros(256, dtype=np.int32)
_DEPTH_CHANGES[list(b"[{")], _DEPTH_CHANGES[list(b"]}")] = 1, -1


class BadEvent(ValueError):
    """The value is not a valid event; the message is the reason written to `rejected_events`."""


def refuse(reason: str) -> NoReturn:
    """Raises BadEvent with the reason, cut to MAX_REASON_LENGTH."""
    raise BadEvent(reason if len(reason) <= MAX_REASON_LENGTH else f"{reason[:MAX_REASON_LENGTH]}…")


def _depth(text: str) -> int:
    """The nesting depth of brackets outside of strings, in time linear in the text's length."""
    characters = np.frombuffer(
        _STRING.sub("", text).encode(), dtype=np.uint8
    )  # a bracket is one byte, and no part of another
    return int(np.cumsum(_DEPTH_CHANGES[characters]).max(initial=0))


def read_object(value: bytes) -> dict[str, Any]:
    """The JSON object in UTF-8 that a Kafka value holds."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadEvent(f"not UTF-8: {error.reason} at byte {error.start}") from error
    if text.count("[") + text.count("{") > MAX_DEPTH and (depth := _depth(text)) > MAX_DEPTH:
        refuse(f"nested {depth} levels deep; at most {MAX_DEPTH} are allowed")
    if text.startswith("\ufeff"):
        refuse("not JSON: Unexpected UTF-8 BOM")
    try:
        fields = _DECODER.decode(text)
    except RecursionError as error:
        raise BadEvent(f"nested too deeply; at most {MAX_DEPTH} levels are allowed") from error
    except BadEvent:
        raise
    except ValueError as error:
        raise BadEvent(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        refuse(f"expected a JSON object, got {json_type(fields)}")
    if "\\ud" in text.lower():  # an escaped lone surrogate is valid JSON, but neither Delta nor MongoDB can store it
        try:
            json.dumps(fields, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise BadEvent("holds a lone surrogate, which UTF-8 cannot encode") from error
    return fields


def _finite(number: str) -> float:
    value = float(number)
    if value in (float("inf"), float("-inf")):
        refuse(f"number out of range: {number[:32]}")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object with each name once: of duplicates Python takes the last value, and other JSON readers the first."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        refuse("duplicate field name in a JSON object")
    return fields


def _no_constant(name: str) -> NoReturn:
    """For NaN and Infinity, which Python reads and JSON does not have."""
    refuse(f"not JSON: {name}")


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_object)


def json_type(value: Any) -> str:
    """What JSON calls the type of a parsed value."""
    if value is None:
        return "null"
    names = ((bool, "a boolean"), (int | float, "a number"), (str, "a string"), (list, "a list"))
    return next((name for types, name in names if isinstance(value, types)), "an object")


def read_text(fields: dict[str, Any], name: str) -> str:
    """A string that must be there."""
    value = fields[name]
    if not isinstance(value, str):
        refuse(f"{name}: expected a string, got {json_type(value)}")
    return value


def read_optional_text(fields: dict[str, Any], name: str) -> str | None:
    """A string of at most MAX_ID_LENGTH characters, taken out of `fields`; None where it is missing or null."""
    if fields.get(name) is None:
        fields.pop(name, None)
        return None
    value = read_text(fields, name)
    if len(value) > MAX_ID_LENGTH:
        refuse(f"{name} has {len(value)} characters; at most {MAX_ID_LENGTH} are allowed")
    del fields[name]
    return value


def read_identifier(fields: dict[str, Any], name: str) -> str:
    """A string that can be a user, track or event id."""
    value = read_text(fields, name)
    if (problem := identifier_problem(value)) is not None:
        refuse(f"{name} {problem}")
    return value


def identifier_problem(value: str) -> str | None:
    """Why a string cannot be a user, track or event id; None if it can."""
    if not 1 <= len(value) <= MAX_ID_LENGTH:
        return f"has {len(value)} characters, expected 1 to {MAX_ID_LENGTH}"
    if _CONTROL_OR_SURROGATE.search(value):
        return "holds control characters"
    return None


def read_milliseconds(fields: dict[str, Any], name: str) -> int | None:
    """A position or duration, 0 to MAX_MS; None where it is null."""
    value = fields[name]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        refuse(f"{name}: expected a number, got {json_type(value)}")
    if not 0 <= value <= MAX_MS:
        refuse(f"{name}: expected 0 to {MAX_MS}, got {str(value)[:32]}")
    return int(value)


def read_time(fields: dict[str, Any], name: str, received_at: datetime) -> datetime:
    """An ISO 8601 time with a zone, from EARLIEST to MAX_AHEAD after the record's arrival in Kafka, in UTC."""
    text = read_text(fields, name)
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadEvent(f"{name} {text[:64]!r} is not an ISO 8601 time") from error
    if time.tzinfo is None:
        refuse(f"{name} {text[:64]!r} has no time zone")
    try:
        time = time.astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise BadEvent(f"{name} {text[:64]!r} is out of range") from error
    if not EARLIEST <= time <= received_at + MAX_AHEAD:
        refuse(f"{name} {text[:64]} is not between {EARLIEST:%Y} and a day after the event arrived")
    return time
