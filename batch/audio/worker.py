"""A function in a process of its own: what hangs, crashes or swells there costs one call, not the caller.

Decoders are C code that reads whatever lies on somebody's disk. Spark answers a dead Python worker by running the task
again, on the same file; a child that dies instead is told from its exit, named, and replaced.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from multiprocessing.connection import Connection
from typing import Any

HEADROOM = 300 << 20
"""Bytes that a call may take beyond what the child holds once it is warm."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
"""Every further thread reserves memory at the start, and would count against the call."""
_START = "import sys; from batch.audio.worker import serve; serve(*sys.argv[1:])"


class Lost(RuntimeError):
    """The child is gone with the call it was given: `reason` is "timeout", "crashed" or "closed", the message has the details."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class NotStarted(RuntimeError):
    """No child could be started: nothing is wrong with the call."""


class Isolated:
    """A function of a module, by name, called in a child that lives as long as it can.

    target : "package.module:function"; arguments and result must be picklable
    warm_up : "package.module:function", called once in each child before it serves
    headroom : bytes that a call may take beyond what the child holds once it is warm

    One call at a time; `close` may come from another thread.
    """

    def __init__(self, target: str, warm_up: str = "", headroom: int = HEADROOM) -> None:
        self._names = (target, warm_up, str(headroom))
        self._child: _Child | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def __call__(self, *arguments: Any, limit_s: float) -> Any:
        """What the function returns or raises. Raises Lost when it takes longer than `limit_s` seconds, takes the process
        with it, or is closed meanwhile; NotStarted when no child can be started."""
        with self._lock:
            if self._is_closed:
                raise Lost("closed", "nothing is asked any more")
            child = self._child = self._child or _Child(*self._names)
        try:
            error, value = child.ask((limit_s, arguments))
        except (EOFError, OSError):  # also in the middle of an answer
            with self._lock:
                self._child = None
            lost = child.lost(limit_s)
            raise Lost("closed", "ended meanwhile") if self._is_closed else lost from None
        if error is not None:
            raise error
        return value

    def close(self) -> None:
        """Ends the child; a call that is being made is Lost, as is every later one."""
        with self._lock:
            self._is_closed = True
            if self._child is not None:
                self._child.end()
                self._child = None


class _Child:
    def __init__(self, *names: str) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the child
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        to_child, ours = _pipe()
        theirs, from_child = _pipe()
        self._out, self._in = ours, theirs
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, str(to_child.fileno()), str(from_child.fileno()), *names],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            pass_fds=(to_child.fileno(), from_child.fileno()),
        )
        to_child.close()
        from_child.close()
        try:
            self._in.recv()
        except (EOFError, ConnectionError):
            status = self._process.wait()
            raise NotStarted(f"the reading process did not start (exit {status}): {self._last_words()}") from None

    def ask(self, question: Any) -> Any:
        self._out.send(question)
        return self._in.recv()

    def lost(self, limit_s: float) -> Lost:
        self._out.close()
        self._in.close()
        status = self._process.wait()
        if status == -signal.SIGALRM:
            return Lost("timeout", f"not done after {limit_s:.0f} s; the process that read it was ended")
        if status < 0:
            return Lost("crashed", f"the process that read it was ended by {signal.Signals(-status).name}")
        return Lost("crashed", f"the process that read it ended with {status}: {self._last_words()}")

    def end(self) -> None:
        """By force: a decoder that hangs hears no request. The pipes are left to whoever may be waiting on them."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # it hangs in the kernel; there is nothing more to be done
            self._process.wait(1)

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode("utf-8", "replace").split("\n")
        return " ".join(line.strip() for line in lines[-4:]).strip() or "it said nothing"


def serve(questions: str, answers: str, target: str, warm_up: str, headroom: str) -> None:
    """The child's whole life: answer calls until the caller is gone.

    The kernel's alarm ends it, also inside C code that never returns, and whether or not anybody waits for it.
    """
    incoming, outgoing = Connection(int(questions), writable=False), Connection(int(answers), readable=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    function = _named(target)
    if warm_up:
        _named(warm_up)()
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + int(headroom), resource.RLIM_INFINITY))
    outgoing.send("ready")
    while True:
        try:
            limit_s, arguments = incoming.recv()
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_REAL, limit_s)
        try:
            answer: tuple[Exception | None, Any] = (None, function(*arguments))
        except Exception as error:  # noqa: BLE001 - it is raised again on the other side
            answer = (error, None)
        signal.setitimer(signal.ITIMER_REAL, 0)
        outgoing.send(answer)


def _named(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def _pipe() -> tuple[Connection, Connection]:
    """(end to read, end to write)"""
    read, write = os.pipe()
    return Connection(read, writable=False), Connection(write, readable=False)
