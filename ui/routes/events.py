"""Routes of what listeners do, and of the list that follows: the ones that every open page asks all the time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from streaming.events import EARLIEST, BadEvent, Event
from ui.auth.session import listener, refusal, require_listener
from ui.data.event_queue import QueueFull
from ui.data.library import Library, LibraryUnavailable
from ui.dependencies import Parts
from ui.page import cards
from ui.routes.schemas import Done, Place


def routes(parts: Parts) -> APIRouter:
    router = APIRouter()

    @router.post("/events", status_code=202)
    def take_event(done: Done, request: Request) -> Response:
        user_id = require_listener(request, parts)
        if done.listener is not None and done.listener != user_id:
            return refusal(409, "Somebody else listens by now.")
        is_away = False
        if done.track_id is not None:
            try:
                if parts.library.track(done.track_id) is None:
                    return refusal(404, "This track is not in the library.")
            except LibraryUnavailable:
                is_away = True  # it may be in the library; the stream asks again
        event = _event(done, user_id, request.session.get("session_id"))
        try:
            parts.event_queue.publish(event)
        except BadEvent as error:
            return refusal(422, str(error))
        except QueueFull as error:
            return refusal(503, str(error))
        if not is_away:
            try:
                parts.listener_data.note(event)
            except LibraryUnavailable:
                pass  # the stream's profile will tell
        return JSONResponse({"event_id": event.event_id}, status_code=202)

    @router.post("/place", status_code=202)
    def remember_place(place: Place, request: Request) -> Response:
        user_id = require_listener(request, parts)
        try:
            parts.listener_data.leave(user_id, place.track_id, place.position_ms, place.duration_ms)
        except LibraryUnavailable:
            pass  # it is told again in some seconds
        return JSONResponse({}, status_code=202)

    @router.get("/for-you")
    def for_you(request: Request, seen: str = "", mine: str = "") -> Response:
        """The listener's list as HTML and opinions, or only that they are still the ones that the page has seen."""
        user_id = listener(request, parts)
        events = parts.event_queue.state
        news: dict[str, Any] = {"listener": user_id, "connected": events.connected, "waiting": events.waiting}
        try:
            list_mark = parts.library.mark(user_id)
            news["mark"] = f"{user_id}:{list_mark}"
            if list_mark is None or news["mark"] != seen:
                news |= _list(parts.library, user_id, seen)
            if user_id is not None:
                news["mine"] = f"{user_id}:{parts.listener_data.mark(user_id)}"
                if news["mine"] != mine:
                    taste = parts.listener_data.taste(user_id)
                    news |= {
                        "opinions": parts.listener_data.opinions(user_id),
                        "muted": taste.muted,
                        "adventure": taste.adventure,
                    }
        except LibraryUnavailable as error:
            news["away"] = f"The library is away. {error}"  # no failure of the request: that it is away is the news
        return JSONResponse(news)

    return router


def _event(done: Done, user_id: str, session_id: str | None) -> Event:
    now = datetime.now(UTC)
    return Event(
        user_id=user_id,
        session_id=session_id,
        event_id=str(done.event_id or uuid4()),
        occurred_at=max(EARLIEST, min(done.occurred_at or now, now)),
        **done.model_dump(exclude={"event_id", "occurred_at", "listener"}),
    )


def _list(library: Library, user_id: str | None, seen: str) -> dict[str, Any]:
    """The list as the page shows it, with its mark; no HTML where the page has it already."""
    recommended = library.recommendations(user_id)
    fresh = [] if recommended else library.page()
    mark = f"{user_id}:{recommended.mark if recommended else hash(tuple(fresh))}"
    if mark == seen:
        return {"mark": mark}
    ids = [each for item in recommended.items for each in (item.track_id, *item.because)] if recommended else []
    html = cards.for_you(recommended, library.tracks_of(ids), fresh, is_known=user_id is not None)
    return {
        "mark": mark,
        "html": html,
        "generation": recommended.generation if recommended else None,
        "personal": recommended is not None and recommended.is_personal,
    }
