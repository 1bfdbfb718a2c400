"""Routes of a listener's queue and playback settings, kept for all of their devices."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from streaming.events import MAX_ID_LENGTH
from ui.data.library import Track
from ui.dependencies import RequiredListener, Services, ServicesDep, take_back_if_deleted
from ui.playback.loudness import loudness_document, read_loudness
from ui.playback.queue_document import (
    MAX_CROSSFADE_S,
    MAX_ITEMS,
    MAX_LIST_TRACKS,
    MAX_PLAYED,
    PlaybackSettings,
    PlayContext,
    QueuedTrack,
    StoredQueue,
)
from ui.playback.store import Queues
from ui.playback.track_json import track_json
from ui.responses import Refused
from ui.routes.schemas import Identifier, Milliseconds, Source, Strict

MAX_TITLE_LENGTH = 300
MAX_SEED = 2**32 + 2**20

Text = Annotated[str, Field(max_length=MAX_TITLE_LENGTH)]
Version = Annotated[str | None, Field(max_length=MAX_ID_LENGTH)]
ListIds = Annotated[list[Identifier], Field(max_length=MAX_LIST_TRACKS)]

router = APIRouter()


class SentTrack(Strict):
    """A queued track. position_ms : of the current one"""

    id: Identifier
    source: Source | Literal[""] | None = None
    model_version: Version = None
    position_ms: Milliseconds = 0


class SentContext(Strict):
    """The list that plays. source, model_version : of its tracks' events"""

    kind: Annotated[str, Field(min_length=1, max_length=40)]
    id: Text = ""
    title: Text = ""
    address: Annotated[str, Field(max_length=2 * MAX_TITLE_LENGTH, pattern="^(#/.*)?$")] = ""
    source: Source | Literal[""] | None = None
    model_version: Version = None


class SentQueue(Strict):
    """The whole queue of a page.

    revision : of the queue that it was made from; at another one it is not saved
    listener : expected listener; a mismatch is 409
    device : of the page, for other pages to tell its changes from their own
    """

    revision: Annotated[int, Field(ge=0)]
    listener: Annotated[str, Field(max_length=MAX_ID_LENGTH)]
    device: Annotated[str, Field(max_length=64)] = ""
    current: SentTrack | None = None
    items: Annotated[list[SentTrack], Field(max_length=MAX_ITEMS)] = []
    played: Annotated[list[SentTrack], Field(max_length=MAX_PLAYED)] = []
    context: SentContext | None = None
    list_ahead: ListIds = []
    list_played: ListIds = []
    order: ListIds = []
    shuffle: bool = False
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    repeat: Literal["off", "all", "one"] = "off"


class SentSettings(Strict):
    """The playback settings of a listener."""

    replay_gain: Literal["off", "track", "album"]
    crossfade_s: Annotated[int, Field(ge=0, le=MAX_CROSSFADE_S)]
    is_smaller: bool


@router.get("/queue")
def get_queue(user_id: RequiredListener, services: ServicesDep) -> dict[str, Any]:
    """The listener's queue with its tracks, and their playback settings. Tracks that left the library are left out."""
    queue, settings = Queues(services.db).get(user_id)
    track_by_id = services.library.tracks_of(queue.track_ids)
    position_ms = _position_ms(queue, user_id, services)
    current = _tracks([queue.current] if queue.current else [], track_by_id)
    context = queue.context
    source, model_version = (context.source, context.model_version) if context else ("", "")

    def listed(track_ids: tuple[str, ...]) -> list[dict[str, Any]]:
        return _tracks([QueuedTrack(track_id, source, model_version) for track_id in track_ids], track_by_id)

    return {
        "listener": user_id,
        "revision": queue.revision,
        "device": queue.device,
        "current": current[0] | {"positionMs": position_ms} if current else None,
        "items": _tracks(queue.items, track_by_id),
        "played": _tracks(queue.played, track_by_id),
        "context": context and {name: getattr(context, name) for name in ("kind", "id", "title", "address")},
        "list": listed(queue.list_ahead),
        "listPlayed": listed(queue.list_played),
        "order": list(queue.order),
        "shuffle": queue.shuffle,
        "seed": queue.seed,
        "repeat": queue.repeat,
        "settings": asdict(settings),
    }


@router.post("/queue")
def save_queue(sent: SentQueue, request: Request, user_id: RequiredListener, services: ServicesDep) -> dict[str, bool]:
    """Replaces the listener's queue, where it is still the one that the page knows: `saved`, and its revision is one more."""
    if sent.listener != user_id:
        raise Refused(409, "Someone else is listening now.")
    queue = StoredQueue(
        current=None if sent.current is None else _queued(sent.current),
        items=tuple(map(_queued, sent.items)),
        played=tuple(map(_queued, sent.played)),
        context=None if sent.context is None else _context(sent.context),
        list_ahead=tuple(sent.list_ahead),
        list_played=tuple(sent.list_played),
        order=tuple(sent.order),
        shuffle=sent.shuffle,
        seed=sent.seed,
        repeat=sent.repeat,
        revision=sent.revision,
        device=sent.device,
    )
    is_saved = Queues(services.db).save(user_id, queue)
    take_back_if_deleted(user_id, request, services)
    return {"saved": is_saved}


@router.post("/queue/settings")
def save_settings(
    sent: SentSettings, request: Request, user_id: RequiredListener, services: ServicesDep
) -> dict[str, str]:
    """Stores the listener's playback settings."""
    settings = PlaybackSettings(sent.replay_gain, sent.crossfade_s, sent.is_smaller)
    Queues(services.db).save_settings(user_id, settings)
    take_back_if_deleted(user_id, request, services)
    return {}


@router.get("/loudness/{track_id:path}")
def get_loudness(track_id: str, services: ServicesDep) -> dict[str, float | None]:
    """ReplayGain and peaks of a track and its album, null where its tags have none."""
    return read_loudness(loudness_document(services.db, track_id))


def _position_ms(queue: StoredQueue, user_id: str, services: Services) -> int:
    """Where the current track is: pages save positions more often than queues."""
    if queue.current is None:
        return 0
    position = services.listener_data.history.position(user_id)
    if position is None or position.track_id != queue.current.track_id:
        return queue.current.position_ms
    is_later = queue.saved_at is None or position.listened_at > queue.saved_at
    return position.position_ms or 0 if is_later else queue.current.position_ms


def _queued(sent: SentTrack) -> QueuedTrack:
    return QueuedTrack(sent.id, sent.source or "", sent.model_version or "", sent.position_ms)


def _context(sent: SentContext) -> PlayContext:
    return PlayContext(sent.kind, sent.id, sent.title, sent.address, sent.source or "", sent.model_version or "")


def _tracks(queued: Any, track_by_id: dict[str, Track]) -> list[dict[str, Any]]:
    return [
        track_json(track_by_id[each.track_id], each.source, each.model_version)
        for each in queued
        if each.track_id in track_by_id
    ]
