"""Each event once, and decided alike by both lanes: what the fast lane counted or refused is what the ledger keeps."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from batch import registry
from local.services import KafkaServer, MongoServer
from streaming.admission import rules
from streaming.documents import DELETIONS, SET_ASIDE_EVENTS, deletion_fields
from streaming.events import Event, encode
from streaming.ledger import admit
from streaming.profile.documents import profile_from
from streaming.profile.profile import LASTING
from streaming.profile.skip_rates import latest_version
from streaming.serving.context import ServingContext
from streaming.serving.microbatch import RawValue, serve
from streaming.serving.set_aside import remove_deleted
from streaming.serving.writes import ConcurrentWrite, replace_documents
from streaming.sink.delta_append import DeltaAppender
from streaming.source import topics
from ui.data.library import Library
from ui.recommendations import current_list

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from harness import World, make_world  # noqa: E402

SOURCE = "cluster/topic"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, killable_servers: tuple[MongoServer, KafkaServer]) -> World:
    made = make_world(tmp_path_factory.mktemp("once"), killable_servers)
    rules.create_indexes(made.database, None)
    return made


def serving(world: World) -> ServingContext:
    chosen = world.settings
    model = registry.latest(chosen.models.root)
    return ServingContext(
        chosen.mongo, chosen.kafka, chosen.taste, 30, SOURCE, model.version, model.index_place, model.index_state
    )  # fmt: skip


def track(at: int) -> str:
    return f"{at:016x}"


def raw(offset: int, user: str, track_id: str | None, action: str = "play", **more: Any) -> RawValue:
    now = datetime.now(UTC)
    event = Event(user, track_id, action, more.pop("occurred_at", now), **more)
    return RawValue(encode(event), 0, offset, int(now.timestamp() * 1000))


def landed(rows: list[RawValue], world: World) -> tuple[list[int], list[tuple[int, str]]]:
    """What the ledger would make of the rows: (offsets of good ones, offsets and reasons of refused ones)."""
    told = [
        {
            "topic": "t",
            "partition": row.partition,
            "offset": row.offset,
            "received_ms": row.received_ms,
            "value": row.value,
            "bytes": len(row.value or b""),
            "sha256": None,
        }
        for row in rows
    ]
    good, bad = admit(told, world.settings.mongo, SOURCE)
    return [row["offset"] for row in good], [(row["offset"], row["reason"]) for row in bad]


def test_a_track_that_comes_after_its_event_does_not_make_the_lanes_disagree(world: World) -> None:
    rows = [raw(0, "ana", "late-track"), raw(1, "ana", track(3))]
    assert serve(rows, serving(world)).applied == 1
    world.database.tracks.insert_one({"_id": "late-track", "title": "Late"})
    assert landed(rows, world) == ([1], [(0, "unknown track 'late-track'")])


def test_a_track_that_goes_after_its_event_does_not_either(world: World) -> None:
    world.database.tracks.insert_one({"_id": "short-lived", "title": "Short"})
    rows = [raw(2, "bo", "short-lived")]
    assert serve(rows, serving(world)).applied == 1
    world.database.tracks.delete_one({"_id": "short-lived"})
    assert landed(rows, world) == ([2], [])


def test_an_attempt_that_was_given_up_writes_nothing_late(world: World) -> None:
    serve([raw(3, "cy", track(1), "like")], serving(world))
    read = world.database.profiles.find_one({"_id": "cy"})
    serve([raw(4, "cy", track(2), "like")], serving(world))
    with pytest.raises(ConcurrentWrite):
        replace_documents([(read, read | {"generation": 2})], world.database.profiles)
    with pytest.raises(ConcurrentWrite):
        replace_documents([({}, read)], world.database.profiles)  # it took the listener for a new one
    now = world.database.profiles.find_one({"_id": "cy"})
    assert (now["events_applied"], now["generation"]) == (2, 2)


def test_a_list_that_went_while_it_was_made_is_made_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from streaming.serving import microbatch

    serve([raw(5, "di", track(1), "like")], serving(world))
    write = microbatch._write
    times = []

    def interrupted(*given: Any) -> None:
        times.append(len(given[0]))
        if len(times) == 1:  # somebody deletes the listener in between
            world.database.profiles.delete_one({"_id": "di"})
            world.database.recommendations.delete_one({"_id": "di"})
        write(*given)

    monkeypatch.setattr(microbatch, "_write", interrupted)
    assert serve([raw(6, "di", track(2))], serving(world)).applied == 1
    assert len(times) == 2
    assert world.database.profiles.find_one({"_id": "di"})["events_applied"] == 1


def test_what_came_before_a_deletion_counts_no_more_and_what_comes_later_does(world: World) -> None:
    before = raw(7, "ed", track(1), "like")
    serve([before], serving(world))
    for name in ("profiles", "recommendations"):
        world.database[name].delete_one({"_id": "ed"})
    world.database[DELETIONS].insert_one({"_id": "ed", "deleted_at": datetime.now(UTC) + timedelta(seconds=1)})
    after = RawValue(
        raw(8, "ed", track(2)).value, 0, 8, int((datetime.now(UTC) + timedelta(seconds=5)).timestamp() * 1000)
    )
    outcome = serve([before, after], serving(world))
    assert outcome.applied == 1
    profile = profile_from(world.database.profiles.find_one({"_id": "ed"}))
    assert profile.heard.ids == (track(2),) and not profile.verdicts.ids
    assert landed([before, after], world) == ([8], [])


@pytest.mark.parametrize("ahead", [timedelta(minutes=-10), timedelta(minutes=10)], ids=["behind", "ahead"])
def test_a_deletion_holds_whatever_the_players_clock_says(world: World, ahead: timedelta) -> None:
    """Both lanes, and the events that wait, go by where the topic ended."""
    user, first = f"flo {ahead}", 100 if ahead > timedelta(0) else 200
    before, after = raw(first, user, track(1), "like"), raw(first + 1, user, track(2))
    malformed = [
        RawValue(json.dumps({"user_id": user}).encode(), 0, each.offset, each.received_ms) for each in (before, after)
    ]
    set_aside = {"user_id": user, "source": SOURCE, "value": ""}
    waiting = [
        set_aside | {"partition": 0, "offset": each.offset, "received_ms": each.received_ms} for each in (before, after)
    ]
    world.database[SET_ASIDE_EVENTS].insert_many(waiting)
    deletion = deletion_fields(datetime.now(UTC) + ahead, {f"{SOURCE}/0": first + 1})
    world.database[DELETIONS].insert_one({"_id": user, **deletion})
    remove_deleted([user], world.database)
    assert [each["offset"] for each in world.database[SET_ASIDE_EVENTS].find({"user_id": user})] == [first + 1]
    world.database[SET_ASIDE_EVENTS].delete_many({"user_id": user})
    assert serve([before, after], serving(world)).applied == 1
    profile = profile_from(world.database.profiles.find_one({"_id": user}))
    assert profile.heard.ids == (track(2),) and not profile.verdicts.ids
    assert landed([before, after], world) == ([first + 1], [])
    assert [offset for offset, _ in landed(malformed, world)[1]] == [first + 1]


def test_named_lists_are_made_when_due_and_sent_again_after_a_crash(world: World) -> None:
    context = replace(serving(world), mixes_hours=6.0)
    likes = [raw(20 + at, "gus", track(at), "like") for at in range(4)]
    serve(likes, context)
    profile, made = (world.database[name].find_one({"_id": "gus"}) for name in ("profiles", "mixes"))
    assert made["generated_at"].timestamp() == pytest.approx(profile["mixes_at"], abs=0.001)
    assert made["events_applied"] == 1 and profile["events_applied"] == 4, "the first one made them due"
    serve([raw(24, "gus", None, "visit")], context)
    visited = world.database.mixes.find_one({"_id": "gus"})
    names = [each["name"] for each in visited["lists"]]
    assert visited["events_applied"] == 5 and names[0] == "mix-1" and "discover" in names
    assert visited["week"] and [item["track_id"] for item in visited["lists"][-1]["items"]] == visited["discovered"]
    world.database.profiles.replace_one({"_id": "gus"}, profile)  # as if the driver had died before it wrote this one
    world.database.mixes.update_one({"_id": "gus"}, {"$set": {"model_version": "older"}})
    visit = raw(24, "gus", None, "visit", occurred_at=datetime.fromtimestamp(profile["latest_at"] + 0.5, UTC))
    serve([visit], context)
    assert world.database.mixes.find_one({"_id": "gus"})["model_version"] == "older", "the one that was written is kept"


def test_what_was_shown_makes_no_list_and_a_visit_makes_one(world: World) -> None:
    serve([raw(600, "hal", track(1), "like")], serving(world))
    first = world.database.recommendations.find_one({"_id": "hal"})
    shown_ids = tuple(item["track_id"] for item in first["items"][:5])
    outcome = serve([raw(601, "hal", None, "shown", tracks=shown_ids)], serving(world))
    assert (outcome.applied, outcome.lists) == (1, 0)
    assert world.database.recommendations.find_one({"_id": "hal"}) == first
    profile = profile_from(world.database.profiles.find_one({"_id": "hal"}))
    assert (profile.shown.ids, profile.events_applied, profile.generation) == (shown_ids, 2, 1)
    assert serve([raw(602, "hal", None, "visit")], serving(world)).lists == 1
    renewed = world.database.recommendations.find_one({"_id": "hal"})
    assert (renewed["generation"], renewed["events_applied"]) == (2, 3)
    assert renewed["generated_at"] > first["generated_at"]


def test_a_visit_takes_up_what_was_muted_and_removed_since(world: World) -> None:
    serve([raw(610, "ivy", track(1), "like")], serving(world))
    before = [item["track_id"] for item in world.database.recommendations.find_one({"_id": "ivy"})["items"]]
    world.database.tracks.update_one({"_id": before[0]}, {"$set": {"artist": "Just Renamed"}})
    serve([raw(611, "ivy", None, "mute", target="artist:just renamed")], serving(world))
    serve([raw(612, "ivy", None, "mute", target="artist:Just Renamed")], serving(world))
    assert serve([raw(613, "ivy", None, "visit")], serving(world)).lists == 1
    after = [item["track_id"] for item in world.database.recommendations.find_one({"_id": "ivy"})["items"]]
    assert before[0] not in after and after


def test_an_event_from_tomorrow_counts_as_of_its_arrival(world: World) -> None:
    tomorrow = datetime.now(UTC) + timedelta(hours=23)
    serve([raw(9, "flo", track(1), occurred_at=tomorrow)], serving(world))
    assert world.database.profiles.find_one({"_id": "flo"})["latest_at"] <= datetime.now(UTC).timestamp()


@pytest.mark.parametrize("after_the_crash", ["known", "unknown"])
def test_a_crash_between_the_tables_decides_nothing_anew(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after_the_crash: str
) -> None:
    import pyarrow as pa

    from streaming import ledger

    lake = world.settings.lake.model_copy(update={"root": str(tmp_path / "lake")})
    name = f"turns-{after_the_crash}"
    values = [raw(100, "gil", track(1)), raw(101, "gil", name), raw(102, "gil", track(2))]
    if after_the_crash == "unknown":
        world.database.tracks.insert_one({"_id": name, "title": "Goes"})
        values.append(raw(103, "gil", "never-there"))
    rows = pa.Table.from_pylist(
        [
            {"topic": "t", "partition": 0, "offset": one.offset, "received_ms": one.received_ms, "value": one.value,
             "bytes": len(one.value or b""), "sha256": None}
            for one in values
        ],
        schema=pa.schema({"topic": pa.string(), "partition": pa.int32(), "offset": pa.int64(), "received_ms": pa.int64(),
                          "value": pa.binary(), "bytes": pa.int64(), "sha256": pa.string()}),
    )  # fmt: skip
    land = DeltaAppender.append_rows

    def killed(self: DeltaAppender, table: str, *given: Any) -> int:
        if table == ledger.VALID_TABLE:
            raise KeyboardInterrupt
        return land(self, table, *given)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(DeltaAppender, "append_rows", killed)
        ledger.write_events(rows, DeltaAppender(lake), world.settings.mongo, SOURCE)
    if after_the_crash == "known":
        world.database.tracks.insert_one({"_id": name, "title": "Came"})
    else:
        world.database.tracks.delete_one({"_id": name})
    for _ in range(2):  # the batch is taken again, and once more with a lost checkpoint
        ledger.write_events(rows, DeltaAppender(lake), world.settings.mongo, SOURCE)
    good, bad = (
        sorted(DeltaTable(lake.table(table)).to_pyarrow_table(columns=["offset"])["offset"].to_pylist())
        for table in (ledger.VALID_TABLE, ledger.REJECTED_TABLE)
    )
    assert (good, bad) == (([100, 102], [101]) if after_the_crash == "known" else ([100, 101, 102], [103]))


NAMES = ["🎧", "👩‍👩‍👧‍👦", "Zo\u00eb", "Zoe\u0308", "زياد", "O'Brien", "a.b$c", "$set", "Ana", "ANA", "../../etc"]
NAMES += ["a/b?c#d%20", "<b>ana</b>", "=1+1", "null", "NaN", "0"]
NAMES += ["x' OR '1'='1", "ana ", "\u200b", "\u202eana", "a\u2028b", "😀" * 128]


def test_listeners_of_any_name_have_a_list_of_their_own(world: World) -> None:
    rows = [raw(200 + at, name, track(at), "like") for at, name in enumerate(NAMES)]
    outcome = serve(rows, serving(world))
    assert (outcome.applied, outcome.lists, outcome.refused) == (len(NAMES), len(NAMES), 0)
    assert landed(rows, world) == ([row.offset for row in rows], [])
    library = Library(world.database)
    for at, name in enumerate(NAMES):
        profile = profile_from(world.database.profiles.find_one({"_id": name}) or {"_id": "nobody"})
        assert (profile.user_id, profile.events_applied, profile.verdict(track(at))) == (name, 1, "like")
        shown = current_list(library, name)
        assert shown.user_id == name and shown.is_personal and shown.items


@pytest.mark.parametrize("track_id", ["0" * 15 + "x", f" {1:016x}", f"{0xAB:016X}", "*", "' OR 1=1 --"])
def test_an_event_of_a_track_that_is_gone_or_never_was_holds_up_nobody(world: World, track_id: str) -> None:
    offset = world.database.refusals.count_documents({}) * 2 + 300
    user = f"queue {track_id}"
    rows = [raw(offset, user, track_id, "complete"), raw(offset + 1, user, track(2), "complete")]
    outcome = serve(rows, serving(world))
    assert (outcome.applied, outcome.refused) == (1, 1)
    assert profile_from(world.database.profiles.find_one({"_id": user})).heard.ids == (track(2),)
    assert landed(rows, world) == ([offset + 1], [(offset, f"unknown track {track_id!r}")])


def test_values_that_are_no_events_are_refused_by_both_lanes_and_hold_up_nobody(world: World) -> None:
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    good = raw(503, "win", track(4))
    values = [b"\xef\xbb\xbf" + (good.value or b""), b"", b"null"]
    rows = [*[RawValue(each, 0, 500 + at, now_ms) for at, each in enumerate(values)], good]
    outcome = serve(rows, serving(world))
    assert (outcome.applied, outcome.refused) == (1, 3)
    good_offsets, refused = landed(rows, world)
    assert good_offsets == [503] and [offset for offset, _ in refused] == [500, 501, 502]
    assert "BOM" in refused[0][1] and all(reason for _, reason in refused)


def test_one_event_id_counts_for_each_of_two_listeners(world: World) -> None:
    rows = [raw(520 + at, user, track(1), "like", event_id="shared") for at, user in enumerate(["re", "re", "other"])]
    assert serve(rows, serving(world)).applied == 2
    profiles = world.database.profiles.find({"_id": {"$in": ["re", "other"]}})
    assert {each["_id"]: each["events_applied"] for each in profiles} == {"re": 1, "other": 1}


def test_a_topic_with_the_producers_times_is_reported(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    from kafka import KafkaAdminClient
    from kafka.admin import NewTopic

    kafka = world.settings.kafka
    topics.report_producer_clocks(kafka)
    assert capsys.readouterr().out == "", "our own topics have the broker's times"
    other = kafka.model_copy(update={"listening_topic": f"{kafka.listening_topic}-other"})
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    admin.create_topics([NewTopic(other.listening_topic, 1, 1)])
    admin.wait_for_topics([other.listening_topic])
    admin.close()
    topics.report_producer_clocks(other)
    assert "message.timestamp.type is CreateTime" in capsys.readouterr().out


def test_the_fast_lane_takes_up_skip_rates(world: World) -> None:
    """A skip of a track that sixty listeners of sixty finish, and one that all skip (`harness.freeze_skip_rates`)."""
    rates = latest_version(world.settings.lake)
    context = replace(serving(world), skip_rates=rates)
    finished, skipped = track(7), track(6)
    serve([raw(900, "mo", finished, "skip"), raw(901, "mo", skipped, "skip")], context)
    profile = profile_from(world.database.profiles.find_one({"_id": "mo"}))
    weights = dict(zip(profile.evidence.ids, profile.evidence.column(LASTING).tolist(), strict=True))
    assert weights[finished] < -0.3 < weights[skipped] < 0
