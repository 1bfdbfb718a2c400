"""The listening event: `Event`, `encode` for producers, `parse` for consumers.

`parse` alone decides which values are valid events, for the fast lane and the ledger alike. Whether the track exists is checked
afterwards, by `streaming.admission.rules`. No Spark here: the player imports this module too.
"""

from __future__ import annotations

import json
import re
import unicodedata
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from batch.mongo import NEW_LISTENERS

TRACK_ACTIONS = ("play", "skip", "complete", "like", "unlike", "dislike", "more", "less", "neutral")
"""Actions on a track. `more` and `less` ask for more or fewer similar tracks; `neutral` cancels like, dislike, more and less."""
MUTING_ACTIONS = ("mute", "unmute")
"""Their `target` is "artist:NAME" or "genre:NAME"; they have no track."""
ADVENTURE = "adventure"
"""Its `target` is how far lists may lead from familiar music, "0.00" to "1.00"; it has no track."""
STEERING_ACTIONS = (*MUTING_ACTIONS, ADVENTURE)
SHOWN = "shown"
"""Its `tracks` are ids of tracks that were on the listener's screen, once for each list; it counts in no taste and makes no
list."""
VISIT = "visit"
"""A listener comes back: the list is renewed as of then. It has neither track nor target."""
ACTIONS = (*TRACK_ACTIONS, *STEERING_ACTIONS, SHOWN, VISIT)
REQUIRED = ("event_id", "user_id", "action", "occurred_at")
MUTED_KINDS = ("artist", "genre")

