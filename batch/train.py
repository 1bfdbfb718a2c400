"""Job: the features become a model version: space, LSH index, genre network, each track's similar tracks, a map.

    spark-submit.sh batch/train.py [--tune]

A version is trained on one library's tracks that are there. Where a whole version for exactly these features and defaults exists,
it is made `latest` again and nothing is trained. With --tune, hashes, bands and dimensions of the index and the shape of the
network are swept first; later trainings of a library of about that size go on with what was found.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch import job, registry
from batch.index.lsh import NEAR, Index
from batch.index.tuning import TARGET_RECALL, Banding, default_banding
from batch.lake import version as table_version
from batch.model import fit_index, genre_mlp, map_layout, metric_learning, sweep
from batch.model.artist_cap import MOST_OF_ARTIST, WINDOW
from batch.model.training_set import MOST, Known, columns, fingerprint, is_usable, library_features
from conf.settings import Settings

SIMILAR = 50
_BANDING = frozenset(Banding.__dataclass_fields__)
NAMED = 5
"""Track ids that a message names."""


def main(arguments: Sequence[str] | None = None) -> int:
    return job.run(
        "batch/train.py",
        "Train a model version on the extracted features.",
        lambda settings, options: job.in_spark("train", lambda spark: summary(train(spark, settings, options.tune))),
        arguments,
        add_arguments=lambda parser: parser.add_argument(
            "--tune", action="store_true", help="sweep the index's and the network's settings first (minutes)"
        ),
    )


def summary(model: registry.Model) -> str:
    """What a training says at its end."""
    met = model.value("metrics")
    lines = [
        f"model {model.version}: {model.manifest['tracks']:,} tracks, recall@20 {met['recall_at_20']:.3f} with "
        f"{100 * met['candidate_share']:.1f} % of the tracks as candidates; space: {model.manifest['parameters']['metric']}"
    ]
    if met["recall_at_20"] < TARGET_RECALL:
        advice = "no banding that was tried does better" if model.manifest["tuned"] else "--tune tries other bandings"
        lines.append(
            f"the bands miss their target: recall@20 {met['recall_at_20']:.3f}, aimed at {TARGET_RECALL}; {advice}"
        )
    if genres := met.get("genre"):
        scores = f"accuracy {genres['accuracy']:.3f}, macro-F1 {genres['macro_f1']:.3f}"
        lines.append(f"genres of artists not learned from: {scores} ({genres['how']})")
        if genres.get("shape_shares_tracks"):
            lines.append(f"the networks' shape was chosen on {genre_mlp.SHARED_TRACKS}: the score is a little too good")
    elif model.manifest["genres"]:
        lines.append("genres: too few artists to measure how well they are told")
    if left_out := model.manifest["left_out"]:
        rest = " …" if len(left_out) > NAMED else ""
        lines.append(
            f"{len(left_out)} tracks left out, their features are not finite numbers below {MOST:g}: "
            f"{', '.join(left_out[:NAMED])}{rest}"
        )
    return "\n".join(lines)


def train(spark: SparkSession, settings: Settings, tune: bool = False) -> registry.Model:
    """The model for the library's present features: an existing version, or a new one. Raises NoFeatures, TooFewTracks."""
    tracks = library_features(spark, settings.lake, settings.library.root).cache()
    try:
        known = columns(tracks, settings)
        print_of = fingerprint(known, defaults(len(known.ids)))
        existing = registry.whole(settings.models.root, print_of)
        if existing is not None and (existing.manifest.get("tuned") or not tune):
            registry.make_latest(settings.models.root, existing.version)
            return existing
        return _new_version(spark, settings, tracks.where(is_usable()), known, print_of, tune)
    finally:
        tracks.unpersist()


