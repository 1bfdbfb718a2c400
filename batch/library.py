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
    root = Path(folder).expanduser()
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
        folder = unquote(urlsplit(folder).path)
    return folder.rstrip("/") if "://" in folder else str(Path(folder).expanduser().resolve())


def scanned(folder: str) -> tuple[str, list[AudioFile], list[Unusable]]:
    """(name, files, what could not be looked at) of a library: a folder, or a URI.

    Raises LibraryNotFound and EmptyLibrary, before any Spark is there.
    """
    name = library_name(folder)
    if "://" in name:
        from batch.remote import listing

        return name, listing(name), []
    return name, *scan(library_root(name))


def scan(root: Path) -> tuple[list[AudioFile], list[Unusable]]:
    """All audio files below a folder, sorted by path, and what could not be looked at.

    Follows symbolic links, each folder once. Raises EmptyLibrary where no file has an audio suffix.
    """
    files: list[AudioFile] = []
    unusable: list[Unusable] = []
    for found in _walk(root):
        (files if isinstance(found, AudioFile) else unusable).append(found)  # type: ignore[arg-type]
    if not files and not unusable:
        kinds = " ".join(sorted(SUFFIXES))
        raise EmptyLibrary(f"no audio in {root}: looked in all its folders for files ending in {kinds}")
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
            elif os.path.splitext(entry.name)[1].lower() in SUFFIXES:
                yield _audio_file(entry)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a symbolic link to itself
        return False


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
