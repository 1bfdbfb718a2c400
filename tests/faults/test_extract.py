"""Two hundred spoiled files, and an extraction that is killed twelve times."""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from killed_extraction import killed_after, run_to_the_end, tables  # noqa: E402
from mutated_files import mutated_files, whole_file  # noqa: E402


def test_two_hundred_spoiled_files_are_tracks_or_told(tmp_path: Path) -> None:
    music = tmp_path / "music"
    mutated_files(music / "spoiled", 200, seed=7)
    for number in range(8):
        whole_file(music / f"good {number}.flac", 1000 + number)
    printed = run_to_the_end(music, tmp_path / "home")
    counts = re.search(r"(\d+) extracted, 0 unchanged, (\d+) rejected", printed)
    assert counts and int(counts[1]) + int(counts[2]) == 208, printed
    after = tables(tmp_path / "home")
    paths = {path for row in after["tracks"] for path in (row["path"], *row["other_paths"])}
    assert len(paths) == int(counts[1]) and len(after["rejected_tracks"]) == int(counts[2]) > 0
    assert {f"good {number}" for number in range(8)} <= {row["title"] for row in after["tracks"]}
    assert all(row["reason"] and row["detail"] for row in after["rejected_tracks"])


def test_an_extraction_killed_again_and_again_ends_with_the_same_tables(tmp_path: Path) -> None:
    music = tmp_path / "music"
    mutated_files(music / "spoiled", 30)
    for number in range(30):
        whole_file(music / f"{number}.flac", number)
    run_to_the_end(music, tmp_path / "whole")
    kills = 0
    for commits in range(1, 13):
        kills += killed_after(commits, ("features", "tracks")[commits % 2], music, tmp_path / "killed")
    run_to_the_end(music, tmp_path / "killed")
    assert kills >= 8
    assert tables(tmp_path / "killed") == tables(tmp_path / "whole")
