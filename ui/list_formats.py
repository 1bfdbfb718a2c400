"""The formats of the query: a table for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TextIO

from ui.data.library import Track
from ui.data.recommendation_list import FOR_YOU, Item, Recommendations

TABLE_WIDTHS = {"title": 34, "artist": 26, "genre": 14, "reason": 88}
"""Columns of the table for people, and their widths in characters."""
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a cell that begins so for a formula, which may call programs."""


@dataclass(frozen=True)
class Row:
    """A rank of the list with its track; title, artist, album and genre are empty for a track that was removed."""

    rank: int
    track_id: str
    title: str
    artist: str
    album: str
    genre: str
    score: float | None
    reason: str
    because: list[str]


def titled_rows(recommendations: Recommendations, track_by_id: Mapping[str, Track]) -> list[Row]:
    """The items of the list with title, artist, album and genre of their tracks."""
    return [_row(item, track_by_id.get(item.track_id) or Track(item.track_id)) for item in recommendations.items]


def _row(item: Item, track: Track) -> Row:
    return Row(
        rank=item.rank,
        track_id=item.track_id,
        title=track.title,
        artist=track.artist,
        album=track.album,
        genre=track.genre,
        score=item.score,
        reason=item.reason,
        because=list(item.because),
    )


def list_fields(recommendations: Recommendations, user_id: str, rows: list[Row]) -> dict[str, Any]:
    """The list as JSON; `list` says whose list it is: the listener's id, or "*" for the list for new listeners; `name`, which."""
    generated_at = recommendations.generated_at
    return {
        "user_id": user_id,
        "list": recommendations.user_id,
        "name": recommendations.name,
        "title": recommendations.title,
        "generation": recommendations.generation,
        "generated_at": None if generated_at is None else _text(generated_at),
        "model_version": recommendations.model_version or None,
        "events_applied": recommendations.events_applied,
        "items": [asdict(row) for row in rows],
    }


def write_json(recommendations: Recommendations, user_id: str, rows: list[Row], out: TextIO) -> None:
    """One object, `list_fields`."""
    json.dump(list_fields(recommendations, user_id, rows), out, ensure_ascii=False, indent=2)
    out.write("\n")


def write_csv(_: Recommendations, __: str, rows: list[Row], out: TextIO) -> None:
    """A header and a line for each row; the ids in `because` are separated by blanks.

    Text from tags that a spreadsheet would take for a formula has an apostrophe before it; JSON has it as it is.
    """
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(Row.__dataclass_fields__)
    for row in rows:
        text = {name: _no_formula(getattr(row, name)) for name in ("title", "artist", "album", "genre", "reason")}
        writer.writerow((asdict(row) | text | {"because": " ".join(row.because)}).values())


def write_table(recommendations: Recommendations, user_id: str, rows: list[Row], out: TextIO) -> None:
    """A table for people, cut to the width of a terminal."""
    made = f", made {_text(recommendations.generated_at)}" if recommendations.generated_at else ""
    personal = f"List {recommendations.generation or '?'} of {user_id}"
    if recommendations.name != FOR_YOU:
        personal = f"{recommendations.title} ({recommendations.name} of {user_id})"
    out.write(f"{printable(personal if recommendations.is_personal else 'The list for new listeners')}{made}\n")
    header = "  ".join(name.ljust(width) for name, width in TABLE_WIDTHS.items())
    out.write(f"{'rank':>4}  {header}".rstrip() + "\n")
    for row in rows:
        cells = {"title": row.title or row.track_id, "artist": row.artist, "genre": row.genre, "reason": row.reason}
        line = "  ".join(_fitted(cells[name], width) for name, width in TABLE_WIDTHS.items())
        out.write(f"{row.rank:>4}  {line}".rstrip() + "\n")


WRITERS = {"table": write_table, "json": write_json, "csv": write_csv}


def _no_formula(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _fitted(text: str, width: int) -> str:
    text = printable(text)
    return (text if len(text) <= width else text[: width - 1] + "…").ljust(width)


def printable(text: str) -> str:
    """The text with blanks for control characters, so that a tag cannot send commands to the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
