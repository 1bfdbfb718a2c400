"""Rows are appended to Delta tables once, however often they are sent and whatever was forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from conf.settings import Lake
from streaming.documents import Deletion, list_document, mixes_document
from streaming.events import Event
from streaming.ledger import _event_columns
from streaming.profile.profile import Profile
from streaming.schemas import LISTENING_EVENTS, MIXES, RECOMMENDATIONS
from streaming.serving.writes import message, mix_messages
from streaming.sink import upkeep
from streaming.sink.commits import Overtaken
from streaming.sink.delta_append import DeltaAppender
from streaming.sink.recommendation_rows import is_list, list_rows, lists_after_deletion
from streaming.sink.skip_rate_table import update_skip_rates
from streaming.sink.upkeep import TableUpkeep
from streaming.source.durable_values import offset_ranges
from ui.data.lake import delete_rows

NOON = datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(root=str(tmp_path / "the lake, ü"))


def event(offset: int, partition: int = 0, topic_id: str = "cluster/topic") -> dict[str, Any]:
    place = {"topic": "listens", "topic_id": topic_id, "partition": partition, "offset": offset}
    return {
        **place,
        "event_id": f"e{offset}",
        "user_id": "ana",
        "track_id": "t1",
        "action": "play",
        "occurred_at": NOON,
    }


def shown(offset: int, *tracks: str) -> dict[str, Any]:
    return {**event(offset), "track_id": None, "action": "shown", "tracks": list(tracks)}


def places(lake: Lake) -> list[tuple[Any, ...]]:
    rows = DeltaTable(lake.table("listening_events")).to_pyarrow_table().to_pylist()
    return sorted((row["topic_id"], row["partition"], row["offset"]) for row in rows)


def a_list(user: str, generation: int, *tracks: str, minutes: float = 0.0) -> bytes:
    items = [
        {
            "track_id": track,
            "rank": rank,
            "score": 0.5,
            "reason": "Because",
            "because": ["x"],
            "parts": {"similarity": 1.0},
        }
        for rank, track in enumerate(tracks, start=1)
    ]
    return message(
        {
            "_id": user,
            "items": items,
            "generation": generation,
            "generated_at": NOON + timedelta(minutes=minutes),
            "model_version": "m1",
            "events_applied": 1,
        }
    )


def named(user: str, minutes: int, **tracks_by_name: str) -> list[bytes]:
    """The values of a listener's named lists; the tracks of each are separated by blanks."""
    made = [
        {
            "name": name.replace("_", "-"),
            "title": f"The {name}",
            "reason": "all alike",
            "items": [
                {
                    "track_id": track,
                    "rank": rank,
                    "score": 0.5,
                    "reason": "Because",
                    "because": ["x"],
                    "percentile": 99.5,
                }
                for rank, track in enumerate(tracks.split(), start=1)
            ],
        }
        for name, tracks in tracks_by_name.items()
    ]
    profile = Profile(user, mixes_at=(NOON + timedelta(minutes=minutes)).timestamp(), events_applied=4)
    return mix_messages(mixes_document(profile, made, "m1", "2026-W48", ["x"]))


def lists(lake: Lake) -> list[tuple[Any, ...]]:
    rows = DeltaTable(lake.table("recommendations")).to_pyarrow_table().to_pylist()
    return sorted((row["user_id"], row["generation"], row["rank"], row["track_id"]) for row in rows)


def test_what_is_there_is_not_added_again_whoever_asks(lake: Lake) -> None:
    appender = DeltaAppender(lake)
    assert appender.append_rows("listening_events", [event(0), event(1), event(0, partition=1)], LISTENING_EVENTS) == 3
    for again in (appender, DeltaAppender(lake)):  # a replay by the same driver, and by one that starts anew
        assert again.append_rows("listening_events", [event(0), event(1), event(0, partition=1)], LISTENING_EVENTS) == 0
    assert DeltaAppender(lake).append_rows("listening_events", [event(1), event(2)], LISTENING_EVENTS) == 1
    assert places(lake) == [("cluster/topic", 0, at) for at in (0, 1, 2)] + [("cluster/topic", 1, 0)]


