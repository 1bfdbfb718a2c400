"""A backup of a running home, restored into an empty one: the same lists, and every event counted once, also those since."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from pyarrow.fs import S3FileSystem
from pyspark.sql import SparkSession

from batch.job import WrongArgument
from conf.settings import PREFIX, PROJECT, Settings
from local.backup import database as database_backup
from local.backup.__main__ import back_up
from local.backup.content import Backup
from local.backup.database import back_up_database, restore_database
from local.processes import Process
from local.restore import restore
from local.services import KafkaServer, MongoServer
from streaming import ledger, recommend
from streaming.documents import DELETIONS, deletion_fields
from streaming.events import Event, encode
from streaming.serving.clients import database_of
from streaming.source import topics
from ui.data.library import Library
from ui.recommendations import current_list

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from harness import World, made_events, make_world, rows, state  # noqa: E402


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, killable_servers: tuple[MongoServer, KafkaServer]) -> World:
    return make_world(tmp_path_factory.mktemp("backup"), killable_servers)


def send(world: World, values: list[tuple[bytes, bytes]]) -> None:
    producer = KafkaProducer(bootstrap_servers=world.kafka.bootstrap_servers, acks="all", max_request_size=1 << 24)
    for key, value in values:
        producer.send(world.settings.kafka.listening_topic, key=key, value=value)
    producer.flush(60)
    producer.close()


def caught_up(spark: SparkSession, settings: Settings) -> None:
    """Runs both queries until they have read everything."""
    for query in (recommend, ledger):
        query.start(spark, settings, topics.ensure(settings.kafka), True).awaitTermination()


def empty_home(world: World, folder: Path) -> World:
    """The same Kafka and MongoDB servers, an empty home, and a database that is not there yet."""
    chosen = world.settings
    other = chosen.model_copy(
        update={
            "home": folder,
            "lake": chosen.lake.model_copy(update={"root": str(folder / "lake")}),
            "models": chosen.models.model_copy(update={"root": str(folder / "models")}),
            "mongo": chosen.mongo.model_copy(update={"database": f"{chosen.mongo.database}-{folder.name}"}),
        }
    )
    return replace(world, settings=other, driver=Process("streams", folder))


def lists_of(world: World) -> dict[str, Any]:
    """Each listener's list without the moment of the last write."""
    return {each["_id"]: each for each in world.database.recommendations.find()}


def test_a_restored_home_goes_on_where_the_backup_was_made(world: World, spark: SparkSession, tmp_path: Path) -> None:
    events = made_events(240)
    send(world, events[:160])
    caught_up(spark, world.settings)
    world.database.accounts.insert_one({"_id": "ana", "version": 1, "key": "argon2"})
    to = str(tmp_path / "backup")
    assert back_up(world.settings, to).startswith("backup: ")
    at_backup, lists_at_backup = state(world), lists_of(world)
    send(world, events[160:])
    caught_up(spark, world.settings)
    wanted, wanted_lists = state(world), lists_of(world)
    assert wanted["profiles"] != at_backup["profiles"]

    other = empty_home(world, tmp_path / "restored")
    assert "count those since then" in restore(other.settings, to)
    assert state(other) == at_backup and lists_of(other) == lists_at_backup
    assert other.database.accounts.find_one() == {"_id": "ana", "version": 1, "key": "argon2"}
    listener = events[0][0].decode()
    shown = [current_list(Library(each.database), listener).items for each in (world, other)]
    assert shown[0] and shown[1], "both have a list"
    assert set(other.database.profiles.index_information()) == set(world.database.profiles.index_information())
    assert set(other.database.tracks.index_information()) == set(world.database.tracks.index_information())

    caught_up(spark, other.settings)
    assert state(other) == wanted and lists_of(other).keys() == wanted_lists.keys()
    assert {user: each["events_applied"] for user, each in lists_of(other).items()} == {
        user: each["events_applied"] for user, each in wanted_lists.items()
    }
    places = rows(other, "listening_events", "topic_id", "partition", "offset")
    assert len(places) == len(set(places)) and places == rows(
        world, "listening_events", "topic_id", "partition", "offset"
    )
    list_rows = rows(other, "recommendations", "user_id", "generation", "generated_at", "rank")
    assert len(list_rows) == len(set(list_rows)), "a list is twice in the lake"
    caught_up(spark, other.settings)
    assert state(other) == wanted, "once more changes nothing"


def test_with_another_kafka_what_is_new_counts_and_nothing_else(
    world: World, spark: SparkSession, tmp_path: Path
) -> None:
    """Other topics have other ids: offsets of the former ones say nothing of them."""
    to = str(tmp_path / "backup")
    back_up(world.settings, to)
    other = empty_home(world, tmp_path / "elsewhere")
    names = {"listening_topic": f"new-{other.settings.kafka.listening_topic}", "recommendation_topic": "new-lists"}
    chosen = other.settings.model_copy(update={"kafka": other.settings.kafka.model_copy(update=names)})
    other = replace(other, settings=chosen)
    restore(other.settings, to)
    before = counted(other)
    topics.ensure(other.settings.kafka)
    send(
        other, [(b"new", encode(Event("new", f"{1:016x}", "like", datetime.now(UTC), f"new-{at}"))) for at in range(3)]
    )
    recommend.start(spark, other.settings, topics.ensure(other.settings.kafka), True).awaitTermination()
    assert counted(other) == before | {"new": 3}


