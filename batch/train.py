"""Job: the features become a model version: scaler, LSH index, genre network, each track's similar tracks.

    spark-submit.sh batch/train.py

A version is trained on one library's tracks that are there. Where a version for exactly these features exists, it is made
`latest` again and nothing is trained.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version as library_version

import numpy as np
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch import genre, registry, similarity
from batch.features import FEATURES
from batch.lake import table
from batch.lake import version as table_version
from batch.library import library_name
from batch.tracks import TRACKS
from conf.settings import Lake, Settings, settings

SIMILAR = 50


class NoFeatures(ValueError):
    """There is nothing to train on."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="batch/train.py", description="Train a model version on the extracted features."
    )
    parser.parse_args(arguments)
    try:
        chosen = settings()
    except ValueError as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    spark = SparkSession.builder.appName("train").getOrCreate()
    try:
        model = train(spark, chosen)
    except ValueError as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    finally:
        spark.stop()
    metrics = model.manifest["metrics"]
    print(
        f"model {model.version}: {model.manifest['tracks']:,} tracks, recall@20 {metrics['recall_at_20']:.3f} "
        f"with {100 * metrics['candidate_share']:.1f} % of the tracks as candidates",
        flush=True,
    )
    return 0


def train(spark: SparkSession, settings: Settings) -> registry.Model:
    """The model for the library's present features: an existing version, or a new one. Raises NoFeatures, TooFewTracks."""
    tracks = library_features(spark, settings.lake, settings.library.root).cache()
    arrow = tracks.orderBy("track_id").toArrow()
    ids = arrow["track_id"].to_pylist()
    if not ids:
        where = f" of {settings.library.root}" if settings.library.root else ""
        raise NoFeatures(f"no features{where} in {settings.lake.root}; run ./spark-submit.sh batch/extract.py first")
    vectors = np.vstack(arrow["vector"].to_numpy()).astype(np.float32)
    extractor = _one_extractor(arrow["extractor_version"].unique().to_pylist())
    artists, genres = arrow["artist"].to_pylist(), arrow["genre"].to_pylist()
    root = settings.models.root
    print_of = fingerprint(ids, vectors, artists, genres, extractor)
    existing = registry.trained_on(root, print_of)
    if existing is not None:
        registry.make_latest(root, existing.version)
        return existing

    started, now = time.monotonic(), datetime.now(UTC)
    with registry.new_version(root, now) as (version, folder):
        fitted = similarity.fit(tracks, ids, vectors, artists)
        fitted.index.save(folder / "index")
        for name, model in fitted.models.items():
            model.write().save(registry.uri(folder / "mllib" / name))
        similar = similarity.similar(tracks.select("track_id"), str(folder / "index"), SIMILAR)
        similar.write.parquet(registry.uri(folder / "similar"))
        network = genre.fit(tracks.select("vector", "genre"))
        if network is not None:
            network.pipeline.write().save(registry.uri(folder / "mllib" / "genre"))
            posteriors = genre.posteriors(tracks.select("track_id", "vector"), network)
            posteriors.write.parquet(registry.uri(folder / "genre_posterior"))
        registry.write_manifest(
            folder,
            {
                "version": version,
                "created_at": now.isoformat(),
                "library": settings.library.root,
                "tracks": len(ids),
                "fingerprint": print_of,
                "extractor_version": extractor,
                "dimensions": int(vectors.shape[1]),
                "tables": {name: table_version(spark, settings.lake.table(name)) for name in ("tracks", "features")},
                "parameters": {
                    "bands": similarity.BANDS,
                    "hashes": similarity.HASHES,
                    "components": int(fitted.index.space.components.shape[1]),
                    "bucket_length": fitted.index.space.width,
                    "seed": similarity.SEED,
                    "genre_hidden": genre.HIDDEN,
                    "genre_iterations": genre.ITERATIONS,
                },
                "genres": list(network.genres) if network else [],
                "metrics": {
                    "recall_at_20": fitted.recall,
                    "candidate_share": fitted.candidate_share,
                    "genre_training_accuracy": network.training_accuracy if network else None,
                    "training_seconds": round(time.monotonic() - started, 1),
                },
                "libraries": {name: library_version(name) for name in ("pyspark", "numpy", "librosa")},
            },
        )
    tracks.unpersist()
    return registry.load(root, version)


def library_features(spark: SparkSession, lake: Lake, library: str) -> DataFrame:
    """(track_id, vector, extractor_version, artist, genre) of tracks that are there, of one library or (empty) of all."""
    is_here = F.col("gone_at").isNull()
    if library:
        is_here &= F.col("library") == library_name(library)
    tracks = table(spark, lake.table("tracks"), TRACKS).where(is_here).dropDuplicates(["track_id"])
    features = table(spark, lake.table("features"), FEATURES)
    return tracks.join(features, on="track_id", how="inner").select(
        "track_id", "vector", "extractor_version", "artist", "genre"
    )


def fingerprint(
    ids: list[str], vectors: np.ndarray, artists: list[str | None], genres: list[str | None], extractor: str
) -> str:
    """Changes whenever a model trained on these would be another."""
    digest = hashlib.sha256(extractor.encode())
    for values in (ids, artists, genres):
        digest.update("\x00".join(value or "" for value in values).encode())
        digest.update(b"\x01")
    digest.update(np.ascontiguousarray(vectors).tobytes())
    parameters = (similarity.BANDS, similarity.HASHES, similarity.COMPONENTS, genre.HIDDEN, genre.ITERATIONS, SIMILAR)
    digest.update(repr((registry.FORMAT, *parameters)).encode())
    return digest.hexdigest()


def _one_extractor(found: list[str]) -> str:
    if len(found) > 1:
        raise NoFeatures(
            f"features of {len(found)} extractor versions ({', '.join(sorted(found))}); one index never mixes them: "
            "run ./spark-submit.sh batch/extract.py to bring all to one"
        )
    return found[0]


if __name__ == "__main__":
    sys.exit(main())
