"""When a session is over, and from where a request comes: cookies that were copied, settings that changed, proxies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from player_site import ANSWER_S, IDS, serving
from playwright.sync_api import Request

from conf.settings import Settings
from streaming.documents import deletion_from
from streaming.source.topics import listening_ends
from ui import app
from ui.dependencies import build_services

PASSWORD = "a long enough one"
Serve = Callable[..., str]


@pytest.fixture
def serve(settings: Settings, catalogue: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Serves a player with changed settings of its section; all share database and secret."""
    monkeypatch.setattr("ui.auth.accounts.KEY_CACHE_S", 0.0)
    with ExitStack() as stack:

        def serve(**changed: Any) -> str:
            chosen = settings.model_copy(update={"player": settings.player.model_copy(update=changed)})
            return stack.enter_context(serving(app.create_app(build_services(chosen))))

        yield serve


def client(site: str, **headers: str) -> httpx.Client:
    return httpx.Client(base_url=site, headers={"Origin": site, **headers}, timeout=ANSWER_S)


def who(site: str, cookies: Any) -> str | None:
    """Who listens with these cookies, as one would send them who has copied them."""
    with client(site) as thief:
        thief.cookies.update(cookies)
        name: str | None = thief.get("/listener").json()["user_id"]
        return name


def test_a_copied_cookie_ends_with_the_session(serve: Serve) -> None:
    site = serve()
    with client(site) as ana, client(site) as tablet:
        for each in (ana, tablet):
            each.post("/listener", json={"name": "ana"})
        copy, other = dict(ana.cookies), dict(tablet.cookies)
        assert who(site, copy) == "ana"
        ana.post("/listener", json={"name": None})
        assert who(site, copy) is None
        assert who(site, other) == "ana", "the other device goes on"
        assert who(serve(), copy) is None, "another player over the same database knows it too"


def test_a_deleted_listeners_cookies_are_nobodys(serve: Serve, db: Any) -> None:
    site = serve()
    with client(site) as ana, client(site) as tablet:
        for each in (ana, tablet):
            each.post("/listener", json={"name": "ana"})
        copies = [dict(each.cookies) for each in (ana, tablet)]
        before = datetime.now(UTC) - timedelta(milliseconds=1)
        assert ana.post("/me/forget", json={"name": "ana"}).status_code == 200
        assert [who(site, copy) for copy in copies] == [None, None]
        deleted_at = db.deletions.find_one({"_id": "ana"})["deleted_at"].replace(tzinfo=UTC)
        assert before < deleted_at < datetime.now(UTC)
        ana.post("/listener", json={"name": "ana"})  # a new listener of the same name
        assert who(site, dict(ana.cookies)) == "ana"
        assert [who(site, copy) for copy in copies] == [None, None]


def test_a_deletion_covers_all_that_its_listener_has_sent(
    serve: Serve, settings: Settings, db: Any, topics: None
) -> None:
    """Whatever has arrived is before the noted ends, and nothing arrives after them."""
    with client(serve()) as ana:
        ana.post("/listener", json={"name": "ana"})
        for track_id in IDS[:5]:
            assert ana.post("/events", json={"action": "like", "track_id": track_id}).status_code == 202
        assert ana.post("/me/forget", json={"name": "ana"}).status_code == 200
    deletion = deletion_from(db.deletions.find_one({"_id": "ana"}))
    assert deletion is not None and len(deletion.end_by_partition) == settings.kafka.partitions
    assert deletion.end_by_partition == listening_ends(settings.kafka)


def test_events_that_wait_for_kafka_are_deleted_too(settings: Settings, catalogue: None) -> None:
    nobody = settings.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1"})
    made = build_services(settings.model_copy(update={"kafka": nobody}))
    with serving(app.create_app(made)) as site, client(site) as ana, client(site) as bob:
        for name, each in (("ana", ana), ("bob", bob)):
            each.post("/listener", json={"name": name})
            assert each.post("/events", json={"action": "like", "track_id": IDS[3]}).status_code == 202
        assert made.event_queue.state.waiting == 2
        assert ana.post("/me/forget", json={"name": "ana"}).status_code == 200
        assert made.event_queue.state.waiting == 1


