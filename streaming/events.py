"""The listening event: what producers encode and both queries read.

One function, `parse`, decides what is a valid event, for the fast lane and for the ledger alike; whether its track is known
needs the catalogue and is asked by the caller. No Spark here: the player imports this module too.
"""

from __future__ import annotations

import json
import re
import unicodedata
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from batch.mongo import EVERYONE

TRACK_ACTIONS = ("play", "skip", "complete", "like", "unlike", "dislike", "more", "less", "neutral")
"""Done with a track. `more` and `less` ask for its like; `neutral` takes like, dislike, more and less of it back."""
MUTING_ACTIONS = ("mute", "unmute")
"""Done with a `target`, "artist:NAME" or "genre:NAME", and no track."""
ADVENTURE = "adventure"
"""Its `target` is how far from the familiar the listener wants to be led, "0.00" to "1.00"; no track."""
STEERING_ACTIONS = (*MUTING_ACTIONS, ADVENTURE)
ACTIONS = (*TRACK_ACTIONS, *STEERING_ACTIONS)
REQUIRED = ("event_id", "user_id", "action", "occurred_at")
MUTED_KINDS = ("artist", "genre")

MAX_BYTES = 64 * 1024
"""A value beyond this is no listening event, whatever it holds."""
MAX_ID_LENGTH = 128
MAX_TARGET_LENGTH = 512
MAX_DEPTH = 32
"""Objects and lists within one another. Python's own limit depends on who calls, and so would what is an event."""
MAX_REASON = 500
MAX_MS = 7 * 24 * 3600 * 1000
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
MAX_AHEAD = timedelta(days=1)
"""Clocks differ; an event dated further ahead of its arrival is wrong."""


_NUMBER = re.compile(r"[0-9]{1,2}(\.[0-9]{1,6})?", re.ASCII)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


class BadEvent(ValueError):
    """The value is not a listening event; the message is the reason kept in `rejected_events`."""


@dataclass(frozen=True)
class Event:
    """A listener did something with a track, or steered with a `target`. Times in UTC, positions in milliseconds.

    track_id : None where the action has a target and no track
    `more` holds the fields that this version does not know; they travel on unchanged.
    """

    user_id: str
    track_id: str | None
    action: str
    occurred_at: datetime
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    position_ms: int | None = None
    duration_ms: int | None = None
    session_id: str | None = None
    source: str | None = None
    model_version: str | None = None
    target: str | None = None
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def share_heard(self) -> float | None:
        """How much of the track was heard, 0 to 1; None where position or duration is missing."""
        if self.position_ms is None or not self.duration_ms:
            return None
        return min(1.0, self.position_ms / self.duration_ms)


def encode(event: Event) -> bytes:
    """The event as it travels on the topic. Raises BadEvent for one that nobody would accept."""
    fields: dict[str, Any] = dict(event.more)
    fields.update(
        event_id=event.event_id,
        user_id=event.user_id,
        action=event.action,
        occurred_at=event.occurred_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )
    for name in ("track_id", "target", "position_ms", "duration_ms", "session_id", "source", "model_version"):
        if (value := getattr(event, name)) is not None:
            fields[name] = value
    try:
        value = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise BadEvent(
            f"holds half a character (U+{ord(error.object[error.start]):X}), which no UTF-8 can carry"
        ) from error
    parse(value, received_at=datetime.now(UTC))
    return value


def parse(value: bytes | None, received_at: datetime, length: int | None = None) -> Event:
    """The event that a Kafka value holds. Raises BadEvent with the reason.

    received_at : the record's timestamp in Kafka, so that a replay next year decides as today
    length : of the whole value, where `value` is only its beginning
    """
    if value is None:
        _refuse("empty value")
    if (length := len(value) if length is None else length) > MAX_BYTES:
        _refuse(f"{length} bytes; at most {MAX_BYTES} are an event")
    fields = _json_object(value)
    steers = str(fields.get("action")) in STEERING_ACTIONS
    missing = [name for name in (*REQUIRED, "target" if steers else "track_id") if fields.get(name) is None]
    if missing:
        _refuse(f"missing: {', '.join(missing)}")
    action = _text(fields, "action")
    if action not in ACTIONS:
        _refuse(f"unknown action {action[:64]!r}; known are {', '.join(ACTIONS)}")
    user_id = _identifier(fields, "user_id")
    if user_id == EVERYONE:
        _refuse(f"user_id {EVERYONE!r} is reserved for listeners without events")
    known = {name: fields.pop(name, None) for name in (*REQUIRED, "track_id", "position_ms", "duration_ms")}
    target = _target(fields, action)
    optional = {name: _optional_text(fields, name) for name in ("session_id", "source", "model_version")}
    return Event(
        user_id=user_id,
        track_id=_track_id(known, action),
        action=action,
        occurred_at=_time(known, received_at),
        event_id=_identifier(known, "event_id"),
        position_ms=_milliseconds(known, "position_ms"),
        duration_ms=_milliseconds(known, "duration_ms"),
        **optional,
        target=target,
        more=fields,
    )


