"""Playlists as M3U files: read from bytes of any origin, and written as UTF-8."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

MAX_M3U_BYTES = 16_000_000
MAX_M3U_LINES = 400_000
MAX_M3U_TRACKS = 20_000
MAX_LINE_LENGTH = 8192
"""Of paths and titles; what is longer is cut."""
_EXTINF = re.compile(r"#EXTINF:[^,]*,(.*)", re.IGNORECASE)
_NAME = re.compile(r"#PLAYLIST:(.*)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


class NotM3u(ValueError):
    """The bytes are no M3U playlist; the message says why, and what is expected."""


@dataclass(frozen=True)
class M3uLine:
    """An entry of a playlist.

    number : of its line in the file, from 1
    location : path or URI as it stands there
    title : of #EXTINF, mostly "Artist - Title"; "" where there is none
    """

    number: int
    location: str
    title: str = ""

    @property
    def parts(self) -> list[str]:
        """The folders and the file name of its path, without drive, "." and ".."."""
        location = self.location
        if re.match(r"file:", location, re.IGNORECASE):
            location = unquote(urlsplit(location).path)
        parts = re.split(r"[/\\]+", location)
        return [part for part in parts if part not in ("", ".", "..") and not re.fullmatch(r"[A-Za-z]:", part)]


@dataclass(frozen=True)
class M3u:
    """name : of #PLAYLIST, "" where there is none"""

    name: str
    lines: list[M3uLine]


def read_m3u(content: bytes) -> M3u:
    """The entries of an M3U file; UTF-8, UTF-16 with a mark, else Windows-1252. Raises NotM3u."""
    name, title = "", ""
    entries: list[M3uLine] = []
    lines = _text(content).splitlines()
    if len(lines) > MAX_M3U_LINES:
        raise NotM3u(f"The file has {len(lines):,} lines; a playlist may have {MAX_M3U_LINES:,}.")
    for number, line in enumerate(lines, start=1):
        line = line.strip()[:MAX_LINE_LENGTH]
        if match := _EXTINF.match(line):
            title = match[1].strip()
        elif match := _NAME.match(line):
            name = match[1].strip()
        elif line and not line.startswith("#"):
            entries.append(M3uLine(number, line, title))
            title = ""
    if len(entries) > MAX_M3U_TRACKS:
        raise NotM3u(f"The file names {len(entries):,} tracks; at most {MAX_M3U_TRACKS:,} are looked for.")
    if not entries:
        raise NotM3u("The file names no tracks. An M3U playlist has the path of a file on each line.")
    return M3u(name, entries)


def write_m3u(name: str, entries: Iterable[tuple[str, float | None, str]]) -> str:
    """An M3U file of entries, each (title, seconds, path)."""
    lines = ["#EXTM3U", f"#PLAYLIST:{_one_line(name)}"]
    for title, duration_s, path in entries:
        seconds = -1 if duration_s is None else round(duration_s)
        lines += [f"#EXTINF:{seconds},{_one_line(title)}", _one_line(path)]
    return "\n".join(lines) + "\n"


def _text(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = content.decode("utf-16", "replace")
    else:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("cp1252", "replace")
    if _CONTROL.search(text):
        raise NotM3u("The file is not text. Choose an .m3u or .m3u8 file.")
    return text


def _one_line(text: str) -> str:
    return " ".join(text.split("\n")).replace("\r", " ").strip()
