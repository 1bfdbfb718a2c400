"""The bar and the queue in a browser: what plays next, in which order, and what a reload keeps."""

from __future__ import annotations

from typing import Any

from player_site import IDS, SECONDS, TITLES, Visit
from playwright.sync_api import expect


def menu(visit: Visit, number: int, entry: str) -> None:
    visit.page.locator(f'#for-you .card[data-track-id="{IDS[number]}"] [data-action=menu]').click()
    visit.page.get_by_role("menuitem", name=entry).click()


def now(visit: Visit) -> str:
    return str(visit.page.text_content("#now-title"))


def queued(visit: Visit) -> list[str]:
    return list(visit.page.locator("#queue-items b").all_text_contents())


def near_the_end(visit: Visit) -> None:
    visit.page.evaluate(f"document.getElementById('audio').currentTime = {SECONDS - 0.7}")


def test_the_queue_is_seen_reordered_and_cleared_and_comes_before_the_list(ana: Visit) -> None:
    ana.play(IDS[2])
    for number in (5, 6, 7):
        menu(ana, number, "Add to queue")
    menu(ana, 4, "Play next")
    ana.page.click("#queue-toggle")
    assert queued(ana) == [TITLES[4], TITLES[5], TITLES[6], TITLES[7]]
    expect(ana.page.locator("#queue-ahead b")).to_have_text([TITLES[3], TITLES[2]][:1])
    ana.page.get_by_role("button", name=f"Move down {TITLES[5]}").click()
    assert queued(ana) == [TITLES[4], TITLES[6], TITLES[5], TITLES[7]]
    ana.page.get_by_role("button", name=f"Remove {TITLES[4]}").press("Enter")
    items = ana.page.locator("#queue-items li")
    items.nth(2).drag_to(items.nth(0), steps=10)
    ana.wait_for(lambda: queued(ana) == [TITLES[7], TITLES[6], TITLES[5]])
    near_the_end(ana)
    ana.wait_for(lambda: now(ana) == TITLES[7] and ana.seconds > 0.1)
    assert queued(ana) == [TITLES[6], TITLES[5]]
    ana.page.click("#queue-clear")
    expect(ana.page.locator("#queue-empty")).to_be_visible()
    ana.page.click("#next")
    ana.wait_for(lambda: now(ana) == TITLES[3])
    ana.page.locator("#queue-close").press("Escape")
    expect(ana.page.locator("#queue-panel")).to_be_hidden()


def test_tracks_follow_each_other_along_the_list(ana: Visit) -> None:
    ana.play(IDS[2])
    for number in (3, 4, 5):
        near_the_end(ana)
        ana.wait_for(lambda number=number: now(ana) == TITLES[number] and ana.seconds > 0.1)


def test_repeat_plays_the_track_again_or_the_queue(ana: Visit, events: Any) -> None:
    ana.play(IDS[2])
    ana.page.click("#repeat")
    ana.page.click("#repeat")
    expect(ana.page.locator("#repeat")).to_have_attribute("aria-label", "Repeat: one")
    near_the_end(ana)
    ana.wait_for(lambda: ana.seconds > SECONDS - 1)
    ana.wait_for(lambda: 0.1 < ana.seconds < 5)
    assert now(ana) == TITLES[2]
    assert [event["action"] for event in events(3)] == ["play", "complete", "play"]
    ana.page.click("#repeat")
    ana.page.click("#repeat")
    expect(ana.page.locator("#repeat")).to_have_attribute("aria-label", "Repeat: all")
    menu(ana, 6, "Add to queue")
    menu(ana, 7, "Add to queue")
    heard = []
    for _ in range(4):
        ana.page.click("#next")
        heard.append(now(ana))
    assert heard == [TITLES[6], TITLES[7], TITLES[6], TITLES[7]]


def test_shuffle_takes_any_of_the_list_but_none_twice(ana: Visit) -> None:
    ana.page.evaluate("overtone.queue.random = () => 0.123")
    ana.play(IDS[2])
    ana.page.click("#shuffle")
    expect(ana.page.locator("#shuffle")).to_have_attribute("aria-pressed", "true")
    heard = [now(ana)]
    for _ in range(5):
        ana.page.click("#next")
        heard.append(now(ana))
    assert sorted(heard) == sorted(TITLES[2:8]) and heard != TITLES[2:8]


