"""The index beside exact search, hnswlib and MLlib's own lookup, on vectors grown from real features; then by size.

    python bench/index.py FOLDER [--kept FILE.npz] [--json FILE] [--sizes 10000 100000 106574 1000000] [--without-mllib]

FOLDER/features.csv is FMA's. Sets are grown from its MFCC statistics (`bench.features.grown` says how; the printed distances to
the 20th neighbour show how it compares with the real ones). Or FOLDER holds audio (`bench.audio_songs`; kept in FILE.npz): sets
are grown from both blocks of its songs, and each block is brought to the same length, as in a model.

Recall is at 20, against exact search. A query's time is the index's own: buckets looked up, candidates fetched and ranked, on one
core; its recall is of 500 other queries. hnswlib is a row where it is installed (it is no dependency).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from batch.index.exact import (  # noqa: E402
    SHORTLIST_MIN_ROWS,
    SHORTLIST_ONE_IN,
    SHORTLIST_PER_NEIGHBOUR,
    exact_neighbours,
)
from batch.index.exact import recall as mean_recall  # noqa: E402
from batch.index.lsh import Index  # noqa: E402
from batch.index.projection import int8_quantisation_step, to_unit  # noqa: E402
from batch.index.tuning import (  # noqa: E402
    HashParameters,
    HashQuality,
    default_parameters,
    random_projection,
    shortest_buckets,
    tuning_sample,
)
from batch.model import blocks  # noqa: E402
from batch.model.metric.choice import EQUAL  # noqa: E402
from batch.model.metric.learning import BlockScaling  # noqa: E402
from batch.model.metric.learning import points as learned_points  # noqa: E402
from batch.model.sweep import principal_components  # noqa: E402
from bench.audio_songs import audio_songs  # noqa: E402
from bench.features import fma, grown, table  # noqa: E402
from bench.index_in_spark import (  # noqa: E402
    TIMED_QUERIES,
    K,
    ReportRow,
    best_seconds,
    mllib_rows,
    report_row,
    spark_job_rows,
)
from bench.session import session  # noqa: E402

RECALL_QUERIES = 500
"""Further queries, on which the index's recall is measured: on a hundred it may be 0.01 off."""
TARGET_RECALL = 0.95
FMA_TRACKS = 106_574
SKETCH_COMPONENTS = 32
PARAMETERS = {
    10_000: [
        HashParameters(10, 32, 24, 2),
        HashParameters(10, 32, 24, 2, min_collisions=2),
        HashParameters(10, 32, 24, 4, min_collisions=3),
    ],
    100_000: [HashParameters(14, 64, 24, 2), HashParameters(14, 64, 24, 4, min_collisions=3)],
    1_000_000: [HashParameters(18, 64, 24, 4, min_collisions=2)],
}
"""Tried for each size; the one with the least time a query that reaches TARGET_RECALL is shown."""


def built(points: np.ndarray, parameters: HashParameters) -> tuple[Index, float, HashQuality]:
    """(index, seconds to build it, its quality on the queries that it is tuned on)."""
    components, variances = principal_components(points, SKETCH_COMPONENTS)
    projection_rms = float(np.sqrt(variances[: parameters.components].mean()))
    untuned = replace(
        random_projection(parameters, components, projection_rms, 1),
        components=components,
        quantisation_step=int8_quantisation_step(points, components),
    )
    started = time.monotonic()
    projection, tables, quality = shortest_buckets(points, untuned, tuning_sample(points), projection_rms)
    n = len(points)
    index = Index(
        projection=projection,
        ids=np.char.zfill(np.arange(n).astype(np.str_), 8),
        vectors=points,
        scales=np.ones(n, np.float32),
        artists=np.full(n, -1, np.int32),
        artist_names=np.empty(0, np.str_),
        tables=tables,
        sketches=projection.stored_sketch(points),
    )
    return index, time.monotonic() - started, quality


def index_row(points: np.ndarray, index: Index, queries: np.ndarray, way: str) -> ReportRow:
    recall_queries = points[np.linspace(1, len(points) - 2, RECALL_QUERIES).astype(int)]
    answers = [rows for rows, _ in index.neighbours(recall_queries, K)]
    candidates = np.array([len(rows) for rows in index.candidates(queries, K)])
    return report_row(
        way,
        best_seconds(lambda: index.neighbours(queries, K)),
        answers,
        exact_neighbours(points, recall_queries, K),
        **{
            "candidates, %": 100 * float(candidates.mean()) / len(points),
            "ranked exactly, %": 100 * float(shortlist_sizes(candidates).mean()) / len(points),
            "MB": index.nbytes() / 1e6,
        },
    )


