"""What clients hold of something bounded: a listener, a place and all together have limits."""

from __future__ import annotations

import pytest

from ui.auth.places import Client
from ui.auth.shares import Shares, ShareTaken

ANA, EVE = Client("ana", "home"), Client(None, "away")


@pytest.mark.parametrize(
    ("held", "client", "status"),
    [
        ([ANA], ANA, None),
        ([ANA, ANA], ANA, 429),
        ([ANA, ANA], Client("bob", "home"), None),
        ([ANA, ANA, Client("bob", "home")], Client("guest-1", "home"), 429),
        ([ANA, ANA], Client("ana", "elsewhere"), 429),
        ([EVE, EVE], EVE, 429),
        ([EVE, EVE], Client("ana", "away"), None),
        ([ANA, ANA, EVE, EVE], Client("bob", "home"), 503),
    ],
)
def test_a_client_gets_what_its_share_has_left(held: list[Client], client: Client, status: int | None) -> None:
    shares = Shares("pages", total=4, of_place=3, of_listener=2)
    for each in held:
        shares.take(each)
    if status is None:
        shares.take(client)
        assert len(shares) == len(held) + 1
        return
    with pytest.raises(ShareTaken, match="Too many pages at once") as refused:
        shares.take(client)
    assert refused.value.status == status and len(shares) == len(held)


def test_what_is_given_back_can_be_taken_again() -> None:
    shares = Shares("pages", total=1, of_place=1, of_listener=1)
    for _ in range(3):
        with shares.held(ANA), pytest.raises(ShareTaken):
            shares.take(ANA)
    with pytest.raises(OSError, match="broken off"), shares.held(ANA):
        raise OSError("broken off")
    assert len(shares) == 0
