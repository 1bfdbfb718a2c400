"""Which parts of a file are made, and that the trained ear never costs a file its features."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from batch.audio.features import EXTRACTOR_VERSION, extractor_version
from batch.audio.worker import WorkerTerminated
from batch.ear import graph
from batch.ear.network import EAR_VERSION
from batch.library import extraction
from batch.library.extraction import outcome, read_file
from batch.library.parts import EAR, VECTOR, Readers, are_enough_embedded
from batch.training import library as training_library

RATE = 22_050


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "song.wav"
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 220 * np.arange(4 * RATE) / RATE), RATE)
    return path


def made(song: Path, known: dict[str, frozenset[str]], ear_graph: str = str(graph.default_place())) -> dict[str, Any]:
    file = {"path": str(song), "size": song.stat().st_size, "mtime_ns": 1, "ctime_ns": None, "sha256": None}
    return outcome(file, str(song.parent), known, 30.0, ear_graph)


def test_only_the_parts_that_are_missing_are_made(song: Path) -> None:
    new = made(song, {})
    assert (len(new["vector"]), len(new["embedding"]), len(new["tags"]), new["ear"]) == (189, 200, 50, EAR_VERSION)
    assert (new["title"], new["duration_s"], new["reason"], new["ear_problem"]) == ("song", 4.0, None, None)

    upgraded = made(song, {new["sha256"]: frozenset({VECTOR})})
    assert (upgraded["vector"], upgraded["duration_s"], upgraded["ear"]) == (None, None, EAR_VERSION)
    np.testing.assert_array_equal(upgraded["embedding"], new["embedding"])

    known = made(song, {new["sha256"]: frozenset({VECTOR, EAR})})
    assert (known["vector"], known["embedding"], known["ear"], known["title"]) == (None, None, None, "song")

    without = made(song, {}, "")
    assert (without["embedding"], without["ear"], without["ear_problem"]) == (None, None, None)
    np.testing.assert_array_equal(without["vector"], new["vector"])


def test_a_worker_without_the_graph_makes_the_features_and_says_why_there_is_no_more(
    song: Path, tmp_path: Path
) -> None:
    columns = read_file("parts", str(song), "", 30.0, frozenset({VECTOR, EAR}), str(tmp_path / "gone.onnx"))
    assert len(columns["vector"]) == 189 and "ear" not in columns and "embedding" not in columns
    assert columns["ear_problem"].startswith(f"no file {tmp_path / 'gone.onnx'}")


@pytest.mark.parametrize(
    ("error", "problem"),
    [(WorkerTerminated("crashed", "by SIGSEGV"), "crashed: by SIGSEGV"), (MemoryError(), "out of memory")],
)
def test_a_file_on_which_the_ear_fails_is_read_without_it(
    song: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, problem: str
) -> None:
    def worker(task: str, path: str, root: str = "", middle_s: float | None = None, parts: frozenset[str] = frozenset(),
               ear_graph: str = "", *, limit_s: float) -> Any:  # fmt: skip
        if EAR in parts:
            raise error
        return read_file(task, path, root, middle_s, parts, ear_graph)

    monkeypatch.setattr(extraction, "_worker", lambda _ear_graph: worker)
    row = made(song, {})
    assert (len(row["vector"]), row["ear"], row["ear_problem"], row["reason"]) == (189, EAR_VERSION, problem, None)


def test_parts_are_up_to_date_by_the_version_of_their_reader() -> None:
    readers, both = Readers(EXTRACTOR_VERSION, EAR_VERSION), frozenset({VECTOR, EAR})
    assert readers.parts == both and Readers(EXTRACTOR_VERSION).parts == {VECTOR}
    assert readers.current_parts(extractor_version(30.0, EAR_VERSION)) == both
    assert readers.current_parts(EXTRACTOR_VERSION) == {VECTOR}
    assert readers.current_parts(f"{EXTRACTOR_VERSION}+other-ear/1") == {VECTOR}
    assert readers.current_parts(extractor_version(None, EAR_VERSION)) == {EAR}
    assert readers.current_parts("fma-mfcc20/1") == frozenset()
    assert Readers(EXTRACTOR_VERSION).current_parts(extractor_version(30.0, EAR_VERSION)) == {VECTOR}


def test_a_message_that_quotes_a_files_bytes_fits_into_a_table(song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def worker(*_: Any, limit_s: float) -> Any:
        raise ValueError(f"tag \udcff\ud800 {'x' * 5000}")

    monkeypatch.setattr(extraction, "_worker", lambda _ear_graph: worker)
    row = made(song, {}, "")
    assert row["reason"] == "failed" and row["detail"].startswith("ValueError: tag ?? xxx")
    assert len(row["detail"]) == 1000 and row["detail"].encode("utf-8")


@pytest.mark.parametrize(
    ("embedded", "tracks", "is_enough"),
    [(3, 3, True), (2, 3, True), (1, 3, False), (1, 2, False), (0, 1, False), (198, 200, True), (197, 200, False)],
)
def test_one_track_that_was_not_heard_keeps_the_ear_from_no_small_library(
    embedded: int, tracks: int, is_enough: bool
) -> None:
    assert are_enough_embedded(embedded, tracks) is is_enough
    has_embedding = np.arange(tracks) < embedded
    ear, is_embedded = training_library._chosen_ear(np.full(tracks, "musicnn-msd/1"), has_embedding)
    assert ear == ("musicnn-msd/1" if is_enough else None)
    assert is_embedded.tolist() == (has_embedding if is_enough else np.zeros(tracks, dtype=bool)).tolist()


def test_decoders_are_loaded_before_the_memory_of_files_is_limited() -> None:
    script = "import sys; from batch.library.extraction import warm_up; warm_up(''); print(*sys.modules)"
    options: dict[str, Any] = {"capture_output": True, "text": True, "check": True}
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    warm = subprocess.run([sys.executable, "-P", "-c", script], env=environment, **options)  # noqa: S603
    assert {"av", "soundfile", "mutagen", "librosa"} <= set(warm.stdout.split())
