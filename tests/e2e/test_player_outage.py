"""MongoDB stops answering while music plays: it waits, nothing is passed over, and it goes on by itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from player_site import IDS, TITLES, Visit, serving, with_library
from playwright.sync_api import Browser, expect
from pydantic import SecretStr
from pymongo import MongoClient

from conf.settings import Settings
from local.services import MongoServer
from ui import app
from ui.dependencies import parts


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[MongoServer]:
    """A MongoDB of the test's own, to be stopped."""
    own = MongoServer(tmp_path)
    own.start().wait()
    try:
        yield own
    finally:
        os.kill(own.process.pid, signal.SIGCONT)
        own.stop()


@pytest.fixture
def ana(
    browser: Browser, settings: Settings, catalogue: None, sounds: Path, db: Any, silent: MongoServer
) -> Iterator[Visit]:
    mongo = settings.mongo.model_copy(update={"uri": SecretStr(silent.uri)})
    alone = with_library(settings.model_copy(update={"mongo": mongo}), sounds)
    with MongoClient[dict[str, Any]](silent.uri) as own:
        own[mongo.database].tracks.insert_many(db.tracks.find())
        items = [{"track_id": track_id, "rank": rank} for rank, track_id in enumerate(IDS, start=1)]
        own[mongo.database].recommendations.insert_one({"_id": "*", "items": items, "generation": 1})
    with serving(app.app(parts(alone))) as site:
        ana = Visit(browser, site)
        ana.listen_as("ana")
        ana.play(IDS[0])
        yield ana
        ana.context.close()


def test_the_music_outlasts_an_absence_of_mongodb(ana: Visit, silent: MongoServer) -> None:
    page = ana.page
    os.kill(silent.process.pid, signal.SIGSTOP)
    page.evaluate("document.getElementById('audio').currentTime = 15")
    ana.wait_for(lambda: ana.seconds > 15.3)  # what plays needs no MongoDB
    page.click("#next")
    assert page.inner_text("#now-title") == TITLES[1]
    expect(page.locator("#toast")).to_contain_text("cannot give", timeout=30_000)
    page.wait_for_timeout(3000)
    assert page.inner_text("#now-title") == TITLES[1], "no track is passed over"
    os.kill(silent.process.pid, signal.SIGCONT)
    ana.wait_for(lambda: ana.seconds > 0.5 and not page.evaluate("document.getElementById('audio').paused"), 30)
    assert page.inner_text("#now-title") == TITLES[1]
    page.click("#previous")
    ana.wait_for(lambda: page.inner_text("#now-title") == TITLES[0] and ana.seconds > 0.1)


def test_a_track_that_was_never_heard_is_not_gone_back_to(ana: Visit) -> None:
    page = ana.page
    page.route("**/audio/*", lambda route: route.fulfill(status=503, json={"error": "away"}))
    for title in TITLES[1:4]:
        page.click("#next")
        assert page.inner_text("#now-title") == title
    expect(page.locator("#toast")).to_contain_text(f"cannot give “{TITLES[3]}”")
    page.click("#play-pause")  # asks at once, and is answered as before
    page.unroute("**/audio/*")
    ana.wait_for(lambda: ana.seconds > 0.2, 8)
    assert page.inner_text("#now-title") == TITLES[3]
    page.evaluate("document.getElementById('audio').currentTime = 0")
    page.click("#previous")
    ana.wait_for(lambda: page.inner_text("#now-title") == TITLES[0])
