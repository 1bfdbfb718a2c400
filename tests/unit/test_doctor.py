"""What `python -m local.doctor` names of a machine, a lake, models and a home; tests/e2e/test_doctor.py has the services."""

from __future__ import annotations

import fcntl
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from pyarrow import fs

from batch import registry
from batch.storage import lease, objects
from conf.settings import PREFIX, PROJECT, Settings
from conf.settings import settings as read_settings
from local.doctor import locations, machine
from local.doctor.findings import Finding, Result, as_json, as_text, first_line, results
from local.doctor.models import models, unfinished
from local.doctor.mongodb import clock_difference
from local.doctor.runs import leases, ports, run_env
from local.doctor.tables import tables
from local.processes import free_port

sys.path.insert(0, str(PROJECT / "tests" / "faults"))
from harness import TRACKS, make_model  # noqa: E402


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(locations, "SCARCE_SHARE", 0.0)  # this machine's disk may be nearly full
    return read_settings(home=tmp_path / "home")


def make_whole_model(root: Path) -> registry.Model:
    """A model with the parts that `train` writes in Spark."""
    make_model(root)
    model = registry.latest(str(root))
    for name in ("similar", "map"):
        (model.folder / name).mkdir()
        pq.write_table(pa.table({"track_id": [str(row) for row in range(TRACKS)]}), model.folder / name / "a.parquet")
    return model


def whats(findings: Iterator[Finding]) -> list[str]:
    return [finding.what for finding in findings]


def test_a_check_that_hangs_or_raises_does_not_stop_the_others(chosen: Settings) -> None:
    going_on = threading.Event()

    def hangs(_settings: Settings) -> Iterator[Finding]:
        yield Finding("seen before", "why", "do")
        going_on.wait()

    def raises(_settings: Settings) -> Iterator[Finding]:
        raise OSError("mongodb://ana:secret@host/ is away\nand more")
        yield

    def fine(_settings: Settings) -> list[Finding]:
        return [Finding("small", "why", "do", is_wrong=False)]

    hung, raised, well = results([("a", hangs), ("b", raises), ("c", fine)], chosen, patience_s=0.3)
    going_on.set()
    assert whats(iter(hung.findings)) == ["seen before", "the check has not ended within 0 s"]
    assert as_text(raised) == (
        "wrong  b: the check ended early (OSError): mongodb://host/ is away; mend what it names, and run this again"
    )
    assert (hung.is_well, raised.is_well, well.is_well) == (False, False, True)
    assert as_text(Result("d", ())) == "ok     d"
    assert [each["ok"] for each in json.loads(as_json([hung, well]))["checks"]] == [False, True]


def test_first_lines_hold_no_login() -> None:
    assert first_line(ValueError("no s3a://key:word@bucket/x?\nsecret")) == "no s3a://bucket/x?"


def java_that_says(folder: Path, banner: str) -> None:
    folder.mkdir()
    (folder / "java").write_text(f"#!/bin/sh\necho '{banner}' >&2\n")
    (folder / "java").chmod(0o755)


