"""Steering in a browser: each wish reaches Kafka as an event that the stream takes, and can be undone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from player_site import EVIL, IDS, TITLES, Visit
from playwright.sync_api import expect

from streaming.events import parse


@pytest.fixture
def said(events: Any) -> Any:
    """The first n events as (action, track number or target), each checked by the stream's own rule."""

    def said(count: int) -> list[tuple[str, Any]]:
        read = events(count)
        for event in read:
            parse(
                json.dumps({name: value for name, value in event.items() if name != "key"}).encode(), datetime.now(UTC)
            )
        return [(each["action"], each.get("target") or IDS.index(each["track_id"])) for each in read]

    return said


def menu(visit: Visit, number: int, entry: str) -> None:
    visit.page.locator(f'#for-you .card[data-track-id="{IDS[number]}"] [data-action=menu]').click()
    visit.page.locator("#menu button", has_text=entry).click()


def undo(visit: Visit) -> None:
    visit.page.click("#undo")


def undo_on_card(visit: Visit, number: int) -> None:
    visit.page.locator(f'#for-you .card[data-track-id="{IDS[number]}"] [data-action=undo-reaction]').click()


def test_more_and_less_are_said_and_undone(ana: Visit, said: Any) -> None:
    menu(ana, 3, "More like this")
    card = ana.page.locator(f'#for-you .card[data-track-id="{IDS[3]}"]')
    expect(card.locator(".reaction")).to_contain_text("More like this")
    undo_on_card(ana, 3)
    menu(ana, 3, "Less like this")
    menu(ana, 3, "More like this")  # instead of less
    expect(card).to_have_attribute("data-reaction", "more")
    menu(ana, 3, "More like this")  # saying it again takes it back
    expect(card).to_have_attribute("data-reaction", "")
    assert said(5) == [("more", 3), ("neutral", 3), ("less", 3), ("more", 3), ("neutral", 3)]


def test_a_wish_that_is_taken_back_leaves_the_like(ana: Visit, said: Any) -> None:
    ana.page.locator(f'#for-you .card[data-track-id="{IDS[3]}"] [data-action=like]').click()
    menu(ana, 3, "More like this")
    undo_on_card(ana, 3)
    heart = ana.page.locator(f'#for-you .card[data-track-id="{IDS[3]}"] [data-action=like]')
    expect(heart).to_have_attribute("aria-pressed", "true")
    assert said(4) == [("like", 3), ("more", 3), ("neutral", 3), ("like", 3)]
    ana.page.reload()
    expect(heart).to_have_attribute("aria-pressed", "true")


def test_a_dislike_goes_on_and_can_be_undone(ana: Visit, said: Any) -> None:
    ana.play(IDS[2])
    ana.page.click("#dislike-now")
    ana.wait_for(lambda: ana.page.text_content("#now-title") == TITLES[3] and ana.seconds > 0.1)
    undo_on_card(ana, 2)
    assert said(5) == [("play", 2), ("dislike", 2), ("skip", 2), ("play", 3), ("unlike", 2)]


def test_artists_and_genres_are_muted_and_heard_again(ana: Visit, said: Any, db: Any) -> None:
    menu(ana, 3, "Mute genre")
    chip = ana.page.locator("#muted-chips .chip")
    expect(chip).to_have_text("Ambient ×")
    menu(ana, 4, "Mute artist")
    expect(chip).to_have_text(["Ambient ×", f"{EVIL} ×"])
    undo(ana)
    expect(chip).to_have_text(["Ambient ×"])
    assert said(3) == [("mute", "genre:Ambient"), ("mute", f"artist:{EVIL}"), ("unmute", f"artist:{EVIL}")]
    db.profiles.replace_one(
        {"_id": "ana"},
        {"opinions": [], "muted": ["genre:Ambient", "genre:Polka"], "adventure": 0.8, "updated_at": datetime.now(UTC)},
        upsert=True,
    )
    expect(chip).to_have_text(["Ambient ×", "Polka ×"])
    assert ana.page.input_value("#adventure") == "80"
    chip.nth(1).press("Enter")
    expect(chip).to_have_text(["Ambient ×"])
    assert said(4)[3] == ("unmute", "genre:Polka")
    ana.page.evaluate("location.hash = '#/reactions/muted'")
    ana.page.get_by_role("button", name="Unmute Ambient").click()
    assert said(5)[4] == ("unmute", "genre:Ambient")


def test_the_list_is_led_further_away_and_back_by_keyboard(ana: Visit, said: Any) -> None:
    slider = ana.page.locator("#adventure")
    expect(slider).to_have_attribute("aria-valuetext", "balanced")
    slider.focus()
    ana.page.keyboard.press("ArrowRight")
    expect(ana.page.locator("#toast")).to_contain_text("more adventurous")
    undo(ana)
    expect(slider).to_have_value("50")
    slider.focus()
    ana.page.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "very familiar")
    assert said(3) == [("adventure", "0.55"), ("adventure", "0.50"), ("adventure", "0.00")]


def test_the_page_leaves_the_list_to_the_stream(ana: Visit) -> None:
    """Muting hides no card by itself: the list changes when its document does."""
    menu(ana, 3, "Mute genre")
    ana.look_for_news(2)
    assert ana.order == IDS[2:8]


def test_a_guest_steers_without_a_name(visit: Any, events: Any) -> None:
    nobody = visit()
    nobody.page.locator("#adventure").focus()
    nobody.page.keyboard.press("End")
    (event,) = events(1)
    assert (event["action"], event["target"]) == ("adventure", "1.00") and event["user_id"].startswith("guest-")
    expect(nobody.page.locator("#listener-dialog")).to_be_hidden()
    expect(nobody.page.locator("#adventure")).to_have_value("100")