def test_media_keys_know_the_track_and_move_it(ana: Visit) -> None:
    ana.run_first(
        """window.keys = {}; const own = MediaSession.prototype.setActionHandler;
        MediaSession.prototype.setActionHandler = function (name, act) { keys[name] = act; own.call(this, name, act); }"""
    )
    ana.page.reload()
    expect(ana.cards.first).to_be_visible()
    ana.play(IDS[2])
    about = ana.page.evaluate("(({title, artist}) => [title, artist])(navigator.mediaSession.metadata)")
    assert about == [TITLES[2], "Band 2"]
    assert ana.page.evaluate("navigator.mediaSession.playbackState") == "playing"
    ana.page.evaluate("keys.seekto({seekTime: 12})")
    ana.wait_for(lambda: 11.9 < ana.seconds < 14)
    ana.page.evaluate("keys.seekbackward({})")
    ana.wait_for(lambda: ana.seconds < 5)
    ana.page.evaluate("keys.pause()")
    ana.wait_for(lambda: ana.page.evaluate("navigator.mediaSession.playbackState") == "paused")
    ana.page.evaluate("keys.nexttrack()")
    ana.wait_for(lambda: now(ana) == TITLES[3])


def test_a_reload_keeps_track_place_queue_and_modes(ana: Visit) -> None:
    ana.play(IDS[3])
    ana.page.evaluate("document.getElementById('audio').currentTime = 8")
    ana.wait_for(lambda: ana.seconds > 8)
    menu(ana, 6, "Add to queue")
    ana.page.click("#shuffle")
    ana.page.fill("#volume", "35")
    ana.page.click("#play-pause")
    stopped_at = ana.seconds
    ana.page.reload()
    expect(ana.page.locator("#now-title")).to_have_text(TITLES[3])
    ana.wait_for(lambda: abs(ana.seconds - stopped_at) < 1)
    assert ana.page.evaluate("document.getElementById('audio').paused")
    assert (
        ana.page.evaluate("document.getElementById('audio').volume") == 0.35 and ana.page.input_value("#volume") == "35"
    )
    expect(ana.page.locator("#shuffle")).to_have_attribute("aria-pressed", "true")
    ana.page.click("#queue-toggle")
    assert queued(ana) == [TITLES[6]]
    ana.page.click("#play-pause")
    ana.wait_for(lambda: ana.seconds > stopped_at + 0.5)


def test_another_listener_does_not_inherit_what_was_on(ana: Visit, events: Any) -> None:
    ana.play(IDS[2])
    menu(ana, 6, "Add to queue")
    ana.listen_as("bob")
    ana.wait_for(lambda: ana.page.evaluate("document.getElementById('audio').paused"))
    ana.wait_for(lambda: ana.order == IDS[6:])
    ana.page.click("#queue-toggle")
    assert queued(ana) == []
    ana.play(IDS[8])
    assert [(event["user_id"], event["action"]) for event in events(2)] == [("ana", "play"), ("bob", "play")]
    ana.listen_as("ana")
    ana.wait_for(lambda: queued(ana) == [TITLES[6]] and now(ana) == TITLES[2])
    ana.listen_as("bob")
    ana.wait_for(lambda: queued(ana) == [] and now(ana) == TITLES[8])


def test_the_waveform_is_drawn_behind_the_position(ana: Visit) -> None:
    ana.play(IDS[2])
    expect(ana.page.locator("#waveform.is-known")).to_be_attached()
    painted = """() => { const c = document.getElementById('waveform');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        return d.filter((value, at) => at % 4 === 3 && value > 0).length > 200; }"""
    ana.wait_for(lambda: bool(ana.page.evaluate(painted)))


def test_a_removed_track_is_brought_back_to_its_place(ana: Visit) -> None:
    ana.play(IDS[2])
    for number in (5, 6, 7):
        menu(ana, number, "Add to queue")
    ana.page.click("#queue-toggle")
    ana.page.get_by_role("button", name=f"Remove {TITLES[6]}").click()
    assert queued(ana) == [TITLES[5], TITLES[7]]
    expect(ana.page.locator("#toast")).to_contain_text(f"“{TITLES[6]}” removed from the queue.")
    ana.page.click("#undo")
    assert queued(ana) == [TITLES[5], TITLES[6], TITLES[7]]


def test_a_reload_shows_the_place_in_the_track_before_any_sound_is_there(ana: Visit) -> None:
    ana.play(IDS[2])
    ana.page.evaluate("overtone.player.seek(7500)")
    ana.wait_for(lambda: ana.seconds > 7.6)
    ana.page.click("#play-pause")
    shown = ana.page.inner_text("#time-now")
    assert shown in ("0:07", "0:08", "0:09")
    held: list[Any] = []
    ana.page.route("**/audio/**", lambda route: held.append(route))
    ana.page.reload()
    expect(ana.page.locator("#time-now")).to_have_text(shown)
    ana.wait_for(lambda: bool(held))
    ana.page.evaluate("overtone.player.seek(12_000)")
    expect(ana.page.locator("#time-now")).to_have_text("0:12")
    ana.page.unroute("**/audio/**")  # which lets go what was held
    ana.page.click("#play-pause")
    ana.wait_for(lambda: ana.seconds > 12.1)
