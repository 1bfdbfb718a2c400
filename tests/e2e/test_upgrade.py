"""An old and a new driver of the fast lane at once: every event counts once, and the lists are those of one driver alone."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from conf.settings import Settings
from local.services import KafkaServer, MongoServer
from streaming import recommend
from streaming.source import topics

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from harness import Producer, World, made_events, make_world, state  # noqa: E402

EVENTS = 600
PATIENCE_S = 120.0


@pytest.fixture
def world(tmp_path: Path, killable_servers: tuple[MongoServer, KafkaServer]) -> World:
    return make_world(tmp_path / "world", killable_servers)


@pytest.fixture
def queries() -> Iterator[list[StreamingQuery]]:
    started: list[StreamingQuery] = []
    yield started
    for query in started:
        query.stop()


def with_checkpoints(settings: Settings, folder: Path) -> Settings:
    """The same home, with checkpoints elsewhere and small micro-batches: some in the driver, some in Python workers."""
    stream = settings.stream.model_copy(
        update={"checkpoints": str(folder), "small_batch_events": 20, "max_events_per_trigger": 40}
    )
    return settings.model_copy(update={"stream": stream})


def start(session: SparkSession, settings: Settings) -> StreamingQuery:
    return recommend.start(session, settings, topics.ensure(settings.kafka))


def test_two_drivers_at_once_count_every_event_once(
    spark: SparkSession, world: World, tmp_path: Path, queries: list[StreamingQuery]
) -> None:
    """The new one begins with an empty checkpoint: it reads all events again, beside those that come."""
    old, new = (with_checkpoints(world.settings, tmp_path / name) for name in ("old", "new"))
    producer = Producer(world, made_events(EVENTS), 60)
    producer.thread.start()
    queries.append(start(spark, old))
    until(lambda: producer.done >= EVENTS // 3 and counted(world) > 0, queries)
    queries.append(start(spark.newSession(), new))
    until(lambda: producer.done >= 2 * EVENTS // 3 and bool(queries[1].lastProgress), queries)
    at_the_switch = counted(world)
    queries[0].stop()
    producer.thread.join(PATIENCE_S)
    assert producer.failed is None and not producer.thread.is_alive()
    queries[1].processAllAvailable()
    queries[1].stop()

    alone = world.another(tmp_path / "alone")
    settings = with_checkpoints(alone.settings, tmp_path / "third")
    recommend.start(spark, settings, topics.ensure(settings.kafka), True).awaitTermination()
    wanted, reached = state(alone), state(world)
    assert 0 < at_the_switch < counted(world), "both have counted"
    assert reached["profiles"] == wanted["profiles"]
    assert reached["lists"] == wanted["lists"] and reached["mixes"] == wanted["mixes"]


def counted(world: World) -> int:
    """Events that profiles have counted."""
    return sum(each["events_applied"] for each in world.database.profiles.find({}, {"events_applied": 1}))


def until(is_reached: Callable[[], bool], queries: list[StreamingQuery]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_reached():
        assert time.monotonic() < deadline, "not reached in time"
        for query in queries:
            assert query.isActive, query.exception()
        time.sleep(0.2)
