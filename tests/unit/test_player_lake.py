"""What the player reads from Delta and deletes there."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from batch.library.files import library_name
from conf.settings import Lake
from ui.data import lake as module
from ui.data.lake import (
    NO_REJECTIONS,
    delete_rows,
    events_of,
    mixes_of,
    recently_added,
    rejected_events,
    rejected_tracks,
)
from ui.routes.accounts import _parts

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(root=str(tmp_path))


def write(lake: Lake, name: str, rows: list[dict[str, Any]], schema: pa.Schema | None = None) -> None:
    write_deltalake(lake.table(name), pa.Table.from_pylist(rows, schema=schema))


def test_tables_that_are_not_there_yet_are_empty(lake: Lake) -> None:
    assert recently_added(lake, "") == [] and list(events_of(lake, "ana")) == []
    assert rejected_tracks(lake, "") == rejected_events(lake) == NO_REJECTIONS
    assert delete_rows(lake, "ana") == 0


def test_the_newest_tracks_of_the_library_come_first(lake: Lake, tmp_path: Path) -> None:
    here = library_name(str(tmp_path))
    schema = pa.schema(
        {
            "track_id": pa.string(),
            "library": pa.string(),
            "found_at": pa.timestamp("us", "UTC"),
            "gone_at": pa.timestamp("us", "UTC"),
        }
    )
    rows = [
        {"track_id": "old", "library": here, "found_at": NOW - timedelta(days=3), "gone_at": None},
        {"track_id": "new", "library": here, "found_at": NOW, "gone_at": None},
        {"track_id": "gone", "library": here, "found_at": NOW, "gone_at": NOW},
        {"track_id": "elsewhere", "library": "/elsewhere", "found_at": NOW, "gone_at": None},
    ]
    write(lake, "tracks", rows, schema)
    assert recently_added(lake, str(tmp_path)) == ["new", "old"]
    assert recently_added(lake, "") == ["elsewhere", "new", "old"]


@pytest.mark.parametrize("partitions", [["day"], None])
def test_rows_of_a_listener_are_read_day_by_day(lake: Lake, partitions: list[str] | None) -> None:
    times = {0: NOW + timedelta(days=1), 1: NOW, 2: NOW + timedelta(hours=3), 3: NOW + timedelta(hours=1)}
    rows = [{"user_id": "ana", "offset": at, "occurred_at": time, "day": time.date()} for at, time in times.items()]
    rows += [{**rows[0], "user_id": "bo"}]
    write_deltalake(lake.table("listening_events"), pa.Table.from_pylist(rows), partition_by=partitions)
    events = events_of(lake, "ana")
    assert [row["offset"] for row in events] == [1, 3, 2, 0]
    delete_rows(lake, "bo")
    assert [row["offset"] for row in events_of(lake, "ana")] == [1, 3, 2, 0]


def test_an_export_is_one_json_object_whatever_is_in_it() -> None:
    rows = {"events": iter([{"at": NOW, "raw": b"\xff", "text": 'a"b\n'}] * 2500), "lists": iter([])}
    parts = list(_parts({"name": "Zoë", "profile": None}, rows))
    exported = json.loads("".join(parts))
    assert (exported["name"], exported["profile"], exported["lists"]) == ("Zoë", None, [])
    assert exported["events"] == [{"at": NOW.isoformat(), "raw": "ff", "text": 'a"b\n'}] * 2500
    assert len(parts) == 9, "events come by the thousand"


def test_refusals_are_counted_by_reason_most_first(lake: Lake) -> None:
    row = {"bytes": 3, "partition": 0}
    rows = [
        row | {"offset": n, "reason": "not JSON" if n else "empty value", "received_at": NOW + timedelta(seconds=n)}
        for n in range(4)
    ]
    write(lake, "rejected_events", rows)
    rejections = rejected_events(lake, latest=2)
    assert (rejections.count, rejections.reasons) == (4, (("not JSON", 3), ("empty value", 1)))
    assert [row["offset"] for row in rejections.latest] == [3, 2]


def test_rejections_are_read_again_once_there_are_more_and_are_of_one_library(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def row(path: str, library: str, hours: int) -> dict[str, Any]:
        return {
            "library": library,
            "path": path,
            "reason": "empty",
            "detail": "",
            "rejected_at": NOW + timedelta(hours=hours),
        }

    write(lake, "rejected_tracks", [row("a", str(tmp_path), 1), row("b", "/elsewhere", 2)])
    reads = []
    read = module._read_rejections
    monkeypatch.setattr(module, "_read_rejections", lambda *arguments: reads.append(1) or read(*arguments))
    first = [rejected_tracks(lake, str(tmp_path)) for _ in range(3)][-1]
    assert (first.count, [each["path"] for each in first.latest], len(reads)) == (1, ["a"], 1)
    assert rejected_tracks(lake, "").count == 2
    write_deltalake(lake.table("rejected_tracks"), pa.Table.from_pylist([row("c", str(tmp_path), 3)]), mode="append")
    assert [each["path"] for each in rejected_tracks(lake, str(tmp_path)).latest] == ["c", "a"]
    assert [each["path"] for each in rejected_tracks(lake, "", latest=2).latest] == ["c", "b"]


@pytest.mark.parametrize("user_id", ["o'brien", "x' OR '1'='1", "back\\", '*/ -- "x"'])
def test_only_the_rows_of_the_one_listener_are_deleted(lake: Lake, user_id: str) -> None:
    rows = [
        {"user_id": each, "offset": at, "occurred_at": NOW} for at, each in enumerate([user_id, "ana", user_id, "x"])
    ]
    write(lake, "listening_events", rows)
    mixes = [(user_id, "mix-1", 2), (user_id, "mix-1", 1), (user_id, "discover", 1), ("ana", "mix-1", 1)]
    mix_rows = [{"user_id": each, "list": name, "generated_at": NOW, "rank": rank} for each, name, rank in mixes]
    write(lake, "mixes", mix_rows)
    assert [row["offset"] for row in events_of(lake, user_id)] == [0, 2]
    assert [(row["list"], row["rank"]) for row in mixes_of(lake, user_id)] == [
        ("discover", 1), ("mix-1", 1), ("mix-1", 2),
    ]  # fmt: skip
    assert delete_rows(lake, user_id) == 5
    assert list(mixes_of(lake, user_id)) == [] and len(list(mixes_of(lake, "ana"))) == 1
    remaining = DeltaTable(lake.table("listening_events")).to_pyarrow_table()["user_id"].to_pylist()
    assert sorted(remaining) == ["ana", "x"] and list(events_of(lake, user_id)) == []


def test_refused_values_and_replayed_lists_of_a_listener_are_deleted(lake: Lake) -> None:
    raws = [
        b'{"user_id": "zo\\u00eb", "track_id": 7}',
        '{"action": "play", "user_id" : "zoë", "track_id": "unknown"}'.encode(),
        b'{"user_id": "ana", "session_id": "zo\xc3\xab"}',
        b"not JSON at all",
        '{"user_id": "zoë'.encode(),
        b'{"user_id": "zo\xff"}',
    ]
    place = {"topic_id": "c/t", "reason": "bad"}
    rows = [place | {"partition": at % 2, "offset": at, "raw": raw} for at, raw in enumerate([*raws, None])]
    write(lake, "rejected_events", rows)
    write(lake, "replayed_recommendations", [{"user_id": "zoë"}, {"user_id": "ana"}])
    write(lake, "my_replay", [{"user_id": "zoë"}])
    write(lake, "tracks", [{"track_id": "zoë"}])
    assert delete_rows(lake, "zoë") == 5
    assert sorted(DeltaTable(lake.table("rejected_events")).to_pyarrow_table()["offset"].to_pylist()) == [2, 3, 5, 6]
    assert DeltaTable(lake.table("replayed_recommendations")).to_pyarrow_table()["user_id"].to_pylist() == ["ana"]
    assert DeltaTable(lake.table("my_replay")).to_pyarrow_table().num_rows == 0
    assert DeltaTable(lake.table("tracks")).to_pyarrow_table().num_rows == 1
    assert delete_rows(lake, "zoë") == 0


def test_a_deletion_waits_for_a_busy_table_and_says_when_it_stays_busy(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deltalake.exceptions import CommitFailedError

    write(lake, "recommendations", [{"user_id": "ana"}])
    own, failures = DeltaTable.delete, [CommitFailedError("busy")] * 2

    def delete(self: DeltaTable, predicate: str, **properties: Any) -> Any:
        if failures:
            raise failures.pop()
        return own(self, predicate, **properties)

    monkeypatch.setattr(DeltaTable, "delete", delete)
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    assert delete_rows(lake, "ana") == 1
    write(lake, "listening_events", [{"user_id": "ana"}])
    failures += [CommitFailedError("busy")] * 99
    with pytest.raises(OSError, match="listening_events is busy"):
        delete_rows(lake, "ana")
