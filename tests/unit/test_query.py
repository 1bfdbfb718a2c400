"""The query's formats, and lists of an earlier time out of a Delta table, written here without Spark."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyarrow import fs

from batch.mongo import NEW_LISTENERS
from conf.settings import settings
from ui import recommendations
from ui.data.library import Track
from ui.data.recommendation_list import Item, Recommendations, read_named_lists
from ui.list_formats import titled_rows, write_csv, write_json, write_table
from ui.recommendations import NoList, list_as_of, named_list_as_of

PROJECT = Path(__file__).parents[2]
NINE = datetime(2026, 11, 23, 9, tzinfo=UTC)
TEN = datetime(2026, 11, 23, 10, tzinfo=UTC)
LISTED = Recommendations("ana", (Item("a", 1, 0.9, ("x", "y"), "near Food"), Item("gone", 2, 0.5)), 4, NINE, "m1", 7)
MIXES: dict[str, Any] = {
    "_id": "ana",
    "version": 1,
    "lists": [
        {
            "name": "mix-1",
            "title": "Like “A” by B",
            "reason": "Near to “A”",
            "items": [{"track_id": "c", "rank": 1, "score": 0.5, "because": ["a"], "reason": "Because"}],
        },
        {
            "name": "discover",
            "title": "Discover",
            "items": [{"track_id": "b", "rank": 2}, {"track_id": "a", "rank": 1}],
        },
    ],
    "generated_at": NINE,
    "model_version": "m1",
    "events_applied": 7,
}
TRACKS = {"a": Track("a", "Fóod, or\nnot", "AWOL", "Album", "Hip-Hop")}


@pytest.fixture
def table(tmp_path: Path) -> str:
    written = [
        # user, generation, rank, track, generated_at
        ("ana", 1, 1, "a", NINE),
        ("ana", 1, 2, "b", NINE),
        ("ana", 2, 2, "a", TEN),
        ("ana", 2, 1, "c", TEN),
        ("bob'; --", 1, 1, "d", TEN),
    ]
    names = ("user_id", "generation", "rank", "track_id", "generated_at")
    columns: dict[str, list[Any]] = {name: [row[at] for row in written] for at, name in enumerate(names)}
    columns |= {"score": [0.5] * 5, "model_version": ["m1"] * 5}
    write_deltalake(str(tmp_path / "recommendations"), pa.table(columns))
    return str(tmp_path / "recommendations")


@pytest.mark.parametrize(
    ("as_of", "generation", "tracks"),
    [
        (NINE, 1, ["a", "b"]),
        (datetime(2026, 11, 23, 9, 59, 59, tzinfo=UTC), 1, ["a", "b"]),
        (TEN, 2, ["c", "a"]),
    ],
)
def test_the_list_of_a_time_is_the_last_one_made_until_list_as_of(
    table: str, as_of: datetime, generation: int, tracks: list[str]
) -> None:
    listed = list_as_of(table, "ana", as_of)
    assert (listed.generation, [item.track_id for item in listed.items]) == (generation, tracks)


def test_any_user_id_can_be_asked_for(table: str) -> None:
    assert [item.track_id for item in list_as_of(table, "bob'; --", TEN).items] == ["d"]


ODD_NAMES = ["O'Brien", "$set", "ana ", "ANA", "Zo\u00eb", "Zoe\u0308", "../../etc", "=1+1", "\u200b"]


@pytest.mark.parametrize("user_id", ODD_NAMES)
def test_a_listener_of_an_odd_name_is_no_other(tmp_path: Path, user_id: str) -> None:
    users = ["ana", "Ana", "Zoe", "etc", "O", "a", *ODD_NAMES]
    columns: dict[str, list[Any]] = {"user_id": users, "track_id": [f"of {each}" for each in users]}
    count = len(users)
    columns |= {"generation": [1] * count, "rank": [1] * count, "score": [0.5] * count, "model_version": ["m1"] * count}
    write_deltalake(str(tmp_path / "lists"), pa.table(columns | {"generated_at": [NINE] * count}))
    assert [item.track_id for item in list_as_of(str(tmp_path / "lists"), user_id, TEN).items] == [f"of {user_id}"]


def test_a_time_before_the_first_list_names_the_first(table: str) -> None:
    with pytest.raises(NoList, match="the first is of 2026-11-23T09:00:00"):
        list_as_of(table, "ana", datetime(2026, 1, 1, tzinfo=UTC))


def test_a_lake_without_the_table_says_who_writes_it(tmp_path: Path) -> None:
    with pytest.raises(NoList, match=r"streaming/ledger\.py"):
        list_as_of(str(tmp_path / "recommendations"), "ana", TEN)


def test_a_lake_on_an_s3_server_without_tls_is_read(table: str, bucket: fs.S3FileSystem) -> None:
    for file in (path for path in Path(table).rglob("*") if path.is_file()):
        with bucket.open_output_stream(f"music/lake/recommendations/{file.relative_to(table).as_posix()}") as out:
            out.write(file.read_bytes())
    arguments = ["--user", "ana", "--as-of", TEN.isoformat(), "--format", "json"]

    def query(lake: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "ui.recommendations", *arguments]
        away = {"OVERTONE_MONGO__URI": "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=100"}
        environment = os.environ | away | {"OVERTONE_LAKE__ROOT": lake, "PYTHONPATH": str(PROJECT)}
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    done = query("s3a://music/lake")
    assert done.returncode == 0, done.stderr
    assert [item["track_id"] for item in json.loads(done.stdout)["items"]] == ["c", "a"]
    refused = query("s3a:/music/lake")
    message = "recommendations: s3a:/music/lake is neither a path nor a URI; write s3a://music/lake\n"
    assert (refused.returncode, refused.stderr) == (2, message)


@pytest.fixture
def mixes(tmp_path: Path) -> str:
    written = [
        # user, list, title, rank, track, generated_at
        ("ana", "mix-1", "Like “A” by B", 1, "a", NINE),
        ("ana", "mix-2", "Like “C”", 1, "c", NINE),
        ("ana", "discover", "Discover", 2, "e", NINE),
        ("ana", "discover", "Discover", 1, "d", NINE),
        ("ana", "mix-1", "Like “F” by G", 1, "f", TEN),
        ("bob", "mix-2", "Like “H”", 1, "h", TEN),
    ]
    names = ("user_id", "list", "title", "rank", "track_id", "generated_at")
    columns: dict[str, list[Any]] = {name: [row[at] for row in written] for at, name in enumerate(names)}
    columns |= {"score": [0.5] * 6, "model_version": ["m1"] * 6, "reason": ["near"] * 6, "because": [["x"]] * 6}
    write_deltalake(str(tmp_path / "mixes"), pa.table(columns))
    return str(tmp_path / "mixes")


@pytest.mark.parametrize(
    ("as_of", "name", "title", "tracks"),
    [
        (NINE, "mix-1", "Like “A” by B", ["a"]),
        (NINE, "discover", "Discover", ["d", "e"]),
        (TEN, "mix-1", "Like “F” by G", ["f"]),
    ],
)
def test_a_named_list_of_a_time_is_of_those_that_were_made_last(
    mixes: str, as_of: datetime, name: str, title: str, tracks: list[str]
) -> None:
    listed = named_list_as_of(mixes, "ana", as_of, name)
    assert (listed.name, listed.title, [item.track_id for item in listed.items]) == (name, title, tracks)
    assert (listed.generated_at, listed.generation, listed.items[0].because) == (as_of, None, ("x",))


@pytest.mark.parametrize(
    ("as_of", "message"),
    [
        (TEN, "ana had no list mix-2 at 2026-11-23T10:00:00.*; there were mix-1$"),
        (datetime(2026, 1, 1, tzinfo=UTC), "ana had no named list at .*; the first is of 2026-11-23T09:00:00"),
    ],
)
def test_a_named_list_that_was_not_made_then_says_what_there_was(mixes: str, as_of: datetime, message: str) -> None:
    with pytest.raises(NoList, match=message):
        named_list_as_of(mixes, "ana", as_of, "mix-2")


def test_a_named_list_that_is_missing_says_what_there_is(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    class Mixes:
        """A library with two named lists of one listener."""

        def __init__(self, *_: Any) -> None: ...

        def named_lists(self, user_id: str) -> tuple[Recommendations, ...]:
            made = read_named_lists(MIXES)
            return made if user_id == "ana" else ()

        def user_id(self, name):
            return name

        def tracks_of(self, _: Any) -> dict[str, Track]:
            return TRACKS

    monkeypatch.setattr(recommendations, "Library", Mixes)
    assert recommendations.main(settings(), "ana", "json", None, "discover") == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["name"], printed["title"], printed["list"], printed["generation"]) == (
        "discover",
        "Discover",
        "ana",
        None,
    )
    assert [row["track_id"] for row in printed["items"]] == ["a", "b"]
    assert recommendations.main(settings(), "ana", "table", None, "mix-1") == 0
    assert capsys.readouterr().out.startswith("Like “A” by B (mix-1 of ana), made 2026-11-23T09:00:00.000Z\n")
    assert recommendations.main(settings(), "ana", "table", None, "mix-5") == 1
    assert capsys.readouterr().err == "recommendations: ana has no list mix-5; there are mix-1, discover\n"
    assert recommendations.main(settings(), "bo", "table", None, "mix-1") == 1
    assert "bo has no list mix-1; streaming/recommend.py makes such lists" in capsys.readouterr().err


def test_named_lists_of_any_version_are_read() -> None:
    first, second = read_named_lists(MIXES)
    assert (first.name, first.title, first.reason, first.model_version) == (
        "mix-1",
        "Like “A” by B",
        "Near to “A”",
        "m1",
    )
    assert first.items == (Item("c", 1, 0.5, ("a",), "Because"),) and second.reason == ""
    later = {**MIXES, "version": 9, "lists": [{"name": "sleep", "hue": 3}, {"title": "nameless"}]}
    assert [(each.name, each.title, each.items) for each in read_named_lists(later)] == [("sleep", "sleep", ())]
    assert read_named_lists({"_id": "ana"}) == ()


def test_json_has_the_list_and_its_rows() -> None:
    out = io.StringIO()
    write_json(LISTED, "ana", titled_rows(LISTED, TRACKS), out)
    document = json.loads(out.getvalue())
    assert document | {"items": []} == {
        "user_id": "ana",
        "list": "ana",
        "name": "for-you",
        "title": "For you",
        "generation": 4,
        "generated_at": "2026-11-23T09:00:00.000Z",
        "model_version": "m1",
        "events_applied": 7,
        "items": [],
    }
    assert document["items"][0] == {
        "rank": 1,
        "track_id": "a",
        "title": "Fóod, or\nnot",
        "artist": "AWOL",
        "album": "Album",
        "genre": "Hip-Hop",
        "score": 0.9,
        "reason": "near Food",
        "because": ["x", "y"],
    }


def test_a_list_of_nothing_is_told_beside_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class AllMuted:
        """A library with a listener's list without items."""

        def __init__(self, *_: Any) -> None: ...

        def recommendations(self, user_id: str) -> Recommendations:
            return Recommendations(user_id, (), 5, NINE, "m1", 7)

        def user_id(self, name):
            return name

        def tracks_of(self, _: Any) -> dict[str, Track]:
            return {}

    monkeypatch.setattr(recommendations, "Library", AllMuted)
    assert recommendations.main(settings(), "ana", "json", None) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) | {"items": []} == json.loads(printed.out)
    assert printed.err == (
        "recommendations: the list of ana is empty, since every track is muted or disliked; unmute an artist, genre or word, or "
        "take back a dislike, in the player or by the events unmute and neutral\n"
    )


