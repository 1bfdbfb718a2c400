"""The index beside exact search, hnswlib and MLlib's own lookup, on vectors grown from real features; then by size.

    python bench/index.py FOLDER [--json FILE] [--sizes 10000 100000 1000000] [--without-mllib]

FOLDER/features.csv is FMA's. Sets are grown from its MFCC statistics (`bench.features.grown` says how; the printed distances to
the 20th neighbour show how it compares with the real ones). Recall is at 20, against exact search. A query's time is the index's
own: buckets looked up, candidates fetched and ranked, on one core; its recall is of 500 other queries. hnswlib is a row where it
is installed (it is no dependency).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyspark.ml.feature import BucketedRandomProjectionLSH, BucketedRandomProjectionLSHModel  # noqa: E402
from pyspark.sql import DataFrame, Row, SparkSession, Window  # noqa: E402
from pyspark.sql import functions as F  # noqa: E402

from batch.index.lsh import SHORTLIST, SHORTLISTED, SHORTLISTED_OF, Index  # noqa: E402
from batch.index.projection import grain_of, to_unit  # noqa: E402
from batch.index.spark_join import band_table, neighbours  # noqa: E402
from batch.index.tuning import Banding, drawn, exact, narrowest, sample  # noqa: E402
from batch.model.sweep import principal_components  # noqa: E402
from bench.features import fma, grown, table  # noqa: E402
from bench.session import session  # noqa: E402

K = 20
QUERIES = 100
JUDGED = 500
"""Further queries, of which the index's recall is told: that of a hundred may be a hundredth off."""
CATALOGUE = 106_574
BANDINGS = {
    10_000: [Banding(10, 32, 24, 2), Banding(10, 32, 24, 2, shared=2), Banding(10, 32, 24, 4, shared=3)],
    100_000: [Banding(14, 64, 24, 2), Banding(14, 64, 24, 4, shared=3)],
    1_000_000: [Banding(18, 64, 24, 4, shared=2)],
}
"""Tried for each size; the one with the least time a query that reaches recall 0.95 is shown."""


def built(points: np.ndarray, banding: Banding) -> tuple[Index, float, dict[str, float]]:
    """(index, seconds to build it, its quality on the queries that it is tuned on)."""
    components, variances = principal_components(points, 32)
    spread = float(np.sqrt(variances[: banding.components].mean()))
    space = replace(drawn(banding, components, spread, 1), components=components, grain=grain_of(points, components))
    started = time.monotonic()
    space, bands, met = narrowest(points, space, sample(points), spread)
    n = len(points)
    ids = np.char.zfill(np.arange(n).astype(np.str_), 8)
    whole = Index(
        space,
        ids,
        points,
        np.ones(n, np.float32),
        np.full(n, -1, np.int32),
        np.empty(0, np.str_),
        bands,
        sketches=space.sketches(points),
    )
    return whole, time.monotonic() - started, vars(met)


def timed(ask: Callable[[], object], times: int = 5) -> float:
    """Seconds, the best of some."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - started)
    return min(taken)


def recall(found: list[np.ndarray], true: np.ndarray) -> float:
    return float(np.mean([np.isin(near, some).mean() for near, some in zip(true, found, strict=True)]))


def row(way: str, seconds: float, found: list[np.ndarray], true: np.ndarray, **more: object) -> dict[str, object]:
    return {"way": way, "ms a query": 1000 * seconds / QUERIES, "recall@20": recall(found, true), **more}


def of_index(points: np.ndarray, whole: Index, queries: np.ndarray, way: str) -> dict[str, object]:
    judged = points[np.linspace(1, len(points) - 2, JUDGED).astype(int)]
    near = [rows for rows, _ in whole.neighbours(judged, K)]
    sizes = np.array([len(rows) for rows in whole.candidates(queries, K)])
    return row(
        way,
        timed(lambda: whole.neighbours(queries, K)),
        near,
        exact(points, judged, K),
        **{
            "candidates, %": 100 * float(sizes.mean()) / len(points),
            "ranked exactly, %": 100 * float(shortlisted(sizes).mean()) / len(points),
            "MB": whole.nbytes() / 1e6,
        },
    )


def shortlisted(sizes: np.ndarray) -> np.ndarray:
    """Of so many candidates how many are ranked exactly, for K asked for."""
    return np.minimum(sizes, np.maximum(max(SHORTLIST, SHORTLISTED * K), sizes // SHORTLISTED_OF))


def hnsw(points: np.ndarray, queries: np.ndarray, true: np.ndarray) -> dict[str, object]:
    try:
        import hnswlib
    except ImportError:
        return {"way": "hnswlib (not installed)"}
    graph = hnswlib.Index(space="l2", dim=points.shape[1])
    graph.init_index(max_elements=len(points), ef_construction=200, M=16, random_seed=1)
    started = time.monotonic()
    graph.add_items(points, num_threads=2)
    building = time.monotonic() - started
    graph.set_num_threads(1)
    for ef in (50, 100, 200, 400, 800):
        graph.set_ef(ef)
        found = list(graph.knn_query(queries, K)[0].astype(np.int64))
        if recall(found, true) >= 0.95:
            break
    return row(f"hnswlib, ef {ef}", timed(lambda: graph.knn_query(queries, K)), found, true, **{"build, s": building})


def inside_spark(spark: SparkSession, whole: Index, queries: np.ndarray, true: np.ndarray) -> list[dict[str, object]]:
    """100 queries in one Spark job, the index mapped by the worker: the whole job, and the index's own part of it."""
    with tempfile.TemporaryDirectory() as folder:
        whole.save(Path(folder))
        frame = spark.createDataFrame(
            [(at, query.tolist()) for at, query in enumerate(queries)], "at long, point array<float>"
        )
        frame = frame.coalesce(1).cache()
        frame.count()

        def asked(batches: Iterator[object]) -> Iterator[object]:
            import pandas as pd

            here = _opened(folder)
            for batch in batches:
                started = time.perf_counter()
                near = here.neighbours(np.vstack(batch["point"]).astype(np.float32), K)
                taken = time.perf_counter() - started
                yield pd.DataFrame({"at": batch["at"], "near": [rows.tolist() for rows, _ in near], "taken": taken})

        def job() -> list[object]:
            return frame.mapInPandas(asked, "at long, near array<long>, taken double").collect()

        for _ in range(3):
            job()
        seconds, own = 1e9, 1e9
        for _ in range(5):
            started = time.perf_counter()
            rows = job()
            seconds = min(seconds, time.perf_counter() - started)
            own = min(own, rows[0]["taken"])
        found = [np.array(one["near"]) for one in sorted(rows, key=lambda one: one["at"])]
        frame.unpersist()
    return [row("index in a Spark job, warm", seconds, found, true), row("… of it the index", own, found, true)]


