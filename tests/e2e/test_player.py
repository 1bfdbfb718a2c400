"""The player in a browser, on a real MongoDB and a real Kafka; the lists are changed here as the stream would."""

from __future__ import annotations

import json
import re
import signal
import time
from typing import Any

import httpx
import pytest
from player_site import ANSWER_S, EVIL, IDS, SECONDS, TITLES, Lists, Visit, command
from playwright.sync_api import expect

from conf.settings import Settings
from local.processes import free_port


def test_what_a_listener_does_arrives_in_order_with_all_fields(visit: Any, events: Any) -> None:
    ana = visit("ana")
    ana.wait_for(lambda: ana.order == IDS[2:8])
    ana.play(IDS[2])
    ana.page.click("#like-now")
    expect(ana.page.locator("#like-now")).to_have_attribute("aria-pressed", "true")
    ana.page.click("#like-now")
    ana.page.click("#next")
    ana.wait_for(lambda: ana.page.text_content("#now-title") == TITLES[3] and ana.seconds > 0.2)
    ana.page.evaluate("document.getElementById('audio').currentTime = 18.5")
    ana.wait_for(lambda: ana.page.text_content("#now-title") == TITLES[4] and ana.seconds > 0.1)
    ana.page.click("#dislike-now")
    ana.wait_for(lambda: ana.page.text_content("#now-title") == TITLES[5] and ana.seconds > 0.1)
    assert ana.page.inner_text("#now-licence") == "CC BY 4.0"

    read = events(10)
    assert [(IDS.index(event["track_id"]), event["action"]) for event in read] == [
        (2, "play"),
        (2, "like"),
        (2, "unlike"),
        (2, "skip"),
        (3, "play"),
        (3, "complete"),
        (4, "play"),
        (4, "dislike"),
        (4, "skip"),
        (5, "play"),
    ]
    assert {(e["key"], e["user_id"], e["source"], e["model_version"]) for e in read} == {
        ("ana", "ana", "for-you", "m7")
    }
    assert len({event["event_id"] for event in read}) == 10 and len({event["session_id"] for event in read}) == 1
    skip, complete = read[3], read[5]
    assert 200 < skip["position_ms"] < 5000 and abs(skip["duration_ms"] - SECONDS * 1000) < 100
    assert complete["position_ms"] >= 0.9 * complete["duration_ms"]


def test_the_list_follows_its_document_without_touching_the_music(visit: Any, put: Lists) -> None:
    ana = visit("ana")
    ana.wait_for(lambda: ana.order == IDS[2:8])
    ana.play(IDS[2])
    ana.page.evaluate(
        """() => { const audio = document.getElementById('audio'); window.stops = [];
        const interruptions = ['pause', 'emptied', 'loadstart', 'seeking'];
        for (const name of interruptions) audio.addEventListener(name, () => stops.push(name));
        window.kept = document.querySelector('#for-you .card'); }"""
    )
    before = ana.seconds
    for generation, wanted in ((2, [*IDS[8:11], IDS[2]]), (3, [IDS[2], *IDS[5:9]])):
        put("ana", wanted, generation)
        ana.show_new_list(wanted)
        expect(ana.cards.first.locator(".reason")).to_have_text(f"close, {generation}")
    assert ana.page.evaluate("kept.isConnected && kept.dataset.trackId") == IDS[2], (
        "a card that stays is moved, not remade"
    )
    ana.wait_for(lambda: ana.seconds > before + 0.5)
    assert ana.page.evaluate("stops") == []


def test_an_unchanged_list_is_left_alone(visit: Any) -> None:
    ana = visit("ana")
    ana.wait_for(lambda: ana.order == IDS[2:8])
    ana.page.evaluate(
        """() => { window.changes = 0; new MutationObserver(all => changes += all.length)
        .observe(document.getElementById('for-you'), {childList: true, subtree: true}); }"""
    )
    ana.look_for_news(3)
    assert ana.page.evaluate("changes") == 0


def test_more_like_this_shows_the_neighbours(visit: Any) -> None:
    ana = visit("ana")
    ana.choose(ana.cards.first, "Similar tracks")
    expect(ana.page.locator("#similar .card")).to_have_count(len(TITLES) - 1)
    ana.page.click("[data-action=close-similar]")
    expect(ana.page.locator("#similar .card")).to_have_count(0)