def received_at(milliseconds: int) -> datetime:
    """When Kafka got a value, from milliseconds since 1970; a producer may claim any, so it is kept within our calendar."""
    latest = datetime(9999, 1, 1, tzinfo=UTC)
    within = min(max(milliseconds / 1000, EARLIEST.timestamp()), latest.timestamp())
    return datetime.fromtimestamp(within, UTC)


def _refuse(reason: str) -> NoReturn:
    raise BadEvent(reason if len(reason) <= MAX_REASON else f"{reason[:MAX_REASON]}…")


def _depth(text: str) -> int:
    """How deeply brackets stand within one another, outside of strings."""
    depth = deepest = 0
    for character in _STRING.sub("", text):
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _json_object(value: bytes) -> dict[str, Any]:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadEvent(f"not UTF-8: {error.reason} at byte {error.start}") from error
    if text.count("[") + text.count("{") > MAX_DEPTH and (depth := _depth(text)) > MAX_DEPTH:
        _refuse(f"nested {depth} deep; at most {MAX_DEPTH} are allowed")
    try:
        fields = json.loads(
            text,
            parse_constant=lambda name: _refuse(f"not JSON: {name}"),
            parse_float=_finite,
            object_pairs_hook=_without_doubles,
        )
    except RecursionError as error:
        raise BadEvent("not JSON that can be read: nested too deeply") from error
    except BadEvent:
        raise
    except ValueError as error:
        raise BadEvent(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        _refuse(f"a JSON {type(fields).__name__}, expected an object")
    if "\\ud" in text.lower():  # an escaped half of a surrogate pair is JSON, but no table can hold it
        try:
            json.dumps(fields, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise BadEvent("holds half a character, which no UTF-8 can carry") from error
    return fields


def _finite(number: str) -> float:
    value = float(number)
    if value in (float("inf"), float("-inf")):
        _refuse(f"not a number that fits: {number[:32]}")
    return value


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; a name that comes twice would be one listener here and another where Spark reads it."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        _refuse("a name comes twice in an object")
    return fields


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields[name]
    if not isinstance(value, str):
        _refuse(f"{name} is a {type(value).__name__}, expected a string")
    return value


def _optional_text(fields: dict[str, Any], name: str) -> str | None:
    if fields.get(name) is None:
        fields.pop(name, None)
        return None
    value = _text(fields, name)
    if len(value) > MAX_ID_LENGTH:
        _refuse(f"{name} has {len(value)} characters; at most {MAX_ID_LENGTH} are allowed")
    del fields[name]
    return value


def _track_id(fields: dict[str, Any], action: str) -> str | None:
    if action in TRACK_ACTIONS:
        return _identifier(fields, "track_id")
    if fields["track_id"] is not None:
        _refuse(f"{action} has a track_id, expected a target alone")
    return None


def _target(fields: dict[str, Any], action: str) -> str | None:
    """What is muted or how adventurous; an action with a track keeps a `target` among the fields that we do not know."""
    if action in TRACK_ACTIONS:
        return None
    target = _text(fields, "target")
    del fields["target"]
    if action == ADVENTURE:
        if adventure_of(target) is None:
            _refuse(f"target {target[:64]!r} of adventure, expected 0.00 to 1.00")
        return target
    kind, _, name = target.partition(":")
    if kind not in MUTED_KINDS or not name or len(target) > MAX_TARGET_LENGTH:
        _refuse(f"target {target[:64]!r} of {action}, expected artist:NAME or genre:NAME")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in target):
        _refuse("target holds control characters")
    return target


def adventure_of(target: str) -> float | None:
    """The number that a target of `adventure` gives; None where it is none from 0 to 1."""
    if not _NUMBER.fullmatch(target):
        return None
    value = float(target)
    return value if value <= 1 else None


def _identifier(fields: dict[str, Any], name: str) -> str:
    value = _text(fields, name)
    if (wrong := why_no_identifier(value)) is not None:
        _refuse(f"{name} {wrong}")
    return value


def why_no_identifier(value: str) -> str | None:
    """What keeps a string from being a user, track or event id; None if nothing does."""
    if not 1 <= len(value) <= MAX_ID_LENGTH:
        return f"has {len(value)} characters, expected 1 to {MAX_ID_LENGTH}"
    # Cc: control characters; Cs: lone surrogates, which no UTF-8 database can store
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        return "holds control characters"
    return None


def _milliseconds(fields: dict[str, Any], name: str) -> int | None:
    value = fields[name]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        _refuse(f"{name} is a {type(value).__name__}, expected a number")
    if not 0 <= value <= MAX_MS:
        _refuse(f"{name} is {str(value)[:32]}, expected 0 to {MAX_MS}")
    return int(value)


def _time(fields: dict[str, Any], received_at: datetime) -> datetime:
    text = _text(fields, "occurred_at")
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadEvent(f"occurred_at {text[:64]!r} is not an ISO 8601 time") from error
    if time.tzinfo is None:
        _refuse(f"occurred_at {text[:64]!r} has no time zone")
    try:
        time = time.astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise BadEvent(f"occurred_at {text[:64]!r} is out of range") from error
    if not EARLIEST <= time <= received_at + MAX_AHEAD:
        _refuse(f"occurred_at {text[:64]} is not between {EARLIEST:%Y} and a day after the event arrived")
    return time
