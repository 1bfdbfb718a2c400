"""Every page for everybody: axe finds nothing serious, a phone shows it, the keyboard reaches it, the console is quiet."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from player_site import IDS, TITLES, Visit, serious_violations
from playwright.sync_api import expect

PAGES = ("", f"track/{IDS[4]}", "artist/Band%201", "genre/Ambient", "reactions", "reactions/muted", "start")
PAGES += ("you", "settings", "map", "sound", "status")
PAGES += ("playlists", "search?q=band")


@pytest.fixture
def ana(visit: Any, db: Any, request: pytest.FixtureRequest) -> Visit:
    """A listener with a taste, something playing, and something in the queue."""
    now = datetime.now(UTC)
    db.status.insert_one({"_id": "recommend", "at": now, "lag": 0})
    opinion = {"track_id": IDS[2], "title": "", "at": now.timestamp(), "session": 0.1, "lasting": 0.1}
    taste = {
        "centres": [{"weight": 1.0, "tracks": IDS[:2]}],
        "rejected": [IDS[9]],
        "muted": ["genre:Polka"],
        "adventure": 0.7,
    }
    db.profiles.insert_one({"_id": "ana", "opinions": [opinion], "events_applied": 1, "updated_at": now, **taste})
    ana: Visit = visit("ana", **request.param)
    ana.wait_for(lambda: ana.order == IDS[2:8])
    ana.play(IDS[2])
    ana.page.locator("#for-you .card").nth(2).locator("[data-action=menu]").click()
    ana.page.get_by_role("menuitem", name="Add to queue").click()
    ana.page.evaluate("document.getElementById('toast').classList.remove('is-shown')")
    return ana


IS_STILL = """document.getAnimations().every(
    animation => animation.playState !== "running" || animation.effect.getComputedTiming().iterations === Infinity)"""
"""Whether no colour or place is on its way to another one, by which axe would measure neither."""


def open_page(visit: Visit, page: str) -> None:
    visit.page.evaluate(f"location.hash = '#/{page}'")
    expect(visit.page.locator("#page-head" if page else "#for-you h2")).to_be_visible()
    visit.wait_for(lambda: visit.page.evaluate(IS_STILL))


@pytest.mark.parametrize(
    "ana", [{"color_scheme": "dark"}, {"color_scheme": "light"}], indirect=True, ids=["dark", "light"]
)
def test_axe_finds_nothing_serious_on_any_page(ana: Visit) -> None:
    said = {}
    for page in PAGES:
        open_page(ana, page)
        said[page] = serious_violations(ana)
    ana.page.evaluate("location.hash = '#/'")
    ana.page.locator("#search input").fill("band")
    expect(ana.page.locator("#view .card").first).to_be_visible()
    ana.page.click("#queue-toggle")
    said["search and queue"] = serious_violations(ana)
    ana.page.click("#queue-close")
    ana.page.click("#search-clear")
    ana.cards.first.locator("[data-action=menu]").click()
    said["menu"] = serious_violations(ana)
    ana.page.keyboard.press("Escape")
    ana.choose(ana.cards.first, "Why this track")
    expect(ana.page.locator("#why-dialog")).to_be_visible()
    said["why"] = serious_violations(ana)
    ana.page.keyboard.press("Escape")
    ana.page.click("#listener")
    said["listener"] = serious_violations(ana)
    assert {page: each for page, each in said.items() if each} == {}


PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}


@pytest.mark.parametrize("ana", [PHONE], indirect=True, ids=["phone"])
def test_a_phone_shows_every_page_within_its_width(ana: Visit) -> None:
    for page in PAGES:
        open_page(ana, page)
        wide = ana.page.evaluate(
            """() => [...document.querySelectorAll('#home *, #player *')].filter((one) => one.getClientRects().length
            && !one.closest('.shelf, .scroll, .orders, canvas, .words') && one.getBoundingClientRect().right > innerWidth + 1
            && getComputedStyle(one.parentElement).overflowX === 'visible')
            .slice(0, 5).map((one) => one.outerHTML.slice(0, 120))"""
        )
        assert wide == [] and ana.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, page
    ana.page.locator("#queue-toggle").tap()
    box = ana.page.locator("#queue-panel").bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390


@pytest.mark.parametrize("ana", [PHONE], indirect=True, ids=["phone"])
def test_a_phone_has_all_of_the_player_on_a_sheet(ana: Visit) -> None:
    page = ana.page
    hidden = ("#shuffle", "#repeat", "#volume", "#mute", "#dislike-now", "#menu-now", "#similar-now")
    for part in hidden:
        expect(page.locator(part)).to_be_hidden()
    page.locator("#sheet-open").tap()
    for part in (*hidden, "#seek", "#play-pause", "#like-now", "#queue-toggle", "#now-licence", "#sheet-close"):
        expect(page.locator(part)).to_be_in_viewport(ratio=1)
    assert serious_violations(ana) == []
    page.locator("#shuffle").tap()
    expect(page.locator("#shuffle")).to_have_attribute("aria-pressed", "true")
    page.locator("#queue-toggle").tap()
    expect(page.locator("#queue-close")).to_be_in_viewport()
    page.locator("#queue-close").tap()
    page.locator("#menu-now").tap()
    page.get_by_role("menuitem", name="Track details").tap()
    expect(page.locator("#page-head")).to_have_text(TITLES[2])
    expect(page.locator("#shuffle")).to_be_hidden()
    page.locator("#sheet-open").tap()
    page.keyboard.press("Escape")
    expect(page.locator("#shuffle")).to_be_hidden()
    assert page.evaluate("document.querySelector('gradio-app').inert") is False


@pytest.mark.parametrize("ana", [PHONE], indirect=True, ids=["phone"])
def test_a_message_on_a_phone_leaves_the_queue_free_and_can_be_closed(ana: Visit) -> None:
    page = ana.page
    ana.cards.first.locator("[data-action=menu]").tap()
    page.get_by_role("menuitem", name="Mute genre").tap()
    expect(page.locator("#undo")).to_be_visible()
    page.locator("#queue-toggle").tap()
    boxes = [page.locator(place).bounding_box() for place in ("#toast", "#queue-panel")]
    assert boxes[0] is not None and boxes[1] is not None
    assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]
    page.locator("#toast-close").tap()
    expect(page.locator("#toast")).not_to_have_class("is-shown")


@pytest.mark.parametrize("ana", [PHONE], indirect=True, ids=["phone"])
def test_two_fingers_move_the_map_and_one_scrolls_the_page(ana: Visit) -> None:
    page = ana.page
    open_page(ana, "map")
    expect(page.locator(".by-touch")).to_be_visible()
    expect(page.locator(".by-mouse")).to_be_hidden()
    page.wait_for_timeout(500)  # until the map has been drawn: pictures of it are compared below
    box = page.locator("#map").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + 120
    touch = page.context.new_cdp_session(page)

    def fingers(kind: str, *spots: tuple[float, float]) -> None:
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": a, "y": b} for a, b in spots]})

    before = page.locator("#map").screenshot()  # which may scroll it into view
    scrolled = page.evaluate("scrollY")
    fingers("touchStart", (x - 20, y))
    fingers("touchStart", (x - 20, y), (x + 20, y))
    for apart in (40, 60, 90):
        fingers("touchMove", (x - apart, y), (x + apart, y))
    fingers("touchEnd")
    ana.wait_for(lambda: page.locator("#map").screenshot() != before)
    assert page.evaluate("scrollY") == scrolled
    fingers("touchStart", (x, y + 60))
    for moved in (20, 50, 90):
        fingers("touchMove", (x, y + 60 - moved))
    fingers("touchEnd")
    ana.wait_for(lambda: page.evaluate("scrollY") > scrolled + 20)
    assert page.text_content("#now-title") == TITLES[2], "no track was tapped"


@pytest.mark.parametrize("ana", [{}], indirect=True, ids=["desktop"])
def test_the_keyboard_alone_reaches_everything(ana: Visit) -> None:
    page = ana.page
    page.evaluate("document.body.focus(); scrollTo(0, 0)")
    reached = set()
    for _ in range(180):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(one => one.id || one.dataset.action || one.closest('[id]')?.id || one.tagName)(document.activeElement)"
            )
        )
    needed = {"theme", "listener", "adventure", "like", "menu", "nav", "play-pause", "skip-links"}
    assert needed <= reached | {"seek"}, needed - reached
    first = ana.cards.first
    first.locator("[data-action=menu]").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.textContent") == "Add to playlist …"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.action") == "menu", "the focus goes back"
    page.locator("#queue-toggle").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "queue-toggle"
    page.locator("#nav a", has_text="History").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#page-head")).to_be_focused()
    assert page.evaluate("document.querySelector('#nav a[aria-current]').textContent") == "History"
    page.keyboard.press("Shift+ArrowRight")
    ana.wait_for(lambda: page.text_content("#now-title") == TITLES[4])


@pytest.mark.parametrize("ana", [{"reduced_motion": "reduce"}], indirect=True, ids=["calm"])
def test_who_wants_no_motion_gets_none(ana: Visit, put: Any) -> None:
    ana.page.evaluate(
        "() => { window.moved = 0; Element.prototype.animate = function () { moved += this.matches('.card'); }; }"
    )
    put("ana", list(reversed(IDS[2:8])), 2)
    ana.show_new_list(list(reversed(IDS[2:8])))
    assert ana.page.evaluate("moved") == 0
