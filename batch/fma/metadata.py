"""FMA's metadata: what `tracks.csv` and `genres.csv` say of a track by its number.

The layout is that of fma_metadata.zip (Defferrard et al., "FMA: A Dataset for Music Analysis", ISMIR 2017): `tracks.csv` has
two header rows, one of groups and one of names, and a third that names the index; a clip is a file `000/000002.mp3`, its
name the track's number in six digits.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from batch.audio.tags import cleaned, year

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
"""Where in `tracks.csv` each column of ours is found: its group and its name."""


class NotFMA(ValueError):
    """A folder or file is not what FMA publishes."""


@dataclass(frozen=True)
class Metadata:
    """What FMA says of its tracks, by number. Columns as in `batch.library.tracks.TRACKS`; what is not known is left out.

    torn : rows of tracks.csv that could not be read
    """

    tags: Mapping[int, Mapping[str, Any]]
    durations_s: Mapping[int, float]
    torn: int = 0

    def of(self, path: str) -> tuple[str | None, Mapping[str, Any]]:
        """(track id, tags) of a clip; (None, {}) for any other file."""
        name = re.search(r"(?:^|/)([0-9]{3})/(\1[0-9]{3})\.[^/.]+$", path)
        number = int(name.group(2)) if name else -1
        return (str(number), self.tags.get(number, {})) if name else (None, {})


def metadata(folder: Path) -> Metadata:
    """FMA's metadata from the folder that fma_metadata.zip unpacks to. Raises NotFMA."""
    genres = _genre_titles(_rows(folder / "genres.csv"))
    rows = _rows(folder / "tracks.csv")
    header = list(islice(rows, 3))
    at = _positions(folder / "tracks.csv", header)
    tags, durations_s, torn = {}, {}, 0
    for row in rows:
        if len(row) != len(header[0]) or _count(row[0]) is None:
            torn += bool(row)
            continue  # its track is told by its file's own tags
        said = {name: row[position] for name, position in at.items()}
        tags[int(row[0])] = _tags(said, genres)
        if (duration := _count(said["duration"])) is not None:
            durations_s[int(row[0])] = float(duration)
    if not tags:
        raise NotFMA(f"{folder / 'tracks.csv'} has no rows of tracks")
    return Metadata(tags, durations_s, torn)


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
        raise NotFMA(f"{file} is no CSV: {error}") from error


def _positions(file: Path, header: list[list[str]]) -> dict[str, int]:
    pairs = list(zip(*header[:2], strict=False)) if len(header) == 3 else []
    missing = [".".join(pair) for pair in COLUMNS.values() if pair not in pairs]
    if missing:
        raise NotFMA(f"{file} is not FMA's tracks.csv: no column {', '.join(missing)} in its two header rows")
    return {name: pairs.index(pair) for name, pair in COLUMNS.items()}


def _genre_titles(rows: Iterator[list[str]]) -> dict[int, str]:
    header = next(rows, [])
    if "genre_id" not in header or "title" not in header:
        raise NotFMA(f"genres.csv has the columns {', '.join(header)[:200]}, expected genre_id and title among them")
    number, title = header.index("genre_id"), header.index("title")
    whole = [row for row in rows if len(row) == len(header) and _count(row[number]) is not None]
    return {int(row[number]): row[title] for row in whole}


def _tags(said: Mapping[str, str], genres: Mapping[int, str]) -> dict[str, Any]:
    """The columns of TRACKS that are known, from the cells of one row."""
    names = ("title", "artist", "album", "genre", "composer", "licence", "split", "subset")
    found: dict[str, Any] = {name: cleaned(said[name]) for name in names}
    found["track_number"] = _count(said["track_number"]) or None
    found["listens"] = _count(said["listens"])
    found["year"] = year(said["recorded"]) or year(said["released"])
    numbers = (int(number) for number in re.findall(r"\d+", said["genres"]))
    found["genres"] = tuple(genres[number] for number in numbers if number in genres) or None
    return {name: value for name, value in found.items() if value is not None}


def _count(text: str) -> int | None:
    """A whole number; FMA writes -1 for what is missing."""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None
