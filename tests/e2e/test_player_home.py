"""The frame of the page and home in a browser: few Tabs to the player, Back to the same place, keys, cards, tabs of a phone."""

from __future__ import annotations

from typing import Any

import pytest
from player_site import IDS, MARK_SHELVES, Visit
from playwright.sync_api import Route, expect

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
LONG = "Quartet in B-flat, Op. 1 No. 1: Second Menuetto"


@pytest.fixture
def ana(visit: Any, db: Any, request: pytest.FixtureRequest) -> Visit:
    db.tracks.update_one({"_id": IDS[3]}, {"$set": {"title": LONG}})
    ana: Visit = visit("ana", **getattr(request, "param", {}))
    ana.wait_for(lambda: ana.order == IDS[2:8])
    return ana


def focused(visit: Visit) -> str:
    return str(visit.page.evaluate("document.activeElement.id || document.activeElement.textContent"))


def test_two_tabs_and_enter_lead_to_the_player_or_the_content(ana: Visit) -> None:
    page = ana.page
    page.reload()
    expect(ana.cards.first).to_be_visible()
    page.keyboard.press("Tab")
    assert focused(ana) == "Skip to content"
    expect(page.locator("#skip-links a").first).to_be_in_viewport(ratio=1)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert focused(ana) == "play-pause" and page.evaluate("location.hash").strip("#/") == ""
    page.locator("#skip-links a").first.focus()
    page.keyboard.press("Enter")
    assert focused(ana) == "For you"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#content') !== null")


def test_back_leads_to_the_same_place_and_the_same_button(ana: Visit) -> None:
    page = ana.page
    link = page.locator(f'#home-more .card[data-track-id="{IDS[8]}"] .title a').first
    link.focus()
    place = page.evaluate("scrollY")
    page.keyboard.press("Enter")
    expect(page.locator("#page-head")).to_be_focused()
    assert page.evaluate("scrollY") == 0
    page.go_back()
    expect(link).to_be_focused()
    ana.wait_for(lambda: abs(page.evaluate("scrollY") - place) < 3)


def test_back_finds_its_button_also_where_the_shelves_are_asked_for_again_meanwhile(ana: Visit) -> None:
    page = ana.page
    ana.play(IDS[2])
    link = page.locator(f'#home-more .card[data-track-id="{IDS[8]}"] .title a').first
    link.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#page-head")).to_be_focused()
    held: list[Route] = []
    page.route("**/view/home", lambda route: held.append(route))
    page.evaluate(MARK_SHELVES)
    page.go_back()
    ana.wait_for(lambda: len(held) == 1)
    page.evaluate("document.getElementById('next').click()")  # the shelves are renewed once a track has begun
    ana.wait_for(lambda: len(held) == 2)
    for route in held:
        with page.expect_response("**/view/home"):
            route.continue_()
    expect(page.locator("#shelves-before")).to_have_count(0)
    expect(link).to_be_focused()


def test_keys_like_seek_change_the_volume_and_list_themselves(ana: Visit, events: Any) -> None:
    page = ana.page
    ana.play(IDS[2])
    page.mouse.click(5, 400)  # beside everything
    page.keyboard.press("ArrowRight")
    ana.wait_for(lambda: ana.seconds > 9)
    page.keyboard.press("ArrowLeft")
    ana.wait_for(lambda: ana.seconds < 9)
    volume = float(page.input_value("#volume"))
    page.keyboard.press("-")
    ana.wait_for(lambda: float(page.input_value("#volume")) == volume - 5)
    page.keyboard.press("l")
    expect(page.locator("#like-now")).to_have_attribute("aria-pressed", "true")
    assert {event["action"] for event in events(2)} == {"play", "like"}
    page.keyboard.press("?")
    expect(page.locator("#keys-dialog")).to_contain_text("Forward 10 seconds")
    page.keyboard.press("Escape")
    page.evaluate("location.hash = '#/settings'")
    page.click("#letters")
    expect(page.locator("#letters")).to_have_attribute("aria-pressed", "false")
    page.mouse.click(5, 400)
    page.keyboard.press("?")
    expect(page.locator("#keys-dialog")).to_be_hidden()
    expect(page.locator("#view a", has_text="Service status")).to_be_visible()


def test_a_card_keeps_the_end_of_its_title_and_has_one_stop_for_tab(ana: Visit) -> None:
    card = ana.page.locator(f'#for-you .card[data-track-id="{IDS[3]}"]')
    expect(card.locator(".title")).to_have_attribute("title", LONG)
    expect(card.locator(".title .tail")).to_have_text("Second Menuetto")
    expect(card.locator(".title .tail")).to_be_in_viewport(ratio=1)
    expect(card.locator(".artist")).to_contain_text("0:20")
    reachable = "cards => cards.filter(card => card.querySelector('[data-action=like]').tabIndex === 0).length"
    assert ana.cards.evaluate_all(reachable) == 1
    ana.cards.first.locator("[data-action=like]").focus()
    ana.page.keyboard.press("Tab")
    ana.page.keyboard.press("Shift+Tab")  # the keyboard is in use
    ana.page.keyboard.press("ArrowRight")
    expect(card.locator("[data-action=like]")).to_be_focused()
    ana.page.keyboard.press("End")
    expect(ana.cards.last.locator("[data-action=like]")).to_be_focused()
    assert ana.cards.evaluate_all(reachable) == 1


def test_a_reason_that_many_cards_have_stands_on_the_first_alone(ana: Visit) -> None:
    assert ana.cards.locator(".reason").all_text_contents() == ["close, 1", "", "", "", "", ""]


