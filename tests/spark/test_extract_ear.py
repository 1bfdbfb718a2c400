"""What the trained ear hears is added to a library of an earlier version, without its features being computed anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from batch.audio.features import EXTRACTOR_VERSION, track
from batch.ear import graph, network
from batch.ear.network import EAR_VERSION
from batch.extract import ExtractionSummary, LibraryScan, extract
from batch.lake import version
from batch.library.listing import library_files
from conf.settings import Lake, Library, settings

RATE = 22_050
BOTH = f"{EXTRACTOR_VERSION}+{EAR_VERSION}"
MARK = 0.5
"""Of vectors that no extraction gives: a row that has it was not computed anew."""


def chord(path: Path, hertz: float) -> Path:
    t = np.arange(4 * RATE) / RATE
    soundfile.write(path, 0.2 * np.sin(2 * np.pi * hertz * t) + 0.2 * np.sin(3 * np.pi * hertz * t), RATE)
    return path


def test_an_upgraded_library_gets_what_the_ear_hears_and_keeps_its_vectors(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path.resolve() / "music"
    root.mkdir()
    for number in range(4):
        chord(root / f"{number}.flac", 200.0 + 50 * number)
    (root / "text.mp3").write_text("la la la\n" * 100)
    lake = Lake(root=str(tmp_path / "lake"))
    location = lake.table("features")

    def run(ear: str) -> ExtractionSummary:
        scan = LibraryScan(*library_files(str(root)))
        return extract(spark, scan, settings(lake=lake, library=Library(root=str(root), ear=ear)))

    def rows() -> dict[str, dict]:  # type: ignore[type-arg]
        path_by_id = {row.track_id: row.path for row in spark.read.format("delta").load(lake.table("tracks")).collect()}
        stored = spark.read.format("delta").load(location).collect()
        return {Path(path_by_id[row.track_id]).stem: row.asDict() for row in stored}

    # A table as earlier versions wrote it, with vectors that can be told from computed ones.
    assert str(run("none")) == "4 extracted, 0 unchanged, 1 rejected"
    old = spark.read.format("delta").load(location).drop("embedding", "tags", "ear_problem")
    old.withColumn("vector", F.array_repeat(F.lit(MARK).cast("float"), 189)).write.format("delta").mode(
        "overwrite"
    ).option("overwriteSchema", "true").save(location)
    assert sorted(rows()["0"]) == ["extractor_version", "sha256", "track_id", "vector"]

    # The ear is added; the file that was rejected is not tried again.
    chord(root / "new.flac", 500.0)
    assert str(run("musicnn")) == ("1 extracted, 4 unchanged, 1 rejected, 4 heard by the trained ear besides")
    heard = rows()
    assert {row["extractor_version"] for row in heard.values()} == {BOTH}
    ear = network.loaded(graph.default_place())
    for name, row in heard.items():
        expected = track(root / f"{name}.flac", 30.0, ear)
        np.testing.assert_allclose(row["embedding"], expected.embedding, rtol=0, atol=1e-5)
        np.testing.assert_allclose(row["tags"], expected.tags, rtol=0, atol=1e-5)
        vector = expected.vector if name == "new" else np.full(189, MARK)
        np.testing.assert_allclose(row["vector"], vector, rtol=1e-4, atol=1e-4)

    # Then there is nothing to do, with the ear and without it.
    before = version(spark, location)
    assert str(run("musicnn")) == "0 extracted, 5 unchanged, 1 rejected"
    assert str(run("none")) == "0 extracted, 5 unchanged, 1 rejected"
    assert version(spark, location) == before

    # A run that was ended midway has left tracks without it: the next one hears those.
    table = DeltaTable.forPath(spark, location)
    missing = {"extractor_version": F.lit(EXTRACTOR_VERSION), "embedding": F.lit(None), "tags": F.lit(None)}
    table.update(F.col("track_id") == heard["2"]["track_id"], missing)
    assert str(run("musicnn")) == "0 extracted, 5 unchanged, 1 rejected, 1 heard by the trained ear besides"
    assert rows() == heard

    # What an earlier ear heard is heard again.
    earlier = {
        "extractor_version": F.lit(f"{EXTRACTOR_VERSION}+musicnn-msd/1"),
        "embedding": F.array_repeat(F.lit(MARK).cast("float"), 200),
    }
    table.update(F.col("track_id") == heard["1"]["track_id"], earlier)
    assert str(run("musicnn")) == "0 extracted, 5 unchanged, 1 rejected, 1 heard by the trained ear besides"
    assert rows() == heard

    # Without the graph all goes on with MFCCs, said so; what was heard before stays.
    monkeypatch.setattr(graph, "default_place", lambda: tmp_path / graph.FILE_NAME)
    chord(root / "2.flac", 900.0)
    problem = f"no file {tmp_path / graph.FILE_NAME}; .venv/bin/python -m batch.ear.graph makes it"
    assert str(run("musicnn")) == (f"1 extracted, 4 unchanged, 1 rejected; no trained ear, MFCCs alone: {problem}")
    after = rows()
    assert (after["2"]["extractor_version"], after["2"]["embedding"], after["2"]["tags"]) == (
        EXTRACTOR_VERSION,
        None,
        None,
    )
    assert after["3"] == heard["3"]
