"""Artist, album and genre names as integer codes. No Spark.

`normalised` decides for all batch jobs which spellings are the same name and which names are only placeholders.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNIT_SEPARATOR = "\x1f"
"""Between the names of several artists where they are one text: no name has it."""
MAX_ARTISTS = 4
"""Artists of one track that count for the artist cap."""

Labels = NDArray[np.int32]
"""An integer code for each track, equal where the name is the same; -1 where there is none. [shape=(n,)]"""

MAX_ARTIST_CHARACTERS = 128
"""Of an artist's name in an index."""

_PLACEHOLDERS = frozenset(
    [
        "",
        "unknown",
        "<unknown>",
        "unknown artist",
        "unknown album",
        "unknown genre",
        "none",
        "(none)",
        "???",
        "various",
        "various artists",
        "n/a",
    ]
)


@dataclass(frozen=True)
class TrackLabels:
    """Labels of n tracks.

    artist, genre : Labels
    album : Labels of artist and album title together (of the artist alone, where a track has no album)
    album_title : Labels of the title alone: a compilation's tracks share it, whoever their artist is
    """

    artist: Labels
    album: Labels
    genre: Labels
    album_title: Labels

    def __getitem__(self, rows: NDArray[np.integer]) -> TrackLabels:
        return TrackLabels(self.artist[rows], self.album[rows], self.genre[rows], self.album_title[rows])

    def same_artist_or_album(self, rows: NDArray[np.integer] | None = None) -> NDArray[np.bool_]:
        """Mask for the artist filter: which tracks share artist or album title with a query, the query included.

        rows : of q query tracks; None: all.  Returns bool [shape=(q, n)]
        """
        queries = np.arange(len(self.artist)) if rows is None else np.asarray(rows)
        artist, album_title = self.artist[queries][:, None], self.album_title[queries][:, None]
        is_same_artist = (self.artist == artist) & (artist >= 0)
        is_same_album = (self.album_title == album_title) & (album_title >= 0)
        return is_same_artist | is_same_album | (np.arange(len(self.artist)) == queries[:, None])

    def split_groups(self) -> Labels:
        """Groups for an artist-grouped split: a track's artist, else its album title, else the track alone; never -1."""
        keys = [
            f"artist {artist}" if artist >= 0 else f"album {album}" if album >= 0 else f"track {row}"
            for row, (artist, album) in enumerate(zip(self.artist.tolist(), self.album_title.tolist(), strict=True))
        ]
        return labels(keys)


def track_labels(
    artists: Sequence[str | None], albums: Sequence[str | None], genres: Sequence[str | None]
) -> TrackLabels:
    """TrackLabels of names as they stand in the tags; placeholders count as missing."""
    artist_names = [normalised(next(iter(artists_in(name)), None)) for name in artists]  # of several the first
    album_names = [normalised(name) for name in albums]
    artist_albums = [
        f"{artist}\x00{album}" if artist or album else ""
        for artist, album in zip(artist_names, album_names, strict=True)
    ]
    genre_names = [normalised(name) for name in genres]
    return TrackLabels(labels(artist_names), labels(artist_albums), labels(genre_names), labels(album_names))


def joined_artists(artist: str | None, artists: Sequence[str] | None) -> str | None:
    """A track's first MAX_ARTISTS artists as one text from which `artists_in` tells each; the artist as it is shown of one."""
    several = [name for name in artists or () if name][:MAX_ARTISTS]
    return UNIT_SEPARATOR.join(several) if len(several) > 1 else artist


def artists_in(joined: str | None) -> list[str]:
    """The artists of such a text; none where there is no artist."""
    return [name for name in (joined or "").split(UNIT_SEPARATOR) if name]


def artist_parts(names: NDArray[np.str_]) -> NDArray[np.int32]:
    """Codes of each artist of each name, -1 for none and for placeholders [shape=(names + 1, at most MAX_ARTISTS)].

    names : of artists, or of several as `joined_artists` has them; the code of one that stands there alone is its position
    The last row is -1, so that the code -1 of a track without artist leads to it.
    """
    code_by_name = {name: code for code, name in enumerate(names.tolist())}
    parts = []
    for name in list(code_by_name):
        several = [part for part in artists_in(name) if normalised(part)][:MAX_ARTISTS]
        parts.append([code_by_name.setdefault(part, len(code_by_name)) for part in several])
    width = max([1, *map(len, parts)])
    codes = np.full((len(parts) + 1, width), -1, dtype=np.int32)
    for row, artist_codes in enumerate(parts):
        codes[row, : len(artist_codes)] = artist_codes
    return codes


def labels(names: Sequence[str]) -> Labels:
    """Codes 0, 1, … in alphabetical order of the names; -1 for ""."""
    code_by_name = {name: code for code, name in enumerate(sorted(set(names) - {""}))}
    return np.array([code_by_name.get(name, -1) for name in names], dtype=np.int32)


def normalised(name: str | None) -> str:
    """The name casefolded, with blanks collapsed; "" for placeholders such as "Unknown artist"."""
    folded = " ".join((name or "").casefold().split())
    return "" if folded in _PLACEHOLDERS else folded


def artist_key(name: str | None) -> str:
    """The name as an index stores it: casefolded, "" for none; a long one is cut, and ends in a hash of all of it.

    An index has names in an array of equally long strings, where one of 20,000 characters would make all of them as long.
    """
    folded = (name or "").casefold()
    if len(folded) <= MAX_ARTIST_CHARACTERS:
        return folded
    digest = hashlib.blake2b(folded.encode("utf-8", "replace"), digest_size=8).hexdigest()
    return f"{folded[: MAX_ARTIST_CHARACTERS - len(digest) - 1]}…{digest}"


def spelling_key(name: str) -> str:
    """What names that differ only in case, blanks or diacritics have in common: "the beatles", "sigur ros", "mø" → "mo".

    Placeholders are names here; a name of nothing else keeps its blanks or marks.
    """
    folded = " ".join(name.casefold().split())
    if folded.isascii():
        return folded or name
    letters = (letter for letter in unicodedata.normalize("NFKD", folded) if not _is_diacritic(letter))
    return " ".join("".join(letters).translate(_STROKED_LETTERS).casefold().split()) or folded


_STROKED_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe"})
"""Letters whose mark Unicode does not take apart."""


def _is_diacritic(letter: str) -> bool:
    """Whether it is a combining mark of Latin, Greek and Cyrillic; those of other scripts make other letters."""
    return "\u0300" <= letter <= "\u036f"


def spellings(names: Iterable[str | None]) -> dict[str, str]:
    """The most frequent spelling by normalised name, blanks collapsed; placeholders are left out."""
    counts: dict[str, Counter[str]] = {}
    for name in names:
        if name and (key := normalised(name)):
            counts.setdefault(key, Counter())[" ".join(name.split())] += 1
    return {
        key: min(by_spelling, key=lambda spelling: (-by_spelling[spelling], spelling))
        for key, by_spelling in counts.items()
    }


def without_rare(label: Labels, min_tracks: int) -> Labels:
    """The labels, those of fewer than `min_tracks` tracks replaced by -1."""
    counts = np.bincount(label[label >= 0], minlength=int(label.max(initial=0)) + 1)
    return np.where((label >= 0) & (counts[np.maximum(label, 0)] >= min_tracks), label, -1).astype(np.int32)
