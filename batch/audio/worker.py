"""Call a function in a subprocess with time and memory limits.

Audio decoders are C code that reads untrusted files: a file can make them hang, crash or allocate without bound. In a
subprocess that costs one call. (Spark itself would answer a dead Python worker by running the task again, on the same file.)
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
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

CALL_MEMORY_BYTES = 400 << 20
"""Default memory of a call, beyond what the subprocess uses once it is warmed up."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
"""Environment of the subprocess: each further thread reserves address space, which would count against the call's memory."""
_START = "import sys; from batch.audio.worker import serve; serve(*sys.argv[1:])"


class WorkerTerminated(RuntimeError):
    """The subprocess ended before the call returned.

    reason : "timeout", "crashed" or "closed"
    detail : what ended it
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class WorkerNotStarted(RuntimeError):
    """The subprocess could not be started; the call is not the cause."""


class Worker:
    """A function that runs in a subprocess, which is started at the first call and replaced after it ended.

    target : "package.module:function"; arguments and result must be picklable
    warm_up : "package.module:function", called once in each subprocess before it serves calls
    warm_up_arguments : strings that it is called with
    memory : bytes that a call may take beyond what the subprocess uses once it is warmed up

    One call at a time; `close` may be called from another thread.
    """

    def __init__(
        self, target: str, warm_up: str = "", memory: int = CALL_MEMORY_BYTES, warm_up_arguments: Sequence[str] = ()
    ) -> None:
        self._configuration = (target, warm_up, str(memory), *warm_up_arguments)
        self._child: _Child | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def __call__(self, *arguments: Any, limit_s: float) -> Any:
        """Returns what the function returns and raises what it raises.

        limit_s : seconds after which the call is ended
        A call that runs out of memory is tried once more in a fresh subprocess.
        Raises WorkerTerminated where the call takes longer, crashes the subprocess, or the worker is closed; WorkerNotStarted.
        """
        with self._lock:
            if self._is_closed:
                raise WorkerTerminated("closed", "the worker was closed before this call")
            child = self._child = self._child or _Child(*self._configuration)
        try:
            error, value = child.call(limit_s, arguments)
        except (EOFError, OSError):  # also in the middle of a response
            with self._lock:
                self._child = None
            termination = child.termination(limit_s)
            if self._is_closed:
                raise WorkerTerminated("closed", "the worker was closed during the call") from None
            raise termination from None
        if isinstance(error, MemoryError):
            with self._lock:
                child.kill()
                self._child = None
            if child.calls > 1:  # what earlier calls left in it may be what this one lacked
                return self(*arguments, limit_s=limit_s)
        if error is not None:
            raise error
        return value

    def close(self) -> None:
        """Ends the subprocess; a call in progress and every later one raise WorkerTerminated."""
        with self._lock:
            self._is_closed = True
            if self._child is not None:
                self._child.kill()
                self._child = None


class _Child:
    """The subprocess and the two pipes to it. Raises WorkerNotStarted.

    calls : that it was sent
    """

    def __init__(self, *configuration: str) -> None:
        self.calls = 0
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - it is open as long as the subprocess runs
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        child_requests, self._requests = _pipe()
        self._responses, child_responses = _pipe()
        pipes = (child_requests.fileno(), child_responses.fileno())
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, *map(str, pipes), *configuration],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            pass_fds=pipes,
        )
        child_requests.close()
        child_responses.close()
        try:
            self._responses.recv()
        except (EOFError, ConnectionError):
            status = self._process.wait()
            raise WorkerNotStarted(
                f"the reading process did not start (exit {status}): {self._last_output()}"
            ) from None

    def call(self, limit_s: float, arguments: tuple[Any, ...]) -> tuple[Exception | None, Any]:
        """(exception or None, result). Raises EOFError or OSError where the subprocess ends."""
        self.calls += 1
        self._requests.send((limit_s, arguments))
        response: tuple[Exception | None, Any] = self._responses.recv()
        return response

    def termination(self, limit_s: float) -> WorkerTerminated:
        """Waits for the end of the subprocess; the error that tells how it ended."""
        self._requests.close()
        self._responses.close()
        status = self._process.wait()
        if status == -signal.SIGALRM:
            return WorkerTerminated("timeout", f"not done after {limit_s:.0f} s; the process that read it was ended")
        if status < 0:
            return WorkerTerminated("crashed", f"the process that read it was ended by {signal.Signals(-status).name}")
        return WorkerTerminated("crashed", f"the process that read it ended with {status}: {self._last_output()}")

    def kill(self) -> None:
        """Ends the subprocess by SIGKILL: a hanging decoder handles no other signal. Another thread may still read the pipes."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # it hangs in the kernel and cannot be ended
            self._process.wait(1)

    def _last_output(self) -> str:
        self._output.seek(0)
        lines = self._output.read().decode("utf-8", "replace").split("\n")
        return " ".join(line.strip() for line in lines[-4:]).strip() or "no output"


def serve(requests_fd: str, responses_fd: str, target: str, warm_up: str, memory: str, *warm_up_arguments: str) -> None:
    """Main function of the subprocess: answers calls until the caller closes the pipe.

    SIGALRM enforces the time limit: it also ends C code that never returns, and works without a waiting caller.
    """
    requests = Connection(int(requests_fd), writable=False)
    responses = Connection(int(responses_fd), readable=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    function = _imported(target)
    if warm_up:
        _imported(warm_up)(*warm_up_arguments)
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + int(memory), resource.RLIM_INFINITY))
    responses.send("ready")
    while True:
        try:
            limit_s, arguments = requests.recv()
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_REAL, limit_s)
        try:
            response: tuple[Exception | None, Any] = (None, function(*arguments))
        except Exception as error:  # noqa: BLE001 - it is raised again in the caller
            response = (error, None)
        signal.setitimer(signal.ITIMER_REAL, 0)
        responses.send(response)


def _imported(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def _pipe() -> tuple[Connection, Connection]:
    """(end to read from, end to write to)"""
    read, write = os.pipe()
    return Connection(read, writable=False), Connection(write, readable=False)
