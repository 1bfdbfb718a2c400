"""Security middleware: refuses requests that no page of this player makes, and adds the security headers to every response."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.auth.policy import LOCAL_HOSTS, AccessPolicy
from ui.responses import Refused, refusal
from ui.static_files import EARLY_LINKS, LASTING_PREFIX

CLIP_PATH = "/sound"
M3U_PATH = "/playlists/import"
MAX_JSON_BYTES = 128 * 1024
PUBLIC_PATHS = ("/", "/listener", "/theme.css", "/config", "/favicon.ico")
PUBLIC_PREFIXES = ("/ui/", "/assets/", "/static/")
"""The empty page and the sign-in: all that a player for accounts alone serves without a session."""
HEALTH_PATHS = ("/healthz", "/readyz")
"""Open to all and under any host name: they say nothing about anybody."""

GRADIO_API = "/gradio_api/"
DISABLED_GRADIO_ROUTES = (
    "upload",
    "proxy=",
    "file=",
    "file/",
    "stream/",
    "process_recording",
    "vibe-",
    "undo-vibe-",
    "dev/",
)
"""Routes of Gradio's API that this page does not use: uploads, downloads, requests to other servers."""

PROXY_HEADERS = (b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip")

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'{nonce}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
"""Nothing from other origins, and no inline script but those of Gradio's page, which carry the nonce."""


class SecurityMiddleware:
    """ASGI middleware; needs the session, so it stands inside the session middleware.

    policy : says to which host names the player answers; a player without guests and open names needs a session
    listener : of a request, None without a valid session; called in a thread
    """

    def __init__(self, app: ASGIApp, policy: AccessPolicy, listener: Callable[[Request], str | None]) -> None:
        self.app = app
        self._policy = policy
        self._listener = listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        send = _with_security_headers(scope["path"], send)
        if scope["path"] in HEALTH_PATHS and scope["method"] == "GET":
            await self.app(scope, receive, send)
            return
        try:
            check_request(scope, self._policy)
            is_open = not self._policy.needs_sign_in or _is_public(scope["path"])
            if not is_open and await run_in_threadpool(self._listener, Request(scope)) is None:
                raise Refused(401, "Sign in first.")
        except Refused as error:
            await refusal(error.status, str(error))(scope, receive, send)
            return
        await self.app(scope, receive, send)


def check_request(scope: Scope, policy: AccessPolicy) -> None:
    """Raises Refused for a request that no page of this player makes."""
    method, path, headers = scope["method"], scope["path"], Headers(scope=scope)
    if not policy.answers_to(_host_name(headers.get("host", ""))):
        names = ", ".join((*LOCAL_HOSTS, *policy.player.allowed_hosts))
        where = f"to {names}" if policy.is_local or policy.player.allowed_hosts else "to addresses and local names"
        raise Refused(403, f"This player only answers requests {where}. player.allowed_hosts can add a name.")
    if path.startswith(GRADIO_API) and path.removeprefix(GRADIO_API).startswith(DISABLED_GRADIO_ROUTES):
        raise Refused(404, "Page not found.")
    if method not in ("GET", "HEAD"):
        _check_post(method, path, headers)
    if policy.is_local and _is_forwarded(scope):
        raise Refused(
            403, "This request came through a proxy. Add the proxy's address to player.trusted_proxies first."
        )


def _check_post(method: str, path: str, headers: Headers) -> None:
    is_allowed = _is_same_origin(headers) or (path.startswith(GRADIO_API) and _is_of_a_program(headers))
    if method != "POST" or not is_allowed:
        raise Refused(403, "Only pages of this player may send this request.")
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if path in (CLIP_PATH, M3U_PATH):
        # A form of another site can send text and form types without a preflight; only a script can send these.
        if not content_type.startswith(("audio/", "application/octet-stream")):
            raise Refused(415, f"Expected a file, got {content_type or 'no content type'}.")
        return
    if content_type != "application/json":
        raise Refused(415, f"Expected application/json, got {content_type or 'no content type'}.")
    length = headers.get("content-length", "")
    if not length.isdecimal() or int(length) > MAX_JSON_BYTES or "transfer-encoding" in headers:
        raise Refused(
            413, f"Expected a Content-Length of at most {MAX_JSON_BYTES} bytes, got {length or 'none'} for the body."
        )


def _with_security_headers(path: str, send: Send) -> Send:
    """`send`, with the security headers added to the response; Gradio's page also gets the nonce in its scripts."""
    nonce = secrets.token_urlsafe(16) if path == "/" else ""
    if nonce:
        send = _NonceSend(send, nonce)
    content_security_policy = CONTENT_SECURITY_POLICY.format(nonce=f" 'nonce-{nonce}'" if nonce else "")
    # The names of Gradio's assets and of our scripts change with their content; everything else is revalidated.
    is_lasting = path.startswith(("/assets/", f"{LASTING_PREFIX}/"))
    cache_control = "max-age=31536000, immutable" if is_lasting else "no-cache"

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name in [name for name in headers if name.lower().startswith("access-control-")]:
                del headers[name]  # Gradio lets pages of other local origins read its responses
            headers.setdefault("Content-Security-Policy", content_security_policy)
            headers.setdefault("X-Content-Type-Options", "nosniff")
            headers.setdefault("Referrer-Policy", "no-referrer")
            headers.setdefault("Cache-Control", cache_control)
        await send(message)

    return send_with_headers


class _NonceSend:
    """Sends an HTML page with the nonce added to each of its script tags, and with links to what it will need."""

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
            page = self._body.replace(b"</head>", EARLY_LINKS.encode() + b"</head>", 1)
            self._body = page.replace(b"<script", f'<script nonce="{self._nonce}"'.encode())
            if "content-length" in headers:
                headers["content-length"] = str(len(self._body))
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": self._body})


def _is_public(path: str) -> bool:
    return path in PUBLIC_PATHS or path.startswith(PUBLIC_PREFIXES)


def _is_forwarded(scope: Scope) -> bool:
    """Whether a proxy sent the request. Through one that sets a local Host, every visitor would pass as local."""
    names = {name for name, _ in scope["headers"]}
    # No browser speaks HTTP/1.0 any more; nginx does, where its configuration sets nothing else.
    return not names.isdisjoint(PROXY_HEADERS) or scope.get("http_version") == "1.0"


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_same_origin(headers: Headers) -> bool:
    """Whether a page of this player sent the request: browsers add Origin or Sec-Fetch-Site to every POST."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site") == "same-origin"
    scheme, _, host = origin.partition("://")
    return scheme in ("http", "https") and host != "" and host == headers.get("host")


def _is_of_a_program(headers: Headers) -> bool:
    """Whether no browser sent the request, but a program such as gradio_client: browsers add one of these to every POST, and ask
    first before they send JSON to another origin."""
    return "origin" not in headers and not any(name.startswith("sec-fetch-") for name in headers)
