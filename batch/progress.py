"""Progress of a long job: a bar in a terminal, a line every 30 s in a log. fma/meter.py is the same for bytes of a transfer.

tqdm draws the bar; the lines are our own, since tqdm rewrites one line and a log needs new ones.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType

LINE_INTERVAL_S = 30.0
"""Seconds between two lines in a log."""


def terminal_columns() -> int | None:
    """Width of the terminal that shows the job's progress; None where that is a log.

    Spark pipes a job's output, so spark-submit.sh looks for the terminal and passes its width on as PROGRESS_COLUMNS.
    """
    columns = os.environ.get("PROGRESS_COLUMNS", "")
    if columns.isdigit():
        return int(columns)
    # get_terminal_size: 80 where the terminal says that it has 0 columns, with which tqdm would draw nothing
    return shutil.get_terminal_size().columns if sys.stderr.isatty() else None


class FileProgress:
    """Shows files done, files per second, time left and files rejected while the context is open.

    total : files
    counts : returns (files done, files rejected) so far
    """

    def __init__(self, total: int, counts: Callable[[], tuple[int, int]]) -> None:
        self._total = total
        self._counts = counts
        self._is_done = threading.Event()
        self._columns = terminal_columns() if total else None
        show = self._show_lines if self._columns is None else self._show_bar
        self._thread = threading.Thread(target=show, name="progress", daemon=True)

    def __enter__(self) -> FileProgress:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_done.set()
        self._thread.join()

    def _show_bar(self) -> None:
        from tqdm import tqdm

        with tqdm(total=self._total, unit="track", unit_scale=False, ncols=self._columns, mininterval=0.2) as bar:
            while True:
                is_last = self._is_done.wait(0.5)
                done, rejected = self._counts()
                bar.set_postfix_str(f"{rejected:,} rejected", refresh=False)
                bar.update(min(done, self._total) - bar.n)
                bar.refresh()
                if is_last:
                    return

    def _show_lines(self) -> None:
        started, shown = time.monotonic(), 0
        while not self._is_done.wait(LINE_INTERVAL_S):
            shown = self._print_line(started)
        if self._total and shown < self._total:
            self._print_line(started)

    def _print_line(self, started: float) -> int:
        """Returns the files done."""
        done, rejected = self._counts()
        print(f"  {file_progress_text(done, self._total, rejected, time.monotonic() - started)}", flush=True)
        return done


def file_progress_text(done: int, total: int, rejected: int, seconds: float) -> str:
    """`1,200 of 8,000 tracks, 30.1 a second, 3 min 46 s left, 12 rejected`"""
    done = min(done, total)  # Spark counts the files of a repeated task twice
    rate = done / seconds if seconds > 0 else 0.0
    time_left = f"{duration_text((total - done) / rate)} left" if rate else "time left unknown"
    return f"{done:,} of {total:,} tracks, {rate:.1f} a second, {time_left}, {rejected:,} rejected"


def duration_text(seconds: float) -> str:
    """The two largest units: `2 h 5 min`, `3 min 46 s`, `12 s`."""
    total = round(seconds)
    hours, minutes, rest = total // 3600, total // 60 % 60, total % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
