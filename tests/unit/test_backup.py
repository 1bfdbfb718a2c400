"""Tables and models into a backup and back, in folders and in a store; tests/e2e/test_backup.py has MongoDB and the queries."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from pyarrow import fs

from batch import registry
from batch.growth import append
from batch.job import WrongArgument
from batch.storage import objects
from conf.settings import PROJECT, Lake, settings
from local.backup import copying
from local.backup import lake as lake_backup
from local.backup.__main__ import NotBackedUp, back_up
from local.backup.content import Backup, BackupUnusable, CopiedFile, complete, read
from local.backup.lake import back_up_tables
from local.backup.models import back_up_models
from local.restore import NotRestored, restore
from streaming.catalogue import read_offsets, write_offsets

sys.path.insert(0, str(PROJECT / "tests" / "faults"))
from harness import D, make_model  # noqa: E402


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(root=str(tmp_path / "lake"))


@pytest.fixture
def to(tmp_path: Path) -> str:
    return str(tmp_path / "backup")


def write(lake: Lake, names: list[str], mark: int) -> None:
    """A commit of the ledger's kind.  mark : its transaction's version"""
    properties = CommitProperties(app_transactions=[Transaction("topic/0", mark)])
    rows = pa.table({"user_id": names, "day": [f"2026-11-{mark:02d}"] * len(names)})
    write_deltalake(
        lake.table("mixes"), rows, mode="append", partition_by=["day"], commit_properties=properties
    )


def users(location: str) -> list[str]:
    return sorted(DeltaTable(location).to_pyarrow_table()["user_id"].to_pylist())


def restored(backup: Backup, to: str, part: str, root: Path) -> Path:
    copying.copy_back(
        {f"{to}/{path}": file for path, file in backup.below(part).items()},
        {f"{to}/{path}": f"{root}/{path.removeprefix(part + '/')}" for path in backup.below(part)},
    )
    return root


def test_a_table_comes_back_as_of_a_version_with_its_marks(lake: Lake, to: str, tmp_path: Path) -> None:
    write(lake, ["ana b", "bo"], 7)
    write(lake, ["cy"], 8)
    backup = Backup()
    back_up_tables(lake, backup, to)
    write(lake, ["later"], 9)
    assert backup.tables == {"mixes": 1}
    table = DeltaTable(str(restored(backup, to, "lake", tmp_path / "other") / "mixes"))
    assert (table.version(), table.transaction_version("topic/0")) == (1, 8)
    assert users(str(tmp_path / "other" / "mixes")) == ["ana b", "bo", "cy"]
    write(Lake(root=str(tmp_path / "other")), ["dee"], 9)
    assert users(str(tmp_path / "other" / "mixes")) == ["ana b", "bo", "cy", "dee"]


def test_the_log_is_copied_since_its_last_checkpoint(lake: Lake, to: str, tmp_path: Path) -> None:
    for mark in range(1, 6):
        write(lake, [f"user {mark}"], mark)
        if mark == 3:
            DeltaTable(lake.table("mixes")).create_checkpoint()
    backup = Backup()
    back_up_tables(lake, backup, to)
    log = [path.rpartition("/")[2] for path in backup.files if "_delta_log" in path]
    assert sorted(log) == [
        "00000000000000000002.checkpoint.parquet",
        *(f"0000000000000000000{commit}.json" for commit in (2, 3, 4)),
    ]
    table = DeltaTable(str(restored(backup, to, "lake", tmp_path / "other") / "mixes"))
    assert (len(table.to_pyarrow_table()), table.transaction_version("topic/0")) == (5, 5)


def test_a_vacuum_meanwhile_makes_it_copy_the_newer_version(
    lake: Lake, to: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(lake, ["ana"], 1)
    write(lake, ["bo"], 1)
    copy = lake_backup.all_copied
    calls = []

    def vacuumed(targets: dict[str, str]) -> dict[str, CopiedFile]:
        calls.append(len(targets))
        if len(calls) == 1:
            table = DeltaTable(lake.table("mixes"))
            table.optimize.compact()
            table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
        return copy(targets)

    monkeypatch.setattr(lake_backup, "all_copied", vacuumed)
    backup = Backup()
    back_up_tables(lake, backup, to)
    assert len(calls) == 2 and backup.tables["mixes"] >= 2
    assert len([path for path in backup.files if path.endswith(".snappy.parquet") or "part-" in path]) == 1
    assert users(str(restored(backup, to, "lake", tmp_path / "other") / "mixes")) == ["ana", "bo"]


def test_models_come_back_with_the_tracks_that_were_added(to: str, tmp_path: Path) -> None:
    root = tmp_path / "models"
    make_model(root, 11)
    make_model(root, 12)
    model = registry.latest(str(root))
    write_offsets(model.location, "cluster/topic", {0: 5})
    append(model.folder / "index", ["new"], np.full((1, D), 0.5, np.float32), ["artist"])
    (root / ".20260101T000000.000000Z.part").mkdir()
    backup = Backup()
    back_up_models(str(root), backup, to)
    assert backup.models == registry.versions(str(root)) and backup.latest == model.version
    other = restored(backup, to, "models", tmp_path / "other")
    registry.make_latest(str(other), backup.latest)
    again = registry.latest(str(other))
    assert again.index_state == model.index_state and "new" in set(again.index.ids.tolist())
    assert read_offsets(again.location, "cluster/topic") == {0: 5}


def test_a_backup_in_a_store(bucket: fs.S3FileSystem, lake: Lake, tmp_path: Path) -> None:
    to = "s3a://music/backups/first"
    write(lake, ["ana"], 1)
    make_model(tmp_path / "models")
    backup = Backup()
    back_up_tables(lake, backup, to)
    back_up_models(str(tmp_path / "models"), backup, to)
    complete(backup, to)
    again = read(to)
    assert again == backup and again.latest
    assert users(str(restored(again, to, "lake", tmp_path / "other") / "mixes")) == ["ana"]


def test_a_backup_that_is_not_whole_is_refused(lake: Lake, to: str, tmp_path: Path) -> None:
    write(lake, ["ana"], 1)
    backup = Backup()
    back_up_tables(lake, backup, to)
    with pytest.raises(BackupUnusable, match=r"has no manifest.json: it is no backup, or one that was not finished"):
        read(to)
    complete(backup, to)
    (data,) = [path for path in backup.files if "day=" in path]
    content = (Path(to) / data).read_bytes()
    (Path(to) / data).write_bytes(content[:-1] + b"?")
    whole = read(to)
    with pytest.raises(BackupUnusable, match="is not what was backed up"):
        restored(whole, to, "lake", tmp_path / "other")
    (Path(to) / data).write_bytes(content[:-1])
    with pytest.raises(BackupUnusable, match="1 of 2 files of the backup in .* are missing or have another size"):
        read(to)
    manifest = json.loads(objects.read_text(f"{to}/manifest.json"))
    objects.replace_text(f"{to}/manifest.json", json.dumps(manifest | {"format": 2}))
    with pytest.raises(BackupUnusable, match="not a backup of format 1"):
        read(to)


def test_a_copy_that_breaks_off_leaves_no_object(bucket: fs.S3FileSystem, tmp_path: Path) -> None:
    for location in ("s3a://music/broken/x", str(tmp_path / "broken" / "x")):
        with pytest.raises(RuntimeError), objects.writing(location) as out:
            out.write(b"half")
            raise RuntimeError
        assert not objects.exists(location)


class OneDatabase(dict[str, Any]):
    """A MongoDB with a database without collections."""

    def __enter__(self) -> OneDatabase:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def list_collection_names(self) -> list[str]:
        return []

    def list_collections(self) -> list[dict[str, Any]]:
        return []

    def __missing__(self, name: str) -> OneDatabase:
        return self


def test_an_empty_home_is_not_backed_up(to: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is another than the one that was meant."""
    monkeypatch.setattr("batch.mongo.client", lambda chosen: OneDatabase())
    with pytest.raises(WrongArgument, match=r"there is nothing to back up: no model in models.root = .*set OVERTONE_HOME"):
        back_up(settings(home=tmp_path / "other"), to)
    assert not Path(to).exists()


def test_a_place_that_takes_no_file_is_told_with_the_next_step(
    lake: Lake, to: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch.mongo.client", lambda chosen: OneDatabase())
    write(lake, ["ana"], 1)
    with pytest.raises(NotBackedUp, match="there is no backup in /proc/backup: .*No such file.*; mend that, empty the place"):
        back_up(settings(home=tmp_path), "/proc/backup")
    backup = Backup()
    back_up_tables(lake, backup, to)
    complete(backup, to)
    with pytest.raises(NotRestored, match="lake.root = /proc/home/lake is not restored: .*; mend that, empty what was"):
        restore(settings(home="/proc/home"), to)
