"""python -m ui.recommendations: a listener's list from MongoDB, or as it was at an earlier time, from the lake. No Spark.

--list chooses "For you" or a named list: a mix, "Discover", "Rediscover".

Rows have the same fields in every format; the table is for people, JSON and CSV are for programs. JSON and CSV are UTF-8 in any
locale; the table has "?" for what the terminal's encoding lacks. Exit codes: 0 printed (also where the reader, such as head, has
seen enough), 1 no list, or it cannot be written, 2 a setting or an argument is wrong.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from batch.job import check_spelling, failed
from batch.mongo import NEW_LISTENERS
from batch.storage.locations import StorageUnusable
from conf.settings import Settings, SettingsError, settings
from streaming.documents import LIST_NAMES
from streaming.events import identifier_problem
from ui.data.lake import rows_of
from ui.data.library import Library
from ui.data.mongo import LibraryUnavailable, LibraryUnusable, database
from ui.data.recommendation_list import FOR_YOU, Item, Recommendations
from ui.list_formats import WRITERS, printable, titled_rows

NAME = "recommendations"
REQUIRED_COLUMNS = ["generation", "rank", "track_id", "score", "generated_at", "model_version"]
OPTIONAL_COLUMNS = ["reason", "because"]
"""Columns that tables of earlier versions lack."""
MIX_COLUMNS = ["list", "title", "generated_at", "rank", "track_id", "score", "model_version", "reason", "because"]
NO_OWN_LIST_MESSAGE = "{user_id} has no list yet; this is the list for new listeners (for everyone without events)"
EMPTY_LIST_MESSAGE = (
    "the list of {user_id} is empty, since every track is muted or disliked; unmute an artist, genre or word, or take back a "
    "dislike, in the player or by the events unmute and neutral"
)


class NoList(LookupError):
    """There is no list to show; the message says what there is, and what to do."""


def main(settings: Settings, user_id: str, output_format: str, as_of: datetime | None, name: str = FOR_YOU) -> int:
    """Prints the list; returns the exit code.

    output_format : a key of WRITERS
    as_of : None for the current list
    name : FOR_YOU or one of LIST_NAMES
    """
    try:
        library = Library(database(settings.mongo))
        owner = _owner(library, user_id, is_needed=as_of is None)
        if as_of is None and name == FOR_YOU:
            recommendations = current_list(library, owner)
        elif as_of is None:
            recommendations = named_list(library, owner, name)
        elif name == FOR_YOU:
            recommendations = list_as_of(settings.lake.table("recommendations"), owner, as_of)
        else:
            recommendations = named_list_as_of(settings.lake.table("mixes"), owner, as_of, name)
        track_by_id = library.tracks_of(item.track_id for item in recommendations.items)
    except LibraryUnusable as error:
        return failed(NAME, error, 2)
    except NoList as error:
        return failed(NAME, error, 1)
    except LibraryUnavailable as error:
        if as_of is None:
            return failed(NAME, f"{error}; start MongoDB at {settings.mongo.place}, or set OVERTONE_MONGO__URI", 1)
        print(f"{NAME}: no titles: {error}", file=sys.stderr)
        track_by_id = {}
    if not recommendations.is_personal and user_id != NEW_LISTENERS:
        print(f"{NAME}: {NO_OWN_LIST_MESSAGE.format(user_id=printable(user_id))}", file=sys.stderr)
    if recommendations.is_personal and not recommendations.items:
        print(f"{NAME}: {EMPTY_LIST_MESSAGE.format(user_id=printable(user_id))}", file=sys.stderr)
    WRITERS[output_format](recommendations, user_id, titled_rows(recommendations, track_by_id), sys.stdout)
    return 0


def _owner(library: Library, user_id: str, is_needed: bool) -> str:
    """The user id of a listener's name. Raises LibraryUnavailable where MongoDB is needed, else the name is taken as it is."""
    try:
        return library.user_id(user_id)
    except LibraryUnavailable:
        if is_needed:
            raise
        return user_id


def current_list(library: Library, user_id: str) -> Recommendations:
    """The listener's list, else the list for new listeners. Raises NoList, LibraryUnavailable."""
    recommendations = library.recommendations(user_id)
    if recommendations is None:
        raise NoList(f"no list for {user_id} and none for new listeners; run ./spark-submit.sh batch/publish.py first")
    return recommendations


def named_list(library: Library, user_id: str, name: str) -> Recommendations:
    """The listener's list of a name of LIST_NAMES. Raises NoList, LibraryUnavailable."""
    lists = {each.name: each for each in library.named_lists(user_id)}
    if name not in lists:
        present = (
            f"there are {', '.join(lists)}" if lists else "streaming/recommend.py makes such lists of what is liked"
        )
        raise NoList(f"{user_id} has no list {name}; {present}")
    return lists[name]


