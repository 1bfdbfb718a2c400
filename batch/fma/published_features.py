"""A library without audio: FMA's published features.csv (with tracks.csv) in place of extraction.

The 140 numbers of a track are the MFCC columns of features.csv, 20 coefficients × 7 statistics in the order of
`batch.audio.features.STATISTICS`. They have an extractor version of their own, since FMA computed them from whole tracks with an
earlier librosa. All later jobs work as usual, but there is nothing to play.
"""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from batch.audio.features import N_MFCC, STATISTICS
from batch.fma import metadata as fma
from batch.lake import table, upsert
from batch.library.extraction import FEATURES
from batch.library.rejected import RejectedTrack, rejected_by_path, remove_rejected, upsert_rejected
from batch.library.tracks import TRACKS, ExtractionSummary, Track
from conf.settings import Lake

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PUBLISHED_FEATURES_VERSION = "fma-mfcc20/1"
IDS_IN_MESSAGE = 3
REASON = "no features"


@dataclass(frozen=True)
class PublishedFeatures:
    """The content of features.csv.

    library : its absolute path
    ids : track ids [shape=(n,)]
    vectors : float32 [shape=(n, 140)], NaN for empty cells
    metadata : FMA's, where it is given or beside features.csv
    malformed_ids : first cells of the rows with too few or too many cells
    """

    library: str
    ids: list[str]
    vectors: NDArray[np.float32]
    metadata: fma.Metadata | None
    malformed_ids: tuple[str, ...] = ()


def read(features_csv: str, metadata_folder: str | None) -> PublishedFeatures:
    """Reads FMA's features.csv and metadata. Raises NotFMA.

    metadata_folder : with tracks.csv and genres.csv; None: the folder of features.csv, where it has a tracks.csv
    """
    import numpy as np
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    path = Path(features_csv).expanduser().resolve()
    columns = _columns(path)
    wanted = [f"mfcc.{statistic}.{number:02}" for statistic in STATISTICS for number in range(1, N_MFCC + 1)]
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise fma.NotFMA(f"{path} is not FMA's features.csv: {len(missing)} columns missing, the first is {missing[0]}")
    malformed_ids: list[str] = []

    def skip(row: arrow_csv.InvalidRow) -> str:
        malformed_ids.append(row.text.partition(",")[0][:20])
        return "skip"

    try:
        rows = arrow_csv.read_csv(
            path,
            read_options=arrow_csv.ReadOptions(skip_rows=4, column_names=columns),
            parse_options=arrow_csv.ParseOptions(invalid_row_handler=skip),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=["track_id", *wanted],
                column_types={"track_id": pa.int64(), **dict.fromkeys(wanted, pa.float32())},
            ),
        )
    except pa.ArrowInvalid as error:
        raise fma.NotFMA(f"{path} is not FMA's features.csv: {error}") from error
    vectors = np.column_stack([rows[name].to_numpy() for name in wanted]).astype(np.float32)
    numbers = rows["track_id"].to_pylist()
    if any(number is None or number < 0 for number in numbers):
        raise fma.NotFMA(f"{path} has rows without a track id, or with one below 0")
    ids = [str(number) for number in numbers]
    if not ids or len(set(ids)) < len(ids):
        raise fma.NotFMA(f"{path} has {len(ids):,} rows and {len(set(ids)):,} track ids; expected one row a track")
    beside = path.parent if (path.parent / "tracks.csv").is_file() else None
    folder = Path(metadata_folder).expanduser() if metadata_folder else beside
    metadata = fma.metadata(folder) if folder else None
    return PublishedFeatures(str(path), ids, vectors, metadata, tuple(malformed_ids))


def update_tables(spark: SparkSession, published: PublishedFeatures, lake: Lake) -> ExtractionSummary:
    """Brings the three tables in line with features.csv; rows that have not changed are not written.

    Raises ValueError where a track id belongs to another library of this lake: the table `features` has one row per id.
    """
    import numpy as np

    stored = table(spark, lake.table("tracks"), TRACKS)
    _require_no_foreign_ids(stored, published)
    now = datetime.now(UTC)
    complete = np.flatnonzero(np.isfinite(published.vectors).all(axis=1))
    row_by_id = {published.ids[row]: int(row) for row in complete}

    changed_ids = _update_features(spark, published, row_by_id, lake)
    before = [Track.from_row(row.asDict(recursive=True)) for row in stored.where(_is_of(published.library)).collect()]
    before_by_id = {track.track_id: track for track in before}
    tracks = [_track(track_id, published, before_by_id.get(track_id), now) for track_id in row_by_id]
    changed = [track for track in tracks if before_by_id.get(track.track_id) != track]
    gone = [replace(t, gone_at=now) for t in before if t.track_id not in row_by_id and t.gone_at is None]
    if changed or gone:
        rows = [track.row() for track in (*changed, *gone)]
        upsert(spark.createDataFrame(rows, TRACKS), lake.table("tracks"), ["library", "track_id"])

    rejected = _update_rejected(spark, published, row_by_id, now, lake.table("rejected_tracks"))
    extracted = len(changed_ids | {track.track_id for track in changed})
    return ExtractionSummary(extracted, len(row_by_id) - extracted, rejected, len(gone))


