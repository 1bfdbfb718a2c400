"""Every job on real services, five by spark-submit.sh: a folder in, lists and tables out; once more, and nothing changes."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from kafka import KafkaProducer
from pymongo import MongoClient
from pyspark.sql import SparkSession

from batch import registry
from batch.discography.names import artist_id
from conf.settings import PREFIX, Settings
from streaming.catalogue import Counts, IndexUpdater
from streaming.events import Event, encode
from streaming.feed import Feed

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from harness import make_model  # noqa: E402
from made_library import make_library  # noqa: E402

Submit = Callable[..., str]


@pytest.fixture
def environment(settings: Settings, tmp_path: Path) -> dict[str, str]:
    """The test's own settings, as another program's shell would have them."""
    library = make_library(tmp_path / "library")
    return {
        f"{PREFIX}HOME": str(settings.home),
        f"{PREFIX}MONGO__URI": settings.mongo.uri.get_secret_value(),
        f"{PREFIX}MONGO__DATABASE": settings.mongo.database,
        f"{PREFIX}KAFKA__BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers,
        f"{PREFIX}KAFKA__LISTENING_TOPIC": settings.kafka.listening_topic,
        f"{PREFIX}KAFKA__RECOMMENDATION_TOPIC": settings.kafka.recommendation_topic,
        f"{PREFIX}KAFKA__FEATURES_TOPIC": settings.kafka.features_topic,
        f"{PREFIX}LIBRARY__ROOT": str(library),
    }


def submitted(environment: dict[str, str], *arguments: str, code: int = 0) -> str:
    """What the job prints, run by spark-submit.sh in a Spark of its own, from another folder."""
    command = [str(PROJECT / "spark-submit.sh"), *arguments]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, cwd="/", timeout=300
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr  # Spark passes a job's standard error on to its standard output


@pytest.fixture
def job(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Submit:
    """Runs a job's main() here, in the session's Spark where it takes one: what it prints."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def job(path: str, *arguments: str, code: int = 0) -> str:
        module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
        capsys.readouterr()
        ended = module.main(arguments)
        printed = "".join(capsys.readouterr())
        assert ended == code, printed
        return printed

    return job


def rows(settings: Settings, name: str, *columns: str) -> list[tuple[Any, ...]]:
    table = DeltaTable(settings.lake.table(name)).to_pyarrow_table(columns=list(columns))
    return sorted(tuple(row.values()) for row in table.to_pylist())


def test_a_folder_becomes_lists_and_a_replay_changes_nothing(
    spark: SparkSession, settings: Settings, topics: None, environment: dict[str, str], job: Submit
) -> None:
    root = environment[f"{PREFIX}LIBRARY__ROOT"]
    assert "no model" in submitted(environment, "streaming/recommend.py", code=1)
    assert "12 extracted, 0 unchanged, 6 rejected" in submitted(environment, "batch/extract.py", "--library", root)
    reasons = [reason for _, reason in rows(settings, "rejected_tracks", "path", "reason")]
    assert reasons == ["empty", "not audio", "not audio"] * 2
    submitted(environment, "batch/train.py")
    assert "12 tracks: recall" in job("batch/evaluate.py")
    assert "12 tracks published, 0 removed" in job("batch/publish.py")

    database = MongoClient(settings.mongo.uri.get_secret_value())[settings.mongo.database]
    deep = [track["_id"] for track in database.tracks.find({"artist": "Deep"}).sort("_id", 1)]
    bright = {track["_id"] for track in database.tracks.find({"artist": "Bright"})}
    nearest = database.tracks.find_one({"_id": deep[0]})["similar"][0]["track_id"]
    assert nearest in deep, "the nearest track of a deep one is deep"
    artists = {artist["_id"]: (artist["name"], artist["tracks"]) for artist in database.artists.find()}
    assert artists == {artist_id("Deep"): ("Deep", 6), artist_id("Bright"): ("Bright", 6)}
    assert database.tracks.count_documents({"artist_ids": artist_id("Deep")}) == 6
    assert "sort_title_1__id_1_library_1" in database.tracks.index_information()

    now = datetime.now(UTC)
    like = encode(Event("ana", deep[0], "like", now))
    skip = encode(Event("a.$b@c'\"", deep[0], "skip", now, position_ms=500, duration_ms=4000))
    producer = KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers, max_request_size=1 << 24)
    sent = [(b"ana", like), (b"ana", like), (b"a", skip), (None, encode(Event("ana", deep[1], "play", now)))]
    huge = b"x" * 10_000_000
    bad = [b"not json", b"\xff\xfe", b"[]", b"{}", huge, encode(Event("ana", "nobody-knows-it", "play", now))]
    for key, value in [*sent, *[(b"ana", value) for value in bad]]:
        producer.send(settings.kafka.listening_topic, key=key, value=value)
    producer.flush()

    submitted(environment, "streaming/recommend.py", "--until-caught-up")
    submitted(environment, "streaming/ledger.py", "--until-caught-up")
    first = state(settings, database)
    lists, profiles, events, refused, kept = first
    assert lists["ana"][1] == 2, "the like that was sent twice counts once"
    assert lists["ana"][0][0] in deep and deep[1] not in lists["ana"][0], "near what was liked, and not what was heard"
    assert lists["a.$b@c'\""][0][0] in bright, "away from what was skipped"
    assert len(events) == 4 and len(refused) == len(bad) and len(kept) == len(set(kept))

    assert (
        "10000000 bytes; at most 65536 are allowed",
        10_000_000,
        hashlib.sha256(huge).hexdigest(),
        huge[:65536],
    ) in rows(settings, "rejected_events", "reason", "bytes", "sha256", "raw")

    shutil.rmtree(settings.home / "checkpoints")
    job("streaming/recommend.py", "--until-caught-up")
    job("streaming/ledger.py", "--until-caught-up")
    assert state(settings, database) == first, "a lost checkpoint replays everything and changes nothing"
    assert "0 extracted, 12 unchanged, 6 rejected" in job("batch/extract.py", "--library", root)

    today = f"{now:%Y-%m-%d}"
    said = job("streaming/replay.py", "--from", today, "--to", "2100-01-01", "--half-life", "1")
    assert "2 listeners replayed" in said and "2 had a list before" in said
    wanted = sorted((user, rank) for user in ("ana", "a.$b@c'\"") for rank in range(1, len(lists[user][0]) + 1))
    assert rows(settings, "replayed_recommendations", "user_id", "rank") == wanted
    assert state(settings, database) == first, "a replay touches nothing but its own table"


