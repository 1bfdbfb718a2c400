"""A child that hangs, crashes, swells or fails, and the next that serves all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from batch.audio.worker import CALL_MEMORY_BYTES, Worker, WorkerNotStarted, WorkerTerminated


def test_a_call_gives_what_the_function_gives_and_raises_what_it_raises() -> None:
    divide = Worker("operator:truediv")
    assert divide(6, 3, limit_s=10) == 2
    with pytest.raises(ZeroDivisionError):
        divide(1, 0, limit_s=10)
    assert divide(1, 2, limit_s=10) == 0.5
    divide.close()


@pytest.mark.parametrize(
    ("target", "argument", "reason", "detail"),
    [
        ("time:sleep", 60, "timeout", "not done after 0 s"),
        ("signal:raise_signal", int(signal.SIGSEGV), "crashed", "SIGSEGV"),
        ("signal:raise_signal", int(signal.SIGKILL), "crashed", "SIGKILL"),
        ("os:_exit", 3, "crashed", "ended with 3"),
    ],
)
def test_a_lost_child_is_told_and_replaced(target: str, argument: int, reason: str, detail: str) -> None:
    doomed = Worker(target)
    for _ in range(2):  # the second time by a new child
        with pytest.raises(WorkerTerminated, match=detail) as caught:
            doomed(argument, limit_s=0.3 if reason == "timeout" else 30)
        assert caught.value.reason == reason


def test_a_call_that_lacks_what_earlier_ones_left_runs_in_a_fresh_process() -> None:
    worker = Worker("builtins:eval")
    process_id = worker("__import__('os').getpid()", limit_s=10)
    most = CALL_MEMORY_BYTES * 2 // 3
    worker(f"__import__('sys').__dict__.update(left=bytearray({most}))", limit_s=10)
    assert worker(f"len(bytearray({most}))", limit_s=10) == most
    assert worker("__import__('os').getpid()", limit_s=10) != process_id
    with pytest.raises(MemoryError):
        worker(f"len(bytearray({2 * CALL_MEMORY_BYTES}))", limit_s=10)
    assert worker("1 + 1", limit_s=10) == 2
    worker.close()


def test_no_call_takes_more_memory_than_it_may() -> None:
    fill = Worker("builtins:bytearray")
    with pytest.raises(MemoryError):
        fill(2 * CALL_MEMORY_BYTES, limit_s=30)
    assert fill(3, limit_s=30) == bytearray(3)
    fill.close()


def test_the_room_for_a_call_can_be_chosen() -> None:
    roomy = Worker("builtins:eval", memory=3 * CALL_MEMORY_BYTES)
    assert roomy(f"len(bytearray({2 * CALL_MEMORY_BYTES}))", limit_s=30) == 2 * CALL_MEMORY_BYTES
    roomy.close()


def test_closing_ends_the_call_that_is_being_made_and_every_later_one() -> None:
    sleep = Worker("time:sleep")
    sleep(0, limit_s=30)
    with ThreadPoolExecutor(1) as other:
        call = other.submit(sleep, 600, limit_s=900)
        time.sleep(0.5)
        sleep.close()
        assert isinstance(lost := call.exception(30), WorkerTerminated) and lost.reason == "closed"
    with pytest.raises(WorkerTerminated, match="closed"):
        sleep(0, limit_s=30)


def test_a_child_that_cannot_start_says_why() -> None:
    with pytest.raises(WorkerNotStarted, match="no_such_module"):
        Worker("no_such_module:f")(1, limit_s=1)


def test_a_child_ends_with_its_caller() -> None:
    caller = "import sys; from batch.audio.worker import Worker; print(Worker('os:getpid')(limit_s=60))"
    child = int(subprocess.run([sys.executable, "-c", caller], capture_output=True, text=True, check=True).stdout)
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail(f"process {child} outlives its caller")
