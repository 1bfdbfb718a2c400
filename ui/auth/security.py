"""What stands before every route: requests that no page of ours makes are refused, and answers carry their policy."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.auth.session import listener
from ui.dependencies import LOCAL_HOSTS, Parts

CLIPS = "/sound"
MAX_BODY = 128 * 1024
SHELL = ("/", "/listener", "/theme.css", "/config", "/favicon.ico")
SHELL_FILES = ("/ui/", "/assets/", "/static/")
"""The empty page and the door: all that a player for accounts alone shows to others."""

API = "/gradio_api/"
CLOSED = ("upload", "proxy=", "file=", "file/", "stream/", "process_recording", "vibe-", "undo-vibe-", "dev/")
"""Doors of Gradio's API that this page does not use: files in, files out, requests to elsewhere."""

FORWARDED = (b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip")

POLICY = (
    "default-src 'self'; script-src 'self' {nonce}'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
"""Nothing from elsewhere, and no script in the markup but those that Gradio's page came with: they carry the nonce."""


class Guard:
    """ASGI middleware. A player served to this machine answers to local names only; one without guests and open names shows
    nothing of the library to who has not signed in.
    """

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self.app = app
        self.parts = parts
        self.is_closed = not (parts.open_names or parts.player.guests)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        is_page = path == "/"
        nonce = secrets.token_urlsafe(16) if is_page else ""
        page = _Marked(send, nonce) if is_page else send

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name in [name for name in headers if name.lower().startswith("access-control-")]:
                    del headers[name]  # Gradio lets pages of other local addresses read its answers
                headers.setdefault("Content-Security-Policy", POLICY.format(nonce=f"'nonce-{nonce}' " if nonce else ""))
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Referrer-Policy", "no-referrer")
                # The names of Gradio's assets change with their content; everything else is asked for again.
                headers.setdefault("Cache-Control", "max-age=31536000" if path.startswith("/assets/") else "no-cache")
            await page(message)

        refused = _refusal(scope["method"], path, Headers(scope=scope), self.parts.is_local)
        if refused is None and self.parts.is_local and _is_forwarded(scope):
            refused = 403, "This comes through a proxy; name its address in player.trusted_proxies first."
        is_open = not self.is_closed or path in SHELL or path.startswith(SHELL_FILES)
        if refused is None and not is_open and await run_in_threadpool(listener, Request(scope), self.parts) is None:
            refused = 401, "Sign in first."
        if refused is None:
            await self.app(scope, receive, send_with_policy)
        else:
            status, why = refused
            await JSONResponse({"error": why}, status_code=status)(scope, receive, send_with_policy)


class _Marked:
    """Sends Gradio's page with the nonce in each of its script tags."""

    def __init__(self, send: Send, nonce: str) -> None:
        self._send, self._nonce = send, nonce
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body") or self._start is None:
            return
        headers = MutableHeaders(scope=self._start)
        if headers.get("content-type", "").startswith("text/html"):
            self._body = self._body.replace(b"<script", f'<script nonce="{self._nonce}"'.encode())
            if "content-length" in headers:
                headers["content-length"] = str(len(self._body))
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": self._body})


def _refusal(method: str, path: str, headers: Headers, is_local: bool) -> tuple[int, str] | None:
    """Status and reason for a request that no page of ours makes; None for all others."""
    if is_local and _host_name(headers.get("host", "")) not in LOCAL_HOSTS:
        # A foreign name that leads to this machine is somebody else's page trying to read ours.
        return 403, f"This player answers to {', '.join(LOCAL_HOSTS)} only."
    if path.startswith(API) and path.removeprefix(API).startswith(CLOSED):
        return 404, "No such page."
    if method in ("GET", "HEAD"):
        return None
    if method != "POST" or not _is_same_origin(headers):
        return 403, "Only pages of this player may do that."
    if path == CLIPS:
        # A form could send text or a form's own types to us without asking; only a script sends these.
        if not headers.get("content-type", "").startswith(("audio/", "application/octet-stream")):
            return 415, "Expected audio."
        return None
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return 415, "Expected application/json."
    length = headers.get("content-length", "")
    if not length.isdecimal() or int(length) > MAX_BODY or "transfer-encoding" in headers:
        return 413, f"Expected a body of at most {MAX_BODY} bytes with its length, met {length or 'none'}."
    return None


def _is_forwarded(scope: Scope) -> bool:
    """Whether a proxy hands this on. One that gives us a local host name would make everybody seem to sit at this machine."""
    names = {name for name, _ in scope["headers"]}
    # No browser speaks HTTP/1.0 any more; nginx does, where its configuration says nothing.
    return not names.isdisjoint(FORWARDED) or scope.get("http_version") == "1.0"


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_same_origin(headers: Headers) -> bool:
    """Whether a page of ours sends this: browsers add one of the two headers to every POST."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site") == "same-origin"
    scheme, _, place = origin.partition("://")
    return scheme in ("http", "https") and place != "" and place == headers.get("host")
