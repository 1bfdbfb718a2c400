"""How far a long job is: a bar in a terminal, plain lines in a log."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from types import TracebackType

LINE_S = 30.0
"""Seconds between two lines in a log."""


class Progress:
    """Files done, files a second, time left and files refused so far, while the work goes on.

    total : files
    counted : gives (done, refused) as they are now
    """

    def __init__(self, total: int, counted: Callable[[], tuple[int, int]]) -> None:
        self._total = total
        self._counted = counted
        self._ended = threading.Event()
        # Spark hands a job's output on by a pipe, so spark-submit.sh tells whether there is a terminal at its end.
        columns = os.environ.get("PROGRESS_COLUMNS", "")
        watch = self._bar if columns.isdigit() and total else self._lines
        self._columns = int(columns) if columns.isdigit() else 0
        self._watcher = threading.Thread(target=watch, name="progress", daemon=True)

    def __enter__(self) -> Progress:
        self._watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._watcher.join()

    def _bar(self) -> None:
        from tqdm import tqdm

        with tqdm(total=self._total, unit="track", unit_scale=False, ncols=self._columns, mininterval=0.2) as bar:
            while True:
                is_last = self._ended.wait(0.5)
                done, refused = self._counted()
                bar.set_postfix_str(f"{refused:,} rejected", refresh=False)
                bar.update(min(done, self._total) - bar.n)
                bar.refresh()
                if is_last:
                    return

    def _lines(self) -> None:
        started, told = time.monotonic(), 0
        while not self._ended.wait(LINE_S):
            told = self._line(started)
        if self._total and told < self._total:
            self._line(started)

    def _line(self, started: float) -> int:
        done, refused = self._counted()
        print(line(done, self._total, refused, time.monotonic() - started), flush=True)
        return done


def line(done: int, total: int, refused: int, seconds: float) -> str:
    """`1,200 of 8,000 tracks, 30.1 a second, 3 min 46 s left, 12 rejected`"""
    done = min(done, total)  # a task that is run again counts its files again
    rate = done / seconds if seconds > 0 else 0.0
    left = f"{duration((total - done) / rate)} left" if rate else "time left unknown"
    return f"  {done:,} of {total:,} tracks, {rate:.1f} a second, {left}, {refused:,} rejected"


def duration(seconds: float) -> str:
    """The two largest parts: `2 h 5 min`, `3 min 46 s`, `12 s`."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
