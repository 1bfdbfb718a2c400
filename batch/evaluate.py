"""Job: measures the latest model on the library that it serves and writes the report card, report.html and report.json.

    spark-submit.sh batch/evaluate.py [--out DIR]

Without --out both go to models/<version>/report/. All figures are measured in this run; none is taken from the training.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from batch import job, registry
from batch.index.lsh import Index
from batch.index.projection import FeaturesUnfit
from batch.library.labels import artists_in, normalised, spellings, track_labels
from batch.model import genre_mlp
from batch.model.genre_examples import examples
from batch.model.metric.choice import learned_metric
from batch.report.measures import (
    LIST_LENGTH,
    MeasuredLibrary,
    genre_precision,
    hubness,
    index_quality,
    simulated_lists,
)
from batch.report.spaces import spaces
from batch.storage import objects
from batch.storage.locations import child
from batch.training.library import Library, library_columns, library_features
from batch.training.training_set import TrainingSet, training_set
from batch.versions.remote_index import local_folder
from conf.settings import Settings


class NothingToMeasure(ValueError):
    """The model and the library have fewer than two tracks in common."""


def main(arguments: Sequence[str] | None = None) -> int:
    return job.run(
        "batch/evaluate.py",
        "Write the latest model's report card.",
        _work,
        arguments,
        add_arguments=lambda parser: parser.add_argument(
            "--out", type=Path, help="folder for report.html and report.json; else the model version's"
        ),
    )


def _work(settings: Settings, options: argparse.Namespace) -> str | None:
    model = registry.latest(settings.models.root)  # before Spark starts

    def evaluated(spark: SparkSession) -> str:
        report, folder = evaluate(spark, settings, model, options.out)
        return f"{headline(report)}\nreport: {child(folder, 'report.html')}"

    return job.in_spark("evaluate", evaluated)


def evaluate(
    spark: SparkSession, settings: Settings, model: registry.Model, out: Path | None = None
) -> tuple[dict[str, Any], str]:
    """(report, location of the folder that it was written to). Raises NothingToMeasure, NoFeatures, FeaturesUnfit, ModelUnusable.

    out : the folder; None: the model version's
    """
    started = time.monotonic()
    parameters = model.value("parameters")
    stored = parameters.get("genre")
    hyperparameters = genre_mlp.Hyperparameters.read(stored) if stored else genre_mlp.Hyperparameters()
    tracks = library_features(spark, settings.lake, settings.library.root).cache()
    try:
        columns = library_columns(tracks, settings)
        dataset = checked(training_set(tracks, columns, columns.sample), model)
    finally:
        tracks.unpersist()
    whole = Index.open(local_folder(model.index_place), as_trained=True)
    in_both = whole.rows_of(columns.ids.tolist())
    in_both = in_both[in_both >= 0]
    library = measured_library(dataset, whole, model.version)
    # Labels are compared among the sample, what the model serves among all of its tracks.
    served = whole if columns.is_sampled else library.index
    lists, positions = served_lists(model, served), map_positions(model, library.index)
    deviation = library.index.projection.deviation
    metric = learned_metric(library.standardised, library.labels, library.block_lengths, deviation)
    scratch = child(model.part("report"), f"examples-{uuid4().hex}")
    report: dict[str, Any] = {
        "model": model.version,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "library": settings.library.root,
        "tracks": len(in_both),
        "measured_tracks": len(library.index),
        "artists": artist_count(columns),
        "gone_since": len(whole) - len(in_both),
        "not_in_model": len(columns) - len(in_both),
        "index": index_quality(served),
        "precision": genre_precision(library),
        "hubness": hubness(library, lists),
        "genres": genre_scores(spark, dataset, hyperparameters, parameters.get("genre_chosen_on"), scratch),
        "space": {
            "metric": parameters.get("metric", "plain"),
            "blocks": parameters.get("blocks", {}),
            "ear": model.manifest.get("ear"),
            "spaces": spaces(library),
            "judged": [vars(score) for score in metric.scores],
        },
        "lists": simulated_lists(library),
        "machine": {"processors": os.cpu_count()},
    }
    report["seconds"] = round(time.monotonic() - started, 1)
    folder = str(out.absolute()) if out else model.part("report")
    _write(folder, report, drawn_figures(report, library, positions))
    return report, folder


def headline(report: dict[str, Any]) -> str:
    """The report's main figures, one to three lines."""
    recalls = [
        f"@{figures['k']} {figures['recall']:.3f} ({100 * figures['candidate_share']:.1f} %)"
        for figures in report["index"]["at"]
    ]
    before, after = report["hubness"]["before"], report["hubness"]["after"]
    among = "" if before["tracks"] == report["tracks"] else f" among {before['tracks']:,} of them"
    parts = [
        *([f"recall (and candidates) {', '.join(recalls)}"] if recalls else []),
        f"hubness{among}: skew {before['skew']:.2f} → {after['skew']:.2f}, in no list "
        f"{100 * before['in_no_list']:.1f} % → {100 * after['in_no_list']:.1f} %",
    ]
    lines = [f"{report['tracks']:,} tracks: {'; '.join(parts)}"]
    if precision := report["precision"]:
        by_way = ", ".join(f"{way['way']} {way['artist_filtered']:.2f}" for way in precision["ways"])
        lines.append(f"precision@10 by genre, artist-filtered: {by_way}")
    if score := (report["genres"] or {}).get("score"):
        lines.append(f"genres on held-out artists: accuracy {score['accuracy']:.3f}, macro-F1 {score['macro_f1']:.3f}")
    return "\n".join(lines)


