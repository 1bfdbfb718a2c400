"""Small files of a table written together, and its log kept short."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from batch.storage import compaction
from batch.storage.compaction import MOST_SMALL_FILES, compact, compact_when_due


def write(location: str, numbers: range) -> None:
    for number in numbers:
        write_deltalake(location, pa.table({"number": [number]}), mode="append")


def test_a_table_is_compacted_when_it_has_many_small_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few, many, damaged = (str(tmp_path / name) for name in ("few", "many", "damaged"))
    write(few, range(MOST_SMALL_FILES))
    write(many, range(MOST_SMALL_FILES + 1))
    write(damaged, range(1))
    (Path(damaged) / "_delta_log" / f"{0:020}.json").write_text("{broken")
    compact_when_due([damaged, few, str(tmp_path / "none"), many])
    assert len(DeltaTable(few).file_uris()) == MOST_SMALL_FILES
    assert len(DeltaTable(many).file_uris()) == 1
    assert sorted(DeltaTable(many).to_pyarrow_table()["number"].to_pylist()) == list(range(MOST_SMALL_FILES + 1))
    assert "damaged cannot be compacted now" in capsys.readouterr().out


def test_a_long_log_is_kept_for_a_week(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "LONG_LOG_COMMITS", 5)
    location = str(tmp_path / "table")
    write(location, range(5))
    compact(DeltaTable(location))
    assert DeltaTable(location).metadata().configuration == {}
    write(location, range(5, 9))
    compact(DeltaTable(location))
    assert DeltaTable(location).metadata().configuration == {"delta.logRetentionDuration": "interval 7 days"}
    log = [file.name for file in (Path(location) / "_delta_log").iterdir()]
    assert any(name.endswith(".checkpoint.parquet") for name in log), "what has expired can go"
    assert sorted(DeltaTable(location).to_pyarrow_table()["number"].to_pylist()) == list(range(9))
