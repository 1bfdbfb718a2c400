"""The session cookie: who a request belongs to, sign-in, sign-up and sign-out.

The listener is known from the signed cookie alone: a page can say what was done, never who did it. The cookie holds
user_id, name, session_id, since (when it began, seconds since 1970), renewed_at, for an account its key, and brought_from.
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
from ui.auth.accounts import MAX_SENT_PASSWORD_LENGTH, Accounts, WrongPassword, password_problem
from ui.auth.places import place_of
from ui.auth.policy import AccessPolicy
from ui.auth.revocations import Revocations
from ui.auth.throttle import Throttle, TooManyAttempts, too_many
from ui.data.names import NAME_IN_USE, Listener, Names, NameTaken, visible_name
from ui.responses import Refused

GUEST_NAME = "Guest"
"""How pages show a guest, whose id says nothing."""
GUEST_PREFIX = "guest-"
"""Ids of guests begin with it, and no listener can choose such a name."""
BROUGHT_FROM = "brought_from"
"""In the session of a name: the id of the guest who has chosen it, as whom a page may still have events to send."""
MAX_FAILURES_PER_PLACE = 30
MAX_FAILURES_PER_PLACE_AND_NAME = 5
MAX_FAILURES_PER_NAME = 50
MAX_SIGN_UPS_PER_PLACE = 20
MAX_SESSION_AGE_S = 180 * 24 * 3600
"""Maximum age of a session, but for guests, who could not come back."""
OPEN_NAME_IN_USE = (
    "This name is already used here, without a password. Choose another, or listen under it first and then add a password."
)
RENEWAL_S = 24 * 3600
"""The cookie of a session in use is set anew so often; unused, it ends after app.COOKIE_LIFETIME_S."""


@dataclass(frozen=True)
class Sessions:
    """Reads and writes the session of a request.

    has_data : whether anything is stored under a user id
    failures_by_place, failures_by_place_and_name, failures_by_name : wrong passwords from one place, for a name from one
        place, and for a name from anywhere
    sign_ups_by_place : new accounts from one place
    """

    policy: AccessPolicy
    accounts: Accounts
    names: Names
    revocations: Revocations
    has_data: Callable[[str], bool]
    failures_by_place: Throttle = field(default_factory=lambda: Throttle(MAX_FAILURES_PER_PLACE))
    failures_by_place_and_name: Throttle = field(default_factory=lambda: Throttle(MAX_FAILURES_PER_PLACE_AND_NAME))
    failures_by_name: Throttle = field(default_factory=lambda: Throttle(MAX_FAILURES_PER_NAME))
    sign_ups_by_place: Throttle = field(default_factory=lambda: Throttle(MAX_SIGN_UPS_PER_PLACE))

    def listener(self, request: Request) -> str | None:
        """The listener's id, None without a valid session.

        The cookie of one that is not valid stays: the answer may be late, and take the cookie of the next session away.
        """
        user_id = request.session.get("user_id")
        if not isinstance(user_id, str):
            return None
        return user_id if self._is_valid(user_id, request.session) else None

    def _is_valid(self, user_id: str, session: dict[str, Any]) -> bool:
        """Re-validates the session against settings, accounts and revocations."""
        key, session_id, started_at = session.get("key"), session.get("session_id"), session.get("since")
        if not isinstance(session_id, str) or not isinstance(started_at, (int, float)):
            return False
        if unnamed_guest(session) is not None:
            is_allowed = self.policy.player.guests
        elif time.time() - started_at > MAX_SESSION_AGE_S:
            return False
        else:
            is_allowed = key is not None or self.policy.open_names
        return (
            is_allowed
            and self.accounts.is_current(user_id, key)
            and not self.revocations.is_revoked(user_id, session_id, started_at)
        )

    def name(self, request: Request) -> str | None:
        """The listener's name as the page shows it, None without a valid session."""
        user_id = self.listener(request)
        return None if user_id is None else str(request.session.get("name") or user_id)

    def is_guest(self, request: Request) -> bool:
        """Whether the session is a guest's; one who has chosen a name is none."""
        return self.listener(request) is not None and unnamed_guest(request.session) is not None

    def guest_with_data(self, request: Request) -> str | None:
        """The id of the guest who is listening, if anything is stored of them."""
        user_id = self.listener(request)
        return user_id if user_id is not None and self.is_guest(request) and self.has_data(user_id) else None

    def describe(self, request: Request) -> dict[str, Any]:
        """The listener of the session, and the ways to sign in that the player offers. A session in use is renewed daily.

        Pages ask for it when they are opened, and some times a day.
        """
        user_id = self.listener(request)
        if user_id is not None:
            renewed_at = request.session.get("renewed_at", request.session["since"])
            if time.time() - renewed_at > RENEWAL_S:
                request.session["renewed_at"] = time.time()  # a changed session is sent again, signed as of now
        return {
            "user_id": user_id,
            "name": GUEST_NAME if self.is_guest(request) else self.name(request),
            "is_guest": self.is_guest(request),
            "brought_from": request.session.get(BROUGHT_FROM) if user_id is not None else None,
            "has_account": user_id is not None and request.session.get("key") is not None,
            "sign_up": self.policy.player.sign_up,
            "open_names": self.policy.open_names,
            "guests": self.policy.player.guests,
            "operator": self.policy.is_operator(self.name(request)),
        }

    def enter_as_guest(self, request: Request, only_if_nobody: bool = False) -> None:
        """Starts a session under a new random id, which only this browser has. Raises Refused.

        only_if_nobody : a session that there is stays: a page may not know yet that another tab has begun one
        """
        if only_if_nobody and self.listener(request) is not None:
            return
        if not self.policy.player.guests:
            raise Refused(403, "This player does not allow guests. Sign in with an account.")
        user_id = GUEST_PREFIX + secrets.token_hex(8)
        _start(request, Listener(user_id, user_id), None)

    def sign_in(self, request: Request, name: str, password: str, guest_id: str | None = None) -> None:
        """Starts a session of a name, without a password only where the name is open. Raises Refused, LibraryUnavailable.

        guest_id : of a guest who chooses the name and keeps their id under it, where nobody has it
        """
        name = _checked_name(name)
        if password:
            listener = self.names.find(name) or Listener(name, name)
            _start(request, listener, self.check_password(request, listener.user_id, password))
            return
        if not self.policy.open_names:
            raise Refused(401, "This player requires an account. Enter its password.")
        listener_of_name = self.names.find_with_data(name)
        if listener_of_name is not None and self.accounts.key(listener_of_name.user_id) is not None:
            raise Refused(401, "This name has an account. Enter its password.")
        chosen = Listener(guest_id, visible_name(name)) if guest_id else new_listener(name)
        registered = self.names.register(listener_of_name or chosen)
        _start(request, listener_of_name or registered, None)

    def check_password(self, request: Request, user_id: str, password: str) -> str:
        """The account's key, if the password is right. Attempts are limited before anything is hashed.

        Raises Refused, TooManyHashes, LibraryUnavailable.
        """
        place = place_of(request)
        limits = (
            (self.failures_by_place, place),
            (self.failures_by_place_and_name, f"{place} {user_id}"),
            (self.failures_by_name, user_id),
        )
        counted = []
        is_failure = False
        try:
            for throttle, key in limits:
                throttle.take(key)
                counted.append((throttle, key))
            return self.accounts.verify(user_id, password[:MAX_SENT_PASSWORD_LENGTH])
        except TooManyAttempts as error:
            raise too_many(error) from error
        except WrongPassword as error:
            is_failure = True
            raise Refused(401, str(error)) from error
        finally:
            if not is_failure:
                for throttle, key in counted:
                    throttle.give_back(key)

    def sign_up(self, request: Request, name: str, password: str) -> None:
        """Creates an account and starts its session; a guest keeps their history. Raises Refused, LibraryUnavailable.

        The history of an open name stays with the name: only who listens under it can give it a password.
        """
        if not self.policy.player.sign_up:
            raise Refused(403, "Sign-up is turned off on this player.")
        name = _checked_name(name)
        if (problem := password_problem(password)) is not None:
            raise Refused(422, problem)
        if self.policy.is_reserved(name):
            raise Refused(
                403,
                "This name is reserved for an operator. Create its account while the player serves this machine only.",
            )
        try:
            self.sign_ups_by_place.take(place_of(request))
        except TooManyAttempts as error:
            raise too_many(error) from error
        registered = self.names.find(name)
        if registered is not None and self.accounts.key(registered.user_id) is not None:
            raise Refused(409, "This name already has an account. Sign in with its password.")
        current, owner = self.listener(request), self.names.find_with_data(name)
        try:
            if current is not None and self.is_guest(request) and self.has_data(current):
                listener, key = self._sign_up_guest(Listener(current, visible_name(name)), owner, password)
            else:
                registered = self.names.register(owner or new_listener(name))
                listener = owner or registered
                if current != listener.user_id and self.has_data(listener.user_id):
                    raise NameTaken(OPEN_NAME_IN_USE if self.policy.open_names else NAME_IN_USE)
                key = self.accounts.create(listener.user_id, password, listener.name)
        except NameTaken as error:
            raise Refused(409, str(error)) from error
        _start(request, listener, key)

    def _sign_up_guest(self, guest: Listener, owner: Listener | None, password: str) -> tuple[Listener, str]:
        """The guest under the name that they have chosen, with their history, and the account's key. Raises NameTaken.

        owner : whose the name is
        """
        if owner is not None:
            raise NameTaken(OPEN_NAME_IN_USE if self.policy.open_names else NAME_IN_USE)
        self.names.claim(guest)
        try:
            return guest, self.accounts.create(guest.user_id, password, guest.name)
        except BaseException:
            self.names.delete(guest.user_id)  # so that the guest can try again
            raise

    def change_password(self, request: Request, password: str, new_password: str) -> None:
        """Changes the password of the listener's account, which ends its other sessions. Raises Refused, LibraryUnavailable."""
        user_id, name = self.listener(request), self.name(request)
        if user_id is None or name is None or request.session.get("key") is None:
            raise Refused(409, "Only an account has a password. Create one first.")
        self.check_password(request, user_id, password)
        if (problem := password_problem(new_password)) is not None:
            raise Refused(422, problem)
        _start(request, Listener(user_id, name), self.accounts.set_password(user_id, new_password))

    def sign_out(self, request: Request) -> None:
        """Sign out: revoke the session, clear the cookie. Copies of the cookie are refused from now on."""
        if isinstance(session_id := request.session.get("session_id"), str):
            self.revocations.revoke(session_id)
        request.session.clear()

    def renew(self, request: Request) -> None:
        """Starts a new session of the same listener."""
        user_id = request.session["user_id"]
        listener = Listener(user_id, request.session.get("name") or user_id)
        _start(request, listener, request.session.get("key"))


