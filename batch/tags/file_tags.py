"""Tags of an audio file: title, artist, album, genre … from the best of its tags, else from the names of file and folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from batch.tags.folders import artist_album_disc
from batch.tags.sources import Tags, tag_sources
from batch.tags.text import UnicodeText, cleaned, code_page, reread
from batch.tags.values import (
    disc_and_track,
    gain_db,
    genres,
    identifiers,
    number,
    peak,
    r128_db,
    single_genres,
    truth,
    year,
)

TAG_READER_VERSION = 3
"""To be changed whenever the same file would give other tags: `extract` then reads all tags again, and nothing else."""
ARTIST_SEPARATOR = "/"
"""Between several artists in the text of `artist`, as ID3v2.3 writes them."""
MAX_VALUES = 50
"""Artists or genres of one track; the rest is left out."""
_DATES = ("date", "year", "releasedate", "originaldate")


@dataclass(frozen=True)
class FileTags:
    """A file's tags; None where unknown. `title` is never empty.

    artist : the text; of several artists, joined by ARTIST_SEPARATOR
    artists : each of them, in order
    genre : the first
    genre_tags : each of them, in order
    track_gain_db, album_gain_db : ReplayGain, what to add to the volume, in decibels
    track_peak, album_peak : the largest sample, 1 at full scale
    musicbrainz_… : ids of MusicBrainz
    """

    title: str
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


def file_tags(path: PurePath, root: PurePath, file: Path | None = None) -> FileTags:
    """The tags of a file. A missing title is the file's name; a missing artist and album are its folders' names below `root`.

    file : local copy to read the tags from; None: `path` itself
    Unreadable tags do not raise; the names then stand in for all of them.
    """
    try:
        sources = tag_sources(file or Path(path))
    except OSError:
        sources = []
    tags = _FirstTags(sources)
    folder_artist, folder_album, folder_disc = artist_album_disc(path, root)
    artist, artists = _artists(tags, folder_artist)
    named_genres = genres(tags.all("genre"))
    disc, track = disc_and_track(tags.first("tracknumber"))
    return FileTags(
        title=tags.first("title") or cleaned(path.stem) or "Untitled",
        artist=artist,
        album=tags.first("album") or folder_album,
        genre=named_genres[0] if named_genres else None,
        composer=tags.first("composer"),
        track_number=track,
        year=next(filter(None, (year(text) for name in _DATES for text in tags.all(name))), None),
        licence=tags.first("license") or tags.first("copyright"),
        artists=artists,
        genre_tags=tuple(single_genres(named_genres)[:MAX_VALUES]) or None,
        album_artist=tags.first("albumartist"),
        disc_number=number(tags.first("discnumber")) or disc or folder_disc,
        compilation=truth(tags.first("compilation")),
        track_gain_db=_gain_db(tags, "track"),
        track_peak=peak(tags.first("replaygain_track_peak")),
        album_gain_db=_gain_db(tags, "album"),
        album_peak=peak(tags.first("replaygain_album_peak")),
        musicbrainz_recording_id=next(iter(identifiers(tags.all("musicbrainz_trackid"))), None),
        musicbrainz_release_id=next(iter(identifiers(tags.all("musicbrainz_albumid"))), None),
        musicbrainz_artist_ids=tuple(identifiers(tags.all("musicbrainz_artistid"))[:MAX_VALUES]) or None,
    )


def _gain_db(tags: _FirstTags, scope: str) -> float | None:
    """ReplayGain, else what Opus has in its place.  scope : "track" or "album" """
    gain = gain_db(tags.first(f"replaygain_{scope}_gain"))
    return r128_db(tags.first(f"r128_{scope}_gain")) if gain is None else gain


class _FirstTags:
    """The values of each name in the first of several tags that has it, by the code pages in which they were written."""

    def __init__(self, sources: Sequence[Tags]) -> None:
        self._sources = sources
        texts = [text for tags in sources for texts in tags.values() for text in texts]
        self._page_by_is_unicode = {
            is_unicode: code_page(text for text in texts if isinstance(text, UnicodeText) == is_unicode)
            for is_unicode in (False, True)
        }

    def all(self, name: str) -> list[str]:
        """The cleaned values, each once and in order."""
        for tags in self._sources:
            values = (
                cleaned(reread(text, self._page_by_is_unicode[isinstance(text, UnicodeText)]))
                for text in tags.get(name, ())
            )
            if present := list(dict.fromkeys(value for value in values if value)):
                return present
        return []

    def first(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)


def _artists(tags: _FirstTags, folder_artist: str | None) -> tuple[str | None, tuple[str, ...] | None]:
    """(the artist's text, each artist)"""
    names = tags.all("artist")
    if not names:
        names = tags.all("artists") or tags.all("albumartist")[:1] or ([folder_artist] if folder_artist else [])
    text = cleaned(ARTIST_SEPARATOR.join(names))
    each = tags.all("artists") if tags.all("artist") else names
    return text, tuple((each or names)[:MAX_VALUES]) or None
