"""Job: trains a model version on the features: metric, LSH index, genre networks, lists of similar tracks, map.

    spark-submit.sh batch/train.py [--tune]

A version is trained on the present tracks of one library. Where a complete version with the same fingerprint exists, it becomes
`latest` again and nothing is trained. With --tune, the settings of the hash tables and the hyperparameters of the genre networks
are swept first; later trainings of a library of about the same size use the result.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version as library_version
from typing import Any

import numpy as np
from pyspark.sql import DataFrame, SparkSession

from batch import job, registry
from batch.ear.tag_names import TAG_NAMES
from batch.index import recordings
from batch.index.lsh import STORED_NEIGHBOURS, Index
from batch.index.pieces import Piece
from batch.index.projection import MAX_FEATURE
from batch.index.tuning import TARGET_CANDIDATE_RECALL, default_parameters
from batch.lake import version as table_version
from batch.library.ear_figures import EAR_FIGURES, ear_figures
from batch.library.titles import title_keys
from batch.model import blocks, fit_index, genre_mlp, map_layout, similar_tracks, sweep
from batch.model.artist_cap import CAP_WINDOW, MAX_PER_ARTIST
from batch.model.genre_examples import MIN_GENRE_TRACKS, examples
from batch.model.metric import choice, learning
from batch.storage.locations import child
from batch.training.library import ALBUM_PIECE, FITTED_TRACKS, SAMPLE_SEED, Library, library_columns, library_features
from batch.training.projected import pieces, projected
from batch.training.training_set import TrainingSet, feature_rows, training_set
from batch.words import tag_percentiles
from conf.settings import Settings

STORED_SIMILAR_TRACKS = 50
"""Length of each track's list of similar tracks."""
NAMED_TRACKS_IN_MESSAGE = 5


def main(arguments: Sequence[str] | None = None) -> int:
    return job.run(
        "batch/train.py",
        "Train a model version on the extracted features.",
        lambda settings, options: job.in_spark("train", lambda spark: summary(train(spark, settings, options.tune))),
        arguments,
        add_arguments=lambda parser: parser.add_argument(
            "--tune", action="store_true", help="sweep the settings of index and genre networks first (minutes)"
        ),
    )


def summary(model: registry.Model) -> str:
    """The lines that the job prints at its end: quality of the index and of the genre networks, and tracks left out."""
    metrics, manifest = model.value("metrics"), model.manifest
    recall = metrics["recall_at_20"]
    metric = manifest["parameters"]["metric"] + _block_weights(manifest)
    lines = [
        f"model {model.version}: {manifest['tracks']:,} tracks, recall@20 {recall:.3f} with "
        f"{100 * metrics['candidate_share']:.1f} % of the tracks as candidates; metric: {metric}"
    ]
    if (fitted_on := manifest.get("fitted_on", manifest["tracks"])) < manifest["tracks"]:
        lines.append(f"fitted on a sample of {fitted_on:,} tracks, the others projected by it")
    if recall < TARGET_CANDIDATE_RECALL:
        advice = "no setting of the sweep does better" if manifest["tuned"] else "--tune tries other settings"
        lines.append(
            f"the hash tables miss their target: recall@20 {recall:.3f}, target {TARGET_CANDIDATE_RECALL}; {advice}"
        )
    if score := metrics.get("genre"):
        figures = f"accuracy {score['accuracy']:.3f}, macro-F1 {score['macro_f1']:.3f}"
        lines.append(f"genres on held-out artists: {figures} ({score['how']})")
        if score.get("shape_shares_tracks"):
            lines.append(
                f"the networks' hyperparameters were chosen on {genre_mlp.SHARED_TRACKS}: the score is slightly optimistic"
            )
    elif manifest["genres"]:
        lines.append("genres: too few artists to measure the networks on held-out ones")
    if left_out := manifest["left_out"]:
        rest = " …" if len(left_out) > NAMED_TRACKS_IN_MESSAGE else ""
        lines.append(
            f"{len(left_out)} tracks left out, their features are not finite numbers below {MAX_FEATURE:g}: "
            f"{', '.join(left_out[:NAMED_TRACKS_IN_MESSAGE])}{rest}"
        )
    if imputed := manifest.get("imputed"):
        lines.append(
            f"{len(imputed):,} tracks have no embedding of the trained ear: the mean of the others stands in its place, so that "
            f"they are compared by timbre alone: {', '.join(imputed[:NAMED_TRACKS_IN_MESSAGE])}"
            f"{' …' if len(imputed) > NAMED_TRACKS_IN_MESSAGE else ''}"
        )
    if problem := manifest.get("ear_problem"):
        lines.append(f"{manifest.get('tracks_without_ear', 0):,} tracks without the trained ear: {problem}")
    if copies := manifest["tracks"] - manifest.get("recordings", manifest["tracks"]):
        lines.append(f"{copies:,} tracks are further copies of a recording that another track has")
    return "\n".join(lines)


