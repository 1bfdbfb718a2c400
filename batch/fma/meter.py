"""How many bytes of a long transfer are done: a bar in a terminal, plain lines in a log."""

from __future__ import annotations

import os
import shutil
import sys
import time
from types import TracebackType
from typing import Any

from batch.progress import LINE_S, duration


class Meter:
    """Bytes done of a transfer. A bar is drawn on the standard error, lines go to the standard output.

    label : what is being done
    total : bytes in all, None where it is not known
    done : bytes that were there before
    """

    def __init__(self, label: str, total: int | None, done: int = 0) -> None:
        self._label, self._total, self._done, self._before = label, total, done, done
        self._bar: Any = None
        self._started = self._told = time.monotonic()

    def __enter__(self) -> Meter:
        # Spark hands a job's output on by a pipe, so spark-submit.sh tells whether there is a terminal at its end.
        columns = os.environ.get("PROGRESS_COLUMNS", "")
        if columns.isdigit() or sys.stderr.isatty():
            from tqdm import tqdm

            # tqdm draws nothing in a terminal that says it has 0 columns and rows; get_terminal_size takes 80 and 24 then.
            width, height = shutil.get_terminal_size()
            self._bar = tqdm(
                desc=self._label,
                total=self._total,
                initial=self._done,
                unit="B",
                unit_scale=True,
                unit_divisor=1024,
                ncols=int(columns) if columns.isdigit() else width,
                nrows=height,
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()
        elif error is None:
            self._line()

    def add(self, count: int) -> None:
        """`count` more bytes are done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif time.monotonic() - self._told >= LINE_S:
            self._line()

    def _line(self) -> None:
        self._told = time.monotonic()
        print(f"  {self._label}: {line(self._done, self._total, self._before, self._told - self._started)}", flush=True)


def line(done: int, total: int | None, before: int, seconds: float) -> str:
    """`3.2 GiB of 7.2 GiB, 11.0 MiB a second, 6 min 12 s left`; the rate is that of the bytes since `before`."""
    rate = (done - before) / seconds if seconds > 0 else 0.0
    shown = f"{size(done)} of {size(total)}" if total is not None else size(done)
    shown += f", {size(rate)} a second" if rate else ""
    return f"{shown}, {duration((total - done) / rate)} left" if rate and total is not None and done < total else shown


def size(count: float) -> str:
    """`812 B`, `342.0 MiB`, `7.2 GiB`."""
    if count < 1024:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 1024:
            return f"{count:.1f} {unit}"
    return f"{count / 1024:,.1f} TiB"
