"""A micro-batch asks MongoDB no more questions of many listeners than of few, whatever these have muted or deleted."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo import monitoring

from batch import registry
from batch.mongo import connection
from local.services import KafkaServer, MongoServer
from streaming.documents import DELETIONS, deletion_fields
from streaming.events import Event, encode
from streaming.serving import clients, microbatch, mutings, set_aside
from streaming.serving.context import ServingContext
from streaming.serving.microbatch import serve
from streaming.serving.values import RawValue

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from harness import World, make_world  # noqa: E402

FEW, MANY = 3, 60


class Commands(monitoring.CommandListener):
    """The commands that MongoDB was sent, by name and collection, without those for the next page of an answer."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name != "getMore":
            self.counts[f"{event.command_name} {event.command.get(event.command_name)}"] += 1

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, killable_servers: tuple[MongoServer, KafkaServer]) -> World:
    made = make_world(tmp_path_factory.mktemp("trips"), killable_servers)
    set_aside.create_indexes(made.database)
    return made


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Iterator[Commands]:
    listener = Commands()

    def counted_connection(*mongo: Any, **options: Any) -> Any:
        return connection(*mongo, event_listeners=[listener], **options)

    monkeypatch.setattr(clients, "connection", counted_connection)
    clients._client.cache_clear()
    yield listener
    clients._client.cache_clear()


@pytest.fixture
def counted(world: World, commands: Commands) -> Callable[[list[RawValue]], tuple[Counter[str], Any]]:
    """Serves values, with nothing looked up before; the commands that it took, and the outcome."""
    chosen, model = world.settings, registry.latest(world.settings.models.root)
    context = ServingContext(
        chosen.mongo, chosen.kafka, chosen.taste, 30, "cluster/topic", model.version, model.index_place,
        model.index_state, mixes_hours=6.0,
    )  # fmt: skip

    def serve_counted(values: list[RawValue]) -> tuple[Counter[str], Any]:
        mutings._muted_tracks.cache_clear()
        commands.counts.clear()
        outcome = serve(values, context)
        return Counter(commands.counts), outcome

    serve_counted([value(0, "first", action="visit")])  # the index is open then
    return serve_counted


def value(
    offset: int, user: str, number: int | None = None, action: str = "like", target: str | None = None
) -> RawValue:
    now = datetime.now(UTC)
    event = Event(user, None if number is None else f"{number:016x}", action, now, target=target)
    return RawValue(encode(event), 0, offset, int(now.timestamp() * 1000))


def test_of_new_and_known_listeners_with_mutings_and_deletions(
    world: World, counted: Callable[[list[RawValue]], tuple[Counter[str], Any]]
) -> None:
    offset = 0
    counts: dict[int, list[Counter[str]]] = {}
    for listeners in (FEW, MANY):
        users = [f"{number} of {listeners}" for number in range(listeners)]
        world.database[DELETIONS].insert_many(
            {"_id": user} | deletion_fields(datetime.now(UTC) - timedelta(days=1)) for user in users
        )
        counts[listeners] = []
        for _ in range(2):  # new, then known
            values = []
            for number, user in enumerate(users):
                wanted = [("like", number, None), ("mute", None, f"artist:artist {number}"), ("visit", None, None)]
                for action, track, target in wanted:
                    offset += 1
                    values.append(value(offset, user, track, action, target))
            commands, outcome = counted(values)
            assert (outcome.applied, outcome.lists) == (3 * listeners, listeners)
            counts[listeners].append(commands)
    assert counts[FEW] == counts[MANY]
    assert all(sum(each.values()) <= 30 for each in counts[FEW]), counts[FEW]


def test_of_listeners_who_are_set_aside(
    world: World, counted: Callable[[list[RawValue]], tuple[Counter[str], Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(microbatch, "MOST_TRIED_AGAIN", 0)  # each attempt is a listener's own
    counts = []
    for listeners in (FEW, MANY):
        users = [f"aside {number} of {listeners}" for number in range(listeners)]
        world.database.set_aside.insert_many({"_id": user, "tried_at": datetime.now(UTC)} for user in users)
        commands, outcome = counted([value(10_000 + number, user, number) for number, user in enumerate(users)])
        assert (outcome.events, outcome.applied) == (listeners, 0)
        waiting = world.database.set_aside.find({"_id": {"$in": users}}, {"events": 1})
        assert [each["events"] for each in waiting] == [1] * listeners
        counts.append(commands)
    assert counts[0] == counts[1]
