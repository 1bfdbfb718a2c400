"""FMA without a byte of audio: published features become a model, documents and the list for everyone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
from pymongo import MongoClient

from conf.settings import PREFIX, Settings

PROJECT = Path(__file__).resolve().parents[2]


def features_csv(path: Path, vectors: np.ndarray) -> Path:
    """FMA's layout [shape=(n, 140)]; track ids 1, 2, …; in the last row all cells are empty."""
    names = ("kurtosis", "max", "mean", "median", "min", "skew", "std")
    pairs = [(name, f"{number:02}") for name in names for number in range(1, 21)]
    lines = ["feature" + ",mfcc" * 140, "statistics," + ",".join(name for name, _ in pairs)]
    lines += ["number," + ",".join(number for _, number in pairs), "track_id" + "," * 140]
    lines += [",".join([str(at), *(f"{value:.5f}" for value in vector)]) for at, vector in enumerate(vectors, start=1)]
    path.write_text("\n".join([*lines, str(len(vectors) + 1) + "," * 140]) + "\n")
    return path


def test_published_features_become_recommendations(settings: Settings, tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    corners = np.where(np.arange(40)[:, None] % 2, 3.0, -3.0)  # even and odd tracks are two kinds of music
    path = features_csv(tmp_path / "features.csv", corners + random.normal(size=(40, 140)))
    environment = {
        **os.environ,
        f"{PREFIX}HOME": str(settings.home),
        f"{PREFIX}MONGO__URI": settings.mongo.uri.get_secret_value(),
        f"{PREFIX}MONGO__DATABASE": settings.mongo.database,
        f"{PREFIX}LIBRARY__ROOT": str(path),
    }

    def job(*arguments: str) -> str:
        command = [str(PROJECT / "spark-submit.sh"), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "40 extracted, 0 unchanged, 1 rejected" in job("batch/extract.py", "--from-features", str(path))
    assert "40 tracks" in job("batch/train.py")
    assert "40 tracks published, 0 removed" in job("batch/publish.py")
    database = MongoClient(settings.mongo.uri.get_secret_value())[settings.mongo.database]
    track = database.tracks.find_one({"_id": "2"})
    assert (track["title"], track.get("path"), len(track["features"])) == ("FMA 2", None, 140)
    assert {int(near["track_id"]) % 2 for near in track["similar"][:10]} == {0}
    assert len(database.recommendations.find_one({"_id": "*"})["items"]) == settings.stream.items
