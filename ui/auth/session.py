"""The session cookie: who a request belongs to, sign-in, sign-up and sign-out.

The listener is known from the signed cookie alone: a page can say what was done, never who did it. The cookie holds
user_id, session_id, since (when it began, seconds since 1970) and, for an account, its key.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from starlette.requests import Request

from batch.mongo import NEW_LISTENERS
from streaming.events import identifier_problem
from ui.auth.accounts import MAX_SENT_PASSWORD_LENGTH, Accounts, NameTaken, WrongPassword, password_problem
from ui.auth.policy import AccessPolicy
from ui.auth.revocations import Revocations
from ui.auth.throttle import Throttle, TooManyAttempts
from ui.responses import Refused

GUEST_PREFIX = "guest-"
"""Ids of guests begin with it, and no listener can choose such a name."""
MAX_FAILURES_PER_ADDRESS_AND_NAME = 5
MAX_FAILURES_PER_NAME = 50
MAX_SIGN_UPS_PER_ADDRESS = 20


@dataclass(frozen=True)
class Sessions:
    """Reads and writes the session of a request.

    has_data : whether anything is stored under a user id, so that a name in use cannot be taken over by signing up
    failures_by_address, failures_by_name : failed sign-ins for a name from one address, and from anywhere
    sign_ups_by_address : new accounts from one address
    """

    policy: AccessPolicy
    accounts: Accounts
    revocations: Revocations
    has_data: Callable[[str], bool]
    failures_by_address: Throttle = field(default_factory=lambda: Throttle(MAX_FAILURES_PER_ADDRESS_AND_NAME))
    failures_by_name: Throttle = field(default_factory=lambda: Throttle(MAX_FAILURES_PER_NAME))
    sign_ups_by_address: Throttle = field(default_factory=lambda: Throttle(MAX_SIGN_UPS_PER_ADDRESS))

    def listener(self, request: Request) -> str | None:
        """The listener's id, None without a valid session. Checks the session cookie, and clears one that is not valid."""
        user_id = request.session.get("user_id")
        if not isinstance(user_id, str):
            return None
        if self._is_valid(user_id, request.session):
            return user_id
        request.session.clear()
        return None

    def _is_valid(self, user_id: str, session: dict[str, Any]) -> bool:
        """Re-validates the session against settings, accounts and revocations."""
        key, session_id, started_at = session.get("key"), session.get("session_id"), session.get("since")
        if not isinstance(session_id, str) or not isinstance(started_at, (int, float)):
            return False
        if is_guest(user_id):
            is_allowed = self.policy.player.guests
        else:
            is_allowed = (key is not None or self.policy.open_names) and self.accounts.is_current(user_id, key)
        return is_allowed and not self.revocations.is_revoked(user_id, session_id, started_at)

    def describe(self, request: Request) -> dict[str, Any]:
        """The listener of the session, and the ways to sign in that the player offers."""
        user_id = self.listener(request)
        return {
            "user_id": user_id,
            "is_guest": user_id is not None and is_guest(user_id),
            "has_account": request.session.get("key") is not None,
            "sign_up": self.policy.player.sign_up,
            "open_names": self.policy.open_names,
            "guests": self.policy.player.guests,
            "operator": self.policy.is_operator(user_id),
        }

    def enter_as_guest(self, request: Request) -> None:
        """Starts a session under a new random id, which only this browser has. Raises Refused."""
        if not self.policy.player.guests:
            raise Refused(403, "This player does not allow guests. Sign in with an account.")
        _start(request, GUEST_PREFIX + secrets.token_hex(8), None)

    def sign_in(self, request: Request, name: str, password: str) -> None:
        """Starts a session of a name, without a password only where the name is open. Raises Refused, LibraryUnavailable."""
        user_id = _user_id(name)
        if password:
            _start(request, user_id, self.check_password(request, user_id, password))
            return
        if not self.policy.open_names:
            raise Refused(401, "This player requires an account. Enter its password.")
        if self.accounts.key(user_id) is not None:
            raise Refused(401, "This name has an account. Enter its password.")
        _start(request, user_id, None)

    def check_password(self, request: Request, user_id: str, password: str) -> str:
        """The account's key, if the password is right; failures are throttled. Raises Refused, LibraryUnavailable."""
        address_and_name = f"{_address(request)} {user_id}"
        try:
            self.failures_by_address.check(address_and_name)
            self.failures_by_name.check(user_id)
            return self.accounts.verify(user_id, password[:MAX_SENT_PASSWORD_LENGTH])
        except TooManyAttempts as error:
            raise _too_many(error) from error
        except WrongPassword as error:
            self.failures_by_address.record(address_and_name)
            self.failures_by_name.record(user_id)
            raise Refused(401, str(error)) from error

    def sign_up(self, request: Request, name: str, password: str) -> None:
        """Creates an account and starts its session. Raises Refused, LibraryUnavailable."""
        if not self.policy.player.sign_up:
            raise Refused(403, "Sign-up is turned off on this player.")
        user_id = _user_id(name)
        if (problem := password_problem(password)) is not None:
            raise Refused(422, f"The password {problem}.")
        if not self.policy.is_local and user_id in self.policy.player.operators:
            raise Refused(
                403,
                "This name is reserved for an operator. Create its account while the player serves this machine only.",
            )
        address = _address(request)
        try:
            self.sign_ups_by_address.check(address)
        except TooManyAttempts as error:
            raise _too_many(error) from error
        self.sign_ups_by_address.record(address)
        is_own_name = self.listener(request) == user_id
        if not (self.policy.open_names or is_own_name) and self.has_data(user_id):
            raise Refused(409, "This name is already in use. Choose another.")
        try:
            key = self.accounts.create(user_id, password)
        except NameTaken as error:
            raise Refused(409, str(error)) from error
        _start(request, user_id, key)

    def sign_out(self, request: Request) -> None:
        """Sign out: revoke the session, clear the cookie. Copies of the cookie are refused from now on."""
        if isinstance(session_id := request.session.get("session_id"), str):
            self.revocations.revoke(session_id)
        request.session.clear()

    def renew(self, request: Request) -> None:
        """Starts a new session of the same listener."""
        _start(request, request.session["user_id"], request.session.get("key"))


def is_guest(user_id: str) -> bool:
    return user_id.startswith(GUEST_PREFIX)


def _start(request: Request, user_id: str, key: str | None) -> None:
    session = {"user_id": user_id, "session_id": str(uuid4()), "since": time.time()}
    request.session.clear()
    request.session.update(session | ({"key": key} if key else {}))


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _too_many(error: TooManyAttempts) -> Refused:
    return Refused(429, str(error), {"Retry-After": str(int(error.wait_s) + 1)})


def _user_id(name: str) -> str:
    """The name as a user id, without outer blanks. Raises Refused."""
    user_id = name.strip()
    problem = f"{NEW_LISTENERS!r} is reserved" if user_id == NEW_LISTENERS else identifier_problem(user_id)
    if problem is None and is_guest(user_id):
        problem = f"begins with {GUEST_PREFIX!r}, which is reserved for guests"
    if problem is not None:
        raise Refused(422, f"The name {problem}.")
    return user_id
