"""Job: a music library becomes the Delta tables `tracks`, `features` and `rejected_tracks`.

    spark-submit.sh batch/extract.py --library DIR [--fma-metadata DIR]
    spark-submit.sh batch/extract.py --from-features features.csv [--fma-metadata DIR]

Files are read in chunks, and each chunk is kept before the next begins: a job that was ended at any moment carries on
from there. A file that has not changed is not read again. The second form takes FMA's published features for audio.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from batch.audio.features import extractor_version
from batch.fma import metadata as fma
from batch.lake import table, upsert
from batch.library.extraction import FEATURES_OF_CONTENT, features, outcomes
from batch.library.files import AudioFile, Unusable
from batch.library.listing import scanned
from batch.library.rejected import Rejected, forget, keep, rejected
from batch.library.tracks import FILE, TAGS, TRACKS, Catalogue, FileRead, Summary, Track
from batch.progress import Progress
from conf.settings import Settings, settings

CHUNK = 2000
"""Files between two commits."""
FILES_A_TASK = 16


@dataclass(frozen=True)
class Found:
    """What the job is about: a library's files, what could not be looked at, and what FMA says of them, if it is FMA's."""

    library: str
    files: Sequence[AudioFile]
    unusable: Sequence[Unusable] = ()
    metadata: fma.Metadata | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    try:
        chosen = settings()
        if given.from_features:
            from batch.fma import published_features

            published = published_features.published(given.from_features, given.fma_metadata)
        else:
            found = _found(given.library or chosen.library.root, given.fma_metadata)
    except (ValueError, OSError) as error:
        print(f"extract: {error}", file=sys.stderr)
        return 2
    spark = SparkSession.builder.appName("extract").getOrCreate()
    try:
        if given.from_features:
            summary = published_features.take(spark, published, chosen.lake)
        else:
            summary = extract(spark, found, chosen)
    except ValueError as error:
        print(f"extract: {error}", file=sys.stderr)
        return 1
    finally:
        spark.stop()
    print(f"{summary} (see {chosen.lake.table('rejected_tracks')})", flush=True)
    return 0


def extract(spark: SparkSession, found: Found, settings: Settings) -> Summary:
    """Brings the three tables in line with the files found."""
    return _Extraction(spark, found, settings).run()


class _Extraction:
    """One run: what the tables know of the library, held against the files that are there."""

    def __init__(self, spark: SparkSession, found: Found, settings: Settings) -> None:
        self._spark, self._found, self._lake = spark, found, settings.lake
        self._middle_s = settings.library.analysed_s
        self._version = extractor_version(self._middle_s)
        self._catalogue, self._current = self._known()
        self._stored = rejected(spark, self._lake.table("rejected_tracks"), found.library)
        self._counters = (spark.sparkContext.accumulator(0), spark.sparkContext.accumulator(0))

    def run(self) -> Summary:
        files, location = self._found.files, self._lake.table("rejected_tracks")
        by_path = {file.path: file for file in files}
        before = {path: row for path, row in self._stored.items() if row.stands_for(by_path.get(path), self._version)}
        waiting = self._catalogue.to_read(self._current, {path: row.file for path, row in before.items()})
        refused = dict(before)
        with Progress(len(waiting), lambda: (self._counters[0].value, self._counters[1].value)):
            for start in range(0, len(waiting), CHUNK):
                refused |= {row.path: row for row in self._chunk(waiting[start : start + CHUNK])}

        out_of_reach = [one.path for one in self._found.unusable]
        lost = self._catalogue.missing(datetime.now(UTC), out_of_reach)
        described = self._catalogue.described(self._said)
        self._upsert({track.track_id: track for track in (*lost, *described)}.values())
        unseen = self._refusals()
        keep(self._spark, location, [row for row in unseen if self._stored.get(row.path) != row])
        refused_now = len(refused) - len(before)
        refused |= {row.path: row for row in unseen}
        forget(self._spark, location, [row for path, row in self._stored.items() if path not in refused])
        return Summary(
            extracted=len(waiting) - refused_now,
            unchanged=len(files) - len(waiting) - len(before),
            rejected=len(refused),
            gone=sum(track.gone_at is not None for track in lost),
        )

    def _chunk(self, chunk: Sequence[AudioFile]) -> list[Rejected]:
        """Reads a chunk of files on the cluster and keeps what was found: features, then tracks, then what was refused.

        A file counts as done when it is in `tracks` or `rejected_tracks`, so whatever is written before does no harm.
        """
        spark, catalogue = self._spark, self._catalogue
        rows = spark.createDataFrame([asdict(file) for file in chunk], FILE)
        spread = rows.repartition(-(-len(chunk) // FILES_A_TASK))
        known = spark.sparkContext.broadcast(catalogue.contents(self._current))
        seen = outcomes(spread, catalogue.library, known, self._middle_s, self._counters).persist()
        try:
            found = {row.path: row for row in seen.drop("vector").collect()}
            in_order = [found[file.path] for file in chunk]
            now = datetime.now(UTC)
            taken = catalogue.take([self._file_read(row) for row in in_order if row.reason is None], now)
            if taken:
                pairs = [(path, track.track_id) for path, track in taken]
                ids = spark.createDataFrame(pairs, "path string, track_id string")
                upsert(features(seen, ids, self._version), self._lake.table("features"), ["track_id"])
                changed = {track.track_id: track for _, track in taken}
                self._upsert(changed.values())
                self._current |= changed.keys()
        finally:
            seen.unpersist()
            known.destroy()
        bad = [
            Rejected(catalogue.library, row.path, row.reason, row.detail, now, self._version, row.size, row.mtime_ns)
            for row in in_order
            if row.reason is not None
        ]
        keep(spark, self._lake.table("rejected_tracks"), bad)
        return bad

    def _known(self) -> tuple[Catalogue, set[str]]:
        """The library's tracks as the tables know them, and the ids that have features of this extractor version."""
        library = self._found.library
        tracks = table(self._spark, self._lake.table("tracks"), TRACKS)
        is_ours = F.col("library") == library
        known = [Track.from_row(row.asDict(recursive=True)) for row in tracks.where(is_ours).collect()]
        elsewhere = [
            (row.track_id, row.sha256) for row in tracks.where(~is_ours).select("track_id", "sha256").collect()
        ]
        is_current = F.col("extractor_version") == self._version
        vectors = table(self._spark, self._lake.table("features"), FEATURES_OF_CONTENT).where(is_current)
        of = {row.track_id: row.sha256 for row in vectors.select("track_id", "sha256").collect()}
        # A run that was killed may have left features of a content that its track does not have (any more).
        stale = {track.track_id for track in known if of.get(track.track_id) not in (None, track.sha256)}
        return Catalogue(library, known, self._found.files, elsewhere), of.keys() - stale

    def _file_read(self, row: Row) -> FileRead:
        track_id = self._found.metadata.of(row.path)[0] if self._found.metadata else None
        return FileRead(
            file=AudioFile(row.path, row.size, row.mtime_ns),
            sha256=row.sha256,
            duration_s=row.duration_s,
            tags={name: row[name] for name in TAGS.names} | self._said(row.path),
            track_id=track_id,
        )

    def _said(self, path: str) -> dict[str, object]:
        """What FMA says of a file; nothing where there is no metadata."""
        return dict(self._found.metadata.of(path)[1]) if self._found.metadata else {}

    def _refusals(self) -> list[Rejected]:
        """What could not even be looked at; a row that says so already is left as it is."""
        now = datetime.now(UTC)
        library, version = self._found.library, self._version
        rows = [Rejected(library, one.path, one.reason, one.detail, now, version) for one in self._found.unusable]
        before = [self._stored.get(row.path) for row in rows]
        return [
            old if old is not None and replace(old, rejected_at=now) == row else row
            for row, old in zip(rows, before, strict=True)
        ]

    def _upsert(self, tracks: Iterable[Track]) -> None:
        values = [track.row() for track in tracks]
        if values:
            rows = self._spark.createDataFrame(values, TRACKS)
            upsert(rows, self._lake.table("tracks"), ["library", "track_id"])


def _found(folder: str, metadata: str | None) -> Found:
    """Raises LibraryNotFound, EmptyLibrary, NotFMA; ValueError where no library is named."""
    if not folder:
        raise ValueError("no library: give --library DIR or set OVERTONE_LIBRARY__ROOT")
    said = fma.metadata(Path(metadata).expanduser()) if metadata else None
    if said and said.torn:
        print(f"extract: {said.torn:,} torn rows of tracks.csv are left out", file=sys.stderr)
    return Found(*scanned(folder), said)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="batch/extract.py", description="Read a music library into the lake.")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--library", metavar="DIR", help="the folder (or a URI); default: the setting library.root")
    source.add_argument("--from-features", metavar="FILE", help="FMA's features.csv, in place of any audio")
    parser.add_argument("--fma-metadata", metavar="DIR", help="the folder with FMA's tracks.csv and genres.csv")
    return parser


if __name__ == "__main__":
    sys.exit(main())