MAX_BYTES = 64 * 1024
"""Longer values are refused unread."""
MAX_ID_LENGTH = 128
MAX_TARGET_LENGTH = 512
MAX_SHOWN_TRACKS = 100
MAX_DEPTH = 32
"""Nesting of objects and lists. Python's recursion limit depends on the caller's stack; this one does not."""
MAX_REASON_LENGTH = 500
MAX_MS = 7 * 24 * 3600 * 1000
"""Largest position or duration: a week."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
MAX_AHEAD = timedelta(days=1)
"""Clock skew allowed: an event dated further ahead of its arrival is refused."""

_NUMBER = re.compile(r"[0-9]{1,2}(\.[0-9]{1,6})?", re.ASCII)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


class BadEvent(ValueError):
    """The value is not a valid event; the message is the reason written to `rejected_events`."""


@dataclass(frozen=True)
class Event:
    """One action of a listener, on a track, a `target` or some `tracks`. Times in UTC, positions in milliseconds.

    track_id : None where the action is not on one track
    target : of mute, unmute and adventure
    tracks : ids, of shown
    more : fields that this version does not know; they are passed on unchanged
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
    tracks: tuple[str, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def share_heard(self) -> float | None:
        """The share of the track that was heard, 0 to 1; None where position or duration is missing."""
        if self.position_ms is None or not self.duration_ms:
            return None
        return min(1.0, self.position_ms / self.duration_ms)


def encode(event: Event) -> bytes:
    """The event as UTF-8 JSON for the topic. Raises BadEvent where `parse` would refuse it."""
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
    if event.tracks:
        fields["tracks"] = list(event.tracks)
    try:
        value = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise BadEvent(
            f"holds a lone surrogate (U+{ord(error.object[error.start]):X}), which UTF-8 cannot encode"
        ) from error
    parse(value, received_at=datetime.now(UTC))
    return value


def parse(value: bytes | None, received_at: datetime, length: int | None = None) -> Event:
    """Returns the event in a Kafka value. Raises BadEvent with the reason.

    received_at : the record's timestamp in Kafka (not the present time, so that a later replay decides alike)
    length : of the whole value in bytes, where `value` is only its beginning
    """
    if value is None:
        _refuse("empty value")
    if (length := len(value) if length is None else length) > MAX_BYTES:
        _refuse(f"{length} bytes; at most {MAX_BYTES} are allowed")
    fields = _json_object(value)
    required = [*REQUIRED, *_required_by_action(fields.get("action"))]
    missing = [name for name in required if fields.get(name) is None]
    if missing:
        _refuse(f"missing: {', '.join(missing)}")
    action = _text(fields, "action")
    if action not in ACTIONS:
        _refuse(f"unknown action {action[:64]!r}; expected one of {', '.join(ACTIONS)}")
    user_id = _identifier(fields, "user_id")
    if user_id == NEW_LISTENERS:
        _refuse(f"user_id {NEW_LISTENERS!r} is reserved for listeners without events")
    values = {name: fields.pop(name, None) for name in (*REQUIRED, "track_id", "position_ms", "duration_ms")}
    target = _target(fields, action)
    tracks = _shown_tracks(fields, action)
    optional = {name: _optional_text(fields, name) for name in ("session_id", "source", "model_version")}
    return Event(
        user_id=user_id,
        track_id=_track_id(values, action),
        action=action,
        occurred_at=_time(values, received_at),
        event_id=_identifier(values, "event_id"),
        position_ms=_milliseconds(values, "position_ms"),
        duration_ms=_milliseconds(values, "duration_ms"),
        **optional,
        target=target,
        tracks=tracks,
        more=fields,
    )


def received_at(milliseconds: int) -> datetime:
    """A Kafka timestamp in milliseconds since 1970 as a time, clamped to the years 2000 to 9998: a producer may send any."""
    latest = datetime(9999, 1, 1, tzinfo=UTC)
    clamped_s = min(max(milliseconds / 1000, EARLIEST.timestamp()), latest.timestamp())
    return datetime.fromtimestamp(clamped_s, UTC)


def _refuse(reason: str) -> NoReturn:
    raise BadEvent(reason if len(reason) <= MAX_REASON_LENGTH else f"{reason[:MAX_REASON_LENGTH]}…")


def _depth(text: str) -> int:
    """The nesting depth of brackets outside of strings."""
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
        _refuse(f"nested {depth} levels deep; at most {MAX_DEPTH} are allowed")
    try:
        fields = json.loads(
            text,
            parse_constant=lambda name: _refuse(f"not JSON: {name}"),
            parse_float=_finite,
            object_pairs_hook=_object,
        )
    except RecursionError as error:
        raise BadEvent(f"nested too deeply; at most {MAX_DEPTH} levels are allowed") from error
    except BadEvent:
        raise
    except ValueError as error:
        raise BadEvent(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        _refuse(f"expected a JSON object, got {_json_type(fields)}")
    if "\\ud" in text.lower():  # an escaped lone surrogate is valid JSON, but neither Delta nor MongoDB can store it
        try:
            json.dumps(fields, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise BadEvent("holds a lone surrogate, which UTF-8 cannot encode") from error
    return fields


def _finite(number: str) -> float:
    value = float(number)
    if value in (float("inf"), float("-inf")):
        _refuse(f"number out of range: {number[:32]}")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object with each name once: of duplicates Python takes the last value, and other JSON readers the first."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        _refuse("duplicate field name in a JSON object")
    return fields


def _json_type(value: Any) -> str:
    """What JSON calls the type of a parsed value."""
    if value is None:
        return "null"
    names = ((bool, "a boolean"), (int | float, "a number"), (str, "a string"), (list, "a list"))
    return next((name for types, name in names if isinstance(value, types)), "an object")


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields[name]
    if not isinstance(value, str):
        _refuse(f"{name}: expected a string, got {_json_type(value)}")
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
        wanted = {SHOWN: "tracks and no track_id", VISIT: "no track_id"}.get(action, "a target and no track_id")
        _refuse(f"{action} takes {wanted}")
    return None


def _required_by_action(action: Any) -> tuple[str, ...]:
    """The field that an action needs besides REQUIRED."""
    if action == VISIT:
        return ()
    if action == SHOWN:
        return ("tracks",)
    return ("target",) if action in STEERING_ACTIONS else ("track_id",)


def _shown_tracks(fields: dict[str, Any], action: str) -> tuple[str, ...]:
    """The tracks of `shown`, each once; of other actions none, and their field `tracks` is left among the unknown ones."""
    if action != SHOWN:
        return ()
    tracks = fields.pop("tracks")
    if not isinstance(tracks, list):
        _refuse(f"tracks: expected a list, got {_json_type(tracks)}")
    if not 1 <= len(tracks) <= MAX_SHOWN_TRACKS:
        _refuse(f"tracks has {len(tracks)} ids, expected 1 to {MAX_SHOWN_TRACKS}")
    return tuple(dict.fromkeys(_identifier({"an id in tracks": track_id}, "an id in tracks") for track_id in tracks))


def _target(fields: dict[str, Any], action: str) -> str | None:
    """The target of a steering action; None for other actions, whose field `target` is left among the unknown ones."""
    if action not in STEERING_ACTIONS:
        return None
    target = _text(fields, "target")
    del fields["target"]
    if action == ADVENTURE:
        if adventure_value(target) is None:
            _refuse(f"adventure: expected a target from 0.00 to 1.00, got {target[:64]!r}")
        return target
    kind, _, name = target.partition(":")
    if kind not in MUTED_KINDS or not name or len(target) > MAX_TARGET_LENGTH:
        _refuse(f"{action}: expected a target artist:NAME or genre:NAME, got {target[:64]!r}")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in target):
        _refuse("target holds control characters")
    return target


def adventure_value(target: str) -> float | None:
    """The target of `adventure` as a number from 0 to 1; None where it is none."""
    if not _NUMBER.fullmatch(target):
        return None
    value = float(target)
    return value if value <= 1 else None


def _identifier(fields: dict[str, Any], name: str) -> str:
    value = _text(fields, name)
    if (problem := identifier_problem(value)) is not None:
        _refuse(f"{name} {problem}")
    return value


def identifier_problem(value: str) -> str | None:
    """Why a string cannot be a user, track or event id; None if it can."""
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
        _refuse(f"{name}: expected a number, got {_json_type(value)}")
    if not 0 <= value <= MAX_MS:
        _refuse(f"{name}: expected 0 to {MAX_MS}, got {str(value)[:32]}")
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