def test_what_could_not_be_deleted_can_be_deleted_again(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    site = serve()

    def busy(*_: Any) -> int:
        raise OSError("listening_events is busy")

    with client(site) as ana:
        ana.post("/listener", json={"name": "ana"})
        with monkeypatch.context() as patch:
            patch.setattr("ui.data.lake.delete_rows", busy)
            refused = ana.post("/me/forget", json={"name": "ana"})
        assert refused.status_code == 503 and "is busy. Try again" in refused.json()["error"]
        assert ana.post("/me/forget", json={"name": "ana"}).status_code == 200


def test_a_session_that_the_settings_would_not_give_any_more_is_nobodys(serve: Serve) -> None:
    site = serve()
    with client(site) as guest, client(site) as named, client(site) as member:
        guest.post("/listener", json={"guest": True})
        named.post("/listener", json={"name": "zoe"})
        member.post("/listener", json={"name": "ana", "password": PASSWORD, "create": True})
        held = [dict(each.cookies) for each in (guest, named, member)]
    strict = serve(open_names=False, guests=False)
    assert [who(strict, each) for each in held] == [None, None, "ana"]
    elsewhere = serve(host="0.0.0.0")  # noqa: S104 - served on 127.0.0.1 all the same
    assert [who(elsewhere, each) for each in held] == [who(site, held[0]), None, "ana"]


def guesses(site: str, **headers: str) -> list[int]:
    answers = []
    for number in range(7):
        forwarded = {name: text.format(number) for name, text in headers.items()}
        with client(site, **forwarded) as eve:
            answers.append(eve.post("/listener", json={"name": "ana", "password": f"guess {number}"}).status_code)
    return answers


def test_a_guesser_does_not_become_another_by_a_header(serve: Serve) -> None:
    site = serve(host="0.0.0.0")  # noqa: S104 - served on 127.0.0.1 all the same
    assert guesses(site, **{"X-Forwarded-For": "10.0.0.{}"}) == [401] * 5 + [429] * 2


def test_a_proxy_that_the_settings_name_says_who_comes(serve: Serve) -> None:
    site = serve(trusted_proxies=("127.0.0.1",))
    by_proxy = {"X-Forwarded-For": "10.0.0.{}", "X-Forwarded-Proto": "https"}
    assert guesses(site, **by_proxy) == [401] * 7
    assert guesses(site, **by_proxy | {"X-Forwarded-For": "10.0.1.{}, 10.9.9.9"}) == [401] * 5 + [429] * 2
    with client(site, Host="music.example", Origin="https://music.example", **{"X-Forwarded-Proto": "https"}) as ana:
        answer = ana.post("/listener", json={"name": "ana", "password": PASSWORD, "create": True})
        assert answer.status_code == 200 and "; secure" in answer.headers["set-cookie"].lower()
        assert answer.json()["operator"] is False, "whoever the proxy lets in does not sit at this machine"
        assert ana.post("/listener", json={"name": "zoe"}).status_code == 401


def test_a_proxy_that_the_settings_do_not_name_is_refused(serve: Serve) -> None:
    """It may give the host name of this machine, and then everybody would be its operator."""
    site = serve()
    for header in ("X-Forwarded-For", "X-Real-IP", "Via", "Forwarded", "X-Forwarded-Proto"):
        refused = httpx.get(f"{site}/view/status", headers={header: "10.0.0.1"}, timeout=ANSWER_S)
        assert refused.status_code == 403 and "player.trusted_proxies" in refused.json()["error"], header


def test_an_operators_name_is_not_to_be_had_where_others_are_served(serve: Serve) -> None:
    with client(serve(host="0.0.0.0", operators=("root",))) as eve:  # noqa: S104
        refused = eve.post("/listener", json={"name": "root", "password": PASSWORD, "create": True})
        assert refused.status_code == 403 and "operator" in refused.json()["error"]
    with client(serve(operators=("root",))) as root:
        made = root.post("/listener", json={"name": "root", "password": PASSWORD, "create": True})
        assert made.json()["operator"] is True


def test_what_was_done_while_the_server_was_away_stays_ones_own(visit: Any, events: Any) -> None:
    ana = visit("ana")
    ana.wait_for(lambda: ana.order == IDS[2:8])
    ana.page.route("**/events", lambda route: route.abort())

    def is_of_events(request: Request) -> bool:
        return request.url.endswith("/events")

    like = "id => void overtone.outbox.send({track_id: id, action: 'like'})"
    with ana.page.expect_event("requestfailed", is_of_events):
        ana.page.evaluate(like, IDS[2])
        liked_at = datetime.now(UTC)
    ana.listen_as("bob")
    with ana.page.expect_event("requestfailed", is_of_events):
        ana.page.evaluate(like, IDS[3])
    ana.page.unroute("**/events")
    ana.wait_for(lambda: len(events(1)) == 1)  # the outbox tries again after some seconds
    (bobs,) = events(1)
    assert (bobs["user_id"], bobs["track_id"]) == ("bob", IDS[3])
    ana.listen_as("ana")
    ana.wait_for(lambda: len(events(2)) == 2)
    anas = events(2)[1] if events(2)[0]["user_id"] == "bob" else events(2)[0]
    assert (anas["user_id"], anas["track_id"]) == ("ana", IDS[2])
    assert abs((datetime.fromisoformat(anas["occurred_at"]) - liked_at).total_seconds()) < 1
    ana.wrong[:] = [said for said in ana.wrong if "ERR_FAILED" not in said]