def test_a_batch_that_is_behind_in_one_partition_takes_no_mark_back(lake: Lake) -> None:
    """As when a checkpoint is lost while one partition has new events."""
    appender = DeltaAppender(lake)
    rows = [event(0), event(1), event(2), event(0, partition=1)]
    ends = {"cluster/topic/0": 2, "cluster/topic/1": 0}
    appender.append_rows("listening_events", rows, LISTENING_EVENTS, ends)
    behind = [event(0), event(0, partition=1), event(1, partition=1)]
    ends = {"cluster/topic/0": 0, "cluster/topic/1": 1}
    assert appender.append_rows("listening_events", behind, LISTENING_EVENTS, ends) == 1
    assert DeltaAppender(lake).append_rows("listening_events", rows, LISTENING_EVENTS) == 0
    assert places(lake) == [("cluster/topic", 0, at) for at in (0, 1, 2)] + [("cluster/topic", 1, at) for at in (0, 1)]


def test_a_topic_that_was_made_anew_begins_anew(lake: Lake) -> None:
    appender = DeltaAppender(lake)
    appender.append_rows("listening_events", [event(7)], LISTENING_EVENTS)
    assert appender.append_rows("listening_events", [event(0, topic_id="cluster/other")], LISTENING_EVENTS) == 1


def test_a_table_without_marks_tells_by_its_rows(lake: Lake) -> None:
    schema = to_arrow_schema(LISTENING_EVENTS, timezone="UTC")
    write_deltalake(lake.table("listening_events"), pa.Table.from_pylist([event(0), event(4)], schema=schema))
    assert DeltaAppender(lake).append_rows("listening_events", [event(4), event(5)], LISTENING_EVENTS) == 1


def test_a_list_that_was_sent_twice_is_kept_once(lake: Lake) -> None:
    appender = DeltaAppender(lake)
    first = list_rows([a_list("ana", 1, "a", "b"), a_list("ana", 1, "a", "b"), a_list("bo", 1, "c")]).recommendations
    assert appender.append_lists("recommendations", first, RECOMMENDATIONS) == 3
    later = list_rows([a_list("ana", 1, "x", "y"), a_list("ana", 2, "b", "a"), a_list("cy", 1, "c")]).recommendations
    assert DeltaAppender(lake).append_lists("recommendations", later, RECOMMENDATIONS) == 3
    assert lists(lake) == [
        ("ana", 1, 1, "a"), ("ana", 1, 2, "b"), ("ana", 2, 1, "b"), ("ana", 2, 2, "a"), ("bo", 1, 1, "c"), ("cy", 1, 1, "c"),
    ]  # fmt: skip


@pytest.mark.parametrize("hours", [-1, 1], ids=["a driver whose clock is behind", "ahead"])
def test_a_list_is_of_after_the_deletion_that_it_notes(hours: int) -> None:
    made_at = NOON + timedelta(hours=hours)
    deletions = {"ana": Deletion(NOON), "bo": Deletion(NOON)}
    values: list[bytes | None] = []
    for noted in (None, NOON - timedelta(days=1), NOON):
        for user in ("ana", "cy"):
            profile = Profile(user, deleted_at=noted, mixes_at=made_at.timestamp())
            items = [{"track_id": f"{user}: {noted}", "rank": 1, "score": 0.5, "reason": "R", "because": []}]
            values.append(message(list_document(profile, items, "m1", made_at)))
            mix = {"name": "mix-1", "title": "T", "reason": "R", "items": items}
            values += mix_messages(mixes_document(profile, [mix], "m1", "", []))
    lists, mixes = list_rows(values, lambda lists: lists_after_deletion(lists, deletions))
    of_ana = [f"ana: {NOON}"]
    of_others = [f"cy: {noted}" for noted in (None, NOON - timedelta(days=1), NOON)]
    assert sorted(lists["track_id"].to_pylist()) == sorted(of_ana + of_others)
    # A named list that notes nothing may be of an earlier version; its time is of the listener's clock.
    of_before = [f"ana: {None}"] if hours > 0 else []
    assert sorted(mixes["track_id"].to_pylist()) == sorted(of_before + of_ana + of_others)
    assert list_rows([], lambda lists: lists_after_deletion(lists, deletions)).mixes.num_rows == 0


def test_of_a_deletion_that_nothing_notes_the_clocks_tell() -> None:
    deletions = {"ana": Deletion(NOON, is_noted=False)}
    values: list[bytes | None] = [a_list("ana", 1, "a", minutes=-1), a_list("ana", 2, "b", minutes=1)]
    rows = list_rows(values, lambda lists: lists_after_deletion(lists, deletions)).recommendations
    assert rows["track_id"].to_pylist() == ["b"]


