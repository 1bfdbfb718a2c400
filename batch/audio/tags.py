"""Tags of an audio file: title, artist, album, genre … (mutagen), with the names of file and folders as a fallback."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

_ID3_FRAMES = {
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
MAX_TAG_LENGTH = 1000
"""Characters of a tag; the rest is cut off."""


@dataclass(frozen=True)
class FileTags:
    """A file's tags; None where unknown. `title` is never empty."""

    title: str
    artist: str | None = None
    album: str | None = None
    genre: str | None = None
    composer: str | None = None
    track_number: int | None = None
    year: int | None = None
    licence: str | None = None


def file_tags(path: PurePath, root: PurePath, file: Path | None = None) -> FileTags:
    """The tags of a file. A missing title is the file's name; a missing artist and album are its folders' names below `root`.

    file : local copy to read the tags from; None: `path` itself
    Unreadable tags do not raise; the names then stand in for all of them.
    """
    values = _tag_values(file or Path(path))
    artist, album = _artist_and_album_by_folder(path, root)
    return FileTags(
        title=_first_value(values, "title") or cleaned(path.stem) or "Untitled",
        artist=_first_value(values, "artist") or _first_value(values, "albumartist") or artist,
        album=_first_value(values, "album") or album,
        genre=_first_value(values, "genre"),
        composer=_first_value(values, "composer"),
        track_number=_leading_number(_first_value(values, "tracknumber")),
        year=year(_first_value(values, "date") or _first_value(values, "originaldate")),
        licence=_first_value(values, "license") or _first_value(values, "copyright"),
    )


def cleaned(text: str) -> str | None:
    """The text as one line without control characters, at most MAX_TAG_LENGTH characters long; None where that is empty."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", " ", text).split())[:MAX_TAG_LENGTH] or None


def year(text: str | None) -> int | None:
    """The first year from 1500 to 2099 in a date."""
    match = re.search(r"(?<!\d)(1[5-9]|20)\d\d(?!\d)", text or "")
    return int(match.group()) if match else None


def _tag_values(path: Path) -> dict[str, Any]:
    """The file's tags by mutagen's "easy" names; {} where they cannot be read."""
    import mutagen
    from mutagen.easyid3 import EasyID3
    from mutagen.id3 import ID3

    EasyID3.RegisterKey("license", _licence_urls)  # EasyID3 has no name for the frame WCOP
    try:
        file = mutagen.File(path, easy=True)
        tags = file.tags if file is not None else None
    except Exception:  # noqa: BLE001 - mutagen raises any exception on damaged headers
        tags = None
    try:
        if tags is None:  # raw AAC, or an MP3 that mutagen does not recognise
            tags = ID3(path)
        if isinstance(tags, ID3):
            return _id3_values(tags)
        return {str(name).lower(): value for name, value in tags.items()}
    except Exception:  # noqa: BLE001
        return {}


def _licence_urls(tags: Any, _: str) -> list[str]:
    frames = tags.getall("WCOP")
    if not frames:
        raise KeyError("license")
    return [frame.url for frame in frames]


def _id3_values(tags: Any) -> dict[str, Any]:
    """The values of ID3 frames by EasyID3's names: mutagen gives plain frames for WAV, AIFF and AAC."""
    values = {}
    for name, frame_id in _ID3_FRAMES.items():
        for frame in tags.getall(frame_id)[:1]:
            is_genre = frame_id == "TCON"
            values[name] = frame.genres if is_genre else getattr(frame, "text", None) or [getattr(frame, "url", "")]
    return values


def _first_value(tag_values: dict[str, Any], name: str) -> str | None:
    values = tag_values.get(name)
    values = values if isinstance(values, (list, tuple)) else [values]
    for value in values:
        if text := cleaned(str(value) if value is not None else ""):
            return text
    return None


def _leading_number(text: str | None) -> int | None:
    """`3/12` and `03` are 3."""
    match = re.match(r"\d{1,4}", text or "")
    return int(match.group()) if match else None


def _artist_and_album_by_folder(path: PurePath, root: PurePath) -> tuple[str | None, str | None]:
    """(artist, album) from Artist/Album/file or Artist/file below the root; None where the folders do not say."""
    try:
        folders = path.relative_to(root).parts[:-1]
    except ValueError:
        return None, None
    if len(folders) >= 2:
        return cleaned(folders[-2]), cleaned(folders[-1])
    return (cleaned(folders[0]), None) if folders else (None, None)