@pytest.mark.parametrize("ana", [PHONE], indirect=True, ids=["phone"])
def test_a_phone_has_tabs_below_and_the_other_pages_in_a_menu(ana: Visit) -> None:
    page = ana.page
    tabs = page.locator("#nav .tab:visible")
    assert tabs.count() >= 3
    box, bar = page.locator("#nav").bounding_box(), page.locator("#player").bounding_box()
    assert box is not None and bar is not None
    assert box["y"] + box["height"] == 844 and bar["y"] + bar["height"] <= box["y"]
    page.locator("#more-pages").tap()
    page.get_by_role("menuitem", name="Settings").tap()
    expect(page.locator("#page-head")).to_have_text("Settings")
    expect(page.locator("#more-pages")).to_have_class("is-current")
    page.locator("#nav a", has_text="Home").tap()
    expect(ana.cards.first).to_be_visible()


def test_new_music_is_told_and_shown_without_a_reload(ana: Visit, db: Any) -> None:
    expect(ana.page.locator("#library-size")).to_be_attached()
    song = db.tracks.find_one({"_id": IDS[0]})
    db.tracks.insert_many(
        [song | {"_id": "f" * 15 + str(n), "title": f"Fresh {n}", "genre": "Zydeco"} for n in range(2)]
    )
    expect(ana.page.locator("#toast")).to_contain_text("2 tracks added to your library.")


def test_new_music_is_told_also_by_a_home_that_was_opened_for_another_reason(ana: Visit, db: Any) -> None:
    ana.page.evaluate("location.hash = '#/settings'")
    expect(ana.page.locator("#page-head")).to_have_text("Settings")
    song = db.tracks.find_one({"_id": IDS[0]})
    db.tracks.insert_one(song | {"_id": "f" * 15 + "0", "title": "Fresh"})
    ana.page.evaluate("location.hash = '#/'")  # sooner than the news of the library renews home
    expect(ana.page.locator("#toast")).to_contain_text("1 track added to your library.")


@pytest.mark.parametrize("page", ["tracks?sort=title", "albums?order=name", "albums?order=random", "artists", "genres"])
def test_an_open_list_offers_new_music_and_moves_nothing_by_itself(ana: Visit, db: Any, page: str) -> None:
    db.albums.insert_many({"_id": f"{n:016x}", "title": f"Old {n}", "sort_title": f"old {n}"} for n in range(3))
    db.artists.insert_many({"_id": f"{n:016x}", "name": f"Old {n}", "sort_name": f"old {n}"} for n in range(3))
    ana.page.evaluate(f"location.hash = '#/{page}'")
    entries = ana.page.locator("#view [role=list] > li")
    expect(entries.first).to_be_visible()
    ana.wait_for(lambda: ana.page.locator("#page-head").evaluate("head => head === document.activeElement"))
    links = ana.page.locator("#view [role=list] > li a").first
    links.focus()
    boxes = "entries => entries.map(entry => [entry.textContent, entry.getBoundingClientRect().y])"
    before = entries.evaluate_all(boxes)
    song = db.tracks.find_one({"_id": IDS[0]})
    db.tracks.insert_many(
        song | {"_id": "f" * 15 + str(n), "title": f"A Fresh {n}", "genre": "Zydeco"} for n in range(2)
    )
    db.albums.insert_one({"_id": "f" * 16, "title": "A Fresh album", "sort_title": "a fresh album"})
    db.artists.insert_one({"_id": "f" * 16, "name": "A Fresh artist", "sort_name": "a fresh artist"})
    news = ana.page.locator("#list-news")
    expect(news).to_contain_text("New music", timeout=20_000)
    expect(news).to_be_in_viewport(ratio=1)
    assert entries.evaluate_all(boxes) == before
    expect(links).to_be_focused()
    news.get_by_role("button", name="New music. Show it").click()
    expect(news).to_have_count(0)
    fresh = "Zydeco" if page == "genres" else "A Fresh"
    expect(entries.filter(has_text=fresh).first).to_be_visible()
    expect(ana.page.locator("#page-head")).to_be_focused()


def test_a_list_without_music_shows_the_first_by_itself(ana: Visit, db: Any) -> None:
    ana.page.evaluate("location.hash = '#/artists'")
    expect(ana.page.locator("#page-head")).to_have_text("Artists")
    entries = ana.page.locator("#view [role=list] > li")
    assert entries.count() == 0
    db.artists.insert_one({"_id": "f" * 16, "name": "Fresh", "sort_name": "fresh"})
    expect(entries).to_have_count(1, timeout=20_000)
    expect(ana.page.locator("#list-news")).to_have_count(0)


@pytest.mark.parametrize("ana", [PHONE], indirect=True, ids=["phone"])
def test_on_a_phone_the_line_of_new_music_lies_beside_the_heading(ana: Visit, db: Any) -> None:
    db.artists.insert_many({"_id": f"{n:016x}", "name": f"Old {n}", "sort_name": f"old {n}"} for n in range(2000))
    ana.page.evaluate("location.hash = '#/artists'")
    expect(ana.page.locator("#page-head")).to_have_text("Artists")
    db.artists.insert_one({"_id": "f" * 16, "name": "Fresh", "sort_name": "fresh"})
    news, head = ana.page.locator("#list-news"), ana.page.locator("#page-head")
    expect(news).to_be_in_viewport(ratio=1, timeout=20_000)
    assert head.evaluate("head => head.getBoundingClientRect().right") <= news.evaluate(
        "news => news.getBoundingClientRect().left"
    )
    assert ana.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_what_was_just_played_is_on_home(ana: Visit) -> None:
    ana.play(IDS[2])
    ana.play(IDS[4])
    expect(ana.page.locator(f'#recent .card[data-track-id="{IDS[2]}"]')).to_be_attached()
