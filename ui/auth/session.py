"""Who is listening: known from the signed session cookie alone, and only while settings, account and sessions say so too.

A page can say what was done, never who did it.
"""

from __future__ import annotations

import secrets
import time
from typing import Any
from uuid import uuid4

from fastapi import Request
from fastapi.responses import JSONResponse

from batch.mongo import NEW_LISTENERS
from streaming.events import identifier_problem
from ui.auth.accounts import NameTaken, TooManyTries, WrongPassword, why_no_password
from ui.dependencies import Parts

GUEST = "guest-"
"""Ids of guests begin with it, and nobody can choose such a name."""


class Refused(Exception):
    """The request cannot be granted. status : of HTTP;  headers : of the answer"""

    def __init__(self, status: int, why: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.headers = headers or {}


def refusal(status: int, why: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": why}, status_code=status, headers=headers)


def listener(request: Request, parts: Parts) -> str | None:
    """The id of whoever listens, None where nobody has said so."""
    user_id = request.session.get("user_id")
    if not isinstance(user_id, str):
        return None
    if _may_go_on(user_id, request.session, parts):
        return user_id
    request.session.clear()
    return None


def _may_go_on(user_id: str, held: dict[str, Any], parts: Parts) -> bool:
    """Whether this cookie would be given today: settings change, accounts are made and deleted, listeners sign out."""
    key, session_id, since = held.get("key"), held.get("session_id"), held.get("since")
    if not isinstance(session_id, str) or not isinstance(since, (int, float)):
        return False
    if user_id.startswith(GUEST):
        is_allowed = parts.player.guests
    else:
        is_allowed = (key is not None or parts.open_names) and parts.accounts.is_current(user_id, key)
    return is_allowed and not parts.sessions.is_over(user_id, session_id, since)


def require_listener(request: Request, parts: Parts) -> str:
    """The id of whoever listens. Raises Refused where nobody has said so."""
    user_id = listener(request, parts)
    if user_id is None:
        raise Refused(401, "Choose who is listening first.")
    return user_id


def about(request: Request, parts: Parts) -> dict[str, Any]:
    """What a page may know of its listener and of the ways to become one."""
    user_id = listener(request, parts)
    return {
        "user_id": user_id,
        "is_guest": bool(user_id and user_id.startswith(GUEST)),
        "has_account": request.session.get("key") is not None,
        "sign_up": parts.player.sign_up,
        "open_names": parts.open_names,
        "guests": parts.player.guests,
        "operator": parts.is_operator(user_id),
    }


def enter_as_guest(request: Request, parts: Parts) -> None:
    """A listener apart, known to this browser only. Raises Refused."""
    if not parts.player.guests:
        raise Refused(403, "This player has no guests. Sign in with an account.")
    _enter(request, GUEST + secrets.token_hex(8), None)


def enter(request: Request, parts: Parts, name: str, password: str) -> None:
    """Listens under a name: with its account's password, or without where the name is open. Raises Refused, LibraryUnavailable."""
    user_id = _name(name)
    if not password:
        if not parts.open_names or parts.accounts.key(user_id) is not None:
            why = "This name has an account." if parts.open_names else "This player needs an account."
            raise Refused(401, f"{why} Enter its password.")
        _enter(request, user_id, None)
        return
    _enter(request, user_id, verify(request, parts, user_id, password))


def verify(request: Request, parts: Parts, user_id: str, password: str) -> str:
    """The key of the account, where the password is its own. Raises Refused, LibraryUnavailable."""
    place = f"{_place(request)} {user_id}"
    try:
        parts.tries.check(place)
        parts.tries_of_name.check(user_id)
        return parts.accounts.verify(user_id, password[:1024])
    except TooManyTries as error:
        raise _wait(error) from error
    except WrongPassword as error:
        parts.tries.fail(place)
        parts.tries_of_name.fail(user_id)
        raise Refused(401, str(error)) from error


def sign_up(request: Request, parts: Parts, name: str, password: str) -> None:
    """Makes an account and listens under it. Raises Refused, LibraryUnavailable."""
    if not parts.player.sign_up:
        raise Refused(403, "This player makes no new accounts.")
    user_id = _name(name)
    if (wrong := why_no_password(password)) is not None:
        raise Refused(422, f"The password {wrong}.")
    if not parts.is_local and user_id in parts.player.operators:
        why = "This name is an operator's. Its account is made while the player serves its own machine alone."
        raise Refused(403, why)
    place = _place(request)
    try:
        parts.sign_ups.check(place)
    except TooManyTries as error:
        raise _wait(error) from error
    parts.sign_ups.fail(place)
    is_own = listener(request, parts) == user_id
    if not (parts.open_names or is_own) and parts.listener_data.is_anyone(user_id):
        raise Refused(409, "Somebody listens under this name already. Choose another.")
    try:
        key = parts.accounts.make(user_id, password)
    except NameTaken as error:
        raise Refused(409, str(error)) from error
    _enter(request, user_id, key)


def leave(request: Request, parts: Parts) -> None:
    """Nobody listens by this cookie any more, nor by a copy of it."""
    if isinstance(session_id := request.session.get("session_id"), str):
        parts.sessions.end(session_id)
    request.session.clear()


def renew(request: Request) -> None:
    """The same listener by a new session."""
    _enter(request, request.session["user_id"], request.session.get("key"))


def _enter(request: Request, user_id: str, key: str | None) -> None:
    request.session.clear()
    held = {"user_id": user_id, "session_id": str(uuid4()), "since": time.time()}
    request.session.update(held | ({"key": key} if key else {}))


def _place(request: Request) -> str:
    return request.client.host if request.client else ""


def _wait(error: TooManyTries) -> Refused:
    return Refused(429, str(error), {"Retry-After": str(int(error.wait_s) + 1)})


def _name(text: str) -> str:
    name = text.strip()
    wrong = f"{NEW_LISTENERS!r} is taken" if name == NEW_LISTENERS else identifier_problem(name)
    if wrong is None and name.startswith(GUEST):
        wrong = f"begins with {GUEST!r}, which only guests' do"
    if wrong is not None:
        raise Refused(422, f"The name {wrong}.")
    return name