def _block_weights(manifest: dict[str, Any]) -> str:
    """Weights of the blocks as ", timbre 1 : ear 1"; "" for a model of one block."""
    weights = manifest["parameters"].get("blocks", {})
    return ", " + " : ".join(f"{name} {weight:g}" for name, weight in weights.items()) if len(weights) > 1 else ""


def train(spark: SparkSession, settings: Settings, tune: bool = False) -> registry.Model:
    """The model of the library's present features: an existing version, or a new one. Raises NoFeatures, TooFewTracks."""
    tracks = library_features(spark, settings.lake, settings.library.root).cache()
    try:
        library = library_columns(tracks, settings)
        words = {} if library.ear is None else {"words": tag_percentiles.defaults()}
        fingerprint = library.fingerprint(defaults(len(library)) | words)
        existing = registry.intact(settings.models.root, fingerprint)
        figures = ear_figures(spark, tracks, settings)
        if existing is not None and (existing.manifest.get("tuned") or not tune):
            registry.make_latest(settings.models.root, existing.version)
            return _with_ear_figures(existing, figures, settings)
        model = _new_version(spark, settings, tracks, library, fingerprint, tune)
        return _with_ear_figures(model, figures, settings)
    finally:
        tracks.unpersist()


def _with_ear_figures(model: registry.Model, figures: dict[str, Any], settings: Settings) -> registry.Model:
    """The model, its manifest with these figures: they may change where the model does not, as when a graph is lost."""
    others = {name: value for name, value in model.manifest.items() if name not in EAR_FIGURES}
    if others | figures == model.manifest:
        return model
    registry.write_manifest(model.location, others | figures)
    return registry.load(settings.models.root, model.version)


def defaults(tracks: int) -> dict[str, Any]:
    """Settings that a training starts from; part of the fingerprint, so an upgrade that changes them trains again.

    tracks : in the library
    """
    return {
        "banding": default_parameters(tracks).document(),
        "target_recall": TARGET_CANDIDATE_RECALL,
        "genre": {**asdict(genre_mlp.Hyperparameters()), "fewest": MIN_GENRE_TRACKS, "seeds": genre_mlp.PAIRS},
        "metric": [
            learning.ALBUM_SHRINKAGE,
            learning.ALBUM_POWER,
            learning.ALBUM_POWER_IN_BLOCKS,
            learning.GENRE_SHRINKAGE,
            learning.GENRE_LENGTH,
            *choice.BLOCK_WEIGHTS,
        ],
        "similar": [STORED_SIMILAR_TRACKS, MAX_PER_ARTIST, CAP_WINDOW, STORED_NEIGHBOURS, "one of each recording"],
        "recordings": recordings.defaults(),
        "sample": [FITTED_TRACKS, ALBUM_PIECE, SAMPLE_SEED],
        "seeds": [fit_index.SEED, genre_mlp.SEED, choice.SEED, map_layout.SEED],
    }


def _new_version(
    spark: SparkSession, settings: Settings, tracks: DataFrame, library: Library, fingerprint: str, tune: bool
) -> registry.Model:
    started, now, root = time.monotonic(), datetime.now(UTC), settings.models.root
    earlier = sweep.last_tuned(root, (len(library), library.dimensions))
    features = feature_rows(tracks, library)
    sample = training_set(tracks, library, library.sample)
    with registry.new_version(root, now) as new:
        folder = new.folder
        fitted = fit_index.fit(
            features, sample.features, sample.labels, earlier.hash_parameters, sample.block_lengths, len(library)
        )
        if tune:
            fitted = fit_index.rehashed(spark, fitted, sweep.tuned_parameters(spark, fitted.points, new))
        save_index(spark, features, library, sample, fitted, new)
        similar_tracks.rankings(features.select("track_id"), new.shared_index(), STORED_SIMILAR_TRACKS).write.parquet(
            new.uri("rankings")
        )
        similar_tracks.save_neighbours(child(new.location, "rankings"), folder / "index")
        distinct = fit_index.save_recordings(spark, folder / "index", new.shared_index())
        ranked = spark.read.parquet(new.uri("rankings"))
        similar = similar_tracks.similar_lists(ranked, new.shared_index(), STORED_SIMILAR_TRACKS)
        similar.write.parquet(new.uri("similar"))
        fitted = fit_index.without_points(fitted)
        library_map(spark, library, new).write.parquet(new.uri("map"))
        new.remove("rankings")
        networks, chosen_on = saved_genre_networks(spark, sample, features, new, None if tune else earlier)
        described = {
            "version": new.version,
            "created_at": now.isoformat(),
            "library": settings.library.root,
            "fingerprint": fingerprint,
            "tuned": tune,
            "tables": {name: table_version(spark, settings.lake.table(name)) for name in ("tracks", "features")},
            "recordings": distinct,
            **manifest(library, fitted, networks, chosen_on),
        }
        described["metrics"]["training_seconds"] = round(time.monotonic() - started, 1)
        registry.write_manifest(folder, described)
    return registry.load(root, new.version)


