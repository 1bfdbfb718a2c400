"""Notices new, changed and removed music in the library's folder while the demo runs.

The folder is looked through now and then: file systems on a network tell nobody of changes. What is seen twice alike counts, so
that files that are still being copied are waited for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from batch.library.files import AudioFile, EmptyLibrary, LibraryNotFound, UnusablePath, scan

LOOK_EVERY_S = 5.0
MOST_SHARE_OF_TIME = 0.05
"""A large folder is looked through less often, so that looking takes no larger share of the time."""

Listing = dict[str, AudioFile | UnusablePath]
"""By path."""


@dataclass(frozen=True)
class Changes:
    """Numbers of files that differ from those that were read last."""

    new: int = 0
    changed: int = 0
    removed: int = 0

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.removed)

    def __str__(self) -> str:
        counts = (("new", self.new), ("changed", self.changed), ("removed", self.removed))
        return ", ".join(f"{count:,} {name}" for name, count in counts if count)


@dataclass
class LibraryWatch:
    """Looks through the folder in a thread of its own.

    root : the library's folder
    read : its listing when the library was read last
    say : shows a line; told when the folder cannot be listed, and when it can be again
    """

    root: Path
    read: Listing
    say: Callable[[str], None]
    problem: str = ""
    """Why the folder cannot be listed now; empty where it can."""
    _seen: Listing | None = None
    _settled: Listing | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        threading.Thread(target=self._run, name="library-watch", daemon=True).start()

    def take_changes(self) -> Changes:
        """What has changed since the library was read last. The caller reads it now: the changes are taken for read."""
        with self._lock:
            settled, self._settled = self._settled, None
        if settled is None:
            return Changes()
        changes = differences(self.read, settled)
        self.read = settled
        return changes

    def look(self) -> None:
        """Looks through the folder once."""
        try:
            listed = listing(self.root)
        except (LibraryNotFound, EmptyLibrary, OSError) as error:
            if str(error) != self.problem:
                self.say(f"the music folder cannot be read: {error}; what was read before plays on")
            self.problem, self._seen = str(error), None
            return
        if self.problem:
            self.say("the music folder can be read again")
            self.problem = ""
        with self._lock:
            self._settled = listed if listed == self._seen and listed != self.read else None
        self._seen = listed

    def _run(self) -> None:
        pause = LOOK_EVERY_S
        while True:
            time.sleep(pause)
            started_at = time.monotonic()
            self.look()
            pause = max(LOOK_EVERY_S, (time.monotonic() - started_at) / MOST_SHARE_OF_TIME)


def listing(root: Path) -> Listing:
    """The files below a folder and the paths that cannot be listed. Raises as `batch.library.files.scan` does."""
    return as_listing(*scan(root))


def as_listing(files: list[AudioFile], unusable: list[UnusablePath]) -> Listing:
    """What `batch.library.files.scan` returns, by path."""
    by_path: Listing = {file.path: file for file in files}
    return by_path | {entry.path: entry for entry in unusable}


def differences(before: Listing, after: Listing) -> Changes:
    """Numbers of paths that are in one listing alone, or differ."""
    both = before.keys() & after.keys()
    changed = sum(before[path] != after[path] for path in both)
    return Changes(len(after) - len(both), changed, len(before) - len(both))
