"""Routes of the listener: sign-in and sign-out, export and deletion of one's data."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ui.data import lake
from ui.data.lake import LakeUnavailable
from ui.data.mongo import LibraryUnavailable
from ui.data.names import name_key
from ui.dependencies import RequiredListener, Services, ServicesDep
from ui.responses import Refused
from ui.routes.schemas import Confirmation, PasswordChange, SignIn

_EXPORTING = threading.BoundedSemaphore(1)
"""An export reads all of a listener's rows into memory."""

router = APIRouter()


@router.get("/listener")
def get_listener(request: Request, services: ServicesDep) -> dict[str, Any]:
    """Who is listening, and how one can sign in."""
    return services.sessions.describe(request)


@router.post("/listener")
def choose_listener(sign_in: SignIn, request: Request, services: ServicesDep) -> dict[str, Any]:
    """Signs in, signs up or signs out, and answers as `get_listener` does."""
    sessions, name = services.sessions, sign_in.name or ""
    if sign_in.guest:
        sessions.enter_as_guest(request)
    elif not name.strip():
        sessions.sign_out(request)
    elif sign_in.create:
        sessions.sign_up(request, name, sign_in.password)
    else:
        sessions.sign_in(request, name, sign_in.password)
    return sessions.describe(request)


@router.get("/me/export")
def export_data(user_id: RequiredListener, request: Request, services: ServicesDep) -> Response:
    """All data stored about the listener: documents of MongoDB, events and lists of the lake; one export at a time.

    `left_out` says how many of the oldest rows did not fit into one file.
    """
    services.limits.take_export(user_id)
    if not _EXPORTING.acquire(blocking=False):
        raise Refused(503, "Somebody else exports their data right now. Try again in a minute.", {"Retry-After": "30"})
    try:
        return _export(user_id, request, services)
    finally:
        _EXPORTING.release()


def _export(user_id: str, request: Request, services: Services) -> Response:
    lake_settings = services.settings.lake
    events, lists = lake.events_of(lake_settings, user_id), lake.lists_of(lake_settings, user_id)
    mixes = lake.mixes_of(lake_settings, user_id)
    made_at = services.accounts.made_at(user_id)
    data = {
        "user_id": user_id,
        "name": services.sessions.name(request),
        "exported_at": datetime.now(UTC),
        "left_out": {
            "listening_events": events.left_out,
            "past_recommendations": lists.left_out,
            "past_mixes": mixes.left_out,
        },
        "account": {"made_at": made_at} if made_at else None,
        **services.listener_data.export(user_id),
        "listening_events": events.rows,
        "past_recommendations": lists.rows,
        "past_mixes": mixes.rows,
    }
    text = json.dumps(data, ensure_ascii=False, indent=1, default=_plain)
    headers = {"Content-Disposition": 'attachment; filename="overtone-my-data.json"', "Cache-Control": "no-store"}
    return Response(text, media_type="application/json", headers=headers)


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
    if name_key(confirmation.name.strip()) not in (name_key(services.sessions.name(request) or ""), name_key(user_id)):
        raise Refused(422, "Enter your name to confirm.")
    if services.accounts.key(user_id) is not None:
        services.sessions.check_password(request, user_id, confirmation.password)
    services.revocations.revoke_all(user_id)
    services.event_queue.discard(user_id)
    services.revocations.revoke_all(user_id)  # again: from here on, no earlier event can reach Kafka with a later time
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