def joined_in_spark(spark: SparkSession, whole: Index, queries: np.ndarray, true: np.ndarray) -> dict[str, object]:
    """The same 100 queries as a Spark equi-join with a cached band table (`batch.index.spark_join`), warm."""
    tracks, asked = (
        numbered(spark, some).select(F.col("id").cast("string").alias(name), "point").cache()
        for some, name in ((np.asarray(whole.vectors), "track_id"), (queries, "query_id"))
    )
    bands = band_table(tracks.repartition(4), whole.space).cache()
    bands.count(), asked.count()

    def job() -> list[Row]:
        return neighbours(asked, tracks, bands, whole.space, K).collect()

    rows = job()
    seconds = timed(job, 3)
    found: list[list[int]] = [[] for _ in queries]
    for one in rows:
        found[int(one["query_id"])].append(int(one["track_id"]))
    for some in (tracks, asked, bands):
        some.unpersist()
    return row("its bands as a Spark equi-join, warm", seconds, [np.array(f, dtype=int) for f in found], true)


_OPEN: dict[str, Index] = {}


def _opened(folder: str) -> Index:
    if folder not in _OPEN:
        _OPEN.clear()
        _OPEN[folder] = Index.open(Path(folder))
    return _OPEN[folder]


def numbered(spark: SparkSession, points: np.ndarray) -> DataFrame:
    """Points [shape=(n, m)] as (id long, point array<float>)."""
    import pyarrow as pa

    flat = pa.FixedSizeListArray.from_arrays(pa.array(points.reshape(-1)), points.shape[1]).cast(pa.list_(pa.float32()))
    return spark.createDataFrame(pa.table({"id": pa.array(np.arange(len(points))), "point": flat}))


def mllib(spark: SparkSession, points: np.ndarray, queries: np.ndarray, true: np.ndarray) -> list[dict[str, object]]:
    """approxSimilarityJoin of 100 queries with the catalogue, warm: ORed single hashes."""
    from pyspark.ml.functions import array_to_vector

    def frame(some: np.ndarray) -> DataFrame:
        return numbered(spark, some).select("id", array_to_vector("point").alias("point")).repartition(4).cache()

    catalogue, asked = frame(points), frame(queries)
    catalogue.count(), asked.count()
    furthest = float(max(np.linalg.norm(points[near[-1]] - query) for near, query in zip(true, queries, strict=True)))
    spread = float(np.sqrt(points.var(axis=0).mean()))
    shown = []
    for tables, length in ((3, 0.25), (3, 1.0), (5, 1.0)):
        model = BucketedRandomProjectionLSH(
            inputCol="point", outputCol="hashes", bucketLength=length * spread, numHashTables=tables, seed=1
        ).fit(catalogue)
        # hashed and cached beforehand, as the index is built beforehand
        hashed, hashed_queries = (model.transform(some).cache() for some in (catalogue, asked))
        hashed.count(), hashed_queries.count()
        rows = joined(model, hashed_queries, hashed, furthest)
        seconds = timed(partial(joined, model, hashed_queries, hashed, furthest), 3)
        hashed.unpersist(), hashed_queries.unpersist()
        found: list[list[int]] = [[] for _ in queries]
        for one in rows:
            found[one["query"]].append(one["id"])
        shown.append(
            row(
                f"MLlib approxSimilarityJoin, {tables} tables, bucket {length:g} σ",
                seconds,
                [np.array(f, dtype=int) for f in found],
                true,
            )
        )
        print(shown[-1], file=sys.stderr, flush=True)
    catalogue.unpersist(), asked.unpersist()
    return shown