def test_lists_that_come_out_of_order_are_kept(lake: Lake) -> None:
    later, earlier = a_list("ana", 5, "e", minutes=5), a_list("ana", 4, "d", minutes=4)
    from_the_day_before = a_list("ana", 2, "b", minutes=-24 * 60)
    for values, count in (
        ([later], 1),
        ([earlier, later], 1),
        ([from_the_day_before, earlier, later], 1),
        ([earlier], 0),
    ):
        rows = list_rows(values).recommendations
        assert DeltaAppender(lake).append_lists("recommendations", rows, RECOMMENDATIONS) == count
    assert lists(lake) == [("ana", 2, 1, "b"), ("ana", 4, 1, "d"), ("ana", 5, 1, "e")]


def test_generations_that_begin_again_are_other_lists(lake: Lake) -> None:
    """As they do when MongoDB's data are lost."""
    for minutes, track in (0, "a"), (60, "b"):
        rows = list_rows([a_list("ana", 1, track, minutes=minutes)]).recommendations
        assert DeltaAppender(lake).append_lists("recommendations", rows, RECOMMENDATIONS) == 1
    assert lists(lake) == [("ana", 1, 1, "a"), ("ana", 1, 1, "b")]


def test_lists_are_looked_up_among_those_of_their_time_alone(lake: Lake) -> None:
    """The files of other times need not even be there."""
    for minutes in range(0, 60, 10):
        rows = list_rows([a_list("ana", minutes, "a", minutes=minutes)]).recommendations
        DeltaAppender(lake).append_lists("recommendations", rows, RECOMMENDATIONS)
    actions = pa.table(DeltaTable(lake.table("recommendations")).get_add_actions(flatten=True)).to_pylist()
    for action in actions:
        if action["max.generated_at"] < NOON + timedelta(minutes=45):
            Path(lake.table("recommendations"), unquote(action["path"])).unlink()
    again = [a_list("ana", 50, "a", minutes=50), a_list("ana", 60, "a", minutes=60)]
    assert DeltaAppender(lake).append_lists("recommendations", list_rows(again).recommendations, RECOMMENDATIONS) == 1


def test_named_lists_are_rows_of_a_table_of_their_own() -> None:
    rows = list_rows([a_list("ana", 1, "a"), *named("ana", 0, mix_1="b c", discover="d"), a_list("bo", 2, "e")])
    assert [(row["user_id"], row["track_id"]) for row in rows.recommendations.to_pylist()] == [
        ("ana", "a"),
        ("bo", "e"),
    ]
    assert rows.mixes.to_pylist()[1] == {
        "user_id": "ana",
        "list": "mix-1",
        "title": "The mix_1",
        "generated_at": NOON,
        "rank": 2,
        "track_id": "c",
        "score": 0.5,
        "model_version": "m1",
        "reason": "Because",
        "because": ["x"],
        "day": NOON.date(),
    }
    assert [(row["list"], row["rank"], row["track_id"]) for row in rows.mixes.to_pylist()] == [
        ("mix-1", 1, "b"), ("mix-1", 2, "c"), ("discover", 1, "d"),
    ]  # fmt: skip


def test_a_named_list_that_was_sent_twice_is_kept_once(lake: Lake) -> None:
    first = [*named("ana", 0, mix_1="a b", discover="c"), *named("bo", 5, discover="d")]
    again, later = named("ana", 0, mix_1="x y", discover="c", rediscover="e"), named("ana", 1, mix_1="b")
    appended = [
        DeltaAppender(lake).append_lists("mixes", list_rows(values).mixes, MIXES)
        for values in ([*first, *first[:1]], again, [*later, *first], first)
    ]
    assert appended == [4, 1, 1, 0]
    rows = DeltaTable(lake.table("mixes")).to_pyarrow_table().to_pylist()
    minutes = [(row["generated_at"] - NOON).total_seconds() / 60 for row in rows]
    assert sorted(
        (row["user_id"], row["list"], minute, row["rank"], row["track_id"])
        for row, minute in zip(rows, minutes, strict=True)
    ) == [
        ("ana", "discover", 0, 1, "c"),
        ("ana", "mix-1", 0, 1, "a"),
        ("ana", "mix-1", 0, 2, "b"),
        ("ana", "mix-1", 1, 1, "b"),
        ("ana", "rediscover", 0, 1, "e"),
        ("bo", "discover", 5, 1, "d"),
    ]
    DeltaTable(lake.table("mixes")).delete("user_id = 'ana'")
    assert DeltaAppender(lake).append_lists("mixes", list_rows(first).mixes, MIXES) == 3, "the deleted ones"


