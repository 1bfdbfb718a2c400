"""Names as one line of composed Unicode, whatever code page they were written in."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Iterable

MAX_TAG_LENGTH = 1000
"""Characters of a tag; the rest is cut off."""
_PAGES = {
    "windows-1251": "cp1251", "koi8-r": "koi8-r", "windows-1253": "cp1253", "windows-1255": "cp1255",
    "windows-1256": "cp1256", "cp874": "cp874", "tis-620": "cp874", "cp932": "cp932", "shift-jis": "cp932",
    "gb18030": "gb18030", "big5": "big5", "big5-hkscs": "big5", "cp949": "cp949", "euc-kr": "cp949", "euc-jp": "euc-jp",
}  # fmt: skip
"""Code pages that old taggers wrote into fields that are Latin-1 by their standard: chardet's name, Python's name."""
_HEBREW = "\u05d0-\u05d9\u05db\u05dc\u05de\u05e0-\u05e2\u05e4\u05e6-\u05ea\u05b0-\u05c2"
_WORDS_OF_PAGE = {
    "cp1251": "[\u0400-\u045f\u0490\u0491]+",
    "koi8-r": "[\u0401\u0410-\u044f\u0451]+",
    "cp1253": "[\u0370-\u03ff]+",
    "cp1255": f"[{_HEBREW}]*[{_HEBREW}\u05da\u05dd\u05df\u05e3\u05e5]",
    "cp1256": "[\u0620-\u06ff]+",
    "cp874": "[\u0e00-\u0e7f]+",
}
"""Words of the pages that have one byte for a character; Hebrew has five letters at the end of a word alone."""
_MIN_LETTER_SHARE = 0.7
"""Of the characters beyond ASCII in such words and the signs between them."""
_EAST_ASIAN = re.compile("[\u3005-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff9f]")
_VOWELS = re.compile("[аеёиоуыэюяіїє]", re.IGNORECASE)
_IN_A_ROW = re.compile("[\x80-\xff]{4,}")
"""Four characters beyond ASCII: few words of Latin-1's languages have them, nearly every word of another code page does."""
_MIN_DISTINCT_LETTERS = 3
"""Among those in a row, without case and quotation marks: `Jäääär` and `“É…”` have fewer."""
_UNICODE_IN_A_ROW = re.compile("[\xc0-\xff]{5,}")
_MIN_DISTINCT_UNICODE_LETTERS = 4
"""Likewise in a field that is Unicode by its standard, into which a tagger may have copied what it misread."""
_QUOTATION = frozenset("\x85\x91\x92\x93\x94\x95\x96\x97")
_SHORT_WORD = re.compile("(?<![A-Za-z\x80-\xff])[\xc0-\xd6\xd8-\xf6\xf8-\xff]{2,3}(?![A-Za-z\x80-\xff])")
_LETTERS_OF_SHORT_WORDS = frozenset("åäöüõøæþðáíóúý")
"""Of which Nordic, Icelandic and Estonian words of two or three letters consist (`Öö`); no other language has any."""
_NOT_WRITTEN = re.compile(
    "[\x81\x8d\x8f\x90\x9d]"  # Windows-1252 has no characters for these
    "|\x83[^\x83]+\x83"  # its sign of the florin again and again: katakana of Shift-JIS
    "|[\xc0-\xff][\xa1-\xa8\xac\xaf\xb1\xb4\xb6\xb8\xbc-\xbf]"  # a letter beside a sign
    "|[\xa2-\xa8\xac\xaf\xb1\xb4\xb6\xb8\xbc-\xbe][\xc0-\xff]"
)
"""What nobody writes in Latin-1."""
_CYRILLIC_WORD = re.compile(rb"[\xc0-\xdf\xa8]?[\xe0-\xff\xb8]+")
_CYRILLIC_NAME = re.compile(rb"[\xc0-\xdf\xa8][\xe0-\xff\xb8]+")
"""A word of small letters, or a name with a capital before them, in Windows-1251."""
_KOI8_WORD = re.compile(rb"[\xe0-\xff\xb3]?[\xc0-\xdf\xa3]+|[\xe0-\xff\xb3]+")
_KOI8_NAME = re.compile(rb"[\xe0-\xff\xb3][\xc0-\xdf\xa3]+")
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]+")
_WORD = re.compile(r"[^\W\d_]+")
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


class UnicodeText(str):
    """A text of a field that is Unicode by its standard."""


