"""What open pages are told: which changes concern whom, what a slow page misses, and when streams end."""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ui.auth.places import Client
from ui.auth.shares import ShareTaken
from ui.push import hub as hub_module
from ui.push.changes import Concern, concern_of
from ui.push.hub import MAX_STREAMS_OF_LISTENER, Hub, Message, Subscription

sys.path.insert(0, str(Path(__file__).parents[1]))
from coroutines import result_of  # noqa: E402

ANA, BOB = Client("ana", "home"), Client("bob", "home")
STATUS = Message("status", {"connected": True, "waiting": 0})


def hub() -> Hub:
    return Hub(lambda: (True, 0))


def told(subscription: Subscription) -> list[Message]:
    return list(result_of(subscription.messages(0.01)))


@pytest.mark.parametrize(
    ("collection", "document_id", "operation", "concern"),
    [
        ("recommendations", "ana", "replace", Concern("list", "ana")),
        ("recommendations", "*", "replace", Concern("list", None)),
        ("profiles", "ana", "update", Concern("list", "ana")),
        ("listens", {"user": "ana", "track": "1"}, "insert", Concern("list", "ana")),
        ("mixes", "ana", "replace", Concern("mixes", "ana")),
        ("tracks", "1", "insert", Concern("library", None)),
        ("sessions", "id", "insert", Concern("session", "id")),
        ("sessions", "id", "delete", None),
        ("accounts", "ana", "update", Concern("account", "ana")),
        ("deletions", "ana", "insert", Concern("account", "ana")),
        ("playlists", "id", "insert", None),
    ],
)
def test_a_change_concerns(collection: str, document_id: Any, operation: str, concern: Concern | None) -> None:
    change = {"ns": {"coll": collection}, "operationType": operation, "documentKey": {"_id": document_id}}
    assert concern_of(change) == concern


def test_a_dropped_collection_concerns_everybody_and_a_dropped_database_nobody() -> None:
    assert concern_of({"ns": {"coll": "recommendations"}, "operationType": "drop"}) == Concern("list", None)
    assert concern_of({"operationType": "invalidate"}) is None


def test_a_listener_is_told_of_their_own_changes_and_of_everybodys() -> None:
    pages = hub()
    with pages.subscribe(ANA, "1") as ana, pages.subscribe(BOB, "2") as bob:
        assert (told(ana), told(bob)) == ([STATUS], [STATUS])
        pages.tell("list", "ana")
        pages.tell("mixes")
        assert told(ana) == [Message("list", {}), Message("mixes", {})]
        assert told(bob) == [Message("mixes", {})]
        assert told(bob) == []


def test_many_changes_are_one_message_for_a_page_that_is_slow() -> None:
    pages = hub()
    with pages.subscribe(ANA, "1") as ana:
        for _ in range(100_000):
            pages.tell("list", "ana")
        assert told(ana) == [STATUS, Message("list", {})]


def test_a_listener_a_place_and_the_player_have_limits_of_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "MAX_STREAMS_OF_PLACE", MAX_STREAMS_OF_LISTENER + 3)
    monkeypatch.setattr(hub_module, "MAX_STREAMS", MAX_STREAMS_OF_LISTENER + 4)
    pages = hub()
    with ExitStack() as streams:
        for _ in range(MAX_STREAMS_OF_LISTENER):
            streams.enter_context(pages.subscribe(ANA, "1"))
        with pytest.raises(ShareTaken) as refused:
            streams.enter_context(pages.subscribe(ANA, "1"))
        assert (refused.value.status, refused.value.retry_after_s) == (429, 10)
        streams.enter_context(pages.subscribe(BOB, "2"))
        streams.enter_context(pages.subscribe(Client("guest-1", "home"), None))
        streams.enter_context(pages.subscribe(Client(None, "home"), None))
        with pytest.raises(ShareTaken) as refused:
            streams.enter_context(pages.subscribe(Client("guest-2", "home"), "3"))
        assert refused.value.status == 429, "a place makes guests at will, and has its limit"
        streams.enter_context(pages.subscribe(Client("cyd", "elsewhere"), "4"))
        with pytest.raises(ShareTaken) as refused:
            streams.enter_context(pages.subscribe(Client("dan", "elsewhere"), "5"))
        assert refused.value.status == 503
    assert len(pages) == 0
    with pages.subscribe(ANA, "1"):
        assert len(pages) == 1


def test_streams_end_with_their_session_their_account_or_the_player() -> None:
    pages = hub()
    with ExitStack() as streams:
        first, second, other = (
            streams.enter_context(pages.subscribe(Client(listener, "home"), session_id))
            for listener, session_id in (("ana", "1"), ("ana", "2"), ("bob", "3"))
        )
        pages.end_session("1")
        assert [each.is_ended for each in (first, second, other)] == [True, False, False]
        pages.end_listener("ana")
        assert [each.is_ended for each in (first, second, other)] == [True, True, False]
        pages.end_all()
        assert other.is_ended


def test_an_absence_is_told_once_with_the_events_that_wait() -> None:
    state = {"connected": True, "waiting": 3}
    pages = Hub(lambda: (state["connected"], state["waiting"]))  # type: ignore[arg-type,return-value]
    with pages.subscribe(ANA, "1") as ana:
        assert told(ana) == [STATUS], "events on their way are no news"
        pages.set_away("it sleeps")
        state["connected"] = False
        pages.set_away("it sleeps")
        pages.set_away("it sleeps")
        away = {"connected": False, "waiting": 3, "away": "it sleeps"}
        assert told(ana) == [Message("status", away)]
        assert told(ana) == []


def test_a_library_that_grows_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "SERVICES_LOOK_INTERVAL_S", 0.001)
    monkeypatch.setattr(hub_module, "LIBRARY_INTERVAL_S", 3600)
    pages = hub()

    async def grow() -> list[Message]:
        with pages.subscribe(ANA, "1") as ana:
            running = asyncio.create_task(pages.run())
            messages: list[Message] = []
            for _ in range(5):
                pages.tell("library")
                messages += await ana.messages(0.05)
            running.cancel()
            return messages

    assert [message.kind for message in result_of(grow())] == ["status", "library"]