def test_the_list_for_new_listeners_is_named_as_everyones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class NoEvents:
        """A library with the list for new listeners alone."""

        def __init__(self, *_: Any) -> None: ...

        def recommendations(self, _: str) -> Recommendations:
            return Recommendations(NEW_LISTENERS, (Item("a", 1, 0.0),), 1, NINE, "m1", 0)

        def user_id(self, name):
            return name

        def tracks_of(self, _: Any) -> dict[str, Track]:
            return TRACKS

    monkeypatch.setattr(recommendations, "Library", NoEvents)
    assert recommendations.main(settings(), "zoe", "json", None) == 0
    assert capsys.readouterr().err == (
        "recommendations: zoe has no list yet; this is the list for new listeners (for everyone without events)\n"
    )
    assert recommendations.main(settings(), NEW_LISTENERS, "json", None) == 0
    assert capsys.readouterr().err == "", "programs that ask for this list are not told that it is"


def test_csv_quotes_what_needs_it() -> None:
    out = io.StringIO()
    write_csv(LISTED, "ana", titled_rows(LISTED, TRACKS), out)
    assert out.getvalue().startswith(
        "rank,track_id,title,artist,album,genre,score,reason,because\n"
        '1,a,"Fóod, or\nnot",AWOL,Album,Hip-Hop,0.9,near Food,x y\n'
    )