def defaults(tracks: int) -> dict[str, Any]:
    """What a training of so many tracks starts from, in the fingerprint: an upgrade that changes it trains anew."""
    return {
        "banding": asdict(default_banding(tracks)),
        "target_recall": TARGET_RECALL,
        "genre": {**asdict(genre_mlp.Shape()), "fewest": genre_mlp.FEWEST_TRACKS, "seeds": genre_mlp.SEEDS},
        "metric": [
            metric_learning.ALBUM_SHRINKAGE,
            metric_learning.ALBUM_POWER,
            metric_learning.GENRE_SHRINKAGE,
            metric_learning.GENRE_LENGTH,
        ],
        "similar": [SIMILAR, MOST_OF_ARTIST, WINDOW, NEAR],
        "seeds": [fit_index.SEED, genre_mlp.SEED, metric_learning.SEED, map_layout.SEED],
    }


def _new_version(
    spark: SparkSession, settings: Settings, tracks: DataFrame, known: Known, print_of: str, tune: bool
) -> registry.Model:
    started, now, root = time.monotonic(), datetime.now(UTC), settings.models.root
    earlier = last_tuned(root, known.vectors.shape)
    with registry.new_version(root, now) as (version, folder):
        fitted = fit_index.fit(tracks.select("vector"), known.vectors, known.tags, earlier.banding)
        if tune:
            fitted = fit_index.rehashed(spark, fitted, sweep.tuned(spark, fitted.points, folder))
        index = with_index(spark, known, fitted, folder)
        similar = fit_index.similar(tracks.select("track_id"), str(folder / "index"), SIMILAR)
        similar.write.parquet(registry.uri(folder / "similar"))
        similar = spark.read.parquet(registry.uri(folder / "similar"))
        fit_index.keep_near(similar, folder / "index")
        map_of(spark, index, similar).write.parquet(registry.uri(folder / "map"))
        network, chosen_on = with_genres(spark, known, tracks, folder, None if tune else earlier)
        described = {
            "version": version,
            "created_at": now.isoformat(),
            "library": settings.library.root,
            "fingerprint": print_of,
            "tuned": tune,
            "tables": {name: table_version(spark, settings.lake.table(name)) for name in ("tracks", "features")},
            **manifest(known, fitted, network, chosen_on),
        }
        described["metrics"]["training_seconds"] = round(time.monotonic() - started, 1)
        registry.write_manifest(folder, described)
    return registry.load(root, version)


def manifest(
    known: Known, fitted: fit_index.Fitted, network: genre_mlp.GenreModel | None, chosen_on: str | None
) -> dict[str, Any]:
    """What the manifest says of the tracks, what was made of them, and how good it is.

    chosen_on : tracks on which the networks' shape was tuned; None: it is the default
    """
    met, score = fitted.quality, network.score if network else None
    shares = {"shape_shares_tracks": chosen_on == genre_mlp.SHARED_TRACKS}
    return {
        "tracks": len(known.ids),
        "left_out": known.left_out,
        "extractor_version": known.extractor,
        "dimensions": int(known.vectors.shape[1]),
        "parameters": {
            **asdict(fitted.banding),
            "bucket_length": met.width,
            "seed": fit_index.SEED,
            "metric": fitted.metric.name,
            "genre": asdict(network.shape) if network else None,
            "genre_chosen_on": chosen_on,
        },
        "genres": list(network.ensemble.genres) if network else [],
        "metrics": {
            "recall_at_20": met.recall,
            "candidate_share": met.candidates,
            "fewer_than_20": met.short,
            "largest_bucket": met.largest_bucket,
            "metrics_tried": [asdict(one) for one in fitted.metric.judged],
            "genre": {**score.document(), **shares} if score else None,
        },
        "libraries": {name: library_version(name) for name in ("pyspark", "numpy", "librosa")},
    }


def with_index(spark: SparkSession, known: Known, fitted: fit_index.Fitted, folder: Path) -> Index:
    """Saves the index and MLlib's models; the index with local scales."""
    fit_index.as_index(known.ids, known.artists, fitted).save(folder / "index")
    for name, model in fitted.models.items():
        model.write().save(registry.uri(folder / "mllib" / name))
    return fit_index.with_scales(spark, folder / "index")


