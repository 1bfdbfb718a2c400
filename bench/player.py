"""Measures the player over a large library: first page, search, refresh of "For you", and many clients at once.

    PYTHONPATH=. .venv/bin/python bench/player.py --home DIR [--tracks 100000] [--clients 100] [--seconds 30]

Starts MongoDB, Kafka, the player and Chromium, all on this machine. Titles and names are generated from a fixed seed; the
library stays in DIR for the next run. No stream runs: the script changes the lists.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from shutil import which
from typing import Any
from urllib.parse import urlencode

import httpx
import numpy as np
import soundfile
from kafka.admin import KafkaAdminClient, NewTopic
from playwright.sync_api import sync_playwright
from pymongo import MongoClient

from conf.settings import PREFIX, PROJECT
from local.processes import Process, cpu_by_program, free_port
from local.services import KafkaServer, MongoServer

DATABASE = "bench-player"
SYLLABLES = [a + b for a in "bdfklmnrstv" for b in "aeio"]
PAGE_LOADS = 7
LIST_ITEMS = 30
SEARCH_FIELD = "#search textarea, #search input"
Times = dict[str, list[float]]
"""Durations in seconds, by what was measured."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/player.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--home", type=Path, required=True, help="folder for services, library and results")
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    bench = Bench(options)
    try:
        rows = bench.run()
    finally:
        bench.stop()
    print(
        f"\n{options.tracks:,} tracks, {os.cpu_count()} cores, all services and clients on this machine; milliseconds\n"
    )
    print("| what | n | p50 | p95 | p99 | worst |\n| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        print(
            f"| {row['what']} | {row['n']:,} | {row['p50']:.0f} | {row['p95']:.0f} | {row['p99']:.0f} | {row['worst']:.0f} |"
        )
    print("\n" + ", ".join(f"{name} {value}" for name, value in bench.notes.items()))
    out = options.home / "player.json"
    out.write_text(
        json.dumps({"tracks": options.tracks, "clients": options.clients, "rows": rows, **bench.notes}, indent=2)
    )
    print(out)
    return 0


