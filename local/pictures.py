"""The pictures of the player in docs/, of a running demo with the sample library. Needs Chromium and what test.sh installs.

    OVERTONE_HOME=/tmp/pictures ./demo.sh --no-browser --port 8010
    source /tmp/pictures/run.env && PYTHONPATH=. .venv/bin/python -m local.pictures --player http://127.0.0.1:8010 --to docs

A made listener, "ana", gets six weeks of events; the page then is what the stream makes of them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any

from batch import mongo
from conf.settings import Settings, settings
from streaming.events import Event, encode

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PICTURED_LISTENER = "ana"
LOVED = ("String Quartet", "Ambient", "Celtic")
TRACKS_LOVED_WEEKS_AGO, TRACKS_HEARD_LATELY = 6, 5
"""Tracks of each loved genre that were liked six weeks ago, and heard this week."""
NAMED_LISTS_TIMEOUT_S = 120.0
WAIT_TIMEOUT_S = 120.0
DESKTOP, LIGHT_DESKTOP = {"width": 1280, "height": 860}, {"width": 1280, "height": 900}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 1.5, "is_mobile": True}
SEEN_IMAGES_ARE_COMPLETE = """[...document.images].every((image) => {
  const { top, bottom, left, width } = image.getBoundingClientRect();
  const isSeen = width && bottom > 0 && top < innerHeight && left < innerWidth;
  return !isSeen || (image.complete && image.naturalWidth);
})"""
"""Those beside and below the window are loaded when they are scrolled to."""
CHROMIUM_ARGS = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]


def main(player: str, to: Path) -> int:
    """Takes all pictures; returns the exit code."""
    from playwright.sync_api import sync_playwright

    program = which("chromium") or which("chromium-browser") or which("google-chrome")
    if program is None:
        print("pictures: no Chromium on PATH; install it (Debian: apt-get install chromium)", file=sys.stderr)
        return 1
    make_past(settings())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGS)
        with opened(browser, player, viewport=DESKTOP, color_scheme="dark") as page:
            take_dark_pictures(page, to)
        with opened(browser, player, viewport=LIGHT_DESKTOP, color_scheme="light") as page:
            page.screenshot(path=to / "player-light.png")
        with opened(browser, player, color_scheme="dark", **PHONE) as page:
            page.screenshot(path=to / "player-phone.png")
        browser.close()
    return 0


def make_past(chosen: Settings) -> None:
    """Sends the listener's events, once in a home, and waits until the named lists follow them. Raises TimeoutError."""
    from kafka import KafkaProducer

    with mongo.client(chosen.mongo) as client:
        database = client[chosen.mongo.database]
        if database.mixes.find_one({"_id": PICTURED_LISTENER}):
            return
        events = past_events(list(database.tracks.find({}, {"genre": 1}).sort("_id", 1)))
        producer = KafkaProducer(**chosen.kafka.client_options(), acks="all")
        for event in events:
            producer.send(chosen.kafka.listening_topic, key=event.user_id.encode(), value=encode(event))
        producer.close()
        deadline = time.monotonic() + NAMED_LISTS_TIMEOUT_S
        while (database.mixes.find_one({"_id": PICTURED_LISTENER}) or {}).get("events_applied", 0) < len(events):
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"no lists after {len(events)} events within {NAMED_LISTS_TIMEOUT_S:.0f} s; is the demo running?"
                )
            time.sleep(0.5)


def past_events(tracks: list[dict[str, Any]]) -> list[Event]:
    """What the listener did in six weeks: loved three genres, liked some of it, skipped and disliked other music."""
    now = datetime.now(UTC)
    events: list[Event] = []

    def did(track_id: str, actions: str, ago: timedelta) -> None:
        for second, action in enumerate(actions.split()):
            at = now - ago + timedelta(seconds=25 * second)
            position = 4000 if action == "skip" else None
            events.append(Event(PICTURED_LISTENER, track_id, action, at, position_ms=position, duration_ms=30_000))

    of_genre = {genre: [track["_id"] for track in tracks if track.get("genre") == genre] for genre in LOVED}
    others = [track["_id"] for track in tracks if track.get("genre") not in LOVED]
    for number in range(TRACKS_LOVED_WEEKS_AGO):
        for genre in LOVED:
            for track_id in of_genre[genre][number : number + 1]:
                did(track_id, "play complete like", timedelta(days=42, minutes=-3 * len(events)))
    for number in range(TRACKS_LOVED_WEEKS_AGO, TRACKS_LOVED_WEEKS_AGO + TRACKS_HEARD_LATELY):
        for genre in LOVED[: 1 + number % 3]:
            for track_id in of_genre[genre][number : number + 1]:
                did(track_id, "play complete", timedelta(days=3, minutes=-3 * len(events)))
    for number, track_id in enumerate(others[::12][:6]):
        did(track_id, "play skip" if number % 3 else "play skip dislike", timedelta(days=2, minutes=-3 * number))
    events.append(Event(PICTURED_LISTENER, None, "visit", now))
    return events