def list_as_of(table: str, user_id: str, as_of: datetime) -> Recommendations:
    """The listener's list at a time: the last one made until then. Raises NoList.

    table : path or URI of the Delta table `recommendations`
    """
    rows = _rows_until(table, user_id, as_of, REQUIRED_COLUMNS, "list")
    # By time first: generations begin again where MongoDB's data were lost.
    last = max((_utc(row["generated_at"]), row["generation"]) for row in rows)
    return _list_of([row for row in rows if (_utc(row["generated_at"]), row["generation"]) == last], user_id)


def named_list_as_of(table: str, user_id: str, as_of: datetime, name: str) -> Recommendations:
    """The listener's list of a name at a time: of those that were made last until then. Raises NoList.

    table : path or URI of the Delta table `mixes`
    name : one of LIST_NAMES
    """
    rows = _rows_until(table, user_id, as_of, MIX_COLUMNS, "named list")
    latest = max(_utc(row["generated_at"]) for row in rows)
    rows = [row for row in rows if _utc(row["generated_at"]) == latest]
    of_name = [row for row in rows if row["list"] == name]
    if not of_name:
        names = {row["list"] for row in rows}
        present = ", ".join(sorted(names, key=lambda each: (*LIST_NAMES, each).index(each)))
        raise NoList(f"{user_id} had no list {name} at {as_of.isoformat()}; there were {present}")
    return replace(_list_of(of_name, user_id), name=name, title=of_name[0]["title"] or name)


def _rows_until(table: str, user_id: str, as_of: datetime, required: list[str], kind: str) -> list[dict[str, Any]]:
    """The listener's rows of lists that were made until a time. Raises NoList where there are none."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        delta_table = DeltaTable(table)
        columns = {field.name for field in delta_table.schema().fields}
        optional = [name for name in OPTIONAL_COLUMNS if name in columns and name not in required]
        rows = rows_of(delta_table, user_id, [*required, *optional]).to_pylist()
    except (DeltaError, OSError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise NoList(f"{table} is not a readable Delta table ({reason}); streaming/ledger.py writes it") from error
    rows_until_then = [row for row in rows if _utc(row["generated_at"]) <= as_of]
    if not rows_until_then:
        first = min((_utc(row["generated_at"]) for row in rows), default=None)
        hint = f"the first is of {first.isoformat()}" if first else f"the lake has no {kind} of this listener"
        raise NoList(f"{user_id} had no {kind} at {as_of.isoformat()}; {hint}")
    return rows_until_then


def _list_of(rows: list[dict[str, Any]], user_id: str) -> Recommendations:
    """The list in its rows of the lake."""
    list_rows = sorted(rows, key=lambda row: row["rank"])
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
            for row in list_rows
        ),
        generation=list_rows[0].get("generation"),
        generated_at=_utc(list_rows[0]["generated_at"]),
        model_version=list_rows[0]["model_version"] or "",
    )


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _user_id(text: str) -> str:
    if (problem := identifier_problem(text)) is not None:
        raise argparse.ArgumentTypeError(f"the user id {problem}")
    return text


def _time(text: str) -> datetime:
    """An ISO 8601 time; without a zone, UTC."""
    try:
        return _utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(
            f"expected an ISO 8601 time such as 2026-11-23T09:00:00Z, got {text!r}"
        ) from error


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ui.recommendations", description="A listener's list.")
    parser.add_argument("--user", required=True, type=_user_id, metavar="U", help="the listener's id")
    parser.add_argument(
        "--format", choices=WRITERS, default="table", help="table for people, json and csv for programs"
    )
    parser.add_argument(
        "--list", choices=(FOR_YOU, *LIST_NAMES), default=FOR_YOU, help="which list; default: %(default)s"
    )
    parser.add_argument("--as-of", type=_time, metavar="TIME", help="the list at this time: ISO 8601, UTC if no zone")
    return parser.parse_args()


def _query() -> int:
    """The query of the command line; returns the exit code."""
    arguments = _arguments()
    try:
        chosen_settings = settings()
        check_spelling(chosen_settings)
    except (SettingsError, StorageUnusable) as error:
        return failed(NAME, error, 2)
    if isinstance(sys.stdout, io.TextIOWrapper):
        if arguments.format == "table":
            sys.stdout.reconfigure(errors="replace")
        else:
            sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    return main(chosen_settings, arguments.user, arguments.format, arguments.as_of, arguments.list)


def _with_output(work: Callable[[], int]) -> int:
    """Runs the work, which returns an exit code, and turns the failures of standard output into one."""
    if sys.stdout is None:
        return failed(NAME, "standard output is closed", 1)
    code: int
    try:
        try:
            code = work()
        except SystemExit as end:  # argparse has printed its help (0), or what is wrong (2)
            code = end.code if isinstance(end.code, int) else 0
        sys.stdout.flush()
    except OSError as error:
        # Python flushes again at its end, and would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # the reader, such as head, has closed the pipe
            return 0
        return failed(NAME, f"cannot write to standard output: {error.strerror or error}", 1)
    return code


if __name__ == "__main__":
    sys.exit(_with_output(_query))