def is_guest(user_id: str) -> bool:
    return user_id.startswith(GUEST_PREFIX)


def new_listener(name: str) -> Listener:
    """A listener whose user id is the name."""
    return Listener(visible_name(name), visible_name(name))


def unnamed_guest(session: dict[str, Any]) -> str | None:
    """The id of the guest whose session this is, valid or not; None where it is no guest's, or one's who has a name."""
    user_id = str(session.get("user_id"))
    is_unnamed = is_guest(user_id) and session.get("key") is None and session.get("name") in (None, user_id)
    return user_id if is_unnamed else None


def _start(request: Request, listener: Listener, key: str | None) -> None:
    session = {
        "user_id": listener.user_id,
        "name": listener.name,
        "session_id": str(uuid4()),
        "since": time.time(),
    }
    request.session.clear()
    request.session.update(session | ({"key": key} if key else {}))


def _checked_name(name: str) -> str:
    """The name without outer blanks. Raises Refused where it cannot be that of a new listener."""
    name = name.strip()
    shown = visible_name(name)
    problem = (
        f"{NEW_LISTENERS!r} is reserved"
        if shown == NEW_LISTENERS
        else identifier_problem(name) or identifier_problem(shown)
    )
    if problem is None and is_guest(shown.casefold()):
        problem = f"begins with {GUEST_PREFIX!r}, which is reserved for guests"
    if problem is not None:
        raise Refused(422, f"The name {problem}.")
    return name
