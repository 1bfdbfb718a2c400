"""What the text of a tag means: years, track and disc numbers, genres, gains, MusicBrainz ids."""

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
_GAIN = re.compile(r"([+-]?\d{1,3}(?:[.,]\d+)?)\s*(?:dB|LU)?", re.IGNORECASE | re.ASCII)
_MOST_GAIN_DB = 60.0
"""Beyond it, either way, a gain is no measurement."""
_MOST_PEAK = 16.0
_R128_REFERENCE_DB = 5.0
"""ReplayGain 2 aims at -18 LUFS, the gain of Opus (RFC 7845) at -23."""
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
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


def gain_db(text: str | None) -> float | None:
    """The decibels of a gain such as `-6.54 dB`."""
    match = _GAIN.fullmatch((text or "").strip())
    gain = float(match[1].replace(",", ".")) if match else None
    return gain if gain is not None and abs(gain) <= _MOST_GAIN_DB else None


def r128_db(text: str | None) -> float | None:
    """ReplayGain in decibels from the gain of an Opus file, an integer of 1/256 dB."""
    match = re.fullmatch(r"[+-]?\d{1,5}", (text or "").strip(), re.ASCII)
    gain = int(match[0]) / 256 + _R128_REFERENCE_DB if match else None
    return gain if gain is not None and abs(gain) <= _MOST_GAIN_DB else None


def peak(text: str | None) -> float | None:
    """The largest sample as a share of full scale; above 1 where decoding exceeds it."""
    match = re.fullmatch(r"\d{1,2}(?:[.,]\d+)?", (text or "").strip(), re.ASCII)
    value = float(match[0].replace(",", ".")) if match else 0.0
    return value if 0.0 < value <= _MOST_PEAK else None


def identifiers(texts: Iterable[str]) -> list[str]:
    """MusicBrainz ids in small letters, each once, also of several in one text."""
    return list(dict.fromkeys(match.lower() for text in texts for match in _UUID.findall(text)))


def truth(text: str | None) -> bool | None:
    """Whether a flag is set; None where the text does not say."""
    return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}.get((text or "").casefold())
