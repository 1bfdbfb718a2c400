"""Time and memory of a training on a standalone cluster of one or more workers, by the size of the library.

    PYTHONPATH=. .venv/bin/python bench/train.py --work DIR [--tracks 10000 100000 1000000] [--executors 1] [--out FILE.json]

The tracks are made, on the executors, and kept in DIR: vectors of both blocks around artists and genres (as
`bench/generated_library.py`), albums of ten tracks. They measure time and memory, never quality. Master, worker, driver and
executors are processes of their own; each executor has Spark's default memory of 1 GB, the driver what conf/spark-train.conf
gives it, as with spark-submit.sh on a cluster. Memory is the kernel's resident set, sampled twice a second: `own` without what
is mapped from files, which the kernel can drop.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch.audio.features import N_FEATURES, extractor_version
from batch.ear.graph import N_EMBEDDING, N_TAGS
from batch.ear.network import EAR_VERSION
from batch.index.lsh import Index
from batch.index.pieces import Piece, write_index
from batch.index.projection import Projection, to_unit
from batch.index.recordings import recording_codes
from batch.index.tuning import default_parameters, random_projection
from batch.library.extraction import FEATURES
from batch.library.tracks import TRACKS
from batch.model.similar_tracks import save_neighbours
from batch.train import summary, train
from batch.training.library import library_of
from batch.training.projected import pieces
from bench.features import table
from bench.session import SPARK_JARS, options_in, session_of_jobs
from bench.stream_cluster import Cluster
from conf.settings import PROJECT, Settings, settings
from local.processes import command_line, family

if TYPE_CHECKING:
    import pandas as pd

SIZES = [10_000, 100_000, 1_000_000]
LATENT_DIMENSIONS = 32
GENRES = 16
ALBUM_TRACKS = 10
TRACKS_PER_ARTIST = 20
TRACKS_A_TASK = 5000
SEED = 20
SAMPLED_EVERY_S = 0.5
MB = 2**20
MADE = (
    "track_id string, title string, artist string, album string, genre string, "
    "vector array<float>, embedding array<float>, tags array<float>"
)


def made_tracks(spark: SparkSession, n: int) -> DataFrame:
    """n tracks with both blocks of features, in the columns of MADE."""
    rng = np.random.default_rng(SEED)
    falling_scale = np.arange(1, LATENT_DIMENSIONS + 1) ** -0.5
    subspaces = [falling_scale[:, None] * rng.normal(0, 1, (LATENT_DIMENSIONS, d)) for d in (N_FEATURES, N_EMBEDDING)]
    centres = rng.normal(0, 1.2, (GENRES, LATENT_DIMENSIONS))

    def made(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        for batch in batches:
            rows = batch["id"].to_numpy()
            artist, album = rows // TRACKS_PER_ARTIST, rows // ALBUM_TRACKS
            genre = artist % GENRES
            latent = np.empty((len(rows), LATENT_DIMENSIONS))
            for number, (row, of_artist, of_genre) in enumerate(zip(rows, artist, genre, strict=True)):
                around = centres[of_genre] + np.random.default_rng([SEED, 1, of_artist]).normal(
                    0, 0.6, LATENT_DIMENSIONS
                )
                latent[number] = around + np.random.default_rng([SEED, 2, row]).normal(0, 0.5, LATENT_DIMENSIONS)
            noise = np.random.default_rng([SEED, 3, int(rows[0])])
            vector, embedding = (
                (latent @ subspace + noise.normal(0, 0.25, (len(rows), subspace.shape[1]))).astype(np.float32)
                for subspace in subspaces
            )
            yield pd.DataFrame(
                {
                    # ids in another order than the rows, as hashes of contents are
                    "track_id": [f"{(row * 0x9E3779B97F4A7C15) % 2**64:016x}" for row in rows.tolist()],
                    "title": [f"Song {row}" for row in rows],
                    "artist": [f"Artist {number}" for number in artist],
                    "album": [f"Album {number}" for number in album],
                    "genre": [f"Genre {number}" for number in genre],
                    "vector": list(vector),
                    "embedding": list(embedding),
                    "tags": list(noise.beta(0.5, 8, (len(rows), N_TAGS)).astype(np.float32)),
                }
            )

    return spark.range(0, n, 1, max(2, n // TRACKS_A_TASK)).mapInPandas(made, MADE)


def save_library(spark: SparkSession, chosen: Settings, n: int) -> None:
    """Writes the tables `tracks` and `features` of n made tracks, once."""
    done = Path(chosen.lake.root) / "made"
    if done.exists():
        return
    tracks = made_tracks(spark, n)
    features = tracks.withColumn("extractor_version", F.lit(extractor_version(ear=EAR_VERSION)))
    features.select(*FEATURES.names).write.format("delta").mode("overwrite").save(chosen.lake.table("features"))
    columns = [
        F.col(field.name)
        if field.name in tracks.columns
        else (120 + F.pmod(F.xxhash64("track_id"), F.lit(300))).cast("double").alias("duration_s")
        if field.name == "duration_s"
        else F.lit(None).cast(field.dataType).alias(field.name)
        for field in TRACKS
    ]
    tracks.select(*columns).write.format("delta").mode("overwrite").save(chosen.lake.table("tracks"))
    done.touch()


def make_files(folder: Path, n: int) -> None:
    """Writes what `index_files` reads: columns, projected tracks and rankings of n tracks."""
    rng, rows = np.random.default_rng(SEED), TRACKS_A_TASK
    ids = [f"{(row * 0x9E3779B97F4A7C15) % 2**64:016x}" for row in range(n)]
    points = to_unit(rng.normal(0, 1, (rows, N_FEATURES + N_EMBEDDING)).astype(np.float32))
    piece = Piece.of(np.arange(rows), points, made_projection())
    arrays = {"point": points, "sketch": piece.sketches, "first_component": piece.first_component, "keys": piece.keys}
    stored = {name: [row.tobytes() for row in array] for name, array in arrays.items()}
    for name in ("projected", "rankings"):
        (folder / name).mkdir(parents=True)
    pq.write_table(made_columns(ids), folder / "columns.parquet")
    for start in range(0, n, rows):
        part = ids[start : start + rows]
        values = {name: of_rows[: len(part)] for name, of_rows in stored.items()}
        values |= {"title_key": np.arange(len(part)), "tags": pa.nulls(len(part), pa.binary())}
        ranked = list(rng.integers(0, n, (len(part), 100), dtype=np.int32))
        for name, columns in (("projected", values), ("rankings", {"rows": ranked})):
            pq.write_table(pa.table({"track_id": part, **columns}), folder / name / f"part-{start:08d}.parquet")


def index_files(folder: Path, work: Path) -> None:
    """What the driver's Python does for each track, without Spark: it takes the columns, writes the index from Parquet piece by
    piece, then the stored neighbours and the recordings."""
    library = library_of(pq.read_table(folder / "columns.parquet", memory_map=False), settings(home=work))
    library.fingerprint({})
    tracks, projection = library.track_columns(), made_projection()
    write_index(folder / "index", tracks, projection, pieces(str(folder / "projected"), tracks, projection))
    save_neighbours(str(folder / "rankings"), folder / "index")
    recording_codes(Index.open(folder / "index", as_trained=True), np.empty((0, 2), dtype=np.int64))


def made_columns(ids: list[str]) -> pa.Table:
    """The columns that `batch.training.library.library_columns` has from Spark."""
    n = len(ids)
    numbers = np.arange(n)
    return pa.table(
        {
            "track_id": sorted(ids),
            "extractor_version": pa.array([extractor_version(ear=EAR_VERSION)] * n),
            "length": np.full(n, N_FEATURES),
            "is_usable": np.ones(n, dtype=bool),
            "has_embedding": np.ones(n, dtype=bool),
            "artist": [f"Artist {number}" for number in (numbers // TRACKS_PER_ARTIST).tolist()],
            "duration_s": np.full(n, 200.0),
            "album": numbers // ALBUM_TRACKS,
            **dict.fromkeys(("labels_hash", "vector_hash", "ear_hash"), numbers),
        }
    )


def made_projection() -> Projection:
    """A projection of points of both blocks, of the shape of a library of a million tracks."""
    dimensions = N_FEATURES + N_EMBEDDING
    components = np.linalg.qr(np.random.default_rng(SEED).normal(size=(dimensions, 32)))[0].astype(np.float32)
    made = random_projection(default_parameters(1_000_000), components, 0.2, SEED)
    return replace(made, components=components, quantisation_step=0.01)


def cluster_session(master: str, work: Path) -> SparkSession:
    """A session on the cluster with the jobs' own settings."""
    options = {
        **options_in(PROJECT / "conf" / "spark-train.conf"),
        "spark.executor.extraClassPath": SPARK_JARS,
        "spark.executorEnv.PYTHONPATH": str(PROJECT),
        "spark.local.dir": str(work / "spark"),
    }
    return session_of_jobs("train", master, options)


