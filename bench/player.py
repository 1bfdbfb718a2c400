"""Measures the player over a large library: first page, new lists, albums, covers, search, and many clients at once.

    PYTHONPATH=. .venv/bin/python bench/player.py --home DIR [--tracks 100000] [--clients 100] [--seconds 30]

Starts MongoDB, Kafka, the player and Chromium, all on this machine. The made library (`bench/player_library.py`) stays in DIR
for the next run. No stream runs: the script changes the lists. Prints a table, and writes DIR/player.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from shutil import which
from typing import Any
from urllib.parse import urlencode

import httpx
import numpy as np
from kafka.admin import KafkaAdminClient, NewTopic
from playwright.sync_api import sync_playwright
from pymongo import MongoClient

from bench.player_library import made_library
from conf.settings import PREFIX, PROJECT
from local.processes import Process, cpu_by_program, free_port
from local.services import KafkaServer, MongoServer

DATABASE = "bench-player"
SEARCH_FIELD = "#search input"
COVER_SIZE_PX = 320
LONGEST_WAIT_S = 60.0
FIRST_PAGE = "first page usable, nothing cached (browser)"
NEW_LIST = "a list is written in MongoDB, to the page that has it (browser)"
TARGETS_MS = {
    FIRST_PAGE: 2000,
    NEW_LIST: 300,
    "“For you” with a new list": 300,
    "albums, the first page of the grid": 200,
    "albums, further pages of the grid": 200,
    "albums, from the link to the grid (browser)": 200,
    "a cover from the cache": 50,
    "search, every keystroke": 100,
    "search, from the key to the results (browser)": 100,
}
Times = dict[str, list[float]]
"""Durations in seconds, by what was measured."""

NOTE_LIST = """(generation) => { window.listAt = null;
    const list = document.getElementById('for-you');
    const observer = new MutationObserver(() => {
        if (!document.querySelector('#list-update button') && list.dataset.generation !== String(generation)) return;
        observer.disconnect(); window.listAt = Date.now(); });
    const kinds = {attributes: true, attributeFilter: ['data-generation'], childList: true, subtree: true};
    observer.observe(document.body, kinds); }"""
"""Notes when a list is on the page, or offered where the one before is in sight."""
TYPE_AND_WAIT = """([word, selector]) => new Promise((done, fail) => {
    setTimeout(() => fail(new Error('no results of ' + word)), 30_000);
    const field = document.querySelector(selector), from = performance.now();
    const observer = new MutationObserver(() => requestAnimationFrame(() => {
        if (!document.body.innerText.includes(word)) return;
        observer.disconnect(); done(performance.now() - from); }));
    observer.observe(document.body, {childList: true, subtree: true});
    field.focus(); field.value = word; field.dispatchEvent(new Event('input', {bubbles: true})); })"""
OPEN_AND_WAIT = """([hash, selector]) => new Promise((done, fail) => {
    setTimeout(() => fail(new Error('nothing at ' + hash)), 30_000);
    const from = performance.now();
    const observer = new MutationObserver(() => requestAnimationFrame(() => {
        if (!document.querySelector(selector)) return;
        observer.disconnect(); done(performance.now() - from); }));
    observer.observe(document.getElementById('view'), {childList: true, subtree: true});
    location.hash = hash; })"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/player.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--home", type=Path, required=True, help="folder for services, library and results")
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--page-loads", type=int, default=7, help="windows of Chromium that open the first page")
    options = parser.parse_args()
    bench = Bench(options)
    try:
        rows = bench.run()
    finally:
        bench.stop()
    print(
        f"\n{options.tracks:,} tracks, {os.cpu_count()} cores, all services and clients on this machine; milliseconds\n"
    )
    print("| what | n | p50 | p95 | worst | target | within |\n| --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        target = "– | –" if row["target"] is None else f"{row['target']} | {row['within']:.0%}"
        print(f"| {row['what']} | {row['n']:,} | {row['p50']:.0f} | {row['p95']:.0f} | {row['worst']:.0f} | {target} |")
    print("\n" + "\n".join(f"{name}: {value}" for name, value in bench.notes.items()))
    out = options.home / "player.json"
    results = {"tracks": options.tracks, "clients": options.clients, "rows": rows, "notes": bench.notes}
    out.write_text(json.dumps(results, indent=2, ensure_ascii=False), encoding="utf-8")
    print(out)
    return 0


def summary(what: str, seconds: list[float]) -> dict[str, Any]:
    """Percentiles of durations in milliseconds, and the share of them within the target."""
    durations_ms = np.array(seconds) * 1000
    p50, p95, worst = np.percentile(durations_ms, [50, 95, 100]).tolist()
    target = TARGETS_MS.get(what)
    within = None if target is None else float((durations_ms <= target).mean())
    print(f"{what}: p50 {p50:.0f} ms, p95 {p95:.0f} ms, {len(seconds)} times", file=sys.stderr, flush=True)
    return {"what": what, "n": len(seconds), "p50": p50, "p95": p95, "worst": worst, "target": target, "within": within}


class Bench:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.home = options, options.home.absolute()
        self.home.mkdir(parents=True, exist_ok=True)
        self.notes: dict[str, Any] = {}
        self.mongo, self.kafka = MongoServer(self.home).start(), KafkaServer(self.home).start()
        self.player = Process("player", self.home)
        self.mongo.wait()
        self.kafka.wait()
        self.db: Any = MongoClient(self.mongo.uri, tz_aware=True)[DATABASE]
        self.library = made_library(self.db, self.home / "library", options.tracks)
        for listener in ("*", *(f"client-{number}" for number in range(options.clients))):
            self.library.new_list(self.db, listener, 1)
        self._make_topic()
        self.port = free_port()
        self.site = f"http://127.0.0.1:{self.port}"

    def _make_topic(self) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.kafka.bootstrap_servers)
        if "listening-events" not in admin.list_topics():
            admin.create_topics([NewTopic("listening-events", num_partitions=2, replication_factor=1)])
        admin.close()

    def run(self) -> list[dict[str, Any]]:
        self._start_player()
        with httpx.Client(base_url=self.site, headers={"Origin": self.site}, timeout=60) as client:
            rows = [*self._one_client(client), *self._browser()]
        self.notes["load of the machine before the clients"] = round(os.getloadavg()[0], 1)
        started, cpu_before_s = time.monotonic(), self._cpu_s()
        times = self._many_clients()
        share = (self._cpu_s() - cpu_before_s) / (time.monotonic() - started)
        self.notes["player's share of one core with the clients"] = f"{share:.0%}"
        self.notes["requests a second"] = round(sum(map(len, times.values())) / self.options.seconds)
        self.notes["failed requests"] = len(times.pop("failed", []))
        rows += [summary(f"{self.options.clients} clients: {what}", seconds) for what, seconds in sorted(times.items())]
        return rows

    def _start_player(self) -> None:
        started = time.monotonic()
        settings = {
            "HOME": str(self.home),
            "MONGO__URI": self.mongo.uri,
            "MONGO__DATABASE": DATABASE,
            "KAFKA__BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "PLAYER__PORT": str(self.port),
        }
        environment = {**os.environ, **{f"{PREFIX}{name}": value for name, value in settings.items()}}
        self.player.start([sys.executable, "-m", "ui"], environment, cwd=PROJECT)
        while "Overtone is at" not in self.player.log.read_text():
            self.player.require_running("starting")
            time.sleep(0.02)
        self.notes["player answers after s"] = round(time.monotonic() - started, 1)
        while (answer := httpx.get(f"{self.site}/view/search", params={"q": "warm"}, timeout=60)).status_code == 503:
            time.sleep(0.1)
        answer.raise_for_status()
        self.notes["and searches after s"] = round(time.monotonic() - started, 1)

    def _one_client(self, client: httpx.Client) -> list[dict[str, Any]]:
        """One client: every keystroke of searches, new lists, pages of albums and tracks, and covers."""
        draw = random.Random(3)
        times: Times = defaultdict(list)

        def get(what: str, path: str, headers: dict[str, str] | None = None, **query: Any) -> httpx.Response:
            started = time.monotonic()
            response = client.get(path, params=query or None, headers=headers)
            times[what].append(time.monotonic() - started)
            if response.status_code != 304:
                response.raise_for_status()
            return response

        for _ in range(60):
            text = draw.choice(self.library.words) + " " + draw.choice(self.library.words)[:2]
            for length in range(1, len(text) + 1):
                get("search, every keystroke", "/view/search", q=text[:length])
        client.post("/listener", json={"name": "client-0"}).raise_for_status()
        for generation in range(2, 52):
            self.library.new_list(self.db, "client-0", generation)
            get("“For you” with a new list", "/for-you")
        news = client.get("/for-you").json()
        for _ in range(50):
            get("“For you” with nothing new", "/for-you", seen=news["mark"], mine=news["mine"])
        for order in ("new", "name", "artist", "year"):
            for _ in range(5):
                get("albums, the first page of the grid", "/view/albums", order=order)
            for _ in range(10):
                offset = draw.randrange(self.db.albums.estimated_document_count() - 200)
                get("albums, further pages of the grid", "/view/albums", order=order, offset=offset, limit=100)
        for sort in ("title", "artist", "album", "year"):
            for _ in range(5):
                offset = draw.randrange(len(self.library.ids) - 200)
                get("all tracks, any page", "/view/tracks", sort=sort, offset=offset, limit=100)
        albums = list(self.db.albums.find({}, {"_id": 1}).sort("added_at", -1).limit(400))
        for album in albums[:40] + albums[-40:]:
            get("an album's page", f"/view/album/{album['_id']}")
        for pictures, some in (("a picture", albums[:60]), ("drawn", albums[-60:])):
            for album in some:
                path = f"/covers/album/{album['_id']}"
                get(f"a cover for the first time, {pictures}", path, size=COVER_SIZE_PX)
                again = get("a cover from the cache", path, size=COVER_SIZE_PX)
                etag = {"If-None-Match": again.headers["etag"]}
                get("a cover that the browser has", path, headers=etag, size=COVER_SIZE_PX)
        return [summary(what, seconds) for what, seconds in times.items()]

    def _browser(self) -> list[dict[str, Any]]:
        """In Chromium: the first page with an empty cache, new lists, search and albums to what is on the screen."""
        times: Times = defaultdict(list)
        chromium = which("chromium") or which("chromium-browser") or which("google-chrome")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            for load in range(self.options.page_loads):
                print(f"window {load + 1} of {self.options.page_loads}", file=sys.stderr, flush=True)
                context = browser.new_context(viewport={"width": 1280, "height": 800})
                page = context.new_page()
                requests: list[Any] = []
                page.on("requestfinished", lambda request, seen=requests: seen.append(request))
                _timed(times[FIRST_PAGE], _load_page, page, self.site)
                page.wait_for_timeout(1500)  # until pictures and shelves are there
                self._note_requests(requests)
                _timed(times["page usable again, cached (browser)"], _load_page, page, self.site)
                self._in_page(page, times, load)
                context.close()
            browser.close()
        return [summary(what, seconds) for what, seconds in times.items()]

    def _note_requests(self, requests: list[Any]) -> None:
        sizes = {request.url.removeprefix(self.site): request.sizes()["responseBodySize"] for request in requests}
        for name, starts in (
            ("first page", ("/",)),
            ("of it our scripts and styles", ("/ui/",)),
            ("of it Gradio's", ("/assets/",)),
        ):
            own = [size for path, size in sizes.items() if path.startswith(starts)]
            self.notes[f"{name}: requests, kB"] = f"{len(own)}, {sum(own) / 1000:.0f}"

    def _in_page(self, page: Any, times: Times, load: int) -> None:
        sign_in = "fetch('/listener', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(%s)})"
        page.evaluate(sign_in % json.dumps({"name": "client-1"}))
        page.reload()
        page.wait_for_selector('#for-you[data-personal="true"] .card')
        page.wait_for_timeout(1000)  # until the stream of changes is open
        for _ in range(5):
            generation = int(time.time()) % 1_000_000
            page.evaluate(NOTE_LIST, generation)
            written_at = time.time()
            self.library.new_list(self.db, "client-1", generation)
            _wait_until(page, "window.listAt")
            times[NEW_LIST].append(page.evaluate("window.listAt") / 1000 - written_at)
            page.evaluate("document.querySelector('#list-update button')?.click()")
            page.wait_for_selector(f'#for-you[data-generation="{generation}"]', state="attached")
        for number in range(5):
            album = self.db.albums.find_one({}, {"title": 1}, skip=load * 5 + number)
            word = str(album["title"]).rpartition(" ")[2]
            duration_ms = page.evaluate(TYPE_AND_WAIT, [word, SEARCH_FIELD])
            times["search, from the key to the results (browser)"].append(duration_ms / 1000)
            page.fill(SEARCH_FIELD, "")
        for order in ("new", "name", "artist", "year"):
            page.evaluate("location.hash = '#/'")
            page.wait_for_selector("#home-view:not([hidden])")
            duration_ms = page.evaluate(OPEN_AND_WAIT, [f"#/albums?order={order}", "#view .album-grid > *"])
            times["albums, from the link to the grid (browser)"].append(duration_ms / 1000)

    def _many_clients(self) -> Times:
        """Each client holds a stream of changes, asks for its list when it is told of one, sends an event every three seconds,
        searches every five, opens a page of albums every seven and requests audio every ten.

        A thread and a plain connection each: an asynchronous client with a pool of 100 took more time than the player.
        """
        times: Times = defaultdict(list)
        until = time.monotonic() + self.options.seconds
        clients = [_Client(self, number, until, times) for number in range(self.options.clients)]
        with ThreadPoolExecutor(self.options.clients + 2) as pool:
            written_at: dict[str, float] = {}
            futures = [pool.submit(self._change_lists, until, written_at)]
            futures += [pool.submit(client.sign_in) for client in clients]
            for future in futures[1:]:
                future.result()
            futures = [futures[0], pool.submit(asyncio.run, _listen(clients, until, written_at, times))]
            futures += [pool.submit(client.run) for client in clients]
            for future in futures:
                future.result()
        return times

    def _change_lists(self, until: float, written_at: dict[str, float]) -> None:
        """Changes as many lists a second as the clients send events."""
        generation = 5000
        while time.monotonic() < until:
            generation += 1
            listener = f"client-{random.randrange(self.options.clients)}"
            written_at[listener] = time.monotonic()
            self.library.new_list(self.db, listener, generation)
            time.sleep(3 / self.options.clients)

    def _cpu_s(self) -> float:
        """Processor time of the player so far, seconds."""
        return sum(cpu_by_program([self.player.pid]).values())

    def stop(self) -> None:
        for stop in (self.player.stop, self.kafka.stop, self.mongo.stop):
            stop()


