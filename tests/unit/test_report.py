"""The report card's figures and page, and the jobs' summaries, on generated libraries; without Spark."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from batch import registry, train
from batch.evaluate import checked, headline, main, measured_library
from batch.index.building import build_index, with_local_scales
from batch.index.lsh import Index
from batch.index.projection import FeaturesUnfit
from batch.index.tuning import HashParameters, default_parameters, random_projection
from batch.library.labels import track_labels
from batch.model import sweep
from batch.model.genre_mlp import SHARED_TRACKS, Hyperparameters
from batch.registry import Model
from batch.report import figures, measures
from batch.report.html import page
from batch.report.measures import (
    MeasuredLibrary,
    genre_precision,
    hubness,
    index_quality,
    simulated_lists,
)
from batch.report.spaces import spaces
from batch.training.library import Library
from batch.training.training_set import TrainingSet

D = 6


def library(n: int = 120, width: float = 2.0, artists: int = 30, genres: int = 3) -> MeasuredLibrary:
    rng = np.random.default_rng(1)
    points = (rng.normal(0, 2, (12, D))[np.arange(n) % 12] + rng.normal(0, 1, (n, D))).astype(np.float32)
    artist_names = [f"artist {row % artists}" if artists else None for row in range(n)]
    genre_names = [f"genre {row % genres}" if genres else None for row in range(n)]
    space = random_projection(HashParameters(4, 8, D), np.eye(D, dtype=np.float32), width, 3)
    whole = with_local_scales(build_index([f"t{row:03d}" for row in range(n)], points, artist_names, space))
    labels = track_labels(artist_names, [None] * n, genre_names)
    return MeasuredLibrary(whole, points, labels, [f"genre {code}" for code in range(genres)])


def text_of(html: str) -> str:
    """Line breaks of the template as blanks."""
    return " ".join(html.split())


def lists_of(measured: MeasuredLibrary) -> np.ndarray:
    lists = np.full((len(measured.index), 10), -1)
    for row, (neighbours, _) in enumerate(measured.index.similar(np.arange(len(measured.index)), 10)):
        lists[row, : len(neighbours)] = neighbours
    return lists


def report(measured: MeasuredLibrary, **replaced: Any) -> dict[str, Any]:
    """As `evaluate` makes it, without the networks."""
    return {
        "model": "v",
        "measured_at": "now",
        "tracks": len(measured.index),
        "measured_tracks": len(measured.index),
        "artists": len(np.unique(measured.labels.artist[measured.labels.artist >= 0])),
        "gone_since": 0,
        "not_in_model": 0,
        "index": index_quality(measured.index),
        "precision": genre_precision(measured),
        "hubness": hubness(measured, lists_of(measured)),
        "genres": None,
        "space": {"metric": "plain", "judged": [], "blocks": {}, "ear": None, "spaces": spaces(measured)},
        "lists": simulated_lists(measured, listeners=10),
        "seconds": 1.0,
        **replaced,
    }


def test_a_query_that_is_answered_exactly_has_all_tracks_as_candidates() -> None:
    narrow = index_quality(library(width=1e-4).index)
    assert [(at_k["recall"], at_k["fewer_than_k"], at_k["candidate_share"]) for at_k in narrow["at"]] == [(1, 1, 1)] * 3
    assert narrow["candidate_share"] == 1 and narrow["candidate_share_of_bands"] < 0.02
    wide = index_quality(library(width=4.0).index)
    assert all(at_k["candidate_share"] >= wide["candidate_share_of_bands"] for at_k in wide["at"])


def test_precision_at_random_is_the_share_of_the_genre_and_all_columns_ask_as_many() -> None:
    measured = genre_precision(library(n=600, genres=4, artists=300))
    assert measured is not None and measured["queries"] == 500
    random = next(way for way in measured["ways"] if way["way"] == "random")
    assert random["precision"] == pytest.approx(0.25, abs=0.03)
    assert random["artist_filtered"] == pytest.approx(0.25, abs=0.03)


def test_a_genre_by_one_artist_alone_counts_zero_with_the_artist_filter() -> None:
    three_artists = library(artists=3, genres=3)
    measured = genre_precision(three_artists)
    assert measured is not None and measured["queries_with_a_fellow_by_another_artist"] == 0
    assert {way["artist_filtered"] for way in measured["ways"]} == {0.0}
    assert "0 of the 120 have another artist's track of their genre" in text_of(page(report(three_artists), {}))


def test_hubs_before_and_after_are_of_lists_among_the_same_tracks(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = library()
    whole = hubness(measured, lists_of(measured))
    assert (whole["before"]["way"], whole["after"]["way"]) == ("plain Euclidean", "as served")
    monkeypatch.setattr(measures, "MAX_TRACKS_COMPARED", 50)
    part = hubness(measured, lists_of(measured))
    assert part["before"]["tracks"] == part["after"]["tracks"] == 50
    assert part["after"]["way"] == "learned metric, local scaling" and part["ways"][-1]["tracks"] == 120
    assert sum(part["histogram_before"]) == sum(part["histogram_after"]) == 50
    card = report(measured, hubness=part)
    assert "hubness among 50 of them: skew" in headline(card)
    assert "The first three are lists among 50 of the tracks" in text_of(page(card, {}))


def test_a_library_without_artists_and_of_ten_tracks_has_no_holes_in_its_sentences() -> None:
    card = report(library(n=10, artists=0, genres=0))
    assert card["lists"]["artists_among_ten"] is None
    text = page(card, {})
    assert "10 tracks, none of which names an artist" in text and "by 0 artists" not in text
    assert "<td>artists among the first ten</td><td>–</td>" in text
    assert headline(card).startswith("10 tracks: hubness: skew")


def test_tracks_gone_or_new_since_the_training_are_counted() -> None:
    text = page(report(library(n=30), gone_since=3, not_in_model=1200), {})
    assert "(3 gone since the training, 1,200 not in the model; not measured)" in text


@pytest.mark.parametrize("shares", [True, False])
def test_hyperparameters_chosen_on_the_tracks_that_are_tested_are_noted(shares: bool) -> None:
    score = {"accuracy": 1.0, "macro_f1": 1.0, "tracks": 9, "majority": 0.5, "how": "folds", "recall": {"a": 1.0}}
    genres = {"score": score, "shape_chosen_on": SHARED_TRACKS, "shape_shares_tracks": shares}
    assert ("slightly optimistic" in page(report(library(n=30), genres=genres), {})) == shares


def test_too_few_artists_to_measure_is_noted_instead_of_a_score() -> None:
    card = report(library(n=30), genres={"score": None, "shape_chosen_on": None, "shape_shares_tracks": False})
    assert "Too few artists to measure" in page(card, {}) and "accuracy" not in headline(card)


def dataset(ids: list[str], vectors: np.ndarray, extractor: str = "mfcc/1") -> TrainingSet:
    missing: list[str | None] = [None] * len(ids)
    return TrainingSet(
        ids, vectors.astype(np.float32), missing, missing, missing, None, extractor, [], missing, [None] * len(ids)
    )


def test_only_tracks_that_are_in_library_and_model_are_measured(tmp_path: Path) -> None:
    whole = library(n=20)
    whole.index.save(tmp_path / "index")
    ids = [*whole.index.ids[:15].tolist(), "x1", "x2"]
    stored = Index.open(tmp_path / "index", as_trained=True)
    measured = measured_library(dataset(ids, whole.standardised[:17]), stored, "v")
    assert measured.index.ids.tolist() == ids[:15]
    np.testing.assert_array_equal(measured.standardised, whole.index.projection.standardised(whole.standardised[:15]))
    assert np.abs(measured.standardised).sum(axis=1).min() > 0, "no track of zeros"


def test_features_of_another_kind_than_the_models_are_refused() -> None:
    model = Model("v", Path(), {"extractor_version": "mfcc/1", "dimensions": 6})
    assert checked(dataset(["a"], np.zeros((1, 6))), model).extractor == "mfcc/1"
    for other in (dataset(["a"], np.zeros((1, 7))), dataset(["a"], np.zeros((1, 6)), "mfcc/2")):
        with pytest.raises(FeaturesUnfit, match=r"model v was trained on 6 by mfcc/1; run .*train\.py"):
            checked(other, model)


def test_a_model_on_vectors_alone_is_measured_without_the_embeddings_that_came_since(tmp_path: Path) -> None:
    both_blocks = np.hstack([np.ones((1, 6)), np.zeros((1, 200))])
    heard = replace(dataset(["a"], both_blocks, "mfcc/1+musicnn-msd/1"), embedding_length=200)
    manifest = {"extractor_version": "mfcc/1", "dimensions": 6}
    measured = checked(heard, registry.Model("v", tmp_path, manifest))
    assert (measured.extractor, measured.features.tolist(), measured.ear) == ("mfcc/1", [[1.0] * 6], None)
    both = {"extractor_version": "mfcc/1+musicnn-msd/1", "dimensions": 206}
    assert checked(heard, registry.Model("v", tmp_path, both)) is heard
    with pytest.raises(FeaturesUnfit, match="the library has 6 features a track by mfcc/1, model v was trained on 206"):
        checked(dataset(["a"], np.zeros((1, 6))), registry.Model("v", tmp_path, both))


def test_each_block_both_and_the_learned_metric_stand_side_by_side() -> None:
    measured = library(n=60)
    genre = measured.labels.genre
    rng = np.random.default_rng(4)
    telling = np.stack([np.cos(genre * 1.5), np.sin(genre * 1.5)], axis=1) + rng.normal(0, 0.05, (60, 2))
    two_blocks = replace(
        measured,
        standardised=np.hstack([rng.normal(0, 1, (60, 6)), telling]).astype(np.float32),
        block_lengths=(6, 2),
    )
    timbre, ear, both, learned = spaces(two_blocks)
    names = [row["space"] for row in (timbre, ear, both, learned)]
    assert names == ["MFCC and contrast alone", "trained ear alone", "both at equal length", "as learned"]
    assert ear["precision"] > 0.9 and both["precision"] > timbre["precision"] + 0.3
    assert all(row["tracks"] == 60 and 0 <= row["in_no_list"] < 1 for row in (timbre, ear, both, learned))
    one_block = spaces(measured)
    assert [row["space"] for row in one_block] == ["MFCC and contrast alone", "as learned"]


def test_a_damaged_manifest_is_work_that_cannot_be_done_not_a_wrong_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "models" / "20260101T000000.000000Z"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("[]")
    (tmp_path / "models" / "latest").write_text(folder.name)
    monkeypatch.setenv("OVERTONE_HOME", str(tmp_path))
    assert main([]) == 1
    assert "expected a JSON object, got []; train again" in capsys.readouterr().err


def test_other_defaults_and_other_features_are_another_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    two = Library(
        ids=np.array(["a", "b"]),
        artists=pa.array([None, "Ana"]).dictionary_encode(),
        durations=np.full(2, np.nan, dtype=np.float32),
        albums=np.array([1, 2]),
        hashes=np.zeros((2, 3), dtype=np.int64),
        extractor="mfcc/1",
        dimensions=6,
        ear=None,
        is_embedded=np.zeros(2, dtype=bool),
        left_out=[],
    )
    before = two.fingerprint(train.defaults(2))
    assert two.fingerprint(train.defaults(2)) == before
    others = [replace(two, hashes=np.eye(2, 3, dtype=np.int64)), replace(two, ids=np.array(["a", "c"]))]
    assert len({before, *(other.fingerprint(train.defaults(2)) for other in others)}) == 3
    unused = replace(two, hashes=np.array([[0, 0, 7], [0, 0, 8]]))
    assert unused.fingerprint(train.defaults(2)) == before, "embeddings do not count where they are not used"
    monkeypatch.setattr(train, "default_parameters", lambda tracks: HashParameters(9))
    assert two.fingerprint(train.defaults(2)) != before


@pytest.mark.parametrize("name", ["$uicide $ynth", "_hidden", "$\\frac", "a_b^c $"])
def test_a_genre_is_drawn_as_it_is_written(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    legends: list[list[str]] = []
    drawn_by = Figure.savefig

    def savefig(figure: Figure, *arguments: Any, **named: Any) -> None:
        legends.extend([text.get_text().strip() for text in legend.get_texts()] for legend in figure.legends)
        drawn_by(figure, *arguments, **named)

    monkeypatch.setattr(Figure, "savefig", savefig)
    genre = np.array([0, 1, 0, 1], dtype=np.int32)
    figures.plane(np.random.default_rng(1).random((4, 2)).astype(np.float32), genre, [name, "Folk"])
    figures.confusion([name, "Folk"], np.eye(2, dtype=np.int64))
    assert sorted(text.replace(r"\$", "$") for text in legends[0]) == sorted([name, "Folk"])


def test_a_map_without_genres_can_be_seen() -> None:
    places = np.random.default_rng(1).uniform(-1, 1, (300, 2)).astype(np.float32)
    drawn = figures.plane(places, np.full(300, -1, dtype=np.int32), [])
    pixels = imread(io.BytesIO(base64.b64decode(drawn)))[:, :, :3]
    assert (pixels.min(axis=2) < 0.3).mean() > 0.002, "dark dots"


def manifest(recall: float, tuned: bool, genre: dict[str, Any] | None) -> dict[str, Any]:
    metrics = {"recall_at_20": recall, "candidate_share": 0.1, "genre": genre}
    described = {"tracks": 9, "left_out": [], "genres": ["a", "b"], "tuned": tuned, "parameters": {"metric": "plain"}}
    return {**described, "metrics": metrics}


def test_a_training_reports_hash_tables_that_miss_the_target_and_what_to_do() -> None:
    missed = train.summary(Model("v", Path(), manifest(0.9, False, None)))
    assert "the hash tables miss their target: recall@20 0.900, target 0.9625; --tune tries other settings" in missed
    assert "too few artists to measure" in missed
    assert "no setting of the sweep does better" in train.summary(Model("v", Path(), manifest(0.9, True, None)))
    assert "miss" not in train.summary(Model("v", Path(), manifest(0.97, False, None)))


def test_settings_of_the_last_tuning_are_found_past_a_damaged_version(tmp_path: Path) -> None:
    root = str(tmp_path)
    described = {"tracks": 100, "dimensions": 6, "tuned": True}
    parameters = {**HashParameters(7).document(), "genre": {"hidden": 9}, "genre_chosen_on": None}
    for minute, values in enumerate(
        [{**described, "parameters": parameters}, {"tuned": True}, {**described, "parameters": {"genre": {"x": 1}}}]
    ):
        with registry.new_version(root, datetime(2026, 11, 23, 12, minute, tzinfo=UTC)) as new:
            registry.write_manifest(new.folder, values)
    with registry.new_version(root, datetime(2026, 11, 23, 13, tzinfo=UTC)) as new:
        (new.folder / "manifest.json").write_text("[]")
    assert sweep.last_tuned(root, (100, 6)) == sweep.Tuned(HashParameters(7), Hyperparameters(9))
    assert sweep.last_tuned(root, (100, 7)) == sweep.Tuned(default_parameters(100))


def test_names_are_escaped_in_the_page() -> None:
    score = {"accuracy": 1.0, "macro_f1": 1.0, "tracks": 9, "majority": 0.5, "how": "folds", "recall": {"<b>R&B": 1.0}}
    genres = {"score": score, "shape_chosen_on": None, "shape_shares_tracks": False}
    html = page(report(library(n=30), genres=genres, model="<i>v"), {"recall": "QUJD"})
    assert "<td>&lt;b&gt;R&amp;B</td>" in html and "Model &lt;i&gt;v" in html
    assert '<img alt="Index: recall against exact search" src="data:image/png;base64,QUJD">' in html


def test_the_page_is_made_from_the_zip_that_executors_get(tmp_path: Path) -> None:
    project = Path(__file__).resolve().parents[2]
    with zipfile.ZipFile(tmp_path / "packages.zip", "w") as archive:
        for file in (project / "batch").rglob("*"):
            if file.is_file() and file.suffix != ".pyc":
                archive.write(file, file.relative_to(project))
    (tmp_path / "report.json").write_text(json.dumps(report(library(n=30))))
    code = "import json, sys; from batch.report.html import page; print(page(json.load(open(sys.argv[1])), {}))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, "report.json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "packages.zip")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "<h1>Report card</h1>" in done.stdout


def test_evaluate_needs_a_model_before_it_starts_spark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OVERTONE_HOME", str(tmp_path))
    assert main([]) == 1
    assert "evaluate: no model in " in capsys.readouterr().err
