"""The table `tracks`, and the rules by which files are tracks. Nothing here touches a cluster.

A track is content: byte-identical files are one track with several paths. It keeps its id when the file moves (same
content, other path) and when the file changes (same path, other content); where both claim it, content wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from pyspark.sql.types import (
    ArrayType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from batch.audio.tags import Tags
from batch.library.files import AudioFile

FILE = StructType(
    [StructField("path", StringType()), StructField("size", LongType()), StructField("mtime_ns", LongType())]
)

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
        StructField("genres", ArrayType(StringType())),
        StructField("split", StringType()),
        StructField("subset", StringType()),
        StructField("listens", IntegerType()),
        StructField("duration_s", DoubleType()),
        StructField("sha256", StringType()),
        StructField("files", ArrayType(FILE)),
        StructField("found_at", TimestampType()),
        StructField("gone_at", TimestampType()),
    ]
)
"""One row a track and library. `path` is the first of its files by name, `files` tells of each when it last was looked at;
`gone_at` is set when none of them is left. `genres`, `split`, `subset` and `listens` are FMA's, where there is its metadata."""

TAGS = StructType([TRACKS[field.name] for field in fields(Tags)])
"""The columns that a file's tags fill."""


@dataclass(frozen=True)
class FileRead:
    """What a worker found in a file: its content's hash, its length and its tags; and the id it has where it comes from."""

    file: AudioFile
    sha256: str
    duration_s: float | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    track_id: str | None = None


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
    genres: tuple[str, ...] | None = None
    split: str | None = None
    subset: str | None = None
    listens: int | None = None
    duration_s: float | None = None
    gone_at: datetime | None = None

    @property
    def path(self) -> str | None:
        """The first of its files by name; None for a track that is known by its published features alone."""
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
        files = tuple(AudioFile(f["path"], f["size"], f["mtime_ns"]) for f in row["files"])
        genres = tuple(row["genres"]) if row["genres"] is not None else None
        kept = {name: row[name] for name in cls.__dataclass_fields__ if name not in ("files", "genres")}
        return cls(**kept, files=files, genres=genres)


@dataclass(frozen=True)
class Summary:
    """Files of a run: extracted now, unchanged since an earlier run, rejected (then or now); and tracks that are gone."""

    extracted: int
    unchanged: int
    rejected: int
    gone: int

    def __str__(self) -> str:
        gone = f", {self.gone:,} gone" if self.gone else ""
        return f"{self.extracted:,} extracted, {self.unchanged:,} unchanged, {self.rejected:,} rejected{gone}"


