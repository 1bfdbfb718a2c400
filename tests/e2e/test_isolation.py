"""One listener's trouble is nobody else's: set aside with the reason and the events, which count as soon as that works."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import pytest
from pymongo.errors import AutoReconnect

from batch import registry
from batch.mongo import NEW_LISTENERS
from local.services import KafkaServer, MongoServer
from streaming.events import Event, encode
from streaming.ledger import admit
from streaming.profile.documents import profile_from
from streaming.serving import clients, microbatch, set_aside
from streaming.serving.context import ServingContext
from streaming.serving.microbatch import serve, try_again
from streaming.serving.values import Outcome, RawValue

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from harness import World, make_world  # noqa: E402

SOURCE = "cluster/topic"
HUGE_TITLE = "x" * 600_000
DAMAGED_PROFILES: dict[str, dict[str, Any]] = {
    "columns of a later version": {"version": 8, "evidence": {"ids": "a\nb", "at": b"\0" * 8}},
    "other types": {"version": 9, "offsets": {"cluster/topic/0": 3}, "events_applied": "many"},
    "a date beyond the year 9999": {"updated_at": bson.DatetimeMS(2**60), "events_applied": 2},
    "as large as a document can be": {"moods": "m" * (16 * 1024 * 1024 - 800), "events_applied": 0},
    "numbers beyond 64 bits": {"version": 2, "events_applied": 2**63 - 1},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, killable_servers: tuple[MongoServer, KafkaServer]) -> World:
    made = make_world(tmp_path_factory.mktemp("isolation"), killable_servers)
    set_aside.create_indexes(made.database)
    return made


@pytest.fixture
def context(world: World) -> ServingContext:
    chosen = world.settings
    model = registry.latest(chosen.models.root)
    return ServingContext(
        chosen.mongo,
        chosen.kafka,
        chosen.taste,
        30,
        SOURCE,
        model.version,
        model.index_place,
        model.index_state,
        mixes_hours=6.0,
    )


class Sender:
    """Makes values at increasing offsets."""

    def __init__(self) -> None:
        self.offset = -1

    def value(self, user: str, track_id: str | None, action: str = "like", target: str | None = None) -> RawValue:
        self.offset += 1
        now = datetime.now(UTC)
        event = Event(user, track_id, action, now, target=target)
        return RawValue(encode(event), 0, self.offset, int(now.timestamp() * 1000))


@pytest.fixture(scope="module")
def sender() -> Sender:
    return Sender()


def track(at: int) -> str:
    return f"{at:016x}"


def applied(world: World, user: str) -> int:
    return int((world.database.recommendations.find_one({"_id": user}) or {}).get("events_applied", 0))


@pytest.mark.parametrize("damage", DAMAGED_PROFILES)
def test_a_profile_that_cannot_be_used_concerns_its_listener_alone(
    world: World, context: ServingContext, sender: Sender, damage: str
) -> None:
    database, user = world.database, f"poisoned by {damage}"
    others = [f"{damage} {number}" for number in range(5)]
    database.profiles.insert_one({"_id": user, **DAMAGED_PROFILES[damage]})
    values = [sender.value(each, track(number)) for number, each in enumerate([*others, user])]
    outcome = serve(values, context)
    assert (outcome.events, outcome.set_aside) == (6, 1)
    assert [applied(world, each) for each in others] == [1] * 5
    profiles = database.profiles.find({"_id": {"$in": others}}, {"events_applied": 1})
    assert [profile["events_applied"] for profile in profiles] == [1] * 5
    noted = database.set_aside.find_one({"_id": user})
    assert noted["reason"] and noted["events"] == 1 and noted["attempts"] == 1
    assert noted["offsets"] == [{"source": f"{SOURCE}/0", "offset": values[-1].offset}]
    # Another event while it lasts: tried again, and kept as well. The others are not held up, nor served by halves.
    more = [sender.value(user, track(7), "play"), sender.value(others[0], track(8))]
    outcome = serve(more, context)
    assert (outcome.applied, outcome.lists, outcome.set_aside) == (1, 1, 0) and applied(world, others[0]) == 2
    noted = database.set_aside.find_one({"_id": user})
    assert (noted["events"], noted["attempts"]) == (2, 2)
    database.profiles.delete_one({"_id": user})  # as if an operator had put right what was wrong
    outcome = serve([sender.value(user, track(9), "skip")], context)
    assert (outcome.applied, outcome.lists, applied(world, user)) == (3, 1, 3)
    profile = profile_from(database.profiles.find_one({"_id": user}))
    assert set(profile.heard.ids) == {track(7), track(9)} and len(profile.verdicts) == 1
    assert database.set_aside.find_one({"_id": user}) is None and not list(
        database.set_aside_events.find({"user_id": user})
    )
    assert serve(values + more, context).applied == 0, "each event counts once"


def test_who_is_set_aside_is_tried_again_without_an_event_too(
    world: World, context: ServingContext, sender: Sender
) -> None:
    world.database.profiles.insert_one({"_id": "ida", "offsets": 7})
    assert serve([sender.value("ida", track(1)), sender.value("ida", track(2))], context).set_aside == 1
    assert try_again(context, 0.0) == Outcome() and applied(world, "ida") == 0
    world.database.profiles.delete_one({"_id": "ida"})
    assert try_again(context, 600.0) == Outcome(), "not so soon"
    assert (try_again(context, 0.0).applied, applied(world, "ida")) == (2, 2)
    assert world.database.set_aside.find_one({"_id": "ida"}) is None


def test_many_waiting_events_are_counted_in_their_order(
    world: World, context: ServingContext, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(set_aside, "EVENTS_AT_A_TIME", 7)
    monkeypatch.setattr(set_aside, "MOST_WAITING_EVENTS", 40)
    world.database.profiles.insert_one({"_id": "jo", "offsets": 7})
    values = [sender.value("jo", track(number), ("like", "dislike")[number % 2]) for number in range(45)]
    for start in range(0, 45, 9):
        serve(values[start : start + 9], context)
    noted = world.database.set_aside.find_one({"_id": "jo"})
    assert (noted["events"], noted["events_not_kept"]) == (40, 5), "the lake has them"
    world.database.profiles.delete_one({"_id": "jo"})
    assert try_again(context, 0.0).applied == 40
    profile = profile_from(world.database.profiles.find_one({"_id": "jo"}))
    assert profile.offsets == {f"{SOURCE}/0": values[39].offset} and len(profile.disliked) == 20


def test_titles_genres_and_artists_of_any_kind_hold_up_nobody(
    world: World, context: ServingContext, sender: Sender
) -> None:
    """Two titles of 600 kB would make a list larger than Kafka takes; arrays and numbers are no names."""
    odd: list[tuple[str, dict[str, Any]]] = [
        (track(30), {"title": HUGE_TITLE, "artist": "y" * 20_000}),
        (track(31), {"title": HUGE_TITLE}),
        (track(32), {"title": ["a", "b"], "genre": ["Folk", "Metal"], "artist": 7}),
        (track(33), {"title": {"en": "x"}, "genre": {"name": "Metal"}, "artist": ["A", "B"]}),
    ]
    for track_id, fields in odd:
        world.database.tracks.update_one({"_id": track_id}, {"$set": fields})
    values = [sender.value("kim", track_id) for track_id, _ in odd]
    values += [sender.value("kim", None, "mute", target) for target in ("genre:metal", "genre:Folk", "artist:A")]
    values += [sender.value("lea", track(2)), sender.value("kim", None, "visit")]
    outcome = serve(values, context)
    assert (outcome.applied, outcome.set_aside) == (9, 0)
    titles = {each["track_id"]: each["title"] for each in world.database.profiles.find_one({"_id": "kim"})["titles"]}
    assert titles == {track(30): "x" * 200, track(31): "x" * 200}
    listed = {item["track_id"] for item in world.database.recommendations.find_one({"_id": "kim"})["items"]}
    assert track(32) not in listed and track(33) not in listed


def test_tracks_that_mongodb_lacks_take_no_places(
    world: World, context: ServingContext, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "READING_SHARE", 0.0)  # at once, however long it took before
    likes = [sender.value("rae", track(number)) for number in range(6)]
    assert serve(likes, context).lists == 1
    tracks, lists = world.database.tracks, world.database.recommendations
    listed = [item["track_id"] for item in lists.find_one({"_id": "rae"})["items"]]
    gone = list(tracks.find({"_id": {"$in": [*listed[:12], track(0)]}}))
    tracks.delete_many({"_id": {"$in": [each["_id"] for each in gone]}})
    try:
        serve([sender.value("rae", None, "visit")], context)
        items = lists.find_one({"_id": "rae"})["items"]
        assert len(items) == 30 and not {item["track_id"] for item in items} & {each["_id"] for each in gone}
        named = [item for each in world.database.mixes.find_one({"_id": "rae"})["lists"] for item in each["items"]]
        assert named and not {item["track_id"] for item in named} & {each["_id"] for each in gone}
    finally:
        tracks.insert_many(gone)
    serve([sender.value("rae", None, "visit")], context)
    items = lists.find_one({"_id": "rae"})["items"]
    assert len({item["track_id"] for item in items} & {each["_id"] for each in gone}) > 6, "they are back"


def test_a_list_for_new_listeners_that_cannot_be_read_holds_up_nobody(
    world: World, context: ServingContext, sender: Sender, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = world.database.recommendations.find_one({"_id": NEW_LISTENERS})
    world.database.recommendations.update_one({"_id": NEW_LISTENERS}, {"$set": {"items": {"track_id": 7}}})
    try:
        assert serve([sender.value("mia", track(3))], context).lists == 1
    finally:
        world.database.recommendations.replace_one({"_id": NEW_LISTENERS}, whole)
    assert "the list for new listeners cannot be read" in capsys.readouterr().out


def test_what_concerns_everybody_fails_the_micro_batch(
    world: World, context: ServingContext, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = [sender.value("ned", track(3)), sender.value("oda", track(4))]

    def away(*_: Any) -> None:
        raise AutoReconnect("connection closed")

    with monkeypatch.context() as patch, pytest.raises(AutoReconnect):
        patch.setattr(microbatch, "replace_documents", away)
        serve(values, context)
    assert world.database.set_aside.count_documents({"_id": {"$in": ["ned", "oda"]}}) == 0
    assert serve(values, context).applied == 2


def test_the_durable_lane_reads_past_a_damaged_profile(world: World, sender: Sender) -> None:
    world.database.profiles.insert_one({"_id": "pat", "event_ids": "no bytes", "updated_at": bson.DatetimeMS(2**60)})
    values = [sender.value("pat", "never-there"), sender.value("pat", track(1)), sender.value("qi", "never-there")]
    rows = [
        {"topic": "t", "partition": 0, "offset": each.offset, "received_ms": each.received_ms, "value": each.value,
         "bytes": len(each.value or b""), "sha256": None}
        for each in values
    ]  # fmt: skip
    valid, rejected = admit(rows, world.settings.mongo, SOURCE)
    assert [row["offset"] for row in valid] == [values[1].offset]
    assert [row["reason"] for row in rejected] == ["unknown track 'never-there'"] * 2
