"""Killed between any two commits and run again, extraction ends with the tables of an uninterrupted run."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from killed_extraction import killed_after, run_to_the_end, tables  # noqa: E402
from mutated_files import mutated_files, whole_file  # noqa: E402


def test_a_killed_extraction_carries_on_from_what_it_had(tmp_path: Path) -> None:
    music = tmp_path / "music"
    mutated_files(music / "spoiled", 5)
    good = [whole_file(music / f"{number}.flac", number) for number in range(6)]
    shutil.copy(good[0], music / "twice.flac")

    run_to_the_end(music, tmp_path / "whole")
    # the features of the second chunk are written, its tracks are not
    assert killed_after(2, "features", music, tmp_path / "killed")
    said = run_to_the_end(music, tmp_path / "killed")
    assert " unchanged" in said and " 0 unchanged" not in said
    assert tables(tmp_path / "killed") == tables(tmp_path / "whole")