def counted(world: World) -> dict[str, int]:
    """Events that each profile has counted."""
    return {each["_id"]: each["events_applied"] for each in world.database.profiles.find({}, {"events_applied": 1})}


def test_a_place_that_is_not_empty_is_refused(world: World, tmp_path: Path) -> None:
    to = str(tmp_path / "backup")
    back_up(world.settings, to)
    with pytest.raises(WrongArgument, match="is not empty; name a new place"):
        back_up(world.settings, to)
    with pytest.raises(WrongArgument, match=r"lake.root = .* is not empty; a backup is restored into an empty home"):
        restore(world.settings, to)
    other = empty_home(world, tmp_path / "other")
    other.database.names.insert_one({"_id": "somebody"})
    with pytest.raises(WrongArgument, match="has the collection names"):
        restore(other.settings, to)
    other.database.client.drop_database(other.settings.mongo.database)
    checkpoint = tmp_path / "other" / "checkpoints" / "recommend" / "x" / "metadata"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text("{}")
    with pytest.raises(WrongArgument, match=r"stream.checkpoints = .* is not empty"):
        restore(other.settings, to)
    (Path(to) / "manifest.json").unlink()
    with pytest.raises(WrongArgument, match="it is no backup, or one that was not finished"):
        restore(empty_home(world, tmp_path / "third").settings, to)
    assert not (tmp_path / "third").exists(), "nothing has been written"


@pytest.mark.parametrize("is_in_store", [False, True], ids=["folder", "store"])
def test_the_commands_say_what_they_did(is_in_store: bool, world: World, bucket: S3FileSystem, tmp_path: Path) -> None:
    to = "s3a://music/backup" if is_in_store else str(tmp_path / "backup")

    def run(module: str, place: str, chosen: World) -> subprocess.CompletedProcess[str]:
        environment = chosen.environment() | {
            f"{PREFIX}MODELS__ROOT": chosen.settings.models.root,
            "PYTHONPATH": str(PROJECT),
        }
        command = [sys.executable, "-m", module, place]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    done = run("local.backup", to, world)
    assert done.returncode == 0 and done.stdout.startswith("backup: "), done.stderr
    done = run("local.restore", to, world)
    assert done.returncode == 2 and "is not empty" in done.stderr
    other = empty_home(world, tmp_path / f"by-command-{is_in_store}")
    done = run("local.restore", to, other)
    assert done.returncode == 0 and done.stdout.startswith("restore: "), done.stderr
    assert state(other) == state(world) and lists_of(other) == lists_of(world)
    done = run("local.restore", f"{to}-none", empty_home(world, tmp_path / "again"))
    assert done.returncode == 2 and "has no manifest.json" in done.stderr


def test_who_was_deleted_while_it_was_made_does_not_come_back(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tables were copied before; MongoDB says so."""
    user = rows(world, "listening_events", "user_id")[0][0]
    to = str(tmp_path / "backup")
    with monkeypatch.context() as patch:

        def deleting(database: Any, backup: Backup, place: str) -> None:
            database[DELETIONS].update_one({"_id": user}, {"$set": deletion_fields(datetime.now(UTC))}, upsert=True)
            back_up_database(database, backup, place)

        patch.setattr("local.backup.__main__.back_up_database", deleting)
        back_up(world.settings, to)
    world.database[DELETIONS].delete_one({"_id": user})
    other = empty_home(world, tmp_path / "other")
    restore(other.settings, to)
    assert (user,) in rows(world, "listening_events", "user_id")
    remaining = rows(other, "listening_events", "user_id")
    assert remaining and (user,) not in remaining


def test_documents_are_of_one_moment(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = database_of(world.settings.mongo).client[f"{world.settings.mongo.database}-moment"]
    database.a.insert_one({"_id": 1})
    database.z.insert_many([{"_id": number, "text": "x" * 1000} for number in range(3000)])
    database.z.create_index("text", unique=False, name="by text")
    database.a.create_index("at", expireAfterSeconds=3600)
    dump = database_backup._dump

    def meanwhile(*arguments: Any) -> Any:
        dumped = dump(*arguments)
        database.z.delete_many({"_id": {"$lt": 100}})
        return dumped

    monkeypatch.setattr(database_backup, "_dump", meanwhile)
    backup = Backup()
    back_up_database(database, backup, str(tmp_path))
    assert backup.collections == {"a": 1, "z": 3000} and database.z.count_documents({}) == 2900
    other = database.client[f"{world.settings.mongo.database}-moment-2"]
    restore_database(other, backup, str(tmp_path))
    assert other.z.count_documents({}) == 3000
    assert other.a.index_information() == database.a.index_information()
    assert other.z.index_information() == database.z.index_information()