def test_more_like_this_leaves_out_what_is_disliked(visit: Any, events: Any) -> None:
    ana = visit("ana")
    ana.choose(ana.page.locator(f'#for-you .card[data-track-id="{IDS[5]}"]'), "Dislike")
    events(1)
    ana.choose(ana.page.locator(f'#for-you .card[data-track-id="{IDS[3]}"]'), "Similar tracks")
    expect(ana.page.locator("#similar .card")).to_have_count(len(TITLES) - 2)
    expect(ana.page.locator(f'#similar .card[data-track-id="{IDS[5]}"]')).to_have_count(0)
    ana.page.evaluate(f"location.hash = '#/track/{IDS[3]}'")
    expect(ana.page.locator(".track-page .block .card")).to_have_count(len(TITLES) - 2)
    nobody = visit()
    nobody.choose(nobody.page.locator(f'#for-you .card[data-track-id="{IDS[3]}"]'), "Similar tracks")
    expect(nobody.page.locator("#similar .card")).to_have_count(len(TITLES) - 1)


def test_markup_in_tags_shows_as_text(visit: Any) -> None:
    ana = visit("ana")
    ana.wait_for(lambda: ana.order == IDS[2:8])
    card = ana.page.locator(f'#for-you .card[data-track-id="{IDS[4]}"]')
    expect(card.locator(".title")).to_have_text(EVIL)
    ana.play(IDS[4])
    assert ana.page.text_content("#now-title") == ana.page.inner_text("#now-artist") == EVIL
    ana.choose(card, "Similar tracks")
    expect(ana.page.locator("#similar h2")).to_have_text(f"More like {EVIL}")
    ana.page.locator("#search input").fill(EVIL)
    expect(ana.page.locator("#view")).to_contain_text("<script>")
    ana.page.wait_for_timeout(300)  # in which a script in the markup would run


def test_two_listeners_see_their_own_lists(visit: Any, put: Lists, events: Any) -> None:
    ana, bob = visit("ana"), visit("bob")
    ana.wait_for(lambda: ana.order == IDS[2:8])
    bob.wait_for(lambda: bob.order == IDS[6:])
    put("bob", IDS[:3], 2)
    bob.show_new_list(IDS[:3])
    ana.look_for_news()
    assert ana.order == IDS[2:8]
    bob.play(IDS[0])
    assert [event["user_id"] for event in events(1)] == ["bob"]


def test_reload_keeps_listener_and_likes(visit: Any) -> None:
    ana = visit("ana")
    ana.wait_for(lambda: ana.order == IDS[2:8])
    ana.cards.first.locator("[data-action=like]").click()
    ana.page.reload()
    expect(ana.page.locator("#listener")).to_have_text("ana")
    expect(ana.cards.first.locator("[data-action=like]")).to_have_attribute("aria-pressed", "true")


def test_the_keyboard_is_enough(visit: Any) -> None:
    ana = visit("ana")
    ana.wait_for(lambda: ana.order == IDS[2:8])
    ana.cards.first.locator(".cover").focus()
    ana.page.keyboard.press("Enter")
    ana.wait_for(lambda: ana.seconds > 0.2)
    ana.page.keyboard.press("Shift+ArrowRight")
    ana.wait_for(lambda: ana.page.text_content("#now-title") == TITLES[3] and ana.seconds > 0.1)
    ana.page.keyboard.press("/")
    assert ana.page.evaluate("document.activeElement.closest('#search') !== null")
    unnamed = "each => each.filter(one => !one.ariaLabel && !one.textContent.trim()).length"
    assert ana.page.locator("button, #player input").evaluate_all(unnamed) == 0


def is_paused(visit: Visit) -> bool:
    return bool(visit.page.evaluate("document.getElementById('audio').paused"))


