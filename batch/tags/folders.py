"""Artist, album and disc from the names of a file's folders."""

from __future__ import annotations

import re
from pathlib import PurePath

from batch.tags.text import cleaned

_DISC = re.compile(r"[\[(]?(?:cd|dis[ck]|disque)[ ._-]*(\d{1,2})(?!\d)(?:\W.*)?", re.IGNORECASE)
"""A folder of one disc of an album: `CD1`, `Disc 2`, `[Disc 2]`, `Disk_03 - Live`."""


def artist_album_disc(path: PurePath, root: PurePath) -> tuple[str | None, str | None, int | None]:
    """(artist, album, disc) from Artist/Album/file, Artist/Album/CD1/file or Artist/file below the root; None for none."""
    try:
        folders = list(path.relative_to(root).parts[:-1])
    except ValueError:
        return None, None, None
    disc = _DISC.fullmatch(cleaned(folders[-1]) or "") if len(folders) >= 2 else None
    if disc:
        folders.pop()
    number = int(disc[1]) or None if disc else None
    if len(folders) >= 2:
        return cleaned(folders[-2]), cleaned(folders[-1]), number
    if disc:  # an album in the root
        return None, cleaned(folders[0]), number
    return (cleaned(folders[0]) if folders else None), None, None


def album_folder(folder: str) -> str:
    """The folder of the album whose tracks, or those of one of its discs, lie in this folder.  folder : a path or URI"""
    parent, _, name = folder.rpartition("/")
    return parent if parent and _DISC.fullmatch(cleaned(name) or "") else folder
