"""A small made lake becomes a model version; too small a one says so."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from batch import registry
from batch.audio import EXTRACTOR_VERSION, N_FEATURES
from batch.features import FEATURES
from batch.library import AudioFile
from batch.similarity import TooFewTracks
from batch.tracks import TRACKS, Track
from batch.train import train
from batch.training_set import NoFeatures
from conf.settings import Settings, settings

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
GENRES = ("Folk", "Techno")


def made(spark: SparkSession, chosen: Settings, n: int) -> None:
    """Tracks t00, t01, …: Folk and Techno in turn, each around a corner of its own."""
    rng = np.random.default_rng(7)
    corners = rng.normal(0, 3, (2, N_FEATURES))
    tracks, vectors = [], []
    for at in range(n):
        file = AudioFile(f"/music/t{at:02d}.ogg", 1, 1)
        artist, genre = f"artist {at % 6}", GENRES[at % 2]
        tracks.append(Track(f"t{at:02d}", "/music", f"Track {at}", f"{at:064x}", (file,), NOON, artist, genre=genre))
        vectors.append((f"t{at:02d}", (corners[at % 2] + rng.normal(0, 1, N_FEATURES)).tolist(), EXTRACTOR_VERSION))
    for name, rows, schema in (("tracks", [track.row() for track in tracks], TRACKS), ("features", vectors, FEATURES)):
        spark.createDataFrame(rows, schema).coalesce(1).write.format("delta").save(chosen.lake.table(name))


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    return settings(home=tmp_path, lake={"root": str(tmp_path / "lake")}, models={"root": str(tmp_path / "models")})


def test_features_become_a_version_once(spark: SparkSession, chosen: Settings) -> None:
    made(spark, chosen, 24)
    root = chosen.models.root
    model = train(spark, chosen)
    assert registry.latest(root) == model == registry.load(root, model.version)
    assert (model.manifest["tracks"], model.manifest["dimensions"]) == (24, N_FEATURES)
    assert model.manifest["tables"] == {"tracks": 0, "features": 0}
    assert model.manifest["genres"] == list(GENRES)
    # 20 neighbours of 24 tracks reach into the other corner, which the bands keep apart
    assert 0.5 < model.manifest["metrics"]["recall_at_20"] <= 1
    told = model.manifest["metrics"]["genre"]
    assert (told["tracks"], told["accuracy"], told["macro_f1"], told["recall"]) == (24, 1.0, 1.0, {"Folk": 1.0, "Techno": 1.0})
    assert told["confusion"] == [[12, 0], [0, 12]]

    index = model.index
    assert index.ids.tolist() == [f"t{at:02d}" for at in range(24)]
    ((near, score),) = index.similar(np.array([0]), 5)
    assert {int(row) % 2 for row in near} == {0}
    lists = {row.track_id: row.similar for row in spark.read.parquet(model.parquet("similar")).collect()}
    assert [(one.track_id, one.score) for one in lists["t00"][:5]] == [
        (f"t{row:02d}", pytest.approx(float(s))) for row, s in zip(near, score, strict=True)
    ]
    posteriors = spark.read.parquet(model.parquet("genre_posterior")).collect()
    best = {row.track_id: row.genre_posterior[0] for row in posteriors}
    assert (best["t00"].genre, best["t01"].genre) == GENRES
    assert 0.5 < best["t00"].probability <= 1

    assert train(spark, chosen).version == model.version
    assert registry.versions(root) == [model.version]


def test_one_track_is_too_few(spark: SparkSession, chosen: Settings) -> None:
    made(spark, chosen, 1)
    with pytest.raises(TooFewTracks, match="1 track with features, at least 2"):
        train(spark, chosen)
    with pytest.raises(registry.ModelNotFound):
        registry.latest(chosen.models.root)


def test_no_features_are_told_with_the_next_step(spark: SparkSession, chosen: Settings) -> None:
    with pytest.raises(NoFeatures, match=r"no features in .*extract\.py first"):
        train(spark, chosen)
