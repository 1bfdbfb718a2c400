"""Texts as the terms that search compares: without case, diacritics and punctuation."""

from __future__ import annotations

import re
import unicodedata

MAX_QUERY_TERMS = 8
MAX_QUERY_LENGTH = 200
_TERM = re.compile(r"[^\W_]+")
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "’": "'"})
"""Letters that Unicode does not take apart, as they are typed on other keyboards."""


def folded(text: str) -> str:
    """Without case, diacritics and surplus blanks."""
    text = " ".join(text.split()).casefold()
    if text.isascii():
        return text
    letters = (letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return unicodedata.normalize("NFC", "".join(letters)).casefold().translate(_LETTERS)


def terms_of(text: str) -> list[str]:
    """The terms of a text, in order. Punctuation separates terms."""
    return _TERM.findall(folded(text))


def query_terms(text: str) -> list[str]:
    """The first MAX_QUERY_TERMS terms of a query; there are no operators."""
    return terms_of(text[:MAX_QUERY_LENGTH])[:MAX_QUERY_TERMS]
