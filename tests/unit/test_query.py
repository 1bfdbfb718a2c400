"""The query's formats, and lists of an earlier time out of a Delta table, written here without Spark."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from conf.settings import settings
from ui import recommendations
from ui.data.library import Track
from ui.data.recommendation_list import Item, Recommendations
from ui.recommendations import NoList, list_as_of, titled_rows, write_csv, write_json, write_table

NINE = datetime(2026, 11, 23, 9, tzinfo=UTC)
TEN = datetime(2026, 11, 23, 10, tzinfo=UTC)
LISTED = Recommendations("ana", (Item("a", 1, 0.9, ("x", "y"), "near Food"), Item("gone", 2, 0.5)), 4, NINE, "m1", 7)
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


def test_a_time_before_the_first_list_names_the_first(table: str) -> None:
    with pytest.raises(NoList, match="the first is of 2026-11-23T09:00:00"):
        list_as_of(table, "ana", datetime(2026, 1, 1, tzinfo=UTC))


def test_a_lake_without_the_table_says_who_writes_it(tmp_path: Path) -> None:
    with pytest.raises(NoList, match=r"streaming/ledger\.py"):
        list_as_of(str(tmp_path / "recommendations"), "ana", TEN)


def test_json_has_the_list_and_its_rows() -> None:
    out = io.StringIO()
    write_json(LISTED, "ana", titled_rows(LISTED, TRACKS), out)
    document = json.loads(out.getvalue())
    assert document | {"items": []} == {
        "user_id": "ana",
        "list": "ana",
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

        def tracks_of(self, _: Any) -> dict[str, Track]:
            return {}

    monkeypatch.setattr(recommendations, "Library", AllMuted)
    assert recommendations.main(settings(), "ana", "json", None) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) | {"items": []} == json.loads(printed.out)
    assert printed.err == (
        "recommendations: the list of ana is empty, since every track is muted or disliked; unmute an artist or genre, or take "
        "back a dislike, in the player or by the events unmute and neutral\n"
    )


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
