"""Which tracks of the library the lines of an M3U file mean: by path, else by artist and title."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from ui.playlists.m3u import M3uLine
from ui.search.index import SearchIndex
from ui.search.terms import folded

SEPARATOR = " - "
"""Between artist and title in #EXTINF and in file names."""
MAX_SPLITS = 6
"""Places of SEPARATOR that are tried in a name."""

Candidate = tuple[str, list[str]]
"""(track id, folded parts of its path)"""


@dataclass(frozen=True)
class Matches:
    """track_ids : of the lines that were found, in order, each once;  unmatched : the other lines"""

    track_ids: list[str]
    unmatched: list[M3uLine]


def match_lines(lines: Sequence[M3uLine], paths: Iterable[tuple[str, str]], index: SearchIndex) -> Matches:
    """The tracks that the lines mean.

    paths : (track id, path or URI) of every track of the library
    """
    parts_of_lines = [_folded_parts(line.parts) for line in lines]
    wanted_ends = {end for parts in parts_of_lines for end in _ends(parts)}
    wanted_names = {parts[-1] for parts in parts_of_lines if parts}
    candidates: dict[tuple[str, ...], list[Candidate]] = defaultdict(list)
    for track_id, path in paths:
        if _folded(_file_name(path)) not in wanted_names:
            continue
        parts = _folded_parts(_path_parts(path))
        for end in _ends(parts):
            if end in wanted_ends:
                candidates[end].append((track_id, parts))
    found: dict[str, None] = {}
    unmatched: list[M3uLine] = []
    match_by_parts: dict[tuple[str, ...], str | None] = {}
    for line, parts in zip(lines, parts_of_lines, strict=True):
        if tuple(parts) not in match_by_parts:
            match_by_parts[tuple(parts)] = _by_path(parts, candidates)
        match = match_by_parts[tuple(parts)] or _by_title(line, index)
        if match is None:
            unmatched.append(line)
        else:
            found[match] = None
    return Matches(list(found), unmatched)


def _by_path(parts: list[str], candidates: Mapping[tuple[str, ...], Sequence[Candidate]]) -> str | None:
    """The track whose path ends as the line's does: with all of the line's parts or all of its own, else with at least the folder
    and the file. None where several do equally.

    candidates : by each of `_ends`
    """
    ends = _ends(parts)
    if not ends:
        return None
    name = candidates.get(ends[-1], ())
    if len(parts) == 1:
        return name[0][0] if len(name) == 1 else None
    near = candidates.get(ends[0], ()) or candidates.get(("", parts[-1]), ())
    depths = sorted(((_equal_parts(parts, own), track_id) for track_id, own in near), reverse=True)
    is_unclear = len(depths) > 1 and depths[1][0] == depths[0][0]
    return depths[0][1] if depths and not is_unclear else None


def _ends(parts: Sequence[str]) -> list[tuple[str, ...]]:
    """(folder, file), then (file,), of a path in parts; the folder is "" where the path has none."""
    return [("", *parts)[-2:], (parts[-1],)] if parts else []


def _by_title(line: M3uLine, index: SearchIndex) -> str | None:
    """The track with the artist and the title in #EXTINF, else in the file's name."""
    stem = line.parts[-1].rpartition(".")[0] if line.parts else ""
    for text in (line.title, stem):
        pieces = text.split(SEPARATOR, MAX_SPLITS)
        for split in range(1, len(pieces)):
            artist, title = (folded(SEPARATOR.join(part)) for part in (pieces[:split], pieces[split:]))
            for row in index.rows_by_artist.get(artist, ()):
                if index.titles[row] == title:
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


def _file_name(path: str) -> str:
    """The last of `_path_parts`, without the work of the others."""
    location = unquote(urlsplit(path).path) if path.startswith("file:") else path
    return location.rstrip("/").rpartition("/")[2]


def _folded_parts(parts: Sequence[str]) -> list[str]:
    return [_folded(part) for part in parts]


def _folded(part: str) -> str:
    return unicodedata.normalize("NFC", part).casefold()
