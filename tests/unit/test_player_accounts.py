"""Tries to sign in, counted by a clock of the test's own."""

from __future__ import annotations

import pytest

from conf.settings import SettingsError, settings
from ui.auth.accounts import PER_S, TooManyTries, Tries, why_no_password


def test_failures_are_counted_by_key_and_forgotten_in_time() -> None:
    now = [0.0]
    tries = Tries(most=3, clock=lambda: now[0])
    for second in range(3):
        now[0] = second
        tries.check("ana")
        tries.fail("ana")
    with pytest.raises(TooManyTries) as met:
        tries.check("ana")
    assert met.value.wait_s == PER_S - 2
    tries.check("bob")
    now[0] = PER_S  # the first failure is a minute old
    tries.check("ana")
    tries.fail("ana")
    with pytest.raises(TooManyTries):
        tries.check("ana")


def test_many_keys_take_no_more_memory_than_a_minute_of_them() -> None:
    now = [0.0]
    tries = Tries(clock=lambda: now[0])
    tries.MAX_KEYS = 10  # type: ignore[misc]
    for number in range(50):
        now[0] = number * PER_S
        tries.fail(str(number))
    assert len(tries._failed) <= 12


@pytest.mark.parametrize(
    ("password", "wrong"), [("short", True), ("long enough", False), ("x" * 257, True), ("ä" * 8, False)]
)
def test_a_password_has_a_length(password: str, wrong: bool) -> None:
    assert (why_no_password(password) is not None) is wrong


@pytest.mark.parametrize("proxy", ["everybody", "*", "10.0.0.300"])
def test_a_proxy_is_named_by_its_address(proxy: str) -> None:
    with pytest.raises(SettingsError, match="trusted_proxies"):
        settings(player={**dict(settings().player), "trusted_proxies": (proxy,)})
