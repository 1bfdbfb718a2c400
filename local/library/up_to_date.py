"""Whether the batch jobs have anything to do, without starting Spark: reads the lake by delta-rs, and MongoDB."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Any

from batch import mongo, registry
from batch.audio.decoding import DECODER_VERSION
from batch.audio.features import extractor_version, split_version
from batch.ear.network import EAR_VERSION, usable_graph
from batch.library.files import AudioFile, UnusablePath
from batch.library.parts import are_enough_embedded
from batch.tags.file_tags import TAG_READER_VERSION
from conf.settings import Settings


class Due(Enum):
    """What the batch jobs have to do.

    NOTHING : all is there, by this version of the program
    LATER : an earlier version made what is there: it serves, and is brought up to date meanwhile
    FIRST : other files than last time, or nothing that could serve
    """

    NOTHING = "nothing"
    LATER = "later"
    FIRST = "first"


def due(root: Path, files: list[AudioFile], unusable: list[UnusablePath], settings: Settings) -> Due:
    """What the batch jobs have to do for these files in this home."""
    try:
        model = registry.latest(settings.models.root)
    except (registry.ModelNotFound, registry.ModelUnusable):
        return Due.FIRST
    library = str(root)
    tracks = _rows(settings.lake.table("tracks"), ["track_id", "library", "files", "gone_at", "tag_reader"])
    rejected_columns = ["library", "path", "size", "mtime_ns", "ctime_ns", "reason", "decoder_version"]
    rejected = _rows(settings.lake.table("rejected_tracks"), rejected_columns)
    rejected = [row for row in rejected if row["library"] == library]
    here = [track for track in tracks if track["library"] == library and track["gone_at"] is None]
    vector, ear = split_version(str(model.manifest.get("extractor_version")))
    if (
        not _are_the_files(files, unusable, here, rejected)
        or model.manifest.get("library") != library
        or vector != extractor_version(settings.library.analysed_s)
        or not _is_published({track["track_id"] for track in here}, model, settings)
    ):
        return Due.FIRST
    is_by_this_version = (
        all(track["tag_reader"] == TAG_READER_VERSION for track in here)
        and all(row["decoder_version"] == DECODER_VERSION for row in rejected)
        and model.has("index/recordings.npy")
    )
    is_heard = _is_heard({track["track_id"] for track in here}, ear, settings)
    return Due.NOTHING if is_by_this_version and is_heard else Due.LATER


def _are_the_files(
    files: list[AudioFile], unusable: list[UnusablePath], tracks: list[dict[str, Any]], rejected: list[dict[str, Any]]
) -> bool:
    """Whether the tables are of exactly these files, and none that could not be read may be readable by now."""
    recorded = [AudioFile(**file) for track in tracks for file in track["files"]]
    recorded += [_file(row) for row in rejected if not _is_unlisted(row)]
    recorded_by_path = {file.path: file for file in recorded}
    recorded_unusable = {row["path"] for row in rejected if _is_unlisted(row)}
    return (
        recorded_by_path.keys() == {file.path for file in files}
        and all(file.is_unchanged(recorded_by_path[file.path]) for file in files)
        and recorded_unusable == {entry.path for entry in unusable}
        and not any(row["reason"] == "unreadable" for row in rejected)
    )


def _is_published(track_ids: set[str], model: registry.Model, settings: Settings) -> bool:
    with mongo.client(settings.mongo) as client:
        database = client[settings.mongo.database]
        published = {document["_id"] for document in database.tracks.find({"model_version": model.version}, {"_id": 1})}
        everyone = database.recommendations.find_one({"_id": mongo.NEW_LISTENERS}, {"model_version": 1}) or {}
    return published == track_ids and everyone.get("model_version") == model.version


def _is_heard(track_ids: set[str], ear: str, settings: Settings) -> bool:
    """Whether model and tracks have what the trained ear hears, where it is to be used and can be.

    ear : version of the ear that the model was trained with; "": none
    """
    if settings.library.ear == "none":
        return not ear
    if usable_graph(settings.library.ear)[0] is None:
        return True
    rows = _rows(settings.lake.table("features"), ["track_id", "extractor_version", "ear_problem"])
    rows = [row for row in rows if row["track_id"] in track_ids]
    if any(split_version(row["extractor_version"])[1] != EAR_VERSION for row in rows):
        return False
    embedded = sum(row["ear_problem"] is None for row in rows)
    return ear == EAR_VERSION or not are_enough_embedded(embedded, len(rows))


def _file(row: dict[str, Any]) -> AudioFile:
    return AudioFile(row["path"], row["size"], row["mtime_ns"], row["ctime_ns"])


def _is_unlisted(row: dict[str, Any]) -> bool:
    """Whether it is the row of a path that could not be listed, and so has neither size nor times."""
    return row["size"] == 0 and row["mtime_ns"] == 0 and row["ctime_ns"] is None


def _rows(location: str, columns: list[str]) -> list[dict[str, Any]]:
    """The table's rows, null where an older table lacks a column; none where it is missing or half-written, which batch mends."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        table = DeltaTable(location)
        stored = {field.name for field in table.schema().fields}
        rows = table.to_pyarrow_table(columns=[name for name in columns if name in stored]).to_pylist()
    except (TableNotFoundError, DeltaError, OSError, ValueError, json.JSONDecodeError):
        return []
    return [dict.fromkeys(columns) | row for row in rows]
