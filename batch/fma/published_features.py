"""A library without audio: FMA's published features.csv (and tracks.csv) become tracks and features.

The MFCC block of features.csv, 20 coefficients × 7 statistics, is what stands in for our own extraction: 140 numbers in the
order of `batch.audio.features.STATISTICS`, under an extractor version of their own, since they come from whole tracks and
an earlier librosa. Everything after extraction is the same; only there is nothing to play.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from batch.audio.features import N_MFCC, STATISTICS
from batch.fma import metadata as fma
from batch.lake import table, upsert
from batch.library.extraction import FEATURES
from batch.library.rejected import Rejected, forget, keep, rejected
from batch.library.tracks import TRACKS, Summary, Track
from conf.settings import Lake

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EXTRACTOR_VERSION = "fma-mfcc20/1"


@dataclass(frozen=True)
class Published:
    """features.csv as read: `library` is its path; ids [shape=(n,)], vectors float32 [shape=(n, 140)], NaN where a cell is
    empty; what FMA says of its tracks, where its metadata is at hand; the first cells of rows that are torn."""

    library: str
    ids: list[str]
    vectors: NDArray[np.float32]
    metadata: fma.Metadata | None
    torn: tuple[str, ...] = ()


def published(features_csv: str, metadata: str | None) -> Published:
    """FMA's features, and the metadata in `metadata` or, where that is not given, beside them. Raises NotFMA."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    path = Path(features_csv).expanduser().resolve()
    names = _columns(path)
    wanted = [f"mfcc.{statistic}.{number:02}" for statistic in STATISTICS for number in range(1, N_MFCC + 1)]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise fma.NotFMA(f"{path} is not FMA's features.csv: {len(missing)} columns missing, the first is {missing[0]}")
    torn: list[str] = []

    def left_out(row: arrow_csv.InvalidRow) -> str:
        torn.append(row.text.partition(",")[0][:20])
        return "skip"

    try:
        found = arrow_csv.read_csv(
            path,
            read_options=arrow_csv.ReadOptions(skip_rows=4, column_names=names),
            parse_options=arrow_csv.ParseOptions(invalid_row_handler=left_out),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=["track_id", *wanted],
                column_types={"track_id": pa.int64(), **dict.fromkeys(wanted, pa.float32())},
            ),
        )
    except pa.ArrowInvalid as error:
        raise fma.NotFMA(f"{path} is not FMA's features.csv: {error}") from error
    vectors = np.column_stack([found[name].to_numpy() for name in wanted]).astype(np.float32)
    numbers = found["track_id"].to_pylist()
    if any(number is None or number < 0 for number in numbers):
        raise fma.NotFMA(f"{path} has rows without a track id, or with one below 0")
    ids = [str(number) for number in numbers]
    if not ids or len(set(ids)) < len(ids):
        raise fma.NotFMA(f"{path} has {len(ids):,} rows and {len(set(ids)):,} track ids; expected one row a track")
    beside = path.parent if (path.parent / "tracks.csv").is_file() else None
    folder = Path(metadata).expanduser() if metadata else beside
    return Published(str(path), ids, vectors, fma.metadata(folder) if folder else None, tuple(torn))


def take(spark: SparkSession, given: Published, lake: Lake) -> Summary:
    """Brings the tables in line with what was published; rows that say the same are not written again.

    Raises ValueError where a track id belongs to another library of this lake: features have one row an id.
    """
    import numpy as np

    tracks, location = table(spark, lake.table("tracks"), TRACKS), lake.table("rejected_tracks")
    _refuse_foreign(tracks, given)
    now = datetime.now(UTC)
    whole = np.flatnonzero(np.isfinite(given.vectors).all(axis=1))
    here = {given.ids[at]: int(at) for at in whole}

    changed = _changed_vectors(spark, given, here, lake)
    before = [Track.from_row(row.asDict(recursive=True)) for row in tracks.where(_is_of(given.library)).collect()]
    known = {track.track_id: track for track in before}
    there = {track_id: _track(track_id, given, known.get(track_id), now) for track_id in here}
    new = [track for track_id, track in there.items() if known.get(track_id) != track]
    lost = [replace(t, gone_at=now) for t in before if t.track_id not in there and t.gone_at is None]
    if new or lost:
        rows = [track.row() for track in (*new, *lost)]
        upsert(spark.createDataFrame(rows, TRACKS), lake.table("tracks"), ["library", "track_id"])

    refused = rejected(spark, location, given.library)
    empty = {f"{given.library}#{track_id}": "its row has empty cells" for track_id in given.ids if track_id not in here}
    empty |= {f"{given.library}#{first}": "its row has too few or too many cells" for first in given.torn}
    rows_refused = [
        Rejected(given.library, path, "no features", detail, now, EXTRACTOR_VERSION)
        for path, detail in empty.items()
        if path not in refused
    ]
    keep(spark, location, rows_refused)
    forget(spark, location, [row for path, row in refused.items() if path not in empty])
    extracted = len(changed | {track.track_id for track in new})
    return Summary(extracted, len(here) - extracted, len(empty), len(lost))


