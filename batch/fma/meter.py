"""Progress of a transfer in bytes: a bar in a terminal, a line every 30 s in a log."""

from __future__ import annotations

import shutil
import time
from types import TracebackType
from typing import Any

from batch.progress import LINE_INTERVAL_S, duration_text, terminal_columns


class Meter:
    """Shows the bytes of a transfer: a bar on the standard error, or lines on the standard output.

    label : what is transferred
    total : bytes in all, None where unknown
    done : bytes transferred by an earlier run
    """

    def __init__(self, label: str, total: int | None, done: int = 0) -> None:
        self._label, self._total, self._done, self._done_before = label, total, done, done
        self._bar: Any = None
        self._started = self._last_line = time.monotonic()

    def __enter__(self) -> Meter:
        columns = terminal_columns()
        if columns is not None:
            from tqdm import tqdm

            self._bar = tqdm(
                desc=self._label,
                total=self._total,
                initial=self._done,
                unit="B",
                unit_scale=True,
                unit_divisor=1024,
                ncols=columns,
                nrows=shutil.get_terminal_size().lines,  # tqdm draws nothing where the terminal says that it has 0 rows
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif error is None:
            self._print_line()

    def add(self, count: int) -> None:
        """Counts further bytes."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif time.monotonic() - self._last_line >= LINE_INTERVAL_S:
            self._print_line()

    def _print_line(self) -> None:
        self._last_line = time.monotonic()
        text = byte_progress_text(self._done, self._total, self._done_before, self._last_line - self._started)
        print(f"  {self._label}: {text}", flush=True)


def byte_progress_text(done: int, total: int | None, done_before: int, seconds: float) -> str:
    """`3.2 GiB of 7.2 GiB, 11.0 MiB a second, 6 min 12 s left`; the rate is of the bytes since `done_before`."""
    rate = (done - done_before) / seconds if seconds > 0 else 0.0
    text = f"{size_text(done)} of {size_text(total)}" if total is not None else size_text(done)
    if rate:
        text += f", {size_text(rate)} a second"
        if total is not None and done < total:
            text += f", {duration_text((total - done) / rate)} left"
    return text


def size_text(count: float) -> str:
    """Bytes with a unit: `812 B`, `342.0 MiB`, `7.2 GiB`."""
    if count < 1024:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 1024:
            return f"{count:.1f} {unit}"
    return f"{count / 1024:,.1f} TiB"