def shortlist_sizes(candidates: np.ndarray) -> np.ndarray:
    """How many of so many candidates are ranked exactly, for K neighbours."""
    min_rows = max(SHORTLIST_MIN_ROWS, SHORTLIST_PER_NEIGHBOUR * K)
    return np.minimum(candidates, np.maximum(min_rows, candidates // SHORTLIST_ONE_IN))


def hnsw_row(points: np.ndarray, queries: np.ndarray, true_neighbours: np.ndarray) -> ReportRow:
    """hnswlib with the least `ef` that reaches TARGET_RECALL."""
    try:
        import hnswlib
    except ImportError:
        return {"way": "hnswlib (not installed)"}
    graph = hnswlib.Index(space="l2", dim=points.shape[1])
    graph.init_index(max_elements=len(points), ef_construction=200, M=16, random_seed=1)
    started = time.monotonic()
    graph.add_items(points, num_threads=2)
    build_seconds = time.monotonic() - started
    graph.set_num_threads(1)
    for ef in (50, 100, 200, 400, 800):
        graph.set_ef(ef)
        answers = list(graph.knn_query(queries, K)[0].astype(np.int64))
        if mean_recall(answers, list(true_neighbours)) >= TARGET_RECALL:
            break
    seconds = best_seconds(lambda: graph.knn_query(queries, K))
    return report_row(f"hnswlib, ef {ef}", seconds, answers, true_neighbours, **{"build, s": build_seconds})


def best_of(
    points: np.ndarray, choices: list[HashParameters], queries: np.ndarray
) -> tuple[Index, ReportRow, list[ReportRow]]:
    """(the fastest index of those that reach TARGET_RECALL, or with the best recall where none does; its row; all rows)."""
    tried = []
    for parameters in choices:
        index, build_seconds, quality = built(points, parameters)
        row = index_row(points, index, queries, _way(parameters)) | {
            "build, s": build_seconds,
            "largest bucket, %": 100 * quality.largest_bucket_share,
        }
        print(row, file=sys.stderr, flush=True)
        tried.append((index, row))

    def rank(pair: tuple[Index, ReportRow]) -> tuple[float, float]:
        recall, milliseconds = (float(str(pair[1][name])) for name in ("recall@20", "ms a query"))
        return (0.0 if recall >= TARGET_RECALL else 1 - recall, milliseconds)

    return (*min(tried, key=rank), [row for _, row in tried])


def _way(parameters: HashParameters) -> str:
    return (
        f"index, {parameters.tables} × {parameters.hashes} hashes, {parameters.components} components, "
        f"{parameters.probes} probes, {parameters.min_collisions} or more collisions"
    )


def unit_points(
    real: np.ndarray, n: int, block_lengths: tuple[int, ...] = ()
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(points of unit length, 100 queries among them, their true neighbours).  block_lengths : of two blocks; (): one"""
    scaling = BlockScaling.of(block_lengths, EQUAL) if block_lengths else None
    points = learned_points(grown(real, n), None, scaling)
    queries = points[np.linspace(0, n - 1, TIMED_QUERIES).astype(int)]
    return points, queries, exact_neighbours(points, queries, K)


def exact_row(points: np.ndarray, queries: np.ndarray, true_neighbours: np.ndarray) -> ReportRow:
    seconds = best_seconds(lambda: [exact_neighbours(points, query[None], K) for query in queries], 1)
    return report_row("exact, numpy, one at a time", seconds, list(true_neighbours), true_neighbours)


def fma_sized_rows(real: np.ndarray) -> tuple[dict[str, float], list[ReportRow]]:
    """(median distance to the 20th neighbour of the real and the grown points; all ways on a library of FMA's size)."""
    points, queries, true_neighbours = unit_points(real, FMA_TRACKS)
    distances = {"real": _median_distance_to_20th(standardised_unit(real)), "grown": _median_distance_to_20th(points)}
    print(f"median distance to the 20th neighbour: {distances}\n")
    at_once = best_seconds(partial(exact_neighbours, points, queries, K), 3)
    rows = [
        exact_row(points, queries, true_neighbours),
        report_row("exact, numpy, all at once", at_once, list(true_neighbours), true_neighbours),
        hnsw_row(points, queries, true_neighbours),
    ]
    index, _, tried = best_of(points, PARAMETERS[100_000], queries)
    rows += tried
    spark = session("bench-index", "4g")
    rows += spark_job_rows(spark, index, queries, true_neighbours)
    rows += mllib_rows(spark, points, queries, true_neighbours)
    spark.stop()
    print(f"\n{FMA_TRACKS:,} × {points.shape[1]}, {TIMED_QUERIES} queries\n\n{table(rows)}\n")
    return distances, rows


def size_rows(real: np.ndarray, sizes: list[int], block_lengths: tuple[int, ...] = ()) -> list[ReportRow]:
    """The best index of each size, beside exact search."""
    rows: list[ReportRow] = []
    for n in sizes:
        points, queries, true_neighbours = unit_points(real, n, block_lengths)
        exact = exact_row(points, queries, true_neighbours)
        choices = [default_parameters(n)] if block_lengths else PARAMETERS[n]
        _, row, _ = best_of(points, choices, queries)
        rows.append({"tracks": n, **row, "exact, ms a query": exact["ms a query"]})
    for smaller, larger in zip(rows, rows[1:], strict=False):
        larger["times the one before"] = float(str(larger["ms a query"])) / float(str(smaller["ms a query"]))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kept", type=Path, help="features of an earlier run; written where it is missing")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sizes", type=int, nargs="*", default=sorted(PARAMETERS))
    parser.add_argument("--without-mllib", action="store_true")
    options = parser.parse_args()
    result: dict[str, object] = {}
    if (options.folder / "features.csv").exists():
        _, real = fma(options.folder)
        if not options.without_mllib:
            result["distances"], result["fma_sized"] = fma_sized_rows(real)
        rows = size_rows(real, options.sizes)
    else:
        library = audio_songs(options.folder, options.kept)
        both = blocks.joined(library.vectors, library.embeddings)
        rows = size_rows(both, options.sizes, blocks.lengths(library.vectors, library.embeddings))
    if rows:
        print(table(rows))
    result["sizes"] = rows
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


def standardised_unit(real: np.ndarray) -> np.ndarray:
    deviation = real.std(axis=0)
    return to_unit(((real - real.mean(axis=0)) / np.where(deviation > 0, deviation, 1)).astype(np.float32))


def _median_distance_to_20th(points: np.ndarray) -> float:
    queries = points[np.linspace(0, len(points) - 1, 200).astype(int)]
    neighbours_20th = exact_neighbours(points, queries, K + 1)[:, K]
    return float(np.median(np.linalg.norm(points[neighbours_20th] - queries, axis=1)))


if __name__ == "__main__":
    main()
