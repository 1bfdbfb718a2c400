"""demo.sh as a user runs it: a folder with broken files in it, a browser, Ctrl-C; and what it says when it cannot run."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, Page, expect

from local.processes import processes_naming

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))
from made_library import make_library  # noqa: E402


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_library(tmp_path_factory.mktemp("music"), good=40, broken=20)


def demo(home: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OVERTONE_HOME": str(home)}
    command = [str(PROJECT / "demo.sh"), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def started(home: Path, library: Path, output: int) -> subprocess.Popen[str]:
    """The demo with its player, in a process group of its own."""
    environment = {**os.environ, "OVERTONE_HOME": str(home)}
    command = [str(PROJECT / "demo.sh"), str(library), "--no-browser"]
    return subprocess.Popen(command, env=environment, stdout=output, text=True, start_new_session=True)


@dataclass(frozen=True)
class Once:
    done: subprocess.CompletedProcess[str]
    changed_files: list[Path]
    processes: list[int]
    """Of the demo, after its end."""
    run_env: bool
    """Whether the file of settings is there, after the end."""


@pytest.fixture(scope="module")
def once(home: Path, library: Path) -> Once:
    """The first demo of this home, from a folder of music to a list."""
    before = {path: path.stat().st_mtime_ns for path in library.rglob("*")}
    done = demo(home, library, "--once")
    changed = [path for path in before if path.stat().st_mtime_ns != before[path]]
    return Once(done, changed, processes_naming(home), (home / "run.env").exists())


@pytest.fixture(scope="module")
def orphans(once: Once, home: Path, library: Path) -> list[int]:
    """What a demo leaves that is killed once all its parts have been started."""
    killed = started(home, library, subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (home / "run" / "streams.pid").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    killed.kill()
    killed.wait()
    return processes_naming(home)


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[str]
    address: str
    lines: list[str]
    """What it printed until it said the address."""


@pytest.fixture(scope="module")
def running(orphans: list[int], home: Path, library: Path) -> Iterator[Running]:
    """The demo once more, with its player."""
    process = started(home, library, subprocess.PIPE)
    assert process.stdout is not None
    lines, address = [], None
    try:
        for line in process.stdout:
            lines.append(line)
            if address := re.search(r"http://\S+", line):
                break
        assert address, "".join(lines)
        yield Running(process, address.group(), lines)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(60)


def test_once_prints_a_list_that_followed(once: Once) -> None:
    assert once.done.returncode == 0, once.done.stdout + once.done.stderr
    assert "40 extracted, 0 unchanged, 20 rejected" in once.done.stdout
    assert "Because you liked" in once.done.stdout
    assert re.search(r"12 events, one a second: p50 [\d.]+ s, p95 [\d.]+ s", once.done.stdout)
    assert once.processes == [] and not once.run_env
    assert once.changed_files == []


def test_a_killed_demo_is_cleaned_up_by_the_next(orphans: list[int], running: Running, home: Path) -> None:
    assert orphans
    assert "left behind by an earlier demo" in "".join(running.lines)
    assert not set(orphans) & set(processes_naming(home))


def test_a_second_start_has_nothing_to_extract(running: Running) -> None:
    assert "nothing has changed since the last run" in "".join(running.lines)


def test_while_one_demo_runs_another_is_refused(running: Running, home: Path) -> None:
    refused = demo(home, "--once")
    assert refused.returncode == 1 and "another demo runs" in refused.stderr
    assert running.process.poll() is None and (home / "run.env").exists()


LIST_WAITS = "document.querySelector('#list-update button') !== null"
"""A new list is there, and the one before it in sight."""


def wait_until(page: Page, expression: str, within_s: float = 60.0) -> None:
    """Waits until it holds. Playwright's own wait evaluates text, which the page's security policy refuses."""
    started = time.monotonic()
    while not page.evaluate(expression):
        assert time.monotonic() - started < within_s, f"did not come to hold: {expression}"
        page.wait_for_timeout(50)


def show_list_that_waits(page: Page) -> None:
    if page.evaluate(LIST_WAITS):
        page.click("#list-update button")


@pytest.fixture
def page(running: Running, browser: Browser) -> Iterator[Page]:
    """The player, with a listener for whom something plays."""
    page = browser.new_page()
    page.goto(running.address)
    page.wait_for_selector("#for-you .card")
    if not page.locator("#listener-name").is_visible():
        page.click("#listener")
    page.fill("#listener-name", uuid.uuid4().hex)
    page.click("#listener-ok")
    expect(page.locator("#for-you")).to_have_attribute("data-personal", "false")
    page.click("#for-you .card .cover")
    wait_until(page, "document.querySelector('#audio').currentTime > 0.3")
    wait_until(page, f"{LIST_WAITS} || document.querySelector('#for-you').dataset.personal === 'true'")
    show_list_that_waits(page)
    expect(page.locator("#for-you")).to_have_attribute("data-personal", "true")
    yield page
    page.close()


def generation(page: Page) -> int:
    return int(page.locator("#for-you").get_attribute("data-generation") or 0)


def click_for_a_list(page: Page, button: str) -> None:
    """Clicks a button that makes an event, and waits for the next list."""
    before = generation(page)
    page.click(button)
    wait_until(page, f"{LIST_WAITS} || Number(document.querySelector('#for-you').dataset.generation) > {before}")
    show_list_that_waits(page)
    assert generation(page) > before


def test_play_like_and_skip_move_the_list_on_the_page(page: Page) -> None:
    def tracks() -> list[str]:
        ids: list[str] = page.locator("#for-you .card").evaluate_all("cards => cards.map(card => card.dataset.trackId)")
        return ids

    click_for_a_list(page, "#like-now")
    before = tracks()
    click_for_a_list(page, "#next")
    deadline = time.monotonic() + 120
    while tracks() == before and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    assert tracks() != before


def test_a_file_that_is_put_into_the_folder_is_on_the_page_without_a_restart(page: Page, library: Path) -> None:
    """It is noticed, extracted, published, and found by the search of the player that runs."""
    time_s = np.arange(5 * 22_050) / 22_050
    soundfile.write(library / "Deep" / "Put There Later.ogg", 0.3 * np.sin(2 * np.pi * 330 * time_s), 22_050)
    is_in_search = (
        "fetch('/view/search?q=later').then(answer => answer.text()).then(text => text.includes('Put There Later'))"
    )
    wait_until(page, is_in_search, within_s=480)
    page.fill("#search input", "put there")
    row = page.locator("#view .track-row", has_text="Put There Later")
    row.locator(".cover").click()
    expect(page.locator("#now-title")).to_have_text("Put There Later")
    page.evaluate("location.hash = '#/tracks?sort=added&dir='")
    expect(page.locator("#view .track-row").first).to_contain_text("Put There Later")


def test_a_killed_mongodb_comes_back_and_the_stream_with_it(page: Page, running: Running, home: Path) -> None:
    os.kill(json.loads((home / "run" / "mongod.pid").read_text())["pid"], signal.SIGKILL)
    assert running.process.stdout is not None
    assert any("mongod is back" in line for line in running.process.stdout)
    click_for_a_list(page, "#next")


def test_ctrl_c_leaves_nothing_that_runs(running: Running, home: Path) -> None:
    """Ends the demo that the tests above share."""
    os.killpg(running.process.pid, signal.SIGINT)  # Ctrl-C reaches the whole group
    assert running.process.wait(60) == 130
    assert not processes_naming(home)
    assert not (home / "run.env").exists()


def test_what_cannot_work_is_said_in_a_line(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("no music")
    file = tmp_path / "file"
    file.write_text("")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        cases = [
            ([empty], "no audio in"),
            ([tmp_path / "nowhere"], "no folder"),
            ([file], "is a file"),
            (["--port", str(port)], f"port {port} is in use"),
            (["--port", "99999"], "is no port"),
        ]
        for arguments, said in cases:
            done = demo(tmp_path / "home", *arguments)
            assert done.returncode == 1 and said in done.stderr, done.stderr
            assert len(done.stderr.strip().splitlines()) == 1
    done = demo(file, "--once")
    assert done.returncode == 1 and "cannot be written" in done.stderr
