"""Processes that a demo owns, with real ones: stopped with their children, found again, never mistaken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.processes import (
    Process,
    StepFailed,
    cpu_by_program,
    cpu_by_threads,
    free_port,
    leftovers,
    processes_naming,
    resident_bytes,
    stop_leftovers,
)

PROJECT = Path(__file__).parents[2]

WITH_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
print(child.pid, flush=True)
time.sleep(120)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(120)"


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    owned = Process("worker", tmp_path)
    yield owned
    owned.stop(patience_s=1.0)


def runs(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def printed(process: Process) -> str:
    deadline = time.monotonic() + 120
    while not (text := process.log.read_text().strip()):
        assert time.monotonic() < deadline, "the process printed nothing"
        time.sleep(0.02)
    return text


def test_stop_ends_the_process_and_its_children(process: Process) -> None:
    process.start([sys.executable, "-c", WITH_CHILD])
    child = int(printed(process))
    assert process.returncode is None and runs(child)
    process.require_running("nothing is asked of it")
    process.stop()
    assert process.returncode is not None
    assert not runs(process.pid) and not runs(child)
    assert not process.pid_file.exists()


def test_a_process_that_hears_no_sigterm_is_killed(process: Process) -> None:
    process.start([sys.executable, "-c", DEAF])
    printed(process)
    process.stop(patience_s=0.3)
    assert process.returncode == -9


def test_a_leftover_is_found_and_stopped(process: Process, tmp_path: Path) -> None:
    process.start([sys.executable, "-c", WITH_CHILD])
    child = int(printed(process))
    assert leftovers(tmp_path) == [("worker", process.pid)]
    assert stop_leftovers(tmp_path) == ["worker"]
    assert not runs(process.pid) and not runs(child)
    assert leftovers(tmp_path) == []


KILLED_BEFORE_IT_RECORDS = """
import os, signal, sys
from pathlib import Path
from local import processes
processes.write_text = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
folder = Path(sys.argv[1])
program = "import sys, time; open(sys.argv[1], 'w'); time.sleep(120)"
processes.Process("worker", folder).start([sys.executable, "-c", program, folder / "has run"])
"""


def test_a_starter_that_is_killed_before_it_records_the_process_leaves_none(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED_BEFORE_IT_RECORDS, str(tmp_path)]
    killed = subprocess.run(command, cwd=PROJECT, timeout=60, check=False)
    assert killed.returncode == -9 and leftovers(tmp_path) == []
    deadline = time.monotonic() + 20
    while left := processes_naming(tmp_path):
        assert time.monotonic() < deadline, left
        time.sleep(0.02)
    assert not (tmp_path / "has run").exists()


def wait_for_end(process: Process) -> None:
    deadline = time.monotonic() + 120
    while process.returncode is None and time.monotonic() < deadline:
        time.sleep(0.02)


def test_a_program_that_is_missing_is_told_in_its_log(process: Process) -> None:
    process.start(["/no/such/program"])
    wait_for_end(process)
    with pytest.raises(StepFailed, match="(?s)worker ended with code 127 while starting.*/no/such/program"):
        process.require_running("starting")


def test_children_whose_parent_is_gone_are_a_leftover_too(process: Process, tmp_path: Path) -> None:
    process.start([sys.executable, "-c", WITH_CHILD])
    child = int(printed(process))
    os.kill(process.pid, 9)
    os.waitpid(process.pid, 0)
    assert runs(child)
    assert stop_leftovers(tmp_path) == ["worker"]
    assert not runs(child)


def test_another_process_that_got_the_number_is_left_alone(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"], start_new_session=True)
    try:
        file = tmp_path / "run" / "worker.pid"
        file.parent.mkdir()
        file.write_text(json.dumps({"pid": other.pid, "started": 1, "name": "worker"}))
        assert leftovers(tmp_path) == []
        assert stop_leftovers(tmp_path) == []
        assert other.poll() is None
        assert not file.exists()
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '{"pid": null, "started": 1, "name": "x"}'])
def test_a_pid_file_that_tells_nothing_is_cleared(content: str, tmp_path: Path) -> None:
    file = tmp_path / "run" / "worker.pid"
    file.parent.mkdir()
    file.write_text(content)
    assert leftovers(tmp_path) == []
    assert not file.exists()


def test_a_process_that_ended_is_told_with_the_end_of_its_log(process: Process) -> None:
    process.start([sys.executable, "-c", "print('out of luck'); raise SystemExit(3)"])
    wait_for_end(process)
    with pytest.raises(StepFailed, match="(?s)worker ended with code 3 while waiting for it.*out of luck"):
        process.require_running("waiting for it")


def test_the_log_of_the_run_before_is_kept(process: Process) -> None:
    for word in ("first", "second"):
        process.start([sys.executable, "-c", f"print('{word}')"])
        printed(process)
        process.stop()
    assert process.log.read_text() == "second\n"
    assert process.log.with_suffix(".old").read_text() == "first\n"


def test_a_process_that_was_never_started_has_no_pid(tmp_path: Path) -> None:
    never = Process("never", tmp_path)
    with pytest.raises(StepFailed, match="never has not been started"):
        _ = never.pid
    never.stop()


def test_memory_counts_children(process: Process) -> None:
    process.start([sys.executable, "-c", WITH_CHILD])
    child = int(printed(process))
    assert resident_bytes([process.pid]) > resident_bytes([child]) > 0


def test_a_taken_port_is_not_given() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        assert free_port(number) != number
    assert free_port() > 0


def test_threads_are_told_apart_by_how_their_names_begin() -> None:
    name = Path(f"/proc/{os.getpid()}/comm").read_text()[:3]
    of_main_thread = cpu_by_threads([os.getpid()], (name,))
    assert 0 < of_main_thread <= sum(cpu_by_program([os.getpid()]).values())
    assert cpu_by_threads([os.getpid()], ("no thread",)) == 0
