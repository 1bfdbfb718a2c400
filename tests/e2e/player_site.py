"""The player served to a browser, on a real MongoDB and a real Kafka; lists are changed as the stream would change them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from shutil import which
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from axe_playwright_python.sync_playwright import Axe
from fastapi import FastAPI
from kafka import KafkaConsumer
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Locator, Page, Playwright, expect
from playwright.sync_api import Error as BrowserError
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.database import Database

from conf.settings import Settings
from local.services import MongoServer
from ui import app as server
from ui.dependencies import build_services

PROJECT = Path(__file__).parents[2]
SECONDS = 20
EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)">'
TITLES = ["Morning", "Noon", "Evening", "Night", EVIL, "Dawn", "Dusk", "Mörk", "Tide", "Rain", "Snow", "Sun"]
IDS = [f"{number:016x}" for number in range(len(TITLES))]

Lists = Callable[..., None]
Client = Callable[[], httpx.Client]

# Other tests compute meanwhile.
START_S = 120
ANSWER_S = 60
expect.set_options(timeout=1000 * ANSWER_S)


QUIET = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
CHROMIUM_ARGS = f"{QUIET} --disable-component-update --disable-sync --autoplay-policy=no-user-gesture-required".split()


def chromium(playwright: Playwright) -> Browser:
    program = which("chromium") or which("chromium-browser") or which("google-chrome")
    if program is None:
        pytest.fail("no Chromium on PATH; install it (Debian: apt-get install chromium) to test the player")
    return playwright.chromium.launch(executable_path=program, headless=True, args=CHROMIUM_ARGS, timeout=1000 * START_S)


@pytest.fixture
def db(
    settings_without_kafka: Settings, mongo_client: MongoClient[dict[str, Any]]
) -> Iterator[Database[dict[str, Any]]]:
    name = settings_without_kafka.mongo.database
    yield mongo_client[name]
    mongo_client.drop_database(name)


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
    documents: list[dict[str, Any]] = []
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
        documents.append(document)
    secret = {"_id": "secret", "title": "Outside", "path": "/etc/passwd", "library": "/somewhere/else"}
    db.tracks.insert_many([*documents, {"_id": "bare"}, secret])


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


@pytest.fixture(scope="session")
def player_port() -> Iterator[socket.socket]:
    """A port for all players of a worker, one after another: a browser keeps what it has cached of an address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def site(
    settings: Settings, topics: None, catalogue: None, put: Lists, sounds: Path, player_port: socket.socket
) -> Iterator[str]:
    """The address of a player of the test's own."""
    put("*", IDS[:6])
    put("ana", IDS[2:8])
    put("bob", IDS[6:])
    with serving(server.create_app(build_services(with_library(settings, sounds))), player_port.dup()) as address:
        yield address


def with_library(settings: Settings, root: Path) -> Settings:
    return settings.model_copy(update={"library": settings.library.model_copy(update={"root": str(root)})})


