"""A listener's queue as a document of the collection `queues`: one explicit writer, one tolerant reader.

field        content
_id          user id
version      of the code that wrote the document last; absent means 1
revision     number of changes so far
saved_at     time of the last change
device       the page that made it, chosen by the page
current      {track_id, source, model_version, position_ms}: the track in place; null: none
items        [{track_id, source, model_version}]: own additions, the next first
played       the same: own additions that were played, for "repeat all"
context      {kind, id, title, address, source, model_version}: the list that plays; null: "For you"
list_ahead   track ids that follow of the context, in the order in which they play
list_played  track ids played of it
order        track ids of the context, in its own order
shuffle, seed, repeat
settings     {replay_gain, crossfade_s, is_smaller}: of playback; kept by queue changes

Positions between two changes are in `places`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any, TypeVar

from streaming.events import identifier_problem
from ui.data.mongo import Document

QUEUE_VERSION = 1
MAX_ITEMS = 500
MAX_PLAYED = 100
MAX_LIST_TRACKS = 1000
MAX_CROSSFADE_S = 12
REPEATS = ("off", "all", "one")
REPLAY_GAINS = ("off", "track", "album")


@dataclass(frozen=True)
class QueuedTrack:
    """A track and where it was played from. position_ms : of the current track, else 0"""

    track_id: str
    source: str = ""
    model_version: str = ""
    position_ms: int = 0


@dataclass(frozen=True)
class PlayContext:
    """The list that plays. source, model_version : of its tracks' events"""

    kind: str = ""
    id: str = ""
    title: str = ""
    address: str = ""
    source: str = ""
    model_version: str = ""


@dataclass(frozen=True)
class StoredQueue:
    """A listener's queue; see the module for the fields."""

    current: QueuedTrack | None = None
    items: tuple[QueuedTrack, ...] = ()
    played: tuple[QueuedTrack, ...] = ()
    context: PlayContext | None = None
    list_ahead: tuple[str, ...] = ()
    list_played: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    shuffle: bool = False
    seed: int = 0
    repeat: str = "off"
    revision: int = 0
    device: str = ""
    saved_at: datetime | None = None

    @property
    def track_ids(self) -> set[str]:
        """Ids of all tracks in it."""
        queued = [*self.items, *self.played, *([self.current] if self.current else [])]
        return {*self.list_ahead, *self.list_played, *(track.track_id for track in queued)}


@dataclass(frozen=True)
class PlaybackSettings:
    """replay_gain : one of REPLAY_GAINS;  crossfade_s : 0 to MAX_CROSSFADE_S;  is_smaller : lossless files are sent as MP3"""

    replay_gain: str = "track"
    crossfade_s: int = 0
    is_smaller: bool = False


def queue_fields(queue: StoredQueue, saved_at: datetime) -> Document:
    """The fields of the document that a change of the queue sets, without `revision`."""
    return {
        "version": QUEUE_VERSION,
        "saved_at": saved_at,
        "device": queue.device,
        "current": queue.current and asdict(queue.current),
        "items": [_entry(track) for track in queue.items[:MAX_ITEMS]],
        "played": [_entry(track) for track in queue.played[-MAX_PLAYED:]],
        "context": queue.context and asdict(queue.context),
        "list_ahead": list(queue.list_ahead[:MAX_LIST_TRACKS]),
        "list_played": list(queue.list_played[-MAX_LIST_TRACKS:]),
        "order": list(queue.order[:MAX_LIST_TRACKS]),
        "shuffle": queue.shuffle,
        "seed": queue.seed,
        "repeat": queue.repeat,
    }


def settings_fields(settings: PlaybackSettings) -> Document:
    """The fields of the document that a change of the settings sets."""
    return {"settings": asdict(settings)}


def read_queue(document: Document) -> StoredQueue:
    """The queue in a document of any version; what is missing or unreadable is left out."""
    context = _record(PlayContext, document.get("context"))
    repeat, saved_at = document.get("repeat"), document.get("saved_at")
    return StoredQueue(
        current=next(iter(_tracks([document.get("current")])), None),
        items=_tracks(document.get("items")),
        played=_tracks(document.get("played")),
        context=context if context is not None and context.kind else None,
        list_ahead=_ids(document.get("list_ahead")),
        list_played=_ids(document.get("list_played")),
        order=_ids(document.get("order")),
        shuffle=document.get("shuffle") is True,
        seed=_whole(document.get("seed")),
        repeat=repeat if repeat in REPEATS else "off",
        revision=_whole(document.get("revision")),
        device=str(document.get("device") or ""),
        saved_at=saved_at if isinstance(saved_at, datetime) else None,
    )


def read_settings(document: Document) -> PlaybackSettings:
    """The settings in a document of any version; defaults for what is missing or unreadable."""
    settings = _record(PlaybackSettings, document.get("settings")) or PlaybackSettings()
    return PlaybackSettings(
        settings.replay_gain if settings.replay_gain in REPLAY_GAINS else PlaybackSettings.replay_gain,
        min(MAX_CROSSFADE_S, max(0, settings.crossfade_s)),
        settings.is_smaller,
    )


def joined(guest: StoredQueue, own: StoredQueue) -> StoredQueue:
    """One queue of a guest's and a listener's own: the guest's additions come first, and what the guest plays is in place."""
    guest_ids = {track.track_id for track in guest.items}
    own_items = [track for track in own.items if track.track_id not in guest_ids]
    together = replace(own, items=(*guest.items, *own_items)[:MAX_ITEMS])
    if guest.current is not None:
        together = replace(together, current=guest.current)
    if guest.context is None:
        return together
    return replace(
        together,
        context=guest.context,
        list_ahead=guest.list_ahead,
        list_played=guest.list_played,
        order=guest.order,
    )


def _entry(track: QueuedTrack) -> Document:
    return {"track_id": track.track_id, "source": track.source, "model_version": track.model_version}


def _ids(values: Any) -> tuple[str, ...]:
    return tuple(value for value in _listed(values) if isinstance(value, str) and identifier_problem(value) is None)


def _tracks(values: Any) -> tuple[QueuedTrack, ...]:
    tracks = [_record(QueuedTrack, value) for value in _listed(values)]
    return tuple(track for track in tracks if track is not None and identifier_problem(track.track_id) is None)


def _listed(values: Any) -> Iterable[Any]:
    return values if isinstance(values, (list, tuple)) else ()


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


Record = TypeVar("Record", QueuedTrack, PlayContext, PlaybackSettings)


def _record(record_class: type[Record], value: Any) -> Record | None:
    """The record in a sub-document: known fields of the right type, defaults for others; None where it is no document."""
    if not isinstance(value, dict) or (record_class is QueuedTrack and not isinstance(value.get("track_id"), str)):
        return None
    types = {each.name: {"str": str, "int": int, "bool": bool}[str(each.type)] for each in fields(record_class)}
    return record_class(
        **{name: value[name] for name, field_type in types.items() if type(value.get(name)) is field_type}
    )
