"""Sign-in attempts counted by the test's own clock, and the stored documents of accounts and ended sessions."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bson import json_util
from pymongo.errors import AutoReconnect

from conf.settings import SettingsError, settings
from ui.auth.accounts import (
    Account,
    Accounts,
    NameTaken,
    WrongPassword,
    account_document,
    password_problem,
    read_account,
)
from ui.auth.revocations import MAX_SESSION_AGE_S, Revocations
from ui.auth.throttle import WINDOW_S, Throttle, TooManyAttempts
from ui.data.mongo import LibraryUnavailable

ACCOUNT_V1 = Path(__file__).parents[1] / "data" / "account-v1.json"
"""An account as version 1 stored it, before documents had a field `version`; its password is PASSWORD."""
PASSWORD = "a long enough one"


class Collection:
    """The part of a MongoDB collection that is used, over a dict."""

    def __init__(self, *documents: dict[str, Any]) -> None:
        self.documents = {document["_id"]: dict(document) for document in documents}
        self.is_away = False

    def find_one(self, query: dict[str, Any], projection: Any = None) -> dict[str, Any] | None:
        if self.is_away:
            raise AutoReconnect("no server")
        return self.documents.get(query["_id"])

    def update_one(self, query: dict[str, Any], update: dict[str, Any], upsert: bool = False) -> None:
        if self.is_away:
            raise AutoReconnect("no server")
        self.documents.setdefault(query["_id"], {"_id": query["_id"]}).update(update["$set"])

    def create_index(self, *_: Any, **__: Any) -> None: ...


class Database:
    def __init__(self, *accounts: dict[str, Any]) -> None:
        self.accounts = Collection(*accounts)
        self.sessions = Collection()
        self.deletions = Collection()

    def __getitem__(self, name: str) -> Collection:
        collection: Collection = getattr(self, name)
        return collection


def test_attempts_are_counted_by_key_and_expire() -> None:
    now = [0.0]
    throttle = Throttle(max_attempts=3, clock=lambda: now[0])
    for second in range(3):
        now[0] = second
        throttle.check("ana")
        throttle.record("ana")
    with pytest.raises(TooManyAttempts) as refused:
        throttle.check("ana")
    assert refused.value.wait_s == WINDOW_S - 2
    throttle.check("bob")
    now[0] = WINDOW_S  # the first failure is a minute old
    throttle.check("ana")
    throttle.record("ana")
    with pytest.raises(TooManyAttempts):
        throttle.check("ana")


def test_a_window_has_its_own_length_and_what_is_refused_does_not_prolong_it() -> None:
    now = [0.0]
    throttle = Throttle(max_attempts=2, clock=lambda: now[0], window_s=600)
    assert [throttle.allows("ana") for _ in range(4)] == [True, True, False, False]
    now[0] = 599
    assert not throttle.allows("ana") and throttle.allows("bob")
    now[0] = 600
    assert throttle.allows("ana")


def test_many_keys_take_no_more_memory_than_a_minute_of_them() -> None:
    now = [0.0]
    throttle = Throttle(max_attempts=5, clock=lambda: now[0])
    throttle.MAX_KEYS = 10  # type: ignore[misc]
    for number in range(50):
        now[0] = number * WINDOW_S
        throttle.record(str(number))
    assert len(throttle._attempts) <= 12


@pytest.mark.parametrize(
    ("password", "is_refused"), [("short", True), ("long enough", False), ("x" * 257, True), ("ä" * 8, False)]
)
def test_a_password_has_a_length(password: str, is_refused: bool) -> None:
    assert (password_problem(password) is not None) is is_refused


@pytest.mark.parametrize("proxy", ["everybody", "*", "10.0.0.300"])
def test_a_proxy_is_named_by_its_address(proxy: str) -> None:
    with pytest.raises(SettingsError, match="trusted_proxies"):
        settings(player={**dict(settings().player), "trusted_proxies": (proxy,)})


def test_an_account_of_version_1_can_still_sign_in() -> None:
    document = json_util.loads(ACCOUNT_V1.read_text())
    accounts = Accounts(Database(document))  # type: ignore[arg-type]
    assert accounts.verify("ana", PASSWORD) == accounts.key("ana") == document["key"]
    assert accounts.made_at("ana") == document["made_at"]
    with pytest.raises(WrongPassword):
        accounts.verify("ana", "another one")


def test_an_account_is_read_back_as_it_was_written() -> None:
    account = Account("ana", "$argon2id$", "key", datetime(2026, 11, 23, tzinfo=UTC))
    document = account_document(account)
    assert document.keys() == {"_id", "hash", "key", "made_at", "version"}
    assert read_account(document | {"of_a_later_version": 1}) == account


def test_an_account_without_hash_or_key_opens_for_nobody() -> None:
    assert read_account({"_id": "ana"}) == Account("ana", "", "", None)
    accounts = Accounts(Database({"_id": "ana"}))  # type: ignore[arg-type]
    with pytest.raises(WrongPassword):
        accounts.verify("ana", "")
    assert not accounts.is_current("ana", None)


def test_only_a_duplicate_name_is_called_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    from pymongo.errors import DuplicateKeyError

    database = Database()
    accounts = Accounts(database)  # type: ignore[arg-type]
    for error, expected in ((DuplicateKeyError("ana"), NameTaken), (AutoReconnect("no server"), LibraryUnavailable)):

        def fail(_: Any, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(database.accounts, "insert_one", fail, raising=False)
        with pytest.raises(expected):
            accounts.create("ana", PASSWORD)


def test_a_session_ends_when_it_is_signed_out_too_old_or_deleted() -> None:
    database = Database()
    now = time.time()

    def is_revoked(session_id: str, started_at: float) -> bool:
        """Without the cache of an earlier look-up, as another player over the same database sees it."""
        return Revocations(database).is_revoked("ana", session_id, started_at)  # type: ignore[arg-type]

    assert not is_revoked("1", now) and is_revoked("1", now - MAX_SESSION_AGE_S - 1)
    Revocations(database).revoke("1")  # type: ignore[arg-type]
    assert database.sessions.documents["1"].keys() == {"_id", "ended_at", "version"}
    assert is_revoked("1", now) and not is_revoked("2", now)
    database.sessions.documents["2"] = {"_id": "2"}  # no field but the id
    assert is_revoked("2", now)
    Revocations(database).revoke_all("ana")  # type: ignore[arg-type]
    assert is_revoked("3", now) and not is_revoked("3", time.time() + 1)
    database.deletions.documents["ana"] = {"_id": "ana"}  # without a time
    assert not is_revoked("3", now)


def test_a_session_keeps_its_state_while_mongodb_is_away() -> None:
    database = Database()
    revocations = Revocations(database)  # type: ignore[arg-type]
    database.sessions.is_away = True
    assert not revocations.is_revoked("ana", "1", time.time())
    revocations.revoke("1")
    assert revocations.is_revoked("ana", "1", time.time())
