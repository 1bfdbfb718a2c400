"""Model versions on disk: whole or not there at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from batch import registry
from batch.ear.tag_names import TAG_NAMES
from batch.growth import append
from batch.index.building import build_index
from batch.index.lsh import Index
from batch.index.projection import Projection
from batch.model.mlp_inference import Ensemble
from batch.registry import ModelNotFound, ModelUnusable
from batch.storage.locations import hadoop_uri
from batch.words import tag_percentiles

PROJECT = Path(__file__).resolve().parents[2]
SAVED = PROJECT / "tests" / "data" / "models"
SAVED_2 = PROJECT / "tests" / "data" / "models-format-2"
SAVED_3 = PROJECT / "tests" / "data" / "models-format-3"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def make(root: Path, minutes: int, fingerprint: str) -> str:
    with registry.new_version(str(root), NOON + timedelta(minutes=minutes)) as new:
        version, folder = new.version, new.folder
        registry.write_manifest(folder, {"fingerprint": fingerprint, "note": "ü"})
    return version


def test_the_newest_version_is_the_latest(tmp_path: Path) -> None:
    first, second = make(tmp_path, 0, "one"), make(tmp_path, 1, "two")
    assert first == "20261123T120000.000000Z"
    assert registry.versions(str(tmp_path)) == [first, second]
    model = registry.latest(str(tmp_path))
    assert (model.version, model.manifest["fingerprint"], model.manifest["note"]) == (second, "two", "ü")
    assert model.parquet("similar") == f"file://{tmp_path / second / 'similar'}"


def test_a_path_for_hadoop_is_absolute_and_not_escaped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert hadoop_uri("höme mit raum/models") == f"file://{tmp_path}/höme mit raum/models"


def test_an_earlier_version_can_be_made_latest_again(tmp_path: Path) -> None:
    first, _ = make(tmp_path, 0, "one"), make(tmp_path, 1, "two")
    registry.make_latest(str(tmp_path), first)
    assert registry.latest(str(tmp_path)).version == first


def test_a_version_is_found_by_what_it_was_trained_on(tmp_path: Path) -> None:
    first, again = make(tmp_path, 0, "one"), make(tmp_path, 1, "one")
    make(tmp_path, 2, "two")
    model = registry.trained_on(str(tmp_path), "one")
    assert model is not None and model.version == again != first
    assert registry.trained_on(str(tmp_path), "three") is None


def test_a_training_that_fails_leaves_nothing_and_latest_stays(tmp_path: Path) -> None:
    first = make(tmp_path, 0, "one")
    with pytest.raises(RuntimeError), registry.new_version(str(tmp_path), NOON + timedelta(hours=1)) as new:
        folder = new.folder
        (folder / "half").write_text("done")
        raise RuntimeError
    assert sorted(path.name for path in tmp_path.iterdir()) == [first, "latest"]
    assert registry.latest(str(tmp_path)).version == first


def test_an_abandoned_version_is_removed_by_the_next_training(tmp_path: Path) -> None:
    left, older = tmp_path / ".20261122T000000.000000Z.part", tmp_path / ".20261121T000000.000000Z.part"
    for folder in (left, older):
        folder.mkdir()
    (left / ".lock").touch()
    os.utime(older, (0, 0))  # of a version of this program that had no lock
    version = make(tmp_path, 0, "one")
    assert sorted(path.name for path in tmp_path.iterdir()) == [version, "latest"]
    assert not (tmp_path / version / ".lock").exists()


def test_a_training_at_the_same_time_is_left_alone(tmp_path: Path) -> None:
    with registry.new_version(str(tmp_path), NOON) as new:
        slow, folder = new.version, new.folder
        registry.write_manifest(folder, {"fingerprint": "slow"})
        just_begun = tmp_path / ".20261123T115959.000000Z.part"
        just_begun.mkdir()
        quick = subprocess.run(
            [sys.executable, "-c", QUICK, str(tmp_path)], capture_output=True, text=True, cwd=PROJECT
        )
        assert quick.returncode == 0, quick.stderr
        assert folder.exists() and just_begun.exists()
    assert set(registry.versions(str(tmp_path))) == {slow, "20261123T130000.000000Z"}
    assert registry.latest(str(tmp_path)).version == slow, "the one that ended last"


QUICK = """
import sys
from datetime import UTC, datetime
from batch import registry
with registry.new_version(sys.argv[1], datetime(2026, 11, 23, 13, tzinfo=UTC)) as new:
    folder = new.folder
    registry.write_manifest(folder, {"fingerprint": "quick"})
