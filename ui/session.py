"""Who is listening: known from the signed session cookie alone, and only while the name's account says so too.

A page can say what was done, never who did it.
"""

from __future__ import annotations

import secrets
from typing import Any
from uuid import uuid4

from fastapi import Request
from fastapi.responses import JSONResponse

from batch.mongo import EVERYONE
from streaming.events import why_no_identifier
from ui.accounts import NameTaken, TooManyTries, WrongPassword, why_no_password
from ui.parts import Parts

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
    if user_id.startswith(GUEST) or parts.accounts.is_current(user_id, request.session.get("key")):
        return user_id
    request.session.clear()
    return None


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
    """Listens under a name: with its account's password, or without where the name is open. Raises Refused, LibraryAway."""
    user_id = _name(name)
    if not password:
        if not parts.open_names or parts.accounts.key(user_id) is not None:
            why = "This name has an account." if parts.open_names else "This player needs an account."
            raise Refused(401, f"{why} Enter its password.")
        _enter(request, user_id, None)
        return
    place = f"{request.client.host if request.client else ''} {user_id}"
    try:
        parts.tries.check(place)
        parts.tries_of_name.check(user_id)
        key = parts.accounts.enter(user_id, password[:1024])
    except TooManyTries as error:
        raise Refused(429, str(error), {"Retry-After": str(int(error.wait_s) + 1)}) from error
    except WrongPassword as error:
        parts.tries.fail(place)
        parts.tries_of_name.fail(user_id)
        raise Refused(401, str(error)) from error
    _enter(request, user_id, key)


def sign_up(request: Request, parts: Parts, name: str, password: str) -> None:
    """Makes an account and listens under it. Raises Refused, LibraryAway."""
    if not parts.player.sign_up:
        raise Refused(403, "This player makes no new accounts.")
    user_id = _name(name)
    if (wrong := why_no_password(password)) is not None:
        raise Refused(422, f"The password {wrong}.")
    place = f"sign-up {request.client.host if request.client else ''}"
    try:
        parts.tries_of_name.check(place)
    except TooManyTries as error:
        raise Refused(429, str(error), {"Retry-After": str(int(error.wait_s) + 1)}) from error
    parts.tries_of_name.fail(place)
    is_own = listener(request, parts) == user_id
    if not (parts.open_names or is_own) and parts.mine.is_anyone(user_id):
        raise Refused(409, "Somebody listens under this name already. Choose another.")
    try:
        key = parts.accounts.make(user_id, password)
    except NameTaken as error:
        raise Refused(409, str(error)) from error
    _enter(request, user_id, key)


def leave(request: Request) -> None:
    request.session.clear()


def _enter(request: Request, user_id: str, key: str | None) -> None:
    request.session.clear()
    request.session.update(user_id=user_id, session_id=str(uuid4()), **({"key": key} if key else {}))


def _name(text: str) -> str:
    name = text.strip()
    wrong = f"{EVERYONE!r} is taken" if name == EVERYONE else why_no_identifier(name)
    if wrong is None and name.startswith(GUEST):
        wrong = f"begins with {GUEST!r}, which only guests' do"
    if wrong is not None:
        raise Refused(422, f"The name {wrong}.")
    return name
