"""Routes of the pages that are not the list, as HTML for the page's script to put in place."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, Response

from ui.auth.session import Refused, about, listener, require_listener
from ui.data import lake
from ui.data.history import HistoryEntry
from ui.data.library import Item, Track
from ui.data.status import flat, headlines, model_card, queries
from ui.dependencies import Parts
from ui.page.cards import how_many
from ui.page.rendering import page

log = logging.getLogger(__name__)

SHELF = 14
GENRES = 4
LISTED = 300
LAKE_S = 30.0
"""What is read from Delta holds for so long."""


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/view", default_response_class=HTMLResponse)
    library, mine = parts.library, parts.listener_data
    found_last = _Kept(lambda: lake.fresh(parts.settings.lake, parts.settings.library.root))

    @router.get("/home")
    def home(request: Request) -> str:
        user_id = listener(request, parts)
        heard = mine.history(user_id, 60) if user_id else []
        place = mine.place(user_id) if user_id else None
        recent = library.in_order(each.track_id for each in _gladly(heard))[:SHELF]
        place_track = library.track(place.track_id) if place else None
        return page(
            "home",
            place=place if place_track else None,
            place_track=place_track,
            recent=recent,
            fresh=library.in_order(found_last.now()[: 2 * SHELF])[:SHELF],
            genres=_genres(parts, heard),
        )

    @router.get("/track/{track_id:path}")
    def track(track_id: str) -> str:
        found = _track(parts, track_id)
        details = library.details(track_id)
        near = library.in_order(near for near, _ in details.similar[:24])
        reasons = {near: f"Likeness {score:.2f}" for near, score in details.similar}
        return page("track", track=found, details=details, near=near, reasons=reasons)

    @router.get("/artist/{name:path}")
    def artist(name: str) -> str:
        ids = library.shelf().by_artist(name)
        tracks = library.in_order(ids[:LISTED])
        if not tracks:
            raise Refused(404, "No such artist in the library.")
        return _listed(tracks[0].artist, tracks, "artist", len(ids), artist=tracks[0].artist)

    @router.get("/genre/{name:path}")
    def genre(name: str) -> str:
        ids = library.shelf().of_genre(name)
        tracks = library.in_order(ids[:LISTED])
        if not tracks:
            raise Refused(404, "No such genre in the library.")
        return _listed(name, tracks, "genre", len(ids), genre=name)

    @router.get("/playlist/{playlist_id:path}")
    def playlist(playlist_id: str, request: Request) -> str:
        found = mine.playlist(require_listener(request, parts), playlist_id)
        if found is None:
            raise Refused(404, "No such playlist of yours.")
        return _listed(found.name, library.in_order(found.tracks), "playlist", playlist_id=found.playlist_id)

    @router.get("/you")
    def you(request: Request) -> str:
        user_id = require_listener(request, parts)
        heard = mine.history(user_id, 100)
        tracks = library.tracks_of(each.track_id for each in heard)
        liked = [track_id for track_id, said in mine.opinions(user_id).items() if "like" in said.split()]
        return page(
            "you",
            user_id=user_id,
            is_guest=about(request, parts)["is_guest"],
            likes=library.in_order(liked[:LISTED]),
            playlists=mine.playlists(user_id),
            muted=mine.taste(user_id).muted,
            history=[(each, tracks[each.track_id]) for each in heard if each.track_id in tracks],
        )

    @router.get("/why/{track_id:path}")
    def why(track_id: str, request: Request) -> str:
        """Why a track is in the listener's own list."""
        found = library.recommendations(require_listener(request, parts))
        item = next((each for each in found.items if each.track_id == track_id), None) if found else None
        if found is None or item is None:
            raise Refused(404, "This track is not in your list any more.")
        return page(
            "why",
            track=_track(parts, track_id),
            item=item,
            heard=library.in_order(item.because),
            parts=_bars(item),
            count=len(found.items),
            generation=found.generation,
            made=found.generated_at,
            model_version=found.model_version,
        )

    @router.get("/map")
    def taste_map(request: Request) -> str:
        user_id = listener(request, parts)
        taste = mine.taste(user_id) if user_id else None
        return page(
            "map",
            centres=[(weight, library.in_order(ids[:SHELF])) for weight, ids in taste.centres] if taste else [],
            rejected=library.in_order(taste.rejected[:SHELF]) if taste else [],
        )

    @router.get("/sound")
    def sound() -> str:
        return page("sound")

    @router.get("/status")
    def status(request: Request) -> str:
        _require_operator(request, parts)
        settings = parts.settings
        model = model_card(settings.models.root)
        tracks = refused = lake.NOTHING
        away = ""
        try:
            tracks = lake.rejected_tracks(settings.lake, settings.library.root)
            refused = lake.rejected_events(settings.lake)
        except lake.LakeUnavailable as error:
            away = str(error)
        said, events = queries(parts.db, datetime.now(UTC)), parts.event_queue.state
        return page(
            "status",
            headlines=headlines(said, model, events.waiting),
            events=events,
            queries=said,
            model=model,
            results=flat(model.results)[:80] if model else [],
            tracks=tracks,
            refused=refused,
            lake_away=away,
        )

    return router