def test_tracks_come_and_go_through_feed_and_catalogue(settings: Settings, topics: None, job: Submit) -> None:
    make_model(Path(settings.models.root))
    index = registry.latest(settings.models.root).index
    database = MongoClient(settings.mongo.uri.get_secret_value())[settings.mongo.database]
    database.tracks.insert_many(
        {"_id": str(track), "title": "Title", "artist": index.artist_of(row), "features": index.vectors[row].tolist()}
        for row, track in enumerate(index.ids)
    )
    assert f"{len(index)} tracks sent" in job("streaming/feed.py", "--until-caught-up")
    said = job("streaming/catalogue.py", "--until-caught-up")
    assert f"0 added, 0 removed, {len(index)} unchanged" in said
    database.tracks.insert_one({"_id": "new", "title": "New", "features": (index.vectors[0] + 0.1).tolist()})
    database.tracks.insert_one({"_id": "unfit", "title": "Unfit", "features": [1.0, 2.0]})
    database.tracks.insert_one({"_id": "bare", "title": "Without features"})
    assert Feed(settings).run(until_caught_up=True) == 3
    assert IndexUpdater(settings).run(until_caught_up=True) == Counts(added=1, unfit=1)
    database.tracks.delete_one({"_id": "new"})
    assert Feed(settings).run(until_caught_up=True) == 1
    assert IndexUpdater(settings).run(until_caught_up=True) == Counts(removed=1)
    assert Feed(settings).run(until_caught_up=True) == 0


def state(settings: Settings, database: Any) -> tuple[Any, ...]:
    lists = {
        document["_id"]: (
            [item["track_id"] for item in document["items"]],
            document["events_applied"],
            document["generation"],
        )
        for document in database.recommendations.find()
    }
    profiles = {
        document["_id"]: tuple(document[name] for name in ("evidence", "last_heard", "verdicts", "offsets"))
        for document in database.profiles.find()
    }
    return (
        lists,
        profiles,
        rows(settings, "listening_events", "partition", "offset", "user_id", "action"),
        rows(settings, "rejected_events", "partition", "offset", "reason", "bytes"),
        rows(settings, "recommendations", "user_id", "generation", "rank", "track_id"),
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["batch/extract.py", "--library", "/no/such/folder"], "no folder /no/such/folder"),
        (["batch/extract.py"], "give --library DIR"),
    ],
)
def test_a_wrong_folder_is_said_before_spark_starts(
    job: Submit, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    def started(*_: object) -> None:
        pytest.fail("Spark was started")

    monkeypatch.delenv(f"{PREFIX}LIBRARY__ROOT")
    monkeypatch.setattr(SparkSession, "getActiveSession", started)
    monkeypatch.setattr(SparkSession.Builder, "getOrCreate", started)
    assert said in job(*arguments, code=2)


def test_a_job_starts_with_its_classes_at_hand_and_without_where_they_are_of_another_java(
    environment: dict[str, str], tmp_path: Path
) -> None:
    script = tmp_path / "mapped.py"
    script.write_text(
        "from pyspark.sql import SparkSession\n"
        "java = SparkSession.builder.getOrCreate()._jvm.java.lang.ProcessHandle.current().pid()\n"
        "print('mapped:', sorted({line.split()[-1] for line in open(f'/proc/{java}/maps') if '.jsa' in line}))\n"
    )
    archives = [str(file) for file in Path(sys.prefix, "jars").glob("classes-*/spark.jsa")]
    mapped = submitted(environment, str(script))
    assert any(archive in mapped for archive in archives), mapped
    other = submitted(environment, "--driver-memory", "40g", str(script))  # objects are laid out otherwise there
    assert "mapped: [" in other and "spark.jsa" not in other and "[cds" not in other


def test_a_misspelt_setting_is_refused(job: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERTONE_MONOG__DATABASE", "x")
    assert "OVERTONE_MONOG__DATABASE" in job("batch/train.py", code=2)
