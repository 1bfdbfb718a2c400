"""MongoDB stops answering while music plays: it waits, nothing is passed over, and it goes on by itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from player_site import IDS, TITLES, Visit, Windows, serving, with_library
from playwright.sync_api import expect
from pymongo import MongoClient

from conf.settings import Settings
from local.processes import free_port
from local.services import MongoServer
from ui import app
from ui.dependencies import Services, build_services


@pytest.fixture
def own_services(own_settings: Settings, sounds: Path) -> Services:
    return build_services(with_library(own_settings, sounds))


@pytest.fixture
def ana(
    windows: Windows,
    own_settings: Settings,
    own_services: Services,
    topics: None,
    catalogue: None,
    sounds: Path,
    db: Any,
    own_mongo: MongoServer,
) -> Iterator[Visit]:
    with MongoClient[dict[str, Any]](own_mongo.uri) as own:
        database = own[own_settings.mongo.database]
        database.tracks.insert_many(db.tracks.find())
        items = [{"track_id": track_id, "rank": rank} for rank, track_id in enumerate(IDS, start=1)]
        database.recommendations.insert_one({"_id": "*", "items": items, "generation": 1})
    with serving(app.create_app(own_services)) as site, windows.visit(site, "ana") as ana:
        ana.play(IDS[0])
        yield ana
        ana.wrong.clear()  # what is away is an error to the browser's console


def test_the_page_says_when_parts_are_away_and_recovers_without_reload(
    windows: Windows, own_settings: Settings, own_mongo: MongoServer
) -> None:
    nobody = own_settings.kafka.model_copy(update={"bootstrap_servers": f"127.0.0.1:{free_port()}"})
    alone = own_settings.model_copy(update={"kafka": nobody})
    with MongoClient[dict[str, Any]](own_mongo.uri) as client:
        client[alone.mongo.database].tracks.insert_one({"_id": "a", "title": "Alone"})
    with serving(app.create_app(build_services(alone))) as site, windows.visit(site, "ana") as ana:
        ana.cards.first.locator("[data-action=like]").click()
        expect(ana.page.locator("#notice")).to_contain_text("1 play or like is kept")
        own_mongo.stop()
        try:
            expect(ana.page.locator("#notice")).to_contain_text("Can't reach your library")
            assert ana.order == ["a"], "what is there stays on the page"
        finally:
            own_mongo.start().wait()
        expect(ana.page.locator("#notice")).to_contain_text("Recommendations are paused")
        assert ana.wrong == [], "the news of it is no error"


NEXT_IS_LOADED = "document.getElementById('audio-waiting').readyState >= 3"


def test_the_music_outlasts_an_absence_of_mongodb(ana: Visit, own_mongo: MongoServer, own_services: Services) -> None:
    page = ana.page
    ana.wait_for(lambda: page.evaluate(NEXT_IS_LOADED))
    page.evaluate("overtone.queue.repeat = 'one'")  # nothing more is loaded ahead
    os.kill(own_mongo.process.pid, signal.SIGSTOP)
    try:
        page.evaluate("document.getElementById('audio').currentTime = 15")
        ana.wait_for(lambda: ana.seconds > 15.3)  # what plays needs no MongoDB
        page.click("#next")
        ana.wait_for(lambda: page.text_content("#now-title") == TITLES[1] and ana.seconds > 0.3)  # nor what is loaded
        own_services.library._locations._cached.clear()  # covers have asked where their files are
        page.click("#next")
        assert page.text_content("#now-title") == TITLES[2]
        expect(page.locator("#toast")).to_contain_text("is unavailable right now")
        ana.wait_for_requests("**/audio/*")
        assert page.text_content("#now-title") == TITLES[2], "no track is passed over"
    finally:
        os.kill(own_mongo.process.pid, signal.SIGCONT)
    ana.wait_for(lambda: ana.seconds > 0.5 and not page.evaluate("document.getElementById('audio').paused"), 30)
    assert page.text_content("#now-title") == TITLES[2]
    page.click("#previous")
    ana.wait_for(lambda: page.text_content("#now-title") == TITLES[1] and ana.seconds > 0.1)


def test_a_track_that_was_never_heard_is_not_gone_back_to(ana: Visit) -> None:
    page = ana.page
    ana.wait_for(lambda: page.evaluate(NEXT_IS_LOADED))
    page.route("**/audio/*", lambda route: route.fulfill(status=503, json={"error": "away"}))
    page.click("#next")
    ana.wait_for(lambda: page.text_content("#now-title") == TITLES[1] and ana.seconds > 0.1)  # it was loaded before
    for title in TITLES[2:4]:
        page.click("#next")
        assert page.text_content("#now-title") == title
    expect(page.locator("#toast")).to_contain_text(f"“{TITLES[3]}” is unavailable")
    page.click("#play-pause")  # asks at once, and is answered as before
    page.unroute("**/audio/*")
    ana.wait_for(lambda: ana.seconds > 0.2, 8)
    assert page.text_content("#now-title") == TITLES[3]
    page.evaluate("document.getElementById('audio').currentTime = 0")
    page.click("#previous")
    ana.wait_for(lambda: page.text_content("#now-title") == TITLES[1])
