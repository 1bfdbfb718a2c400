"""Accounts: names with a password, stored as an Argon2id hash (RFC 9106) in the collection `accounts`.

A name without an account is open: on a machine of one's own, a household needs no passwords (`player.open_names`). An
account closes its name to everyone else.

Fields: `_id` = user id, name (see `names`), hash, key, made_at, version (of the code that wrote the document; absent means 1).
Changes set single fields, so fields of a later version are kept; readers give missing ones a default.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from ui.data.mongo import Document, LibraryUnavailable, unavailable_on_error
from ui.data.names import NameTaken

ACCOUNT_VERSION = 1
MIN_PASSWORD_LENGTH = 8
MAX_PASSWORD_LENGTH = 256
MAX_SENT_PASSWORD_LENGTH = 1024
"""A longer password is neither taken from a page nor hashed: no account has one."""
MAX_PARALLEL_HASHES = 2
"""Argon2id takes 64 MiB and a core for each hash, by design."""
MAX_WAITING_HASHES = 8
"""Each holds one of the threads that answer requests."""
KEY_CACHE_S = 10.0
"""Cache account look-ups this long; every request of every page needs one."""
MAX_CACHED_KEYS = 10_000


class TooManyHashes(RuntimeError):
    """Too many passwords are being checked already."""

    def __init__(self) -> None:
        super().__init__("Many others are signing in. Try again in a moment.")


class WrongPassword(PermissionError):
    """The password is not the account's, or there is no such account."""

    def __init__(self) -> None:
        super().__init__("Wrong name or password.")


@dataclass(frozen=True)
class Account:
    """A document of `accounts`. key : random, carried by the account's sessions;  name : "" in earlier versions"""

    user_id: str
    password_hash: str
    key: str
    made_at: datetime | None
    name: str = ""


def account_document(account: Account) -> Document:
    """The account as it is stored."""
    return {
        "_id": account.user_id,
        "name": account.name,
        "hash": account.password_hash,
        "key": account.key,
        "made_at": account.made_at,
        "version": ACCOUNT_VERSION,
    }


def read_account(document: Document) -> Account:
    """The account in a document of any version. An empty hash or key, as where the field is missing, matches nothing."""
    made_at = document.get("made_at")
    return Account(
        user_id=str(document["_id"]),
        password_hash=str(document.get("hash") or ""),
        key=str(document.get("key") or ""),
        made_at=made_at if isinstance(made_at, datetime) else None,
        name=str(document.get("name") or ""),
    )


def password_problem(password: str) -> str | None:
    """What to do where the text cannot be a password; None where it can."""
    if len(password) < MIN_PASSWORD_LENGTH:
        return f"Choose a password of at least {MIN_PASSWORD_LENGTH} characters."
    if len(password) > MAX_PASSWORD_LENGTH:
        return f"Choose a password of at most {MAX_PASSWORD_LENGTH} characters."
    if any("\ud800" <= character <= "\udfff" for character in password):
        return "Choose a password of characters that UTF-8 can encode."  # others cannot be hashed
    return None


@cache
def decoy_hash() -> str:
    """The hash of a random text, verified where there is no account: unknown and existing names take equally long to refuse.

    One for a process, since a hash takes a core for a fifth of a second.
    """
    return PasswordHasher().hash(secrets.token_hex(16))


class Accounts:
    """The accounts of one database.

    Each account has a random key that its sessions carry, so a session of a deleted account, or from before the name had one,
    is not valid.
    """

    def __init__(self, db: Database[Document]) -> None:
        self._db = db
        self._hasher = PasswordHasher()
        self._hashing_slots = threading.BoundedSemaphore(MAX_PARALLEL_HASHES)
        self._waiting_slots = threading.BoundedSemaphore(MAX_PARALLEL_HASHES + MAX_WAITING_HASHES)
        self._decoy_hash = decoy_hash()
        self._key_cache: dict[str, tuple[float, str | None]] = {}

    def create(self, user_id: str, password: str, name: str) -> str:
        """Stores a new account and returns its key. Raises NameTaken, TooManyHashes, LibraryUnavailable."""
        with self._hashing():
            password_hash = self._hasher.hash(password)
        account = Account(user_id, password_hash, secrets.token_urlsafe(12), datetime.now(UTC), name)
        with unavailable_on_error():
            try:
                self._db.accounts.insert_one(account_document(account))
            except DuplicateKeyError as error:
                raise NameTaken("This name already has an account. Sign in with its password.") from error
        self._key_cache.pop(user_id, None)
        return account.key

    def set_password(self, user_id: str, password: str) -> str | None:
        """Changes the account's password and returns its new key, which ends its sessions; None where there is no account.

        Raises TooManyHashes, LibraryUnavailable.
        """
        with self._hashing():
            password_hash = self._hasher.hash(password)
        key = secrets.token_urlsafe(12)
        fields = {"hash": password_hash, "key": key, "version": ACCOUNT_VERSION}
        with unavailable_on_error():
            result = self._db.accounts.update_one({"_id": user_id}, {"$set": fields})
        self._key_cache.pop(user_id, None)
        return key if result.matched_count else None

    def verify(self, user_id: str, password: str) -> str:
        """The account's key, if the password is right. Raises WrongPassword, TooManyHashes, LibraryUnavailable."""
        account = self._find(user_id)
        try:
            with self._hashing():
                self._hasher.verify(account.password_hash if account else self._decoy_hash, password)
        except (Argon2Error, InvalidHashError) as error:
            raise WrongPassword from error
        if account is None:
            raise WrongPassword
        if self._hasher.check_needs_rehash(account.password_hash):
            with unavailable_on_error():
                self._db.accounts.update_one({"_id": user_id}, {"$set": {"hash": self._hasher.hash(password)}})
        return account.key

    def key(self, user_id: str) -> str | None:
        """The key of the name's account, None for a name without one. Raises LibraryUnavailable."""
        account = self._find(user_id)
        return None if account is None else account.key

    def made_at(self, user_id: str) -> datetime | None:
        """When the account was created, None for a name without one. Raises LibraryUnavailable."""
        account = self._find(user_id)
        return None if account is None else account.made_at

    def is_current(self, user_id: str, key: str | None) -> bool:
        """Whether a session of this name with this key is still valid. While MongoDB is away, the last answer holds."""
        now = time.monotonic()
        checked_at, current_key = self._key_cache.get(user_id, (float("-inf"), None))
        if now - checked_at > KEY_CACHE_S:
            try:
                current_key = self.key(user_id)
            except LibraryUnavailable:
                if checked_at == float("-inf"):
                    return True
                # Cached from now on, so that only one request in KEY_CACHE_S waits for MongoDB.
                self._key_cache[user_id] = (time.monotonic(), current_key)
                return current_key == key
            if len(self._key_cache) > MAX_CACHED_KEYS:
                self._key_cache.clear()
            self._key_cache[user_id] = (now, current_key)
        return current_key == key

    def delete(self, user_id: str) -> None:
        """Removes the name's account, if there is one. Raises LibraryUnavailable."""
        with unavailable_on_error():
            self._db.accounts.delete_one({"_id": user_id})
        self._key_cache.pop(user_id, None)

    @contextmanager
    def _hashing(self) -> Iterator[None]:
        if not self._waiting_slots.acquire(blocking=False):
            raise TooManyHashes
        try:
            with self._hashing_slots:
                yield
        finally:
            self._waiting_slots.release()

    def _find(self, user_id: str) -> Account | None:
        with unavailable_on_error():
            document = self._db.accounts.find_one({"_id": user_id})
        return None if document is None else read_account(document)
