"""Job: a music library becomes the Delta tables `tracks`, `features` and `rejected_tracks`.

    spark-submit.sh batch/extract.py --library DIR [--fma-metadata DIR]
    spark-submit.sh batch/extract.py --from-features features.csv [--fma-metadata DIR]

Files are read in chunks of some minutes, each committed before the next: a run that was ended at any moment can be repeated and
continues from there. Files that have not changed are not read again. The second form imports FMA's published features in place of
audio.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from batch import job
from batch.audio.decoding import DECODER_VERSION
from batch.audio.features import extractor_version
from batch.ear.network import EAR_VERSION, usable_graph
from batch.fma import metadata as fma
from batch.fma import published_features
from batch.lake import table, upsert
from batch.library.chunks import ChunkSize
from batch.library.extraction import FEATURES_OF_CONTENT, FILES_TO_READ, features, outcomes, what_the_ear_heard
from batch.library.files import AudioFile, UnusablePath
from batch.library.identity import FileContent, FileToRead, TrackIdentities
from batch.library.listing import library_files
from batch.library.parts import VECTOR, Readers
from batch.library.rejected import RejectedTrack, rejected_by_path, remove_rejected, upsert_rejected
from batch.library.tracks import FILE_TAGS, LIBRARY_TABLES, LISTS_OF_TAGS, TRACKS, ExtractionSummary, Track
from batch.progress import FileProgress
from batch.storage import lease
from batch.storage.compaction import compact_when_due
from batch.tags.file_tags import TAG_READER_VERSION
from conf.settings import Settings

FILES_PER_TASK = 16


@dataclass(frozen=True)
class LibraryScan:
    """What there is to extract.

    library : its name
    files, unusable : its audio files, and the paths that could not be listed
    metadata : FMA's, where the library is FMA's
    """

    library: str
    files: Sequence[AudioFile]
    unusable: Sequence[UnusablePath] = ()
    metadata: fma.Metadata | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    return job.run(
        "batch/extract.py",
        "Read a music library into the lake.",
        _run,
        arguments,
        add_arguments=_add_arguments,
        failures=(ValueError,),
    )


def extract(spark: SparkSession, scan: LibraryScan, settings: Settings) -> ExtractionSummary:
    """Brings the three tables in line with a library's files."""
    summary = _Extraction(spark, scan, settings).run()
    compact_when_due(settings.lake.table(name) for name in LIBRARY_TABLES)
    return summary


def _run(settings: Settings, options: argparse.Namespace) -> str | None:
    """Scans the library before Spark starts, so that a wrong folder is reported at once."""
    try:
        if options.from_features:
            published = published_features.read(options.from_features, options.fma_metadata)
            work = partial(published_features.update_tables, published=published, lake=settings.lake)
        else:
            scan = _library_scan(options.library or settings.library.root, options.fma_metadata)
            work = partial(extract, scan=scan, settings=settings)
    except (ValueError, OSError) as error:
        raise job.WrongArgument(error) from error
    with lease.held(settings.lake.root, "extract"):
        return job.in_spark("extract", lambda spark: f"{work(spark)} (see {settings.lake.table('rejected_tracks')})")


def _library_scan(folder: str, metadata_folder: str | None) -> LibraryScan:
    """Raises LibraryNotFound, EmptyLibrary, NotFMA; ValueError where no library is named."""
    if not folder:
        raise ValueError("no library: give --library DIR or set OVERTONE_LIBRARY__ROOT")
    metadata = fma.metadata(Path(metadata_folder).expanduser()) if metadata_folder else None
    if metadata and metadata.malformed_rows:
        print(f"extract: {metadata.malformed_rows:,} malformed rows of tracks.csv are left out", file=sys.stderr)
    return LibraryScan(*library_files(folder), metadata)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--library", metavar="DIR", help="the folder (or a URI); default: the setting library.root")
    source.add_argument("--from-features", metavar="FILE", help="FMA's features.csv, in place of any audio")
    parser.add_argument("--fma-metadata", metavar="DIR", help="the folder with FMA's tracks.csv and genres.csv")


