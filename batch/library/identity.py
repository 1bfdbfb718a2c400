"""The rules by which a file gets its track id, without Spark.

A track is content: byte-identical files are one track with several paths. A track keeps its id when its file moves (same
content, other path) and when its file changes (same path, other content); where both apply, the content decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from batch.library.files import AudioFile
from batch.library.tracks import Track


@dataclass(frozen=True)
class FileContent:
    """What was read from a file.

    sha256 : of its content
    tags : columns of TRACKS
    track_id : the id that its source gives it, such as FMA's number; None: no such id
    """

    file: AudioFile
    sha256: str
    duration_s: float | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    track_id: str | None = None


@dataclass(frozen=True)
class FileToRead:
    """A file of which something is to be read.

    sha256 : of its content, where the file has not changed since it was hashed; None: unknown
    """

    file: AudioFile
    sha256: str | None = None


class TrackIdentities:
    """The tracks of a library, brought in line with the files that exist now.

    tracks : the library's rows of the table `tracks`
    files : all audio files of the library that exist now
    other_libraries : (track id, sha256 or None) of the tracks of the other libraries in the same lake
    """

    def __init__(
        self,
        library: str,
        tracks: Iterable[Track],
        files: Iterable[AudioFile],
        other_libraries: Iterable[tuple[str, str | None]] = (),
    ) -> None:
        self.library = library
        self._file_by_path = {file.path: file for file in files}
        self._track_by_id = {track.track_id: track for track in tracks}
        self._id_by_sha256 = {track.sha256: track.track_id for track in self._track_by_id.values()}
        self._id_by_path = {file.path: track.track_id for track in self._track_by_id.values() for file in track.files}
        others = list(other_libraries)
        self._other_id_by_sha256 = {sha256: track_id for track_id, sha256 in others if sha256 is not None}
        self._other_ids = frozenset(track_id for track_id, _ in others)

    @property
    def present_tracks(self) -> list[Track]:
        """The tracks that have a file."""
        return [track for track in self._track_by_id.values() if track.gone_at is None]

    def parts_by_content(self, parts_by_id: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
        """By sha256, the parts of a content that need not be made again.  parts_by_id : by track id, likewise"""
        tracks = [track for track in self._track_by_id.values() if track.sha256]
        return {track.sha256 or "": parts_by_id[track.track_id] for track in tracks if track.track_id in parts_by_id}

    def files_to_read(
        self, current_ids: set[str], rejected: Mapping[str, AudioFile], tag_reader: int | None = None
    ) -> list[FileToRead]:
        """New and changed files, and those of which tags or features are out of date, in the order in which to assign them ids.

        current_ids : tracks all of whose parts are up to date
        rejected : by path, files that were rejected before and need no second try, as they were then
        tag_reader : version of the reader of tags; None: tags are never out of date
        New files come before changed ones: content that has moved then keeps its id.
        """
        track_and_file_by_path = {
            file.path: (track, file)
            for track in self._track_by_id.values()
            if track.gone_at is None
            for file in track.files
        }
        unread = []
        for path, file in self._file_by_path.items():
            track, before = track_and_file_by_path.get(path, (None, None))
            is_unchanged = file.is_unchanged(before)
            has_current_tags = track is not None and tag_reader in (None, track.tag_reader)
            is_current = is_unchanged and has_current_tags and track is not None and track.track_id in current_ids
            if not is_current and not file.is_unchanged(rejected.get(path)):
                unread.append(FileToRead(file, track.sha256 if track is not None and is_unchanged else None))
        return sorted(unread, key=lambda unread: (unread.file.path in self._id_by_path, unread.file.path))

    def assign(self, contents: Iterable[FileContent], now: datetime) -> list[tuple[str, Track]]:
        """(path, its track) of each file read, in order; the tracks are as they are after all of them."""
        ids = [(content.file.path, self._assign(content, now)) for content in contents]
        return [(path, self._track_by_id[track_id]) for path, track_id in ids]

    def remove_missing_files(self, now: datetime, unusable_paths: Iterable[str] = ()) -> list[Track]:
        """The tracks that lost a file: without those files, or with `gone_at` set where none is left.

        unusable_paths : files, links and folders that could not be listed; files at or below them are not removed
        """
        unusable = tuple(unusable_paths)
        unusable_folders = tuple(f"{path}/" for path in unusable)
        changed = []
        for track in list(self._track_by_id.values()):
            files = tuple(
                file
                for file in track.files
                if self._is_as_it_was(file) or file.path in unusable or file.path.startswith(unusable_folders)
            )
            if track.gone_at is None and files != track.files:
                after = replace(track, files=files) if files else replace(track, gone_at=now)
                self._track_by_id[track.track_id] = after
                changed.append(after)
        return changed

    def update_metadata(self, metadata: Callable[[str], Mapping[str, Any]]) -> list[Track]:
        """The tracks changed by metadata from elsewhere.  metadata : path → columns of TRACKS, {} for none"""
        changed = []
        for track in self.present_tracks:
            after = replace(track, **metadata(track.path or ""))
            if after != track:
                self._track_by_id[track.track_id] = after
                changed.append(after)
        return changed

    def _assign(self, content: FileContent, now: datetime) -> str:
        """Adds a file to its track, new or known; returns the track's id."""
        track_id = self._identity(content)
        before = self._track_by_id.get(track_id)
        is_same_content = before is not None and before.sha256 == content.sha256
        other_files = self._existing_files(before) if before is not None and is_same_content else ()
        files = (*[file for file in other_files if file.path != content.file.path], content.file)
        files = tuple(sorted(files, key=lambda file: file.path))
        if before is not None and is_same_content and content.file != files[0]:
            track = replace(before, files=files, gone_at=None)  # the tags are those of the first file
        else:
            duration_s = content.duration_s
            if duration_s is None and before is not None:  # the content was known, and so not decoded
                duration_s = before.duration_s
            track = Track(
                track_id=track_id,
                library=self.library,
                sha256=content.sha256,
                files=files,
                found_at=before.found_at if before is not None else now,
                duration_s=duration_s,
                **content.tags,
            )
        if before is not None and not is_same_content and self._id_by_sha256.get(before.sha256) == track_id:
            del self._id_by_sha256[before.sha256]
        self._track_by_id[track_id] = track
        self._id_by_sha256[content.sha256] = track_id
        self._id_by_path[content.file.path] = track_id
        return track_id

    def _identity(self, content: FileContent) -> str:
        """The track id: by content, else by path, else the id of its source, else the first free 16 hex digits of its hash."""
        id_by_content = self._id_by_sha256.get(content.sha256) or self._other_id_by_sha256.get(content.sha256)
        if id_by_content is not None:
            return id_by_content
        path = content.file.path
        id_by_path = self._id_by_path.get(path)
        if id_by_path is not None:
            has_other_files = any(file.path != path for file in self._existing_files(self._track_by_id[id_by_path]))
            if not has_other_files and id_by_path not in self._other_ids:
                return id_by_path
        if content.track_id is not None and not self._is_taken(content.track_id):
            return content.track_id
        # the first 16 digits are taken where they are those of an earlier content of a changed file
        digits = content.sha256
        return next(digits[i : i + 16] for i in range(0, len(digits) - 15) if not self._is_taken(digits[i : i + 16]))

    def _existing_files(self, track: Track) -> tuple[AudioFile, ...]:
        """The track's files that exist unchanged."""
        return tuple(file for file in track.files if self._is_as_it_was(file))

    def _is_as_it_was(self, file: AudioFile) -> bool:
        current = self._file_by_path.get(file.path)
        return current is not None and current.is_unchanged(file)

    def _is_taken(self, track_id: str) -> bool:
        return track_id in self._track_by_id or track_id in self._other_ids
