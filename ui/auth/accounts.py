"""Accounts: who may listen under a name. Passwords are kept as Argon2id hashes (RFC 9106) in the collection `accounts`.

A name without an account is open: on a machine of one's own, a household needs no passwords (`player.open_names`). An
account closes its name to everyone else.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

from ui.data.library import Document, LibraryUnavailable

SHORTEST = 8
LONGEST = 256
TRIES = 5
PER_S = 60.0
HASHED_AT_ONCE = 2
"""A hash takes 64 MiB and a core: that is its purpose, and why not everybody's is computed at the same time."""
BELIEVED_S = 10.0
"""So long an answer about a session's account holds; every request of every page asks."""


class NameTaken(ValueError):
    """There is an account of this name."""


class WrongPassword(PermissionError):
    """Name and password do not belong together."""


class TooManyTries(PermissionError):
    """wait_s : seconds until the next try"""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"Too many tries. Wait {wait_s:.0f} seconds and try again.")
        self.wait_s = wait_s


def why_no_password(password: str) -> str | None:
    """What keeps a text from being a password; None if nothing does."""
    if not SHORTEST <= len(password) <= LONGEST:
        return f"has {len(password)} characters, expected {SHORTEST} to {LONGEST}"
    return None


class Tries:
    """At most so many failures in PER_S seconds for each key. Success clears nothing: it must not reset a guesser's count."""

    MAX_KEYS = 10_000

    def __init__(self, most: int = TRIES, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._failed: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def check(self, key: str) -> None:
        """Raises TooManyTries where the key has used its tries."""
        now = self._clock()
        with self._lock:
            failed = self._failed.get(key, deque())
            while failed and failed[0] <= now - PER_S:
                failed.popleft()
            if len(failed) >= self._most:
                raise TooManyTries(failed[0] + PER_S - now)

    def fail(self, key: str) -> None:
        now = self._clock()
        with self._lock:
            if len(self._failed) > self.MAX_KEYS:
                self._failed = {key: times for key, times in self._failed.items() if times and times[-1] > now - PER_S}
            self._failed.setdefault(key, deque(maxlen=self._most)).append(now)


class Accounts:
    """Each account has a random key, which its sessions carry: a session of a deleted account, or from before the name was
    closed, is nobody's.
    """

    def __init__(self, db: Database[Document]) -> None:
        self._db = db
        self._hasher = PasswordHasher()
        self._room = threading.BoundedSemaphore(HASHED_AT_ONCE)
        # Checked where there is no account, so that a name that exists takes as long to refuse as one that does not.
        self._nobodys = self._hasher.hash(secrets.token_hex(16))
        self._believed: dict[str, tuple[float, str | None]] = {}

    def make(self, user_id: str, password: str) -> str:
        """The new account's key. Raises NameTaken."""
        key = secrets.token_urlsafe(12)
        with self._room:
            hashed = self._hasher.hash(password)
        document = {"_id": user_id, "hash": hashed, "key": key, "made_at": datetime.now(UTC)}
        try:
            with self._answers():
                self._db.accounts.insert_one(document)
        except DuplicateKeyError as error:
            raise NameTaken("There is an account of this name. Sign in with its password.") from error
        self._believed.pop(user_id, None)
        return key

    def verify(self, user_id: str, password: str) -> str:
        """The key of the account, where the password is its own. Raises WrongPassword."""
        with self._answers():
            found = self._db.accounts.find_one({"_id": user_id})
        try:
            with self._room:
                self._hasher.verify(found["hash"] if found else self._nobodys, password)
        except (Argon2Error, InvalidHashError) as error:
            raise WrongPassword("Name and password do not belong together.") from error
        if found is None:
            raise WrongPassword("Name and password do not belong together.")
        if self._hasher.check_needs_rehash(found["hash"]):
            with self._answers():
                self._db.accounts.update_one({"_id": user_id}, {"$set": {"hash": self._hasher.hash(password)}})
        return str(found["key"])

    def key(self, user_id: str) -> str | None:
        """The key of the name's account; None where the name is open."""
        with self._answers():
            found = self._db.accounts.find_one({"_id": user_id}, {"key": 1})
        return None if found is None else str(found["key"])

    def made_at(self, user_id: str) -> datetime | None:
        with self._answers():
            found = self._db.accounts.find_one({"_id": user_id}, {"made_at": 1})
        return None if found is None else found["made_at"]

    def is_current(self, user_id: str, key: str | None) -> bool:
        """Whether a session of this name with this key may go on. While MongoDB is away, it may."""
        now = time.monotonic()
        at, known = self._believed.get(user_id, (float("-inf"), None))
        if now - at > BELIEVED_S:
            try:
                known = self.key(user_id)
            except LibraryUnavailable:
                if at == float("-inf"):
                    return True
                # From now on, so that not every request waits for who is away.
                self._believed[user_id] = (time.monotonic(), known)
                return known == key
            if len(self._believed) > 10_000:
                self._believed.clear()
            self._believed[user_id] = (now, known)
        return known == key

    def drop(self, user_id: str) -> None:
        with self._answers():
            self._db.accounts.delete_one({"_id": user_id})
        self._believed.pop(user_id, None)

    @contextmanager
    def _answers(self) -> Iterator[None]:
        try:
            yield
        except DuplicateKeyError:
            raise
        except PyMongoError as error:
            raise LibraryUnavailable(f"MongoDB does not answer ({type(error).__name__})") from error
