"""Artist, title and length as numbers, by which one song under two ids is told. No Spark."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch.library.labels import normalised, spelling_key

TitleKeys = NDArray[np.uint64]
"""A hash of artist and title for each track, 0 for none [shape=(n,)]."""
Lengths = NDArray[np.float32]
"""Seconds, nan where unknown [shape=(n,)]."""

MAX_LENGTH_S = 1e9
LENGTH_TOLERANCE_S = 2.0
LENGTH_TOLERANCE_SHARE = 0.01
"""Share of the longer track's length that two lengths may differ by, where that is more than LENGTH_TOLERANCE_S."""
_NO_NAME = re.compile(r"(untitled|unknown|(audio ?|cd ?)?track|titel|titre)? ?[0-9]{0,3}")
"""Titles that say nothing about the song."""


def title_keys(artists: Sequence[str | None], titles: Sequence[str | None]) -> TitleKeys:
    """Keys, equal for an artist and title whatever their case, punctuation, blanks and diacritics; 0 where either is none."""
    return np.array([_title_key(artist, title) for artist, title in zip(artists, titles, strict=True)], dtype=np.uint64)


def _title_key(artist: str | None, title: str | None) -> int:
    if not normalised(artist) or not normalised(title) or _NO_NAME.fullmatch(normalised(title)):
        return 0
    artist_letters, title_letters = _letters(artist or ""), _letters(title or "")
    if not artist_letters or not title_letters:
        return 0
    digest = hashlib.blake2b(f"{artist_letters}\x00{title_letters}".encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def _letters(name: str) -> str:
    """The letters, their marks and the digits of the name's spelling key."""
    return "".join(letter for letter in spelling_key(name) if unicodedata.category(letter)[0] in "LNM")


def track_lengths(durations: Iterable[float | None]) -> Lengths:
    """Lengths in seconds, nan for what is no length above 0: float32 [shape=(n,)]."""
    lengths = [known_length(seconds) for seconds in durations]
    return np.array([np.nan if seconds is None else seconds for seconds in lengths], dtype=np.float32)


def known_length(value: Any) -> float | None:
    """A track's length as a document or a message has it; None for what is no number above 0."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < MAX_LENGTH_S else None


def lengths_agree(lengths: Lengths, others: Lengths) -> NDArray[np.bool_]:
    """Whether lengths differ by 2 s or 1 % at most; false where one is unknown."""
    tolerance = np.maximum(LENGTH_TOLERANCE_S, LENGTH_TOLERANCE_SHARE * np.maximum(lengths, others))
    return np.asarray(np.abs(lengths - others) <= tolerance)
