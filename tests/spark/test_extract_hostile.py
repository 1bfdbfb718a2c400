"""Files that hang, kill or mislead their reader cost themselves and nothing else."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from batch.extract import LibraryScan, extract
from batch.library import extraction
from batch.library.listing import library_files
from conf.settings import Lake, settings

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from mutated_files import mutated_files, whole_file  # noqa: E402


def rejected(spark: SparkSession, lake: Lake) -> dict[str, str]:
    rows = spark.read.format("delta").load(lake.table("rejected_tracks")).collect()
    return {Path(row.path).name: f"{row.reason}: {row.detail}" for row in rows}


def titles(spark: SparkSession, lake: Lake) -> list[str]:
    return sorted(row.title for row in spark.read.format("delta").load(lake.table("tracks")).collect())


def test_twenty_spoiled_files_are_tracks_or_told_and_the_good_ones_are_all_there(
    spark: SparkSession, tmp_path: Path
) -> None:
    music = tmp_path / "music"
    spoiled = mutated_files(music / "spoiled", 20)
    good = [whole_file(music / f"good {number}.flac", 900 + number) for number in range(3)]
    lake = Lake(root=str(tmp_path / "lake"))
    summary = extract(spark, LibraryScan(*library_files(str(music))), settings(lake=lake))
    refused = rejected(spark, lake)
    assert summary.extracted + summary.rejected == len(spoiled) + len(good)
    assert summary.rejected == len(refused) > 0
    assert {path.stem for path in good} <= set(titles(spark, lake))
    assert all(text.partition(": ")[2] for text in refused.values())


def test_a_file_that_hangs_or_kills_its_reader_costs_that_file(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    music = tmp_path / "music"
    music.mkdir()
    for number in range(4):
        whole_file(music / f"good {number}.flac", number)
    for name in ("hangs.mp3", "kills.mp3"):
        whole_file(music / name, 50)
    scan = LibraryScan(*library_files(str(music)))
    for name in ("hangs.mp3", "kills.mp3"):  # a pipe into which nobody writes: whoever opens it waits for ever
        (music / name).unlink()
        os.mkfifo(music / name)
    monkeypatch.setattr(extraction, "BASE_TIMEOUT_S", 6.0)
    killer = threading.Thread(target=kill_the_reader_of, args=(music / "kills.mp3",), daemon=True)
    killer.start()
    lake = Lake(root=str(tmp_path / "lake"))
    assert str(extract(spark, scan, settings(lake=lake))) == "4 extracted, 0 unchanged, 2 rejected"
    assert titles(spark, lake) == [f"good {number}" for number in range(4)]
    assert rejected(spark, lake) == {
        "hangs.mp3": "timeout: not done after 6 s; the process that read it was ended",
        "kills.mp3": "crashed: the process that read it was ended by SIGSEGV",
    }


def kill_the_reader_of(pipe: Path) -> None:
    """Waits until a reading process opens the pipe, then ends it as a broken decoder would.

    The other end is opened without waiting, which fails while nobody reads. It lets the reader go on to its first read, and
    only then does the system show which process has the pipe open.
    """
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            end = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.02)
            continue
        for process in Path("/proc").glob("[0-9]*/fd/*"):
            try:
                if os.readlink(process) == str(pipe) and int(process.parts[2]) != os.getpid():
                    os.kill(int(process.parts[2]), signal.SIGSEGV)
                    os.close(end)
                    return
            except OSError:
                continue
        time.sleep(0.05)
