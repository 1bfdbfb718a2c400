"""Reactions happen in place, can be undone there, and move nothing under the finger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import pytest
from player_site import IDS, TITLES, Lists, Visit
from playwright.sync_api import expect

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}


@pytest.fixture
def ana(visit: Any, request: pytest.FixtureRequest) -> Visit:
    ana: Visit = visit("ana", **getattr(request, "param", {}))
    ana.wait_for(lambda: ana.order == IDS[2:8] and ana.page.evaluate("document.getAnimations().length === 0"))
    return ana


def card(visit: Visit, number: int) -> Any:
    return visit.page.locator(f'#for-you .card[data-track-id="{IDS[number]}"]')


def boxes(visit: Visit) -> list[tuple[float, ...]]:
    script = """cards => cards.map(card => card.getBoundingClientRect()).map(({x, y, width, height}) => [x, y, width, height])"""
    return [tuple(box) for box in visit.cards.evaluate_all(script)]


def test_a_reaction_stays_on_its_card_with_its_undo(ana: Visit, put: Lists, events: Any) -> None:
    before = boxes(ana)
    ana.choose(card(ana, 3), "Dislike")
    expect(card(ana, 3).locator(".reaction")).to_contain_text("Disliked")
    put("ana", [*IDS[8:11], IDS[4]], 2)  # as the stream answers: without the track
    expect(ana.page.locator("#list-update")).to_contain_text("Updated: 3 new")
    assert (ana.order, boxes(ana)) == (IDS[2:8], before), "nothing has moved"
    card(ana, 3).locator("[data-action=undo-reaction]").click()
    expect(card(ana, 3).locator(".reaction")).to_have_count(0)
    assert (ana.order, boxes(ana)) == (IDS[2:8], before)
    assert [(event["action"], event["track_id"]) for event in events(2)] == [("dislike", IDS[3]), ("unlike", IDS[3])]
    ana.page.reload()
    expect(ana.cards.first).to_be_visible()
    expect(ana.page.locator(".reaction")).to_have_count(0)


def test_a_reaction_is_on_every_card_of_the_track_and_undo_brings_back_what_stood_before(
    ana: Visit, events: Any
) -> None:
    card(ana, 3).locator("[data-action=like]").click()
    shelf = ana.page.locator(f'#home-more .card[data-track-id="{IDS[3]}"]').first
    expect(shelf.locator("[data-action=like]")).to_have_attribute("aria-pressed", "true")
    ana.choose(card(ana, 3), "Dislike")
    expect(shelf.locator(".reaction")).to_contain_text("Disliked")
    expect(shelf.locator("[data-action=like]")).to_have_attribute("aria-pressed", "false")
    shelf.locator("[data-action=undo-reaction]").click()
    expect(card(ana, 3).locator("[data-action=like]")).to_have_attribute("aria-pressed", "true")
    assert [event["action"] for event in events(3)] == ["like", "dislike", "like"]


def test_the_second_enter_on_the_same_spot_is_for_the_same_track(ana: Visit, put: Lists, events: Any) -> None:
    card(ana, 3).locator("[data-action=like]").focus()
    ana.page.keyboard.press("Enter")
    put("ana", IDS[8:], 2)
    expect(ana.page.locator("#list-update")).to_contain_text("Updated")
    ana.page.keyboard.press("Enter")
    assert [(event["action"], event["track_id"]) for event in events(2)] == [("like", IDS[3]), ("unlike", IDS[3])]


@pytest.mark.parametrize("place", ["menu", "bar"])
def test_the_undo_of_a_dislike_stays_when_another_track_starts(ana: Visit, put: Lists, place: str) -> None:
    ana.play(IDS[2])
    put("ana", [IDS[9], *IDS[4:8]], 2)
    expect(ana.page.locator("#list-update")).to_contain_text("Updated")
    if place == "menu":
        ana.choose(card(ana, 2), "Dislike")  # of the track that plays: the next one starts
    else:
        ana.page.click("#dislike-now")
    ana.wait_for(lambda: ana.page.text_content("#now-title") == TITLES[3])
    expect(card(ana, 2).locator("[data-action=undo-reaction]")).to_be_visible()
    assert ana.order == IDS[2:8]


@pytest.mark.parametrize("width", [700, 1280, 1920])
def test_an_update_moves_nothing_for_a_newcomer_either(visit: Any, put: Lists, width: int) -> None:
    newcomer: Visit = visit("newcomer", viewport={"width": width, "height": 900})
    head = newcomer.page.locator("#for-you .section-head")
    expect(head.locator("p")).to_contain_text("tap five you like")
    parts = [head.locator("h2"), head.locator("p"), head.locator(".pill"), newcomer.page.locator("#steering")]
    for part in parts:
        expect(part).to_be_visible()
    before = boxes(newcomer)
    drawn = [part.bounding_box() for part in parts]
    assert not [(a, b) for a, b in combinations(drawn, 2) if overlap(a, b)]
    put("newcomer", IDS[5:11], 2)
    expect(newcomer.page.locator("#list-update")).to_contain_text("Updated")
    assert boxes(newcomer) == before
    assert not [
        box for box in (drawn[0], *drawn[2:]) if overlap(box, newcomer.page.locator("#list-update").bounding_box())
    ]


def overlap(one: Any, other: Any) -> bool:
    """Whether two boxes have a point in common."""
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "width"), ("y", "height"))
    )


@pytest.mark.parametrize("ana", [PHONE], indirect=True, ids=["phone"])
def test_the_second_tap_on_the_same_spot_is_for_the_same_track(ana: Visit, put: Lists, events: Any) -> None:
    box = card(ana, 3).locator("[data-action=like]").bounding_box()
    assert box is not None
    spot = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    ana.page.touchscreen.tap(*spot)
    expect(card(ana, 3).locator("[data-action=like]")).to_have_attribute("aria-pressed", "true")
    put("ana", IDS[8:], 2)
    expect(ana.page.locator("#list-update")).to_contain_text("Updated")
    ana.page.touchscreen.tap(*spot)
    assert [(event["action"], event["track_id"]) for event in events(2)] == [("like", IDS[3]), ("unlike", IDS[3])]
    ana.choose(card(ana, 4), "Dislike")
    expect(card(ana, 4).locator(".reaction")).to_be_in_viewport(ratio=1)
    expect(ana.page.locator("#toast")).not_to_have_class("is-shown")  # it would cover what it tells of
    card(ana, 4).locator("[data-action=undo-reaction]").tap()
    expect(card(ana, 4).locator(".reaction")).to_have_count(0)


def test_a_new_list_comes_at_the_next_track_out_of_sight_or_when_asked_for(ana: Visit, put: Lists) -> None:
    ana.play(IDS[2])
    put("ana", [IDS[9], *IDS[3:6]], 2)
    expect(ana.page.locator("#list-update")).to_have_text("Updated: 1 newShow")
    assert ana.order == IDS[2:8]
    ana.show_new_list([IDS[9], *IDS[3:6]])
    expect(card(ana, 9)).to_have_attribute("data-change", "new")
    expect(ana.page.locator("#list-update button")).to_have_count(0)
    put("ana", IDS[4:8], 3)
    expect(ana.page.locator("#list-update")).to_contain_text("Updated: 2 new")
    ana.page.click("#nav a[href='#/map']")
    ana.wait_for(lambda: ana.order == IDS[4:8])
    ana.page.click("#nav a[href='#/']")
    put("ana", IDS[2:8], 4)
    expect(ana.page.locator("#list-update")).to_contain_text("Updated: 2 new")
    ana.page.evaluate("document.getElementById('audio').currentTime = 19.5")  # it ends, and the next one starts
    ana.wait_for(lambda: ana.page.text_content("#now-title") == TITLES[4] and ana.order == IDS[2:8])


def opinion(number: int, minutes: int, **state: str) -> dict[str, Any]:
    """A document of `listens` of ana, of so many minutes ago."""
    at = datetime.now(UTC) - timedelta(minutes=minutes)
    times = {f"{name}_at": at for name in state}
    return {"_id": {"user": "ana", "track": IDS[number]}, "user_id": "ana", **state, **times}


def row(visit: Visit, number: int) -> Any:
    return visit.page.locator(f'#reactions .card[data-track-id="{IDS[number]}"]')


def test_every_reaction_is_listed_and_can_be_taken_back(ana: Visit, db: Any, events: Any) -> None:
    listens = [opinion(2, 5, verdict="like"), opinion(3, 4, verdict="dislike"), opinion(5, 3, verdict="like")]
    db.listens.insert_many(
        [*listens, opinion(6, 2, wish="more"), opinion(7, 1, wish="less"), opinion(8, 1, verdict="")]
    )
    muted = ["artist:Band 1", "genre:Polka"]
    db.profiles.insert_one({"_id": "ana", "muted": muted, "updated_at": datetime.now(UTC), "events_applied": 9})
    ana.page.evaluate("location.hash = '#/reactions'")
    cards = ana.page.locator("#reactions .card")
    expect(cards).to_have_count(2)
    assert cards.evaluate_all("rows => rows.map(row => row.dataset.trackId)") == [IDS[5], IDS[2]], "the latest first"
    tabs = ana.page.locator("#reactions nav a")
    expect(tabs).to_have_text(
        ["Likes 2", "Dislikes 1", "More like this 1", "Less like this 1", "Muted 2"], use_inner_text=True
    )
    ana.look_for_news()
    heart = row(ana, 2).locator("[data-action=like]")
    expect(heart).to_have_attribute("aria-pressed", "true")
    heart.click()
    expect(heart).to_have_attribute("aria-pressed", "false")
    expect(cards).to_have_count(2)  # it stays where it is, to be liked again
    for tab, number in (("Dislikes", 3), ("More like this", 6), ("Less like this", 7)):
        tabs.filter(has_text=tab).click()
        row(ana, number).locator("[data-action=undo-reaction]").click()
        expect(row(ana, number).locator(".reaction")).to_have_count(0)
        expect(row(ana, number)).to_be_visible()
    tabs.filter(has_text="Muted").click()
    unmute = ana.page.get_by_role("button", name="Unmute Band 1")
    unmute.click()
    expect(ana.page.get_by_role("button", name="Mute again Band 1")).to_be_visible()
    taken_back = [(event["action"], event.get("track_id") or event["target"]) for event in events(5)]
    assert taken_back == [
        ("unlike", IDS[2]),
        ("unlike", IDS[3]),
        ("neutral", IDS[6]),
        ("neutral", IDS[7]),
        ("unmute", "artist:Band 1"),
    ]
    ana.page.evaluate("location.hash = '#/reactions/dislike'")
    expect(ana.page.locator("#reactions .hint")).to_contain_text("No dislikes")


def test_many_likes_come_in_pages(ana: Visit, db: Any, sounds: Any) -> None:
    ids = [f"liked {number:03}" for number in range(230)]
    db.tracks.insert_many([{"_id": each, "title": each, "library": str(sounds)} for each in ids])
    at = datetime.now(UTC)
    db.listens.insert_many(
        [
            {
                "_id": {"user": "ana", "track": each},
                "user_id": "ana",
                "verdict": "like",
                "verdict_at": at - timedelta(seconds=number),
            }
            for number, each in enumerate(ids)
        ]
    )
    ana.page.evaluate("location.hash = '#/reactions/like'")
    titles = ana.page.locator("#reactions .card .title")
    expect(titles).to_have_count(100)
    for first in (100, 200):
        ana.page.get_by_role("link", name="Next").click()
        expect(titles.first).to_have_text(ids[first])
    expect(titles).to_have_count(30)
    expect(ana.page.locator("#reactions .pages")).to_contain_text("201–230 of 230")


def test_a_newcomer_taps_five_tracks(visit: Any, events: Any) -> None:
    nobody = visit()
    nobody.page.click("#for-you a[href='#/start']")
    expect(nobody.page.locator("#page-head")).to_have_text("Tap five you like")
    done = nobody.page.locator("#start-done")
    expect(done).to_have_text("Skip")
    covers = nobody.page.locator(".pick .cover")
    expect(covers).to_have_count(6)  # all of the list for new listeners
    for number in range(5):
        covers.nth(number).click()
        expect(covers.nth(number)).to_have_attribute("aria-pressed", "true")
    expect(nobody.page.locator("#start-progress")).to_have_text("For you is ready.")
    read = events(5)
    assert [(event["action"], event["track_id"], event["source"]) for event in read] == [
        ("like", track_id, "start") for track_id in IDS[:5]
    ]
    assert len({event["user_id"] for event in read}) == 1
    done.click()
    expect(nobody.page.locator("#for-you .card").first).to_be_visible()
