"""Whether the batch jobs have anything to do, without starting Spark: reads the lake by delta-rs, and MongoDB."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from batch import mongo, registry
from batch.audio.decoding import DECODER_VERSION
from batch.audio.features import extractor_version
from batch.library.files import AudioFile, UnusablePath
from batch.tags.file_tags import TAG_READER_VERSION
from conf.settings import Settings


def is_up_to_date(root: Path, files: list[AudioFile], unusable: list[UnusablePath], settings: Settings) -> bool:
    """Whether the last batch run of this home saw exactly these files, and all that it made is still there."""
    try:
        model = registry.latest(settings.models.root)
    except (registry.ModelNotFound, registry.ModelUnusable):
        return False
    library = str(root)
    tracks = _rows(settings.lake.table("tracks"), ["track_id", "library", "files", "gone_at", "tag_reader"])
    rejected_columns = ["library", "path", "size", "mtime_ns", "ctime_ns", "reason", "decoder_version"]
    refused = [
        row for row in _rows(settings.lake.table("rejected_tracks"), rejected_columns) if row["library"] == library
    ]
    here = [track for track in tracks if track["library"] == library and track["gone_at"] is None]
    recorded_files = {_key(file) for track in here for file in track["files"]}
    recorded_files |= {_key(row) for row in refused if not _is_unlisted(row)}
    recorded_unusable = {row["path"] for row in refused if _is_unlisted(row)}
    scanned_files = {(file.path, file.size, file.mtime_ns, file.ctime_ns) for file in files}
    if recorded_files != scanned_files or recorded_unusable != {entry.path for entry in unusable}:
        return False
    # a file that could not be read may be readable by now
    if any(row["reason"] == "unreadable" for row in refused):
        return False
    # of an earlier version of this program: tags are read again, and rejected files tried again
    if any(track["tag_reader"] != TAG_READER_VERSION for track in here):
        return False
    if any(row["decoder_version"] != DECODER_VERSION for row in refused):
        return False
    wanted = extractor_version(settings.library.analysed_s)
    if model.manifest.get("library") != library or model.manifest.get("extractor_version") != wanted:
        return False
    if not model.has("index/recordings.npy"):  # of an earlier version of this program: batch trains again
        return False
    with mongo.client(settings.mongo) as client:
        database = client[settings.mongo.database]
        published = {document["_id"] for document in database.tracks.find({"model_version": model.version}, {"_id": 1})}
        everyone = database.recommendations.find_one({"_id": mongo.NEW_LISTENERS}, {"model_version": 1}) or {}
    return published == {track["track_id"] for track in here} and everyone.get("model_version") == model.version


def _key(row: dict[str, Any]) -> tuple[str, int, int, int | None]:
    return row["path"], row["size"], row["mtime_ns"], row.get("ctime_ns")


def _is_unlisted(row: dict[str, Any]) -> bool:
    """Whether it is the row of a path that could not be listed, and so has neither size nor times."""
    return row["size"] == 0 and row["mtime_ns"] == 0 and row["ctime_ns"] is None


def _rows(location: str, columns: list[str]) -> list[dict[str, Any]]:
    """The table's rows; none where it is missing or half-written, which batch then mends."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        rows: list[dict[str, Any]] = DeltaTable(location).to_pyarrow_table(columns=columns).to_pylist()
    except (TableNotFoundError, DeltaError, OSError, ValueError, json.JSONDecodeError):
        return []
    return rows
