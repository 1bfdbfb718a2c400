"""Which tracks are one album, and the album's document.

An album is the tracks of one title by one album artist. Where the tags have no album artist, the tracks of one folder and title
are by the artist of more than half of them, else by various artists. Two albums of one artist and title are told by their
MusicBrainz release, else by their year; of various artists by their folder.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from batch.discography.names import (
    VARIOUS,
    VARIOUS_ARTISTS,
    artist_id,
    commonest,
    digest,
    index_letter,
    is_various,
    name_key,
    sort_key,
)
from batch.tags.folders import album_folder

ALBUM_VERSION = 1
COVER_TRACKS = 3
COVER_FOLDERS = 4
MAX_GENRES = 3


@dataclass(frozen=True)
class TrackEntry:
    """What of a track decides on its album and artists; columns of the table `tracks`, `genre` as it is published."""

    track_id: str
    title: str = ""
    artist: str | None = None
    artists: Sequence[str] | None = None
    album: str | None = None
    album_artist: str | None = None
    compilation: bool | None = None
    disc_number: int | None = None
    track_number: int | None = None
    year: int | None = None
    duration_s: float | None = None
    path: str | None = None
    library: str | None = None
    genre: str | None = None
    found_at: datetime | None = None
    sha256: str | None = None
    musicbrainz_release_id: str | None = None

    @property
    def each_artist(self) -> list[str]:
        """Its artists, in order."""
        return list(self.artists) if self.artists else [self.artist] if self.artist else []

    @property
    def folder(self) -> str:
        return (self.path or "").rpartition("/")[0]

    @property
    def place(self) -> tuple[int, int, str, str]:
        """Its place within its album: by disc, number and title."""
        return self.disc_number or 1, self.track_number or 10_000, sort_key(self.title), self.track_id


@dataclass(frozen=True)
class _Name:
    """Artist and title of an album, as keys; the artist is VARIOUS for a compilation, "" where it is unknown."""

    artist: str
    title: str


def album_ids(tracks: Iterable[TrackEntry]) -> dict[str, str]:
    """The album's id by track id, of the tracks that have an album's title."""
    groups: dict[tuple[str, str], list[TrackEntry]] = defaultdict(list)
    for track in tracks:
        if title := name_key(track.album):
            groups[album_folder(track.folder), title].append(track)
    parts_by_name: dict[_Name, list[tuple[str, list[TrackEntry]]]] = defaultdict(list)
    for (folder, title), group in groups.items():
        for artist, members in _by_album_artist(group).items():
            parts_by_name[_Name(artist, title)].append((_edition(artist, folder, members), members))
    ids = {}
    for name, parts in parts_by_name.items():
        editions = {edition for edition, _ in parts} - {""}
        only_edition = editions.pop() if len(editions) == 1 else ""
        for edition, members in parts:
            identifier = digest("album", name.artist, name.title, edition or only_edition)
            ids.update({track.track_id: identifier for track in members})
    return ids


def album_documents(tracks: Iterable[TrackEntry], album_by_track: Mapping[str, str]) -> list[dict[str, Any]]:
    """The documents of the collection `albums`.  album_by_track : the result of `album_ids`"""
    tracks_by_album: dict[str, list[TrackEntry]] = defaultdict(list)
    albums_by_folder: dict[str, set[str]] = defaultdict(set)
    for track in tracks:
        album = album_by_track.get(track.track_id, "")
        albums_by_folder[track.folder].add(album)
        if album:
            tracks_by_album[album].append(track)
    return [_document(album, members, albums_by_folder) for album, members in tracks_by_album.items()]


def _document(album: str, tracks: list[TrackEntry], albums_by_folder: Mapping[str, set[str]]) -> dict[str, Any]:
    tracks = sorted(tracks, key=lambda track: track.place)
    title = commonest(track.album for track in tracks)
    artists = _by_album_artist(tracks)
    is_compilation = VARIOUS in artists
    name = "" if is_compilation else next((_spelled(tracks, artist) for artist in artists if artist), "")
    artist = VARIOUS_ARTISTS if is_compilation else name
    years = Counter(track.year for track in tracks if track.year)
    genres = Counter(track.genre for track in tracks if track.genre)
    sort_title, sort_artist = sort_key(title), sort_key(artist)
    return {
        "_id": album,
        "title": title,
        "artist": artist,
        "artist_ids": [identifier] if (identifier := artist_id(name)) else [],
        "compilation": is_compilation,
        "year": min(years, key=lambda year: (-years[year], year)) if years else None,
        "genres": sorted(genres, key=lambda genre: (-genres[genre], genre))[:MAX_GENRES],
        "tracks": len(tracks),
        "discs": len({track.disc_number or 1 for track in tracks}),
        "duration_s": sum(track.duration_s or 0.0 for track in tracks),
        "added_at": max((track.found_at for track in tracks if track.found_at), default=None),
        "library": tracks[0].library,
        "cover": _cover(album, tracks, albums_by_folder),
        "sort_title": sort_title,
        "sort_artist": sort_artist,
        "letter": index_letter(sort_title),
        "version": ALBUM_VERSION,
    }


def _cover(album: str, tracks: Sequence[TrackEntry], albums_by_folder: Mapping[str, set[str]]) -> dict[str, Any]:
    """Where to look for the album's picture: its first tracks, folders of which nothing else is published, and a mark that
    differs once the tracks' content does."""
    folders = dict.fromkeys(track.folder for track in tracks if track.path)
    folders |= dict.fromkeys(album_folder(folder) for folder in folders)
    roots = {track.library for track in tracks}
    own = [folder for folder in folders if albums_by_folder.get(folder, {album}) == {album} and folder not in roots]
    first = tracks[:COVER_TRACKS]
    mark = digest(*(f"{track.track_id} {track.sha256}" for track in first), *own[:COVER_FOLDERS])
    return {"tracks": [track.track_id for track in first], "folders": own[:COVER_FOLDERS], "mark": mark}


