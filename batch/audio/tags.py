"""What a file says of itself: title, artist, album, genre … by mutagen, else from the names of file and folders."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

_FRAMES = {
    "title": "TIT2",
    "artist": "TPE1",
    "albumartist": "TPE2",
    "album": "TALB",
    "genre": "TCON",
    "composer": "TCOM",
    "tracknumber": "TRCK",
    "date": "TDRC",
    "originaldate": "TDOR",
    "license": "WCOP",
    "copyright": "TCOP",
}
LONGEST = 1000
"""Characters of a tag that are kept."""


@dataclass(frozen=True)
class Tags:
    """A track's tags; None where nothing is known. `title` always has something."""

    title: str
    artist: str | None = None
    album: str | None = None
    genre: str | None = None
    composer: str | None = None
    track_number: int | None = None
    year: int | None = None
    licence: str | None = None


def tags(path: PurePath, root: PurePath, file: Path | None = None) -> Tags:
    """The file's tags; a missing title is read from the file's name, missing artist and album from its folders below `root`.

    file : where its bytes are, if not at `path`
    Tags that cannot be read are no reason to refuse the audio: then the names stand for all.
    """
    found = _read(file or Path(path))
    artist, album = _from_folders(path, root)
    return Tags(
        title=_first(found, "title") or cleaned(path.stem) or "Untitled",
        artist=_first(found, "artist") or _first(found, "albumartist") or artist,
        album=_first(found, "album") or album,
        genre=_first(found, "genre"),
        composer=_first(found, "composer"),
        track_number=_number(_first(found, "tracknumber")),
        year=year(_first(found, "date") or _first(found, "originaldate")),
        licence=_first(found, "license") or _first(found, "copyright"),
    )


def _read(path: Path) -> dict[str, Any]:
    import mutagen
    from mutagen.easyid3 import EasyID3
    from mutagen.id3 import ID3

    EasyID3.RegisterKey("license", _licence_address)  # the one frame that mutagen gives no name
    try:
        file = mutagen.File(path, easy=True)
        found = file.tags if file is not None else None
    except Exception:  # noqa: BLE001 - mutagen's parsers raise whatever a damaged header makes them stumble over
        found = None
    try:
        if found is None:  # AAC, or an MP3 by another name
            found = ID3(path)
        if isinstance(found, ID3):
            return _of_frames(found)
        return {str(key).lower(): value for key, value in found.items()}
    except Exception:  # noqa: BLE001
        return {}


def _licence_address(found: Any, _: str) -> list[str]:
    frames = found.getall("WCOP")
    if not frames:
        raise KeyError("license")
    return [frame.url for frame in frames]


def _of_frames(found: Any) -> dict[str, Any]:
    """The values of ID3 frames by the names that mutagen gives them in an MP3; WAV and AIFF have frames alone."""
    values = {}
    for name, frame in _FRAMES.items():
        for one in found.getall(frame)[:1]:
            values[name] = one.genres if frame == "TCON" else getattr(one, "text", None) or [getattr(one, "url", "")]
    return values


def _first(found: dict[str, Any], name: str) -> str | None:
    values = found.get(name)
    values = values if isinstance(values, (list, tuple)) else [values]
    for value in values:
        if text := cleaned(str(value) if value is not None else ""):
            return text
    return None


def cleaned(text: str) -> str | None:
    """One line without control characters, at most LONGEST characters of it; None where nothing is left."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", " ", text).split())[:LONGEST] or None


def year(text: str | None) -> int | None:
    """The first year from 1500 to 2099 in a date."""
    match = re.search(r"(?<!\d)(1[5-9]|20)\d\d(?!\d)", text or "")
    return int(match.group()) if match else None


def _number(text: str | None) -> int | None:
    """`3/12` and `03` are 3."""
    match = re.match(r"\d{1,4}", text or "")
    return int(match.group()) if match else None


def _from_folders(path: PurePath, root: PurePath) -> tuple[str | None, str | None]:
    """Artist/Album/file or Artist/file below the root; None for what the folders do not tell."""
    try:
        folders = path.relative_to(root).parts[:-1]
    except ValueError:
        return None, None
    if len(folders) >= 2:
        return cleaned(folders[-2]), cleaned(folders[-1])
    return (cleaned(folders[0]), None) if folders else (None, None)
