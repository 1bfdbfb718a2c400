"""The player's web application: Gradio's page at "/", the routes around it, and what every request passes through."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.middleware.sessions import SessionMiddleware
from starlette.staticfiles import StaticFiles

from streaming.events import BadEvent
from streaming.operations.health import Remembered
from ui import static_files
from ui.auth.accounts import TooManyHashes
from ui.auth.security import SecurityMiddleware
from ui.auth.shares import ShareTaken
from ui.covers import routes as covers
from ui.data.lake import LakeUnavailable
from ui.data.mongo import LibraryUnavailable
from ui.dependencies import Services
from ui.endpoints import add_endpoints
from ui.events.event_queue import DataDeleted, QueueFull
from ui.events.journal import JournalUnwritable
from ui.home import routes as home
from ui.library import routes as library_routes
from ui.media.analysis import AnalysisPending, AnalyzerBusy, AudioUnreadable
from ui.media.similarity import NoModel
from ui.page import layout
from ui.playback import routes as playback
from ui.playlists import routes as playlists
from ui.playlists.store import LimitExceeded, PlaylistChanged
from ui.push import routes as push_routes
from ui.push.changes import follow_changes
from ui.push.hub import Hub
from ui.reactions import routes as reactions_routes
from ui.responses import Refused, refusal
from ui.routes import accounts, audio, discover, events, genres, health, operator, pages, taste_map
from ui.search import routes as search
from ui.search.live_index import LibraryBeingRead

COOKIE_LIFETIME_S = 30 * 24 * 3600
"""An unused session ends after so long; one in use is renewed daily (`auth.session`)."""
SHUTDOWN_TIMEOUT_S = 1
ACCEPT_S = 0.01
QUEUE_CLOSE_TIMEOUT_S = 0.7
SEARCH_INDEX_TIMEOUT_S = 600.0

ROUTERS = (
    events.router,
    accounts.router,
    playlists.router,
    playback.router,
    search.router,
    audio.router,
    covers.router,
    discover.router,
    taste_map.router,
    home.router,
    library_routes.router,
    genres.router,
    pages.router,
    reactions_routes.router,
    operator.router,
    push_routes.router,
    health.router,
)

RESPONSES: dict[type[Exception], Callable[[Any], Response]] = {
    Refused: lambda error: refusal(error.status, str(error), error.headers),
    RequestValidationError: lambda error: refusal(422, _first_problem(error)),
    BadEvent: lambda error: refusal(422, str(error)),
    AudioUnreadable: lambda error: refusal(422, f"The file {error}"),
    LimitExceeded: lambda error: refusal(409, str(error)),
    PlaylistChanged: lambda error: refusal(409, str(error)),
    NoModel: lambda error: refusal(409, str(error)),
    LibraryUnavailable: lambda error: refusal(503, f"Can't reach your library. {error}"),
    LibraryBeingRead: lambda error: refusal(503, str(error), {"Retry-After": "2"}),
    LakeUnavailable: lambda error: refusal(503, f"The lake cannot be read. {error}"),
    TooManyHashes: lambda error: refusal(503, str(error), {"Retry-After": "5"}),
    DataDeleted: lambda error: refusal(401, str(error)),
    QueueFull: lambda error: refusal(503, str(error), {"Retry-After": "5"}),
    JournalUnwritable: lambda error: refusal(503, str(error), {"Retry-After": "5"}),
    AnalysisPending: lambda _: JSONResponse({"pending": True}, 202, {"Retry-After": "2"}),
    AnalyzerBusy: lambda error: refusal(503, str(error), {"Retry-After": "2"}),
    ShareTaken: lambda error: refusal(error.status, str(error), {"Retry-After": str(error.retry_after_s)}),
}
"""The response to each exception that a route or a dependency may raise."""


def create_app(services: Services) -> FastAPI:
    """The application of one player."""
    hub = Hub(lambda: (services.event_queue.state.connected, services.event_queue.state.waiting))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tell_library = functools.partial(asyncio.get_running_loop().call_soon_threadsafe, hub.tell, "library")
        start = threading.Thread(target=_load_search_index, args=(services, tell_library), daemon=True)
        start.start()
        pushing = [asyncio.create_task(hub.run()), asyncio.create_task(follow_changes(services.settings.mongo, hub))]
        yield
        for task in pushing:
            task.cancel()
        await asyncio.gather(*pushing, return_exceptions=True)
        await asyncio.to_thread(services.analyzer.close)
        await asyncio.to_thread(services.covers.close)
        await asyncio.to_thread(services.transcoder.close)
        await asyncio.to_thread(services.event_queue.close, QUEUE_CLOSE_TIMEOUT_S)

    app = FastAPI(title="Overtone", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.services, app.state.hub = services, hub
    app.state.readiness = Remembered(lambda: health.service_problems(services))
    for router in ROUTERS:
        app.include_router(router)
    for error_class, respond in RESPONSES.items():
        app.add_exception_handler(error_class, _handler(respond))
    app.add_middleware(SecurityMiddleware, policy=services.policy, listener=services.sessions.listener)
    # Added last, so it runs first: every route, Gradio's too, has the session.
    app.add_middleware(
        SessionMiddleware,
        secret_key=services.secret,
        session_cookie=_cookie_name(services.secret),
        same_site="strict",
        max_age=COOKIE_LIFETIME_S,
        https_only=bool(services.player.trusted_proxies),
    )
    for prefix in (static_files.LASTING_PREFIX, static_files.PLAIN_PREFIX):
        app.mount(prefix, StaticFiles(directory=static_files.FOLDER))
    page = layout.build(services.player.complete_share)
    add_endpoints(page, services)
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        head=layout.HEAD,
        theme=layout.THEME,
        ssr_mode=False,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        show_error=False,
        max_file_size=1,
    )
    return app


class PlayerServer(uvicorn.Server):
    """uvicorn, which ends the streams of open pages before it waits for their connections to close.

    It leaves no connection open: a browser would send its next request to one, and wait for an answer.
    """

    def __init__(self, app: FastAPI) -> None:
        super().__init__(server_config(app))
        self._hub: Hub = app.state.hub

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._hub.end_all()
        for listening in self.servers:
            listening.close()
        await asyncio.sleep(ACCEPT_S)  # connections that were accepted are known to uvicorn after two turns of the loop
        await super().shutdown(sockets)
        for connection in self.server_state.connections:
            connection.transport.abort()


def server_config(app: FastAPI) -> uvicorn.Config:
    """How uvicorn serves the application. Forwarded addresses are taken from the proxies that the settings name only."""
    services: Services = app.state.services
    trusted_proxies = list(services.player.trusted_proxies)
    return uvicorn.Config(
        app,
        log_level="warning",
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
        server_header=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=trusted_proxies,
    )


def _handler(respond: Callable[[Any], Response]) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(_: Request, error: Exception) -> Response:
        return respond(error)

    return handle


def _first_problem(error: RequestValidationError) -> str:
    """The first invalid field and its problem."""
    problem = error.errors()[0]
    return f"{'.'.join(str(part) for part in problem['loc'][1:])}: {problem['msg']}"


def _load_search_index(services: Services, tell_library: Callable[[], object]) -> None:
    """Loads the search index at the start, so that the first search need not wait for it.

    tell_library : called when it is there, for pages that were shown without it
    """
    with suppress(LibraryUnavailable, RuntimeError):  # the first search tries again;  or the player has stopped
        if not services.library.is_searchable(0) and services.library.is_searchable(SEARCH_INDEX_TIMEOUT_S):
            tell_library()


def _cookie_name(secret: str) -> str:
    """A name for this secret: browsers share cookies among ports, and two players must not sign each other out."""
    return f"overtone-{hashlib.sha256(b'name' + secret.encode()).hexdigest()[:8]}"