def summary(what: str, seconds: list[float]) -> dict[str, Any]:
    """Percentiles of durations, in milliseconds."""
    percentiles = np.percentile(np.array(seconds) * 1000, [50, 95, 99, 100])
    return {
        "what": what,
        "n": len(seconds),
        **dict(zip(("p50", "p95", "p99", "worst"), percentiles.tolist(), strict=True)),
    }


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
        self.ids = [f"{number:016x}" for number in range(options.tracks)]
        self.words = _words(random.Random(1))
        self._publish()
        self.port = free_port()
        self.site = f"http://127.0.0.1:{self.port}"

    def _publish(self) -> None:
        """Publishes a library with documents as large as those of `publish`: features and 50 similar tracks each."""
        tone = self.home / "tone.ogg"
        soundfile.write(tone, (0.1 * np.random.default_rng(0).standard_normal(20 * 22_050)).astype("float32"), 22_050)
        if self.db.tracks.estimated_document_count() != len(self.ids):
            self.db.tracks.drop()
            for start in range(0, len(self.ids), 2000):
                self.db.tracks.insert_many(self._documents(start, tone), ordered=False)
        for listener in ("*", *(f"client-{n}" for n in range(self.options.clients))):
            self._new_list(listener, 1)
        admin = KafkaAdminClient(bootstrap_servers=self.kafka.bootstrap_servers)
        if "listening-events" not in admin.list_topics():
            admin.create_topics([NewTopic("listening-events", num_partitions=2, replication_factor=1)])
        admin.close()

    def _documents(self, start: int, tone: Path) -> list[dict[str, Any]]:
        draw, rng = random.Random(start), np.random.default_rng(start)
        ids = self.ids[start : start + 2000]
        return [
            {
                "_id": track_id,
                "title": _phrase(draw, self.words, 4),
                "artist": _phrase(random.Random(draw.randrange(self.options.tracks // 7 + 1)), self.words, 2),
                "album": _phrase(draw, self.words, 3),
                "genre": f"Genre {draw.randrange(16)}",
                "licence": "CC BY 4.0",
                "duration_s": 20.0,
                "path": str(tone),
                "features": rng.standard_normal(189).tolist(),
                "similar": [{"track_id": draw.choice(ids), "score": 0.5} for _ in range(50)],
                "map": rng.uniform(-1, 1, 2).tolist(),
            }
            for track_id in ids
        ]

    def _new_list(self, listener: str, generation: int) -> None:
        draw = random.Random(f"{listener} {generation}")
        items = [
            {
                "track_id": track_id,
                "rank": rank,
                "score": 1 / rank,
                "because": draw.sample(self.ids, 3),
                "reason": "made",
            }
            for rank, track_id in enumerate(draw.sample(self.ids, LIST_ITEMS), start=1)
        ]
        header = {
            "generation": generation,
            "generated_at": datetime.now(UTC),
            "model_version": "made",
            "events_applied": 1,
        }
        self.db.recommendations.replace_one({"_id": listener}, {"items": items, **header}, upsert=True)

    def run(self) -> list[dict[str, Any]]:
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
        with httpx.Client(base_url=self.site, headers={"Origin": self.site}, timeout=60) as client:
            client.get("/words", params={"text": "warm"}).raise_for_status()
            self.notes["and searches after s"] = round(time.monotonic() - started, 1)
            rows = [*self._one_client(client), *self._browser()]
        self.notes["load of the machine before the clients"] = round(os.getloadavg()[0], 1)
        started, cpu_before_s = time.monotonic(), self._cpu_s()
        times = self._many_clients()
        share = (self._cpu_s() - cpu_before_s) / (time.monotonic() - started)
        self.notes["player's share of one core with the clients"] = f"{share:.0%}"
        self.notes["requests a second"] = round(sum(len(seconds) for seconds in times.values()) / self.options.seconds)
        self.notes["failed requests"] = len(times.pop("failed", []))
        rows += [summary(f"{self.options.clients} clients: {what}", seconds) for what, seconds in sorted(times.items())]
        return rows

    def _one_client(self, client: httpx.Client) -> list[dict[str, Any]]:
        """One client: every keystroke of a hundred searches, and refreshes after a new list each."""
        draw = random.Random(3)
        times: Times = defaultdict(list)
        for _ in range(100):
            text = draw.choice(self.words) + " " + draw.choice(self.words)[:2]
            for length in range(1, len(text) + 1):
                _timed(times["search, every keystroke (HTTP)"], _search, client, text[:length])
        client.post("/listener", json={"name": "client-0"}).raise_for_status()
        for generation in range(2, 52):
            self._new_list("client-0", generation)
            _timed(times["refresh of For you with a new list (HTTP)"], client.get, "/for-you")
        news = client.get("/for-you").json()
        for _ in range(50):
            tokens = {"seen": news["mark"], "mine": news["mine"]}
            _timed(times["refresh of For you, nothing new (HTTP)"], client.get, "/for-you", params=tokens)
        return [summary(what, seconds) for what, seconds in times.items()]

    def _browser(self) -> list[dict[str, Any]]:
        """In Chromium: the first page with an empty cache, search from the key to the cards, a new list to the cards."""
        times: Times = defaultdict(list)
        chromium = which("chromium") or which("chromium-browser") or which("google-chrome")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            for load in range(PAGE_LOADS):
                context = browser.new_context(viewport={"width": 1280, "height": 800})
                page = context.new_page()

                _timed(times["first page usable, nothing cached (browser)"], _load_page, page, self.site)
                _timed(times["page usable again, cached (browser)"], _load_page, page, self.site)
                self._in_page(page, times, load)
                context.close()
            browser.close()
        return [summary(what, seconds) for what, seconds in times.items()]

    def _in_page(self, page: Any, times: Times, load: int) -> None:
        sign_in = "fetch('/listener', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(%s)})"
        page.evaluate(sign_in % json.dumps({"name": "client-1"}))
        page.reload()
        page.wait_for_selector('#for-you[data-personal="true"] .card')
        for number in range(5):
            word = self.words[load * 5 + number]
            page.fill(SEARCH_FIELD, "")
            page.wait_for_function("!document.querySelector('#results .section-head')")
            wait = """word => new Promise((done) => { const field = document.querySelector('#search textarea, #search input');
                const results = document.getElementById('results'); const from = performance.now();
                new MutationObserver((_, own) => { if (results.querySelector('.section-head')) { own.disconnect();
                requestAnimationFrame(() => done(performance.now() - from)); } })
                .observe(results, {childList: true, subtree: true});
                field.value = word; field.dispatchEvent(new Event('input', {bubbles: true})); })"""
            times["search from the key to the cards (browser)"].append(page.evaluate(wait, word[:3]) / 1000)
        page.fill(SEARCH_FIELD, "")
        for number in range(5):
            generation = 1000 + load * 10 + number
            self._new_list("client-1", generation)
            refresh = """() => { const from = performance.now();
                return overtone.refresh().then(() => {
                document.querySelector("#list-update button")?.click(); return performance.now() - from; }); }"""
            times["refresh of For you to the cards (browser)"].append(page.evaluate(refresh) / 1000)
            assert page.get_attribute("#for-you", "data-generation") == str(generation)

    def _many_clients(self) -> Times:
        """Each client polls every second, sends an event every three, searches every five and requests audio every ten.

        A thread and a plain connection each: an asynchronous client with a pool of 100 took more time than the player.
        """
        times: Times = defaultdict(list)
        until = time.monotonic() + self.options.seconds
        with ThreadPoolExecutor(self.options.clients + 1) as pool:
            futures = [pool.submit(self._change_lists, until)]
            futures += [pool.submit(self._client, number, until, times) for number in range(self.options.clients)]
            for future in futures:
                future.result()
        return times

    def _change_lists(self, until: float) -> None:
        """Changes as many lists a second as the clients send events."""
        generation = 5000
        while time.monotonic() < until:
            generation += 1
            self._new_list(f"client-{random.randrange(self.options.clients)}", generation)
            time.sleep(3 / self.options.clients)

    def _client(self, number: int, until: float, times: Times) -> None:
        draw = random.Random(number)
        connection = HTTPConnection(self.site.removeprefix("http://"), timeout=30)
        headers = {"Origin": self.site, "Content-Type": "application/json"}

        def request(method: str, path: str, body: Any = None, **more: str) -> tuple[HTTPResponse, bytes]:
            connection.request(method, path, None if body is None else json.dumps(body), headers | more)
            response = connection.getresponse()
            return response, response.read()

        def timed(what: str, expected: int, method: str, path: str, body: Any = None, **more: str) -> bytes | None:
            """The body of the response; None where the connection failed. Records the duration, or the failure."""
            started = time.monotonic()
            try:
                response, content = request(method, path, body, **more)
            except (OSError, HTTPException) as error:
                connection.close()
                times["failed"].append(0.0)
                self.notes[f"{what} failed"] = type(error).__name__
                return None
            is_fine = response.status == expected and not (what == "For you" and "away" in json.loads(content))
            times[what if is_fine else "failed"].append(time.monotonic() - started)
            if not is_fine:
                self.notes[f"{what} answered {response.status}"] = content[:100].decode("utf-8", "replace")
            return content

        signed_in, _ = request("POST", "/listener", {"name": f"client-{number}"})
        headers["Cookie"] = (signed_in.getheader("set-cookie") or "").split(";")[0]
        tokens = {"mark": "", "mine": ""}
        time.sleep(draw.random())
        second = 0
        while time.monotonic() < until:
            second_started, second = time.monotonic(), second + 1
            query = urlencode({"seen": tokens["mark"], "mine": tokens["mine"]})
            news = timed("For you", 200, "GET", f"/for-you?{query}")
            if news is not None:
                tokens |= {name: json.loads(news).get(name, "") for name in tokens}
            track_id = draw.choice(self.ids)
            if (second + number) % 3 == 0:
                event = {"track_id": track_id, "action": draw.choice(["play", "skip", "like"]), "position_ms": 3000}
                timed("event", 202, "POST", "/events", event)
            if (second + number) % 5 == 0:
                timed("search", 200, "POST", "/gradio_api/run/search", {"data": [draw.choice(self.words)[:4]]})
            if (second + number) % 10 == 0:
                timed("audio, 64 KiB", 206, "GET", f"/audio/{track_id}", Range="bytes=0-65535")
            time.sleep(max(0.0, 1 - (time.monotonic() - second_started)))

    def _cpu_s(self) -> float:
        """Processor time of the player so far, seconds."""
        return sum(cpu_by_program([self.player.pid]).values())

    def stop(self) -> None:
        for stop in (self.player.stop, self.kafka.stop, self.mongo.stop):
            stop()


def _words(draw: random.Random) -> list[str]:
    return ["".join(draw.choice(SYLLABLES) for _ in range(draw.randint(1, 4))) for _ in range(30_000)]


def _phrase(draw: random.Random, words: list[str], max_words: int) -> str:
    return " ".join(draw.choice(words) for _ in range(draw.randint(1, max_words))).title()


def _search(client: httpx.Client, text: str) -> None:
    client.post("/gradio_api/run/search", json={"data": [text]}).raise_for_status()


def _load_page(page: Any, site: str) -> None:
    """Opens the page and waits until cards and search can be used."""
    page.goto(site)
    page.wait_for_selector("#for-you .card .cover")
    page.wait_for_selector("#search textarea:enabled, #search input:enabled")


def _timed(durations: list[float], call: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    started = time.monotonic()
    call(*arguments, **options)
    durations.append(time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main())
