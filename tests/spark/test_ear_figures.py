"""What the manifest says of the trained ear."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from batch.audio.features import EXTRACTOR_VERSION
from batch.ear import graph
from batch.library.ear_figures import ear_figures
from batch.library.extraction import FEATURES_OF_CONTENT
from conf.settings import Lake, Library, settings

NAN, MEMORY = "the trained ear's answer is not all finite numbers", "out of memory"


def test_the_commonest_problem_the_tracks_without_and_the_short_ones_are_told(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(root=str(tmp_path / "lake"))
    chosen = settings(lake=lake, library=Library(ear="musicnn"))
    embedding = [0.5] * 200
    heard = [("a", embedding, 2.0), ("b", embedding, 3.5), ("c", embedding, None)]
    unheard = [("d", None, 9.0), ("e", None, 9.0), ("f", None, 1.0)]
    published = [("g", None, None, "fma-mfcc20/1")]
    schema = "track_id string, embedding array<float>, duration_s double, extractor_version string"
    rows = [(name, [0.0], "v", found, None, None, None) for name, found, _ in heard]
    problems = {"d": NAN, "e": MEMORY, "f": NAN, "of another library": MEMORY, "and another": MEMORY}
    rows += [(name, [0.0], "v", None, None, problem, None) for name, problem in problems.items()]
    spark.createDataFrame(rows, FEATURES_OF_CONTENT).coalesce(1).write.format("delta").save(lake.table("features"))

    audio = [(*row, EXTRACTOR_VERSION) for row in (*heard, *unheard)]
    tracks = spark.createDataFrame(audio + published, schema).coalesce(1).cache()
    expected = {"ear_problem": NAN, "tracks_without_ear": 3, "tracks_heard_repeated": 1}
    assert ear_figures(spark, tracks, chosen) == expected
    assert ear_figures(spark, tracks.where("track_id in ('b', 'c')"), chosen) == {}
    assert ear_figures(spark, tracks, settings(lake=lake, library=Library(ear="none"))) == {}

    file = tmp_path / graph.FILE_NAME
    monkeypatch.setattr(graph, "default_place", lambda: file)
    lost = ear_figures(spark, tracks.where("track_id = 'd'"), chosen)
    assert lost == {
        "ear_problem": f"no file {file}; .venv/bin/python -m batch.ear.graph makes it",
        "tracks_without_ear": 1,
    }
