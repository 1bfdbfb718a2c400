"""Who skips and who finishes a track is counted by listeners, from the ledger's table into one of its own."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from conf.settings import Lake
from streaming.schemas import LISTENING_EVENTS
from streaming.sink import skip_rate_table
from streaming.sink.delta_append import DeltaAppender
from streaming.sink.skip_rate_table import (
    SkipRateTimer,
    latest_endings,
    listeners_by_track,
    update_skip_rates,
)
from streaming.sink.upkeep import TableUpkeep

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(root=str(tmp_path / "lake"))


class Ledger:
    """Appends events to a lake, a minute apart, one commit for each call."""

    def __init__(self, lake: Lake) -> None:
        self.appender = DeltaAppender(lake)
        self.offset = 0

    def land(self, *events: tuple[str, str, str]) -> None:
        """events : (user, track, action)"""
        rows: list[dict[str, Any]] = []
        for user_id, track_id, action in events:
            at = NOON + self.offset * MINUTE
            place = {"topic": "listens", "topic_id": "cluster/topic", "partition": 0, "offset": self.offset}
            row = {"event_id": f"e{self.offset}", "user_id": user_id, "track_id": track_id, "action": action}
            rows.append({**place, **row, "occurred_at": at, "received_at": at})
            self.offset += 1
        self.appender.read()
        self.appender.append_rows("listening_events", rows, LISTENING_EVENTS)


def counted(lake: Lake) -> list[tuple[Any, ...]]:
    """(day, track, skippers, finishers), in order."""
    rows = DeltaTable(lake.table("skip_rates")).to_pyarrow_table().to_pylist()
    return sorted((str(row["day"]), row["track_id"], row["skippers"], row["finishers"]) for row in rows)


def test_each_listener_counts_once_by_what_they_did_more_often_or_last(lake: Lake) -> None:
    Ledger(lake).land(
        *[("ana", "t1", "skip")] * 9, ("bo", "t1", "complete"), ("cy", "t1", "complete"),
        ("ana", "t2", "skip"), ("ana", "t2", "complete"), ("ana", "t2", "complete"),
        ("ana", "t3", "complete"), ("ana", "t3", "skip"),
        ("ana", "t4", "skip"), ("ana", "t4", "complete"),
        ("ana", "t5", "play"), ("ana", "t5", "like"),
    )  # fmt: skip
    assert update_skip_rates(lake, NOON)
    day = "2026-11-23"
    assert counted(lake) == [(day, "t1", 1, 2), (day, "t2", 0, 1), (day, "t3", 1, 0), (day, "t4", 0, 1)]


def test_a_day_has_its_latest_count_and_days_before_keep_theirs(lake: Lake) -> None:
    ledger = Ledger(lake)
    ledger.land(("ana", "t1", "skip"))
    assert update_skip_rates(lake, NOON)
    version = DeltaTable(lake.table("skip_rates")).version()
    ledger.land(("bo", "t1", "skip"), ("bo", "t2", "complete"))
    assert update_skip_rates(lake, NOON + 30 * MINUTE)
    assert DeltaTable(lake.table("skip_rates")).version() == version + 1, "one commit"
    assert counted(lake) == [("2026-11-23", "t1", 2, 0), ("2026-11-23", "t2", 0, 1)]
    ledger.land(("cy", "t2", "skip"))
    assert update_skip_rates(lake, NOON + timedelta(days=2))
    assert counted(lake) == [
        ("2026-11-23", "t1", 2, 0), ("2026-11-23", "t2", 0, 1), ("2026-11-25", "t1", 2, 0), ("2026-11-25", "t2", 1, 1),
    ]  # fmt: skip


def test_nothing_new_is_no_commit(lake: Lake) -> None:
    assert not update_skip_rates(lake, NOON), "no events yet"
    ledger = Ledger(lake)
    ledger.land(("ana", "t1", "play"))
    assert not update_skip_rates(lake, NOON), "none that ends a track"
    ledger.land(("ana", "t1", "skip"))
    assert update_skip_rates(lake, NOON)
    ledger.land(("ana", "t1", "play"), ("ana", "t1", "skip"))
    assert not update_skip_rates(lake, NOON + MINUTE), "the same listener again"
    assert DeltaTable(lake.table("skip_rates")).version() == 0


def test_a_listener_whose_rows_were_deleted_counts_no_more(lake: Lake) -> None:
    ledger = Ledger(lake)
    ledger.land(("ana", "t1", "skip"), ("bo", "t1", "complete"))
    update_skip_rates(lake, NOON)
    DeltaTable(lake.table("listening_events")).delete("user_id = 'ana'")
    ledger.land(("cy", "t1", "complete"))
    update_skip_rates(lake, NOON)
    assert counted(lake) == [("2026-11-23", "t1", 0, 2)]


def test_of_a_long_past_the_latest_files_are_counted(lake: Lake) -> None:
    ledger = Ledger(lake)
    for number in range(10):
        ledger.land((f"user {number}", "t1", "skip"), (f"user {number}", "t2", "complete"))
    events = DeltaTable(lake.table("listening_events"))
    assert latest_endings(events).num_rows == latest_endings(events, 20).num_rows == 20
    assert set(latest_endings(events, 3)["user_id"].to_pylist()) == {"user 8", "user 9"}


def test_no_events_are_no_tracks() -> None:
    columns = {"user_id": pa.string(), "track_id": pa.string(), "action": pa.string()}
    schema = pa.schema({**columns, "occurred_at": pa.timestamp("us", "UTC")})
    assert listeners_by_track(schema.empty_table()).num_rows == 0


def test_it_is_counted_two_minutes_after_the_start_and_then_at_intervals(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, counts = [1000.0], []
    monkeypatch.setattr(skip_rate_table.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(skip_rate_table, "update_skip_rates", lambda _: counts.append(now[0]))
    timer, never = SkipRateTimer(lake, 30), SkipRateTimer(lake, 0)
    for seconds in (0, 119, 121, 300, 1920, 1922):
        now[0] = 1000.0 + seconds
        timer.update_when_due()
        never.update_when_due()
    assert counts == [1121.0, 2922.0]


@pytest.mark.parametrize("damaged", ["*.parquet", "*.json"])
def test_a_damaged_table_stops_no_ledger_and_is_counted_anew_without_it(
    lake: Lake, damaged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger(lake)
    ledger.land(("ana", "t1", "skip"))
    update_skip_rates(lake)
    ledger.land(("bo", "t1", "skip"))
    for file in Path(lake.table("skip_rates")).rglob(damaged):
        file.write_bytes(b"{")
    timer = SkipRateTimer(lake, 1e-9)
    timer.update_when_due()
    assert "the skips are not counted" in capsys.readouterr().out
    TableUpkeep(lake, 1e-9).do_when_due()
    shutil.rmtree(lake.table("skip_rates"))
    timer.update_when_due()
    assert [row[1:] for row in counted(lake)] == [("t1", 2, 0)]


def test_a_job_that_ends_counts_unless_the_last_count_is_young(lake: Lake) -> None:
    ledger = Ledger(lake)
    ledger.land(("ana", "t1", "skip"))
    SkipRateTimer(lake, 0).update_when_old()
    assert not Path(lake.table("skip_rates")).exists()
    SkipRateTimer(lake, 30).update_when_old()
    ledger.land(("bo", "t1", "skip"))
    SkipRateTimer(lake, 30).update_when_old()
    assert [row[1:] for row in counted(lake)] == [("t1", 1, 0)]
    SkipRateTimer(lake, 1e-9).update_when_old()
    assert [row[1:] for row in counted(lake)] == [("t1", 2, 0)]
