"""Licences by their usual names; tags and metadata state a URL, a sentence or a name."""

from __future__ import annotations

import re
from dataclasses import dataclass

CC = "https://creativecommons.org"
MAX_LICENCE_NAME_LENGTH = 60
_TERMS = r"by(?:-nc)?(?:-nd|-sa)?"
_LICENCE = re.compile(rf"creativecommons\.org/licenses/({_TERMS})/([0-9]\.[0-9])(?:/([a-z]{{2}})\b)?", re.IGNORECASE)
_PUBLIC_DOMAIN = re.compile(
    r"creativecommons\.org/(?:publicdomain|licenses)/(zero|mark|publicdomain)(?:/([0-9]\.[0-9]))?", re.IGNORECASE
)
_NAME = re.compile(
    rf"\b(?:cc|creative commons)[ -]({_TERMS.replace('-', '[ -]')})(?:[ -]v?([0-9]\.[0-9]))?", re.IGNORECASE
)
_CC0 = re.compile(r"\bcc ?0\b(?: v?([0-9]\.[0-9]))?", re.IGNORECASE)
_URL = re.compile(r"https?://[^\s\"'<>]+", re.IGNORECASE)


@dataclass(frozen=True)
class Licence:
    """name : as shown, "" where none is stated;  url : of its text, "" where unknown"""

    name: str = ""
    url: str = ""


def licence(stated: str) -> Licence:
    """The licence that a tag states, recognised in this order: Creative Commons, public domain, CC0, any other URL or text."""
    text = " ".join(stated.split())
    if match := _LICENCE.search(text):
        terms, version, country = match[1].lower(), match[2], (match[3] or "").lower()
        url = f"{CC}/licenses/{terms}/{version}/" + (f"{country}/" if country else "")
        return Licence(f"CC {terms.upper()} {version}" + (f" {country.upper()}" if country else ""), url)
    if match := _PUBLIC_DOMAIN.search(text):
        is_zero = match[1].lower() == "zero"
        version = match[2] or "1.0"
        name, kind = (f"CC0 {version}", "zero") if is_zero else ("Public domain", "mark")
        return Licence(name, f"{CC}/publicdomain/{kind}/{version if is_zero else '1.0'}/")
    if match := _CC0.search(text):
        return Licence("CC0 1.0", f"{CC}/publicdomain/zero/1.0/")
    if match := _NAME.search(text):
        terms, version = match[1].lower().replace(" ", "-"), match[2] or ""
        return Licence(f"CC {terms.upper()} {version}".strip(), f"{CC}/licenses/{terms}/{version}/" if version else "")
    if match := _URL.search(text):
        host = match[0].partition("://")[2].partition("/")[0]
        rest = text.replace(match[0], "").strip(" :()")
        return Licence(_shortened(rest) or host, match[0])
    return Licence(_shortened(text))


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_LICENCE_NAME_LENGTH else text[: MAX_LICENCE_NAME_LENGTH - 1].rstrip() + "…"
