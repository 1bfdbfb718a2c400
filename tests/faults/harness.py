"""Both queries under load while parts are killed, and the state of an undisturbed run over the same events to compare with."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from kafka import KafkaProducer
from kafka.errors import KafkaError
from pymongo import MongoClient
from pyspark.sql.pandas.types import to_arrow_schema

from batch import registry
from batch.index.building import build_index, with_local_scales
from batch.index.projection import Projection
from batch.mongo import NEW_LISTENERS
from conf.settings import PREFIX, PROJECT, Lake, Settings
from conf.settings import settings as read_settings
from local.processes import Process, command_line, family, processes
from local.services import KafkaServer, MongoServer
from streaming.events import Event, encode
from streaming.profile.documents import profile_from
from streaming.profile.profile import Profile
from streaming.profile.skip_rates import SKIP_RATES_TABLE
from streaming.schemas import SKIP_RATES
from streaming.source import topics

TRACKS = 240
D = 8
KINDS = 6
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
PATIENCE_S = 150.0
AWAY_S = 60.0


@dataclass
class World:
    """Services, a model, tracks in MongoDB, and the driver of both queries."""

    mongo: MongoServer
    kafka: KafkaServer
    settings: Settings
    driver: Process

    @property
    def database(self) -> Any:
        return MongoClient(self.mongo.uri, tz_aware=True, serverSelectionTimeoutMS=60_000)[self.settings.mongo.database]

    def environment(self) -> dict[str, str]:
        chosen = self.settings
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(PREFIX)},
            f"{PREFIX}HOME": str(chosen.home),
            f"{PREFIX}MODELS__ROOT": chosen.models.root,
            f"{PREFIX}MONGO__URI": self.mongo.uri,
            f"{PREFIX}MONGO__DATABASE": chosen.mongo.database,
            f"{PREFIX}KAFKA__BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            f"{PREFIX}KAFKA__LISTENING_TOPIC": chosen.kafka.listening_topic,
            f"{PREFIX}KAFKA__RECOMMENDATION_TOPIC": chosen.kafka.recommendation_topic,
            f"{PREFIX}KAFKA__FEATURES_TOPIC": chosen.kafka.features_topic,
            f"{PREFIX}STREAM__SMALL_BATCH_EVENTS": "4",  # larger ones go through Python workers, which can be killed
            f"{PREFIX}STREAM__LEDGER_TRIGGER_SECONDS": "2",
            f"{PREFIX}STREAM__METRICS_PORT": "0",
            f"{PREFIX}STREAM__SKIP_RATES_MINUTES": "0",  # see `freeze_skip_rates`
        }

    def stop(self) -> None:
        self.driver.stop()
        self.kafka.stop()
        self.mongo.stop()

    def start_driver(self) -> None:
        ready = self.settings.home / "ready"
        ready.unlink(missing_ok=True)
        self.driver.start([PROJECT / "spark-submit.sh", PROJECT / "local" / "streams.py", ready], self.environment())

    def wait_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not (self.settings.home / "ready").exists():
            self.driver.require_running("starting")
            assert time.monotonic() < deadline, self.driver.tail()
            time.sleep(0.1)

    def another(self, folder: Path) -> World:
        """The same services, model and events, with a database, home and list topic of its own: it starts from nothing."""
        name = uuid.uuid4().hex[:8]
        chosen = self.settings
        other = chosen.model_copy(
            update={
                "home": folder,
                "lake": chosen.lake.model_copy(update={"root": str(folder / "lake")}),
                "mongo": chosen.mongo.model_copy(update={"database": f"again-{name}"}),
                "kafka": chosen.kafka.model_copy(update={"recommendation_topic": f"again-{name}"}),
            }
        )
        world = replace(self, settings=other, driver=Process("streams", folder))
        fill(world.database)
        freeze_skip_rates(other.lake)
        return world


def make_world(folder: Path, servers: tuple[MongoServer, KafkaServer] | None = None) -> World:
    """A world with a database and topics of its own.  servers : running ones; None: starts some, for the caller to stop"""
    mongo, kafka = servers or (MongoServer(folder).start(), KafkaServer(folder).start())
    mongo.wait()
    kafka.wait()
    name = uuid.uuid4().hex[:8]
    chosen = read_settings(
        home=folder / "home",
        models={"root": str(folder / "models")},
        mongo={"uri": mongo.uri, "database": f"faults-{name}"},
        kafka={
            "bootstrap_servers": kafka.bootstrap_servers,
            "listening_topic": f"listens-{name}",
            "recommendation_topic": f"lists-{name}",
            "features_topic": f"features-{name}",
        },
    )
    topics.ensure(chosen.kafka)
    world = World(mongo, kafka, chosen, Process("streams", folder / "home"))
    make_model(folder / "models")
    fill(world.database)
    freeze_skip_rates(chosen.lake)
    return world


def make_model(root: Path, hour: int = 12) -> None:
    rng = np.random.default_rng(4)
    ids = [f"{at:016x}" for at in range(TRACKS)]
    corners = np.repeat(4 * np.eye(D)[:KINDS], TRACKS // KINDS, axis=0)
    projection = Projection(
        mean=np.zeros(D, np.float32),
        deviation=np.ones(D, np.float32),
        components=np.eye(D, dtype=np.float32),
        directions=rng.normal(0, 0.4, (8, 2, D)).astype(np.float32),
        offsets=rng.uniform(0, 3, (8, 2)).astype(np.float32),
        bucket_length=3.0,
    )
    built = with_local_scales(build_index(ids, corners + rng.normal(0, 0.6, corners.shape), _artists(), projection))
    with registry.new_version(str(root), NOON.replace(hour=hour)) as new:
        part = new.folder
        built.save(part / "index")
        registry.write_manifest(part, {"tracks": TRACKS, "genres": [], "library": "made", "fingerprint": "made"})


def fill(database: Any) -> None:
    """Inserts tracks and the list for new listeners."""
    database.tracks.insert_many(
        {"_id": f"{at:016x}", "title": f"Track {at}", "artist": artist} for at, artist in enumerate(_artists())
    )
    items = [{"track_id": f"{at:016x}", "rank": at} for at in range(1, 31)]
    database.recommendations.insert_one({"_id": NEW_LISTENERS, "items": items, "generation": 1, "events_applied": 0})


def freeze_skip_rates(lake: Lake) -> None:
    """Writes skip rates that stay: which events an update follows would depend on the moment."""
    rows = [
        {
            "track_id": f"{at:016x}",
            "skippers": at % 7 * 10,
            "finishers": 60 - at % 7 * 10,
            "as_of": NOON,
            "day": NOON.date(),
        }
        for at in range(TRACKS)
    ]
    table = pa.Table.from_pylist(rows, schema=to_arrow_schema(SKIP_RATES, timezone="UTC"))
    write_deltalake(lake.table(SKIP_RATES_TABLE), table, partition_by=["day"])


def _artists() -> list[str | None]:
    return [f"artist {at // 4}" for at in range(TRACKS)]


def made_events(number: int, users: int = 25, apart_s: float = 20.0) -> list[tuple[bytes, bytes]]:
    """(key, value): plays, skips, likes and lists shown in and out of order, some sent twice, some that are no events."""
    draw = random.Random(17)
    sent: list[tuple[bytes, bytes]] = []
    for at in range(number):
        user = f"ana.{draw.randrange(users)}$@'"
        key = user.encode()
        if draw.random() < 0.05:
            sent.append((key, draw.choice([b"not json", b"\xff\xfe", b"{}", b"[]", b"x" * 100_000])))
            continue
        kind = int(user[4:].split("$")[0]) % KINDS
        is_liked = draw.random() < 0.6
        track = kind * (TRACKS // KINDS) + draw.randrange(TRACKS // KINDS) if is_liked else draw.randrange(TRACKS)
        action = draw.choice(
            ["play", "complete", "like", "more"] if is_liked else ["play", "skip", "dislike", "neutral"]
        )
        when = NOON + timedelta(seconds=apart_s * at - draw.choice([0, 0, 0, 3600]))
        if draw.random() < 0.06:
            action, target = draw.choice(
                [("mute", f"artist:artist {track // 4}"), ("unmute", f"artist:artist {track // 4}"),
                 ("adventure", draw.choice(["0.10", "0.50", "0.90"]))]
            )  # fmt: skip
            sent.append((key, encode(Event(user, None, action, when, f"event-{at}", target=target))))
            continue
        if draw.random() < 0.06:
            tracks = tuple(f"{draw.randrange(TRACKS):016x}" for _ in range(draw.choice([0, 5, 30])))
            sent.append(
                (key, encode(Event(user, None, "shown" if tracks else "visit", when, f"event-{at}", tracks=tracks)))
            )
            continue
        track_id = "unknown" if draw.random() < 0.02 else f"{track:016x}"
        event = Event(user, track_id, action, when, f"event-{at}", draw.randrange(200_000), 200_000)
        sent.append((key, encode(event)))
        if draw.random() < 0.05:
            sent.append(sent[-1])
    # Which lists a `shown` is in depends on the micro-batches; a visit makes a last one with all of them.
    end = NOON + timedelta(seconds=apart_s * number)
    visits = [Event(f"ana.{user}$@'", None, "visit", end, f"last-{user}") for user in range(users)]
    return [*sent, *((event.user_id.encode(), encode(event)) for event in visits)]


class Producer:
    """Sends at a rate, one by one; while Kafka is away it waits. What is in the topic in the end is what counts."""

    def __init__(self, world: World, sent: list[tuple[bytes, bytes]], rate: float) -> None:
        self.world, self.sent, self.rate = world, sent, rate
        self.done = 0
        self.failed: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        producer: KafkaProducer | None = None
        try:
            for key, value in self.sent:
                while True:
                    try:
                        producer = producer or KafkaProducer(
                            bootstrap_servers=self.world.kafka.bootstrap_servers, acks="all", max_request_size=1 << 24
                        )
                        producer.send(self.world.settings.kafka.listening_topic, key=key, value=value).get(timeout=20)
                        break
                    except (KafkaError, OSError):
                        producer = None
                        time.sleep(0.5)
                self.done += 1
                time.sleep(1 / self.rate)
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.failed = error


def python_workers(pid: int) -> list[int]:
    """Spark's Python workers, the processes that its daemon forked."""
    daemons = {child for child in family([pid]) if b"pyspark.daemon" in command_line(child)}
    parents = {child: stat[1] for child, stat in processes()}
    return [child for child in daemons if parents.get(child) in daemons]


