"""Ids, sort keys and index letters of the names of artists and albums."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

from batch.library.labels import normalised, spelling_key

ID_DIGITS = 16
MAX_KEY_CHARACTERS = 200
"""Of a sort key; MongoDB's indexes hold it."""
NUMBER_WIDTH = 6
VARIOUS = "various"
"""Stands for the album artist of a compilation."""
VARIOUS_ARTISTS = "Various Artists"
_VARIOUS_NAMES = frozenset({"various", "various artists", "va", "v.a.", "v/a"})
_ARTICLE = re.compile(r"(?:the|an?) +(?=\S)")
_DIGITS = re.compile(r"\d{1,6}")
_LEADING = re.compile(r"^[\W_]+(?=\w)")


def name_key(name: str | None) -> str:
    """What spellings of one name have in common; "" for none and for placeholders such as "Unknown artist"."""
    return spelling_key(name) if name and normalised(name) else ""


def is_various(name: str | None) -> bool:
    """Whether an album artist says that there are many."""
    return " ".join((name or "").casefold().split()) in _VARIOUS_NAMES


def digest(*parts: str) -> str:
    """16 hex digits of the parts' SHA-256."""
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()[:ID_DIGITS]


def artist_id(name: str | None) -> str:
    """The id of an artist; "" for placeholders."""
    key = "" if is_various(name) else name_key(name)
    return digest("artist", key) if key else ""


def sort_key(name: str | None) -> str:
    """What a name is sorted by: without case, diacritics, English article and leading punctuation, numbers by their value."""
    key = _ARTICLE.sub("", _LEADING.sub("", spelling_key(name or "")), count=1)
    return _DIGITS.sub(lambda digits: digits[0].zfill(NUMBER_WIDTH), key)[:MAX_KEY_CHARACTERS]


def index_letter(key: str) -> str:
    """The letter of an index from A to Z under which a sort key stands.

    "#" for what sorts before the letters, "…" for other signs and for scripts without capitals, which have too many letters.
    """
    first = key[:1]
    if first.isalpha() and first.upper() != first:
        return first.upper()[:1]
    return "#" if first < "a" else "…"


def commonest(names: Iterable[str | None]) -> str:
    """The commonest of several spellings, the first by alphabet of equally common ones; "" where there are none."""
    counts = Counter(" ".join(name.split()) for name in names if name and name.strip())
    return min(counts, key=lambda name: (-counts[name], name), default="")