def with_genres(
    spark: SparkSession, known: Known, tracks: DataFrame, folder: Path, earlier: Tuned | None
) -> tuple[genre_mlp.GenreModel | None, str | None]:
    """Saves the genre networks and what they say of each track: (networks, tracks on which their shape was chosen).

    earlier : the shape to take; None: shapes are tried out first, and the table of that is saved
    (None, None), and nothing is saved, where there is too little to learn from.
    """
    examples = genre_mlp.examples(known.vectors, known.genres, known.artists, known.splits)
    if examples is None:
        return None, None
    if earlier is None:
        shape, tried = genre_mlp.tuned(spark, examples)
        chosen_on = genre_mlp.chosen_on(examples) if tried else None
        if tried:
            spark.createDataFrame(tried).coalesce(1).write.parquet(registry.uri(folder / "genre_tuning"))
    else:
        shape, chosen_on = earlier.shape, earlier.chosen_on
    network = genre_mlp.fit(spark, examples, shape)
    network.ensemble.save(folder / "genre.npz")
    for name, model in network.models.items():
        model.write().save(registry.uri(folder / "mllib" / "genre" / name))
    genre_mlp.posteriors(tracks, folder / "genre.npz").write.parquet(registry.uri(folder / "genre_posterior"))
    return network, chosen_on


def map_of(spark: SparkSession, index: Index, similar: DataFrame) -> DataFrame:
    """MAP of all tracks.  similar : SIMILAR"""
    pulling = F.slice("similar", 1, map_layout.PULLS)
    stored = similar.select(
        "track_id",
        F.transform(pulling, lambda one: one["track_id"]).alias("near"),
        F.transform(pulling, lambda one: one["score"]).alias("score"),
    ).toArrow()
    lists = np.full((len(index), map_layout.PULLS), -1, dtype=np.int64)
    weights = np.zeros(lists.shape, dtype=np.float32)
    rows = index.rows_of(stored["track_id"].to_pylist())
    for row, near, score in zip(rows, stored["near"].to_pylist(), stored["score"].to_pylist(), strict=True):
        lists[row, : len(near)], weights[row, : len(near)] = index.rows_of(near), score
    plane = map_layout.positions(np.asarray(index.vectors @ index.space.components[:, :2]), lists, weights)
    places = [(track_id, float(x), float(y)) for track_id, (x, y) in zip(index.ids.tolist(), plane, strict=True)]
    return spark.createDataFrame(places, map_layout.MAP).coalesce(1)


@dataclass(frozen=True)
class Tuned:
    """Settings to train with.  chosen_on : tracks on which the shape was tuned; None: it is the default"""

    banding: Banding
    shape: genre_mlp.Shape = field(default_factory=genre_mlp.Shape)
    chosen_on: str | None = None


def last_tuned(root: str, shape: tuple[int, ...]) -> Tuned:
    """The settings of the newest tuned version of a library of about that size and the same features; else the defaults.

    A version whose manifest lacks them is passed over.
    """
    tracks, dimensions = shape
    for model in registry.readable(root):
        try:
            is_like = model.value("dimensions") == dimensions and tracks / 3 <= model.value("tracks") <= tracks * 3
            if model.manifest.get("tuned") and is_like:
                parameters = model.value("parameters")
                banding = Banding(**{name: parameters[name] for name in parameters if name in _BANDING})
                if not (stored := parameters.get("genre")):
                    return Tuned(banding)
                # A version from before this was noted may have chosen on any tracks.
                return Tuned(
                    banding, genre_mlp.Shape.read(stored), parameters.get("genre_chosen_on", genre_mlp.SHARED_TRACKS)
                )
        except registry.ModelUnusable:
            continue
    return Tuned(default_banding(tracks))


if __name__ == "__main__":
    sys.exit(main())
