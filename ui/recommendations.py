"""python -m ui.recommendations: a listener's list, from MongoDB, or as it was at a time, from the lake. No Spark.

Rows have the same fields in every format; the table is for people, JSON and CSV are for programs.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TextIO

from batch.mongo import NEW_LISTENERS
from conf.settings import Settings, SettingsError, settings
from streaming.events import identifier_problem
from ui.data.lake import rows_of
from ui.data.library import Item, Library, LibraryUnavailable, LibraryUnusable, Recommendations, Track, database


class NoList(LookupError):
    """There is no list to show; the message says what there is, and what to do."""


@dataclass(frozen=True)
class Row:
    """A place of the list with its track; title, artist, album and genre are empty where the track is gone."""

    rank: int
    track_id: str
    title: str
    artist: str
    album: str
    genre: str
    score: float | None
    reason: str
    because: list[str]


def main(settings: Settings, user_id: str, form: str, as_of: datetime | None) -> int:
    try:
        library = Library(database(settings.mongo))
        found = then(settings.lake.table("recommendations"), user_id, as_of) if as_of else now(library, user_id)
        tracks = library.tracks_of(each.track_id for each in found.items)
    except LibraryUnusable as error:
        return _failed(str(error), code=2)
    except NoList as error:
        return _failed(str(error))
    except LibraryUnavailable as error:
        if as_of is None:
            return _failed(f"{error}; start MongoDB at {settings.mongo.place}, or set OVERTONE_MONGO__URI")
        print(f"recommendations: no titles: {error}", file=sys.stderr)
        tracks = {}
    if not found.is_personal and user_id != NEW_LISTENERS:
        print(f"recommendations: {user_id} has no list yet; this is the one for everyone", file=sys.stderr)
    WRITERS[form](found, user_id, rows(found, tracks), sys.stdout)
    return 0


def now(library: Library, user_id: str) -> Recommendations:
    """The listener's list, else everyone's. Raises NoList."""
    found = library.recommendations(user_id)
    if found is None:
        raise NoList(f"no list for {user_id} and none for everyone; run ./spark-submit.sh batch/publish.py first")
    return found


def then(table: str, user_id: str, as_of: datetime) -> Recommendations:
    """The list that the listener had at a time: the highest generation made until then. Raises NoList."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    columns = ["generation", "rank", "track_id", "score", "generated_at", "model_version"]
    try:
        stored = DeltaTable(table)
        explained = [field.name for field in stored.schema().fields if field.name in ("reason", "because")]
        rows = rows_of(stored, user_id, [*columns, *explained])
        lists = rows.to_pylist()
    except (DeltaError, OSError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise NoList(f"{table} is no readable Delta table ({reason}); streaming/ledger.py writes it") from error
    made = [row for row in lists if _utc(row["generated_at"]) <= as_of]
    if not made:
        first = min((_utc(row["generated_at"]) for row in lists), default=None)
        rest = f"the first is of {first.isoformat()}" if first else "the lake has none of this listener"
        raise NoList(f"{user_id} had no list at {as_of.isoformat()}; {rest}")
    generation = max(row["generation"] for row in made)
    listed = sorted((row for row in made if row["generation"] == generation), key=lambda row: row["rank"])
    return Recommendations(
        user_id=user_id,
        items=tuple(
            Item(
                track_id=row["track_id"],
                rank=row["rank"],
                score=row["score"],
                reason=row.get("reason") or "",
                because=tuple(row.get("because") or ()),
            )
            for row in listed
        ),
        generation=generation,
        generated_at=_utc(listed[0]["generated_at"]),
        model_version=listed[0]["model_version"] or "",
    )


def rows(found: Recommendations, tracks: Mapping[str, Track]) -> list[Row]:
    """The list with its titles."""
    return [
        Row(
            rank=item.rank,
            track_id=item.track_id,
            title=(track := tracks.get(item.track_id) or Track(item.track_id)).title,
            artist=track.artist,
            album=track.album,
            genre=track.genre,
            score=item.score,
            reason=item.reason,
            because=list(item.because),
        )
        for item in found.items
    ]


def write_json(found: Recommendations, user_id: str, listed: list[Row], out: TextIO) -> None:
    """One object; `list` says whose it is: the listener's id, or "*" for everyone's."""
    document = {
        "user_id": user_id,
        "list": found.user_id,
        "generation": found.generation,
        "generated_at": None if found.generated_at is None else _text(found.generated_at),
        "model_version": found.model_version or None,
        "events_applied": found.events_applied,
        "items": [asdict(row) for row in listed],
    }
    json.dump(document, out, ensure_ascii=False, indent=2)
    out.write("\n")


def write_csv(_: Recommendations, __: str, listed: list[Row], out: TextIO) -> None:
    """A header and a line for each place; the ids of `because` are parted by blanks."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(Row.__dataclass_fields__)
    for row in listed:
        writer.writerow((asdict(row) | {"because": " ".join(row.because)}).values())


def write_table(found: Recommendations, user_id: str, listed: list[Row], out: TextIO) -> None:
    """For people: what fits a terminal."""
    made = f", made {_text(found.generated_at)}" if found.generated_at else ""
    whose = f"List {found.generation or '?'} of {user_id}" if found.is_personal else "The list for everyone"
    out.write(f"{_plain(whose)}{made}\n")
    widths = {"title": 34, "artist": 26, "genre": 14, "reason": 60}
    head = "  ".join(name.ljust(width) for name, width in widths.items())
    out.write(f"{'rank':>4}  {head}".rstrip() + "\n")
    for row in listed:
        shown = {"title": row.title or row.track_id, "artist": row.artist, "genre": row.genre, "reason": row.reason}
        line = "  ".join(_fit(shown[name], width) for name, width in widths.items())
        out.write(f"{row.rank:>4}  {line}".rstrip() + "\n")


WRITERS = {"table": write_table, "json": write_json, "csv": write_csv}


def _fit(text: str, width: int) -> str:
    text = _plain(text)
    return (text if len(text) <= width else text[: width - 1] + "…").ljust(width)


def _plain(text: str) -> str:
    """Without control characters: a tag must not be able to command a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _failed(why: str, code: int = 1) -> int:
    print(f"recommendations: {why}", file=sys.stderr)
    return code


def _user(text: str) -> str:
    if (wrong := identifier_problem(text)) is not None:
        raise argparse.ArgumentTypeError(f"the user id {wrong}")
    return text


def _time(text: str) -> datetime:
    """Without a zone, UTC is meant."""
    try:
        return _utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO 8601 time such as 2026-11-23T09:00:00Z") from error


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m ui.recommendations", description="A listener's list.")
    parser.add_argument("--user", required=True, type=_user, metavar="U", help="the listener's id")
    parser.add_argument("--format", choices=WRITERS, default="table", help="for people, or for programs")
    parser.add_argument("--as-of", type=_time, metavar="TIME", help="the list that held then: ISO 8601, UTC if no zone")
    given = parser.parse_args()
    try:
        found_settings = settings()
    except SettingsError as error:
        sys.exit(_failed(str(error), code=2))
    try:
        code = main(found_settings, given.user, given.format, given.as_of)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