def report(parts: Parts) -> APIRouter:
    """The report card of the model that counts, closed off from the player's pages: it is a file from elsewhere."""
    router = APIRouter()

    @router.get("/report")
    def report_card(request: Request) -> Response:
        _require_operator(request, parts)
        model = model_card(parts.settings.models.root)
        if model is None or model.report is None:
            raise Refused(404, "No report card yet; ./spark-submit.sh batch/evaluate.py writes it.")
        policy = "sandbox allow-scripts; default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
        return FileResponse(model.report, media_type="text/html", headers={"Content-Security-Policy": policy})

    return router


class _Kept:
    """A value that is read again after LAKE_S."""

    def __init__(self, read: Callable[[], list[str]]) -> None:
        self._read = read
        self._at = float("-inf")
        self._value: list[str] = []

    def now(self) -> list[str]:
        if time.monotonic() - self._at > LAKE_S:
            self._at = time.monotonic()
            try:
                self._value = self._read()
            except lake.LakeUnavailable as error:
                log.warning("the freshest tracks are not known: %s", error)
        return self._value


def _track(parts: Parts, track_id: str) -> Track:
    found = parts.library.track(track_id)
    if found is None:
        raise Refused(404, "No such track in the library.")
    return found


def _require_operator(request: Request, parts: Parts) -> None:
    if not parts.is_operator(listener(request, parts)):
        raise Refused(403, "This page is for the operator of the service.")


def _listed(title: str, tracks: list[Track], source: str, count: int = 0, **more: str) -> str:
    values = {"artist": "", "genre": "", "playlist_id": ""} | more
    return page("tracks", title=title, note=how_many(len(tracks), count), tracks=tracks, source=source, **values)


def _gladly(heard: list[HistoryEntry]) -> list[HistoryEntry]:
    """Without what was skipped before half of it was heard."""
    return [
        each
        for each in heard
        if each.action != "skip" or (each.duration_ms and (each.position_ms or 0) >= each.duration_ms / 2)
    ]


def _genres(parts: Parts, heard: list[HistoryEntry]) -> list[tuple[str, int, list[Track]]]:
    """A few genres with some of their tracks: those heard most lately, then the largest. Every day brings other tracks."""
    shelf = parts.library.shelf()
    sizes = dict(shelf.genre_sizes())
    often: dict[str, int] = {}
    for each in heard:
        row = shelf.row_of.get(each.track_id)
        if row is not None and shelf.genre_codes[row] >= 0:
            name = shelf.genre_names[shelf.genre_codes[row]]
            often[name] = often.get(name, 0) + 1
    chosen = sorted(sizes, key=lambda name: (-often.get(name, 0), -sizes[name], name))[:GENRES]
    day = int(time.time() // 86_400)
    shelves = []
    for name in chosen:
        ids = shelf.of_genre(name)
        start = (day * SHELF) % len(ids)
        shelves.append((name, sizes[name], parts.library.in_order((ids + ids)[start : start + min(SHELF, len(ids))])))
    return shelves


def _bars(item: Item) -> list[tuple[str, float, int]]:
    """The score's parts: name, value, width of its bar in percent of the largest."""
    largest = max((abs(value) for value in item.parts.values()), default=0.0) or 1.0
    return [(name, value, round(100 * abs(value) / largest)) for name, value in item.parts.items()]
