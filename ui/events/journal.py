"""A file of the listening events that were accepted and that Kafka does not have yet: what is accepted outlives a crash.

An event is a line, on the disk before it is accepted; another line names events that Kafka has or that were discarded. The file
is emptied as soon as nothing waits. Lines that a crash has cut are left out; other damage is set aside.

    {"id": 7, "key": base64, "value": base64}      an event; those of an earlier version have no id
    {"done": [7]}                                  no longer waiting
"""

from __future__ import annotations

import base64
import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from batch.atomic import replacing

log = logging.getLogger(__name__)

COMPACT_BYTES = 16_000_000
"""A longer file is written again, with the waiting events alone, once these are less than half of it."""
MAX_JOURNALS = 100
"""Players that share a home have a file each."""


class JournalUnusable(OSError):
    """The journal cannot be opened."""


class JournalUnwritable(OSError):
    """An event cannot be written to the disk, so it is not accepted."""


class StoredEvent(NamedTuple):
    """An event of the journal. key, value : of its Kafka record"""

    number: int
    key: bytes
    value: bytes


class Journal:
    """The journal of one player; no other process writes to its file.

    file : its name; where another player has it, a number is added
    """

    def __init__(self, file: Path) -> None:
        """Takes over what earlier runs have left. Raises JournalUnusable."""
        self._writing = threading.Lock()
        self._syncing = threading.Lock()
        self._size_by_number: dict[int, int] = {}
        self._written = self._synced = 0  # counts of written lines
        self._is_closed = False
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self.file, self._lock = _first_free(file)
            lines = _lines_of(self.file) + _left_by_others(file, self.file)
            damaged: list[bytes] = []
            waiting = _waiting(lines, damaged)
            self.left = [StoredEvent(number, key, value) for number, (key, value) in enumerate(waiting, 1)]
            self._set_aside(damaged)
            self._rewrite(_line(event) for event in self.left)
            _remove_others(file, self.file)
        except OSError as error:
            raise JournalUnusable(f"{file} cannot be used for events: {error}; make {file.parent} writable") from error
        self._size_by_number = {event.number: len(_line(event)) for event in self.left}

    def append(self, event: StoredEvent) -> None:
        """Writes an event to the disk. Raises JournalUnwritable; the file is as before then."""
        line = _line(event)
        try:
            with self._writing:
                if self._is_closed:
                    raise OSError("the player is shutting down")
                self._write(line)
                self._size_by_number[event.number] = len(line)
                count = self._written
            self._sync(count)
        except OSError as error:
            with suppress(OSError):
                self.remove([event.number])
            raise JournalUnwritable(
                f"The event cannot be stored: {self.file}: {error.strerror or error}. Free some space and try again."
            ) from error

    def remove(self, numbers: Iterable[int], durable: bool = False) -> None:
        """Notes that events wait no longer. Raises OSError.

        durable : they must not come back after a crash; else they may, and are duplicates
        """
        with self._writing:
            if self._is_closed:
                return
            numbers = [number for number in numbers if self._size_by_number.pop(number, None) is not None]
            if not numbers:
                return
            if not self._size_by_number:
                os.ftruncate(self._descriptor, 0)
                self._written += 1
            else:
                self._write(json.dumps({"done": numbers}).encode() + b"\n")
            count, size = self._written, os.fstat(self._descriptor).st_size
            is_long = size > COMPACT_BYTES and size > 2 * sum(self._size_by_number.values())
        if durable:
            self._sync(count)
        if is_long:
            self._compact()

    def close(self) -> None:
        """Gives the file up for another player; it is removed where nothing waits."""
        with self._syncing, self._writing:
            self._is_closed = True
            if not self._size_by_number:
                self.file.unlink(missing_ok=True)
            os.close(self._descriptor)
            os.close(self._lock)

    def _write(self, line: bytes) -> None:
        size = os.fstat(self._descriptor).st_size
        try:
            if os.write(self._descriptor, line) != len(line):
                raise OSError("only a part could be written")
        except OSError:
            os.ftruncate(self._descriptor, size)
            raise
        self._written += 1

    def _sync(self, count: int) -> None:
        """Flushes the first `count` lines: one flush for all that were written meanwhile."""
        with self._syncing:
            if self._synced < count and not self._is_closed:
                written = self._written
                os.fdatasync(self._descriptor)
                self._synced = written

    def _compact(self) -> None:
        with self._syncing, self._writing:
            if self._is_closed:
                return
            waiting = []
            for line in _lines_of(self.file):
                number = _parsed(line).get("id")
                if number in self._size_by_number:
                    waiting.append(line + b"\n")
            os.close(self._descriptor)
            self._rewrite(waiting)
            self._synced = self._written

    def _set_aside(self, lines: list[bytes]) -> None:
        """Keeps damaged lines in a file of their own. The last line of a crash is an event that was not accepted."""
        if lines:
            aside = self.file.with_suffix(".damaged")
            log.warning("%d lines of %s cannot be read; they are kept in %s", len(lines), self.file, aside)
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
                file.writelines(line + b"\n" for line in lines)

    def _rewrite(self, lines: Iterable[bytes]) -> None:
        """Replaces the file's content in one step and opens it."""
        with replacing(self.file, durable=True) as part:
            part.touch(mode=0o600)
            part.write_bytes(b"".join(lines))
        self._descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND)
        folder = os.open(self.file.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def _line(event: StoredEvent) -> bytes:
    key, value = (base64.b64encode(part).decode() for part in (event.key, event.value))
    return json.dumps({"id": event.number, "key": key, "value": value}).encode() + b"\n"


def _lines_of(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines() if file.exists() else []


def _parsed(line: bytes) -> dict[str, object]:
    """The object in a line; {} for a line that holds none."""
    with suppress(ValueError, RecursionError):
        if isinstance(parsed := json.loads(line), dict):
            return parsed
    return {}


def _waiting(lines: list[bytes], damaged: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of the events that wait, in their order. Lines of several journals follow each other.

    damaged : gets the lines that are neither
    """
    waiting: dict[object, tuple[bytes, bytes]] = {}
    for number, line in enumerate(lines):
        if not line:  # between two journals, whose ids are of their own
            yield from waiting.values()
            waiting = {}
            continue
        parsed = _parsed(line)
        try:
            if isinstance(done := parsed.get("done"), list):
                for each in done:
                    waiting.pop(each, None)
            else:
                key, value = (base64.b64decode(str(parsed[name]), validate=True) for name in ("key", "value"))
                waiting[parsed.get("id", f"line {number}")] = (key, value)
        except (KeyError, TypeError, ValueError):
            damaged.append(line)
    yield from waiting.values()


def _names(file: Path) -> list[Path]:
    """The names of all journals of a home."""
    return [file, *(file.with_stem(f"{file.stem}-{number}") for number in range(2, MAX_JOURNALS + 1))]


def _locked(file: Path) -> int | None:
    """The descriptor of a journal's lock; None where another player has it."""
    descriptor = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _first_free(file: Path) -> tuple[Path, int]:
    """The first name that no other player has, with its lock."""
    for name in _names(file):
        if (lock := _locked(name)) is not None:
            return name, lock
    raise OSError(f"{MAX_JOURNALS} players use this home")


def _left_by_others(file: Path, own: Path) -> list[bytes]:
    """The lines of the journals of players that have ended, an empty line before each."""
    lines: list[bytes] = []
    for name in _names(file):
        if name != own and name.exists() and (lock := _locked(name)) is not None:
            lines += [b"", *_lines_of(name)]
            os.close(lock)
    return lines


def _remove_others(file: Path, own: Path) -> None:
    for name in _names(file):
        if name != own and name.exists() and (lock := _locked(name)) is not None:
            name.unlink()
            os.close(lock)


def occurred_s(value: bytes) -> float:
    """When the event of a Kafka value occurred, in seconds since 1970; now at most, and 0 where it does not say."""
    with suppress(ValueError, TypeError, KeyError, OverflowError):
        return min(time.time(), datetime.fromisoformat(json.loads(value)["occurred_at"]).timestamp())
    return 0.0