def test_a_listener_whose_rows_were_deleted_may_begin_again(lake: Lake) -> None:
    appender = DeltaAppender(lake)
    appender.append_rows("listening_events", [event(0)], LISTENING_EVENTS)
    both = list_rows([a_list("ana", 1, "a"), a_list("ana", 2, "b"), a_list("bo", 1, "c")]).recommendations
    appender.append_lists("recommendations", both, RECOMMENDATIONS)
    for name in ("recommendations", "listening_events"):
        DeltaTable(lake.table(name)).delete("user_id = 'ana'")
    appender.read()
    again = list_rows([a_list("ana", 1, "x"), a_list("bo", 1, "c")]).recommendations
    assert appender.append_lists("recommendations", again, RECOMMENDATIONS) == 1
    assert DeltaAppender(lake).append_lists("recommendations", again, RECOMMENDATIONS) == 0
    assert lists(lake) == [("ana", 1, 1, "x"), ("bo", 1, 1, "c")]
    assert DeltaAppender(lake).append_rows("listening_events", [event(0), event(1)], LISTENING_EVENTS) == 1


def test_a_table_whose_text_a_deletion_has_rewritten_tells_by_its_rows(lake: Lake) -> None:
    schema = to_arrow_schema(LISTENING_EVENTS, timezone="UTC")
    write_deltalake(lake.table("listening_events"), pa.Table.from_pylist([event(0), event(4)], schema=schema))
    DeltaTable(lake.table("listening_events")).delete("offset = 0")
    assert DeltaAppender(lake).append_rows("listening_events", [event(4), event(5)], LISTENING_EVENTS) == 1


def test_a_list_on_its_topic_is_rows_with_times_and_reasons() -> None:
    (row,) = list_rows([None, a_list("ana", 3, "a")]).recommendations.to_pylist()
    assert (row["user_id"], row["generation"], row["rank"], row["generated_at"]) == ("ana", 3, 1, NOON)
    assert (row["reason"], row["because"], row["model_version"]) == ("Because", ["x"], "m1")
    assert list_rows([]).recommendations.num_rows == 0


@pytest.mark.parametrize(
    "value",
    [
        b"hello",
        b"\xff\xfe",
        b"[1]",
        b'{"other": 1}',
        b'{"user_id": 7, "items": []}',
        a_list("ana", 1, "a").replace(b'"rank":1', b'"rank":"first"'),
        a_list("ana", 1, "a").replace(b'"score":0.5', b'"score":"high"'),
        a_list("ana", 1, "a").replace(b'"generation":1', b'"generation":null'),
        a_list("ana", 1, "a").replace(b'"track_id":"a"', b'"track_id":null'),
        a_list("ana", 1, "a").replace(b"2026-11-23", b"yesterday"),
        named("ana", 0, mix_1="a")[0].replace(b'"list":"mix-1"', b'"list":7'),
        named("ana", 0, mix_1="a")[0].replace(b'"list":"mix-1"', b'"list":null'),
        named("ana", 0, mix_1="a")[0].replace(b'"track_id":"a"', b'"track_id":null'),
    ],
)
def test_what_is_no_list_is_told_from_one(value: bytes) -> None:
    assert is_list(a_list("ana", 1, "a")) and not is_list(value)


def test_large_values_are_taken_in_runs_of_offsets() -> None:
    assert offset_ranges([(3, 10), (4, 10), (7, 10)], 25) == [(3, 4), (7, 7)]
    assert offset_ranges([(1, 99), (2, 1), (3, 99)], 25) == [(1, 1), (2, 2), (3, 3)]
    assert offset_ranges([], 25) == []