def test_the_table_has_a_line_for_each_track_even_one_that_is_gone() -> None:
    out = io.StringIO()
    write_table(LISTED, "ana", titled_rows(LISTED, TRACKS), out)
    lines = out.getvalue().splitlines()
    assert lines[0] == "List 4 of ana, made 2026-11-23T09:00:00.000Z"
    assert "Fóod, or not" in lines[2] and "near Food" in lines[2]
    assert "gone" in lines[3] and len(lines) == 4


FORMULAS = Track("a", '=HYPERLINK("http://evil")', "+44", "-", "@rock")


def test_a_tag_is_no_formula_in_a_spreadsheet_and_unchanged_in_json() -> None:
    rows = titled_rows(Recommendations("ana", (Item("a", 1, -0.5, reason="\tnear"),)), {"a": FORMULAS})
    as_csv, as_json = io.StringIO(), io.StringIO()
    write_csv(LISTED, "ana", rows, as_csv)
    cells = next(iter(csv.DictReader(as_csv.getvalue().splitlines())))
    assert [cells[name] for name in ("title", "artist", "album", "genre", "reason", "score")] == [
        """'=HYPERLINK("http://evil")""",
        "'+44",
        "'-",
        "'@rock",
        "'\tnear",
        "-0.5",
    ]
    write_json(LISTED, "ana", rows, as_json)
    assert json.loads(as_json.getvalue())["items"][0]["title"] == FORMULAS.title


