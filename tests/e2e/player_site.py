"""The player served to a browser, on a real MongoDB and a real Kafka; lists are changed as the stream would change them."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import uvicorn
from fastapi import FastAPI
from kafka import KafkaConsumer
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, expect
from pymongo import MongoClient
from pymongo.database import Database

from conf.settings import Settings
from ui import app as server
from ui.dependencies import parts

SECONDS = 20
EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)">'
TITLES = ["Morning", "Noon", "Evening", "Night", EVIL, "Dawn", "Dusk", "Mörk", "Tide", "Rain", "Snow", "Sun"]
IDS = [f"{number:016x}" for number in range(len(TITLES))]

Lists = Callable[..., None]


@pytest.fixture
def db(settings: Settings) -> Iterator[Database[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](settings.mongo.uri.get_secret_value()) as client:
        yield client[settings.mongo.database]
        client.drop_database(settings.mongo.database)


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a dozen files, "track 0.ogg" and so on."""
    folder = tmp_path_factory.mktemp("sounds")
    for number in range(len(IDS)):
        # Noise: Vorbis packs seconds of a plain tone into a page, and Chromium seeks to the beginning of a page.
        noise = 0.05 * np.random.default_rng(number).standard_normal(SECONDS * 22050)
        soundfile.write(folder / f"track {number}.ogg", noise.astype("float32"), 22050)
    return folder


@pytest.fixture
def catalogue(db: Database[dict[str, Any]], sounds: Path) -> None:
    """A dozen tracks, one as a file:// URI, one with markup in its tags, and one document without most fields."""
    for number, (track_id, title) in enumerate(zip(IDS, TITLES, strict=True)):
        file = sounds / f"track {number}.ogg"
        document = {
            "_id": track_id,
            "title": title,
            "artist": EVIL if title == EVIL else f"Band {number % 4}",
            "album": "Hours",
            "genre": "Ambient" if number % 2 else "Folk (live)",
            "licence": "CC BY 4.0",
            "duration_s": float(SECONDS),
            "path": file.as_uri() if number == 1 else str(file),
            "library": str(sounds),
            "features": [0.0] * 189,
            "similar": [{"track_id": other, "score": 0.5} for other in IDS if other != track_id],
            "genre_posterior": [{"genre": "Ambient", "probability": 0.75}, {"genre": EVIL, "probability": 0.25}],
            "map": [number / 6 - 1, (number % 4) / 2 - 0.75],
        }
        db.tracks.insert_one(document)
    db.tracks.insert_one({"_id": "bare"})
    db.tracks.insert_one({"_id": "secret", "title": "Outside", "path": "/etc/passwd", "library": "/somewhere/else"})


@pytest.fixture
def put(db: Database[dict[str, Any]]) -> Lists:
    """Writes a listener's list, as the stream does."""

    def put(user_id: str, track_ids: list[str], generation: int = 1) -> None:
        items = [
            {
                "track_id": track_id,
                "rank": rank,
                "score": 1 / rank,
                "because": [IDS[0]],
                "reason": f"close, {generation}",
            }
            for rank, track_id in enumerate(track_ids, start=1)
        ]
        made = {"generation": generation, "generated_at": datetime.now(UTC), "model_version": "m7", "events_applied": 2}
        db.recommendations.replace_one({"_id": user_id}, {"items": items, **made}, upsert=True)

    return put


@pytest.fixture
def site(settings: Settings, catalogue: None, put: Lists, sounds: Path) -> Iterator[str]:
    """The player's address."""
    put("*", IDS[:6])
    put("ana", IDS[2:8])
    put("bob", IDS[6:])
    with serving(server.app(parts(with_library(settings, sounds)))) as at:
        yield at


def with_library(settings: Settings, root: Path) -> Settings:
    return settings.model_copy(update={"library": settings.library.model_copy(update={"root": str(root)})})


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The address at which the application answers, in a thread of this process."""
    listening = socket.create_server(("127.0.0.1", 0))
    served = uvicorn.Server(server.config(app))
    thread = threading.Thread(target=served.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        served.should_exit = True
        thread.join(10)


class Visit:
    """A browser window on the player that keeps what must not happen: errors, dialogs, requests to elsewhere."""

    def __init__(self, browser: Browser, site: str, **options: Any) -> None:
        self.context: BrowserContext = browser.new_context(**{"viewport": {"width": 1280, "height": 800}} | options)
        self.page: Page = self.context.new_page()
        self.wrong: list[str] = []
        self.page.on("console", lambda said: self.wrong.extend([said.text] if said.type == "error" else []))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", self._dismiss)
        self.page.on("request", lambda request: self._note(request.url, site))
        self.page.goto(site)
        expect(self.cards.first).to_be_visible(timeout=15_000)

    def _dismiss(self, dialog: Dialog) -> None:
        self.wrong.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _note(self, url: str, site: str) -> None:
        if not url.startswith((site, "data:", "blob:")):
            self.wrong.append(f"asked {url}")

    @property
    def cards(self) -> Any:
        return self.page.locator("#for-you .card")

    @property
    def order(self) -> list[str]:
        return list(self.cards.evaluate_all("cards => cards.map(card => card.dataset.trackId)"))

    @property
    def seconds(self) -> float:
        return float(self.page.evaluate("document.getElementById('audio').currentTime"))

    def listen_as(self, name: str) -> None:
        self.page.click("#listener")
        self.page.fill("#listener-name", name)
        self.page.click("#listener-ok")
        expect(self.page.locator("#listener")).to_have_text(name)

    def play(self, track_id: str) -> None:
        self.page.locator(f'#for-you .card[data-track-id="{track_id}"] .cover').click()
        self.wait_for(lambda: self.seconds > 0.3)

    def wait_for(self, holds: Callable[[], bool], within_s: float = 5.0) -> float:
        """Seconds until it holds."""
        started = time.monotonic()
        while not holds():
            assert time.monotonic() - started < within_s, "did not come to hold"
            self.page.wait_for_timeout(30)
        return time.monotonic() - started


@pytest.fixture
def visit(browser: Browser, site: str) -> Iterator[Callable[..., Visit]]:
    visits: list[Visit] = []

    def visit(name: str | None = None, **options: Any) -> Visit:
        visits.append(Visit(browser, site, **options))
        if name is not None:
            visits[-1].listen_as(name)
        return visits[-1]

    yield visit
    wrong = [each for one in visits for each in one.wrong]
    for one in visits:
        one.context.close()
    assert wrong == []


@pytest.fixture
def events(settings: Settings) -> Callable[[int], list[dict[str, Any]]]:
    """Reads the first n events of the topic, with their keys, in the order of each listener."""

    def events(count: int) -> list[dict[str, Any]]:
        consumer = KafkaConsumer(
            settings.kafka.listening_topic,
            bootstrap_servers=settings.kafka.bootstrap_servers,
            auto_offset_reset="earliest",
            consumer_timeout_ms=5000,
        )
        read: list[dict[str, Any]] = []
        for record in consumer:
            event = json.loads(record.value)
            if event["action"] not in ("shown", "visit"):  # pages send these by themselves
                read.append({"key": record.key.decode(), **event})
            if len(read) == count:
                break
        consumer.close()
        return read

    return events
