"""FMA's metadata of a track, by its number: `tracks.csv` and `genres.csv` of fma_metadata.zip.

`tracks.csv` has two header rows, one of groups and one of names, and a third that names the index. The number of a clip
`000/000002.mp3` is its name. Source: Defferrard et al., "FMA: A Dataset for Music Analysis", ISMIR 2017.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from batch.tags.text import cleaned
from batch.tags.values import year

COLUMNS = {
    "title": ("track", "title"),
    "artist": ("artist", "name"),
    "album": ("album", "title"),
    "genre": ("track", "genre_top"),
    "genres": ("track", "genres"),
    "composer": ("track", "composer"),
    "track_number": ("track", "number"),
    "recorded": ("track", "date_recorded"),
    "released": ("album", "date_released"),
    "licence": ("track", "license"),
    "split": ("set", "split"),
    "subset": ("set", "subset"),
    "listens": ("track", "listens"),
    "duration": ("track", "duration"),
}
"""Group and name in `tracks.csv` of each of our columns."""


class NotFMA(ValueError):
    """A folder or file does not have the layout that FMA publishes."""


@dataclass(frozen=True)
class Metadata:
    """Metadata by track number.

    tags : columns of `batch.library.tracks.TRACKS`; unknown ones are left out
    durations_s : in seconds
    malformed_rows : number of rows of tracks.csv that could not be read
    """

    tags: Mapping[int, Mapping[str, Any]]
    durations_s: Mapping[int, float]
    malformed_rows: int = 0

    def id_and_tags(self, path: str) -> tuple[str | None, Mapping[str, Any]]:
        """(track id, tags) of a clip; (None, {}) for any other file."""
        name = re.search(r"(?:^|/)([0-9]{3})/(\1[0-9]{3})\.[^/.]+$", path)
        number = int(name.group(2)) if name else -1
        return (str(number), self.tags.get(number, {})) if name else (None, {})


def metadata(folder: Path) -> Metadata:
    """FMA's metadata from the folder that fma_metadata.zip unpacks to. Raises NotFMA."""
    genres = _genre_titles(_rows(folder / "genres.csv"))
    rows = _rows(folder / "tracks.csv")
    header = list(islice(rows, 3))
    position_by_column = _positions(folder / "tracks.csv", header)
    tags, durations_s, malformed_rows = {}, {}, 0
    for row in rows:
        if len(row) != len(header[0]) or _count(row[0]) is None:
            malformed_rows += bool(row)
            continue  # the track keeps its file's own tags
        cells = {column: row[position] for column, position in position_by_column.items()}
        tags[int(row[0])] = _tags(cells, genres)
        if (duration := _count(cells["duration"])) is not None:
            durations_s[int(row[0])] = float(duration)
    if not tags:
        raise NotFMA(f"{folder / 'tracks.csv'} has no rows of tracks")
    return Metadata(tags, durations_s, malformed_rows)


def _rows(file: Path) -> Iterator[list[str]]:
    csv.field_size_limit(16 << 20)  # biographies are longer than the default allows
    try:
        with open(file, newline="", encoding="utf-8-sig", errors="replace") as text:
            yield from csv.reader(text)
    except OSError as error:
        raise NotFMA(
            f"{file} cannot be read ({error.strerror}); give the folder of FMA's metadata, for example by "
            "batch/download_fma.py --subset metadata"
        ) from error
    except csv.Error as error:
        raise NotFMA(f"{file} is not a CSV file: {error}") from error


def _positions(file: Path, header: list[list[str]]) -> dict[str, int]:
    """Position in a row by column."""
    pairs = list(zip(*header[:2], strict=False)) if len(header) == 3 else []
    missing = [".".join(pair) for pair in COLUMNS.values() if pair not in pairs]
    if missing:
        raise NotFMA(f"{file} is not FMA's tracks.csv: no column {', '.join(missing)} in its two header rows")
    return {name: pairs.index(pair) for name, pair in COLUMNS.items()}


def _genre_titles(rows: Iterator[list[str]]) -> dict[int, str]:
    """A genre's title by its number."""
    header = next(rows, [])
    if "genre_id" not in header or "title" not in header:
        raise NotFMA(f"genres.csv has the columns {', '.join(header)[:200]}, expected genre_id and title among them")
    number, title = header.index("genre_id"), header.index("title")
    well_formed = [row for row in rows if len(row) == len(header) and _count(row[number]) is not None]
    return {int(row[number]): row[title] for row in well_formed}


def _tags(cells: Mapping[str, str], genres: Mapping[int, str]) -> dict[str, Any]:
    """The columns of TRACKS that are known.  cells : of one row, by the names of COLUMNS"""
    names = ("title", "artist", "album", "genre", "composer", "licence", "split", "subset")
    tags: dict[str, Any] = {name: cleaned(cells[name]) for name in names}
    tags["track_number"] = _count(cells["track_number"]) or None
    tags["listens"] = _count(cells["listens"])
    tags["year"] = year(cells["recorded"]) or year(cells["released"])
    numbers = (int(number) for number in re.findall(r"\d+", cells["genres"]))
    tags["genres"] = tuple(genres[number] for number in numbers if number in genres) or None
    present_tags = {name: value for name, value in tags.items() if value is not None}
    # what the file's own tags list must not stand beside other names
    present_tags |= {"artists": (present_tags["artist"],)} if "artist" in present_tags else {}
    return present_tags | ({"genre_tags": (present_tags["genre"],)} if "genre" in present_tags else {})


def _count(text: str) -> int | None:
    """A whole number; None for other text, such as the -1 that FMA writes for missing values."""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None