class Catalogue:
    """The tracks of one library as the tables know them, held against the files that are there now.

    known : the library's rows of `tracks`
    files : all audio files found now
    elsewhere : (track id, sha256 or None) of the tracks of other libraries in the same lake
    """

    def __init__(
        self,
        library: str,
        known: Iterable[Track],
        files: Iterable[AudioFile],
        elsewhere: Iterable[tuple[str, str | None]] = (),
    ) -> None:
        self.library = library
        self._files = {file.path: file for file in files}
        self._tracks = {track.track_id: track for track in known}
        self._id_of_sha = {track.sha256: track.track_id for track in self._tracks.values()}
        self._id_of_path = {file.path: track.track_id for track in self._tracks.values() for file in track.files}
        others = list(elsewhere)
        self._ids_elsewhere = {sha256: track_id for track_id, sha256 in others if sha256 is not None}
        self._taken_elsewhere = frozenset(track_id for track_id, _ in others)

    def to_read(self, current: set[str], rejected: Mapping[str, AudioFile]) -> list[AudioFile]:
        """Files whose content is not known, in the order in which they are to be taken.

        current : ids of tracks whose features are of this extractor version
        rejected : files refused before, as they were then, that need no second try
        New files come before changed ones: content that has moved then keeps its id.
        """
        known = {
            file.path: file
            for track in self._tracks.values()
            if track.track_id in current and track.gone_at is None
            for file in track.files
        }
        unread = [file for path, file in self._files.items() if known.get(path) != file and rejected.get(path) != file]
        return sorted(unread, key=lambda file: (file.path in self._id_of_path, file.path))

    def take(self, read: Iterable[FileRead], now: datetime) -> list[tuple[str, Track]]:
        """(path, its track) for each file read, in order; the track as it stands after all of them."""
        ids = [(found.file.path, self._take_one(found, now)) for found in read]
        return [(path, self._tracks[track_id]) for path, track_id in ids]

    def missing(self, now: datetime, out_of_reach: Iterable[str] = ()) -> list[Track]:
        """Tracks that lost a file: without those files, or marked as gone where none is left.

        out_of_reach : files, links and folders that could not be looked at; what is known below them is not lost
        """
        unseen = tuple(out_of_reach)
        below = tuple(f"{path}/" for path in unseen)
        changed = []
        for track in list(self._tracks.values()):
            live = tuple(
                file
                for file in track.files
                if self._files.get(file.path) == file or file.path in unseen or file.path.startswith(below)
            )
            if track.gone_at is None and live != track.files:
                left = replace(track, files=live) if live else replace(track, gone_at=now)
                self._tracks[track.track_id] = left
                changed.append(left)
        return changed

    def described(self, tags: Callable[[str], Mapping[str, Any]]) -> list[Track]:
        """Tracks whose description changes by what `tags` tells of a path ({} where it tells nothing)."""
        changed = []
        for track in self.present:
            said = replace(track, **tags(track.path or ""))
            if said != track:
                self._tracks[track.track_id] = said
                changed.append(said)
        return changed

    def contents(self, current: set[str]) -> frozenset[str]:
        """Hashes of the contents whose features are of this extractor version."""
        return frozenset(track.sha256 for track in self._tracks.values() if track.track_id in current and track.sha256)

    @property
    def present(self) -> list[Track]:
        """Tracks that are there."""
        return [track for track in self._tracks.values() if track.gone_at is None]

    def _take_one(self, found: FileRead, now: datetime) -> str:
        track_id = self._identity(found)
        before = self._tracks.get(track_id)
        same_content = before is not None and before.sha256 == found.sha256
        others = self._live(before) if before is not None and same_content else ()
        files = (*[file for file in others if file.path != found.file.path], found.file)
        found_at = before.found_at if before is not None else now
        is_first = found.file.path == min(file.path for file in files)
        if before is not None and same_content and not is_first:
            track = replace(before, files=tuple(sorted(files, key=lambda f: f.path)), gone_at=None)
        else:
            track = Track(
                track_id=track_id,
                library=self.library,
                sha256=found.sha256,
                files=tuple(sorted(files, key=lambda f: f.path)),
                found_at=found_at,
                duration_s=found.duration_s if found.duration_s is not None or before is None else before.duration_s,
                **found.tags,
            )
        if before is not None and not same_content and self._id_of_sha.get(before.sha256) == track_id:
            del self._id_of_sha[before.sha256]
        self._tracks[track_id] = track
        self._id_of_sha[found.sha256] = track_id
        self._id_of_path[found.file.path] = track_id
        return track_id

    def _identity(self, found: FileRead) -> str:
        by_content = self._id_of_sha.get(found.sha256) or self._ids_elsewhere.get(found.sha256)
        if by_content is not None:
            return by_content
        by_path = self._id_of_path.get(found.file.path)
        if by_path is not None:
            still_elsewhere = [file for file in self._live(self._tracks[by_path]) if file.path != found.file.path]
            if not still_elsewhere and by_path not in self._taken_elsewhere:
                return by_path
        taken = self._tracks.keys() | self._taken_elsewhere
        if found.track_id is not None and found.track_id not in taken:
            return found.track_id
        # 16 hex digits of the content; further ones where an earlier content of a changed file has those
        digits = found.sha256
        return next(digits[i : i + 16] for i in range(0, len(digits) - 15) if digits[i : i + 16] not in taken)

    def _live(self, track: Track) -> tuple[AudioFile, ...]:
        """The track's files that are there as they were."""
        return tuple(file for file in track.files if self._files.get(file.path) == file)
