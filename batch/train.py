"""Job: the features become a model version: space, LSH index, genre network, each track's similar tracks, a map.

    spark-submit.sh batch/train.py [--tune]

A version is trained on one library's tracks that are there. Where a version for exactly these features exists, it is made
`latest` again and nothing is trained. With --tune, hashes, bands and dimensions of the index and the shape of the network are
swept first; later trainings of a library of about that size go on with what was found.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch import genre, map2d, registry, similarity, sweep
from batch.index import Index
from batch.lake import version as table_version
from batch.training_set import Known, columns, fingerprint, is_usable, library_features
from batch.tuning import Banding, default_banding
from conf.settings import Settings, settings

SIMILAR = 50
TOLD = 5
"""Track ids that a message names."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="batch/train.py", description="Train a model version on the extracted features."
    )
    parser.add_argument(
        "--tune", action="store_true", help="sweep the index's and the network's settings first (minutes)"
    )
    given = parser.parse_args(arguments)
    try:
        chosen = settings()
    except ValueError as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    spark = SparkSession.builder.appName("train").getOrCreate()
    try:
        model = train(spark, chosen, given.tune)
    except ValueError as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    finally:
        spark.stop()
    print(summary(model), flush=True)
    return 0


def summary(model: registry.Model) -> str:
    """What a training says at its end."""
    met, told = model.manifest["metrics"], model.manifest["metrics"].get("genre")
    lines = [
        f"model {model.version}: {model.manifest['tracks']:,} tracks, recall@20 {met['recall_at_20']:.3f} with "
        f"{100 * met['candidate_share']:.1f} % of the tracks as candidates; space: {model.manifest['parameters']['metric']}"
    ]
    if told:
        scores = f"accuracy {told['accuracy']:.3f}, macro-F1 {told['macro_f1']:.3f}"
        lines.append(f"genres of artists not learned from: {scores} ({told['how']})")
    if left_out := model.manifest["left_out"]:
        lines.append(f"{len(left_out)} tracks left out, their features are not finite: {', '.join(left_out[:TOLD])} …")
    return "\n".join(lines)


def train(spark: SparkSession, settings: Settings, tune: bool = False) -> registry.Model:
    """The model for the library's present features: an existing version, or a new one. Raises NoFeatures, TooFewTracks."""
    tracks = library_features(spark, settings.lake, settings.library.root).cache()
    try:
        known = columns(tracks, settings)
        print_of = fingerprint(known)
        existing = registry.trained_on(settings.models.root, print_of)
        if existing is not None and (existing.manifest.get("tuned") or not tune):
            registry.make_latest(settings.models.root, existing.version)
            return existing
        return _new_version(spark, settings, tracks.where(is_usable()), known, print_of, tune)
    finally:
        tracks.unpersist()


def _new_version(
    spark: SparkSession, settings: Settings, tracks: DataFrame, known: Known, print_of: str, tune: bool
) -> registry.Model:
    started, now, root = time.monotonic(), datetime.now(UTC), settings.models.root
    banding, shape = last_tuned(root, known.vectors.shape)
    with registry.new_version(root, now) as (version, folder):
        fitted = similarity.fit(tracks.select("vector"), known.vectors, known.tags, banding)
        if tune:
            fitted = similarity.rehashed(spark, fitted, sweep.tuned(spark, fitted.points, folder))
        index = with_index(spark, known, fitted, folder)
        similar = similarity.similar(tracks.select("track_id"), str(folder / "index"), SIMILAR)
        similar.write.parquet(registry.uri(folder / "similar"))
        similar = spark.read.parquet(registry.uri(folder / "similar"))
        map_of(spark, index, similar).write.parquet(registry.uri(folder / "map"))
        network = with_genres(spark, known, tracks, folder, None if tune else shape)
        registry.write_manifest(
            folder,
            {
                "version": version,
                "created_at": now.isoformat(),
                "library": settings.library.root,
                "tracks": len(known.ids),
                "left_out": known.left_out,
                "fingerprint": print_of,
                "tuned": tune,
                "extractor_version": known.extractor,
                "dimensions": int(known.vectors.shape[1]),
                "tables": {name: table_version(spark, settings.lake.table(name)) for name in ("tracks", "features")},
                "parameters": {
                    **asdict(fitted.banding),
                    "bucket_length": fitted.quality.width,
                    "seed": similarity.SEED,
                    "metric": fitted.metric.name,
                    "genre": asdict(network.shape) if network else None,
                },
                "genres": list(network.ensemble.genres) if network else [],
                "metrics": {
                    "recall_at_20": fitted.quality.recall,
                    "candidate_share": fitted.quality.candidates,
                    "fewer_than_20": fitted.quality.short,
                    "largest_bucket": fitted.quality.largest_bucket,
                    "metrics_tried": [asdict(one) for one in fitted.metric.judged],
                    "genre": network.score.document() if network else None,
                    "training_seconds": round(time.monotonic() - started, 1),
                },
                "libraries": {name: library_version(name) for name in ("pyspark", "numpy", "librosa")},
            },
        )
    return registry.load(root, version)