@contextmanager
def serving(app: FastAPI, listening: socket.socket | None = None) -> Iterator[str]:
    """The address at which the application answers, in a thread of this process.

    listening : the socket to answer at, closed at the end; None: any port
    """
    listening = listening or socket.create_server(("127.0.0.1", 0))
    served = server.PlayerServer(app)
    thread = threading.Thread(target=served.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        deadline = time.monotonic() + START_S
        while not served.started:
            assert thread.is_alive() and time.monotonic() < deadline, "the player does not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        served.should_exit = True
        thread.join(START_S)
        assert not thread.is_alive(), "the player does not end"


def command(settings: Settings, *arguments: str, **more: str) -> subprocess.Popen[str]:
    """A module of ours, run as a command with these settings.  more : further environment"""
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "OVERTONE_HOME": str(settings.home),
        "OVERTONE_MONGO__URI": settings.mongo.uri.get_secret_value(),
        "OVERTONE_MONGO__DATABASE": settings.mongo.database,
        "OVERTONE_KAFKA__BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers,
        **more,
    }
    started = [sys.executable, "-m", *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(started, env=environment, text=True, **pipes)


class Windows:
    """Browser windows, each with cookies and storage of its own.

    A window that is given back is emptied and used again: it has compiled Gradio's scripts, which costs a new one a second.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._free: dict[str, list[Page]] = {}

    @contextmanager
    def visit(self, site: str, name: str | None = None, is_new: bool = False, **options: Any) -> Iterator[Visit]:
        """The player at this address, opened in a blank window, as the named listener.

        is_new : whether the window must not have cached anything, as sounds of the tests before;  options : of
        Browser.new_context()
        Asserts at its end that nothing went wrong in the window.
        """
        options = {"viewport": {"width": 1280, "height": 800}} | options
        free = self._free.setdefault(repr(options), [])
        page = free.pop() if free and not is_new else None
        if page is None or not self._is_emptied(page, site):
            page = self._browser.new_context(**options).new_page()
        page.set_default_timeout(1000 * ANSWER_S)
        visit = Visit(page, site)
        try:
            visit.open(name)
            yield visit
            assert not visit.wrong, visit.wrong
        except BaseException:
            visit.is_reusable = False  # a page that is still being loaded answers nothing, and has no timeout for that
            raise
        finally:
            visit.close()
            if visit.is_reusable and self._is_left(page):
                free.append(page)
            else:
                page.context.close()

    def _is_left(self, page: Page) -> bool:
        """Leaves the player."""
        try:
            page.unroute_all(behavior="ignoreErrors")
            page.evaluate("sessionStorage.clear()")
            page.goto("about:blank")
            page.mouse.move(0, 0)
        except BrowserError:
            return False
        return True

    def _is_emptied(self, page: Page, origin: str) -> bool:
        """Removes what the browser has stored of the player, also what it wrote after the page was left."""
        try:
            page.context.clear_cookies()
            devtools = page.context.new_cdp_session(page)
            devtools.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "local_storage,indexeddb"})
            devtools.detach()
        except BrowserError:
            return False
        return True

    def close(self) -> None:
        for pages in self._free.values():
            for page in pages:
                page.context.close()


@pytest.fixture(scope="session")
def windows(browser: Browser) -> Iterator[Windows]:
    made = Windows(browser)
    yield made
    made.close()


MARK_SHELVES = """document.querySelector("#home-more").append(
  Object.assign(document.createElement("i"), { id: "shelves-before", hidden: true }))"""


class Visit:
    """A player in a browser window that keeps what must not happen: errors, dialogs, requests to elsewhere."""

    def __init__(self, page: Page, site: str) -> None:
        self.page, self.site = page, site
        self.wrong: list[str] = []
        self.is_reusable = True
        self._handlers = {
            "console": self._note_message,
            "pageerror": lambda error: self.wrong.append(str(error)),
            "dialog": self._dismiss,
            "request": lambda request: self._note(request.url),
        }

    def open(self, name: str | None = None) -> None:
        for event, handler in self._handlers.items():
            self.page.on(event, handler)  # type: ignore[call-overload]
        self.page.goto(self.site)
        expect(self.cards.first).to_be_visible()
        if name is not None:
            # The shelves of nobody are replaced by the listener's, and with them what has the focus: that is to be over.
            expect(self.page.locator("#library-size")).to_be_attached()
            self.page.evaluate(MARK_SHELVES)
            self.listen_as(name)
            expect(self.page.locator("#shelves-before")).to_have_count(0)

    def close(self) -> None:
        """What happens in the window from now on counts no more."""
        for event, handler in self._handlers.items():
            self.page.remove_listener(event, handler)

    def run_first(self, script: str) -> None:
        """Runs the script before those of every page that the window opens from now on."""
        self.is_reusable = False
        self.page.add_init_script(script)

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.wrong.append(f"{message.text} {message.location.get('url', '')}")

    def _dismiss(self, dialog: Dialog) -> None:
        self.wrong.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _note(self, url: str) -> None:
        if not url.startswith((self.site, "data:", "blob:")):
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

    def show_new_list(self, order: list[str]) -> None:
        """Asks for the list that waits while the one before is in sight."""
        expect(self.page.locator("#list-update")).to_contain_text("Updated")
        self.wait_for(lambda: self.page.locator("#list-update button").count() == 1)
        self.page.click("#list-update button")
        self.wait_for(lambda: self.order == order)

    def choose(self, card: Locator, entry: str) -> None:
        """Chooses an entry of a card's menu."""
        card.locator("[data-action=menu]").click()
        self.page.get_by_role("menu").get_by_text(entry, exact=True).click()

    def play(self, track_id: str) -> None:
        self.page.locator(f'#for-you .card[data-track-id="{track_id}"] .cover').click()
        self.wait_for(lambda: self.seconds > 0.3)

    def wait_for_requests(self, url: str, count: int = 2) -> None:
        """Waits for that many more requests of a URL that the page asks for again and again, each after the answer before it.

        url : a glob; by the second request the page has shown the answer to one that it sent after the call
        """
        for _ in range(count):
            with self.page.expect_request(url):
                pass

    def look_for_news(self, count: int = 1) -> None:
        """Asks for list and opinions that many times, and waits until the page has shown the answers."""
        for _ in range(count):
            self.page.evaluate("overtone.refresh()")

    def wait_for(self, holds: Callable[[], bool], within_s: float = ANSWER_S) -> float:
        """Seconds until it holds."""
        started = time.monotonic()
        while not holds():
            assert time.monotonic() - started < within_s, "did not come to hold"
            self.page.wait_for_timeout(30)
        return time.monotonic() - started


@pytest.fixture
def visit(site: str, windows: Windows) -> Iterator[Callable[..., Visit]]:
    """Opens the player in a window of its own, as the named listener; options as in `Windows.visit`."""
    with ExitStack() as visits:
        yield lambda name=None, **options: visits.enter_context(windows.visit(site, name, **options))


@pytest.fixture
def ana(visit: Callable[..., Visit], request: pytest.FixtureRequest) -> Visit:
    """The player in the window of ana, whose list is there; a parameter: options as in `Windows.visit`."""
    ana = visit("ana", **getattr(request, "param", {}))
    ana.wait_for(lambda: ana.order == IDS[2:8])
    return ana


def serious_violations(visit: Visit) -> list[str]:
    """What axe finds on the page that is in the way of somebody."""
    # Of itself it would look for the imports of style sheets beside the page, and describe every element that passed.
    options = {"preload": False, "resultTypes": ["violations"]}
    violations = Axe().run(visit.page, options=options).response["violations"]
    return [
        f"{each['id']} ({each['impact']}): {node['html'][:160]}"
        for each in violations
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@pytest.fixture
def client(site: str) -> Iterator[Client]:
    """Makes browsers without a window: a cookie jar each."""
    made: list[httpx.Client] = []

    def client() -> httpx.Client:
        made.append(httpx.Client(base_url=site, headers={"Origin": site}, timeout=ANSWER_S))
        return made[-1]

    yield client
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def own_mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """A MongoDB of a file of tests, to be stopped or frozen."""
    own = MongoServer(tmp_path_factory.mktemp("mongo")).start()
    try:
        yield own.wait()
    finally:
        own.stop()


@pytest.fixture
def own_settings(settings: Settings, own_mongo: MongoServer) -> Settings:
    mongo = settings.mongo.model_copy(update={"uri": SecretStr(own_mongo.uri)})
    return settings.model_copy(update={"mongo": mongo})


@pytest.fixture
def events(settings: Settings, topics: None) -> Callable[[int], list[dict[str, Any]]]:
    """Reads the first n events of the topic, with their keys, in the order of each listener."""

    def events(count: int) -> list[dict[str, Any]]:
        consumer = KafkaConsumer(
            settings.kafka.listening_topic,
            bootstrap_servers=settings.kafka.bootstrap_servers,
            auto_offset_reset="earliest",
            consumer_timeout_ms=20_000,
        )
        read: list[dict[str, Any]] = []
        for record in consumer:
            event = json.loads(record.value)
            print("event:", record.timestamp, event)  # for a test that fails
            if event["action"] not in ("shown", "visit"):  # pages send these by themselves
                read.append({"key": record.key.decode(), **event})
            if len(read) == count:
                break
        consumer.close()
        return read

    return events
