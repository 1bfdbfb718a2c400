"""The player over HTTP: Gradio's page at "/", and the routes of what it plays, shows and says, put together."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import gradio as gr
import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.middleware.sessions import SessionMiddleware
from starlette.staticfiles import StaticFiles

from ui.auth.security import Guard
from ui.auth.session import Refused, refusal
from ui.data.lake import LakeUnavailable
from ui.data.library import LibraryUnavailable
from ui.dependencies import Parts
from ui.media.analysis import AnalyzerBusy, AudioUnreadable
from ui.media.similarity import NoModel
from ui.page import layout
from ui.routes import accounts, audio, events, pages

SESSION_S = 30 * 24 * 3600
SHUTDOWN_S = 1


def app(parts: Parts) -> FastAPI:
    """The application."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        threading.Thread(target=_warm, args=(parts,), name="warm", daemon=True).start()
        yield
        await asyncio.to_thread(parts.analyzer.close)
        await asyncio.to_thread(parts.event_queue.close, 0.7)

    site = FastAPI(title="Overtone", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    for router in (events.routes, accounts.routes, audio.routes, pages.routes, pages.report):
        site.include_router(router(parts))

    @site.exception_handler(RequestValidationError)
    async def say_what_is_wrong(_: Request, error: RequestValidationError) -> Response:
        wrong = error.errors()[0]
        return refusal(422, f"{'.'.join(str(part) for part in wrong['loc'][1:])}: {wrong['msg']}")

    @site.exception_handler(Refused)
    async def say_no(_: Request, error: Refused) -> Response:
        return refusal(error.status, str(error), error.headers)

    @site.exception_handler(LibraryUnavailable)
    async def say_that_the_library_is_away(_: Request, error: LibraryUnavailable) -> Response:
        return refusal(503, f"The library is away. {error}")

    @site.exception_handler(LakeUnavailable)
    async def say_that_the_lake_is_away(_: Request, error: LakeUnavailable) -> Response:
        return refusal(503, f"The lake cannot be read. {error}")

    @site.exception_handler(AnalyzerBusy)
    async def say_that_it_is_busy(_: Request, error: AnalyzerBusy) -> Response:
        return refusal(503, str(error), {"Retry-After": "5"})

    @site.exception_handler(NoModel)
    async def say_that_there_is_no_model(_: Request, error: NoModel) -> Response:
        return refusal(409, str(error))

    @site.exception_handler(AudioUnreadable)
    async def say_that_it_cannot_be_heard(_: Request, error: AudioUnreadable) -> Response:
        return refusal(422, f"The file {error}")

    site.add_middleware(Guard, parts=parts)
    # Added last, so outermost: every route, Gradio's too, sees the session.
    site.add_middleware(
        SessionMiddleware,
        secret_key=parts.secret,
        session_cookie=_cookie(parts.secret),
        same_site="strict",
        max_age=SESSION_S,
        https_only=bool(parts.player.trusted_proxies),
    )
    site.state.trusted_proxies = parts.player.trusted_proxies
    site.mount("/ui", StaticFiles(directory=Path(__file__).with_name("static")))
    gr.mount_gradio_app(
        site,
        layout.build(parts.library, parts.player.complete_share),
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
    return site


def config(site: FastAPI) -> uvicorn.Config:
    """How the application is served. Only a proxy that the settings name can say from where a request comes."""
    trusted = list(site.state.trusted_proxies)
    return uvicorn.Config(
        site,
        log_level="warning",
        timeout_graceful_shutdown=SHUTDOWN_S,
        server_header=False,
        proxy_headers=bool(trusted),
        forwarded_allow_ips=trusted,
    )


def _warm(parts: Parts) -> None:
    """Reads the words of the library, so that the first search need not wait."""
    try:
        parts.library.shelf()
    except LibraryUnavailable:
        pass  # the first search tries again


def _cookie(secret: str) -> str:
    """The cookie's name: browsers share cookies among ports, and two players must not log each other out."""
    return f"overtone-{hashlib.sha256(b'name' + secret.encode()).hexdigest()[:8]}"
