"""The page over HTTP: Gradio at "/", the audio of the catalogue by id, events and the listener's name as JSON.

Who is listening is known from a signed cookie alone; a page can say what was done, never who did it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.middleware.sessions import SessionMiddleware
from starlette.staticfiles import StaticFiles

from batch.mongo import EVERYONE
from conf.settings import Player
from streaming.events import MAX_ID_LENGTH, MAX_MS, BadEvent, Event, why_no_identifier
from ui import cards, player
from ui.covers import cover
from ui.guard import Guard
from ui.library import Library, LibraryAway
from ui.listens import Listens, ListensFull

log = logging.getLogger(__name__)


def _identifier(value: str) -> str:
    if (wrong := why_no_identifier(value)) is not None:
        raise ValueError(f"the id {wrong}")
    return value


class Done(BaseModel):
    """What a page says was done with a track."""

    model_config = ConfigDict(extra="forbid", strict=True)

    track_id: Annotated[str, AfterValidator(_identifier)]
    action: Literal["play", "skip", "complete", "like", "unlike", "dislike"]
    position_ms: Annotated[int | None, Field(ge=0, le=MAX_MS)] = None
    duration_ms: Annotated[int | None, Field(ge=0, le=MAX_MS)] = None
    source: Literal["search", "for-you", "similar"] | None = None
    model_version: Annotated[str | None, Field(max_length=MAX_ID_LENGTH)] = None
    event_id: Annotated[UUID | None, Field(strict=False)] = None


class Name(BaseModel):
    """Who wants to listen; None: nobody any more."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str | None


def app(library: Library, listens: Listens, settings: Player, secret: str) -> FastAPI:
    """The application. secret : signs the session cookie; see secret.py"""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(listens.close, 0.7)

    site = FastAPI(title="Overtone", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)

    @site.get("/listener")
    def listener(request: Request) -> dict[str, Any]:
        return {"user_id": request.session.get("user_id")}

    @site.post("/listener")
    def choose_listener(name: Name, request: Request) -> Response:
        user_id = (name.name or "").strip()
        if not user_id:
            request.session.clear()
            return JSONResponse({"user_id": None})
        wrong = f"{EVERYONE!r} is taken" if user_id == EVERYONE else why_no_identifier(user_id)
        if wrong is not None:
            return _refusal(422, f"The name {wrong}.")
        request.session.update(user_id=user_id, session_id=str(uuid4()))
        return JSONResponse({"user_id": user_id})

    @site.post("/events", status_code=202)
    def take_event(done: Done, request: Request) -> Response:
        user_id = request.session.get("user_id")
        if user_id is None:
            return _refusal(401, "Choose who is listening first.")
        if not _may_exist(library, done.track_id):
            return _refusal(404, "This track is not in the library.")
        event = Event(
            user_id=user_id,
            session_id=request.session.get("session_id"),
            event_id=str(done.event_id or uuid4()),
            occurred_at=datetime.now(UTC),
            **done.model_dump(exclude={"event_id"}),
        )
        try:
            listens.publish(event)
        except BadEvent as error:
            return _refusal(422, str(error))
        except ListensFull as error:
            return _refusal(503, str(error))
        return JSONResponse({"event_id": event.event_id}, status_code=202)

    @site.get("/for-you")
    def for_you(request: Request, seen: str = "") -> Response:
        """The listener's list as HTML, or only that it is still the one that the page has seen."""
        user_id = request.session.get("user_id")
        events = listens.state
        state = {"listener": user_id, "connected": events.connected, "waiting": events.waiting}
        try:
            recommended = library.recommendations(user_id)
            fresh = [] if recommended else library.page()
            mark = f"{user_id}:{recommended.mark if recommended else hash(tuple(fresh))}"
            if mark == seen:
                return JSONResponse(state | {"mark": mark})
            ids = [each for item in recommended.items for each in (item.track_id, *item.because)] if recommended else []
            html = cards.for_you(recommended, library.tracks_of(ids), fresh, is_known=user_id is not None)
        except LibraryAway as error:
            return JSONResponse(state | {"error": f"The library is away. {error}"}, status_code=503)
        generation = recommended.generation if recommended else None
        is_personal = recommended is not None and recommended.is_personal
        return JSONResponse(state | {"mark": mark, "html": html, "generation": generation, "personal": is_personal})

    @site.api_route("/audio/{track_id:path}", methods=["GET", "HEAD"])
    def audio(track_id: str) -> Response:
        try:
            file = library.audio(track_id)
        except LibraryAway as error:
            return _refusal(503, f"The library is away. {error}")
        if file is None:
            return _refusal(404, "No such track in the library.")
        return FileResponse(file, headers={"Cache-Control": "private, max-age=3600"})

    @site.get("/cover/{track_id:path}")
    def cover_picture(track_id: str) -> Response:
        return Response(cover(track_id), media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})

    @site.exception_handler(RequestValidationError)
    async def say_what_is_wrong(_: Request, error: RequestValidationError) -> Response:
        wrong = error.errors()[0]
        return _refusal(422, f"{'.'.join(str(part) for part in wrong['loc'][1:])}: {wrong['msg']}")

    site.add_middleware(Guard, host=settings.host)
    # Added last, so outermost: every route, Gradio's too, sees the session.
    site.add_middleware(SessionMiddleware, secret_key=secret, session_cookie=_cookie(secret), same_site="strict")
    site.mount("/ui", StaticFiles(directory=Path(__file__).with_name("static")))
    page = player.build(library, settings.complete_share)
    gr.mount_gradio_app(
        site,
        page,
        path="/",
        head=player.HEAD,
        theme=player.THEME,
        ssr_mode=False,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        show_error=False,
        max_file_size=1,
    )
    return site


def _may_exist(library: Library, track_id: str) -> bool:
    """Whether the library has the track, as far as it can be asked; the stream asks again."""
    try:
        return library.track(track_id) is not None
    except LibraryAway:
        return True


def _refusal(status: int, why: str) -> JSONResponse:
    return JSONResponse({"error": why}, status_code=status)


def _cookie(secret: str) -> str:
    """The cookie's name: browsers share cookies among ports, and two players must not log each other out."""
    return f"overtone-{hashlib.sha256(b'name' + secret.encode()).hexdigest()[:8]}"