def manifest(
    library: Library, fitted: fit_index.Fitted, networks: genre_mlp.GenreModel | None, chosen_on: str | None
) -> dict[str, Any]:
    """The manifest's part on the training set, the parameters, and the quality of the model.

    networks : None where there was too little to learn from
    chosen_on : tracks on which the networks' hyperparameters were tuned; None: they are the default
    """
    quality, score = fitted.quality, networks.score if networks else None
    shares = {"shape_shares_tracks": chosen_on == genre_mlp.SHARED_TRACKS}
    return {
        "tracks": len(library),
        "fitted_on": len(library.sample),
        "left_out": library.left_out,
        "extractor_version": library.extractor,
        "dimensions": library.dimensions,
        "ear": library.ear,
        "imputed": library.imputed,
        "parameters": {
            **fitted.hash_parameters.document(),
            "bucket_length": quality.bucket_length,
            "seed": fit_index.SEED,
            "metric": fitted.metric.name,
            "blocks": dict(zip(blocks.BLOCKS, fitted.metric.weights, strict=False)),
            "genre": asdict(networks.hyperparameters) if networks else None,
            "genre_chosen_on": chosen_on,
        },
        "genres": list(networks.ensemble.genres) if networks else [],
        "metrics": {
            "recall_at_20": quality.recall,
            "candidate_share": quality.candidate_share,
            "fewer_than_20": quality.short_share,
            "largest_bucket": quality.largest_bucket_share,
            "metrics_tried": [asdict(metric_score) for metric_score in fitted.metric.scores],
            "genre": {**score.document(), **shares} if score else None,
        },
        "libraries": {name: library_version(name) for name in ("pyspark", "numpy", "librosa")},
    }


def save_index(
    spark: SparkSession,
    features: DataFrame,
    library: Library,
    sample: TrainingSet,
    fitted: fit_index.Fitted,
    new: registry.NewVersion,
) -> None:
    """Saves the index with local scales, the words' percentiles and MLlib's models.

    features : `feature_rows` of the library
    Where the sample is all of the library, its points are the index's; else executors make them.
    """
    folder, tracks, projection = new.folder / "index", library.track_columns(), fitted.projection
    calibration = None if sample.tags is None else tag_percentiles.calibrated(sample.tags, TAG_NAMES)
    if library.is_sampled:
        projected(features, projection, calibration).write.parquet(new.uri("projected"))
        fit_index.save_index(folder, tracks, fitted, pieces(child(new.location, "projected"), tracks, projection))
        new.remove("projected")
    else:
        every_row = np.arange(len(library))
        columns: dict[str, Any] = {"title_keys": title_keys(sample.artists, sample.titles)}
        if calibration is not None and sample.tags is not None:
            columns["tags"] = calibration.percentiles(sample.tags, TAG_NAMES)
        fit_index.save_index(folder, tracks, fitted, [Piece.of(every_row, fitted.points, projection, **columns)])
    if calibration is not None:
        calibration.save(folder)
    for name, model in fitted.models.items():
        model.write().save(new.uri(f"mllib/{name}"))
    fit_index.with_scales(spark, folder, new.shared_index())


def library_map(spark: SparkSession, library: Library, new: registry.NewVersion) -> DataFrame:
    """The map of all tracks, laid out by the stored lists; of a large library, by its sample.  new : with index and lists"""
    if library.is_sampled:
        ranked = spark.read.parquet(new.uri("rankings"))
        return map_layout.map_by_sample(spark, new.shared_index(), ranked, library.sample)
    index = Index.open(new.folder / "index", as_trained=True)
    return map_layout.library_map(spark, index, spark.read.parquet(new.uri("similar")))


def saved_genre_networks(
    spark: SparkSession,
    sample: TrainingSet,
    features: DataFrame,
    new: registry.NewVersion,
    earlier: sweep.Tuned | None,
) -> tuple[genre_mlp.GenreModel | None, str | None]:
    """Trains and saves the genre networks and each track's posterior.

    earlier : has the hyperparameters to use; None: they are tuned first, and the table of that is saved
    Returns (networks, tracks on which the hyperparameters were chosen); (None, None) where there is too little to learn from.
    """
    learned = examples(sample.features, sample.genres, sample.artists, sample.splits)
    if learned is None:
        return None, None
    scratch = child(new.location, "examples")
    if earlier is None:
        hyperparameters, table = genre_mlp.tuned(spark, learned, scratch)
        chosen_on = genre_mlp.chosen_on(learned) if table else None
        if table:
            spark.createDataFrame(table).coalesce(1).write.parquet(new.uri("genre_tuning"))
    else:
        hyperparameters, chosen_on = earlier.hyperparameters, earlier.chosen_on
    networks = genre_mlp.fit(spark, learned, hyperparameters, scratch)
    new.remove("examples")
    networks.ensemble.save(new.folder / "genre.npz")
    for name, model in networks.models.items():
        model.write().save(new.uri(f"mllib/genre/{name}"))
    genre_mlp.posteriors(features, networks.ensemble).write.parquet(new.uri("genre_posterior"))
    return networks, chosen_on


if __name__ == "__main__":
    sys.exit(main())
