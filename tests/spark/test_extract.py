"""A made library becomes tables; looked at again, it changes nothing; changed, it changes just that."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from batch.audio.features import EXTRACTOR_VERSION, N_FEATURES, clip, features
from batch.ear.network import EAR_VERSION
from batch.extract import ExtractionSummary, LibraryScan, extract
from batch.lake import version
from batch.library.listing import library_files
from conf.settings import Lake, settings

RATE = 22_050
TABLES = ("tracks", "features", "rejected_tracks")
SECONDS = 1.2


def tone(path: Path, hertz: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(int(SECONDS * RATE)) / RATE
    soundfile.write(path, (0.4 * np.sin(2 * np.pi * hertz * t)).astype(np.float32), RATE)
    return path


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Six clips, one of them twice, and four files that cannot be used."""
    root = tmp_path.resolve() / "music"
    tone(root / "Ana" / "First" / "one.wav", 220)
    tone(root / "Ana" / "First" / "two.flac", 330)
    tone(root / "Ben" / "three.ogg", 440)
    for name, hertz in [("four.wav", 550), ("five.wav", 660), ("six.wav", 770)]:
        tone(root / name, hertz)
    shutil.copy(root / "six.wav", root / "six again.wav")
    (root / "empty.mp3").write_bytes(b"")
    (root / "text.mp3").write_text("la la la\n" * 100)
    soundfile.write(root / "silent.wav", np.zeros(2 * RATE, dtype=np.float32), RATE)
    (root / "broken.mp3").symlink_to("nowhere.mp3")
    return root


def test_tables_follow_the_library(spark: SparkSession, music: Path, tmp_path: Path) -> None:
    lake = Lake(root=str(tmp_path / "lake"))

    def run() -> ExtractionSummary:
        return extract(spark, LibraryScan(*library_files(str(music))), settings(lake=lake))

    def rows(name: str) -> list[dict]:  # type: ignore[type-arg]
        return [row.asDict(recursive=True) for row in spark.read.format("delta").load(lake.table(name)).collect()]

    def versions() -> list[int | None]:
        return [version(spark, lake.table(name)) for name in TABLES]

    def by_title() -> dict[str, dict]:  # type: ignore[type-arg]
        return {row["title"]: row for row in rows("tracks") if row["gone_at"] is None}

    # The first time all is read.
    assert str(run()) == "7 extracted, 0 unchanged, 4 rejected"
    first = by_title()
    # `six again` is the first of its two files by name
    assert sorted(first) == ["five", "four", "one", "six again", "three", "two"]
    assert first["six again"]["other_paths"] == [str(music / "six.wav")]
    artists_and_albums = [(first[title]["artist"], first[title]["album"]) for title in ("one", "three", "four")]
    assert artists_and_albums == [("Ana", "First"), ("Ben", None), (None, None)]
    assert first["one"]["duration_s"] == pytest.approx(SECONDS)
    vectors = {row["track_id"]: row for row in rows("features")}
    assert vectors.keys() == {track["track_id"] for track in first.values()}
    assert {row["extractor_version"] for row in vectors.values()} == {f"{EXTRACTOR_VERSION}+{EAR_VERSION}"}
    assert {len(row["embedding"]) for row in vectors.values()} == {200}
    vector = vectors[first["one"]["track_id"]]["vector"]
    assert len(vector) == N_FEATURES
    np.testing.assert_allclose(vector, features(clip(first["one"]["path"])[0]), rtol=1e-4, atol=1e-4)
    assert {Path(row["path"]).name: row["reason"] for row in rows("rejected_tracks")} == {
        "empty.mp3": "empty",
        "text.mp3": "not audio",
        "silent.wav": "silent",
        "broken.mp3": "broken link",
    }

    # The second time nothing is.
    before = versions()
    assert str(run()) == "0 extracted, 7 unchanged, 4 rejected"
    assert versions() == before

    # One is changed, one moved, one removed, one that was refused is good by now.
    tone(music / "four.wav", 555)
    os.utime(music / "four.wav", ns=(1, 1))
    (music / "five.wav").rename(music / "Ben" / "cinq.wav")
    (music / "Ana" / "First" / "two.flac").unlink()
    (music / "text.mp3").unlink()
    tone(music / "silent.wav", 880)
    assert str(run()) == "3 extracted, 4 unchanged, 2 rejected, 1 gone"
    now = by_title()
    assert sorted(now) == ["cinq", "four", "one", "silent", "six again", "three"]
    assert now["cinq"]["track_id"] == first["five"]["track_id"]
    assert (now["cinq"]["artist"], now["cinq"]["found_at"]) == ("Ben", first["five"]["found_at"])
    assert now["four"]["track_id"] == first["four"]["track_id"]
    assert now["four"]["sha256"] != first["four"]["sha256"]
    (deleted,) = [row for row in rows("tracks") if row["gone_at"] is not None]
    assert (deleted["track_id"], deleted["title"]) == (first["two"]["track_id"], "two")
    changed = {row["track_id"]: row["vector"] for row in rows("features")}[now["four"]["track_id"]]
    np.testing.assert_allclose(changed, features(clip(music / "four.wav")[0]), rtol=1e-4, atol=1e-4)
    assert sorted(Path(row["path"]).name for row in rows("rejected_tracks")) == ["broken.mp3", "empty.mp3"]

    # What was away comes back with the id it had.
    tone(music / "back.flac", 330)
    assert str(run()) == "1 extracted, 7 unchanged, 2 rejected"
    assert by_title()["back"]["track_id"] == first["two"]["track_id"]

    # A run that was killed between features and tracks may leave features of a content that the track no longer has.
    before = {row["track_id"]: row["vector"] for row in rows("features")}
    track_id = by_title()["back"]["track_id"]
    stored = DeltaTable.forPath(spark, lake.table("features"))
    wrong = {"sha256": F.lit("another content's"), "vector": F.lit([0.5] * N_FEATURES).cast("array<float>")}
    stored.update(F.col("track_id") == track_id, wrong)
    assert str(run()) == "1 extracted, 7 unchanged, 2 rejected"
    assert {row["track_id"]: row["vector"] for row in rows("features")} == before
