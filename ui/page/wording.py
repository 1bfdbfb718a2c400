"""How the page says numbers and names: lengths of tracks, counts, how close tracks are, what a list is made from."""

from __future__ import annotations

from typing import NamedTuple

SHORT_TITLE, SHORTEST_TAIL, LONGEST_TAIL = 22, 3, 24
"""Characters of a title that is shown in one piece, and of the end of a longer one."""
TAIL_WITHOUT_SEPARATOR = 8
TITLE_SEPARATORS = (": ", " – ", " - ", " / ", "; ", ", ")
LEAST_VERY_CLOSE, LEAST_CLOSE = 0.5, 0.2
"""Least similarities (`batch.index.lsh.Index.similarity`) of tracks that are called so."""
OF_EVERYTHING = "Based on what you play, skip and like"


class Basis(NamedTuple):
    """What a list is made from: numbers of likes and plays."""

    likes: int
    plays: int


def basis_text(basis: Basis | None) -> str:
    """ "From 15 likes and 40 plays", or "Based on your first play".  basis : None where the numbers are unknown"""
    if basis is None or basis.plays + basis.likes == 0:
        return OF_EVERYTHING
    if basis.plays + basis.likes == 1:
        return f"Based on your first {'like' if basis.likes else 'play'}"
    counts = ((basis.likes, "like"), (basis.plays, "play"))
    return "From " + " and ".join(counted(count, name) for count, name in counts if count)


def closeness(similarity: float) -> str:
    """A similarity from 0 to 1 in words."""
    return "Very close" if similarity >= LEAST_VERY_CLOSE else "Close" if similarity >= LEAST_CLOSE else "Similar"


def clock(seconds: float | None) -> str:
    """Minutes and seconds, as 3:05."""
    if seconds is None:
        return "–"
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02}"


def counted(count: int, noun: str) -> str:
    """ "1 track", "1,200 tracks"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def title_parts(title: str) -> tuple[str, str]:
    """The beginning of a title and an end that stays in view: ("Quartet in D, K. 155: ", "Andante"). A short title has no end."""
    if len(title) <= SHORT_TITLE:
        return title, ""
    for separator in TITLE_SEPARATORS:
        start = title.rfind(separator) + len(separator)
        if start >= len(separator) and SHORTEST_TAIL <= len(title) - start <= LONGEST_TAIL:
            return title[:start], title[start:]
    middle = len(title) - TAIL_WITHOUT_SEPARATOR
    start = title.find(" ", middle, len(title) - SHORTEST_TAIL) + 1 or middle
    return title[:start], title[start:]