def _update_features(
    spark: SparkSession, published: PublishedFeatures, row_by_id: dict[str, int], lake: Lake
) -> set[str]:
    """Writes the vectors that the table does not have; returns their track ids."""
    import numpy as np
    import pyarrow as pa

    location = lake.table("features")
    stored = table(spark, location, FEATURES).where(F.col("extractor_version") == PUBLISHED_FEATURES_VERSION).toArrow()
    unchanged = set()
    if stored.num_rows:
        stored_vectors = np.vstack(stored["vector"].to_numpy(zero_copy_only=False))
        for track_id, vector in zip(stored["track_id"].to_pylist(), stored_vectors, strict=True):
            if track_id in row_by_id and np.array_equal(vector, published.vectors[row_by_id[track_id]]):
                unchanged.add(track_id)
    changed = [track_id for track_id in row_by_id if track_id not in unchanged]
    if changed:
        vectors = published.vectors[[row_by_id[track_id] for track_id in changed]]
        offsets = np.arange(len(vectors) + 1, dtype=np.int32) * vectors.shape[1]
        columns = {
            "track_id": changed,
            "vector": pa.ListArray.from_arrays(offsets, pa.array(vectors.ravel())),
            "extractor_version": [PUBLISHED_FEATURES_VERSION] * len(vectors),
        }
        schema = StructType([FEATURES[name] for name in columns])
        upsert(spark.createDataFrame(pa.table(columns), schema), location, ["track_id"])
    return set(changed)


def _update_rejected(
    spark: SparkSession, published: PublishedFeatures, complete_ids: Collection[str], now: datetime, location: str
) -> int:
    """Brings the table `rejected_tracks` in line with the rows that cannot be used; returns their number."""
    library = published.library
    detail_by_path = {
        f"{library}#{track_id}": "its row has empty cells" for track_id in published.ids if track_id not in complete_ids
    }
    detail_by_path |= {
        f"{library}#{first_cell}": "its row has too few or too many cells" for first_cell in published.malformed_ids
    }
    stored = rejected_by_path(spark, location, library)
    new = [
        RejectedTrack(library, path, REASON, detail, now, PUBLISHED_FEATURES_VERSION)
        for path, detail in detail_by_path.items()
        if path not in stored
    ]
    upsert_rejected(spark, location, new)
    remove_rejected(spark, location, [row for path, row in stored.items() if path not in detail_by_path])
    return len(detail_by_path)


def _track(track_id: str, published: PublishedFeatures, before: Track | None, now: datetime) -> Track:
    number = int(track_id)
    tags: dict[str, Any] = {"title": f"FMA {track_id}"}
    duration_s = None
    if published.metadata:
        tags |= published.metadata.tags.get(number, {})
        duration_s = published.metadata.durations_s.get(number)
    found_at = before.found_at if before else now
    return Track(track_id, published.library, sha256=None, files=(), found_at=found_at, duration_s=duration_s, **tags)


def _is_of(library: str) -> Column:
    return F.col("library") == library


def _require_no_foreign_ids(tracks: DataFrame, published: PublishedFeatures) -> None:
    """Raises ValueError where another library has a track with one of the ids."""
    foreign = tracks.where(~_is_of(published.library)).select("track_id", "library").toArrow()
    library_by_id = dict(zip(foreign["track_id"].to_pylist(), foreign["library"].to_pylist(), strict=True))
    shared = [track_id for track_id in published.ids if track_id in library_by_id]
    if shared:
        ids = ", ".join(shared[:IDS_IN_MESSAGE])
        raise ValueError(
            f"{len(shared):,} track ids of {published.library} ({ids} …) belong to {library_by_id[shared[0]]} in this "
            "lake; features have one row a track id: choose another OVERTONE_HOME"
        )


def _columns(path: Path) -> list[str]:
    """`mfcc.mean.01` for each column, from the first three of four header rows; `track_id` for the first."""
    try:
        with open(path, newline="", encoding="utf-8-sig", errors="replace") as text:
            header = list(islice(csv.reader(text), 4))
    except (OSError, csv.Error) as error:
        raise fma.NotFMA(f"{path} cannot be read: {error}") from error
    first_cells = [row[0][:20] for row in header if row]
    if [name.removesuffix("s") for name in first_cells] != ["feature", "statistic", "number", "track_id"]:
        raise fma.NotFMA(
            f"{path} is not FMA's features.csv: its rows begin with {', '.join(first_cells) or 'nothing'}; "
            "expected feature, statistics, number, track_id"
        )
    return ["track_id", *(".".join(parts) for parts in zip(*(row[1:] for row in header[:3]), strict=False))]