def driver(master: str, work: Path, n: int, is_made: bool) -> None:
    """Runs in a process of its own: makes the library, or trains on it and prints what it did as JSON."""
    chosen = settings(home=work, lake={"root": str(work / f"lake-{n}")}, models={"root": str(work / f"models-{n}")})
    spark = cluster_session(master, work)
    if not is_made:
        save_library(spark, chosen, n)
        spark.stop()
        return
    started = time.monotonic()
    model = train(spark, chosen)
    minutes = (time.monotonic() - started) / 60
    tasks = tasks_of_stages(spark)
    print(summary(model), file=sys.stderr)
    metrics = model.manifest["metrics"]
    spark.stop()
    print(
        json.dumps(
            {
                "minutes": minutes,
                "tasks": sum(tasks),
                "tasks of the largest stage": max(tasks),
                "recall@20": metrics["recall_at_20"],
                "candidates, %": 100 * metrics["candidate_share"],
                "fitted on": model.manifest["fitted_on"],
            }
        )
    )


def tasks_of_stages(spark: SparkSession) -> list[int]:
    """The number of tasks of each stage that has run."""
    store = spark.sparkContext._jsc.sc().statusStore()
    defaults = (getattr(store, f"stageList$default${number}")() for number in range(2, 6))
    stages = store.stageList(None, *defaults)
    return [stages.apply(number).numCompleteTasks() for number in range(stages.size())]


