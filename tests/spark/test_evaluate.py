"""The report card of a model on its own library: figures of that run, one self-contained page."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from batch.evaluate import NothingToMeasure, evaluate, headline
from batch.index.lsh import Index
from batch.registry import ModelUnusable
from batch.report.measures import index_quality
from batch.train import train
from batch.training import library
from batch.versions.remote_index import local_folder
from conf.settings import Settings, settings

sys.path.insert(0, str(Path(__file__).parent))
from made_features import made  # noqa: E402


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    return settings(home=tmp_path, lake={"root": str(tmp_path / "lake")}, models={"root": str(tmp_path / "models")})


def test_a_report_card_is_measured_on_the_library(
    spark: SparkSession, chosen: Settings, tmp_path: Path, few_networks: None
) -> None:
    made(spark, chosen, 60)
    model = train(spark, chosen)
    report, folder = evaluate(spark, chosen, model)
    assert folder == model.part("report")
    stored = json.loads((Path(folder) / "report.json").read_text())
    assert stored == json.loads(json.dumps(report))
    assert (stored["tracks"], stored["artists"], stored["not_in_model"], stored["gone_since"]) == (60, 6, 0, 0)

    index = stored["index"]
    assert [at_k["k"] for at_k in index["at"]] == [10, 20, 50]
    assert all(0.5 < at_k["recall"] <= 1 and 0 <= at_k["fewer_than_k"] <= 1 for at_k in index["at"])
    assert 0 < index["candidate_share"] <= 1 and index["ms_index"] > 0 and index["ms_exact"] > 0

    precision = {way["way"]: way for way in stored["precision"]["ways"]}
    uncapped = precision["index without artist cap"]
    assert uncapped["artist_filtered"] == precision["exact search, learned metric"]["artist_filtered"] == 1.0, (
        "two clusters far apart"
    )
    assert precision["as served"]["precision"] == 1.0, "the artist cap takes none with a far lower score"
    assert 0.3 < precision["random"]["artist_filtered"] < 0.7 and 0.2 < precision["popularity"]["precision"] < 0.8

    ways = stored["hubness"]["ways"]
    assert [way["way"] for way in ways][0::3] == ["plain Euclidean", "as served"]
    assert ways[-1]["in_no_list"] <= ways[0]["in_no_list"] and sum(stored["hubness"]["histogram_after"]) == 60
    assert stored["genres"]["score"]["confusion"] == [[30, 0], [0, 30]]
    assert stored["lists"]["simulated"] and 0 < stored["lists"]["coverage"] <= 1

    page = (Path(folder) / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 5
    assert not re.findall(r"(?:src|href)=.(?!data:)", page), "nothing is fetched from elsewhere"
    assert "simulated" in page and "macro-F1 1.000" in page
    assert "recall (and candidates) @10" in headline(report)

    again, elsewhere = evaluate(spark, chosen, model, tmp_path / "out")
    assert sorted(path.name for path in Path(elsewhere).iterdir()) == ["report.html", "report.json"]
    for name in ("precision", "hubness", "genres", "lists", "space"):
        assert again[name] == report[name], "the same model and library measure the same"

    manifest = json.loads((model.folder / "manifest.json").read_text())
    manifest["parameters"]["genre"]["depth"] = 3
    with pytest.raises(ModelUnusable, match="unknown hyperparameters .* depth; this version knows"):
        evaluate(spark, chosen, replace(model, manifest=manifest))
    (model.folder / "similar").rename(tmp_path / "elsewhere")
    with pytest.raises(ModelUnusable, match=r"'similar' of model .* cannot be read: it is missing; train again"):
        evaluate(spark, chosen, model)


def test_of_a_large_library_labels_are_measured_among_a_sample_and_the_index_whole(
    spark: SparkSession, chosen: Settings, monkeypatch: pytest.MonkeyPatch, few_networks: None
) -> None:
    made(spark, chosen, 60)
    monkeypatch.setattr(library, "FITTED_TRACKS", 36)
    model = train(spark, chosen)
    report, folder = evaluate(spark, chosen, model)
    assert (report["tracks"], report["measured_tracks"], report["artists"]) == (60, 36, 6)
    assert (report["not_in_model"], report["gone_since"]) == (0, 0)
    whole = index_quality(Index.open(local_folder(model.index_place), as_trained=True))
    assert (report["index"]["at"], report["index"]["queries"]) == (whole["at"], 60)
    assert [way["tracks"] for way in report["hubness"]["ways"]] == [36, 36, 36, 60]
    assert report["precision"]["queries"] == report["genres"]["score"]["tracks"] == 36
    page = (Path(folder) / "report.html").read_text()
    assert "60 tracks by 6 artists" in page and "all else is measured among 36 tracks, drawn by albums" in page


def test_a_library_without_genres_and_smaller_than_ten_and_a_model_of_another_library(
    spark: SparkSession, chosen: Settings, tmp_path: Path
) -> None:
    made(spark, chosen, 6, genres=[None] * 6)
    model = train(spark, chosen)
    report, folder = evaluate(spark, chosen, model)
    assert (report["precision"], report["genres"], report["index"]["at"]) == (None, None, [])
    page = (Path(folder) / "report.html").read_text()
    assert "nothing to measure" in page and "there is no genre network" in page

    other = settings(home=tmp_path, lake={"root": str(tmp_path / "other")}, models={"root": chosen.models.root})
    made(spark, other, 1)
    with pytest.raises(NothingToMeasure, match=r"run \./spark-submit\.sh batch/train\.py"):
        evaluate(spark, other, model)
