"""Killed between any two commits and run again, extraction ends with the tables of an uninterrupted run."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from batch import extract
from batch.library import chunks

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from killed_extraction import FILES_PER_COMMIT, killed_after, tables  # noqa: E402
from mutated_files import mutated_files, whole_file  # noqa: E402


def test_a_killed_extraction_carries_on_from_what_it_had(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    music = tmp_path / "music"
    mutated_files(music / "spoiled", 5)
    good = [whole_file(music / f"{number}.flac", number) for number in range(6)]
    shutil.copy(good[0], music / "twice.flac")
    monkeypatch.setattr(chunks, "MOST_FILES", FILES_PER_COMMIT)

    def run_to_the_end(home: Path) -> str:
        monkeypatch.setenv("OVERTONE_HOME", str(home))
        code = extract.main(["--library", str(music)])
        printed = "".join(capsys.readouterr())
        assert code == 0, printed
        return printed

    run_to_the_end(tmp_path / "whole")
    # the features of the second chunk are written, its tracks are not
    assert killed_after(2, "features", music, tmp_path / "killed")
    printed = run_to_the_end(tmp_path / "killed")
    assert " unchanged" in printed and " 0 unchanged" not in printed
    assert tables(tmp_path / "killed") == tables(tmp_path / "whole")
