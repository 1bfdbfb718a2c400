"""Search in the browser: groups, typing errors, an address of its own, all results, Back to the same place."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from player_site import ANSWER_S, EVIL, IDS, Visit
from playwright.sync_api import expect

from batch.discography.names import artist_id, digest

pytestmark = pytest.mark.e2e

ECHOES = 230


@pytest.fixture
def catalogue(catalogue: None, db: Any, sounds: Path) -> None:
    """The dozen tracks, 230 more, their artists and albums."""
    root = str(sounds)
    album = digest("echoes")
    db.tracks.insert_many(
        [
            {
                "_id": f"x{n:03}",
                "title": f"Echo {n:03}",
                "artist": "Brahms",
                "album": "Echoes",
                "album_id": album,
                "library": root,
            }
            for n in range(ECHOES)
        ]
    )
    db.albums.insert_many(
        [
            {"_id": album, "title": "Echoes", "artist": "Brahms", "tracks": ECHOES, "year": 1998, "library": root},
            {"_id": digest("hours"), "title": "Hours", "artist": "Band 0", "tracks": 12, "library": root},
            {"_id": digest("evil"), "title": EVIL, "artist": EVIL, "tracks": 1, "library": root},
        ]
    )
    names = ["Brahms", "Band 0", "Band 1", "Band 2", "Band 3", EVIL]
    db.artists.insert_many([{"_id": artist_id(name), "name": name, "tracks": 3, "library": root} for name in names])


def field(visit: Visit) -> Any:
    return visit.page.locator("#search input")


def test_search_finds_as_one_types_and_what_is_found_plays(visit: Any, events: Any) -> None:
    ana = visit("ana")
    query = field(ana)
    query.press_sequentially("hou")
    expect(ana.page.locator("#view .card")).to_have_count(6)
    query.fill("mörk band")
    expect(ana.page.locator("#view .card")).to_have_count(1)
    ana.page.locator("#view .card .cover").click()
    ana.wait_for(lambda: ana.seconds > 0.3)
    assert ana.page.text_content("#now-title") == "Mörk"
    (event,) = events(1)
    assert (event["action"], event["source"], event["track_id"]) == ("play", "search", IDS[7])
    query.fill(".*")
    expect(ana.page.locator("#view")).to_contain_text("No results for “.*”")
    query.fill("")
    expect(ana.page.locator("#view .card")).to_have_count(0)
    expect(ana.cards.first).to_be_visible()


def test_a_typing_error_is_forgiven_and_results_come_in_groups(visit: Any) -> None:
    ana = visit("ana")
    field(ana).fill("bramhs")
    page = ana.page.locator("#search-page")
    expect(page.locator(".hint")).to_have_text("No results for “bramhs”. Showing results for brahms.")
    expect(page.locator(".best b")).to_have_text("Brahms")
    expect(page.locator(".group-head")).to_have_text(["Top result", "Tracks", "Albums"])
    expect(page.locator("#found-albums .album-card h3")).to_have_text(["Echoes"])
    assert ana.page.evaluate("location.hash") == "#/search?q=bramhs"
    field(ana).fill("echos brahsm")  # words in any order, each with an error
    page = ana.page.locator('#search-page[data-query="echos brahsm"]')
    expect(page.locator(".hint")).to_have_text("No results for “echos brahsm”. Showing results for echo brahms.")
    expect(page.locator(".best b")).to_have_text("Echoes")
    expect(page.locator(".group-head")).to_have_text(["Top result", "Tracks"])  # the top result is the only album


def test_results_have_an_address_and_back_leads_to_the_same_place(visit: Any) -> None:
    ana = visit("ana", is_new=True)  # a window that other tests have used may have as many entries as a browser keeps
    ana.page.evaluate("location.hash = '#/you'")
    expect(ana.page.locator("#page-head")).to_have_text("Your music")
    entries = ana.page.evaluate("history.length")
    field(ana).press_sequentially("echo")
    cards = ana.page.locator('#search-page[data-query="echo"] .card')
    expect(cards).to_have_count(6)
    assert ana.page.evaluate("history.length") == entries + 1, "one entry, however much is typed"
    assert field(ana).input_value() == "echo" and ana.page.evaluate(
        "document.activeElement.closest('#search') !== null"
    )
    last = cards.last
    last.scroll_into_view_if_needed()
    place = ana.page.evaluate("scrollY")
    ana.page.click("#nav a[href='#/map']")
    expect(ana.page.locator("#page-head")).to_have_text("Taste map")
    assert field(ana).input_value() == ""
    ana.page.go_back()
    expect(cards).to_have_count(6)
    expect(field(ana)).to_have_value("echo")
    ana.wait_for(lambda: abs(ana.page.evaluate("scrollY") - place) <= 1)
    ana.page.go_back()
    expect(ana.page.locator("#page-head")).to_have_text("Your music")
    ana.page.goto(f"{ana.site}/#/search?q=echo%20007")
    expect(ana.page.locator("#search-page .card .title")).to_have_text(["Echo 007"])
    expect(field(ana)).to_have_value("echo 007")


def test_all_results_are_there(visit: Any) -> None:
    ana = visit("ana")
    field(ana).fill("echo")
    ana.page.get_by_role("link", name=f"Show all {ECHOES}").click()
    cards = ana.page.locator("#search-page .card")
    expect(cards.nth(39)).to_be_attached()  # the page has cut the list into blocks
    expect(ana.page.locator("#page-head + p")).to_have_text(f"{ECHOES} results")
    last = ana.page.locator("#search-page .card .title", has_text=f"Echo {ECHOES - 1}")

    def scroll_to_the_end() -> bool:
        ana.page.evaluate("scrollTo(0, 1e7)")
        return bool(last.count())

    ana.wait_for(scroll_to_the_end)
    expect(last).to_be_visible()


def test_escape_and_the_cross_lead_to_the_page_before(visit: Any) -> None:
    ana = visit("ana")
    ana.page.evaluate("location.hash = '#/you'")
    for leave in (
        lambda: field(ana).press("Escape"),
        lambda: ana.page.click("#search-clear"),
        lambda: field(ana).fill(""),
    ):
        field(ana).fill("band")
        expect(ana.page.locator("#search-page .card").first).to_be_visible()
        expect(ana.page).to_have_title("Search · Overtone")
        leave()
        expect(ana.page.locator("#page-head")).to_have_text("Your music")
        assert field(ana).input_value() == ""


def test_a_playlist_of_ones_own_is_found_and_nobody_elses(site: str) -> None:
    with (
        httpx.Client(base_url=site, headers={"Origin": site}, timeout=ANSWER_S) as ana,
        httpx.Client(base_url=site, timeout=ANSWER_S) as bob,
    ):
        ana.post("/listener", json={"name": "ana"}).raise_for_status()
        bob.post("/listener", json={"name": "bob"}, headers={"Origin": site}).raise_for_status()
        ana.post("/playlists", json={"name": "Quiet evenings", "tracks": [IDS[1]]}).raise_for_status()
        assert "Quiet evenings" in ana.get("/view/search?q=evenning quiet").text
        assert "Quiet evenings" not in bob.get("/view/search?q=quiet").text


@pytest.mark.parametrize(
    "query",
    ["", " ", ".*", "[a-z", "(" * 500, "a" * 9_000, "\x00", "😀", "%", EVIL, "{{ 7 * 7 }}", "é" * 300],
)
def test_odd_queries_get_a_page(site: str, query: str) -> None:
    response = httpx.get(f"{site}/view/search", params={"q": query}, timeout=ANSWER_S)
    assert response.status_code == 200 and "49" not in response.text
    assert "<script" not in response.text and "<img src=x" not in response.text


def test_a_wrong_group_or_part_is_refused(site: str) -> None:
    for wrong in ("group=everything", "group=tracks&limit=0", "group=tracks&offset=x", "q=" + "a" * 20_000):
        assert httpx.get(f"{site}/view/search?{wrong}", timeout=ANSWER_S).status_code == 422
    assert (
        "card" not in httpx.get(f"{site}/view/search?q=echo&group=tracks&offset=5000&limit=10", timeout=ANSWER_S).text
    )


def test_a_new_track_is_found_while_the_player_runs(visit: Any, db: Any, sounds: Path) -> None:
    ana = visit("ana")
    field(ana).fill("zanzibar")
    expect(ana.page.locator("#search-page")).to_contain_text("No results for “zanzibar”")
    db.tracks.insert_one({"_id": "new", "title": "Zanzibar", "library": str(sounds)})
    deadline = time.monotonic() + 20
    while not ana.page.locator("#search-page .card").count():
        assert time.monotonic() < deadline
        field(ana).fill("zanziba")
        field(ana).fill("zanzibar")
        ana.page.wait_for_timeout(500)
