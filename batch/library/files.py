"""The audio files below a folder, each with size and time of change."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

SUFFIXES = frozenset({".mp3", ".ogg", ".oga", ".flac", ".wav", ".opus", ".aif", ".aiff", ".m4a", ".m4b", ".aac"})

SYSTEM_NAMES = frozenset(
    {
        "#recycle", "@recycle", "$recycle.bin", "recycler",
        "@eadir", "__macosx", "system volume information", "lost+found",
    }
)  # fmt: skip
"""Folders of file servers and systems, in small letters: what was deleted, thumbnails, what a repair left behind."""
_INT64 = 2**63 - 1


class LibraryNotFound(FileNotFoundError):
    """The library's folder does not exist, is no folder, or cannot be listed."""


class EmptyLibrary(ValueError):
    """The library holds no audio file."""


@dataclass(frozen=True)
class AudioFile:
    """A file with an audio suffix.

    path : absolute, or a URI
    size : in bytes
    mtime_ns : when its content was last changed, as far as programs tell; in nanoseconds, cut to 64 bits
    ctime_ns : when the file system last changed anything about it, which no program can set; None where that is unknown
    """

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int | None = None

    def is_unchanged(self, before: AudioFile | None) -> bool:
        """Whether it is the file that was read before. Older tables, and object stores, do not know `ctime_ns`."""
        if before is None or (self.path, self.size, self.mtime_ns) != (before.path, before.size, before.mtime_ns):
            return False
        return self.ctime_ns == before.ctime_ns or self.ctime_ns is None or before.ctime_ns is None


@dataclass(frozen=True)
class UnusablePath:
    """A file, link or folder that could not be listed; `reason` and `detail` as in the table `rejected_tracks`."""

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
    """The value of the column `library` for a folder or URI: the absolute path with links resolved, or the URI without a last /.

    Raises LibraryNotFound for a file:// URI that names another host.
    """
    if folder.startswith("file://"):
        parts = urlsplit(folder)
        if parts.hostname not in (None, "localhost"):
            raise LibraryNotFound(f"{folder} names a machine; file:///path is a folder on this one")
        folder = unquote(parts.path)
    return folder.rstrip("/") if "://" in folder else str(Path(folder).expanduser().resolve())


def scan(root: Path) -> tuple[list[AudioFile], list[UnusablePath]]:
    """All audio files below a folder, and the paths that could not be listed; both sorted by path.

    Follows symbolic links, each folder once. Raises LibraryNotFound where the root cannot be listed; EmptyLibrary where no file
    has an audio suffix, so that a disk that is not mounted is not taken for a library whose tracks were all deleted.
    """
    files: list[AudioFile] = []
    unusable: list[UnusablePath] = []
    for entry in _walk(root):
        if isinstance(entry, AudioFile):
            files.append(entry)
        else:
            unusable.append(entry)
    if any(entry.path == os.fspath(root) for entry in unusable):
        raise LibraryNotFound(f"{root} cannot be listed: {unusable[0].detail}")
    if not files:
        suffixes = " ".join(sorted(SUFFIXES))
        hint = f"; {len(unusable)} could not be looked at, the first is {unusable[0].path}" if unusable else ""
        raise EmptyLibrary(f"no audio in {root}: looked in all its folders for files ending in {suffixes}{hint}")
    return sorted(files, key=lambda file: file.path), sorted(unusable, key=lambda entry: entry.path)


def _walk(root: Path) -> Iterator[AudioFile | UnusablePath]:
    seen: set[tuple[int, int]] = set()
    pending = [os.fspath(root)]
    while pending:
        folder = pending.pop()
        try:
            status = os.stat(folder)
            if (
                status.st_dev,
                status.st_ino,
            ) in seen:  # a symbolic link to a parent, or a second link to the same folder
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = list(os.scandir(folder))
        except OSError as error:
            yield UnusablePath(_printable(folder), "unreadable", error.strerror or str(error))
            continue
        for entry in entries:
            if is_passed_over(entry.name):
                continue
            if _is_folder(entry):
                pending.append(entry.path)
            elif os.path.splitext(entry.name)[1].lower() in SUFFIXES or _is_dangling(entry):
                yield _audio_file(entry)


def is_passed_over(name: str) -> bool:
    """Whether a file or folder is no part of the library: hidden, or put there by a system.

    Hidden is what begins with one dot and a letter or mark (macOS resource forks, trash folders, unfinished files of other
    programs); `...And Then` and `.38 Special` are names.
    """
    is_hidden = name.startswith(".") and not (name[1:2] == "." or name[1:2].isdigit())
    return is_hidden or name.casefold() in SYSTEM_NAMES


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a symbolic link to itself
        return False


def _is_dangling(entry: os.DirEntry[str]) -> bool:
    """Whether it is a symbolic link to nothing, such as to a folder of music on a disk that is not mounted."""
    return entry.is_symlink() and not os.path.exists(entry.path)


def _audio_file(entry: os.DirEntry[str]) -> AudioFile | UnusablePath:
    if _printable(entry.path) != entry.path:
        return UnusablePath(_printable(entry.path), "undecodable name", "the file's name is not UTF-8; rename it")
    try:
        status = entry.stat()
    except OSError as error:
        if entry.is_symlink():
            return UnusablePath(entry.path, "broken link", f"points to {_printable(os.readlink(entry.path))}")
        return UnusablePath(entry.path, "unreadable", error.strerror or str(error))
    if not stat.S_ISREG(status.st_mode):
        return UnusablePath(entry.path, "unreadable", "a pipe, socket or device, expected a file")
    return AudioFile(
        entry.path, status.st_size, *(_in_64_bits(time) for time in (status.st_mtime_ns, status.st_ctime_ns))
    )


def _in_64_bits(time_ns: int) -> int:
    """The time, or the nearest that a table can hold: 1677 to 2262."""
    return max(-_INT64, min(_INT64, time_ns))


def _printable(path: str) -> str:
    """The path as valid Unicode, which every table can store; bytes that are not UTF-8 become \\udcxx."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")
