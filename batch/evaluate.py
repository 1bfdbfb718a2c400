"""Job: the latest model is measured on the library that it serves: report.html and report.json.

    spark-submit.sh batch/evaluate.py [--out DIR]

Without --out both go to models/<version>/report/. Nothing is taken from the training's own figures.
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

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from batch import registry
from batch.index.lsh import Index
from batch.index.projection import FeaturesUnfit
from batch.library.labels import spellings, tags
from batch.model import genre_mlp, metric_learning
from batch.model.training_set import Known, columns, library_features
from batch.report.measures import TEN, Library, genre_precision, hubness, index_quality, simulated_lists
from conf.settings import Settings, settings


class NothingToMeasure(ValueError):
    """The model and the library have no tracks in common."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="batch/evaluate.py", description="Write the latest model's report card.")
    parser.add_argument("--out", type=Path, help="folder for report.html and report.json; else the model version's")
    given = parser.parse_args(arguments)
    try:
        chosen = settings()
    except ValueError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    try:
        model = registry.latest(chosen.models.root)
    except (registry.ModelUnusable, OSError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 1
    spark = SparkSession.builder.appName("evaluate").getOrCreate()
    try:
        report, folder = evaluate(spark, chosen, model, given.out)
    except (ValueError, OSError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 1
    finally:
        spark.stop()
    print(f"{headline(report)}\nreport: {folder / 'report.html'}", flush=True)
    return 0


def evaluate(
    spark: SparkSession, settings: Settings, model: registry.Model, out: Path | None = None
) -> tuple[dict[str, Any], Path]:
    """(the report, the folder that it was written to). Raises NothingToMeasure, NoFeatures, FeaturesUnfit, ModelUnusable."""
    started = time.monotonic()
    parameters = model.value("parameters")
    shape = genre_mlp.Shape.read(parameters["genre"]) if parameters.get("genre") else genre_mlp.Shape()
    tracks = library_features(spark, settings.lake, settings.library.root).cache()
    try:
        known = columns(tracks, settings)
    finally:
        tracks.unpersist()
    fits(known, model)
    library, gone = of_model(known, model)
    lists, places = served(model, library.index), placed(model, library.index)
    report: dict[str, Any] = {
        "model": model.version,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "library": settings.library.root,
        "tracks": len(library.index),
        "artists": int(len(np.unique(library.tags.artist[library.tags.artist >= 0]))),
        "gone_since": gone,
        "not_in_model": len(known.ids) - len(library.index),
        "index": index_quality(library.index),
        "precision": genre_precision(library),
        "hubness": hubness(library, lists),
        "genres": genres(spark, known, shape, parameters.get("genre_chosen_on")),
        "space": {
            "metric": parameters.get("metric", "plain"),
            "judged": [vars(one) for one in metric_learning.learned(library.standardised, library.tags).judged],
        },
        "lists": simulated_lists(library),
        "machine": {"processors": os.cpu_count()},
    }
    report["seconds"] = round(time.monotonic() - started, 1)
    folder = out.absolute() if out else model.folder / "report"
    _write(folder, report, pictures(report, library, places))
    return report, folder


def headline(report: dict[str, Any]) -> str:
    """The report in a line or two."""
    at = [f"@{one['k']} {one['recall']:.3f} ({100 * one['candidate_share']:.1f} %)" for one in report["index"]["at"]]
    hubs = report["hubness"]
    before, after = hubs["before"], hubs["after"]
    among = "" if before["tracks"] == report["tracks"] else f" among {before['tracks']:,} of them"
    parts = [
        *([f"recall (and candidates) {', '.join(at)}"] if at else []),
        f"hubs{among}: skew {before['skew']:.2f} → {after['skew']:.2f}, in nobody's list "
        f"{100 * before['in_no_list']:.1f} % → {100 * after['in_no_list']:.1f} %",
    ]
    lines = [f"{report['tracks']:,} tracks: {'; '.join(parts)}"]
    if precision := report["precision"]:
        shown = ", ".join(f"{way['way']} {way['artist_filtered']:.2f}" for way in precision["ways"])
        lines.append(f"precision@10 by genre, artist-filtered: {shown}")
    if score := (report["genres"] or {}).get("score"):
        lines.append(
            f"genres of artists not learned from: accuracy {score['accuracy']:.3f}, macro-F1 {score['macro_f1']:.3f}"
        )
    return "\n".join(lines)


def fits(known: Known, model: registry.Model) -> None:
    """Raises FeaturesUnfit where the library's features are not of the kind that the model was trained on."""
    trained = (model.value("extractor_version"), model.value("dimensions"))
    found = (known.extractor, known.vectors.shape[1])
    if found != trained:
        raise FeaturesUnfit(
            f"the library has {found[1]} features a track by {found[0]}, model {model.version} was trained on {trained[1]} by "
            f"{trained[0]}; run ./spark-submit.sh batch/train.py"
        )


def of_model(known: Known, model: registry.Model) -> tuple[Library, int]:
    """(the tracks that are in the library and in the model as trained, tracks of the model that the library has no more).

    Raises NothingToMeasure with fewer than two, IndexUnreadable.
    """
    whole = Index.open(model.folder / "index", as_trained=True)
    rows = whole.rows_of(known.ids)
    here = np.flatnonzero(rows >= 0)
    if len(here) < 2:
        raise NothingToMeasure(
            f"model {model.version} has {len(whole)} tracks and none or one of this library's {len(known.ids)}; "
            "run ./spark-submit.sh batch/train.py"
        )
    # both are sorted by id, so the rows of the smaller index follow the library
    index = whole.only(rows[here]) if len(here) < len(whole) else whole
    artists, albums, tagged = ([column[at] for at in here] for column in (known.artists, known.albums, known.genres))
    spelt = spellings(tagged)
    found = tags(artists, albums, tagged)
    names = [spelt[name] for name in sorted(spelt)]  # as `labels` numbers them
    return Library(index, index.space.standardised(known.vectors[here]), found, names), len(whole) - len(here)


def genres(spark: SparkSession, known: Known, shape: genre_mlp.Shape, chosen_on: str | None) -> dict[str, Any] | None:
    """How well genres are told of artists that were not learned from, by networks of the model's shape; None without networks.

    chosen_on : tracks on which the shape was tuned; None: it is the default
    `score` is None where there are too few artists to measure.
    """
    examples = genre_mlp.examples(known.vectors, known.genres, known.artists, known.splits)
    if examples is None:
        return None
    score = genre_mlp.held_out(spark, examples, shape)
    return {
        "genres": list(examples.genres),
        "score": score.document() if score else None,
        "shape_chosen_on": chosen_on,
        "shape_shares_tracks": chosen_on == genre_mlp.SHARED_TRACKS,
    }


def served(model: registry.Model, index: Index) -> NDArray[np.int64]:
    """The first ten of each track's `similar` that are there, by row: int64 [shape=(n, 10)], -1 where there are fewer."""
    lists = np.full((len(index), TEN), -1, dtype=np.int64)
    for batch in model.batches("similar", ["track_id", "similar"]):
        rows = index.rows_of(batch.column("track_id").to_pylist())
        similar = batch.column("similar")
        ids = index.rows_of(similar.flatten().field("track_id").to_pylist())
        stops = np.cumsum(pc.list_value_length(similar).to_numpy())
        for row, near in zip(rows.tolist(), np.split(ids, stops[:-1]), strict=True):
            if row >= 0:
                near = near[near >= 0][:TEN]
                lists[row, : len(near)] = near
    return lists


def placed(model: registry.Model, index: Index) -> NDArray[np.float32] | None:
    """Each track's place on the map: float32 [shape=(n, 2)]; None in a version of a format without one."""
    if not model.has("map") and model.manifest["format"] == 1:
        return None
    places = np.zeros((len(index), 2), dtype=np.float32)
    for batch in model.batches("map", ["track_id", "x", "y"]):
        rows = index.rows_of(batch.column("track_id").to_pylist())
        there = rows >= 0
        places[rows[there]] = np.stack([batch.column("x").to_numpy(), batch.column("y").to_numpy()], axis=1)[there]
    return places


def pictures(report: dict[str, Any], library: Library, places: NDArray[np.float32] | None) -> dict[str, str]:
    """PNG in base64 by section."""
    from batch.report import figures as draw

    found = {"hubness": draw.hubness(report["hubness"])}
    if report["index"]["at"]:
        found["recall"] = draw.recall(report["index"])
    if report["precision"]:
        found["precision"] = draw.precision(report["precision"])
    if (heard := report["genres"]) and heard["score"]:
        found["confusion"] = draw.confusion(heard["genres"], np.array(heard["score"]["confusion"]))
    if places is not None:
        found["plane"] = draw.plane(places, library.tags.genre, library.genres)
    return found


def _write(folder: Path, report: dict[str, Any], drawn: dict[str, str]) -> None:
    """Both files, each whole or not at all."""
    from batch.report.html import page

    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("report.json", json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"),
        ("report.html", page(report, drawn)),
    ):
        part = folder / f".{name}.part"
        part.write_text(text, encoding="utf-8")
        os.replace(part, folder / name)


if __name__ == "__main__":
    sys.exit(main())
