"""Where the picture of an album or track may be: in its files, then beside them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from batch.discography.names import digest
from batch.library.object_store import is_remote, open_store

PICTURE_NAMES = ("cover", "folder", "front")
"""Of pictures beside the music, in any case, the best first."""
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
MAX_FILES = 4
MAX_FOLDERS = 4


@dataclass(frozen=True)
class Hint:
    """Where to look.

    track_ids : of tracks whose files may have a picture
    folders : paths or URIs of folders that hold nothing else
    mark : differs once the content of the tracks does
    """

    track_ids: tuple[str, ...]
    folders: tuple[str, ...] = ()
    mark: str = ""


def read_hint(album: Mapping[str, Any] | None) -> Hint:
    """The hint in a document of `albums` of any version."""
    cover = (album or {}).get("cover")
    cover = cover if isinstance(cover, Mapping) else {}
    track_ids, folders = ([str(value) for value in cover.get(name) or ()] for name in ("tracks", "folders"))
    return Hint(tuple(track_ids[:MAX_FILES]), tuple(folders[:MAX_FOLDERS]), str(cover.get("mark") or ""))


@dataclass(frozen=True)
class Candidates:
    """What may hold a picture, best first.

    audio : paths or URIs of audio files
    pictures : paths of pictures on this machine
    remote_folders : URIs of folders in a store, not listed yet
    state : differs once one of the files does
    """

    audio: tuple[str, ...]
    pictures: tuple[str, ...]
    remote_folders: tuple[str, ...]
    state: str

    @property
    def is_remote(self) -> bool:
        return bool(self.remote_folders) or any(is_remote(location) for location in self.audio)


def candidates(hint: Hint, audio: Iterable[str]) -> Candidates:
    """The candidates on this machine, looked at; folders in a store are listed by `pictures_in_store`.

    audio : where the audio of the hint's tracks is
    """
    audio = tuple(audio)
    local = [folder for folder in hint.folders if not is_remote(folder)]
    pictures = tuple(path for folder in local for path in _pictures(folder))
    states = (_state(path) for path in (*audio, *pictures) if not is_remote(path))
    remote_folders = tuple(folder for folder in hint.folders if is_remote(folder))
    return Candidates(audio, pictures, remote_folders, digest(hint.mark, *audio, *hint.folders, *states))


def pictures_in_store(folder: str) -> list[str]:
    """URIs of the pictures in a folder of a store, best first. Raises OSError where it does not answer."""
    from pyarrow import fs

    store, base = open_store(folder)
    entries = store.get_file_info(fs.FileSelector(base, allow_not_found=True))
    names = [PurePosixPath(entry.path).name for entry in entries if entry.type == fs.FileType.File]
    return [f"{folder.rstrip('/')}/{name}" for name in _best_first(names)]


def _pictures(folder: str) -> list[str]:
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [os.path.join(folder, name) for name in _best_first(names)]


def _best_first(names: Iterable[str]) -> list[str]:
    ranks = {}
    for name in names:
        stem, suffix = os.path.splitext(name.lower())
        if stem in PICTURE_NAMES and suffix in PICTURE_SUFFIXES:
            ranks[name] = (PICTURE_NAMES.index(stem), PICTURE_SUFFIXES.index(suffix), name)
    return sorted(ranks, key=ranks.__getitem__)


def _state(path: str) -> str:
    try:
        status = os.stat(path)
    except OSError:
        return f"{path} away"
    return f"{path} {status.st_mtime_ns} {status.st_size}"
