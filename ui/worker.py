"""Another process that does one thing at a time, and is ended when a thing takes too long or brings it down."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any


class Lost(RuntimeError):
    """The process ended on what it was asked, or took too long and was ended; the message says which."""


class Worker:
    """Functions of modules, called in a process that is made at the first use and again after it was lost.

    patience_s : seconds that one call may take
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._line = ThreadPoolExecutor(1, thread_name_prefix="worker")
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def submit(self, what: Callable[[Any], Any], given: Any) -> Future[Any]:
        """Its result, or what it raised, or Lost."""
        return self._line.submit(self._ask, what, given)

    def close(self) -> None:
        """Whatever is being done is left undone."""
        self._is_closed = True
        self._line.shutdown(wait=False, cancel_futures=True)
        self._end()

    def _ask(self, what: Callable[[Any], Any], given: Any) -> Any:
        pipe = self._connected()
        try:
            pipe.send((what, given))
            if not pipe.poll(self._patience_s):
                raise Lost(f"decoding took longer than {self._patience_s:g} s")
            is_fine, answer = pipe.recv()
        except Lost:
            self._end()
            raise
        except (OSError, EOFError) as error:
            self._end()
            raise Lost("the decoder ended on it") from error
        if is_fine:
            return answer
        raise answer

    def _connected(self) -> Connection:
        with self._lock:
            if self._is_closed:
                raise Lost("the player is ending")
            if self._pipe is None or self._process is None or not self._process.is_alive():
                context = multiprocessing.get_context("spawn")
                self._pipe, theirs = context.Pipe()
                self._process = context.Process(target=_work, args=(theirs,), daemon=True)
                self._process.start()
                theirs.close()  # ours alone would keep the pipe open after the process has ended
            return self._pipe

    def _end(self) -> None:
        """By force: a decoder that hangs hears no request to end."""
        with self._lock:
            process, self._process = self._process, None
            pipe, self._pipe = self._pipe, None
        if process is not None:
            process.kill()
            process.join(1)
        if pipe is not None:
            pipe.close()


def _work(pipe: Connection) -> None:
    while True:
        try:
            what, given = pipe.recv()
        except EOFError:
            return  # the player has ended
        try:
            answer = (True, what(given))
        except Exception as error:  # noqa: BLE001 - whatever it is, who asked is told
            answer = (False, error)
        pipe.send(answer)