def test_space_plays_and_pauses_wherever_one_has_clicked(visit: Any) -> None:
    ana = visit("ana")
    ana.wait_for(lambda: ana.order == IDS[2:8])
    ana.play(IDS[2])
    for place in ("#next", "#seek", "#volume", "#shuffle", "#adventure", "#home"):
        ana.page.click(place, position={"x": 9, "y": 9} if place == "#home" else None)
        ana.wait_for(lambda: not is_paused(ana) and ana.page.text_content("#now-title") == TITLES[3])
        ana.page.keyboard.press(" ")
        ana.wait_for(lambda: is_paused(ana))
        ana.page.keyboard.press(" ")
    ana.wait_for(lambda: not is_paused(ana))
    assert ana.page.text_content("#now-title") == TITLES[3], "Next was pressed once"
    ana.page.focus("#shuffle")
    pressed = ana.page.get_attribute("#shuffle", "aria-pressed")
    ana.page.keyboard.press("Tab")
    ana.page.keyboard.press("Shift+Tab")
    ana.page.keyboard.press(" ")
    assert ana.page.get_attribute("#shuffle", "aria-pressed") != pressed, "who came by the keyboard presses the button"
    assert not is_paused(ana)
    ana.page.fill("#search input", "a")
    ana.page.keyboard.press("End")
    ana.page.keyboard.type(" /")
    assert ana.page.input_value("#search input") == "a /" and not is_paused(ana)


def test_the_focus_stays_in_the_list_when_its_card_leaves(visit: Any, put: Lists) -> None:
    ana = visit("ana")
    ana.wait_for(lambda: ana.order == IDS[2:8])
    focused = "(one => [one.dataset.action, one.closest('.card')?.dataset.trackId])(document.activeElement)"
    ana.cards.nth(2).locator("[data-action=like]").focus()
    ana.page.set_viewport_size({"width": 1280, "height": 400})
    ana.page.evaluate("scrollTo(0, document.body.scrollHeight)")  # out of sight, the list is renewed at once
    put("ana", [*IDS[2:4], *IDS[5:8]], 2)
    ana.wait_for(lambda: ana.order == [*IDS[2:4], *IDS[5:8]])
    assert ana.page.evaluate(focused) == ["like", IDS[5]]
    ana.page.evaluate("document.querySelector('#for-you .card:last-child .cover').focus({preventScroll: true})")
    put("ana", IDS[2:4], 3)
    ana.wait_for(lambda: ana.order == IDS[2:4])
    assert ana.page.evaluate(focused) == ["play", IDS[3]]
    ana.page.set_viewport_size({"width": 1280, "height": 800})


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_a_phone_shows_everything_within_its_width(visit: Any, scheme: str) -> None:
    phone = visit("ana", viewport={"width": 390, "height": 844}, color_scheme=scheme)
    phone.play(IDS[3])
    phone.choose(phone.cards.first, "Similar tracks")
    expect(phone.page.locator("#similar .card").first).to_be_visible()
    assert phone.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    for needed in ("#play-pause", "#next", "#seek", "#search", "#listener", "#now-title", "#now-licence"):
        box = phone.page.locator(needed).bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390


def test_audio_comes_in_ranges_and_from_the_catalogue_only(site: str) -> None:
    part = httpx.get(f"{site}/audio/{IDS[1]}", headers={"Range": "bytes=0-3"}, timeout=ANSWER_S)
    assert (part.status_code, part.content) == (206, b"OggS")
    for outside in (
        "secret",
        "bare",
        "nobody",
        "..%2f..%2fetc%2fpasswd",
        "%2fetc%2fpasswd",
        "file:%2f%2f%2fetc%2fpasswd",
    ):
        answer = httpx.get(f"{site}/audio/{outside}", timeout=ANSWER_S)
        assert (answer.status_code, list(answer.json())) == (404, ["error"]), outside
    for door in ("file=/etc/passwd", "file/etc/passwd", "proxy=http://127.0.0.1/"):
        assert httpx.get(f"{site}/gradio_api/{door}", timeout=ANSWER_S).status_code == 404