def checked(dataset: TrainingSet, model: registry.Model) -> TrainingSet:
    """The tracks with features of the kind that the model was trained on: without embeddings for a model without.

    Raises FeaturesUnfit where the library's features are of another kind.
    """
    trained = (model.value("extractor_version"), model.value("dimensions"))
    extracted = (dataset.extractor, dataset.features.shape[1])
    if extracted != trained and dataset.embedding_length:
        vectors = dataset.without_embeddings()
        if (vectors.extractor, vectors.features.shape[1]) == trained:
            return vectors
    if extracted != trained:
        raise FeaturesUnfit(
            f"the library has {extracted[1]} features a track by {extracted[0]}, model {model.version} was trained on "
            f"{trained[1]} by {trained[0]}; run ./spark-submit.sh batch/train.py"
        )
    return dataset


def artist_count(library: Library) -> int:
    """The number of its artists, of several of a track the first."""
    first_names = (artists_in(joined)[:1] for joined in library.artists.dictionary.to_pylist())
    return len({normalised(name) for names in first_names for name in names} - {""})


def measured_library(dataset: TrainingSet, whole: Index, version: str) -> MeasuredLibrary:
    """The tracks that are both in the data set and in the model as trained. Raises NothingToMeasure with fewer than two.

    whole : index of the model of this version
    """
    rows = whole.rows_of(dataset.ids)
    shared = np.flatnonzero(rows >= 0)
    if len(shared) < 2:
        raise NothingToMeasure(
            f"model {version} has {len(whole)} tracks, {len(shared)} of them among this library's "
            f"{len(dataset.ids)}; run ./spark-submit.sh batch/train.py"
        )
    # Both are sorted by id, so the rows of the smaller index follow the library's order.
    index = whole.subset(rows[shared]) if len(shared) < len(whole) else whole
    artists, albums, genres = (
        [column[row] for row in shared] for column in (dataset.artists, dataset.albums, dataset.genres)
    )
    spelling_of = spellings(genres)
    genre_names = [spelling_of[name] for name in sorted(spelling_of)]  # in the order of their codes
    return MeasuredLibrary(
        index,
        index.projection.standardised(dataset.features[shared]),
        track_labels(artists, albums, genres),
        genre_names,
        dataset.block_lengths,
    )


def genre_scores(
    spark: SparkSession,
    dataset: TrainingSet,
    hyperparameters: genre_mlp.Hyperparameters,
    chosen_on: str | None,
    scratch: str,
) -> dict[str, Any] | None:
    """Score of genre networks on held-out artists; None where there is too little to train them.

    hyperparameters : the model's
    chosen_on : tracks on which they were tuned; None: they are the default
    scratch : as of `genre_mlp.trained`; removed
    `score` is None where there are too few artists to measure.
    """
    learned = examples(dataset.features, dataset.genres, dataset.artists, dataset.splits)
    if learned is None:
        return None
    try:
        score = genre_mlp.held_out_score(spark, learned, hyperparameters, scratch)
    finally:
        objects.remove_folder(scratch)
    return {
        "genres": list(learned.genres),
        "score": score.document() if score else None,
        "shape_chosen_on": chosen_on,
        "shape_shares_tracks": chosen_on == genre_mlp.SHARED_TRACKS,
    }


def served_lists(model: registry.Model, index: Index) -> NDArray[np.int64]:
    """Rows of the first ten of each track's `similar` that the index has, -1 where there are fewer: int64 [shape=(n, 10)]."""
    lists = np.full((len(index), LIST_LENGTH), -1, dtype=np.int64)
    for batch in model.batches("similar", ["track_id", "similar"]):
        rows = index.rows_of(batch.column("track_id").to_pylist())
        similar = batch.column("similar")
        similar_rows = index.rows_of(similar.flatten().field("track_id").to_pylist())
        stops = np.cumsum(pc.list_value_length(similar).to_numpy())
        for row, neighbours in zip(rows.tolist(), np.split(similar_rows, stops[:-1]), strict=True):
            if row >= 0:
                present = neighbours[neighbours >= 0][:LIST_LENGTH]
                lists[row, : len(present)] = present
    return lists


def map_positions(model: registry.Model, index: Index) -> NDArray[np.float32] | None:
    """Each track's position on the map: float32 [shape=(n, 2)]; None in a version of a format without a map."""
    if not model.has("map") and model.manifest["format"] == 1:
        return None
    positions = np.zeros((len(index), 2), dtype=np.float32)
    for batch in model.batches("map", ["track_id", "x", "y"]):
        rows = index.rows_of(batch.column("track_id").to_pylist())
        is_present = rows >= 0
        plane = np.stack([batch.column("x").to_numpy(), batch.column("y").to_numpy()], axis=1)
        positions[rows[is_present]] = plane[is_present]
    return positions


def drawn_figures(
    report: dict[str, Any], library: MeasuredLibrary, positions: NDArray[np.float32] | None
) -> dict[str, str]:
    """The page's figures, PNG in base64 by section."""
    from batch.report import figures

    drawn = {"hubness": figures.hubness(report["hubness"])}
    if report["index"]["at"]:
        drawn["recall"] = figures.recall(report["index"])
    if report["precision"]:
        drawn["precision"] = figures.precision(report["precision"])
    if (genres := report["genres"]) and genres["score"]:
        drawn["confusion"] = figures.confusion(genres["genres"], np.array(genres["score"]["confusion"]))
    if positions is not None:
        drawn["plane"] = figures.plane(positions, library.labels.genre, library.genres)
    return drawn


def _write(folder: str, report: dict[str, Any], drawn: dict[str, str]) -> None:
    from batch.report.html import page

    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    objects.replace_text(child(folder, "report.json"), text)
    objects.replace_text(child(folder, "report.html"), page(report, drawn))


if __name__ == "__main__":
    sys.exit(main())