@contextmanager
def opened(browser: Browser, player: str, **options: Any) -> Iterator[Page]:
    """The player's page, as the listener, once its lists are there.  options : of Browser.new_context()"""
    context = browser.new_context(**options)
    page = context.new_page()
    page.goto(player)
    page.wait_for_selector("#for-you .card")
    page.click("#listener")
    page.fill("#listener-name", PICTURED_LISTENER)
    page.click("#listener-ok")
    page.wait_for_selector("#for-you .reason:has-text('Because')")
    settle(page)
    yield page
    context.close()


def take_dark_pictures(page: Page, to: Path) -> None:
    """Home, named lists, a reason, queue, track, albums, search, map, song path, one's own music and the service."""

    def take(name: str, hash_path: str = "", ready: str = "", prepare: Callable[[], object] = lambda: None) -> None:
        page.evaluate(f"location.hash = '#/{hash_path}'")
        if ready:
            page.wait_for_selector(ready)
        prepare()
        settle(page)
        page.screenshot(path=to / f"{name}.png")

    page.locator("#for-you .card .cover").first.click()
    wait_until(page, "document.getElementById('audio').currentTime > 3")
    take("player")
    take("player-lists", prepare=lambda: scroll_to(page, "[data-list='mix-1']"))
    take("player-why", prepare=lambda: show_reason(page))
    page.keyboard.press("Escape")
    take("player-track", "", "#for-you .card", lambda: page.locator("#for-you .card .title a").first.click())
    page.click("[data-action=radio]")
    take("player-queue", prepare=lambda: page.click("#queue-toggle"))
    page.click("#queue-toggle")
    take("player-albums", "albums", "#view .album-card")
    take("player-album", "albums", "#view .album-card", lambda: open_first_album(page))
    take("player-search", "search?q=quartet", "#view .card, #view [data-track-id]")
    take("player-map", "map", "#map")
    take("player-sound", "sound", "#path-start", lambda: find_path(page))
    take("player-you", "reactions", "#reactions .card")
    take("player-service", "status", "#page-head")


def show_reason(page: Page) -> None:
    """Why the second track of the list is recommended."""
    page.locator("#for-you .card [data-action=menu]").nth(1).click()
    page.get_by_role("menuitem", name="Why this track").click()


def open_first_album(page: Page) -> None:
    """The page of the album that was added last."""
    page.locator("#view .album-card h3 a").first.click()
    page.wait_for_selector("#view [data-track-id]")


def find_path(page: Page) -> None:
    """A song path between two tracks of the library, found in the form."""
    page.fill("#path-start", "quartet")
    page.fill("#path-end", "reel")
    page.locator("#path-form").get_by_role("button").click()
    page.wait_for_selector("#path-found .card")


def scroll_to(page: Page, selector: str) -> None:
    """Puts the top of an element below the page's header."""
    page.locator(selector).first.evaluate("element => scrollTo(0, element.getBoundingClientRect().top + scrollY - 84)")


def wait_until(page: Page, script: str) -> None:
    """Waits until the script is true. Raises TimeoutError. The page itself may evaluate no text, by its security policy."""
    deadline = time.monotonic() + WAIT_TIMEOUT_S
    while not page.evaluate(script):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {WAIT_TIMEOUT_S:.0f} s: {script}")
        page.wait_for_timeout(100)


def settle(page: Page) -> None:
    """Waits for pictures and for what moves."""
    page.mouse.move(0, 0)
    page.wait_for_load_state("load")
    wait_until(page, SEEN_IMAGES_ARE_COMPLETE)
    wait_until(page, "!document.getElementById('map') || !document.getElementById('map-none').checkVisibility()")
    page.wait_for_timeout(2500)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m local.pictures", description="The pictures of the player in docs/."
    )
    parser.add_argument("--player", required=True, metavar="URL", help="the player of a running demo")
    parser.add_argument("--to", type=Path, default=Path("docs"), metavar="DIR", help="default: %(default)s")
    arguments = parser.parse_args()
    sys.exit(main(arguments.player, arguments.to))