class _Extraction:
    """One run over a library."""

    def __init__(self, spark: SparkSession, scan: LibraryScan, settings: Settings) -> None:
        self._spark, self._scan = spark, scan
        self._tracks_table = settings.lake.table("tracks")
        self._features_table = settings.lake.table("features")
        self._rejected_table = settings.lake.table("rejected_tracks")
        self._middle_s = settings.library.analysed_s
        ear_graph, self._ear_problem = usable_graph(settings.library.ear)
        self._readers = Readers(extractor_version(self._middle_s), EAR_VERSION if ear_graph else "")
        self._identities, self._parts_by_id = self._known_tracks()
        self._heard_later, self._unheard = 0, 0
        self._rejected_before = rejected_by_path(spark, self._rejected_table, scan.library)
        self._chunk = ChunkSize(spark.sparkContext.defaultParallelism, 60 * settings.library.commit_minutes)
        self._files_done = spark.sparkContext.accumulator(0)
        self._files_rejected = spark.sparkContext.accumulator(0)

    def run(self) -> ExtractionSummary:
        files = self._scan.files
        file_by_path = {file.path: file for file in files}
        still_rejected = {
            path: row
            for path, row in self._rejected_before.items()
            if row.still_applies(file_by_path.get(path), self._readers.vector)
        }
        rejected_files = {path: row.file for path, row in still_rejected.items()}
        unread = self._identities.files_to_read(self._current_ids(), rejected_files, TAG_READER_VERSION)
        rejected = dict(still_rejected)
        with FileProgress(len(unread), lambda: (self._files_done.value, self._files_rejected.value)):
            start = 0
            while chunk := unread[start : start + self._chunk.files]:
                start += len(chunk)
                rejected |= {row.path: row for row in self._read_chunk(chunk)}
        rejected_in_run = len(rejected) - len(still_rejected)

        unusable_paths = [entry.path for entry in self._scan.unusable]
        shrunk = self._identities.remove_missing_files(datetime.now(UTC), unusable_paths)
        described = self._identities.update_metadata(self._metadata_of)
        self._upsert_tracks({track.track_id: track for track in (*shrunk, *described)}.values())

        unusable = self._unusable_rows()
        changed = [row for row in unusable if self._rejected_before.get(row.path) != row]
        upsert_rejected(self._spark, self._rejected_table, changed)
        rejected |= {row.path: row for row in unusable}
        obsolete = [row for path, row in self._rejected_before.items() if path not in rejected]
        remove_rejected(self._spark, self._rejected_table, obsolete)
        return ExtractionSummary(
            extracted=len(unread) - rejected_in_run - self._heard_later,
            unchanged=len(files) - len(unread) - len(still_rejected) + self._heard_later,
            rejected=len(rejected),
            gone=sum(track.gone_at is not None for track in shrunk),
            heard_later=self._heard_later,
            unheard=self._unheard,
            ear_problem=self._ear_problem,
        )

    def _current_ids(self) -> set[str]:
        """Tracks all of whose parts are up to date."""
        return {track_id for track_id, parts in self._parts_by_id.items() if parts >= self._readers.parts}

    def _known_tracks(self) -> tuple[TrackIdentities, dict[str, frozenset[str]]]:
        """The library's tracks in the tables, and by track id the parts of features that are up to date."""
        library = self._scan.library
        stored = table(self._spark, self._tracks_table, TRACKS)
        is_ours = F.col("library") == library
        tracks = [Track.from_row(row.asDict(recursive=True)) for row in stored.where(is_ours).collect()]
        others = stored.where(~is_ours).select("track_id", "sha256").collect()
        versions = table(self._spark, self._features_table, FEATURES_OF_CONTENT)
        rows = versions.select("track_id", "sha256", "extractor_version").collect()
        sha256_by_id = {row.track_id: row.sha256 for row in rows}
        # A killed run may have written features of a content that its track does not have.
        stale = {track.track_id for track in tracks if sha256_by_id.get(track.track_id) not in (None, track.sha256)}
        current = {row.track_id: self._readers.current_parts(row.extractor_version) for row in rows}
        other_libraries = [(row.track_id, row.sha256) for row in others]
        identities = TrackIdentities(library, tracks, self._scan.files, other_libraries)
        # without the vector, the row is of another version, and is written anew
        return identities, {i: parts for i, parts in current.items() if i not in stale and VECTOR in parts}

    def _read_chunk(self, files: Sequence[FileToRead]) -> list[RejectedTrack]:
        """Reads files on the cluster and commits the results: features, then tracks, then rejected files, which it returns.

        A file counts as read once it is in `tracks` or `rejected_tracks`, so a run that was ended before is simply repeated.
        """
        spark, identities = self._spark, self._identities
        rows = spark.createDataFrame([asdict(each.file) | {"sha256": each.sha256} for each in files], FILES_TO_READ)
        tasks = rows.repartition(-(-len(files) // FILES_PER_TASK))
        contents = spark.sparkContext.broadcast(identities.parts_by_content(self._parts_by_id))
        results = outcomes(
            tasks, identities.library, contents, self._middle_s, self._readers, self._files_done, self._files_rejected
        ).persist()
        started = time.monotonic()
        try:
            has_vector = F.col("vector").isNotNull()
            read = results.withColumn("has_vector", has_vector).drop("vector", "embedding", "tags").collect()
            self._chunk.has_read(len(files), time.monotonic() - started)
            row_by_path = {row.path: row for row in read}
            ordered = [row_by_path[each.file.path] for each in files]
            now = datetime.now(UTC)
            assigned = identities.assign([self._content(row) for row in ordered if row.reason is None], now)
            if assigned:
                pairs = [(path, track.track_id) for path, track in assigned]
                ids = spark.createDataFrame(pairs, "path string, track_id string")
                self._upsert_features(results, ids, ordered)
                track_by_id = {track.track_id: track for _, track in assigned}
                self._upsert_tracks(track_by_id.values())
                self._parts_by_id |= dict.fromkeys(track_by_id, self._readers.parts)
        finally:
            results.unpersist()
            contents.destroy()
        rejected = [
            replace(
                self._rejected(row.path, row.reason, row.detail, now),
                size=row.size,
                mtime_ns=row.mtime_ns,
                ctime_ns=row.ctime_ns,
            )
            for row in ordered
            if row.reason is not None
        ]
        upsert_rejected(spark, self._rejected_table, rejected)
        return rejected

    def _upsert_features(self, results: DataFrame, ids: DataFrame, rows: Sequence[Row]) -> None:
        """Writes the parts that the files got, and counts what the trained ear did.

        results : OUTCOMES;  rows : these on the driver, with `has_vector` in place of the numbers
        """
        heard_later = sum(row.ear is not None and not row.has_vector for row in rows)
        problems = [row.ear_problem for row in rows if row.ear_problem is not None and row.reason is None]
        self._heard_later += heard_later
        self._unheard += len(problems)
        self._ear_problem = self._ear_problem or next(iter(problems), "")
        if any(row.has_vector for row in rows):
            upsert(features(results, ids, self._readers), self._features_table, ["track_id"])
        if heard_later:
            upsert(what_the_ear_heard(results, ids, self._readers), self._features_table, ["track_id"])

    def _content(self, row: Row) -> FileContent:
        """row : OUTCOMES"""
        return FileContent(
            file=AudioFile(row.path, row.size, row.mtime_ns, row.ctime_ns),
            sha256=row.sha256,
            duration_s=row.duration_s,
            tags=self._tags(row) | self._metadata_of(row.path),
            track_id=self._scan.metadata.id_and_tags(row.path)[0] if self._scan.metadata else None,
        )

    def _tags(self, row: Row) -> dict[str, object]:
        """row : OUTCOMES.  Returns columns of TRACKS"""
        lists = {name: tuple(row[name]) for name in LISTS_OF_TAGS if row[name] is not None}
        return {name: row[name] for name in FILE_TAGS.names} | lists | {"tag_reader": TAG_READER_VERSION}

    def _rejected(self, path: str, reason: str, detail: str, now: datetime) -> RejectedTrack:
        return RejectedTrack(
            self._scan.library, path, reason, detail, now, self._readers.vector, decoder_version=DECODER_VERSION
        )

    def _metadata_of(self, path: str) -> dict[str, object]:
        """FMA's metadata of a file; {} where there is none."""
        return dict(self._scan.metadata.id_and_tags(path)[1]) if self._scan.metadata else {}

    def _unusable_rows(self) -> list[RejectedTrack]:
        """The paths that could not be listed; a stored row that says the same keeps its time."""
        now = datetime.now(UTC)
        rows = []
        for entry in self._scan.unusable:
            row = self._rejected(entry.path, entry.reason, entry.detail, now)
            stored = self._rejected_before.get(entry.path)
            is_stored = stored is not None and replace(stored, rejected_at=now) == row
            rows.append(stored if stored is not None and is_stored else row)
        return rows

    def _upsert_tracks(self, tracks: Iterable[Track]) -> None:
        rows = [track.row() for track in tracks]
        if rows:
            upsert(self._spark.createDataFrame(rows, TRACKS), self._tracks_table, ["library", "track_id"])


if __name__ == "__main__":
    sys.exit(main())
