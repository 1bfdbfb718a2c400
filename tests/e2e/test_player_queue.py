"""Playing from a list in a browser: it goes on there, then in "For you"; nothing queued is lost; what shows as next plays."""

from __future__ import annotations

from typing import Any

import httpx
from player_site import ANSWER_S, IDS, SECONDS, TITLES, Visit
from playwright.sync_api import expect

BAND_2 = [TITLES[number] for number in (2, 6, 10)]


def now(visit: Visit) -> str:
    return str(visit.page.text_content("#now-title"))


def shown_next(visit: Visit) -> str:
    """The first title that the open queue shows."""
    return str(visit.page.locator("#queue-panel li b").first.text_content())


def titles(visit: Visit, part: str) -> list[str]:
    return list(visit.page.locator(f"{part} b").all_inner_texts())


def near_the_end(visit: Visit) -> None:
    visit.page.evaluate(f"document.getElementById('audio').currentTime = {SECONDS - 0.7}")


def open_artist(visit: Visit) -> list[str]:
    """Opens the page of Band 2; the titles of its tracks in their order."""
    visit.page.evaluate("location.hash = '#/artist/Band%202'")
    expect(visit.page.locator("#view .card")).to_have_count(3)
    return list(visit.page.locator("#view .card").evaluate_all("all => all.map(card => card.dataset.title)"))


def play_card(visit: Visit, title: str) -> None:
    visit.page.locator(f'#view .card[data-title="{title}"] .cover').click()
    visit.wait_for(lambda: now(visit) == title and visit.seconds > 0.2)


def queue_many(visit: Visit, count: int) -> None:
    """Adds tracks to the queue, all of them different from each other or not, as one does over an evening."""
    visit.page.evaluate(
        """([count, ids, titles]) => overtone.queue.add(...Array.from({ length: count }, (_, number) => (
            { id: ids[number % ids.length], title: titles[number % ids.length], artist: 'Band', durationMs: 20000,
              source: 'search' })))""",
        [count, IDS, TITLES],
    )


def queued(visit: Visit) -> int:
    return int(visit.page.evaluate("window.overtone ? overtone.queue.items.length : -1"))


def is_saved(visit: Visit, count: int) -> bool:
    """Whether the server has that many queued tracks of the visitor's."""
    kept = visit.page.evaluate("fetch('/queue').then(answer => answer.json())")
    return len(kept["items"]) == count


def test_from_an_artist_it_goes_on_there_then_in_for_you(ana: Visit, events: Any) -> None:
    first, second, third = open_artist(ana)
    assert sorted([first, second, third]) == sorted(BAND_2)
    play_card(ana, second)
    ana.page.click("#queue-toggle")
    assert titles(ana, "#queue-list") == [third]
    expect(ana.page.locator("#queue-context h3")).to_have_text("Next from: Band 2")
    near_the_end(ana)
    ana.wait_for(lambda: now(ana) == third and ana.seconds > 0.1)
    expect(ana.page.locator("#queue-context")).to_be_hidden()
    following = shown_next(ana)
    assert following in TITLES[2:8], "of For you"
    near_the_end(ana)
    ana.wait_for(lambda: now(ana) == following and ana.seconds > 0.1)
    plays = [(event["source"], event["track_id"]) for event in events(5) if event["action"] == "play"]
    assert plays == [("artist", IDS[TITLES.index(t)]) for t in (second, third)] + [
        ("for-you", IDS[TITLES.index(following)])
    ]


def test_what_shows_as_next_plays_next_also_shuffled_and_when_the_list_is_renewed(ana: Visit, put: Any) -> None:
    ana.play(IDS[2])
    ana.page.click("#queue-toggle")
    ana.page.click("#shuffle")
    for generation in (2, 3):
        expected = shown_next(ana)
        near_the_end(ana)  # what follows is loaded now
        put("ana", [*reversed(IDS[2:8]), IDS[9]], generation)
        ana.wait_for(lambda expected=expected: now(ana) == expected and ana.seconds > 0.1)
        ana.page.evaluate("document.getElementById('audio').pause()")
        ana.page.evaluate("document.getElementById('audio').play()")


