"""Accounts, guests and what is one's own, over HTTP as an attacker would and in a browser as a listener does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from argon2.exceptions import VerifyMismatchError
from deltalake import DeltaTable, write_deltalake
from player_site import ANSWER_S, IDS, Client, Lists, command, serving, with_library
from playwright.sync_api import expect

from conf.settings import Settings
from ui import app
from ui.dependencies import build_services
from ui.playlists.store import MAX_PLAYLIST_TRACKS, LimitExceeded, Playlist, PlaylistChanged, Playlists

PASSWORD = "a long enough one"


def enter(client: httpx.Client, **who: Any) -> httpx.Response:
    return client.post("/listener", json=who)


def open_account(client: httpx.Client, name: str) -> None:
    """An account of an open name, by who listens under it."""
    enter(client, name=name)
    assert enter(client, name=name, password=PASSWORD, create=True).json()["has_account"]


def test_an_account_closes_its_name(client: Client, db: Any) -> None:
    ana = client()
    enter(ana, name="ana")
    assert enter(ana, name="ana", password=PASSWORD, create=True).json()["has_account"]
    stored = db.accounts.find_one({"_id": "ana"})
    assert stored["hash"].startswith("$argon2id$") and PASSWORD not in json.dumps(stored, default=str)
    eve = client()
    for who, status in (
        ({"name": "ana"}, 401),
        ({"name": "ana", "password": "wrong wrong"}, 401),
        ({"name": "ana", "password": "another one", "create": True}, 409),
        ({"name": "zoe", "password": "short", "create": True}, 422),
    ):
        assert enter(eve, **who).status_code == status, who
    assert eve.get("/listener").json()["user_id"] is None
    assert enter(eve, name="ana", password=PASSWORD).json()["user_id"] == "ana"
    assert enter(eve, name=None).json()["user_id"] is None


def test_sessions_from_before_the_account_and_after_it_are_nobodys(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.auth.accounts.KEY_CACHE_S", 0.0)
    early, ana = client(), client()
    enter(early, name="ana")
    assert early.get("/listener").json()["user_id"] == "ana"
    open_account(ana, "ana")
    assert early.get("/listener").json()["user_id"] is None
    assert early.get("/me/export").status_code == 401
    kept = dict(ana.cookies)
    assert ana.post("/me/forget", json={"name": "ana", "password": PASSWORD}).status_code == 200
    again = client()
    enter(again, name="ana", password="somebody else's", create=True)
    ana.cookies.update(kept)
    assert ana.get("/listener").json()["user_id"] is None, "a cookie of the old account does not open the new one"


def test_guessing_is_slowed_down(client: Client) -> None:
    open_account(client(), "ana")
    eve = client()
    answers = [enter(eve, name="ana", password=f"guess number {n}").status_code for n in range(7)]
    assert answers == [401] * 5 + [429] * 2
    refused = enter(eve, name="ana", password=PASSWORD)
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 0
    assert enter(eve, name="bob").status_code == 200, "other names are as they were"


def test_guests_are_apart_and_nobody_can_become_one(client: Client) -> None:
    one, two, eve = client(), client(), client()
    first, second = (enter(each, guest=True).json()["user_id"] for each in (one, two))
    assert first != second and first.startswith("guest-")
    one.post("/events", json={"action": "like", "track_id": IDS[3]})
    assert one.get("/for-you").json()["opinions"] == {IDS[3]: "like"}
    assert two.get("/for-you").json()["opinions"] == {}
    assert enter(eve, name=first).status_code == 422


@pytest.fixture
def strict(settings: Settings, catalogue: None, put: Lists, sounds: Path) -> Iterator[str]:
    """A player that asks for accounts, makes none and has no guests."""
    put("ana", IDS[2:8])
    changed = {"open_names": False, "sign_up": False, "guests": False}
    chosen = with_library(settings, sounds)
    made = build_services(chosen.model_copy(update={"player": settings.player.model_copy(update=changed)}))
    made.accounts.create("ana", PASSWORD, "ana")
    with serving(app.create_app(made)) as at:
        yield at


def test_a_player_can_ask_for_accounts_and_make_none(strict: str) -> None:
    with httpx.Client(base_url=strict, headers={"Origin": strict}, timeout=ANSWER_S) as client:
        assert enter(client, name="zoe").status_code == 401
        assert enter(client, name="zoe", password=PASSWORD, create=True).status_code == 403
        assert enter(client, guest=True).status_code == 403
        library = ["/for-you", f"/audio/{IDS[1]}", f"/view/track/{IDS[1]}", "/search?q=a", "/map.json", "/view/home"]
        assert {client.get(path).status_code for path in library} == {401}
        search = {"data": ["band", 20]}
        assert client.post("/gradio_api/run/search", json=search).status_code == 401
        assert client.get("/").status_code == 200
        assert enter(client, name="ana", password=PASSWORD).status_code == 200
        assert {client.get(path).status_code for path in library} == {200}
        assert "Band" in client.post("/gradio_api/run/search", json=search).text


def test_the_page_of_a_closed_player_asks_who_it_is(strict: str, browser: Any) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(strict)
    expect(page.locator("#notice")).to_have_text("Sign in first.")
    page.click("#listener")
    expect(page.locator("#listener-guest")).to_be_hidden()
    page.fill("#listener-name", "ana")
    page.fill("#listener-password", PASSWORD)
    page.click("#listener-ok")
    expect(page.locator("#for-you .card")).to_have_count(6)
    page.locator("#search input").fill("band")
    expect(page.locator("#view .card").first).to_be_visible()
    context.close()


def test_a_name_with_a_history_cannot_be_taken_where_names_are_closed(
    settings: Settings, catalogue: None, put: Lists
) -> None:
    put("bob", IDS[:3])
    closed = settings.player.model_copy(update={"open_names": False})
    with (
        serving(app.create_app(build_services(settings.model_copy(update={"player": closed})))) as at,
        httpx.Client(base_url=at, headers={"Origin": at}, timeout=ANSWER_S) as client,
    ):
        assert enter(client, name="bob", password=PASSWORD, create=True).status_code == 409
        assert enter(client, name="new", password=PASSWORD, create=True).status_code == 200


def test_another_listeners_things_cannot_be_had(client: Client, db: Any) -> None:
    ana, eve = client(), client()
    enter(ana, name="ana")
    enter(eve, name="eve")
    made = ana.post("/playlists", json={"name": "mine", "tracks": [IDS[1]]}).json()["id"]
    for change in ({"add": IDS[2]}, {"drop": True}, {"name": "theirs"}, {"tracks": []}):
        assert eve.post(f"/playlists/{made}", json=change).status_code == 404
    assert eve.get(f"/view/playlist/{made}").status_code == 404
    assert eve.get("/playlists").json() == []
    assert db.playlists.find_one({"_id": made})["tracks"] == [IDS[1]]
    ana.post("/events", json={"action": "like", "track_id": IDS[3]})
    assert eve.get("/for-you", params={"user_id": "ana"}).json()["opinions"] == {}
    exported = eve.get("/me/export", params={"user_id": "ana"}).json()
    assert exported["user_id"] == "eve" and exported["listens"] == [] and exported["recommendations"] is None
    assert eve.post("/events", json={"action": "like", "track_id": IDS[3], "user_id": "ana"}).status_code == 422
    nobody = client()
    for path in ("/me/export", "/playlists", "/view/you", f"/view/why/{IDS[3]}"):
        assert nobody.get(path).status_code == 401, path


def test_queries_cannot_be_injected_into(client: Client, db: Any) -> None:
    eve = client()
    for name in ({"$ne": None}, ["ana"], 5):
        assert enter(eve, name=name).status_code == 422
    enter(eve, name='{"$gt": ""}')  # a name like any other
    assert eve.get("/listener").json()["user_id"] == '{"$gt": ""}'
    assert eve.get("/for-you").json()["personal"] is False
    for sent in ({"$gt": ""}, {"$where": "1"}, [IDS[1]]):
        assert eve.post("/events", json={"action": "like", "track_id": sent}).status_code == 422
        assert eve.post("/playlists", json={"name": "x", "tracks": [sent]}).status_code == 422
        assert eve.post("/me/forget", json={"name": sent}).status_code == 422
    before = db.recommendations.count_documents({})
    assert eve.post("/me/forget", json={"name": '{"$gt": ""}'}).status_code == 200
    assert db.recommendations.count_documents({}) == before
    assert eve.get("/radio", params={"artist": '{"$gt": ""}'}).status_code == 404
    assert eve.get("/radio?artist[$gt]=").status_code == 404


def test_no_route_leads_out_of_the_catalogue(client: Client) -> None:
    nobody = client()
    routes = [
        "/audio/{}",
        "/waveform/{}",
        "/picture/{}/mel",
        "/view/track/{}",
        "/card/{}",
        "/ui/{}",
        "/view/artist/{}",
        "/view/genre/{}",
    ]
    outside = (
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2fetc%2fpasswd",
        "secret",
        "....//etc/passwd",
        "%00",
        "file:%2f%2f%2fetc%2fpasswd",
    )
    for route in routes:
        for place in outside:
            answer = nobody.get(route.format(place))
            assert answer.status_code in (404, 422) and "root:" not in answer.text, (route, place)


def test_everything_of_mine_is_exported_and_deleted(client: Client, db: Any, settings: Settings, put: Lists) -> None:
    ana = client()
    open_account(ana, "ana")
    ana.post("/events", json={"action": "like", "track_id": IDS[3]})
    ana.post("/place", json={"track_id": IDS[3], "position_ms": 5000})
    ana.post("/playlists", json={"name": "mine"})
    db.profiles.insert_one({"_id": "ana", "opinions": []})
    db.mixes.insert_one({"_id": "ana", "lists": [{"name": "discover", "items": []}]})
    event = {"user_id": "ana", "track_id": IDS[3], "action": "like", "offset": 7, "occurred_at": datetime.now(UTC)}
    write_deltalake(settings.lake.table("listening_events"), pa.Table.from_pylist([event, event | {"user_id": "bob"}]))
    exported = ana.get("/me/export")
    assert exported.headers["content-disposition"].startswith("attachment")
    known = exported.json()
    assert [each["offset"] for each in known["listening_events"]] == [7]
    assert known["listens"][0]["verdict"] == "like" and known["playlists"][0]["name"] == "mine"
    assert known["mixes"]["lists"][0]["name"] == "discover" and known["past_mixes"] == []
    assert known["recommendations"]["generation"] == 1 and known["places"]["position_ms"] == 5000
    assert "hash" not in exported.text and "argon2" not in exported.text
    assert ana.post("/me/forget", json={"name": "bob", "password": PASSWORD}).status_code == 422
    assert ana.post("/me/forget", json={"name": "ana", "password": "wrong"}).status_code == 401
    assert ana.post("/me/forget", json={"name": "ana", "password": PASSWORD}).status_code == 200
    for name in ("accounts", "profiles", "recommendations", "mixes", "places"):
        assert db[name].find_one({"_id": "ana"}) is None, name
    for name in ("listens", "playlists"):
        assert db[name].find_one({"user_id": "ana"}) is None, name
    assert db.recommendations.find_one({"_id": "bob"}) is not None
    assert DeltaTable(settings.lake.table("listening_events")).to_pyarrow_table()["user_id"].to_pylist() == ["bob"]
    assert ana.get("/listener").json()["user_id"] is None


def test_an_account_is_made_and_used_in_the_page(visit: Any) -> None:
    ana = visit()
    ana.page.click("#listener")
    ana.page.fill("#listener-name", "ana")
    ana.page.fill("#listener-password", "short")
    ana.page.click("#listener-new")
    expect(ana.page.locator("#listener-error")).to_have_text("Choose a password of at least 8 characters.")
    ana.page.fill("#listener-password", PASSWORD)
    ana.page.click("#listener-ok")
    expect(ana.page.locator("#listener-error")).to_contain_text("“Create account” registers this name")
    ana.page.click("#listener-new")
    expect(ana.page.locator("#listener-error")).to_contain_text("This name is already used here, without a password")
    ana.page.fill("#listener-password", "")
    ana.page.click("#listener-ok")
    expect(ana.page.locator("#listener")).to_have_text("ana")
    ana.page.click("#listener")
    ana.page.fill("#listener-password", PASSWORD)
    ana.page.get_by_role("button", name="Add a password").click()
    expect(ana.page.locator("#listener-dialog")).to_be_hidden()
    other = visit()
    other.page.click("#listener")
    other.page.fill("#listener-name", "ana")
    other.page.click("#listener-ok")
    expect(other.page.locator("#listener-error")).to_contain_text("Enter its password")
    other.page.click("#listener-guest")
    expect(other.page.locator("#listener")).to_have_text("Guest")
    ana.page.evaluate("location.hash = '#/settings'")
    ana.page.click("#forget")

    def answer_late(route: Any) -> None:
        answer = route.fetch()
        ana.look_for_news()  # by now the server tells that nobody is listening
        route.fulfill(response=answer)

    ana.page.route("**/me/forget", answer_late)
    before = len(ana.wrong)
    ana.page.fill("#forget-name", "ana")
    ana.page.fill("#forget-password", PASSWORD)
    ana.page.get_by_role("button", name="Delete", exact=True).click()
    expect(ana.page.locator("#listener")).to_have_text("Guest")
    expect(ana.page.locator("#forget-dialog")).to_be_hidden()
    ana.look_for_news()
    assert ana.wrong[before:] == [], "no page of a listener is asked for without one"
    ana.page.evaluate("location.hash = '#/you'")
    expect(ana.page.get_by_role("alert").filter(has_text="Nothing here yet")).to_be_visible()
    assert ana.wrong[before:] == []
    for each in (ana, other):
        each.wrong[:] = [said for said in each.wrong if not any(status in said for status in ("401", "409", "422"))]


def test_two_tabs_lose_nothing_of_one_playlist(db: Any) -> None:
    playlists = Playlists(db)
    made = playlists.create("ana", "Evening", ["t0"]).playlist_id
    with ThreadPoolExecutor(4) as tabs:
        added = list(tabs.map(lambda number: playlists.add_track("ana", made, f"t{number % 40}"), range(80)))
    assert all(added)
    playlist = playlists.get("ana", made)
    assert playlist is not None and sorted(playlist.tracks) == sorted(f"t{number}" for number in range(40))
    assert (playlist.tracks[0], playlist.revision) == ("t0", 80)
    assert playlists.remove_track("ana", made, "t0") and not playlists.remove_track("bob", made, "t1")
    with pytest.raises(PlaylistChanged, match="changed meanwhile"):
        playlists.update("ana", made, None, ["t5"], revision=80)
    assert playlists.update("ana", made, None, ["t5"], revision=81)
    full = playlists.create("ana", "Full", [f"t{number}" for number in range(MAX_PLAYLIST_TRACKS)]).playlist_id
    assert playlists.add_track("ana", full, "t3"), "it is there already"
    with pytest.raises(LimitExceeded, match="at most 10,000 tracks"):
        playlists.add_track("ana", full, "one too many")
    assert not playlists.add_track("ana", "none", "t3")


def test_a_playlist_of_an_earlier_version_can_be_changed(db: Any) -> None:
    db.playlists.insert_one({"_id": "old", "user_id": "ana", "name": "Old"})
    playlists = Playlists(db)
    assert playlists.update("ana", "old", None, ["a"], revision=0) and playlists.add_track("ana", "old", "b")
    assert playlists.get("ana", "old") == Playlist("old", "Old", ("a", "b"), 2)


def test_a_name_is_the_same_in_every_case(client: Client) -> None:
    ana, other = client(), client()
    assert enter(ana, name="Zoë").json()["user_id"] == "Zoë"
    assert enter(other, name="ZOË").json() | {"name": "Zoë", "user_id": "Zoë"} == enter(other, name="zoë").json()
    assert enter(other, name="zOË", password=PASSWORD, create=True).json()["name"] == "Zoë"
    eve = client()
    assert enter(eve, name="ZOË").status_code == 401
    assert enter(eve, name="zoë", password="another one", create=True).status_code == 409
    assert enter(eve, name="ZOË", password=PASSWORD).json()["user_id"] == "Zoë"
    assert eve.post("/me/forget", json={"name": "zoë", "password": PASSWORD}).status_code == 200
    assert enter(eve, name="ZOË").json()["user_id"] == "ZOË", "a name that is free again"


def test_listeners_of_before_keep_their_history_in_their_spelling(client: Client, db: Any) -> None:
    someone = client()
    assert enter(someone, name="ANA").json()["user_id"] == "ana", "who has a list"
    db.listens.insert_one({"_id": {"user": "Ana", "track": IDS[1]}, "user_id": "Ana"})
    assert enter(someone, name="Ana").json()["user_id"] == "Ana"
    assert enter(someone, name="ana").json()["user_id"] == "ana"


def test_a_guest_who_signs_up_keeps_the_history(client: Client, settings: Settings, db: Any, put: Lists) -> None:
    guest, eve = client(), client()
    user_id = enter(guest, guest=True).json()["user_id"]
    copy = dict(guest.cookies)
    guest.post("/events", json={"action": "like", "track_id": IDS[3]})
    taken = enter(guest, name="BOB", password=PASSWORD, create=True)
    assert taken.status_code == 409 and "This name is already used here" in taken.json()["error"]
    signed_up = enter(guest, name="Zoë", password=PASSWORD, create=True).json()
    assert (signed_up["user_id"], signed_up["name"]) == (user_id, "Zoë")
    assert (signed_up["is_guest"], signed_up["has_account"]) == (False, True)
    assert guest.get("/for-you").json()["opinions"] == {IDS[3]: "like"}
    assert "Zoë" in guest.get("/view/you").text and "guest-" not in guest.get("/view/you").text
    eve.cookies.update(copy)
    assert eve.get("/listener").json()["user_id"] is None, "a cookie of the guest opens the account no more"
    assert enter(eve, name="zoë", password=PASSWORD).json()["user_id"] == user_id
    put(user_id, [IDS[5]], 7)
    listed = command(settings, "ui.recommendations", "--user", "ZOË", "--format", "json")
    out, err = listed.communicate(timeout=ANSWER_S)
    assert (listed.returncode, err) == (0, "") and json.loads(out)["list"] == user_id
    assert eve.post("/me/forget", json={"name": "Zoë", "password": PASSWORD}).status_code == 200
    assert db.names.find_one({"user_id": user_id}) is None and db.accounts.find_one({"_id": user_id}) is None


def test_a_password_is_changed_and_reset(client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.auth.accounts.KEY_CACHE_S", 0.0)
    ana, tablet, eve = client(), client(), client()
    open_account(ana, "ana")
    enter(tablet, name="ana", password=PASSWORD)

    def change(password: str, new: str) -> int:
        return ana.post("/me/password", json={"password": password, "new_password": new}).status_code

    assert (change("wrong wrong", "another good one"), change(PASSWORD, "short")) == (401, 422)
    assert change(PASSWORD, "another good one") == 200
    assert ana.get("/listener").json()["user_id"] == "ana" and tablet.get("/listener").json()["user_id"] is None
    assert enter(eve, name="ana", password=PASSWORD).status_code == 401
    enter(eve, name="eve")
    assert eve.post("/me/password", json={"password": "", "new_password": PASSWORD}).status_code == 409

    def reset(name: str, password: str) -> tuple[int, str]:
        process = command(settings, "ui.accounts", "reset", name)
        out, err = process.communicate(f"{password}\n", timeout=ANSWER_S)
        return process.returncode, out + err

    assert reset("ana", "short") == (2, "accounts: Choose a password of at least 8 characters.\n")
    code, printed = reset("nobody", "a third good one")
    assert code == 1 and "there is no account 'nobody'" in printed
    code, printed = reset("ANA", "a third good one")
    assert code == 0 and "The password of ana has been changed" in printed and "third" not in printed
    assert ana.get("/listener").json()["user_id"] is None
    assert enter(ana, name="ana", password="a third good one").json()["has_account"]


def test_a_place_is_limited_before_anything_is_hashed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    eve = client()

    def fail(self: object, stored: str, password: str) -> None:
        hashed.append(password)
        raise VerifyMismatchError

    monkeypatch.setattr("argon2.PasswordHasher.verify", fail)
    answers = [enter(eve, name=f"name {number}", password=PASSWORD).status_code for number in range(40)]
    assert answers == [401] * 30 + [429] * 10 and len(hashed) == 30