def test_small_files_are_written_together_and_nothing_is_lost(lake: Lake) -> None:
    appender = DeltaAppender(lake)
    for offset in range(12):
        appender.append_rows("listening_events", [event(offset)], LISTENING_EVENTS)
    assert len(DeltaTable(lake.table("listening_events")).file_uris()) == 12
    TableUpkeep(lake, 1e-9).do_when_due()
    assert len(DeltaTable(lake.table("listening_events")).file_uris()) == 1
    assert appender.append_rows("listening_events", [event(11)], LISTENING_EVENTS) == 0
    assert DeltaAppender(lake).append_rows("listening_events", [event(11), event(12)], LISTENING_EVENTS) == 1
    assert len(places(lake)) == 13


def test_a_table_that_had_no_tracks_is_widened(lake: Lake) -> None:
    older = to_arrow_schema(StructType([field for field in LISTENING_EVENTS if field.name != "tracks"]), timezone="UTC")
    write_deltalake(lake.table("listening_events"), pa.Table.from_pylist([event(0), event(1)], schema=older))
    appender = DeltaAppender(lake)
    assert appender.append_rows("listening_events", [event(1), shown(2, "a", "b")], LISTENING_EVENTS) == 1
    TableUpkeep(lake, 1e-9).do_when_due()
    assert appender.append_rows("listening_events", [event(3)], LISTENING_EVENTS) == 1
    rows = DeltaTable(lake.table("listening_events")).to_pyarrow_table().sort_by("offset").to_pylist()
    assert [(row["offset"], row["action"], row["tracks"]) for row in rows] == [
        (0, "play", None), (1, "play", None), (2, "shown", ["a", "b"]), (3, "play", None),
    ]  # fmt: skip


def test_what_was_shown_and_visits_are_rows_as_other_events() -> None:
    events = [Event("ana", None, "shown", NOON, tracks=("a", "b")), Event("ana", None, "visit", NOON)]
    assert [(row["action"], row["track_id"], row["tracks"]) for row in map(_event_columns, events)] == [
        ("shown", None, ["a", "b"]), ("visit", None, None),
    ]  # fmt: skip


def test_compaction_leaves_the_days_of_skip_rates_as_they_are(lake: Lake) -> None:
    appender = DeltaAppender(lake)
    for offset, (user_id, days) in enumerate([("ana", 0), ("bo", 0), ("cy", 1)]):
        skip = {**event(offset), "user_id": user_id, "action": "skip"}
        appender.append_rows("listening_events", [skip], LISTENING_EVENTS)
        assert update_skip_rates(lake, NOON + timedelta(days=days))
    before = DeltaTable(lake.table("skip_rates"))
    TableUpkeep(lake, 1e-9).do_when_due()
    after = DeltaTable(lake.table("skip_rates"))
    assert (after.version(), after.to_pyarrow_table()) == (before.version(), before.to_pyarrow_table())


def test_of_two_ledgers_the_second_is_overtaken_and_writes_nothing_twice(lake: Lake) -> None:
    first, second = DeltaAppender(lake), DeltaAppender(lake)
    for appender in (first, second):
        appender.read()
        assert appender.undecided({("cluster/topic", 0, 0)}) == ({("cluster/topic", 0, 0)}, set())
    ends = {"cluster/topic/0": 0}
    assert first.append_rows("listening_events", [event(0)], LISTENING_EVENTS, ends) == 1
    with pytest.raises(Overtaken):
        second.append_rows("listening_events", [event(0)], LISTENING_EVENTS, ends)
    first.read()
    second.read()
    assert first.is_alone and not second.is_alone
    assert second.undecided({("cluster/topic", 0, 0)}) == (set(), set())
    assert second.append_rows("listening_events", [event(0), event(1)], LISTENING_EVENTS) == 1
    assert places(lake) == [("cluster/topic", 0, 0), ("cluster/topic", 0, 1)]


def test_of_two_ledgers_with_the_same_list_one_writes_it(lake: Lake) -> None:
    rows = list_rows([a_list("ana", 1, "a")]).recommendations
    first, second = DeltaAppender(lake), DeltaAppender(lake)
    for appender in (first, second):
        appender.read()
    assert first.append_lists("recommendations", rows, RECOMMENDATIONS) == 1
    with pytest.raises(Overtaken):
        second.append_lists("recommendations", rows, RECOMMENDATIONS)
    second.read()
    assert second.append_lists("recommendations", rows, RECOMMENDATIONS) == 0
    assert lists(lake) == [("ana", 1, 1, "a")]