def kill(world: World, what: str) -> None:
    """Kills without warning; what does not come back by itself is started again, as an operator or the demo would."""
    if what == "worker":
        deadline = time.monotonic() + 10
        while not (workers := python_workers(world.driver.pid)) and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid in workers[:1]:
            _killed(pid)
    elif what == "driver":
        os.killpg(world.driver.pid, signal.SIGKILL)
        world.driver.stop(0)
        world.start_driver()
        world.wait_ready()
    elif what.endswith(" away"):  # there, and without an answer
        group = (world.mongo if what == "mongo away" else world.kafka).process.pid
        os.killpg(group, signal.SIGSTOP)
        time.sleep(AWAY_S)
        os.killpg(group, signal.SIGCONT)
    else:
        server: MongoServer | KafkaServer = world.mongo if what.startswith("mongo") else world.kafka
        os.killpg(server.process.pid, signal.SIGKILL)
        server.process.stop(0)
        time.sleep(AWAY_S if what.endswith(" gone") else 1.0)
        server.start()
        server.wait()


def _killed(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def state(world: World) -> dict[str, Any]:
    """What must be equal: events by offset, profiles, last lists and mixes."""
    database = world.database
    kafka = world.settings.kafka
    ids = topics.ensure(kafka)
    profiles = {document["_id"]: _comparable(profile_from(document)) for document in database.profiles.find()}
    lists = {
        document["_id"]: ([item["track_id"] for item in document["items"]], document["events_applied"])
        for document in database.recommendations.find({"_id": {"$ne": NEW_LISTENERS}})
    }
    mixes = {
        document["_id"]: (
            document["events_applied"],
            document["discovered"],
            {each["name"]: [item["track_id"] for item in each["items"]] for each in document["lists"]},
        )
        for document in database.mixes.find()
    }
    assert ids[kafka.listening_topic]
    return {
        "listening_events": rows(world, "listening_events", "topic_id", "partition", "offset", "event_id", "action"),
        "rejected_events": rows(
            world, "rejected_events", "topic_id", "partition", "offset", "reason", "bytes", "sha256"
        ),
        "profiles": profiles,
        "lists": lists,
        "mixes": mixes,
    }


def _comparable(profile: Profile) -> dict[str, Any]:
    """All of a profile but the number of its lists: a crash between a list and its profile makes one more."""
    tables = {name: getattr(profile, name) for name in ("evidence", "heard", "verdicts", "shown")}
    steering = (profile.muted, profile.mutings, profile.adventure, profile.adventure_at)
    times = (profile.latest_at, profile.session_at, profile.visited_at, profile.mixes_at)
    return {
        **{
            name: {
                track_id: tuple(np.round(row, 6).tolist())
                for track_id, row in zip(table.ids, table.values, strict=True)
            }
            for name, table in tables.items()
        },
        "events_applied": profile.events_applied,
        "recent": profile.recent_events,
        "offsets": profile.offsets,
        "plays": (profile.plays, profile.last_track),
        "steering": steering,
        "times": times,
    }


def rows(world: World, name: str, *columns: str) -> list[tuple[Any, ...]]:
    try:
        table = DeltaTable(world.settings.lake.table(name))
    except Exception:  # noqa: BLE001 - not there yet
        return []
    return sorted(tuple(row.values()) for row in table.to_pyarrow_table(columns=list(columns)).to_pylist())


def wait_until_equal(world: World, wanted: dict[str, Any]) -> dict[str, Any]:
    """The state, as soon as it is the wanted one, else as it is after two and a half minutes."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        reached = state(world)
        if reached == wanted or time.monotonic() > deadline:
            return reached
        world.driver.require_running("catching up")
        time.sleep(1.0)


def wait_until_done(world: World, events: int) -> dict[str, Any]:
    """The state when all values of the topic are in the lake and all listeners' lists have counted what is theirs."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        reached = state(world)
        landed = len(reached["listening_events"]) + len(reached["rejected_events"])
        listed = all(
            reached["lists"].get(user, ([], 0))[1] == profile["events_applied"]
            for user, profile in reached["profiles"].items()
        )
        counted = sum(profile["events_applied"] for profile in reached["profiles"].values())
        if (
            landed == events
            and listed
            and counted == len({event_id for *_, event_id, _ in reached["listening_events"]})
        ):
            return reached
        assert time.monotonic() < deadline, f"{landed} of {events} landed\n{world.driver.tail()}"
        world.driver.require_running("catching up")
        time.sleep(1.0)


def disturbed(world: World, kills: list[str], events: int, rate: float, folder: Path) -> None:
    """Sends events while parts are killed at random moments, and asserts that nothing of it is left to see."""
    draw = random.Random(len(kills))
    undisturbed = world.another(folder)
    try:
        world.start_driver()
        world.wait_ready()
        producer = Producer(world, made_events(events), rate)
        producer.thread.start()
        for what in kills:
            time.sleep(draw.uniform(0.5, 3.0))
            print(f"killing {what} after {producer.done} events", flush=True)
            kill(world, what)
        producer.thread.join(600)
        assert producer.failed is None and not producer.thread.is_alive(), producer.failed
        undisturbed.start_driver()
        wanted = wait_until_done(undisturbed, in_topic(world))
        undisturbed.driver.stop()
        reached = wait_until_equal(world, wanted)
        for part, value in wanted.items():
            assert reached[part] == value, f"{part} differs: {_difference(reached[part], value)}"
        lake_rows = rows(world, "recommendations", "user_id", "generation", "rank")
        assert lake_rows and len(lake_rows) == len(set(lake_rows)), "a list is twice in the lake"
        mix_rows = rows(world, "mixes", "user_id", "list", "generated_at", "rank")
        assert mix_rows and len(mix_rows) == len(set(mix_rows)), "a named list is twice in the lake"
        last = {user: (tracks, applied) for user, (tracks, applied) in reached["lists"].items()}
        assert last.keys() == reached["profiles"].keys()
    finally:
        undisturbed.driver.stop()
        world.driver.stop()


def _difference(reached: Any, wanted: Any) -> str:
    """The first things that one has and the other has not, short enough to read."""
    if isinstance(wanted, dict):
        parts = [
            f"{key}: {_difference(reached.get(key), value)}"
            for key, value in wanted.items()
            if reached.get(key) != value
        ]
        return "; ".join([*parts[:2], *(f"{key} is not wanted" for key in list(reached.keys() - wanted.keys())[:2])])
    if isinstance(wanted, list) and isinstance(reached, list):
        missing, added = [row for row in wanted if row not in reached], [row for row in reached if row not in wanted]
        return f"lacks {missing[:3]}, has {added[:3]}"
    return f"{reached!r:.200} for {wanted!r:.200}"


def in_topic(world: World) -> int:
    """Values in the listening topic."""
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=world.kafka.bootstrap_servers)
    topic = world.settings.kafka.listening_topic
    parts = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    ends = consumer.end_offsets(parts)
    consumer.close()
    return sum(ends.values())
