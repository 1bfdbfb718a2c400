"""Routes of the listener: sign-in and sign-out, export and deletion of one's data."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from ui.auth.session import BROUGHT_FROM, GUEST_NAME, unnamed_guest
from ui.data import lake
from ui.data.lake import LakeUnavailable
from ui.data.mongo import LibraryUnavailable
from ui.data.names import name_key
from ui.dependencies import RequiredListener, Services, ServicesDep
from ui.events.deletions import listening_ends
from ui.reactions.hand_over import hand_over, hand_over_lock
from ui.responses import Refused
from ui.routes.schemas import Confirmation, PasswordChange, SignIn

_EXPORTING = threading.BoundedSemaphore(1)
"""An export reads all files of the lake's tables of listeners."""
ROWS_PER_CHUNK = 1000
"""Of an export that are sent at once."""

router = APIRouter()


@router.get("/listener")
def get_listener(request: Request, services: ServicesDep) -> dict[str, Any]:
    """Who is listening, and how one can sign in."""
    return services.sessions.describe(request)


@router.post("/listener")
def choose_listener(sign_in: SignIn, request: Request, services: ServicesDep) -> dict[str, Any]:
    """Signs in, signs up or signs out, and answers as `get_listener` does.

    `brought`: the number of opinions that a guest has brought along to a listener who was there before.
    """
    sessions, name = services.sessions, sign_in.name or ""
    brought = 0
    if sign_in.guest:
        sessions.enter_as_guest(request, sign_in.only_if_nobody)
    elif not name.strip():
        sessions.sign_out(request)
    elif sign_in.create:
        sessions.sign_up(request, name, sign_in.password)
    else:
        brought = _sign_in(sign_in, request, services)
    return sessions.describe(request) | {"brought": brought}


def _sign_in(sign_in: SignIn, request: Request, services: Services) -> int:
    """Starts the session of a name; a guest brings along what they did. Returns the number of opinions brought to a listener who
    was there before."""
    sessions, guest_session = services.sessions, dict(request.session)
    guest_id = unnamed_guest(guest_session) if sign_in.bring else None
    if guest_id is None:
        sessions.sign_in(request, sign_in.name or "", sign_in.password)
        return 0
    with hand_over_lock(guest_id):
        has_data = sessions.guest_with_data(request) == guest_id  # else another request has handed them over meanwhile
        sessions.sign_in(request, sign_in.name or "", sign_in.password, guest_id if has_data else None)
        user_id = sessions.listener(request)
        if user_id is None or user_id == guest_id:
            return 0
        try:
            brought = hand_over(services, guest_id, user_id, request.session) if has_data else 0
        except Exception:
            request.session.clear()
            request.session.update(guest_session)  # who can try again
            raise
        request.session[BROUGHT_FROM] = guest_id
        return brought


@router.get("/me/export")
def export_data(user_id: RequiredListener, request: Request, services: ServicesDep) -> Response:
    """All data stored about the listener: documents of MongoDB, events and lists of the lake; one export at a time."""
    services.limits.take_export(user_id)
    if not _EXPORTING.acquire(blocking=False):
        raise Refused(503, "Somebody else exports their data right now. Try again in a minute.", {"Retry-After": "30"})
    try:
        return _Export(_exported(user_id, services.sessions.name(request), services))
    except BaseException:
        _EXPORTING.release()
        raise


class _Export(StreamingResponse):
    """An export on its way, whose place another may take when it has ended: sent, broken off or failed."""

    def __init__(self, text: Iterator[str]) -> None:
        headers = {"Content-Disposition": 'attachment; filename="overtone-my-data.json"', "Cache-Control": "no-store"}
        super().__init__(text, media_type="application/json", headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            _EXPORTING.release()


def _exported(user_id: str, name: str | None, services: Services) -> Iterator[str]:
    """A JSON object, part by part: the lake's rows are read while they are sent. Raises LakeUnavailable, LibraryUnavailable."""
    settings = services.settings.lake
    made_at = services.accounts.made_at(user_id)
    fields = {
        "user_id": user_id,
        "name": name,
        "exported_at": datetime.now(UTC),
        "account": {"made_at": made_at} if made_at else None,
        **services.listener_data.export(user_id),
    }
    rows_by_name = {
        "listening_events": lake.events_of(settings, user_id),
        "past_recommendations": lake.lists_of(settings, user_id),
        "past_mixes": lake.mixes_of(settings, user_id),
    }
    return _parts(fields, rows_by_name)


def _parts(fields: dict[str, Any], rows_by_name: dict[str, Iterator[dict[str, Any]]]) -> Iterator[str]:
    yield "{" + ",\n".join(f"{_json(name)}: {_json(value)}" for name, value in fields.items())
    for name, rows in rows_by_name.items():
        yield f",\n{_json(name)}: ["
        separator = "\n"
        while chunk := list(itertools.islice(rows, ROWS_PER_CHUNK)):
            yield separator + ",\n".join(map(_json, chunk))
            separator = ",\n"
        yield "]"
    yield "}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


@router.post("/me/password")
def change_password(
    change: PasswordChange, request: Request, user_id: RequiredListener, services: ServicesDep
) -> dict[str, Any]:
    """Changes the account's password, which ends its other sessions, and answers as `get_listener` does."""
    services.sessions.change_password(request, change.password, change.new_password)
    return services.sessions.describe(request)


@router.post("/me/forget")
def delete_data(
    confirmation: Confirmation, request: Request, user_id: RequiredListener, services: ServicesDep
) -> dict[str, None]:
    """Deletes what lake and MongoDB hold of the listener, account included, and ends all their sessions."""
    names = [services.sessions.name(request) or "", user_id]
    if services.sessions.is_guest(request):
        names.append(GUEST_NAME)
    if name_key(confirmation.name.strip()) not in map(name_key, names):
        raise Refused(422, "Enter your name to confirm.")
    if services.accounts.key(user_id) is not None:
        services.sessions.check_password(request, user_id, confirmation.password)
    services.revocations.revoke_all(user_id)
    services.event_queue.discard(user_id)
    ends = listening_ends(services.settings.kafka, services.event_queue.state.connected)
    services.revocations.revoke_all(user_id, ends)  # again: no earlier event reaches Kafka from here on
    try:
        lake.delete_rows(services.settings.lake, user_id)
        services.listener_data.delete(user_id)
        services.accounts.delete(user_id)
        services.names.delete(user_id)
    except (LakeUnavailable, LibraryUnavailable, OSError) as error:
        services.sessions.renew(request)  # so that the listener can try again
        raise Refused(503, f"Not everything has been deleted: {error}. Try again.") from error
    services.sessions.sign_out(request)
    return {"user_id": None}


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, datetime) else str(value)
