"""What changes in MongoDB reaches the open page by itself: no poll, each listener their own, and after an absence too."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx
from player_site import ANSWER_S, IDS, Lists, Visit, Windows, serving, with_library
from playwright.sync_api import expect
from pymongo import MongoClient

from conf.settings import Settings
from local.services import MongoServer
from ui import app
from ui.dependencies import build_services

COUNT_REQUESTS = """() => { const asked = window.asked = []; const own = window.fetch;
    window.fetch = (address, ...more) => { asked.push(String(address)); return own(address, ...more); }; }"""


def requests_for_the_list(visit: Visit) -> int:
    return int(visit.page.evaluate("asked.filter((address) => address.startsWith('/for-you')).length"))


def test_a_new_list_appears_and_without_one_nothing_is_asked(visit: Any, put: Lists) -> None:
    ana = visit("ana")
    ana.wait_for(lambda: ana.order == IDS[2:8])
    ana.page.evaluate(COUNT_REQUESTS)
    ana.page.wait_for_timeout(2500)
    assert requests_for_the_list(ana) <= 1, "the page does not poll"
    for generation in range(2, 6):
        order = IDS[generation : generation + 4]
        put("ana", order, generation)
        ana.show_new_list(order)
    assert requests_for_the_list(ana) <= 1 + 2 * 4


def test_two_listeners_are_told_of_their_own(visit: Any, put: Lists) -> None:
    ana, bob = visit("ana"), visit("bob")
    ana.wait_for(lambda: ana.order == IDS[2:8])
    bob.wait_for(lambda: bob.order == IDS[6:])
    bob.page.wait_for_timeout(500)  # until what the visit itself has written is told
    bob.page.evaluate(COUNT_REQUESTS)
    put("ana", IDS[:5], 2)
    ana.show_new_list(IDS[:5])
    assert requests_for_the_list(bob) == 0


def test_all_tabs_of_a_browser_share_one_stream(visit: Any, put: Lists) -> None:
    ana = visit("ana")
    tabs = [ana.page.context.new_page() for _ in range(7)]
    for tab in tabs:  # with a connection each, the seventh would wait for ever
        tab.goto(ana.site)
        # her list: the one of nobody, which may be there before it, begins with another
        expect(tab.locator("#for-you .card").first).to_have_attribute("data-track-id", IDS[2])
    put("ana", IDS[:3], 2)
    for tab in tabs:
        expect(tab.locator("#list-update")).to_contain_text("Updated")
        tab.close()


def test_a_stream_ends_with_its_session(site: str) -> None:
    with httpx.Client(base_url=site, headers={"Origin": site}, timeout=ANSWER_S) as ana:
        ana.post("/listener", json={"name": "ana"}).raise_for_status()
        with ana.stream("GET", "/events-of-mine") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = stream.iter_lines()
            assert next(lines) == "event: status"
            assert json.loads(next(lines).removeprefix("data: "))["connected"] is True
            ana.post("/listener", json={"name": None}).raise_for_status()
            for _ in lines:
                pass  # it ends, where it would else go on for ever


def test_a_frozen_database_is_told_and_what_changed_since_is_shown(
    windows: Windows, own_settings: Settings, topics: None, own_mongo: MongoServer, tmp_path: Path
) -> None:
    with MongoClient[dict[str, Any]](own_mongo.uri) as client:
        database = client[own_settings.mongo.database]
        database.tracks.insert_many({"_id": track_id, "title": track_id} for track_id in IDS)

        def put_list(track_ids: list[str], generation: int) -> None:
            items = [{"track_id": track_id, "rank": rank} for rank, track_id in enumerate(track_ids, start=1)]
            database.recommendations.replace_one(
                {"_id": "ana"}, {"items": items, "generation": generation}, upsert=True
            )

        put_list(IDS[:4], 1)
        player = app.create_app(build_services(with_library(own_settings, tmp_path)))
        with serving(player) as site, windows.visit(site, "ana") as ana:
            notice = ana.page.locator("#notice")
            ana.wait_for(lambda: ana.order == IDS[:4])
            os.kill(own_mongo.process.pid, signal.SIGSTOP)
            try:
                expect(notice).to_contain_text("Can't reach your library")
                assert ana.order == IDS[:4], "what is there stays on the page"
            finally:
                os.kill(own_mongo.process.pid, signal.SIGCONT)
            expect(notice).to_be_hidden()
            put_list(IDS[4:9], 2)
            ana.show_new_list(IDS[4:9])
            ana.wrong.clear()  # what was away is an error to the browser's console
