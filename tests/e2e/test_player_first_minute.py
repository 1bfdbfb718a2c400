"""The first minute: who has chosen no name reacts and plays as a guest, and keeps it under the name that they choose."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from player_site import IDS, Lists, Visit, serving, with_library
from playwright.sync_api import expect

from ui import app
from ui.dependencies import build_services

PASSWORD = "a long enough one"


def heart(visit: Visit, number: int) -> Any:
    return visit.page.locator(f'#for-you .card[data-track-id="{IDS[number]}"] [data-action=like]')


def test_the_first_like_and_play_are_kept_and_given_to_the_name(visit: Any, events: Any, db: Any) -> None:
    nobody = visit()
    expect(nobody.page.locator("#listener")).to_have_text("Guest")
    nobody.wait_for(lambda: nobody.order == IDS[:6])
    heart(nobody, 1).click()
    expect(heart(nobody, 1)).to_have_attribute("aria-pressed", "true")
    nobody.play(IDS[2])
    liked, played = events(2)
    assert (liked["action"], played["action"]) == ("like", "play")
    assert liked["user_id"] == played["user_id"] and liked["user_id"].startswith("guest-")
    assert "guest-" not in nobody.page.inner_text("body")
    nobody.listen_as("Zoë")  # a name that nobody has
    expect(heart(nobody, 1)).to_have_attribute("aria-pressed", "true")
    assert not nobody.page.evaluate("document.getElementById('audio').paused"), "what plays goes on"
    assert db.names.find_one({"name": "Zoë"})["user_id"] == liked["user_id"]
    nobody.page.reload()
    expect(heart(nobody, 1)).to_have_attribute("aria-pressed", "true")
    expect(nobody.page.locator("#listener")).to_have_text("Zoë")


def test_a_guest_brings_the_likes_to_a_name_that_was_there_before(visit: Any, events: Any, put: Lists) -> None:
    nobody = visit()
    heart(nobody, 3).click()
    expect(heart(nobody, 3)).to_have_attribute("aria-pressed", "true")
    guest = events(1)[0]["user_id"]
    nobody.listen_as("ana")
    nobody.wait_for(lambda: nobody.order == IDS[2:8])
    expect(heart(nobody, 3)).to_have_attribute("aria-pressed", "true")
    expect(nobody.page.locator("#toast")).to_contain_text("What you liked as a guest is now among the likes of ana.")
    likes = [(event["user_id"], event["action"], event["track_id"]) for event in events(2)]
    assert sorted(likes) == sorted([(guest, "like", IDS[3]), ("ana", "like", IDS[3])])


def test_names_of_this_browser_are_a_tap_away(visit: Any) -> None:
    ana = visit("ana")
    page = ana.page
    page.click("#listener")
    page.click("#listener-leave")
    expect(page.locator("#listener")).to_have_text("Guest")
    page.click("#listener")
    page.fill("#listener-name", "ANA")
    page.click("#listener-ok")
    expect(page.locator("#listener")).to_have_text("ana")
    ana.listen_as("bob")
    page.click("#listener")
    names = page.locator("#listener-known .pill")
    expect(names).to_have_text(["bob", "ana"])
    names.nth(1).click()
    expect(page.locator("#listener")).to_have_text("ana")
    page.click("#listener")
    page.get_by_role("button", name="Remove bob from this browser's names").click()
    expect(names).to_have_text(["ana"])


@pytest.fixture
def without_guests(settings: Any, topics: None, catalogue: None, put: Lists, sounds: Any) -> Iterator[str]:
    put("*", IDS[:6])
    player = settings.player.model_copy(update={"guests": False})
    services = build_services(with_library(settings.model_copy(update={"player": player}), sounds))
    with serving(app.create_app(services)) as site:
        yield site


def test_without_guests_the_first_tap_waits_for_the_name(without_guests: str, windows: Any, events: Any) -> None:
    with windows.visit(without_guests, None) as nobody:
        expect(nobody.page.locator("#listener")).to_have_text("Choose listener")
        heart(nobody, 1).click()
        expect(nobody.page.locator("#listener-dialog")).to_be_visible()
        nobody.page.keyboard.press("Escape")
        expect(heart(nobody, 1)).to_have_attribute("aria-pressed", "false")
        heart(nobody, 2).click()
        nobody.page.fill("#listener-name", "zoe")
        nobody.page.click("#listener-ok")
        expect(heart(nobody, 2)).to_have_attribute("aria-pressed", "true")
        (event,) = events(1)
        assert (event["user_id"], event["action"], event["track_id"]) == ("zoe", "like", IDS[2])


def test_everything_of_a_guest_is_handed_over(client: Any, db: Any) -> None:
    """Likes, history, playlists and place; what the listener said later of the same track stays."""
    guest, ana = client(), client()
    guest.post("/listener", json={"guest": True})
    for action, track in (("play", 1), ("dislike", 1), ("like", 2), ("more", 2), ("like", 3), ("unlike", 3)):
        assert guest.post("/events", json={"action": action, "track_id": IDS[track]}).status_code == 202
    guest.post("/playlists", json={"name": "Evening", "tracks": [IDS[4]]})
    guest.post("/place", json={"track_id": IDS[1], "position_ms": 5000})
    guest_id = guest.get("/listener").json()["user_id"]
    ana.post("/listener", json={"name": "ana"})
    ana.post("/events", json={"action": "like", "track_id": IDS[1]})
    answer = guest.post("/listener", json={"name": "ANA"}).json()
    assert (answer["user_id"], answer["brought"]) == ("ana", 2)
    opinions = ana.get("/for-you").json()["opinions"]
    assert {track: set(words.split()) for track, words in opinions.items()} == {
        IDS[1]: {"like"},
        IDS[2]: {"like", "more"},
    }
    assert [playlist["name"] for playlist in ana.get("/playlists").json()] == ["Evening"]
    assert db.places.find_one({"_id": "ana"})["position_ms"] == 5000
    assert db.listens.find_one({"user_id": guest_id}) is None
    assert db.listens.find_one({"_id": {"user": "ana", "track": IDS[1]}})["action"] == "play"


def test_how_a_guest_steers_and_the_queue_are_handed_over_once_whatever_the_page_does(
    client: Any, db: Any, events: Any
) -> None:
    """Of two requests at once one gives the data away; no page need be there afterwards."""
    guest, again, ana = client(), client(), client()
    guest.post("/listener", json={"guest": True})
    for event in (
        {"action": "mute", "target": "artist:Band 1"},
        {"action": "mute", "target": "genre:Ambient"},
        {"action": "unmute", "target": "genre:Ambient"},
        {"action": "more", "target": "tag:mellow"},
        {"action": "adventure", "target": "0.80"},
        {"action": "like", "track_id": IDS[2]},
    ):
        assert guest.post("/events", json=event).status_code == 202
    guest_id = guest.get("/listener").json()["user_id"]
    ana.post("/listener", json={"name": "ana"})
    queue = {"revision": 0, "items": [{"id": IDS[5]}, {"id": IDS[4]}]}
    assert ana.post("/queue", json={"listener": "ana", **queue}).json() == {"saved": True}
    own = {
        "current": {"id": IDS[1], "position_ms": 4000},
        "items": [{"id": IDS[3]}, {"id": IDS[4]}],
        "context": {"kind": "album", "title": "Hours"},
        "list_ahead": [IDS[6]],
        "list_played": [IDS[1]],
        "order": [IDS[1], IDS[6]],
    }
    assert guest.post("/queue", json={"listener": guest_id, "revision": 0, **own}).json() == {"saved": True}
    again.cookies.update(guest.cookies)
    with ThreadPoolExecutor(2) as pool:
        both = pool.map(lambda page: page.post("/listener", json={"name": "ana"}).json(), (guest, again))
        answers = list(both)
    assert [answer["user_id"] for answer in answers] == ["ana", "ana"]
    assert sorted(answer["brought"] for answer in answers) == [0, 1]
    steering = db.listens.find({"steered_at": {"$exists": True}})
    assert {each["_id"]["steering"]: (each["user_id"], each["action"], each["target"]) for each in steering} == {
        "mute artist:Band 1": ("ana", "mute", "artist:Band 1"),
        "mute genre:Ambient": ("ana", "unmute", "genre:Ambient"),
        "wish tag:mellow": ("ana", "more", "tag:mellow"),
        "adventure": ("ana", "adventure", "0.80"),
    }
    joined = ana.get("/queue").json()
    assert [track["id"] for track in joined["items"]] == [IDS[3], IDS[4], IDS[5]]
    assert (joined["current"]["id"], joined["current"]["positionMs"]) == (IDS[1], 4000)
    assert (joined["context"]["title"], [track["id"] for track in joined["list"]]) == ("Hours", [IDS[6]])
    assert not any(db[name].find_one({"_id": guest_id}) for name in ("queues", "places", "profiles"))
    sent = [event for event in events(99) if event["user_id"] == "ana"]
    assert sorted(event["action"] for event in sent) == ["adventure", "like", "more", "mute", "unmute"]
    accepted = guest.post("/events", json={"action": "like", "track_id": IDS[7], "listener": guest_id})
    assert accepted.status_code == 202, "what a page still sends as the guest is of the name"
    assert db.listens.find_one({"_id": {"user": "ana", "track": IDS[7]}}) is not None


def test_a_guest_is_told_how_to_be_found_again(client: Any) -> None:
    guest = client()
    guest.post("/listener", json={"guest": True})
    settings, you = (guest.get(f"/view/{page}").text for page in ("settings", "you"))
    assert "Choose a name to find them again in other browsers." in settings and ">Choose a name</button>" in settings
    assert "Choose a name</a> to keep your history" in you


def test_a_guest_may_leave_everything_behind(client: Any) -> None:
    guest = client()
    guest.post("/listener", json={"guest": True})
    guest.post("/events", json={"action": "like", "track_id": IDS[2]})
    assert guest.post("/listener", json={"name": "New", "bring": False}).json()["user_id"] == "New"
    assert guest.get("/for-you").json()["opinions"] == {}


def test_a_tab_that_does_not_know_the_listener_makes_no_guest_of_them(client: Any) -> None:
    ana = client()
    ana.post("/listener", json={"name": "ana"})
    assert ana.post("/listener", json={"guest": True, "only_if_nobody": True}).json()["user_id"] == "ana"


def test_the_history_of_an_open_name_stays_with_it(client: Any) -> None:
    """An account under it is made by who listens under it alone."""
    eve, ana = client(), client()
    refused = eve.post("/listener", json={"name": "Ana", "password": PASSWORD, "create": True})
    assert refused.status_code == 409 and "already used here, without a password" in refused.json()["error"]
    eve.post("/listener", json={"guest": True})
    eve.post("/events", json={"action": "like", "track_id": IDS[2]})
    assert eve.post("/listener", json={"name": "Ana", "password": PASSWORD, "create": True}).status_code == 409
    ana.post("/listener", json={"name": "ana"})
    assert ana.post("/listener", json={"name": "ana", "password": PASSWORD, "create": True}).json()["has_account"]