def test_a_radio_replaces_a_list_with_an_undo_that_brings_queue_and_place_back(ana: Visit, events: Any) -> None:
    first, second, third = open_artist(ana)
    play_card(ana, first)
    ana.page.evaluate("document.getElementById('audio').currentTime = 8")
    ana.wait_for(lambda: ana.seconds > 8)
    ana.page.click("#queue-toggle")
    assert titles(ana, "#queue-list") == [second, third]
    ana.page.click("[data-action=radio]")
    ana.wait_for(lambda: "radio" in ana.page.inner_text("#queue-context h3"))
    expect(ana.page.locator("#toast")).to_contain_text("Playing from Band 2 radio.")
    ana.page.click("#undo")
    ana.wait_for(lambda: now(ana) == first and 8 <= ana.seconds < 14)
    assert titles(ana, "#queue-list") == [second, third]
    assert not ana.page.evaluate("document.getElementById('audio').paused")
    ana.page.click("#queue-clear")
    expect(ana.page.locator("#queue-empty")).to_have_text("Your queue is empty. For you plays next.")
    ana.page.click("#undo")
    assert titles(ana, "#queue-list") == [second, third]
    assert "skip" not in [event["action"] for event in events(4)], "choosing is no skip"


def test_a_queue_of_37_survives_switch_reload_and_another_device(ana: Visit, visit: Any) -> None:
    ana.play(IDS[2])
    queue_many(ana, 37)
    ana.wait_for(lambda: is_saved(ana, 37))
    ana.listen_as("bob")
    ana.wait_for(lambda: queued(ana) == 0)
    ana.listen_as("ana")
    ana.wait_for(lambda: queued(ana) == 37 and now(ana) == TITLES[2])
    ana.page.reload()
    ana.wait_for(lambda: queued(ana) == 37 and now(ana) == TITLES[2])
    phone: Visit = visit("ana", is_new=True)
    phone.wait_for(lambda: queued(phone) == 37 and now(phone) == TITLES[2])
    assert phone.page.evaluate("document.getElementById('audio').paused")
    # Both add: the latest counts, and nothing is lost.
    phone.page.evaluate("void overtone.queue.remove('own', 0)")
    phone.wait_for(lambda: is_saved(phone, 36))
    ana.wait_for(lambda: queued(ana) == 36)
    queue_many(ana, 1)
    queue_many(phone, 1)
    ana.wait_for(lambda: queued(ana) == 38 and queued(phone) == 38)


def test_what_a_browser_without_storage_had_queued_is_on_the_server(ana: Visit) -> None:
    ana.play(IDS[3])
    queue_many(ana, 5)
    ana.wait_for(lambda: is_saved(ana, 5))
    ana.page.evaluate("localStorage.clear()")
    ana.page.reload()
    ana.wait_for(lambda: queued(ana) == 5 and now(ana) == TITLES[3])


def test_choosing_another_track_and_reloading_are_no_skips(ana: Visit, events: Any) -> None:
    ana.play(IDS[2])
    ana.play(IDS[4])
    ana.page.reload()
    ana.wait_for(lambda: now(ana) == TITLES[4])
    ana.play(IDS[5])
    ana.page.click("#next")
    ana.wait_for(lambda: ana.seconds > 0.2 and now(ana) != TITLES[5])
    actions = [(event["action"], event["track_id"]) for event in events(5)]
    assert [each for each in actions if each[0] == "skip"] == [("skip", IDS[5])]
    assert [each for each in actions if each[0] == "play"][:3] == [("play", IDS[number]) for number in (2, 4, 5)]


def test_the_next_track_is_loaded_before_this_one_ends_and_follows_at_once(ana: Visit) -> None:
    ana.play(IDS[2])
    ready = "document.getElementById('audio-waiting').readyState"
    ana.wait_for(lambda: ana.page.evaluate(ready) >= 3)
    ana.page.evaluate(
        """() => { window.gap = new Promise((resolve) => {
            const old = document.getElementById('audio');
            old.addEventListener('ended', () => { const endedAt = performance.now();
                document.getElementById('audio-waiting').addEventListener('playing', () => resolve(performance.now() - endedAt));
            }, { capture: true, once: true }); }); }"""
    )
    near_the_end(ana)
    assert ana.page.evaluate("gap") < 1000, "milliseconds, on a machine that tests and services share"
    assert now(ana) == TITLES[3]


