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
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from batch import genre, metric, registry
from batch.index import Index
from batch.report_measures import TEN, Library, hubness, index_quality, precision, simulated_lists
from batch.training_set import Known, columns, library_features
from conf.settings import Settings, settings


class NothingToMeasure(ValueError):
    """The model and the library have no tracks in common."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="batch/evaluate.py", description="Write the latest model's report card.")
    parser.add_argument("--out", type=Path, help="folder for report.html and report.json; else the model version's")
    given = parser.parse_args(arguments)
    try:
        chosen = settings()
        model = registry.latest(chosen.models.root)
    except ValueError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    except OSError as error:
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
    """(the report, the folder that it was written to). Raises NothingToMeasure, NoFeatures."""
    started = time.monotonic()
    tracks = library_features(spark, settings.lake, settings.library.root).cache()
    try:
        known = columns(tracks, settings)
    finally:
        tracks.unpersist()
    library = of_model(known, model)
    examples = genre.examples(known.vectors, known.genres, known.artists, known.splits)
    told = model.manifest["parameters"].get("genre")
    held_out = genre.held_out(spark, examples, genre.Shape(**told) if told else genre.Shape()) if examples else None
    judged = metric.learned(library.standardised, library.tags).judged
    report: dict[str, Any] = {
        "model": model.version,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "library": settings.library.root,
        "tracks": len(library.index),
        "artists": int(len(np.unique(library.tags.artist[library.tags.artist >= 0]))),
        "not_in_model": len(known.ids) - int((library.index.rows_of(known.ids) >= 0).sum()),
        "index": index_quality(library.index),
        "precision": precision(library),
        "hubness": hubness(library, served(spark, model, library.index)),
        "genres": {"genres": list(held_out.genres), **held_out.document()} if held_out else None,
        "space": {
            "metric": model.manifest["parameters"].get("metric", "plain"),
            "judged": [vars(one) for one in judged],
        },
        "lists": simulated_lists(library),
        "machine": {"processors": os.cpu_count()},
    }
    places = _places(spark, model, library.index)
    report["seconds"] = round(time.monotonic() - started, 1)
    folder = out.absolute() if out else model.folder / "report"
    _write(folder, report, pictures(report, library, places))
    return report, folder


def headline(report: dict[str, Any]) -> str:
    """The report in a line or two."""
    met, before, after = report["index"], report["hubness"]["ways"][0], report["hubness"]["ways"][-1]
    recall = ", ".join(f"@{one['k']} {one['recall']:.3f}" for one in met["at"])
    lines = [
        f"{report['tracks']:,} tracks: recall {recall} with {100 * met['candidate_share']:.1f} % as candidates; "
        f"hubs: skew {before['skew']:.2f} → {after['skew']:.2f}, in nobody's list {100 * before['in_no_list']:.1f} % → "
        f"{100 * after['in_no_list']:.1f} %"
    ]
    if told := report["precision"]:
        by = {way["way"]: way["artist_filtered"] for way in told["ways"]}
        shown = ", ".join(f"{way} {value:.2f}" for way, value in by.items() if value is not None)
        lines.append(f"precision@10 by genre, artist-filtered: {shown}")
    if told := report["genres"]:
        lines.append(
            f"genres of artists not learned from: accuracy {told['accuracy']:.3f}, macro-F1 {told['macro_f1']:.3f}"
        )
    return "\n".join(lines)


def of_model(known: Known, model: registry.Model) -> Library:
    """The library as the model has it: by row of its index, without what was added to it since. Raises NothingToMeasure."""
    index = Index.open(model.folder / "index", as_trained=True)
    rows = index.rows_of(known.ids)
    here = rows >= 0
    if here.sum() < 2:
        raise NothingToMeasure(
            f"model {model.version} has {len(index)} tracks and none or one of this library's {len(known.ids)}; "
            "run ./spark-submit.sh batch/train.py"
        )

    def by_row(values: Sequence[str | None]) -> list[str | None]:
        placed: list[str | None] = [None] * len(index)
        for row, value in zip(rows.tolist(), values, strict=True):
            if row >= 0:
                placed[row] = value
        return placed

    genres = by_row(known.genres)
    tags = metric.tags(by_row(known.artists), by_row(known.albums), genres)
    names = {int(label): str(name) for label, name in zip(tags.genre, genres, strict=True) if label >= 0}
    standardised = np.zeros((len(index), known.vectors.shape[1]), dtype=np.float32)
    standardised[rows[here]] = index.space.standardised(known.vectors[here])
    return Library(index, standardised, tags, [names[at] for at in range(len(names))])


def served(spark: SparkSession, model: registry.Model, index: Index) -> NDArray[np.int64]:
    """The first ten of each track's `similar`, by row: int64 [shape=(n, 10)], -1 where there are fewer."""
    ten = F.transform(F.slice("similar", 1, TEN), lambda one: one["track_id"])
    stored = spark.read.parquet(model.parquet("similar")).select("track_id", ten.alias("ten")).toArrow()
    lists = np.full((len(index), TEN), -1, dtype=np.int64)
    for row, some in zip(index.rows_of(stored["track_id"].to_pylist()), stored["ten"].to_pylist(), strict=True):
        lists[row, : len(some)] = index.rows_of(some)
    return lists


def pictures(report: dict[str, Any], library: Library, places: NDArray[np.float32] | None) -> dict[str, str]:
    """PNG in base64 by section."""
    from batch import report_pictures as draw

    found = {"recall": draw.recall(report["index"]), "hubness": draw.hubness(report["hubness"])}
    if report["precision"]:
        found["precision"] = draw.precision(report["precision"])
    if told := report["genres"]:
        found["confusion"] = draw.confusion(told["genres"], np.array(told["confusion"]))
    if places is not None:
        found["plane"] = draw.plane(places, library.tags.genre, library.genres)
    return found


def _places(spark: SparkSession, model: registry.Model, index: Index) -> NDArray[np.float32] | None:
    if not model.has("map"):
        return None
    stored = spark.read.parquet(model.parquet("map")).toArrow()
    places = np.zeros((len(index), 2), dtype=np.float32)
    rows = index.rows_of(stored["track_id"].to_pylist())
    places[rows] = np.stack([stored["x"].to_numpy(), stored["y"].to_numpy()], axis=1)
    return places


def _write(folder: Path, report: dict[str, Any], drawn: dict[str, str]) -> None:
    """Both files, each whole or not at all."""
    from batch.report_page import page

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
