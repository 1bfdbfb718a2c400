"""A replay with the model and settings of the time makes the lists that the stream made."""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from batch import registry
from batch.mongo import NEW_LISTENERS
from local.services import KafkaServer, MongoServer
from streaming import ledger
from streaming.admission import rules
from streaming.profile.documents import profile_from
from streaming.profile.skip_rates import PastFactors
from streaming.replay import profile_after, replayed_list
from streaming.serving.context import ServingContext
from streaming.serving.microbatch import serve
from streaming.serving.values import RawValue

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from harness import World, made_events, make_world  # noqa: E402

SOURCE = "cluster/topic"
NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, killable_servers: tuple[MongoServer, KafkaServer]) -> World:
    made = make_world(tmp_path_factory.mktemp("replay"), killable_servers)
    rules.create_indexes(made.database, None)
    return made


@pytest.mark.parametrize("clock", ["of the broker", "of the producers"])
def test_a_replay_makes_the_lists_that_the_stream_made(world: World, clock: str) -> None:
    """Of events late, sent twice and invalid, in micro-batches of any size."""
    chosen, model = world.settings, registry.latest(world.settings.models.root)
    source = f"{SOURCE} {clock}"
    context = ServingContext(
        chosen.mongo, chosen.kafka, chosen.taste, 30, source, model.version, model.index_place, model.index_state
    )  # fmt: skip
    database = world.database
    for collection in (database.profiles, database.recommendations):
        collection.delete_many({"_id": {"$ne": NEW_LISTENERS}})
    draw = random.Random(5)
    values = []
    for offset, (_, value) in enumerate(made_events(400, users=6, apart_s=300.0)):
        drift = timedelta(seconds=0 if clock == "of the broker" else draw.randrange(-7200, 7200))
        arrived_at = NOON + timedelta(seconds=300 * offset) + drift
        values.append(RawValue(value, 0, offset, int(arrived_at.timestamp() * 1000)))
    rest = list(values)
    while rest:
        size = draw.choice([1, 2, 7, 40])
        serve(rest[:size], context)
        del rest[:size]

    rows = pd.DataFrame(stored_events(values, world, source))
    users = {document["_id"] for document in database.profiles.find({}, {"_id": 1})}
    assert set(rows["user_id"]) == users and len(users) == 6
    for user in sorted(users):
        events_of_user = rows[rows["user_id"] == user].sample(frac=1, random_state=1)
        replayed = profile_after(events_of_user, context, PastFactors([]))
        counted = profile_from(database.profiles.find_one({"_id": user}))
        assert replayed.events_applied == counted.events_applied and replayed.offsets == counted.offsets
        assert replayed.recent_events == counted.recent_events, "in the same order"
        then = [item["track_id"] for item in database.recommendations.find_one({"_id": user})["items"]]
        assert replayed_list(events_of_user, context, PastFactors([]))["track_id"].tolist() == then


def stored_events(values: list[RawValue], world: World, source: str) -> list[dict[str, Any]]:
    """LISTENING_EVENTS, as Spark hands them over: times without a zone."""
    rows = [
        {
            "topic": "listens",
            "partition": value.partition,
            "offset": value.offset,
            "received_ms": value.received_ms,
            "value": value.value,
            "bytes": len(value.value or b""),
            "sha256": None,
        }
        for value in values
    ]
    valid, _ = ledger.admit(rows, world.settings.mongo, source)
    times = ("occurred_at", "received_at")
    return [row | {name: pd.Timestamp(row[name]).tz_convert(None) for name in times} for row in valid]