def joined(
    model: BucketedRandomProjectionLSHModel, asked: DataFrame, catalogue: DataFrame, furthest: float
) -> list[Row]:
    """The K nearest of each query that MLlib finds within a distance: (query, id, apart, rank)."""
    near = model.approxSimilarityJoin(asked, catalogue, furthest * 1.001, "apart").select(
        F.col("datasetA.id").alias("query"), F.col("datasetB.id").alias("id"), "apart"
    )
    best = Window.partitionBy("query").orderBy("apart", "id")
    return near.withColumn("rank", F.row_number().over(best)).where(F.col("rank") <= K).collect()


def best_of(
    points: np.ndarray, bandings: list[Banding], queries: np.ndarray
) -> tuple[Index, dict[str, object], list[dict[str, object]]]:
    """(the quickest index among the bandings that reach the target, or that finds most where none does; its row; all rows)."""
    tried = []
    for banding in bandings:
        whole, seconds, met = built(points, banding)
        one = of_index(points, whole, queries, _name(banding)) | {
            "build, s": seconds,
            "largest bucket, %": 100 * met["largest_bucket"],
        }
        print(one, file=sys.stderr, flush=True)
        tried.append((whole, one))

    def rank(pair: tuple[Index, dict[str, object]]) -> tuple[float, float]:
        recall, milliseconds = (float(str(pair[1][name])) for name in ("recall@20", "ms a query"))
        return (0.0 if recall >= 0.95 else 1 - recall, milliseconds)

    return (*min(tried, key=rank), [one for _, one in tried])


def _name(banding: Banding) -> str:
    return (
        f"index, {banding.bands} × {banding.hashes} hashes, {banding.components} components, {banding.probes} probes, "
        f"{banding.shared} or more bands shared"
    )


def set_of(real: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(points of unit length, 100 queries among them, their true neighbours)."""
    points = to_unit(grown(real, n))
    queries = points[np.linspace(0, n - 1, QUERIES).astype(int)]
    return points, queries, exact(points, queries, K)


def one_by_one(points: np.ndarray, queries: np.ndarray, true: np.ndarray) -> dict[str, object]:
    return row(
        "exact, numpy, one at a time",
        timed(lambda: [exact(points, query[None], K) for query in queries], 1),
        list(true),
        true,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sizes", type=int, nargs="*", default=sorted(BANDINGS))
    parser.add_argument("--without-mllib", action="store_true")
    given = parser.parse_args()
    _, real = fma(given.folder)
    result: dict[str, object] = {}

    if not given.without_mllib:
        points, queries, true = set_of(real, CATALOGUE)
        result["distances"] = apart = {"real": _to_20th(real_unit(real)), "grown": _to_20th(points)}
        print(f"median distance to the 20th neighbour: {apart}\n")
        rows = [one_by_one(points, queries, true)]
        rows.append(row("exact, numpy, all at once", timed(partial(exact, points, queries, K), 3), list(true), true))
        rows.append(hnsw(points, queries, true))
        whole, _, tried = best_of(points, BANDINGS[100_000], queries)
        rows += tried
        spark = session("bench-index", "4g")
        rows += inside_spark(spark, whole, queries, true)
        rows.append(joined_in_spark(spark, whole, queries, true))
        rows += mllib(spark, points, queries, true)
        spark.stop()
        print(f"\n{CATALOGUE:,} × {points.shape[1]}, {QUERIES} queries\n\n{table(rows)}\n")
        result["catalogue"] = rows

    rows = []
    for n in given.sizes:
        points, queries, true = set_of(real, n)
        alone = one_by_one(points, queries, true)
        _, one, _ = best_of(points, BANDINGS[n], queries)
        rows.append({"tracks": n, **one, "exact, ms a query": alone["ms a query"]})
    for before, after in zip(rows, rows[1:], strict=False):
        after["times the one before"] = float(str(after["ms a query"])) / float(str(before["ms a query"]))
    if rows:
        print(table(rows))
    result["sizes"] = rows
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n")


def real_unit(real: np.ndarray) -> np.ndarray:
    deviation = real.std(axis=0)
    return to_unit(((real - real.mean(axis=0)) / np.where(deviation > 0, deviation, 1)).astype(np.float32))


def _to_20th(points: np.ndarray) -> float:
    some = points[np.linspace(0, len(points) - 1, 200).astype(int)]
    near = exact(points, some, K + 1)[:, K]
    return float(np.median(np.linalg.norm(points[near] - some, axis=1)))


if __name__ == "__main__":
    main()