def test_a_crossfade_starts_the_next_track_before_this_one_ends(ana: Visit, events: Any) -> None:
    ana.page.click("#queue-toggle")
    ana.page.click("#queue-settings")
    ana.page.locator("#crossfade").fill("4")
    expect(ana.page.locator("#crossfade-value")).to_have_text("4 s")
    ana.page.locator("#playback-dialog [data-close]").last.click()
    ana.play(IDS[2])
    ana.page.evaluate(f"document.getElementById('audio').currentTime = {SECONDS - 5}")
    ana.wait_for(lambda: now(ana) == TITLES[3] and ana.seconds > 0.2)
    both = "[...document.querySelectorAll('audio')].filter(audio => !audio.paused).length"
    assert ana.page.evaluate(both) == 2
    ana.wait_for(lambda: ana.page.evaluate(both) == 1)
    assert [event["action"] for event in events(3)] == ["play", "complete", "play"]
    ana.page.reload()
    ana.wait_for(
        lambda: ana.page.evaluate("fetch('/queue').then(a => a.json()).then(q => q.settings.crossfade_s)") == 4
    )


def test_replay_gain_and_the_volume_are_heard_together(ana: Visit, db: Any) -> None:
    db.tracks.update_one({"_id": IDS[2]}, {"$set": {"track_gain_db": -6.0206, "track_peak": 0.9}})
    ana.page.fill("#volume", "80")
    ana.play(IDS[2])
    ana.wait_for(lambda: abs(ana.page.evaluate("document.getElementById('audio').volume") - 0.4) < 0.01)
    assert ana.page.input_value("#volume") == "80"


def test_the_sleep_timer_ends_with_the_track(ana: Visit) -> None:
    ana.play(IDS[2])
    ana.page.click("#queue-toggle")
    ana.page.click("#queue-sleep")
    ana.page.get_by_role("menuitemcheckbox", name="End of track").click()
    expected = shown_next(ana)
    near_the_end(ana)
    ana.wait_for(lambda: now(ana) == expected)
    assert ana.page.evaluate("document.getElementById('audio').paused") and ana.seconds == 0


def test_what_a_browser_cannot_play_comes_as_mp3_and_seeks(visit: Any, site: str, db: Any, sounds: Any) -> None:
    import soundfile  # noqa: PLC0415

    samples, rate = soundfile.read(sounds / "track 4.ogg")
    soundfile.write(sounds / "track 4.aiff", samples, rate)
    db.tracks.update_one({"_id": IDS[4]}, {"$set": {"path": str(sounds / "track 4.aiff")}})
    ana = visit("ana")  # later, the player would know where the track was: covers ask for it
    ana.wait_for(lambda: ana.order == IDS[2:8])
    ana.play(IDS[4])
    source = ana.page.evaluate("document.getElementById('audio').src")
    assert httpx.head(source).headers["content-type"] == "audio/mpeg"
    ana.wait_for(lambda: abs(ana.page.evaluate("document.getElementById('audio').duration") - SECONDS) < 0.1)
    ana.page.evaluate("document.getElementById('audio').currentTime = 15")
    ana.wait_for(lambda: 15.2 < ana.seconds < 18)
    plain = httpx.get(f"{site}/audio/{IDS[4]}", headers={"Range": "bytes=0-3"}, timeout=ANSWER_S)
    assert (plain.status_code, plain.content) == (206, b"FORM")


def test_another_listeners_queue_cannot_be_read_or_written(site: str, ana: Visit) -> None:
    ana.play(IDS[2])
    queue_many(ana, 3)
    ana.wait_for(lambda: is_saved(ana, 3))
    with httpx.Client(base_url=site, headers={"Origin": site}, timeout=ANSWER_S) as bob:
        assert bob.get("/queue").status_code == 401
        bob.post("/listener", json={"name": "bob"}).raise_for_status()
        assert bob.get("/queue").json()["items"] == []
        refused = bob.post("/queue", json={"revision": 0, "listener": "ana"})
        assert refused.status_code == 409
        assert bob.post("/queue", json={"revision": 0, "listener": "bob"}).json() == {"saved": True}
        assert bob.post("/queue", json={"revision": 0, "listener": "bob"}).json() == {"saved": False}


def test_the_queues_address_opens_it(ana: Visit) -> None:
    ana.page.evaluate("location.hash = '#/queue'")
    expect(ana.page.locator("#queue-panel")).to_be_visible()
    expect(ana.page.locator("#home-view")).to_be_visible()
    assert ana.page.evaluate("location.hash") == "#/"
