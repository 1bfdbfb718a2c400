"""The audio files under a folder: found once, each with what tells whether it has changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

SUFFIXES = frozenset({".mp3", ".ogg", ".oga", ".flac", ".wav", ".opus", ".aif", ".aiff", ".m4a", ".m4b", ".aac"})


class LibraryNotFound(FileNotFoundError):
    """The library's folder is missing, no folder, or cannot be listed."""


class EmptyLibrary(ValueError):
    """The library's folder holds no audio file."""


@dataclass(frozen=True)
class AudioFile:
    """A file with an audio suffix: absolute path, size in bytes, time of last change in nanoseconds."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Unusable:
    """A file or folder that could not even be looked at."""

    path: str
    reason: str
    detail: str


def library_root(folder: str | os.PathLike[str]) -> Path:
    """The folder, absolute, with symbolic links resolved. Raises LibraryNotFound."""
    try:
        root = Path(folder).expanduser()
    except RuntimeError as error:
        raise LibraryNotFound(f"{folder}: {error}") from error
    if not root.exists():
        raise LibraryNotFound(f"no folder {root}; name the folder that holds your music")
    if not root.is_dir():
        raise LibraryNotFound(f"{root} is a file; name the folder that holds your music")
    if not os.access(root, os.R_OK | os.X_OK):
        raise LibraryNotFound(f"{root} cannot be read; check its permissions")
    return root.resolve()


def library_name(folder: str) -> str:
    """What the column `library` says for tracks of a folder: its absolute path with links resolved; a URI without a last /."""
    if folder.startswith("file://"):
        parts = urlsplit(folder)
        if parts.hostname not in (None, "localhost"):
            raise LibraryNotFound(f"{folder} names a machine; file:///path is a folder on this one")
        folder = unquote(parts.path)
    return folder.rstrip("/") if "://" in folder else str(Path(folder).expanduser().resolve())


def scan(root: Path) -> tuple[list[AudioFile], list[Unusable]]:
    """All audio files below a folder, sorted by path, and what could not be looked at.

    Follows symbolic links, each folder once. Raises EmptyLibrary where no file has an audio suffix, so that a library
    of which nothing is in reach is not taken for one whose tracks are gone; LibraryNotFound where the folder cannot be listed.
    """
    files: list[AudioFile] = []
    unusable: list[Unusable] = []
    for found in _walk(root):
        (files if isinstance(found, AudioFile) else unusable).append(found)  # type: ignore[arg-type]
    if any(one.path == os.fspath(root) for one in unusable):
        raise LibraryNotFound(f"{root} cannot be listed: {unusable[0].detail}")
    if not files:
        kinds = " ".join(sorted(SUFFIXES))
        some = f"; {len(unusable)} could not be looked at, the first is {unusable[0].path}" if unusable else ""
        raise EmptyLibrary(f"no audio in {root}: looked in all its folders for files ending in {kinds}{some}")
    return sorted(files, key=lambda file: file.path), sorted(unusable, key=lambda found: found.path)


def _walk(root: Path) -> Iterator[AudioFile | Unusable]:
    seen: set[tuple[int, int]] = set()
    waiting = [os.fspath(root)]
    while waiting:
        folder = waiting.pop()
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:  # a symbolic link back up, or a second way in
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = list(os.scandir(folder))
        except OSError as error:
            yield Unusable(_shown(folder), "unreadable", error.strerror or str(error))
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue  # hidden: trash cans, macOS resource forks, another program's unfinished files
            if _is_folder(entry):
                waiting.append(entry.path)
            elif os.path.splitext(entry.name)[1].lower() in SUFFIXES or _dangles(entry):
                yield _audio_file(entry)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a symbolic link to itself
        return False


def _dangles(entry: os.DirEntry[str]) -> bool:
    """Whether it is a link to nothing: what was there may have been a folder of music, on a disk that is away."""
    return entry.is_symlink() and not os.path.exists(entry.path)


def _audio_file(entry: os.DirEntry[str]) -> AudioFile | Unusable:
    if _shown(entry.path) != entry.path:
        return Unusable(_shown(entry.path), "undecodable name", "the file's name is not UTF-8; rename it")
    try:
        status = entry.stat()
    except OSError as error:
        if entry.is_symlink():
            return Unusable(entry.path, "broken link", f"points to {_shown(os.readlink(entry.path))}")
        return Unusable(entry.path, "unreadable", error.strerror or str(error))
    if not stat.S_ISREG(status.st_mode):
        return Unusable(entry.path, "unreadable", "a pipe, socket or device, expected a file")
    return AudioFile(entry.path, status.st_size, status.st_mtime_ns)


def _shown(path: str) -> str:
    """The path as text that every table can hold; bytes that are not UTF-8 appear as \\udcxx."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")
