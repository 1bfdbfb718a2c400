"""The listening event: `Event`, `encode` for producers, `parse` for consumers.

`parse` alone decides which values are valid events, for the fast lane and the ledger alike. Whether the track exists is checked
afterwards, by `streaming.admission.rules`. No Spark here: the player imports this module too.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from batch.mongo import NEW_LISTENERS
from batch.tags.text import MAX_TAG_LENGTH
from streaming.event_fields import (
    EARLIEST,
    MAX_DEPTH,
    MAX_ID_LENGTH,
    MAX_MS,
    BadEvent,
    identifier_problem,
    json_type,
    read_identifier,
    read_milliseconds,
    read_object,
    read_optional_text,
    read_text,
    read_time,
    refuse,
)

__all__ = [
    "ACTIONS",
    "ADVENTURE",
    "EARLIEST",
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_ID_LENGTH",
    "MAX_MS",
    "MAX_SHOWN_TRACKS",
    "MAX_TARGET_LENGTH",
    "MUTED_KINDS",
    "MUTING_ACTIONS",
    "SHOWN",
    "TAG_KIND",
    "TRACK_ACTIONS",
    "VISIT",
    "WISH_ACTIONS",
    "BadEvent",
    "Event",
    "adventure_value",
    "encode",
    "identifier_problem",
    "parse",
    "received_at",
]

TRACK_ACTIONS = ("play", "skip", "complete", "like", "unlike", "dislike", "more", "less", "neutral")
"""Actions on a track. `more` and `less` ask for more or fewer similar tracks; `neutral` cancels like, dislike, more and less."""
MUTING_ACTIONS = ("mute", "unmute")
"""Their `target` is "artist:NAME", "genre:NAME" or "tag:NAME"; they have no track."""
WISH_ACTIONS = ("more", "less", "neutral")
"""Those of TRACK_ACTIONS that may be about a word for the sound: with a `target` "tag:NAME" in place of the track."""
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
"""Kinds of targets whose tracks MongoDB finds by that field."""
TAG_KIND = "tag"
"""Kind of a target that is a word for the sound of tracks (`batch.words.vocabulary`)."""

MAX_BYTES = 64 * 1024
"""Longer values are refused unread."""
MAX_TARGET_LENGTH = len("artist:") + MAX_TAG_LENGTH
"""Whatever name a track has can be muted."""
MAX_SHOWN_TRACKS = 100

_NUMBER = re.compile(r"[0-9]{1,2}(\.[0-9]{1,6})?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""What no tag holds (`batch.tags.text.cleaned`). Those from U+0080 to U+009F stand in names that were Windows-1252."""


@dataclass(frozen=True)
class Event:
    """One action of a listener, on a track, a `target` or some `tracks`. Times in UTC, positions in milliseconds.

    track_id : None where the action is not on one track
    target : of mute, unmute and adventure, and of more, less and neutral where they are about a word
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
        refuse("empty value")
    if (length := len(value) if length is None else length) > MAX_BYTES:
        refuse(f"{length} bytes; at most {MAX_BYTES} are allowed")
    fields = read_object(value)
    has_target_alone = fields.get("track_id") is None and fields.get("target") is not None
    is_about_word = has_target_alone and fields.get("action") in WISH_ACTIONS
    required = [*REQUIRED, *(("target",) if is_about_word else _required_by_action(fields.get("action")))]
    missing = [name for name in required if fields.get(name) is None]
    if missing:
        refuse(f"missing: {', '.join(missing)}")
    action = read_text(fields, "action")
    if action not in ACTIONS:
        refuse(f"unknown action {action[:64]!r}; expected one of {', '.join(ACTIONS)}")
    user_id = read_identifier(fields, "user_id")
    if user_id == NEW_LISTENERS:
        refuse(f"user_id {NEW_LISTENERS!r} is reserved for listeners without events")
    values = {name: fields.pop(name, None) for name in (*REQUIRED, "track_id", "position_ms", "duration_ms")}
    target = _target(fields, action) if is_about_word or action in STEERING_ACTIONS else None
    tracks = _shown_tracks(fields, action)
    optional = {name: read_optional_text(fields, name) for name in ("session_id", "source", "model_version")}
    return Event(
        user_id=user_id,
        track_id=None if is_about_word else _track_id(values, action),
        action=action,
        occurred_at=read_time(values, "occurred_at", received_at),
        event_id=read_identifier(values, "event_id"),
        position_ms=read_milliseconds(values, "position_ms"),
        duration_ms=read_milliseconds(values, "duration_ms"),
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


def _track_id(fields: dict[str, Any], action: str) -> str | None:
    if action in TRACK_ACTIONS:
        return read_identifier(fields, "track_id")
    if fields["track_id"] is not None:
        wanted = {SHOWN: "tracks and no track_id", VISIT: "no track_id"}.get(action, "a target and no track_id")
        refuse(f"{action} takes {wanted}")
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
        refuse(f"tracks: expected a list, got {json_type(tracks)}")
    if not 1 <= len(tracks) <= MAX_SHOWN_TRACKS:
        refuse(f"tracks has {len(tracks)} ids, expected 1 to {MAX_SHOWN_TRACKS}")
    return tuple(
        dict.fromkeys(read_identifier({"an id in tracks": track_id}, "an id in tracks") for track_id in tracks)
    )


def _target(fields: dict[str, Any], action: str) -> str:
    """The target of a steering action, or of a wish for a word. Of other actions the field is left among the unknown ones."""
    target = read_text(fields, "target")
    del fields["target"]
    if action == ADVENTURE:
        if adventure_value(target) is None:
            refuse(f"adventure: expected a target from 0.00 to 1.00, got {target[:64]!r}")
        return target
    kind, _, name = target.partition(":")
    kinds = (*MUTED_KINDS, TAG_KIND) if action in MUTING_ACTIONS else (TAG_KIND,)
    if kind not in kinds or not name or len(target) > MAX_TARGET_LENGTH:
        *others, last = (f"{each}:NAME" for each in kinds)
        expected = f"{', '.join(others)} or {last}" if others else last
        refuse(f"{action}: expected a target {expected}, got {target[:64]!r}")
    if _CONTROL.search(target):
        refuse("target holds control characters")
    return target


def adventure_value(target: str) -> float | None:
    """The target of `adventure` as a number from 0 to 1; None where it is none."""
    if not _NUMBER.fullmatch(target):
        return None
    value = float(target)
    return value if value <= 1 else None
