"""Listeners who cannot be served, under load: everybody else is served meanwhile, and they are once that works again."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import pytest

from streaming.events import BadEvent, Event, encode, parse
from streaming.profile.documents import profile_from

sys.path.insert(0, str(Path(__file__).parent))
from harness import NOON, PATIENCE_S, TRACKS, Producer, World, made_events, make_world, rows  # noqa: E402

DAMAGED_PROFILES: dict[str, dict[str, Any]] = {
    "poisoned by columns": {"version": 9, "evidence": {"ids": "a\nb", "at": b"\0" * 8}},
    "poisoned by types": {"version": 9, "offsets": {"cluster/topic/0": 3}},
    "poisoned by a date": {"updated_at": bson.DatetimeMS(2**60), "events_applied": 2},
    "poisoned by size": {"moods": "m" * (16 * 1024 * 1024 - 800), "events_applied": 0},
}
ODD_TRACKS: dict[str, dict[str, Any]] = {
    f"{7:016x}": {"title": "x" * 600_000, "artist": "y" * 20_000},
    f"{8:016x}": {"title": ["a", "b"], "genre": ["Folk", "Metal"], "artist": 7},
    f"{9:016x}": {"title": {"en": "x"}, "genre": {"name": "Metal"}},
}
"""They poison nobody."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    try:
        yield made
    finally:
        made.stop()


def poisoned_events(number: int) -> list[tuple[bytes, bytes]]:
    """(key, value) of events of the poisoned listeners in turn, and of one who mutes what is no genre."""
    sent = []
    for at in range(number):
        user = [*DAMAGED_PROFILES, "who mutes"][at % (len(DAMAGED_PROFILES) + 1)]
        mutes = user == "who mutes" and at % 2
        track_id, action, target = (None, "mute", "genre:metal") if mutes else (f"{at % 12:016x}", "like", None)
        event = Event(user, track_id, action, NOON, f"poisoned-{at}", target=target)
        sent.append((user.encode(), encode(event)))
    return sent


def counted_by_user(sent: list[tuple[bytes, bytes]]) -> dict[str, int]:
    """How many events of each listener count: valid ones of known tracks, each once."""
    known_ids = {f"{at:016x}" for at in range(TRACKS)}
    ids_by_user: dict[str, set[str]] = defaultdict(set)
    for _, value in sent:
        try:
            event = parse(value, datetime.now(UTC))
        except BadEvent:
            continue
        if event.track_id is None or event.track_id in known_ids:
            ids_by_user[event.user_id].add(event.event_id)
    return {user: len(ids) for user, ids in ids_by_user.items()}


def wait_until_counted(world: World, wanted: dict[str, int]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        profiles = world.database.profiles.find({"_id": {"$in": sorted(wanted)}}, {"events_applied": 1})
        reached = {document["_id"]: document["events_applied"] for document in profiles}
        if reached == wanted:
            return
        assert time.monotonic() < deadline, f"{reached} for {wanted}\n{world.driver.tail(30)}"
        world.driver.require_running("serving")
        time.sleep(0.5)


@pytest.mark.timeout(900)
def test_poisoned_listeners_hold_up_nobody_and_lose_nothing(world: World) -> None:
    database = world.database
    database.profiles.insert_many([{"_id": user, **document} for user, document in DAMAGED_PROFILES.items()])
    for track_id, fields in ODD_TRACKS.items():
        database.tracks.update_one({"_id": track_id}, {"$set": fields})
    others, poisoned = made_events(450), poisoned_events(150)
    mixed = [each for at, event in enumerate(others) for each in (event, *poisoned[at // 3 : at // 3 + (at % 3 == 0)])]
    world.start_driver()
    world.wait_ready()
    producer = Producer(world, mixed, rate=40)
    producer.thread.start()
    producer.thread.join(600)
    assert producer.failed is None and producer.done == len(mixed)
    wanted = counted_by_user(mixed)
    assert wanted.keys() > DAMAGED_PROFILES.keys() and len(wanted) == 25 + len(DAMAGED_PROFILES) + 1
    wait_until_counted(world, {user: count for user, count in wanted.items() if user not in DAMAGED_PROFILES})

    deadline = time.monotonic() + PATIENCE_S
    while True:
        noted = {document["_id"]: document for document in database.set_aside.find()}
        if {user: each["events"] for user, each in noted.items()} == {user: wanted[user] for user in DAMAGED_PROFILES}:
            break
        assert time.monotonic() < deadline, noted
        time.sleep(0.5)
    assert all(each["reason"] for each in noted.values())
    assert "recommend: stopped" not in world.driver.tail(10_000), "no micro-batch has failed"

    database.profiles.delete_many({"_id": {"$in": sorted(DAMAGED_PROFILES)}})
    healed = [
        (user.encode(), encode(Event(user, f"{20:016x}", "like", NOON, f"healed {user}")))
        for user in DAMAGED_PROFILES
        if user != "poisoned by a date"  # healed without another event
    ]
    wanted |= counted_by_user([*mixed, *healed])
    producer = Producer(world, healed, rate=10)
    producer.thread.start()
    producer.thread.join(60)
    wait_until_counted(world, {user: wanted[user] for user in DAMAGED_PROFILES})
    while database.set_aside.count_documents({}):
        time.sleep(0.1)
    assert database.set_aside_events.count_documents({}) == 0
    for user in DAMAGED_PROFILES:
        profile = profile_from(database.profiles.find_one({"_id": user}))
        assert len(profile.verdicts) == 12 + (user != "poisoned by a date") and profile.events_applied == wanted[user]
        assert database.recommendations.find_one({"_id": user})["events_applied"] == wanted[user]

    deadline = time.monotonic() + PATIENCE_S
    while (
        landed := len([row for row in rows(world, "listening_events", "user_id") if row[0] in DAMAGED_PROFILES])
    ) < sum(wanted[user] for user in DAMAGED_PROFILES):
        assert time.monotonic() < deadline, f"{landed} events in the lake\n{world.driver.tail(30)}"
        time.sleep(0.5)