class _Client:
    """One of many clients: a plain connection, and what it has been told."""

    def __init__(self, bench: Bench, number: int, until: float, times: Times) -> None:
        self.bench, self.number, self.until, self.times = bench, number, until, times
        self.name = f"client-{number}"
        self.is_told = threading.Event()
        self.headers = {"Origin": bench.site, "Content-Type": "application/json"}
        self.connection = HTTPConnection(bench.site.removeprefix("http://"), timeout=30)

    def sign_in(self) -> None:
        response, _ = self._request("POST", "/listener", {"name": self.name})
        self.headers["Cookie"] = (response.getheader("set-cookie") or "").split(";")[0]

    def run(self) -> None:
        draw = random.Random(self.number)
        tokens = {"mark": "", "mine": ""}
        time.sleep(draw.random())
        second = 0
        while time.monotonic() < self.until:
            second_started, second = time.monotonic(), second + 1
            if second == 1 or self.is_told.is_set():
                self.is_told.clear()
                query = urlencode({"seen": tokens["mark"], "mine": tokens["mine"]})
                if (news := self._timed("“For you”", 200, "GET", f"/for-you?{query}")) is not None:
                    tokens |= {name: json.loads(news).get(name, "") for name in tokens}
            track_id = draw.choice(self.bench.library.ids)
            if (second + self.number) % 3 == 0:
                event = {"track_id": track_id, "action": draw.choice(["play", "skip", "like"]), "position_ms": 3000}
                self._timed("event", 202, "POST", "/events", event)
            if (second + self.number) % 5 == 0:
                text = draw.choice(self.bench.library.words)[:4]
                self._timed("search", 200, "GET", f"/view/search?{urlencode({'q': text})}")
            if (second + self.number) % 7 == 0:
                self._timed("albums", 200, "GET", f"/view/albums?offset={draw.randrange(5000)}&limit=100")
            if (second + self.number) % 10 == 0:
                self._timed("audio, 64 KiB", 206, "GET", f"/audio/{track_id}", Range="bytes=0-65535")
            time.sleep(max(0.0, 1 - (time.monotonic() - second_started)))

    def _request(self, method: str, path: str, body: Any = None, **more: str) -> tuple[HTTPResponse, bytes]:
        self.connection.request(method, path, None if body is None else json.dumps(body), self.headers | more)
        response = self.connection.getresponse()
        return response, response.read()

    def _timed(self, what: str, expected: int, method: str, path: str, body: Any = None, **more: str) -> bytes | None:
        """The body of the response; None where the connection failed. Records the duration, or the failure."""
        started = time.monotonic()
        try:
            response, content = self._request(method, path, body, **more)
        except (OSError, HTTPException) as error:
            self.connection.close()
            self.times["failed"].append(0.0)
            self.bench.notes[f"{what} failed"] = type(error).__name__
            return None
        is_fine = response.status == expected and not (what == "“For you”" and "away" in json.loads(content))
        self.times[what if is_fine else "failed"].append(time.monotonic() - started)
        if not is_fine:
            self.bench.notes[f"{what} answered {response.status}"] = content[:100].decode("utf-8", "replace")
        return content


