"""Which tracks of the library the lines of an M3U file mean: by path, else by artist and title."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from ui.playlists.m3u import M3uLine
from ui.search.index import SearchIndex
from ui.search.term_index import prefix_range
from ui.search.terms import folded

SEPARATOR = " - "
"""Between artist and title in #EXTINF and in file names."""


@dataclass(frozen=True)
class Matches:
    """track_ids : of the lines that were found, in order, each once;  unmatched : the other lines"""

    track_ids: list[str]
    unmatched: list[M3uLine]


def match_lines(lines: Sequence[M3uLine], paths: Iterable[tuple[str, str]], index: SearchIndex) -> Matches:
    """The tracks that the lines mean.

    paths : (track id, path or URI) of every track of the library
    """
    wanted_names = {_folded_parts(line.parts)[-1] for line in lines if line.parts}
    candidates: dict[str, list[tuple[str, list[str]]]] = defaultdict(list)
    for track_id, path in paths:
        parts = _folded_parts(_path_parts(path))
        if parts and parts[-1] in wanted_names:
            candidates[parts[-1]].append((track_id, parts))
    found: dict[str, None] = {}
    unmatched: list[M3uLine] = []
    for line in lines:
        parts = _folded_parts(line.parts)
        by_path = _by_path(parts, candidates.get(parts[-1], [])) if parts else None
        match = by_path or _by_title(line, index)
        if match is None:
            unmatched.append(line)
        else:
            found[match] = None
    return Matches(list(found), unmatched)


def _by_path(parts: list[str], candidates: list[tuple[str, list[str]]]) -> str | None:
    """The track whose path ends as the line's does: with all of the line's parts or all of its own, else with at least the folder
    and the file. None where several do equally."""
    depths = sorted(((_equal_parts(parts, own), track_id, own) for track_id, own in candidates), reverse=True)
    if not depths:
        return None
    depth, track_id, own = depths[0]
    is_unclear = len(depths) > 1 and depths[1][0] == depth
    is_far = depth < min(2, len(parts), len(own))
    return None if is_unclear or is_far else track_id


def _by_title(line: M3uLine, index: SearchIndex) -> str | None:
    """The track with the artist and the title in #EXTINF, else in the file's name."""
    stem = line.parts[-1].rpartition(".")[0] if line.parts else ""
    for text in (line.title, stem):
        pieces = text.split(SEPARATOR)
        for split in range(1, len(pieces)):
            artist, title = (folded(SEPARATOR.join(part)) for part in (pieces[:split], pieces[split:]))
            first, last = prefix_range(index.titles, title)
            rows_of_artist = set(index.rows_by_artist.get(artist, ()))
            for row in range(first, last):
                if index.titles[row] == title and row in rows_of_artist:
                    return index.ids[row]
    return None


def _equal_parts(first: list[str], second: list[str]) -> int:
    """Number of parts at the end that are equal."""
    count = 0
    for one, other in zip(reversed(first), reversed(second), strict=False):
        if one != other:
            break
        count += 1
    return count


def _path_parts(path: str) -> list[str]:
    location = unquote(urlsplit(path).path) if path.startswith("file:") else path
    return [part for part in location.split("/") if part]


def _folded_parts(parts: Sequence[str]) -> list[str]:
    return [unicodedata.normalize("NFC", part).casefold() for part in parts]