def _changed_vectors(spark: SparkSession, given: Published, here: Mapping[str, int], lake: Lake) -> set[str]:
    """Writes the features that the table does not have as they are now, and gives their track ids."""
    import numpy as np
    import pyarrow as pa

    location = lake.table("features")
    stored = table(spark, location, FEATURES).where(F.col("extractor_version") == EXTRACTOR_VERSION).toArrow()
    same = set()
    if stored.num_rows:
        vectors = np.vstack(stored["vector"].to_numpy(zero_copy_only=False))
        pairs = enumerate(stored["track_id"].to_pylist())
        same = {name for at, name in pairs if name in here and np.array_equal(vectors[at], given.vectors[here[name]])}
    changed = [track_id for track_id in here if track_id not in same]
    if changed:
        rows = given.vectors[[here[track_id] for track_id in changed]]
        flat = pa.array(rows.ravel())
        columns = {
            "track_id": changed,
            "vector": pa.ListArray.from_arrays(np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1], flat),
            "extractor_version": [EXTRACTOR_VERSION] * len(rows),
        }
        upsert(spark.createDataFrame(pa.table(columns), FEATURES), location, ["track_id"])
    return set(changed)


def _track(track_id: str, given: Published, before: Track | None, now: datetime) -> Track:
    number = int(track_id)
    known = given.metadata.tags.get(number, {}) if given.metadata else {}
    said = {"title": f"FMA {track_id}", **known}
    duration_s = given.metadata.durations_s.get(number) if given.metadata else None
    found_at = before.found_at if before else now
    return Track(track_id, given.library, sha256=None, files=(), found_at=found_at, duration_s=duration_s, **said)


def _is_of(library: str) -> Column:
    return F.col("library") == library


def _refuse_foreign(tracks: DataFrame, given: Published) -> None:
    foreign = tracks.where(~_is_of(given.library)).select("track_id", "library").toArrow()
    owners = dict(zip(foreign["track_id"].to_pylist(), foreign["library"].to_pylist(), strict=True))
    shared = [track_id for track_id in given.ids if track_id in owners]
    if shared:
        some = ", ".join(shared[:3])
        raise ValueError(
            f"{len(shared):,} track ids of {given.library} ({some} …) belong to {owners[shared[0]]} in this lake; "
            "features have one row a track id: choose another OVERTONE_HOME"
        )


def _columns(path: Path) -> list[str]:
    """`mfcc.mean.01` for each column, from the first three of four header rows; `track_id` for the first."""
    try:
        with open(path, newline="", encoding="utf-8-sig", errors="replace") as text:
            header = list(islice(csv.reader(text), 4))
    except (OSError, csv.Error) as error:
        raise fma.NotFMA(f"{path} cannot be read: {error}") from error
    first = [row[0][:20] for row in header if row]
    if [name.removesuffix("s") for name in first] != ["feature", "statistic", "number", "track_id"]:
        raise fma.NotFMA(
            f"{path} is not FMA's features.csv: its rows begin with {', '.join(first) or 'nothing'}; "
            "expected feature, statistics, number, track_id"
        )
    return ["track_id", *(".".join(parts) for parts in zip(*(row[1:] for row in header[:3]), strict=False))]
