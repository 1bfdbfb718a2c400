"""FMA without a byte of audio: published features become a model, documents and the list for everyone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pymongo import MongoClient
from pyspark.sql import SparkSession

from batch import extract, publish, train
from conf.settings import PREFIX, Settings


def features_csv(path: Path, vectors: np.ndarray) -> Path:
    """FMA's layout [shape=(n, 140)]; track ids 1, 2, …; in the last row all cells are empty."""
    names = ("kurtosis", "max", "mean", "median", "min", "skew", "std")
    pairs = [(name, f"{number:02}") for name in names for number in range(1, 21)]
    lines = ["feature" + ",mfcc" * 140, "statistics," + ",".join(name for name, _ in pairs)]
    lines += ["number," + ",".join(number for _, number in pairs), "track_id" + "," * 140]
    lines += [",".join([str(at), *(f"{value:.5f}" for value in vector)]) for at, vector in enumerate(vectors, start=1)]
    path.write_text("\n".join([*lines, str(len(vectors) + 1) + "," * 140]) + "\n")
    return path


def test_published_features_become_recommendations(
    spark: SparkSession,
    settings_without_kafka: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings, random = settings_without_kafka, np.random.default_rng(4)
    corners = np.where(np.arange(40)[:, None] % 2, 3.0, -3.0)  # even and odd tracks are two kinds of music
    path = features_csv(tmp_path / "features.csv", corners + random.normal(size=(40, 140)))
    monkeypatch.setenv(f"{PREFIX}HOME", str(settings.home))
    monkeypatch.setenv(f"{PREFIX}MONGO__URI", settings.mongo.uri.get_secret_value())
    monkeypatch.setenv(f"{PREFIX}MONGO__DATABASE", settings.mongo.database)
    monkeypatch.setenv(f"{PREFIX}LIBRARY__ROOT", str(path))

    def printed(code: int) -> str:
        output = "".join(capsys.readouterr())
        assert code == 0, output
        return output

    assert "40 extracted, 0 unchanged, 1 rejected" in printed(extract.main(["--from-features", str(path)]))
    assert "40 tracks" in printed(train.main([]))
    assert "40 tracks published, 0 removed" in printed(publish.main([]))
    database = MongoClient(settings.mongo.uri.get_secret_value())[settings.mongo.database]
    track = database.tracks.find_one({"_id": "2"})
    assert (track["title"], track.get("path"), len(track["features"])) == ("FMA 2", None, 140)
    assert {int(near["track_id"]) % 2 for near in track["similar"][:10]} == {0}
    assert len(database.recommendations.find_one({"_id": "*"})["items"]) == settings.stream.items