def decoded(content: bytes) -> str:
    """The text of a field that is UTF-8 by its standard; what is not, against it, is read as Latin-1."""
    try:
        return UnicodeText(content, "utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def code_page(texts: Iterable[str]) -> str | None:
    """The code page in which these texts of one file were written, though they were read as Latin-1; None where they were not.

    texts : those of class UnicodeText are doubted only where they are most implausible
    "utf-8" where each of them is UTF-8; else one of _PAGES where letters stand together as in no Western language.
    """
    suspects = [
        (bytes_read, isinstance(text, UnicodeText))
        for text in texts
        if not text.isascii() and (bytes_read := _as_bytes(text)) is not None
    ]
    if not suspects:
        return None
    suspects = [(suspect, is_unicode) for suspect, is_unicode in suspects if not _is_utf8(suspect)]
    if not suspects:
        return "utf-8"
    is_implausible = any(
        _is_misread_unicode(suspect.decode("latin-1")) if is_unicode else _is_implausible(suspect.decode("latin-1"))
        for suspect, is_unicode in suspects
    )
    return _detected(b"\n".join(suspect for suspect, _ in suspects)) if is_implausible else None


def reread(text: str, page: str | None) -> str:
    """The text read in that code page; as it is where it was not read as Latin-1 or is no text of that page.

    page : None: none was told, so that UTF-8 is looked for in this text alone
    """
    content = None if text.isascii() else _as_bytes(text)
    if content is None:
        return text
    try:
        return content.decode(page or "utf-8")
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
    """Whether letters stand together in a text of Latin-1 as in none of its languages."""
    rows = (set(letters.lower()) - _QUOTATION for letters in _IN_A_ROW.findall(text))
    if any(len(distinct) >= _MIN_DISTINCT_LETTERS for distinct in rows) or _NOT_WRITTEN.search(text):
        return True
    words = _SHORT_WORD.findall(text)
    return any(set(word.lower()) - _LETTERS_OF_SHORT_WORDS or not _has_usual_case(word) for word in words)


def _is_misread_unicode(text: str) -> bool:
    rows = (set(letters.lower()) for letters in _UNICODE_IN_A_ROW.findall(text))
    return any(len(distinct) >= _MIN_DISTINCT_UNICODE_LETTERS for distinct in rows)


def _has_usual_case(word: str) -> bool:
    return word in (word.lower(), word.upper()) or word[1:] == word[1:].lower()


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _detected(sample: bytes) -> str | None:
    """The likeliest of the code pages in which the sample is text; None where it is text in none."""
    import chardet

    words = _BEYOND_ASCII.findall(sample)
    for page, word, name in (("cp1251", _CYRILLIC_WORD, _CYRILLIC_NAME), ("koi8-r", _KOI8_WORD, _KOI8_NAME)):
        # short names tell little to statistics, and a capital at the beginning a lot
        if all(map(word.fullmatch, words)) and any(map(name.fullmatch, words)) and _is_text(sample, page):
            return page
    if all(0xE0 <= byte <= 0xFA for byte in b"".join(words)) and _is_text(sample, "cp1255"):
        return "cp1255"
    with warnings.catch_warnings(action="ignore"):  # that Latin-1 is not among them
        matches = chardet.detect_all(sample, ignore_threshold=True, include_encodings=_PAGES)
    pages = (_PAGES.get((match["encoding"] or "").lower()) for match in matches)
    return next((page for page in pages if page is not None and _is_text(sample, page)), None)


def _is_text(sample: bytes, page: str) -> bool:
    """Whether the sample can be words in that code page: of its script alone, and written in its usual case."""
    try:
        text = sample.decode(page)
    except UnicodeDecodeError:
        return False
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    if page not in _WORDS_OF_PAGE:
        return bool(words) and all(len(_EAST_ASIAN.findall(word)) > (not word.isalpha()) for word in words)
    beyond_ascii = [character for character in text if not character.isascii()]
    letters = sum(unicodedata.category(character)[0] in "LM" for character in beyond_ascii)
    if letters < _MIN_LETTER_SHARE * len(beyond_ascii):
        return False
    if not all(re.fullmatch(_WORDS_OF_PAGE[page], word) and _has_usual_case(word) for word in words):
        return False
    is_cyrillic = page in ("cp1251", "koi8-r")
    return not is_cyrillic or all(_VOWELS.search(word) for word in words if len(word) > 2 and not word.isupper())
