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
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from local.processes import _processes

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


def belonging_to(home: Path) -> list[int]:
    """Processes that have this home in their command line."""
    found = []
    for pid, _ in _processes():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(home) in command and pid != os.getpid():
            found.append(pid)
    return found


def test_once_prints_a_list_that_followed(home: Path, library: Path) -> None:
    before = {path: path.stat() for path in library.rglob("*")}
    done = demo(home, library, "--once")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "40 extracted, 0 unchanged, 20 rejected" in done.stdout
    assert "Because you liked" in done.stdout
    assert re.search(r"12 events, one a second: p50 [\d.]+ s, p95 [\d.]+ s", done.stdout)
    assert not belonging_to(home)
    assert not (home / "run.env").exists()
    assert {path: path.stat().st_mtime_ns for path in before} == {p: s.st_mtime_ns for p, s in before.items()}


@pytest.fixture
def running(home: Path, library: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The demo a second time, with its player: (process, address)."""
    environment = {**os.environ, "OVERTONE_HOME": str(home)}
    command = [str(PROJECT / "demo.sh"), str(library), "--no-browser"]
    started = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert started.stdout is not None
    lines = []
    for line in started.stdout:
        lines.append(line)
        if address := re.search(r"http://\S+", line):
            break
    assert address, "".join(lines)
    assert "nothing has changed since the last run" in "".join(lines)
    try:
        yield started, address.group()
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGINT)
            started.wait(60)


def test_play_like_and_skip_move_the_list_on_the_page(
    running: tuple[subprocess.Popen[str], str], home: Path, browser: Browser
) -> None:
    process, address = running
    assert (home / "run.env").exists()
    page = browser.new_page()
    page.goto(address)
    page.wait_for_selector("#for-you .card")
    if not page.locator("#listener-name").is_visible():
        page.click("#listener")
    page.fill("#listener-name", "ana")
    page.click("#listener-ok")
    for_you = page.locator("#for-you")
    expect(for_you).to_have_attribute("data-personal", "false")
    page.click("#for-you .card .cover")
    page.wait_for_function("document.querySelector('#audio').currentTime > 0.3")
    expect(for_you).to_have_attribute("data-personal", "true", timeout=10_000)

    page.click("#like-now")
    page.wait_for_timeout(2500)
    shown = for_you.locator(".card").evaluate_all("cards => cards.map(card => card.dataset.trackId)")
    generation = int(for_you.get_attribute("data-generation") or 0)
    page.click("#next")
    page.wait_for_function(
        "before => Number(document.querySelector('#for-you').dataset.generation) > before",
        arg=generation,
        timeout=10_000,
    )
    page.wait_for_timeout(1500)
    now = for_you.locator(".card").evaluate_all("cards => cards.map(card => card.dataset.trackId)")
    assert now != shown

    # a service that is gone comes back, and the stream with it
    generation = int(for_you.get_attribute("data-generation") or 0)
    mongod = json.loads((home / "run" / "mongod.pid").read_text())["pid"]
    os.kill(mongod, signal.SIGKILL)
    assert process.stdout is not None
    for line in process.stdout:
        if "mongod is back" in line:
            break
    page.click("#next")
    page.wait_for_function(
        "before => Number(document.querySelector('#for-you').dataset.generation) > before",
        arg=generation,
        timeout=60_000,
    )
    page.close()

    refused = demo(home, "--once")
    assert refused.returncode == 1 and "another demo runs" in refused.stderr
    os.killpg(process.pid, signal.SIGINT)  # Ctrl-C reaches the whole group
    assert process.wait(60) == 130
    assert not belonging_to(home)
    assert not (home / "run.env").exists()


def test_a_killed_demo_is_cleaned_up_by_the_next(home: Path, library: Path) -> None:
    environment = {**os.environ, "OVERTONE_HOME": str(home)}
    command = [str(PROJECT / "demo.sh"), str(library), "--no-browser"]
    killed = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (home / "run" / "streams.pid").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    killed.kill()
    killed.wait()
    assert belonging_to(home)
    done = demo(home, library, "--once")
    assert "left behind by an earlier demo" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0
    assert not belonging_to(home)


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
