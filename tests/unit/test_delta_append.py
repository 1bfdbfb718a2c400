"""Rows are appended to Delta tables once, however often they are sent and whatever was forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql.types import StructType

from conf.settings import Lake
from streaming.documents import mixes_document
from streaming.events import Event
from streaming.ledger import _event_columns, offset_ranges
from streaming.profile.profile import Profile
from streaming.schemas import LISTENING_EVENTS, MIXES, RECOMMENDATIONS
from streaming.serving.writes import message, mix_messages
from streaming.sink.delta_append import DeltaAppender
from streaming.sink.recommendation_rows import is_list, list_rows
from streaming.sink.skip_rate_table import update_skip_rates

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


def a_list(user: str, generation: int, *tracks: str) -> bytes:
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
            "generated_at": NOON,
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
    appender = DeltaAppender(lake, 0)
    assert appender.append_rows("listening_events", [event(0), event(1), event(0, partition=1)], LISTENING_EVENTS) == 3
    for again in (appender, DeltaAppender(lake, 0)):  # a replay by the same driver, and by one that starts anew
        assert again.append_rows("listening_events", [event(0), event(1), event(0, partition=1)], LISTENING_EVENTS) == 0
    assert DeltaAppender(lake, 0).append_rows("listening_events", [event(1), event(2)], LISTENING_EVENTS) == 1
    assert places(lake) == [("cluster/topic", 0, at) for at in (0, 1, 2)] + [("cluster/topic", 1, 0)]


def test_a_topic_that_was_made_anew_begins_anew(lake: Lake) -> None:
    appender = DeltaAppender(lake, 0)
    appender.append_rows("listening_events", [event(7)], LISTENING_EVENTS)
    assert appender.append_rows("listening_events", [event(0, topic_id="cluster/other")], LISTENING_EVENTS) == 1


def test_a_table_without_marks_tells_by_its_rows(lake: Lake) -> None:
    import pyarrow as pa
    from deltalake import write_deltalake
    from pyspark.sql.pandas.types import to_arrow_schema

    schema = to_arrow_schema(LISTENING_EVENTS, timezone="UTC")
    write_deltalake(lake.table("listening_events"), pa.Table.from_pylist([event(0), event(4)], schema=schema))
    assert DeltaAppender(lake, 0).append_rows("listening_events", [event(4), event(5)], LISTENING_EVENTS) == 1


def test_a_list_that_was_sent_twice_is_kept_once(lake: Lake) -> None:
    appender = DeltaAppender(lake, 0)
    first = list_rows([a_list("ana", 1, "a", "b"), a_list("ana", 1, "a", "b"), a_list("bo", 1, "c")]).recommendations
    assert appender.append_lists("recommendations", first, RECOMMENDATIONS) == 3
    later = list_rows([a_list("ana", 1, "x", "y"), a_list("ana", 2, "b", "a"), a_list("cy", 1, "c")]).recommendations
    assert DeltaAppender(lake, 0).append_lists("recommendations", later, RECOMMENDATIONS) == 3
    assert lists(lake) == [
        ("ana", 1, 1, "a"), ("ana", 1, 2, "b"), ("ana", 2, 1, "b"), ("ana", 2, 2, "a"), ("bo", 1, 1, "c"), ("cy", 1, 1, "c"),
    ]  # fmt: skip


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
    }
    assert [(row["list"], row["rank"], row["track_id"]) for row in rows.mixes.to_pylist()] == [
        ("mix-1", 1, "b"), ("mix-1", 2, "c"), ("discover", 1, "d"),
    ]  # fmt: skip


def test_a_named_list_that_was_sent_twice_is_kept_once(lake: Lake) -> None:
    first = [*named("ana", 0, mix_1="a b", discover="c"), *named("bo", 5, discover="d")]
    again, later = named("ana", 0, mix_1="x y", discover="c", rediscover="e"), named("ana", 1, mix_1="b")
    appended = [
        DeltaAppender(lake, 0).append_lists("mixes", list_rows(values).mixes, MIXES)
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
    assert DeltaAppender(lake, 0).append_lists("mixes", list_rows(first).mixes, MIXES) == 3, "the deleted ones"


def test_a_listener_whose_rows_were_deleted_may_begin_again(lake: Lake) -> None:
    appender = DeltaAppender(lake, 0)
    appender.append_rows("listening_events", [event(0)], LISTENING_EVENTS)
    both = list_rows([a_list("ana", 1, "a"), a_list("ana", 2, "b"), a_list("bo", 1, "c")]).recommendations
    appender.append_lists("recommendations", both, RECOMMENDATIONS)
    for name in ("recommendations", "listening_events"):
        DeltaTable(lake.table(name)).delete("user_id = 'ana'")
    again = list_rows([a_list("ana", 1, "x"), a_list("bo", 1, "c")]).recommendations
    assert appender.append_lists("recommendations", again, RECOMMENDATIONS) == 1
    assert DeltaAppender(lake, 0).append_lists("recommendations", again, RECOMMENDATIONS) == 0
    assert lists(lake) == [("ana", 1, 1, "x"), ("bo", 1, 1, "c")]
    assert DeltaAppender(lake, 0).append_rows("listening_events", [event(0), event(1)], LISTENING_EVENTS) == 1


def test_a_table_whose_text_a_deletion_has_rewritten_tells_by_its_rows(lake: Lake) -> None:
    import pyarrow as pa
    from deltalake import write_deltalake
    from pyspark.sql.pandas.types import to_arrow_schema

    schema = to_arrow_schema(LISTENING_EVENTS, timezone="UTC")
    write_deltalake(lake.table("listening_events"), pa.Table.from_pylist([event(0), event(4)], schema=schema))
    DeltaTable(lake.table("listening_events")).delete("offset = 0")
    assert DeltaAppender(lake, 0).append_rows("listening_events", [event(4), event(5)], LISTENING_EVENTS) == 1


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
    appender = DeltaAppender(lake, 1e-9)
    for offset in range(12):
        appender.append_rows("listening_events", [event(offset)], LISTENING_EVENTS)
    assert len(DeltaTable(lake.table("listening_events")).file_uris()) == 12
    appender.compact_when_due()
    assert len(DeltaTable(lake.table("listening_events")).file_uris()) == 1
    assert appender.append_rows("listening_events", [event(11)], LISTENING_EVENTS) == 0
    assert DeltaAppender(lake, 0).append_rows("listening_events", [event(11), event(12)], LISTENING_EVENTS) == 1
    assert len(places(lake)) == 13


def test_a_table_that_had_no_tracks_is_widened(lake: Lake) -> None:
    import pyarrow as pa
    from deltalake import write_deltalake
    from pyspark.sql.pandas.types import to_arrow_schema

    older = to_arrow_schema(StructType([field for field in LISTENING_EVENTS if field.name != "tracks"]), timezone="UTC")
    write_deltalake(lake.table("listening_events"), pa.Table.from_pylist([event(0), event(1)], schema=older))
    appender = DeltaAppender(lake, 1e-9)
    assert appender.append_rows("listening_events", [event(1), shown(2, "a", "b")], LISTENING_EVENTS) == 1
    appender.compact_when_due()
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
    appender = DeltaAppender(lake, 1e-9)
    for offset, (user_id, days) in enumerate([("ana", 0), ("bo", 0), ("cy", 1)]):
        skip = {**event(offset), "user_id": user_id, "action": "skip"}
        appender.append_rows("listening_events", [skip], LISTENING_EVENTS)
        assert update_skip_rates(lake, NOON + timedelta(days=days))
    before = DeltaTable(lake.table("skip_rates"))
    appender.compact_when_due()
    after = DeltaTable(lake.table("skip_rates"))
    assert (after.version(), after.to_pyarrow_table()) == (before.version(), before.to_pyarrow_table())
