"""A small generated lake: tracks and features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from pyspark.sql import SparkSession

from batch.audio.features import EXTRACTOR_VERSION, N_FEATURES, extractor_version
from batch.ear.network import EAR_VERSION
from batch.library.extraction import FEATURES
from batch.library.files import AudioFile
from batch.library.tracks import TRACKS, Track
from conf.settings import Settings

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
GENRES = ("Folk", "Techno")


def made(
    spark: SparkSession,
    chosen: Settings,
    n: int,
    vectors: Any = None,
    artists: Sequence[str | None] | None = None,
    genres: Sequence[str | None] | None = None,
    titles: Sequence[str] | None = None,
    lengths: Sequence[float] | None = None,
    embeddings: Sequence[Sequence[float] | None] | None = None,
    tags: Sequence[Sequence[float]] | None = None,
) -> None:
    """Tracks t00, t01, …: Folk and Techno in turn, each in a cluster of its own, by six artists; or as given.

    embeddings : of the trained ear EAR_VERSION, None for a track without
    tags : probabilities of the ear's tags; None: 0.02 for each
    """
    rng = np.random.default_rng(7)
    clusters = rng.normal(0, 3, (2, N_FEATURES))
    tracks, features = [], []
    for row in range(n):
        file = AudioFile(f"/music/t{row:02d}.ogg", 1, 1)
        artist = f"artist {row % 6}" if artists is None else artists[row]
        genre = GENRES[row % 2] if genres is None else genres[row]
        title = f"Track {row}" if titles is None else titles[row]
        track = Track(f"t{row:02d}", "/music", title, f"{row:064x}", (file,), NOON, artist, genre=genre)
        tracks.append(track if lengths is None else replace(track, duration_s=lengths[row]))
        vector = clusters[row % 2] + rng.normal(0, 1, N_FEATURES) if vectors is None else np.asarray(vectors[row])
        embedding = None if embeddings is None else embeddings[row]
        version = EXTRACTOR_VERSION if embedding is None else extractor_version(ear=EAR_VERSION)
        heard_tags = None if embedding is None else [0.02] * 50 if tags is None else list(tags[row])
        features.append((f"t{row:02d}", vector.tolist(), version, embedding, heard_tags))
    for name, rows, schema in (("tracks", [track.row() for track in tracks], TRACKS), ("features", features, FEATURES)):
        spark.createDataFrame(rows, schema).coalesce(1).write.format("delta").save(chosen.lake.table(name))