def with_index(spark: SparkSession, known: Known, fitted: similarity.Fitted, folder: Path) -> Index:
    """Saves the index and MLlib's models; the index with local scales."""
    similarity.as_index(known.ids, known.artists, fitted).save(folder / "index")
    for name, model in fitted.models.items():
        model.write().save(registry.uri(folder / "mllib" / name))
    return similarity.with_scales(spark, folder / "index")


def with_genres(
    spark: SparkSession, known: Known, tracks: DataFrame, folder: Path, shape: genre.Shape | None
) -> genre.GenreModel | None:
    """Saves the genre networks and what they say of each track; None, and nothing, where there is too little to learn from.

    shape : of the networks; None: tried out first, and the table of that is saved
    """
    examples = genre.examples(known.vectors, known.genres, known.artists, known.splits)
    if examples is None:
        return None
    if shape is None:
        shape, tried = genre.tuned(spark, examples)
        spark.createDataFrame(tried).coalesce(1).write.parquet(registry.uri(folder / "genre_tuning"))
    network = genre.fit(spark, examples, shape)
    network.ensemble.save(folder / "genre.npz")
    for name, model in network.models.items():
        model.write().save(registry.uri(folder / "mllib" / "genre" / name))
    genre.posteriors(tracks, folder / "genre.npz").write.parquet(registry.uri(folder / "genre_posterior"))
    return network


def map_of(spark: SparkSession, index: Index, similar: DataFrame) -> DataFrame:
    """MAP of all tracks.  similar : SIMILAR"""
    pulling = F.slice("similar", 1, map2d.PULLS)
    stored = similar.select(
        "track_id",
        F.transform(pulling, lambda one: one["track_id"]).alias("near"),
        F.transform(pulling, lambda one: one["score"]).alias("score"),
    ).toArrow()
    lists = np.full((len(index), map2d.PULLS), -1, dtype=np.int64)
    weights = np.zeros(lists.shape, dtype=np.float32)
    rows = index.rows_of(stored["track_id"].to_pylist())
    for row, near, score in zip(rows, stored["near"].to_pylist(), stored["score"].to_pylist(), strict=True):
        lists[row, : len(near)], weights[row, : len(near)] = index.rows_of(near), score
    plane = map2d.positions(np.asarray(index.vectors @ index.space.components[:, :2]), lists, weights)
    places = [(track_id, float(x), float(y)) for track_id, (x, y) in zip(index.ids.tolist(), plane, strict=True)]
    return spark.createDataFrame(places, map2d.MAP).coalesce(1)


def last_tuned(root: str, shape: tuple[int, ...]) -> tuple[Banding, genre.Shape]:
    """The settings of the newest tuned version of a library of about that size and the same features; else the defaults."""
    tracks, dimensions = shape
    banding, network = default_banding(tracks), genre.Shape()
    for version in reversed(registry.versions(root)):
        try:
            manifest = registry.load(root, version).manifest
        except (registry.ModelNotFound, registry.ModelUnusable):
            continue
        is_like = manifest["dimensions"] == dimensions and tracks / 3 <= manifest["tracks"] <= tracks * 3
        if manifest.get("tuned") and is_like:
            told: dict[str, Any] = manifest["parameters"]
            banding = Banding(**{name: told[name] for name in Banding.__dataclass_fields__ if name in told})
            return banding, genre.Shape(**told["genre"]) if told["genre"] else network
    return banding, network


if __name__ == "__main__":
    sys.exit(main())
