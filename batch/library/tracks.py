"""The table `tracks`: its schema, and a row as a dataclass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from batch.library.files import AudioFile
from batch.tags.file_tags import FileTags

LIBRARY_TABLES = ("features", "tracks", "rejected_tracks")
"""The tables that `extract` writes, in the order in which it does."""

FILE = StructType(
    [
        StructField("path", StringType()),
        StructField("size", LongType()),
        StructField("mtime_ns", LongType()),
        StructField("ctime_ns", LongType()),
    ]
)
"""The fields of AudioFile."""

TRACKS = StructType(
    [
        StructField("track_id", StringType()),
        StructField("library", StringType()),
        StructField("path", StringType()),
        StructField("other_paths", ArrayType(StringType())),
        StructField("title", StringType()),
        StructField("artist", StringType()),
        StructField("album", StringType()),
        StructField("genre", StringType()),
        StructField("composer", StringType()),
        StructField("track_number", IntegerType()),
        StructField("year", IntegerType()),
        StructField("licence", StringType()),
        StructField("artists", ArrayType(StringType())),
        StructField("genre_tags", ArrayType(StringType())),
        StructField("album_artist", StringType()),
        StructField("disc_number", IntegerType()),
        StructField("compilation", BooleanType()),
        StructField("track_gain_db", DoubleType()),
        StructField("track_peak", DoubleType()),
        StructField("album_gain_db", DoubleType()),
        StructField("album_peak", DoubleType()),
        StructField("musicbrainz_recording_id", StringType()),
        StructField("musicbrainz_release_id", StringType()),
        StructField("musicbrainz_artist_ids", ArrayType(StringType())),
        StructField("genres", ArrayType(StringType())),
        StructField("split", StringType()),
        StructField("subset", StringType()),
        StructField("listens", IntegerType()),
        StructField("duration_s", DoubleType()),
        StructField("sha256", StringType()),
        StructField("files", ArrayType(FILE)),
        StructField("found_at", TimestampType()),
        StructField("gone_at", TimestampType()),
        StructField("tag_reader", IntegerType()),
    ]
)
"""One row per track and library. `path` is the first of its files by name, `files` has size and times of change of each when it
was last read; `gone_at` is set once none of them exists. `artists` and `genre_tags` are the several names of `artist` and
`genre`; `genres`, `split`, `subset` and `listens` are FMA's metadata. `tag_reader` is the version that read the tags."""

LISTS_OF_TAGS = ("artists", "genre_tags", "musicbrainz_artist_ids")
"""The columns of FILE_TAGS that are lists."""

FILE_TAGS = StructType([TRACKS[field.name] for field in fields(FileTags)])
"""The columns that come from a file's tags."""


@dataclass(frozen=True)
class Track:
    """A row of `tracks`."""

    track_id: str
    library: str
    title: str
    sha256: str | None
    files: tuple[AudioFile, ...]
    found_at: datetime
    artist: str | None = None
    album: str | None = None
    genre: str | None = None
    composer: str | None = None
    track_number: int | None = None
    year: int | None = None
    licence: str | None = None
    artists: tuple[str, ...] | None = None
    genre_tags: tuple[str, ...] | None = None
    album_artist: str | None = None
    disc_number: int | None = None
    compilation: bool | None = None
    track_gain_db: float | None = None
    track_peak: float | None = None
    album_gain_db: float | None = None
    album_peak: float | None = None
    musicbrainz_recording_id: str | None = None
    musicbrainz_release_id: str | None = None
    musicbrainz_artist_ids: tuple[str, ...] | None = None
    genres: tuple[str, ...] | None = None
    split: str | None = None
    subset: str | None = None
    listens: int | None = None
    duration_s: float | None = None
    gone_at: datetime | None = None
    tag_reader: int | None = None

    @property
    def path(self) -> str | None:
        """The first of its files by name; None for a track without audio, of which only published features are known."""
        return min((file.path for file in self.files), default=None)

    def row(self) -> dict[str, Any]:
        """The track in the columns of TRACKS."""
        files = sorted(self.files, key=lambda file: file.path)
        values = asdict(self) | {
            "path": self.path,
            "other_paths": [file.path for file in files[1:]],
            "files": [asdict(file) for file in files],
        }
        return {name: values[name] for name in TRACKS.names}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Track:
        """The track of a row of TRACKS; columns that an older table lacks are None."""
        files = tuple(
            AudioFile(file["path"], file["size"], file["mtime_ns"], file.get("ctime_ns")) for file in row["files"]
        )
        values: dict[str, Any] = {name: row.get(name) for name in cls.__dataclass_fields__ if name != "files"}
        for name in (*LISTS_OF_TAGS, "genres"):
            values[name] = tuple(values[name]) if values[name] is not None else None
        return cls(**values, files=files)


@dataclass(frozen=True)
class ExtractionSummary:
    """Counts of an extraction.

    extracted, unchanged : files read in this run, files read in an earlier one
    rejected : files that could not be used, in this run or an earlier one
    gone : tracks whose last file was deleted since the last run
    heard_later : files read in an earlier run, to which this one added what the trained ear hears
    unheard : files read in this run, of which the trained ear gave nothing
    ear_problem : why it gave nothing, or why it was not used at all; "" where there is nothing to say
    """

    extracted: int
    unchanged: int
    rejected: int
    gone: int
    heard_later: int = 0
    unheard: int = 0
    ear_problem: str = ""

    def __str__(self) -> str:
        parts = [f"{self.extracted:,} extracted, {self.unchanged:,} unchanged, {self.rejected:,} rejected"]
        parts += [f"{self.gone:,} gone"] * bool(self.gone)
        parts += [f"{self.heard_later:,} heard by the trained ear besides"] * bool(self.heard_later)
        text = ", ".join(parts)
        if self.unheard:
            return f"{text}; {self.unheard:,} without the trained ear: {self.ear_problem}"
        return f"{text}; no trained ear, MFCCs alone: {self.ear_problem}" if self.ear_problem else text
