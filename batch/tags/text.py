"""Names as one line of composed Unicode, whatever code page they were written in."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MAX_TAG_LENGTH = 1000
"""Characters of a tag; the rest is cut off."""
CODE_PAGES = (
    "cp1251", "koi8_r", "cp932", "gb18030", "big5", "euc_kr", "euc_jp", "cp1253", "cp1255", "cp1256", "cp874", "cp1252"
)  # fmt: skip
"""Code pages that old taggers wrote into fields that are Latin-1 by their standard."""
_LETTERS_IN_A_ROW = re.compile("[\x80-\xff]{4,}")
"""Four letters beyond ASCII: few words of Latin-1's languages have them, nearly every word of another code page does."""
_MIN_DISTINCT_LETTERS = 3
"""Among those in a row, without case and quotation marks: `Jäääär` and `“É…”` have fewer."""
_QUOTATION = frozenset("\x85\x91\x92\x93\x94\x95\x96\x97")
_WORD = re.compile(rb"[\x80-\xff]+")
_KOI8_WORD = re.compile(rb"[\xe0-\xff\xb3]?[\xc0-\xdf\xa3]+|[\xe0-\xff\xb3]+")
"""A word of small letters, with a capital before them, or of capitals, as KOI8-R has them."""
_KOI8_NAME = re.compile(rb"[\xe0-\xff\xb3][\xc0-\xdf\xa3]{2,}")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_INVISIBLE = re.compile("[\u200b\u2060\ufeff\u00ad\u202a-\u202e\u2066-\u2069]")
"""Zero-width blanks, byte order marks, soft hyphens, and what turns the direction of the text around it."""
_JOINERS = "\u200c\u200d\u200e\u200f"
"""Zero-width joiners and direction marks: they matter within a name and not at its ends."""


def _c1_controls() -> dict[int, str]:
    """The characters that Windows-1252 has where Latin-1 has control characters."""
    return {code: bytes([code]).decode("cp1252", "ignore") or " " for code in range(0x80, 0xA0)}


_PUNCTUATION = _c1_controls()


def cleaned(text: str) -> str | None:
    """The text as one line of composed Unicode (NFC) without invisible and control characters, at most MAX_TAG_LENGTH long.

    None where nothing is left. Control characters of Latin-1 are read as Windows-1252, from which they come.
    """
    visible = _INVISIBLE.sub("", text.translate(_PUNCTUATION))
    words = _CONTROLS.sub(" ", unicodedata.normalize("NFC", visible)).split()
    return " ".join(words)[:MAX_TAG_LENGTH].strip(" " + _JOINERS) or None


def code_page(texts: Iterable[str]) -> str | None:
    """The code page in which these texts of one file were written, though they were read as Latin-1; None where they were not.

    "utf-8" where each of them is UTF-8; else one of CODE_PAGES where letters stand in a row as in no Western language.
    """
    suspects = [bytes_read for text in texts if not text.isascii() and (bytes_read := _as_bytes(text)) is not None]
    if not suspects:
        return None
    if all(_is_utf8(suspect) for suspect in suspects):
        return "utf-8"
    sample = b"\n".join(suspects)
    return _detected(sample) if _is_implausible(sample.decode("latin-1")) else None


def reread(text: str, page: str | None) -> str:
    """The text read in that code page; as it is where it was not read as Latin-1 or is no text of that page."""
    content = None if page is None or text.isascii() else _as_bytes(text)
    if content is None or page is None:
        return text
    try:
        return content.decode(page)
    except UnicodeDecodeError:
        return text


def _as_bytes(text: str) -> bytes | None:
    """The bytes that a reader of Latin-1 or Windows-1252 took for this text; None for other texts."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        try:
            return text.encode("cp1252")
        except UnicodeEncodeError:
            return None


def _is_implausible(text: str) -> bool:
    """Whether letters stand in a row in a text of Latin-1 as in none of its languages."""
    rows = (set(letters.lower()) - _QUOTATION for letters in _LETTERS_IN_A_ROW.findall(text))
    return any(len(distinct) >= _MIN_DISTINCT_LETTERS for distinct in rows)


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _detected(sample: bytes) -> str | None:
    from charset_normalizer import from_bytes

    matches = from_bytes(sample, cp_isolation=list(CODE_PAGES))
    best = matches.best()
    if best is None:
        return None
    words = _WORD.findall(sample)
    letters = b"".join(words)
    if all(map(_KOI8_WORD.fullmatch, words)) and any(map(_KOI8_NAME.fullmatch, words)):
        return "koi8_r"
    if best.encoding == "cp1251" and all(0xE0 <= byte <= 0xFA for byte in letters):  # no capital, no ы, ь or я
        return "cp1255"
    is_half_width = best.encoding == "cp932" and len(re.findall("[\uff61-\uff9f]", str(best))) > len(letters) / 2
    if is_half_width and _decodes(sample, "cp874"):
        return "cp874"
    # Korean names are Hangul; Chinese ones read as Korean have ideographs among it
    if best.encoding == "euc_kr" and re.search("[\u4e00-\u9fff]", str(best)) and _decodes(sample, "gb18030"):
        return "gb18030"
    return best.encoding


def _decodes(sample: bytes, page: str) -> bool:
    try:
        sample.decode(page)
    except UnicodeDecodeError:
        return False
    return True