def _by_album_artist(tracks: Sequence[TrackEntry]) -> dict[str, list[TrackEntry]]:
    """The tracks of one folder and title by the key of their album artist."""
    by_artist: dict[str, list[TrackEntry]] = defaultdict(list)
    untagged = []
    for track in tracks:
        if is_various(track.album_artist) or (track.compilation and not name_key(track.album_artist)):
            by_artist[VARIOUS].append(track)
        elif artist := name_key(track.album_artist):
            by_artist[artist].append(track)
        else:
            untagged.append(track)
    if untagged:
        by_artist[next(iter(by_artist)) if len(by_artist) == 1 else _main_artist(untagged)] += untagged
    return by_artist


def _main_artist(tracks: Sequence[TrackEntry]) -> str:
    """The key of the artist of more than half of the tracks, VARIOUS where there is none, "" where none is known."""
    counts = Counter(name_key(next(iter(track.each_artist), None)) for track in tracks)
    artist, count = counts.most_common(1)[0]
    if len(counts) == 1 or 2 * count > len(tracks):
        return artist
    return VARIOUS


def _spelled(tracks: Sequence[TrackEntry], artist: str) -> str:
    """The commonest spelling of an album artist."""
    tagged = [track.album_artist for track in tracks if name_key(track.album_artist) == artist]
    return commonest(tagged or (name for track in tracks for name in track.each_artist if name_key(name) == artist))


def _edition(artist: str, folder: str, tracks: Sequence[TrackEntry]) -> str:
    """What tells the album from others of its artist and title; "" where nothing does."""
    releases = {track.musicbrainz_release_id for track in tracks} - {None, ""}
    if len(releases) == 1:
        return f"release {releases.pop()}"
    if artist in (VARIOUS, ""):
        root = tracks[0].library or ""
        return f"folder {folder.removeprefix(root).strip('/')}"
    years = {track.year for track in tracks}
    return f"year {years.pop()}" if len(years) == 1 and None not in years else ""