async def _listen(clients: list[_Client], until: float, written_at: dict[str, float], times: Times) -> None:
    """Reads the streams of all clients, and records how long after a list was written its listener is told.

    written_at : by listener
    """

    async def listen(client: _Client) -> None:
        host, port = client.bench.site.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        request = f"GET /events-of-mine HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {client.headers['Cookie']}\r\n\r\n"
        writer.write(request.encode())
        if b" 200 " not in await reader.readline():
            times["failed"].append(0.0)
            client.bench.notes["a stream was refused"] = client.name
        try:
            while line := await reader.readline():
                if line.strip() == b"event: list":
                    if (at := written_at.pop(client.name, None)) is not None:
                        times["told of a list that was written"].append(time.monotonic() - at)
                    client.is_told.set()
        finally:
            writer.close()

    listening = asyncio.gather(*(listen(client) for client in clients))
    try:
        async with asyncio.timeout(max(0.1, until - time.monotonic())):
            await listening
    except TimeoutError:
        pass


def _load_page(page: Any, site: str) -> None:
    """Opens the page and waits until cards and search can be used."""
    page.goto(site)
    page.wait_for_selector("#for-you .card .cover")
    _wait_until(page, "Boolean(window.overtone)")


def _wait_until(page: Any, expression: str) -> None:
    """Waits until it holds. Playwright's own wait evaluates text, which the page's security policy refuses."""
    started = time.monotonic()
    while not page.evaluate(expression):
        if time.monotonic() - started > LONGEST_WAIT_S:
            raise TimeoutError(f"did not come to hold: {expression}")
        page.wait_for_timeout(10)


def _timed(durations: list[float], call: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    started = time.monotonic()
    call(*arguments, **options)
    durations.append(time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main())
