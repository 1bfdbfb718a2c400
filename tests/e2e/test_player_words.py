"""Words for the sound in a browser, over a folder without a single tag: shelves of moods, search, a word's page, the map."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from player_site import IDS, Visit, serious_violations
from playwright.sync_api import expect
from test_player_access import open_page

from streaming.events import parse

MELLOW, SAD = IDS[:7], IDS[7:11]
WORDS = {
    track_id: [
        {"tag": "mellow" if track_id in MELLOW else "sad", "percentile": 99 - number},
        *([{"tag": "acoustic", "percentile": 86 + number}] if number % 2 else []),
        *([{"tag": "rock", "percentile": 86}] if number == 9 else []),
        *([{"tag": "metal", "percentile": 99}] if number == 10 else []),
    ]
    for number, track_id in enumerate(IDS[:11])
}


@pytest.fixture
def catalogue(catalogue: None, db: Any) -> None:
    """Files that have nothing but their names."""
    names = dict.fromkeys(("artist", "album", "genre", "genre_posterior", "licence"), "")
    db.tracks.update_many({}, {"$unset": names})
    for number, track_id in enumerate(IDS):
        fields = {"title": f"track {number}"} | ({"tags": WORDS[track_id]} if track_id in WORDS else {})
        db.tracks.update_one({"_id": track_id}, {"$set": fields})


def ids(visit: Visit, place: str) -> list[str]:
    return list(visit.page.locator(f"{place} .card").evaluate_all("cards => cards.map(card => card.dataset.trackId)"))


def search(visit: Visit, text: str) -> None:
    visit.page.locator("#search input").fill(text)


def test_home_has_a_shelf_of_a_mood_that_plays_and_leads_to_its_page(ana: Visit, events: Any) -> None:
    shelf = ana.page.locator(".mood-shelf")
    expect(shelf.locator("h2")).to_have_text(["Mellow"])  # four sad tracks are too few
    expect(shelf.locator(".section-head p")).to_have_text("7 tracks, the computer's guess from their sound")
    on_shelf = ids(ana, ".mood-shelf")
    assert sorted(on_shelf) == MELLOW
    shelf.get_by_role("button", name="Play mellow", exact=True).click()
    ana.wait_for(lambda: ana.seconds > 0.1)
    (play,) = events(1)
    assert (play["action"], play["track_id"], play["source"]) == ("play", on_shelf[0], "tag")
    shelf.get_by_role("link", name="More mellow").click()
    expect(ana.page.locator("#page-head")).to_have_text("Mellow")
    assert ids(ana, "#view") == MELLOW, "who stands highest comes first"


def test_words_are_searched_beside_names_and_radio_plays_on_from_them(ana: Visit) -> None:
    heads = ana.page.locator("#view .group-head")
    search(ana, "mellow acoustic")
    expect(heads).to_have_text(["Sounds like: mellow, acoustic"])
    assert sorted(ids(ana, "#view")) == [IDS[1], IDS[3], IDS[5]]
    search(ana, "Mellow track 3")
    expect(heads).to_have_text(["Sounds like: mellow and “track 3”"])
    assert ids(ana, "#view") == [IDS[3]]
    search(ana, "track 3")
    expect(heads).to_have_text(["Tracks"])
    search(ana, "sad")
    expect(heads).to_have_text(["Sounds like: sad"])
    ana.page.locator("#view").get_by_role("button", name="Start radio").click()
    ana.wait_for(lambda: ana.seconds > 0.1)
    queue = ana.page.evaluate("overtone.queue.list.map(track => track.id)")
    playing = ana.page.evaluate("overtone.player.track.id")
    assert sorted([playing, *queue]) == SAD
    search(ana, "chill")
    expect(ana.page.locator("#view")).to_contain_text("No results for “chill”.")


def test_a_word_is_wished_for_muted_and_taken_back(ana: Visit, events: Any, db: Any) -> None:
    open_page(ana, "tag/mellow")
    more, less = (ana.page.get_by_role("button", name=f"{which} of this") for which in ("More", "Less"))
    more.click()
    expect(more).to_have_attribute("aria-pressed", "true")
    expect(ana.page.locator("#toast")).to_contain_text("More mellow in your recommendations.")
    less.click()
    expect(more).to_have_attribute("aria-pressed", "false")
    ana.page.click("#undo")
    expect(more).to_have_attribute("aria-pressed", "true")
    ana.page.get_by_role("button", name="Mute this").click()
    read = events(4)
    for event in read:
        sent = {name: value for name, value in event.items() if name != "key"}
        assert parse(json.dumps(sent).encode(), datetime.now(UTC)).track_id is None
    assert [(each["action"], each["target"]) for each in read] == [
        *((action, "tag:mellow") for action in ("more", "less", "more", "mute"))
    ]
    wishes = [{"target": "tag:mellow", "wish": "more", "at": 5.0}, {"target": "tag:sad", "wish": "less", "at": 6.0}]
    profile = {
        "muted": ["tag:mellow", "tag:rock"],
        "tag_wishes": wishes,
        "updated_at": datetime.now(UTC),
        "events_applied": 4,
    }
    db.profiles.replace_one({"_id": "ana"}, profile, upsert=True)
    open_page(ana, "")
    chips = ana.page.locator("#muted-chips .chip")
    expect(chips).to_have_text(["More mellow ×", "Less sad ×", "mellow ×", "rock ×"])
    chips.nth(0).press("Enter")
    expect(chips).to_have_text(["Less sad ×", "mellow ×", "rock ×"])
    assert (events(5)[4]["action"], events(5)[4]["target"]) == ("neutral", "tag:mellow")
    open_page(ana, "reactions/muted")
    expect(ana.page.locator("#reactions .names span")).to_have_text(["mellow", "rock", "More mellow", "Less sad"])


def test_the_map_is_coloured_by_sound_and_says_that_these_are_guesses(ana: Visit) -> None:
    open_page(ana, "map")
    expect(ana.page.locator("#map-by-sound")).to_contain_text("the computer's guess")
    expect(ana.page.locator("#map-legend li")).to_have_text(["mellow", "sad", "metal", "other"])


def test_a_track_page_lists_its_words_as_guesses(ana: Visit) -> None:
    open_page(ana, f"track/{IDS[9]}")
    expect(ana.page.locator("#sounds-like")).to_have_text("sad, acoustic, rock")
    expect(ana.page.locator(".facts")).to_contain_text("Sounds like (the computer's guess)")
    ana.page.locator("#sounds-like a", has_text="sad").click()
    expect(ana.page.locator("#page-head")).to_have_text("Sad")


@pytest.mark.parametrize(
    "ana", [{"color_scheme": "dark"}, {"color_scheme": "light"}], indirect=True, ids=["dark", "light"]
)
def test_axe_finds_nothing_serious(ana: Visit) -> None:
    violations = {}
    for page in ("", "tag/mellow", f"track/{IDS[9]}", "map"):
        open_page(ana, page)
        violations[page] = serious_violations(ana)
    ana.page.get_by_role("link", name="Home").click()
    search(ana, "mellow")
    expect(ana.page.locator("#view .by-sound .card").first).to_be_visible()
    violations["search"] = serious_violations(ana)
    assert {page: each for page, each in violations.items() if each} == {}