def test_a_missing_file_is_said_and_passed_over(visit: Any, db: Any, events: Any) -> None:
    db.tracks.update_one({"_id": IDS[2]}, {"$set": {"path": "/nowhere/at/all.ogg"}})
    ana = visit("ana", is_new=True)
    ana.wait_for(lambda: ana.order == IDS[2:8])
    ana.cards.first.locator(".cover").click()
    expect(ana.page.locator("#toast")).to_contain_text("cannot be played")
    ana.wait_for(lambda: ana.page.text_content("#now-title") == TITLES[3] and ana.seconds > 0.1)
    assert [event["track_id"] for event in events(1)] == [IDS[3]]
    ana.wrong[:] = [said for said in ana.wrong if "404" not in said]


def test_the_command_says_where_it_is_and_ends_within_two_seconds(
    settings: Settings, catalogue: None, put: Lists
) -> None:
    put("*", IDS[:3])
    port = free_port()
    player = command(settings, "ui", "--port", str(port))
    try:
        assert player.stdout is not None
        assert player.stdout.readline() == f"Overtone is at http://127.0.0.1:{port}/\n"
        assert httpx.get(f"http://127.0.0.1:{port}/for-you", timeout=ANSWER_S).json()["generation"] == 1
        second = command(settings, "ui", "--port", str(port))
        out, err = second.communicate(timeout=ANSWER_S)
        assert (second.returncode, out) == (1, "")
        assert re.fullmatch(rf"ui: port {port} is in use; .*--port N\n", err)
        asked = time.monotonic()
        player.send_signal(signal.SIGTERM)
        rest, _ = player.communicate(timeout=ANSWER_S)
        assert time.monotonic() - asked < 2 and rest == ""
    finally:
        player.kill()


def test_a_page_comes_up_without_mongodb_and_says_so(settings: Settings) -> None:
    port = free_port()
    player = command(settings, "ui", "--port", str(port), OVERTONE_MONGO__URI=f"mongodb://127.0.0.1:{free_port()}")
    try:
        assert player.stdout is not None and "Overtone is at" in player.stdout.readline()
        assert httpx.get(f"http://127.0.0.1:{port}/", timeout=ANSWER_S).status_code == 200
        answer = httpx.get(f"http://127.0.0.1:{port}/for-you", timeout=ANSWER_S)
        assert answer.status_code == 200 and "does not answer" in answer.json()["away"]
    finally:
        player.kill()
        player.communicate()


def test_the_query_tells_the_list_or_why_there_is_none(settings: Settings, catalogue: None, put: Lists) -> None:
    put("*", IDS[:2])
    put("ana", IDS[2:4], 3)
    started = time.monotonic()
    own = command(settings, "ui.recommendations", "--user", "ana", "--format", "json")
    out, err = own.communicate(timeout=ANSWER_S)
    assert time.monotonic() - started < 3 and (own.returncode, err) == (0, "")
    document = json.loads(out)
    assert (document["user_id"], document["list"], document["generation"]) == ("ana", "ana", 3)
    assert [item["title"] for item in document["items"]] == TITLES[2:4]

    everyones = command(settings, "ui.recommendations", "--user", "zoe", "--format", "csv")
    out, err = everyones.communicate(timeout=ANSWER_S)
    assert everyones.returncode == 0 and "zoe has no list yet" in err and "everyone" in err
    assert out.splitlines()[1].startswith(f"1,{IDS[0]},Morning,Band 0,Hours,Folk (live),1.0,")

    for arguments, more, code, said in (
        (["--user", "ana", "--as-of", "yesterday"], {}, 2, "expected an ISO 8601 time"),
        (["--user", "ana"], {"OVERTONE_MONGO__DATABSE": "x"}, 2, "is not a setting"),
        (
            ["--user", "ana"],
            {"OVERTONE_MONGO__URI": f"mongodb://127.0.0.1:{free_port()}"},
            1,
            "MongoDB does not answer",
        ),
        (["--user", "ana"], {"OVERTONE_MONGO__DATABASE": "empty"}, 1, "no list for ana"),
        (["--user", "ana", "--as-of", "2026-11-23T09:00:00Z"], {}, 1, "not a readable Delta table"),
    ):
        started = time.monotonic()
        failed = command(settings, "ui.recommendations", *arguments, **more)
        out, err = failed.communicate(timeout=ANSWER_S)
        assert (failed.returncode, out) == (code, "") and said in err, err
        assert "Traceback" not in err and time.monotonic() - started < 5
