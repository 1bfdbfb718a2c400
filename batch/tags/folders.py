"""Artist, album and disc from the names of a file's folders."""

from __future__ import annotations

import re
from pathlib import PurePath

from batch.tags.text import cleaned

_WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_ROMAN = ["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"]
_NUMBER = rf"(?P<number>\d{{1,2}}|(?<=[ ._-])(?:{'|'.join([*_WORDS, *_ROMAN])}))(?![^\W_])(?:\W.*)?"
_DISC = re.compile(
    rf"[\[(]?(?:cd|dis[ck]|disque|disco|lp|dvd)[ ._-]*(?:(?P<first>\d{{1,2}})[ _-]?of[ _-]?\d{{1,2}}\W*|{_NUMBER})",
    re.IGNORECASE,
)
"""A folder of one disc of an album: `CD1`, `Disc 2`, `[Disc 2]`, `Disk_03 - Live`, `Disc One`, `CD1of2`."""
_VOLUME = re.compile(rf"[\[(]?vol(?:ume)?[ ._-]*{_NUMBER}", re.IGNORECASE)
"""`Vol. 2`, which below an artist is an album, and below an album one of its discs."""


def _disc(folders: list[str]) -> int | None:
    """The number of the disc that the last of the folders holds; 0 where it does not say; None where it is no disc's."""
    name = cleaned(folders[-1]) or ""
    match = _DISC.fullmatch(name) or (_VOLUME.fullmatch(name) if len(folders) >= 3 else None)
    if match is None:
        return None
    number = (match.groupdict().get("first") or match["number"]).lower()
    if number.isdecimal():
        return int(number)
    return (_WORDS if number in _WORDS else _ROMAN).index(number) + 1


def artist_album_disc(path: PurePath, root: PurePath) -> tuple[str | None, str | None, int | None]:
    """(artist, album, disc) from Artist/Album/file, Artist/Album/CD1/file, Album/CD1/file or Artist/file; None for none.

    root : of the library, which has no part in it
    """
    try:
        folders = list(path.relative_to(root).parts[:-1])
    except ValueError:
        return None, None, None
    disc = _disc(folders) if folders else None
    if disc is not None:
        folders.pop()
    if len(folders) >= 2:
        return cleaned(folders[-2]), cleaned(folders[-1]), disc or None
    name = cleaned(folders[0]) if folders else None
    return (name, None, None) if disc is None else (None, name, disc or None)


def album_folder(folder: str) -> str:
    """The folder of the album whose tracks, or those of one of its discs, lie in this folder.  folder : a path or URI"""
    parent, _, name = folder.rpartition("/")
    return parent if parent and _DISC.fullmatch(cleaned(name) or "") else folder
