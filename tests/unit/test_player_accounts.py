"""Sign-in attempts counted by the test's own clock, and the stored documents of accounts and ended sessions."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from argon2.exceptions import VerifyMismatchError
from bson import json_util
from pymongo.errors import AutoReconnect, DuplicateKeyError
from starlette.middleware.sessions import Session
from starlette.requests import Request

from conf.settings import SettingsError, settings
from ui.accounts import reset
from ui.auth.accounts import (
    MAX_PARALLEL_HASHES,
    MAX_WAITING_HASHES,
    Account,
    Accounts,
    TooManyHashes,
    WrongPassword,
    account_document,
    password_problem,
    read_account,
)
from ui.auth.places import place_of
from ui.auth.policy import AccessPolicy
from ui.auth.revocations import Revocations
from ui.auth.session import Sessions
from ui.auth.throttle import WINDOW_S, Throttle, TooManyAttempts
from ui.data.mongo import LibraryUnavailable
from ui.data.names import Listener, Names, NameTaken, name_key, read_name, visible_name

ACCOUNT_V1 = Path(__file__).parents[1] / "data" / "account-v1.json"
"""An account as version 1 stored it, before documents had a field `version`; its password is PASSWORD."""
PASSWORD = "a long enough one"


class Collection:
    """The part of a MongoDB collection that is used, over a dict."""

    def __init__(self, *documents: dict[str, Any]) -> None:
        self.documents = {document["_id"]: dict(document) for document in documents}
        self.is_away = False

    def _check(self) -> None:
        if self.is_away:
            raise AutoReconnect("no server")

    def find_one(self, query: dict[str, Any], projection: Any = None) -> dict[str, Any] | None:
        self._check()
        return self.documents.get(query["_id"])

    def find(self, query: dict[str, Any], projection: Any = None) -> list[dict[str, Any]]:
        self._check()
        ((name, condition),) = query.items()
        return [each for each in self.documents.values() if (name in each) is condition["$exists"]]

    def insert_one(self, document: dict[str, Any]) -> None:
        self._check()
        if document["_id"] in self.documents:
            raise DuplicateKeyError("E11000")
        self.documents[document["_id"]] = dict(document)

    def update_one(self, query: dict[str, Any], update: dict[str, Any], upsert: bool = False) -> Any:
        self._check()
        is_present = query["_id"] in self.documents
        if is_present or upsert:
            document = self.documents.setdefault(query["_id"], {"_id": query["_id"]})
            document.update(update.get("$set", {}) | ({} if is_present else update.get("$setOnInsert", {})))
        return type("Result", (), {"matched_count": int(is_present)})

    def delete_many(self, query: dict[str, Any]) -> None:
        ((name, value),) = query.items()
        self.documents = {key: each for key, each in self.documents.items() if each.get(name) != value}

    def create_index(self, *_: Any, **__: Any) -> None: ...


class Database:
    def __init__(self, *accounts: dict[str, Any]) -> None:
        self.accounts = Collection(*accounts)
        self.names = Collection()
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
        throttle.take("ana")
    with pytest.raises(TooManyAttempts) as refused:
        throttle.take("ana")
    assert refused.value.wait_s == WINDOW_S - 2
    throttle.take("bob")
    now[0] = WINDOW_S  # the first failure is a minute old
    throttle.take("ana")
    with pytest.raises(TooManyAttempts):
        throttle.take("ana")
    throttle.give_back("ana")
    throttle.take("ana")
    throttle.give_back("nobody")


def test_attempts_at_once_are_counted_before_they_are_tried() -> None:
    throttle = Throttle(max_attempts=5)
    with ThreadPoolExecutor(16) as attackers:
        allowed = list(attackers.map(lambda _: throttle.allows("ana"), range(100)))
    assert sum(allowed) == 5


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
        throttle.take(str(number))
    assert len(throttle._attempts) <= 12


@pytest.mark.parametrize(
    ("password", "is_refused"),
    [("short", True), ("long enough", False), ("x" * 257, True), ("ä" * 8, False), ("not UTF-8 \udcff", True)],
)
def test_a_password_has_a_length_and_is_text(password: str, is_refused: bool) -> None:
    assert (password_problem(password) is not None) is is_refused


def test_a_name_that_is_no_text_has_no_password_to_reset(capsys: pytest.CaptureFixture[str]) -> None:
    assert reset(settings(), "ana\udcff", "long enough") == 2
    assert capsys.readouterr().err == "accounts: the name holds control characters\n"


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
    account = Account("ana", "$argon2id$", "key", datetime(2026, 11, 23, tzinfo=UTC), "Ana")
    document = account_document(account)
    assert document.keys() == {"_id", "name", "hash", "key", "made_at", "version"}
    assert read_account(document | {"of_a_later_version": 1}) == account


def test_an_account_without_hash_or_key_opens_for_nobody() -> None:
    assert read_account({"_id": "ana"}) == Account("ana", "", "", None)
    accounts = Accounts(Database({"_id": "ana"}))  # type: ignore[arg-type]
    with pytest.raises(WrongPassword):
        accounts.verify("ana", "")
    assert not accounts.is_current("ana", None)


def test_only_a_duplicate_name_is_called_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database()
    accounts = Accounts(database)  # type: ignore[arg-type]
    for error, expected in ((DuplicateKeyError("ana"), NameTaken), (AutoReconnect("no server"), LibraryUnavailable)):

        def fail(_: Any, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(database.accounts, "insert_one", fail, raising=False)
        with pytest.raises(expected):
            accounts.create("ana", PASSWORD, "ana")


def test_a_session_ends_when_it_is_signed_out_or_deleted() -> None:
    database = Database()
    now = time.time()

    def is_revoked(session_id: str, started_at: float) -> bool:
        """Without the cache of an earlier look-up, as another player over the same database sees it."""
        return Revocations(database).is_revoked("ana", session_id, started_at)  # type: ignore[arg-type]

    assert not is_revoked("1", now)
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


def names_in(database: Database, *with_data: str) -> Names:
    return Names(database, set(with_data).__contains__)  # type: ignore[arg-type]


def test_a_name_is_one_in_every_case_and_keeps_its_first_spelling() -> None:
    names = names_in(Database())
    assert names.find("Zoë") is None
    assert names.register(Listener("Zoë", "Zoë")) == Listener("Zoë", "Zoë")
    for spelling in ("ZOË", "zoe\u0308", "zoë"):
        assert names.find(spelling) == Listener("Zoë", "Zoë")
    assert names.find("Zoe") is None, "another letter is another name"
    assert names.register(Listener("ZOË", "ZOË")) == Listener("Zoë", "Zoë")
    with pytest.raises(NameTaken):
        names.claim(Listener("guest-1", "zOË"))
    names.delete("Zoë")
    names.claim(Listener("guest-1", "zOË"))
    assert names.find("ZOË") == Listener("guest-1", "zOË")


def test_what_cannot_be_seen_makes_no_other_name() -> None:
    names = names_in(Database())
    names.register(Listener("Ana Bo", "Ana Bo"))
    for spelling in (
        "Ana\u200b Bo",
        "\u202eAna Bo",
        "ana\u00a0bo",
        "\ufeffAna  Bo",
        "A\u00adna Bo",
        "Ana\u3164 Bo\ufe0f",
    ):
        assert names.find(spelling) == Listener("Ana Bo", "Ana Bo"), ascii(spelling)
    assert names.find("Ana Böo") is None
    assert visible_name(" \u202eAna\u200b  Bo\u2069 ") == "Ana Bo"
    assert visible_name("👩\u200d👧") == "👩\u200d👧"
    assert visible_name("\u200b\ufeff") == ""


def test_a_name_of_before_with_an_invisible_mark_is_found_by_its_spelling() -> None:
    database = Database()
    database.names.documents["a\u200bna"] = {"_id": "a\u200bna", "user_id": "A\u200bna", "name": "A\u200bna"}
    names = names_in(database)
    names.register(Listener("Ana", "Ana"))
    assert names.find("A\u200bna") == Listener("A\u200bna", "A\u200bna")
    assert names.find("Ana") == names.find("\u200bAna") == Listener("Ana", "Ana")


def test_accounts_of_before_that_differ_in_case_alone_are_found_by_their_spelling_else_the_older() -> None:
    old = [{"_id": "ana", "made_at": datetime(2026, 2, 1)}, {"_id": "Ana", "made_at": datetime(2026, 1, 1)}]
    names = names_in(Database(*old, {"_id": "bob"}))
    assert [names.find(name) for name in ("ana", "Ana", "ANA")] == [
        Listener("ana", "ana"),
        Listener("Ana", "Ana"),
        Listener("Ana", "Ana"),
    ]
    assert names.find("BOB") == Listener("bob", "bob")


def test_data_of_before_is_found_by_its_spelling_or_a_usual_one() -> None:
    names = names_in(Database(), "ana", "Bob", "BOB")
    assert names.find_with_data("ANA") == Listener("ana", "ana")
    assert (names.find_with_data("Bob"), names.find_with_data("BOB")) == (
        Listener("Bob", "Bob"),
        Listener("BOB", "BOB"),
    )
    names.register(Listener("bOb", "bOb"))
    assert names.find_with_data("bob") == Listener("bOb", "bOb") and names.find_with_data("Bob") == Listener(
        "Bob", "Bob"
    )
    assert names.find_with_data("new") is None


def test_documents_of_names_have_defaults_and_keep_what_is_new() -> None:
    assert read_name({"_id": "ana"}) == Listener("ana", "ana")
    assert read_name({"_id": "ana", "user_id": "guest-1", "later": 1}) == Listener("guest-1", "guest-1")
    assert name_key("STRASSE") == name_key("Straße")


def test_a_new_password_ends_the_sessions_of_the_old_one() -> None:
    database = Database()
    accounts = Accounts(database)  # type: ignore[arg-type]
    key = accounts.create("ana", PASSWORD, "Ana")
    assert accounts.is_current("ana", key)
    new_key = accounts.set_password("ana", "another good one")
    assert new_key is not None and accounts.is_current("ana", new_key) and not accounts.is_current("ana", key)
    assert accounts.verify("ana", "another good one") == new_key
    with pytest.raises(WrongPassword):
        accounts.verify("ana", PASSWORD)
    assert accounts.set_password("nobody", PASSWORD) is None and database.accounts.documents.keys() == {"ana"}


def test_few_passwords_are_checked_at_once() -> None:
    accounts = Accounts(Database())  # type: ignore[arg-type]
    released = threading.Event()

    class Slow:
        def verify(self, password_hash: str, password: str) -> None:
            released.wait(20)
            raise VerifyMismatchError

    accounts._hasher = Slow()  # type: ignore[assignment]

    def verify(number: int) -> type[BaseException]:
        try:
            accounts.verify(str(number), PASSWORD)
        except (WrongPassword, TooManyHashes) as error:
            if isinstance(error, TooManyHashes):
                released.set()
            return type(error)
        raise AssertionError

    admitted = MAX_PARALLEL_HASHES + MAX_WAITING_HASHES
    with ThreadPoolExecutor(admitted + 1) as threads:
        answers = list(threads.map(verify, range(admitted + 1)))
    assert (answers.count(WrongPassword), answers.count(TooManyHashes)) == (admitted, 1)


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:0:1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unix socket", "unix socket"),
    ],
)
def test_a_place_is_an_address_or_the_network_of_ipv6(host: str, place: str) -> None:
    assert place_of(Request({"type": "http", "client": (host, 1), "headers": []})) == place


LOCAL: dict[str, Any] = {"host": "127.0.0.1"}
OPEN: dict[str, Any] = {"host": "0.0.0.0"}  # noqa: S104 - no server is started


@pytest.mark.parametrize(
    ("section", "allowed", "refused"),
    [
        (LOCAL, ["127.0.0.1", "localhost", "::1"], ["192.168.1.5", "mybox", "evil.example", None]),
        (LOCAL | {"allowed_hosts": ("Tunnel.example",)}, ["localhost", "tunnel.example"], ["evil.example", "mybox"]),
        (
            OPEN,
            ["localhost", "192.168.1.5", "fd00::5", "mybox", "mybox.local"],
            ["evil.example", "local.evil.example", None],
        ),
        (
            OPEN | {"allowed_hosts": ("music.example",)},
            ["localhost", "music.example"],
            ["192.168.1.5", "x.music.example"],
        ),
        (OPEN | {"allowed_hosts": ("*",)}, ["evil.example", "192.168.1.5"], [None]),
        (LOCAL | {"trusted_proxies": ("127.0.0.1",)}, ["music.example"], [None]),
        (
            LOCAL | {"trusted_proxies": ("127.0.0.1",), "allowed_hosts": ("music.example",)},
            ["music.example"],
            ["evil.example"],
        ),
    ],
)
def test_a_player_answers_to_its_own_names(
    section: dict[str, Any], allowed: list[str], refused: list[str | None]
) -> None:
    policy = AccessPolicy(settings(player={**dict(settings().player), **section}).player)
    assert [policy.answers_to(host) for host in allowed] == [True] * len(allowed)
    assert [policy.answers_to(host) for host in refused] == [False] * len(refused)


@pytest.mark.parametrize("host", ["http://music.example", "music.example:7860", "a b", ""])
def test_a_host_is_a_name_without_scheme_and_port(host: str) -> None:
    with pytest.raises(SettingsError, match="allowed_hosts"):
        settings(player={**dict(settings().player), "allowed_hosts": (host,)})


def request_of(session: dict[str, Any]) -> Request:
    return Request({"type": "http", "client": ("127.0.0.1", 1), "headers": [], "session": Session(session)})


DAY_S = 24 * 3600


@pytest.mark.parametrize(
    ("user_id", "since_days", "renewed_days", "is_valid", "is_renewed"),
    [
        ("ana", 0.5, None, True, False),
        ("ana", 1.5, None, True, True),
        ("ana", 20, 0.5, True, False),
        ("ana", 20, 1.5, True, True),
        ("ana", 181, 1.5, False, False),
        ("guest-1", 500, 1.5, True, True),  # who could not come back
    ],
)
def test_a_session_in_use_is_renewed_daily(
    user_id: str, since_days: float, renewed_days: float | None, is_valid: bool, is_renewed: bool
) -> None:
    database = Database()
    sessions = Sessions(
        AccessPolicy(settings().player),
        Accounts(database),  # type: ignore[arg-type]
        names_in(database),
        Revocations(database),  # type: ignore[arg-type]
        has_data=lambda _: False,
    )
    now = time.time()
    session = {"user_id": user_id, "session_id": "1", "since": now - since_days * DAY_S}
    request = request_of(session | ({} if renewed_days is None else {"renewed_at": now - renewed_days * DAY_S}))
    request.session.modified = False  # type: ignore[attr-defined]
    assert sessions.listener(request) == (user_id if is_valid else None)
    assert request.session.modified is False, "a late answer takes no cookie away, and brings none back"  # type: ignore[attr-defined]
    assert sessions.describe(request)["user_id"] == (user_id if is_valid else None)
    assert request.session.modified is is_renewed  # type: ignore[attr-defined]
    assert (request.session.get("renewed_at", 0) >= now) is is_renewed
