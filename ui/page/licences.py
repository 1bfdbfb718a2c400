"""Licences by their usual names: what tags and metadata hold is an address, a sentence, or a name."""

from __future__ import annotations

import re
from dataclasses import dataclass

CC = "https://creativecommons.org"
LONGEST = 60
_TERMS = r"by(?:-nc)?(?:-nd|-sa)?"
_LICENCE = re.compile(rf"creativecommons\.org/licenses/({_TERMS})/([0-9]\.[0-9])(?:/([a-z]{{2}})\b)?", re.IGNORECASE)
_PUBLIC = re.compile(
    r"creativecommons\.org/(?:publicdomain|licenses)/(zero|mark|publicdomain)(?:/([0-9]\.[0-9]))?", re.IGNORECASE
)
_NAME = re.compile(
    rf"\b(?:cc|creative commons)[ -]({_TERMS.replace('-', '[ -]')})(?:[ -]v?([0-9]\.[0-9]))?", re.IGNORECASE
)
_ZERO = re.compile(r"\bcc ?0\b(?: v?([0-9]\.[0-9]))?", re.IGNORECASE)
_ADDRESS = re.compile(r"https?://[^\s\"'<>]+", re.IGNORECASE)


@dataclass(frozen=True)
class Licence:
    """name : as it is shown, empty where none is stated;  url : of its text, empty where that is not known"""

    name: str = ""
    url: str = ""


def licence(stated: str) -> Licence:
    """The licence that a tag states."""
    text = " ".join(stated.split())
    if met := _LICENCE.search(text):
        terms, version, country = met[1].lower(), met[2], (met[3] or "").lower()
        where = f"{CC}/licenses/{terms}/{version}/" + (f"{country}/" if country else "")
        return Licence(f"CC {terms.upper()} {version}" + (f" {country.upper()}" if country else ""), where)
    if met := _PUBLIC.search(text):
        is_zero = met[1].lower() == "zero"
        version = met[2] or "1.0"
        name, kind = (f"CC0 {version}", "zero") if is_zero else ("Public domain", "mark")
        return Licence(name, f"{CC}/publicdomain/{kind}/{version if is_zero else '1.0'}/")
    if met := _ZERO.search(text):
        return Licence("CC0 1.0", f"{CC}/publicdomain/zero/1.0/")
    if met := _NAME.search(text):
        terms, version = met[1].lower().replace(" ", "-"), met[2] or ""
        return Licence(f"CC {terms.upper()} {version}".strip(), f"{CC}/licenses/{terms}/{version}/" if version else "")
    if met := _ADDRESS.search(text):
        place = met[0].partition("://")[2].partition("/")[0]
        rest = text.replace(met[0], "").strip(" :()")
        return Licence(_cut(rest) or place, met[0])
    return Licence(_cut(text))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"