def resident(pid: int) -> tuple[int, int] | None:
    """(bytes in memory, those of them that are the process's own); None where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    values = {
        line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith(("VmRSS", "RssAnon"))
    }
    return (values["VmRSS"], values["RssAnon"]) if len(values) == 2 else None


def role(pid: int, is_driver: bool) -> str:
    """What a process is, as the table's columns have it; "" for none of them."""
    words = command_line(pid)
    if not words:
        return ""

    def has(text: bytes) -> bool:
        return any(text in word for word in words)

    if b"java" in words[0]:
        return "driver's Java" if is_driver else "executor's Java" if has(b"ExecutorBackend") else ""
    return "driver's Python" if is_driver else "Python worker" if has(b"pyspark") else ""


def peaks(driver: subprocess.Popen[Any], worker_pids: list[int]) -> dict[str, float]:
    """Megabytes of the largest process of each role, and of the driver's together, until the driver ends; it ends with this."""
    most: dict[str, float] = defaultdict(float)
    try:
        while driver.poll() is None:
            of_driver, own_of_driver = 0, 0
            for root, is_driver in ((driver.pid, True), *((pid, False) for pid in worker_pids)):
                for pid in family([root]):
                    name, sizes = role(pid, is_driver), resident(pid)
                    if name and sizes:
                        most[f"{name}, MB"] = max(most[f"{name}, MB"], sizes[0] / MB)
                        most[f"{name}, own MB"] = max(most[f"{name}, own MB"], sizes[1] / MB)
                        of_driver, own_of_driver = of_driver + is_driver * sizes[0], own_of_driver + is_driver * sizes[1]
            most["driver, MB"] = max(most["driver, MB"], of_driver / MB)
            most["driver, own MB"] = max(most["driver, own MB"], own_of_driver / MB)
            time.sleep(SAMPLED_EVERY_S)
    finally:
        driver.terminate()
    return dict(most)


def measured_files(work: Path, n: int) -> dict[str, object]:
    """A row of the table of `index_files`."""
    command = [sys.executable, "-P", __file__, "--work", str(work), "--tracks", str(n), "--files", "--driver", "none"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "OPENBLAS_NUM_THREADS": "1"}
    shutil.rmtree(work / f"files-{n}", ignore_errors=True)
    subprocess.run([*command, "--make"], env=environment, check=True)
    started = time.monotonic()
    process = subprocess.Popen(command, env=environment)
    most = peaks(process, [])
    if process.returncode:
        raise SystemExit(f"the files of {n:,} tracks failed")
    seconds = time.monotonic() - started
    return {"tracks": n, "seconds": round(seconds), **{name: round(value) for name, value in most.items()}}


def measured(cluster: Cluster, work: Path, n: int) -> dict[str, object]:
    """A row of the table for a library of n tracks."""
    environment = {
        **os.environ,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(PROJECT),
        "MALLOC_ARENA_MAX": "2",  # as spark-submit.sh sets it
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    }
    command = [sys.executable, "-P", __file__, "--work", str(work), "--tracks", str(n), "--driver", cluster.url]
    subprocess.run([*command, "--make"], env=environment, check=True)
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    most = peaks(process, [worker.pid for worker in cluster.workers])
    output = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise SystemExit(f"the training of {n:,} tracks failed; its peaks until then, MB: {most}")
    return {
        "tracks": n,
        "executors": len(cluster.workers),
        **json.loads(output.splitlines()[-1]),
        **{name: round(value) for name, value in most.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for the made tables, models and Spark's files")
    parser.add_argument("--tracks", type=int, nargs="+", default=SIZES)
    parser.add_argument("--executors", type=int, default=1, help="of one core each")
    parser.add_argument("--out", type=Path)
    parser.add_argument(
        "--files", action="store_true", help="only what the driver's Python does without Spark, on made columns"
    )
    parser.add_argument("--driver", help=argparse.SUPPRESS)
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    work = options.work.absolute()
    if options.driver and options.files:
        folder = work / f"files-{options.tracks[0]}"
        make_files(folder, options.tracks[0]) if options.make else index_files(folder, work)
        return
    if options.driver:
        driver(options.driver, work, options.tracks[0], is_made=not options.make)
        return
    if options.files:
        print(table([measured_files(work, n) for n in options.tracks]))
        return
    rows = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is stopped
    cluster = Cluster(work / "cluster", options.executors)
    cluster.start()
    try:
        for n in options.tracks:
            rows.append(measured(cluster, work, n))
            print(table(rows[-1:]), flush=True)
    finally:
        cluster.stop()
    print(f"\n{table(rows)}")
    if options.out:
        options.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
