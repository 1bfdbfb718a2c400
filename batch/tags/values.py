"""What the text of a tag means: years, track and disc numbers, genres."""

from __future__ import annotations

import re
from collections.abc import Iterable

from batch.tags.text import cleaned

_YEAR = r"(?:1[5-9]|20)\d\d"
_MONTH = r"(?:0\d|1[0-2])"
_DAY = r"(?:[0-2]\d|3[01])"
_DATES = (
    re.compile(rf"(?<!\d)({_YEAR})(?!\d)"),
    re.compile(rf"(?<!\d)({_YEAR}){_MONTH}(?:{_DAY}(?:\d{{6}})?)?(?!\d)"),
    re.compile(rf"(?<!\d){_DAY}{_MONTH}({_YEAR})(?!\d)"),
)
"""Ways to write a date, the likeliest first: 2005-01-03 and 03.01.2005; 20050103, 200501, 20050103120000; 03012005."""
_NO_GENRES = frozenset({"unknown", "<unknown>", "unknown genre", "none", "(none)", "???", "n/a"})
_GENRE_NUMBER = re.compile(r"\((\d{1,3})\)|(\d{1,3})")
_CODED_GENRE = re.compile(r"\((?:\d{1,3}|RX|CR)\)", re.ASCII)
_GENRE_SEPARATOR = re.compile(r"\s*;\s*")


def year(text: str | None) -> int | None:
    """The first year from 1500 to 2099 in a date."""
    for date in _DATES:
        if match := date.search(text or ""):
            return int(match[1])
    return None


def disc_and_track(text: str | None) -> tuple[int | None, int | None]:
    """(disc, track) from a track number: `3/12`, `03` and `A3` are track 3, `2-03` is track 3 of disc 2; `20240131` is none."""
    text = (text or "").strip()
    if match := re.fullmatch(r"(?:cd|disc|disk)? ?(\d{1,2})[-.](\d{1,3})", text, re.IGNORECASE):
        disc, track = number(match[1]), number(match[2])
        return (disc, track) if track else (None, disc)
    side_and_track = re.match(r"[A-Za-z]{1,2}[ -]?(?=\d)", text)
    return None, number(text[side_and_track.end() :] if side_and_track else text)


def number(text: str | None) -> int | None:
    """The number from 1 to 9999 with which a text begins."""
    match = re.match(r"\s*(?:cd|disc|disk)?\s*0*(\d{1,4})(?!\d)", text or "", re.IGNORECASE)
    return int(match[1]) or None if match else None


def genres(texts: Iterable[str]) -> list[str]:
    """Genres, each once: numbers as ID3v1 has them are names, `Unknown` is none."""
    names: dict[str, None] = {}
    for text in texts:
        for part in _id3_parts(text):
            name = genre_name(part)
            if name is not None:
                names[name] = None
    return list(names)


def _id3_parts(text: str) -> list[str]:
    """The genres of `(17)`, `(4)Eurodisco` or `(31)(39)`, as ID3v2.3 writes them, also where another tag has such a text."""
    from mutagen.id3 import TCON

    is_in_id3s_way = _CODED_GENRE.match(text.strip()) is not None
    return list(TCON(encoding=3, text=[text.strip()]).genres) if is_in_id3s_way else [text]


def single_genres(names: Iterable[str]) -> list[str]:
    """The genres of texts such as `Rock; Folk`, each once."""
    return genres(part for name in names for part in _GENRE_SEPARATOR.split(name))


def genre_name(text: str) -> str | None:
    """The genre's name: `17` and `(17)` are Rock; None for numbers that ID3v1 does not have, and for placeholders."""
    from mutagen.id3 import TCON

    name = cleaned(text)
    if name is None or name.casefold() in _NO_GENRES:
        return None
    if match := _GENRE_NUMBER.fullmatch(name):
        code = int(match[1] or match[2])
        return TCON.GENRES[code] if code < len(TCON.GENRES) else None
    return None if name.isdecimal() else name


def truth(text: str | None) -> bool | None:
    """Whether a flag is set; None where the text does not say."""
    return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}.get((text or "").casefold())