def test_a_java_that_is_too_old_or_missing_is_named(
    chosen: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert whats(machine.java(chosen)) == []
    java_that_says(tmp_path / "bin", 'openjdk version "11.0.2" 2019')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin")
    assert whats(machine.java(chosen)) == [f"Java 11 in {tmp_path / 'bin' / 'java'}"]
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    (tmp_path / "bin" / "java").chmod(0o644)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert whats(machine.java(chosen)) == [f"JAVA_HOME={tmp_path} has no bin/java", "no Java"]


def test_packages_of_other_versions_are_named(
    chosen: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("-c constraints.txt\npymongo==1.0  # old\nno-such-package==2.0\n")
    monkeypatch.setattr(machine, "REQUIREMENTS", requirements)
    names = whats(machine.python(chosen))
    assert len(names) == 2 and names[0].startswith("pymongo 4") and names[1] == "no-such-package is not installed"


def test_missing_jars_are_named(chosen: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert whats(machine.jars(chosen)) == []
    monkeypatch.setattr(machine, "JARS", tmp_path)
    assert [what.split(" in ")[0] for what in whats(machine.jars(chosen))] == [
        "no spark/delta-spark*.jar",
        "no spark/spark-sql-kafka*.jar",
    ]


def test_missing_jars_of_s3_are_named_where_they_are_needed(
    chosen: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "JARS", tmp_path)
    assert not any("hadoop-aws" in what for what in whats(machine.jars(chosen)))
    monkeypatch.setenv(f"{PREFIX}LAKE__ROOT", "s3a://music/lake")
    stored = read_settings(home=tmp_path / "home")
    assert f"no s3/hadoop-aws*.jar in {tmp_path}" in whats(machine.jars(stored))
    (tmp_path / "s3").mkdir()
    (tmp_path / "s3" / "hadoop-aws-3.5.0.jar").touch()
    assert not any("hadoop-aws" in what for what in whats(machine.jars(stored)))


def test_folders_that_cannot_be_used_are_named(chosen: Settings, tmp_path: Path) -> None:
    assert whats(locations.storage(chosen)) == [], "what is not there yet can be made"
    assert not chosen.home.exists()
    (tmp_path / "file").write_text("x")
    broken = read_settings(
        home=tmp_path / "home",
        lake={"root": str(tmp_path / "file" / "lake")},
        models={"root": "/proc/overtone/models"},  # nobody, not even root, can make a file there
        library={"root": str(tmp_path / "music")},
    )
    assert whats(locations.storage(broken)) == [
        f"lake.root = {tmp_path / 'file' / 'lake'}",
        "models.root = /proc/overtone/models cannot be written",
        f"library.root = {tmp_path / 'music'} cannot be listed",
    ]
    (tmp_path / "music").mkdir()
    assert f"library.root = {tmp_path / 'music'} is empty" in whats(locations.storage(broken))


def test_a_disk_that_is_nearly_full_is_named_once(chosen: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locations, "FREE_BYTES", shutil.disk_usage("/").total)
    (finding,) = [each for each in locations.storage(chosen) if "MiB are free" in each.what and "home" in each.what]
    assert finding.is_wrong and "lake.root, models.root, stream.checkpoints" in finding.what


def test_a_store_without_the_bucket_is_named(bucket: fs.S3FileSystem, chosen: Settings) -> None:
    stored = chosen.model_copy(update={"lake": chosen.lake.model_copy(update={"root": "s3a://music/doctor"})})
    assert whats(locations.storage(stored)) == []
    assert objects.names("s3a://music/doctor") == [], "the trial is gone"
    stored = chosen.model_copy(update={"lake": chosen.lake.model_copy(update={"root": "s3a://none/doctor"})})
    assert whats(locations.storage(stored)) == ["lake.root = s3a://none/doctor cannot be used"]


@pytest.mark.parametrize(
    ("root", "reason"),
    [
        ("s3a://none/home", "there is no bucket none"),
        ("s3a:/music/home", "s3a:/music/home/lake is neither a path nor a URI; write s3a://music/home/lake"),
    ],
)
def test_of_a_store_that_cannot_be_used_that_alone_is_told(
    root: str, reason: str, bucket: fs.S3FileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, setting in {"lake": "LAKE__ROOT", "models": "MODELS__ROOT", "checkpoints": "STREAM__CHECKPOINTS"}.items():
        monkeypatch.setenv(f"{PREFIX}{setting}", f"{root}/{name}")
    chosen = read_settings(home=tmp_path / "home")
    wrong = [finding for finding in locations.storage(chosen) if finding.is_wrong]
    assert [finding.what for finding in wrong] == [
        f"lake.root = {root}/lake cannot be used",
        f"models.root = {root}/models cannot be used",
        f"stream.checkpoints = {root}/checkpoints cannot be used",
    ]
    assert wrong[0].why.startswith(reason)
    # whose advice would be to train again, or to take a table for damaged
    assert [list(check(chosen)) for check in (tables, models, unfinished, leases)] == [[], [], [], []]


def test_a_lease_of_a_killed_driver_is_named(
    bucket: fs.S3FileSystem, chosen: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = chosen.model_copy(update={"lake": chosen.lake.model_copy(update={"root": "s3a://music/leases"})})
    objects.replace_text("s3a://music/leases/_writers/ledger.json", "{}")
    assert whats(leases(stored)) == []
    monkeypatch.setattr(lease, "EXPIRES_S", -1.0)
    (finding,) = leases(stored)
    assert finding.what.startswith("the lease of ledger in s3a://music/leases was renewed") and not finding.is_wrong


def write_tables(chosen: Settings, extractor: str = "mfcc/1") -> None:
    write_deltalake(chosen.lake.table("tracks"), pa.table({"track_id": ["a b"]}))
    write_deltalake(chosen.lake.table("features"), pa.table({"track_id": ["a"], "extractor_version": [extractor]}))


def test_damaged_tables_are_named(chosen: Settings) -> None:
    assert whats(tables(chosen)) == ["there is no table features", "there is no table tracks"]
    write_tables(chosen)
    days = pa.table({"user_id": ["ana"], "day": ["2026-11-26 x"]})
    write_deltalake(chosen.lake.table("mixes"), days, partition_by=["day"])
    assert whats(tables(chosen)) == [], "also where a file's name has a blank"
    next(Path(chosen.lake.table("tracks")).glob("*.parquet")).unlink()
    (Path(chosen.lake.table("features")) / "_delta_log" / "00000000000000000000.json").write_text("{broken")
    Path(chosen.lake.table("recommendations")).mkdir()
    (Path(chosen.lake.table("recommendations")) / "x.parquet").write_text("x")
    root = chosen.lake.root
    assert whats(tables(chosen)) == [
        f"table {root}/features cannot be read",
        f"table {root}/tracks lacks 1 of 1 files that version 0 names",
        f"{root}/recommendations is no Delta table",
    ]


def test_damaged_models_are_named(chosen: Settings) -> None:
    root = Path(chosen.models.root)
    assert whats(models(chosen)) == ["no model is in use"]
    model = make_whole_model(root)
    assert whats(models(chosen)) == []
    index = model.folder / "index"
    vectors = bytearray((index / "vectors.npy").read_bytes())
    vectors[-1] ^= 1
    (index / "vectors.npy").write_bytes(vectors)
    (index / "rows.npy").unlink()
    assert whats(models(chosen)) == [
        f"model {model.version} lacks index/rows.npy",
        f"index/vectors.npy of model {model.version} has changed",
    ]
    manifest = json.loads((model.folder / "manifest.json").read_text())
    (model.folder / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))
    (finding,) = models(chosen)
    assert finding.what == "the latest model cannot be used" and "format 99" in finding.why
    (root / "latest").write_text("20200101T000000.000000Z\n")
    (finding,) = models(chosen)
    assert finding.what == "no model is in use" and model.version in finding.to_do
    (root / ".20260101T000000.000000Z.part").mkdir()
    assert [finding.is_wrong for finding in unfinished(chosen)] == [False]


def test_a_model_of_other_features_than_the_lakes_is_named(chosen: Settings) -> None:
    root = Path(chosen.models.root)
    model = make_whole_model(root)
    registry.write_manifest(model.folder, model.manifest | {"extractor_version": "mfcc/1+musicnn/2"})
    write_tables(chosen, "mfcc/1")
    assert whats(models(chosen)) == [], "the trained ear is a part of its own"
    write_deltalake(
        chosen.lake.table("features"),
        pa.table({"track_id": ["b"], "extractor_version": ["mfcc/2"]}),
        mode="overwrite",
    )
    assert whats(models(chosen)) == [f"model {model.version} was trained on features of mfcc/1"]


def test_a_stale_run_env_is_told_from_that_of_a_running_demo(chosen: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert whats(run_env(chosen)) == []
    (chosen.home / "run").mkdir(parents=True)
    (chosen.home / "run.env").write_text("export OVERTONE_MONGO__URI=mongodb://127.0.0.1:1/\n")
    assert whats(run_env(chosen)) == [f"{chosen.home / 'run.env'} is of a demo that no longer runs"]
    with (chosen.home / "run" / "demo.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (finding,) = run_env(chosen)
        assert not finding.is_wrong and "OVERTONE_MONGO__URI" in finding.why
        monkeypatch.setenv("OVERTONE_MONGO__URI", "mongodb://127.0.0.1:1/")
        assert whats(run_env(chosen)) == []


def test_ports_of_other_programs_are_named(chosen: Settings) -> None:
    player = chosen.player.model_copy(update={"host": "127.0.0.1", "port": free_port()})
    stream = chosen.stream.model_copy(update={"metrics_port": 0})
    chosen = chosen.model_copy(update={"player": player, "stream": stream})
    assert whats(ports(chosen)) == []
    with http.server.HTTPServer(("127.0.0.1", player.port), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert whats(ports(chosen)) == [f"port {player.port} is in use by another program"]
        server.shutdown()


@pytest.mark.parametrize(
    ("server", "names"),
    [
        (104.0, ["the clock of Kafka is 3 s ahead of this machine's"]),
        (90.0, ["the clock of Kafka is 10 s behind this machine's"]),
        (100.5, []),
        (102.5, []),
    ],
)
def test_clocks_that_are_off_are_named(server: float, names: list[str]) -> None:
    assert whats(clock_difference("Kafka", server, before=100.0, after=101.0)) == names


def test_services_that_take_connections_and_do_not_answer_do_not_hold_it_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(PREFIX)},
            "OVERTONE_HOME": str(tmp_path),
            "OVERTONE_MONGO__URI": f"mongodb://ana:secret@127.0.0.1:{port}/?directConnection=true",
            "OVERTONE_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
            "OVERTONE_STREAM__METRICS_PORT": "0",
        }
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "local.doctor", "--json", "--patience", "20"],
            env=environment,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 1 and time.monotonic() - began < 100
    check_by_name = {each["check"]: each for each in json.loads(done.stdout)["checks"]}
    assert not check_by_name["mongodb"]["ok"] and not check_by_name["kafka"]["ok"]
    assert check_by_name["java"]["ok"]
    assert "secret" not in done.stdout + done.stderr


def test_wrong_settings_are_a_finding(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local.doctor"],
        env={**os.environ, "OVERTONE_HOME": str(tmp_path), "OVERTONE_STREAM__ITEMS": "many"},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1 and done.stdout.startswith("wrong  settings: stream.items")