@pytest.mark.parametrize("rows_before", [0, 1])
def test_what_was_decided_before_a_deletion_is_not_committed_after_it(lake: Lake, rows_before: int) -> None:
    """Also where the deletion found no rows."""
    appender = DeltaAppender(lake)
    appender.append_rows("listening_events", [event(at) for at in range(rows_before)], LISTENING_EVENTS)
    appender.read()
    assert delete_rows(lake, "ana") == rows_before
    with pytest.raises(Overtaken):
        appender.append_rows("listening_events", [event(7)], LISTENING_EVENTS)
    appender.read()
    assert appender.is_alone, "it was no ledger"
    assert places(lake) == []


def test_a_table_of_an_earlier_version_is_rewritten_by_day_with_its_marks(lake: Lake) -> None:
    """Its last commits had marks, its first ones none; a deletion has rewritten a file."""
    older = to_arrow_schema(StructType([field for field in LISTENING_EVENTS if field.name != "day"]), timezone="UTC")
    received = [{**event(offset), "received_at": NOON + timedelta(days=offset)} for offset in range(4)] + [
        {**event(9, partition=1), "received_at": NOON}
    ]
    location = lake.table("listening_events")
    write_deltalake(location, pa.Table.from_pylist(received, schema=older))
    marks = CommitProperties(app_transactions=[Transaction("cluster/topic/0", 6)])
    write_deltalake(
        location,
        pa.Table.from_pylist([{**event(5), "received_at": NOON}], schema=older),
        mode="append",
        commit_properties=marks,
    )
    delete_rows(lake, "nobody")
    DeltaTable(location).delete("offset = 3")
    appender = DeltaAppender(lake)
    given = [event(6), event(7), event(9, partition=1), event(10, partition=1)]
    assert appender.append_rows("listening_events", given, LISTENING_EVENTS) == 2
    table = DeltaTable(location)
    assert table.metadata().partition_columns == ["day"]
    rows = table.to_pyarrow_table().to_pylist()
    assert sorted((str(row["day"]), row["partition"], row["offset"]) for row in rows) == [
        ("2026-11-23", 0, 0), ("2026-11-23", 0, 5), ("2026-11-23", 1, 9), ("2026-11-24", 0, 1), ("2026-11-25", 0, 2),
        ("None", 0, 7), ("None", 1, 10),
    ]  # fmt: skip
    assert DeltaAppender(lake).append_rows("listening_events", given, LISTENING_EVENTS) == 0
    assert DeltaTable(location).version() == table.version(), "it is rewritten once"


def test_what_is_older_than_its_setting_expires_and_stays_known(lake: Lake) -> None:
    kept = lake.model_copy(update={"keep_events_days": 30, "keep_lists_days": 10})
    appender = DeltaAppender(lake)
    given = [{**event(at), "received_at": NOON - timedelta(days=days)} for at, days in enumerate([90, 31, 30, 0])]
    appender.append_rows("listening_events", given, LISTENING_EVENTS)
    made = [a_list("ana", at, "a", minutes=-1440 * days) for at, days in enumerate([400, 11, 10, 0])]
    appender.append_lists("recommendations", list_rows(made).recommendations, RECOMMENDATIONS)
    TableUpkeep(kept, 0).do_when_due(NOON)
    assert [offset for *_, offset in places(lake)] == [2, 3]
    assert [generation for _, generation, *_ in lists(lake)] == [2, 3]
    assert DeltaAppender(lake).append_rows("listening_events", given, LISTENING_EVENTS) == 0, "marks do not expire"
    TableUpkeep(Lake(root=lake.root), 0).do_when_due(NOON + timedelta(days=600))
    assert [offset for *_, offset in places(lake)] == [2, 3], "events are kept for good by default"
    assert lists(lake) == []


def test_upkeep_that_another_writer_overtakes_waits(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    DeltaAppender(lake).append_rows("listening_events", [event(0)], LISTENING_EVENTS)
    monkeypatch.setattr(upkeep, "delete", overtaken)
    old = [a_list("ana", 1, "a", minutes=-1440 * 400)]
    DeltaAppender(lake).append_lists("recommendations", list_rows(old).recommendations, RECOMMENDATIONS)
    running = TableUpkeep(lake, 0)
    running.do_when_due(NOON)
    assert "upkeep waits" in capsys.readouterr().out
    monkeypatch.undo()
    running.do_when_due(NOON)
    assert lists(lake) == []


def overtaken(*_: Any) -> int:
    raise Overtaken("by another writer")
