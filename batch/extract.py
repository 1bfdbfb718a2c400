"""Job: a music library becomes the Delta tables `tracks`, `features` and `rejected_tracks`.

    spark-submit.sh batch/extract.py --library DIR

Files are read in chunks, and each chunk is kept before the next begins: a job that was ended at any moment carries on
from there. A file that has not changed is not read again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from batch.audio import EXTRACTOR_VERSION, MIDDLE_S
from batch.features import FEATURES, features, outcomes
from batch.lake import table, upsert
from batch.library import AudioFile, Unusable, library_root, scan
from batch.rejected import Rejected, forget, keep, rejected
from batch.tracks import FILE, TRACKS, Catalogue, FileRead, Track
from conf.settings import Lake, settings

CHUNK = 2000
"""Files between two commits."""
FILES_A_TASK = 16


@dataclass(frozen=True)
class Summary:
    """Files of a run: read now, unchanged since an earlier run, rejected (then or now); and tracks that are gone."""

    extracted: int
    unchanged: int
    rejected: int
    gone: int

    def __str__(self) -> str:
        gone = f", {self.gone} gone" if self.gone else ""
        return f"{self.extracted} extracted, {self.unchanged} unchanged, {self.rejected} rejected{gone}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="batch/extract.py", description="Read a music library into the lake.")
    parser.add_argument("--library", metavar="DIR", help="the folder; default: the setting library.root")
    given = parser.parse_args(arguments)
    try:
        chosen = settings()
        folder = given.library or chosen.library.root
        if not folder:
            raise ValueError("no library: give --library DIR or set OVERTONE_LIBRARY__ROOT")
        root = library_root(folder)
        found = scan(root)
    except (ValueError, OSError) as error:
        print(f"extract: {error}", file=sys.stderr)
        return 2
    spark = SparkSession.builder.appName("extract").getOrCreate()
    try:
        summary = extract(spark, root, *found, chosen.lake)
    finally:
        spark.stop()
    print(f"{summary} (see {chosen.lake.table('rejected_tracks')})", flush=True)
    return 0


def extract(spark: SparkSession, root: Path, files: list[AudioFile], unusable: list[Unusable], lake: Lake) -> Summary:
    """Brings the three tables in line with the files found under `root`."""
    library, rejected_tracks = str(root), lake.table("rejected_tracks")
    catalogue, current = _known(spark, library, files, lake)
    stored = rejected(spark, rejected_tracks, library)
    by_path = {file.path: file for file in files}
    refused = {path: row for path, row in stored.items() if row.stands_for(by_path.get(path))}

    waiting = catalogue.to_read(current, {path: row.file for path, row in refused.items()})
    unchanged = len(files) - len(waiting) - len(refused)
    progress = _Progress(len(waiting))
    for start in range(0, len(waiting), CHUNK):
        chunk = waiting[start : start + CHUNK]
        bad = _take_chunk(spark, chunk, catalogue, current, lake)
        refused |= {row.path: row for row in bad}
        progress.report(len(chunk), len(bad))

    lost = catalogue.missing(datetime.now(UTC))
    if lost:
        _upsert_tracks(lost, spark, lake)
    unseen = _refusals(library, unusable, stored)
    keep(spark, rejected_tracks, [row for row in unseen if stored.get(row.path) != row])
    refused |= {row.path: row for row in unseen}
    forget(spark, rejected_tracks, [row for path, row in stored.items() if path not in refused])
    return Summary(
        extracted=progress.done - progress.rejected,
        unchanged=unchanged,
        rejected=len(refused),
        gone=sum(track.gone_at is not None for track in lost),
    )


def _take_chunk(
    spark: SparkSession, chunk: Sequence[AudioFile], catalogue: Catalogue, current: set[str], lake: Lake
) -> list[Rejected]:
    """Reads a chunk of files on the cluster and keeps what was found: features, then tracks, then what was refused.

    A file counts as done when it is in `tracks` or `rejected_tracks`, so whatever is written before does no harm.
    """
    rows = spark.createDataFrame([asdict(file) for file in chunk], FILE)
    spread = rows.repartition(-(-len(chunk) // FILES_A_TASK))
    seen = outcomes(spread, catalogue.library, catalogue.contents(current), MIDDLE_S).persist()
    try:
        found = {row.path: row for row in seen.drop("vector").collect()}
        in_order = [found[file.path] for file in chunk]
        now = datetime.now(UTC)
        taken = catalogue.take([_file_read(row) for row in in_order if row.reason is None], now)
        if taken:
            ids = spark.createDataFrame(
                [(path, track.track_id) for path, track in taken], "path string, track_id string"
            )
            upsert(features(seen, ids), lake.table("features"), ["track_id"])
            changed = {track.track_id: track for _, track in taken}
            _upsert_tracks(changed.values(), spark, lake)
            current |= changed.keys()
    finally:
        seen.unpersist()
    bad = [
        Rejected(catalogue.library, row.path, row.reason, row.detail, now, row.size, row.mtime_ns)
        for row in in_order
        if row.reason is not None
    ]
    keep(spark, lake.table("rejected_tracks"), bad)
    return bad


def _known(spark: SparkSession, library: str, files: Iterable[AudioFile], lake: Lake) -> tuple[Catalogue, set[str]]:
    """The library's tracks as the tables know them, and the ids that have features of this extractor version."""
    tracks = table(spark, lake.table("tracks"), TRACKS)
    is_ours = F.col("library") == library
    known = [Track.from_row(row.asDict(recursive=True)) for row in tracks.where(is_ours).collect()]
    elsewhere = {row.sha256: row.track_id for row in tracks.where(~is_ours).select("sha256", "track_id").collect()}
    is_current = F.col("extractor_version") == EXTRACTOR_VERSION
    vectors = table(spark, lake.table("features"), FEATURES).where(is_current).select("track_id")
    return Catalogue(library, known, files, elsewhere), {row.track_id for row in vectors.collect()}


def _file_read(row: Row) -> FileRead:
    names = ("title", "artist", "album", "genre", "composer", "track_number", "year", "licence")
    return FileRead(
        file=AudioFile(row.path, row.size, row.mtime_ns),
        sha256=row.sha256,
        duration_s=row.duration_s,
        tags={name: row[name] for name in names},
    )


def _refusals(library: str, unusable: Iterable[Unusable], stored: dict[str, Rejected]) -> list[Rejected]:
    """What could not even be looked at; a row that says so already is left as it is."""
    now = datetime.now(UTC)
    rows = [Rejected(library, found.path, found.reason, found.detail, now) for found in unusable]
    before = [stored.get(row.path) for row in rows]
    return [
        old if old is not None and replace(old, rejected_at=now) == row else row
        for row, old in zip(rows, before, strict=True)
    ]


def _upsert_tracks(tracks: Iterable[Track], spark: SparkSession, lake: Lake) -> None:
    rows = spark.createDataFrame([track.row() for track in tracks], TRACKS)
    upsert(rows, lake.table("tracks"), ["library", "track_id"])


class _Progress:
    """Files done and rejected so far, told a line a chunk."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.rejected = total, 0, 0
        self._started = time.monotonic()

    def report(self, files: int, rejected: int) -> None:
        self.done += files
        self.rejected += rejected
        rate = self.done / max(time.monotonic() - self._started, 1e-9)
        left = (self.total - self.done) / rate
        print(
            f"  {self.done:,} of {self.total:,} files, {rate:.1f} a second, {left:.0f} s left, {self.rejected} rejected",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