PRINTS_A_LIST = """
import sys
from ui import recommendations
from ui.data.library import Track
from ui.data.recommendation_list import Item, Recommendations

class Library:
    def __init__(self, db): ...
    def recommendations(self, user_id):
        return Recommendations(user_id, tuple(Item(f"t{rank}", rank, 0.5) for rank in range(1, 2001)), 1)
    def user_id(self, name):
        return name

    def tracks_of(self, ids):
        return {track_id: Track(track_id, "M\\xf6rk \\u2665 \\udc80", "Bj\\xf6rk") for track_id in ids}

recommendations.Library = Library
sys.argv = ["recommendations", "--user", "zoe", "--format", sys.argv[1]]
sys.exit(recommendations._with_output(recommendations._query))
"""
"""The command with a list of 2,000 tracks in place of MongoDB."""

LOCALES = {
    "c": {"LC_ALL": "C"},
    "ascii": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
}


def printed(
    output_format: str, output: int | Any = subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-P", "-c", PRINTS_A_LIST, output_format]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    environment = inherited | {"PYTHONPATH": str(PROJECT)} | environment
    return subprocess.run(command, stdout=output, stderr=subprocess.PIPE, env=environment, check=False)  # noqa: S603


@pytest.mark.parametrize("output_format", ["table", "json", "csv"])
@pytest.mark.parametrize("locale", LOCALES)
def test_a_list_is_printed_in_any_locale(output_format: str, locale: str) -> None:
    done = printed(output_format, **LOCALES[locale])
    assert (done.returncode, done.stderr) == (0, b"")
    if output_format == "table":
        encoding = {"c": "utf-8"}.get(locale, locale)
        title = done.stdout.decode(encoding).splitlines()[2][6:40].strip()
        assert title == {"c": "Mörk ♥", "ascii": "M?rk ?", "latin-1": "Mörk ?"}[locale]
    else:
        assert "Mörk ♥ \\udc80" in done.stdout.decode("utf-8"), "programs read UTF-8 in every locale"


def test_a_full_disk_is_an_error_and_a_reader_that_has_enough_is_not() -> None:
    with Path("/dev/full").open("wb") as full:
        done = printed("json", full)
    message = b"recommendations: cannot write to standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, message)
    reading, writing = os.pipe()
    os.close(reading)  # as head does once it has its lines
    done = printed("csv", writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