"""


def test_no_model_is_an_error_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"no model in .*train\.py first"):
        registry.latest(str(tmp_path))
    with pytest.raises(ModelNotFound, match="no model version '2020'"):
        registry.load(str(tmp_path), "2020")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ('{"format": 99}', "has format 99, expected 1 or 2 or 3; train again"),
        ("{}", "has format None"),
        ("{", "is damaged"),
        ("[]", "expected a JSON object, got \\[\\]; train again"),
        ("null", "expected a JSON object, got null; train again"),
        ('{"format": 2, "parameters": []}', "'parameters' in .*: expected an object, got \\[\\]; train again"),
        ('{"format": 2, "tracks": "9"}', "'tracks' in .*: expected an integer, got \"9\"; train again"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused_and_never_chosen(manifest: str, message: str, tmp_path: Path) -> None:
    version = make(tmp_path, 0, "one")
    (tmp_path / version / "manifest.json").write_text(manifest)
    with pytest.raises(ModelUnusable, match=message):
        registry.latest(str(tmp_path))
    assert registry.trained_on(str(tmp_path), "one") is None


def test_a_damaged_version_does_not_hide_the_others(tmp_path: Path) -> None:
    first, second = make(tmp_path, 0, "one"), make(tmp_path, 1, "one")
    (tmp_path / second / "manifest.json").write_text("null")
    model = registry.trained_on(str(tmp_path), "one")
    assert model is not None and model.version == first
    assert [model.version for model in registry.readable(str(tmp_path))] == [first]


def test_a_missing_manifest_value_is_an_error_when_it_is_needed(tmp_path: Path) -> None:
    make(tmp_path, 0, "one")
    with pytest.raises(ModelUnusable, match="lacks 'parameters'; train again"):
        registry.latest(str(tmp_path)).value("parameters")


def test_a_version_is_intact_only_with_all_its_parts(tmp_path: Path) -> None:
    shutil.copytree(SAVED, tmp_path / "models")
    root = str(tmp_path / "models")
    model = registry.latest(root)
    fingerprint = model.manifest["fingerprint"]
    assert registry.intact(root, fingerprint) == model
    similar = next((model.folder / "similar").glob("*.parquet"))
    stored = similar.read_bytes()
    similar.write_bytes(stored[: len(stored) // 2])
    with pytest.raises(ModelUnusable, match=r"'similar' of model .* cannot be read.*train again"):
        model.check()
    assert registry.intact(root, fingerprint) is None
    with pytest.raises(ModelUnusable, match="'similar'"):
        list(model.batches("similar", ["track_id"]))
    similar.write_bytes(stored)
    with pytest.raises(ModelUnusable, match="lacks nothing_such"):
        list(model.batches("similar", ["nothing_such"]))
    vectors = model.folder / "index" / "vectors.npy"
    vectors.write_bytes(vectors.read_bytes()[:-10])
    assert registry.intact(root, fingerprint) is None
    shutil.rmtree(model.folder / "genre_posterior")
    with pytest.raises(ModelUnusable):
        model.check()


def test_a_version_with_damaged_words_is_not_intact(tmp_path: Path) -> None:
    shutil.copytree(SAVED, tmp_path / "models")
    root = str(tmp_path / "models")
    model = registry.latest(root)
    index = model.folder / "index"
    tags = np.full((128, len(TAG_NAMES)), 0.5)
    calibration = tag_percentiles.calibrated(tags, TAG_NAMES)
    assert calibration is not None
    calibration.save(index, calibration.percentiles(tags, TAG_NAMES))
    assert registry.intact(root, model.manifest["fingerprint"]) == model
    quantiles = (index / "tag_quantiles.npy").read_bytes()
    for content in (b"", quantiles[:200], b"no array"):
        (index / "tag_quantiles.npy").write_bytes(content)
        with pytest.raises(ModelUnusable, match=r"'words' of model .* cannot be read.*train again"):
            model.check()
    assert registry.intact(root, model.manifest["fingerprint"]) is None, "it is trained again"


def test_a_model_opens_its_index(tmp_path: Path) -> None:
    ones = np.ones(2, dtype=np.float32)
    directions, offsets = np.ones((1, 1, 2), dtype=np.float32), np.zeros((1, 1), dtype=np.float32)
    projection = Projection(0 * ones, ones, np.eye(2, dtype=np.float32), directions, offsets, 1.0)
    with registry.new_version(str(tmp_path), NOON) as new:
        folder = new.folder
        build_index(["a", "b"], np.eye(2), [None, None], projection).save(folder / "index")
        registry.write_manifest(folder, {})
    model = registry.latest(str(tmp_path))
    assert model.index.ids.tolist() == ["a", "b"]
    assert model.index is model.index


def test_a_model_that_was_saved_on_an_earlier_day_answers_as_it_did(tmp_path: Path) -> None:
    shutil.copytree(SAVED, tmp_path / "models")
    model = registry.latest(str(tmp_path / "models"))
    assert (model.manifest["tracks"], len(model.manifest["genres"])) == (128, 16)
    expected = json.loads((SAVED / "expected.json").read_text())
    for track_id, answer in expected.items():
        ((rows, distance),) = model.index.neighbours(model.index.vectors[model.index.rows_of([track_id])], 8)
        assert [str(model.index.ids[row]) for row in rows] == answer["neighbours"]
        np.testing.assert_allclose(distance, answer["distances"], atol=2e-3)
    append(model.folder / "index", ["new"], model.index.projection.mean[None] + 0.1, ["somebody"])
    grown = Index.open(model.folder / "index")
    assert len(grown) == 129 and len(grown.similar(grown.rows_of(["new"]), 5)[0][0]) == 5


def test_a_small_model_of_format_2_answers_as_it_did(tmp_path: Path) -> None:
    shutil.copytree(SAVED_2, tmp_path / "models")
    model = registry.latest(str(tmp_path / "models"))
    assert (model.manifest["format"], model.manifest["tracks"], model.manifest["genres"]) == (2, 12, ["Folk", "Techno"])
    model.check()
    expected = json.loads((SAVED_2 / "expected.json").read_text())
    ensemble = Ensemble.open(model.folder / "genre.npz")
    lists = {
        row["track_id"]: [neighbour["track_id"] for neighbour in row["similar"]]
        for batch in model.batches("similar", ["track_id", "similar"])
        for row in batch.to_pylist()
    }
    for track_id, answer in expected.items():
        features = np.array([answer["features"]], dtype=np.float32)
        row = model.index.rows_of([track_id])
        np.testing.assert_allclose(model.index.projection.points(features), model.index.vectors[row], atol=1e-5)
        ((rows, score),) = model.index.similar(row, 5)
        assert [str(model.index.ids[row]) for row in rows] == answer["similar"]
        np.testing.assert_allclose(score, answer["scores"], atol=2e-3)
        np.testing.assert_allclose(ensemble.probabilities(features)[0], answer["probabilities"], atol=1e-4)
        assert sorted(lists[track_id]) == sorted({f"t{at:02d}" for at in range(12)} - {track_id})
    append(model.folder / "index", ["new"], features, ["somebody"])
    assert len(Index.open(model.folder / "index")) == 13


def test_a_small_model_of_format_3_on_both_blocks_answers_as_it_did(tmp_path: Path) -> None:
    shutil.copytree(SAVED_3, tmp_path / "models")
    model = registry.latest(str(tmp_path / "models"))
    assert (model.manifest["format"], model.manifest["tracks"], model.manifest["genres"]) == (3, 12, ["Folk", "Techno"])
    assert (model.manifest["ear"], model.manifest["dimensions"]) == ("musicnn-msd/2", 206)
    assert model.manifest["parameters"]["blocks"] == {"timbre": 1.0, "ear": 1.0}
    model.check()
    index = model.index
    assert index.recordings.tolist() == list(range(12)) and index.stored_neighbours.shape == (12, 11)
    ensemble = Ensemble.open(model.folder / "genre.npz")
    for track_id, answer in json.loads((SAVED_3 / "expected.json").read_text()).items():
        features = np.array([answer["features"]], dtype=np.float32)
        row = index.rows_of([track_id])
        np.testing.assert_allclose(index.projection.points(features), index.vectors[row], atol=1e-3)
        ((rows, score),) = index.similar(row, 5)
        assert [str(index.ids[neighbour]) for neighbour in rows] == answer["similar"]
        np.testing.assert_allclose(score, answer["scores"], atol=2e-3)
        np.testing.assert_allclose(ensemble.probabilities(features)[0], answer["probabilities"], atol=1e-3)
        percentiles = dict(zip(index.tag_names.tolist(), index.tags[row][0].tolist(), strict=True))
        high = {name: value for name, value in percentiles.items() if value >= tag_percentiles.SAID_PERCENTILE}
        assert high == answer["percentiles"]
    append(model.folder / "index", ["new"], features, ["somebody"], words=[{"folk": 97}])
    grown = Index.open(model.folder / "index")
    assert len(grown) == 13 and grown.tags[12].max() == 97
