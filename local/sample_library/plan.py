"""Which tracks a library has: each style's pieces dealt out to its artists and their albums.

A track is known by its style and its position there, and does not depend on how many there are: a larger library
contains a smaller one. Nothing here reads notes, so a plan takes a fraction of a second.
"""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from local.sample_library.bands import Artist, Style
from local.sample_library.pieces import Piece, pieces
from local.sample_library.styles import STYLES

SUFFIX = ".mp3"
TRACKS_IN_A_ROW = 2  # that an artist puts on one album before the other has its turn


@dataclass(frozen=True)
class Track:
    """One file to be: `number` counts within the album from 1, `position` within the style from 0."""

    style: Style
    position: int
    artist: Artist
    album: str
    number: int
    piece: Piece

    @property
    def path(self) -> Path:
        """Where the track goes, relative to the library."""
        folders = [_safe(name) for name in (self.style.name, self.artist.name, self.album)]
        return Path(*folders, _safe(f"{self.number:02d} {self.piece.title}") + SUFFIX)

    def __str__(self) -> str:
        return f"{self.piece.title!r} ({self.style.name}, {self.artist.name})"


def plan(tracks_per_style: int) -> list[Track]:
    """All tracks of a library, style by style."""
    if tracks_per_style < 1:
        raise ValueError(f"tracks_per_style={tracks_per_style}, but a style needs at least one track")
    return [track(style, position) for style in STYLES for position in range(tracks_per_style)]


def track(style: Style, position: int) -> Track:
    """The track of a style at a position from 0.

    Styles that share a kind of piece start at different places of its list: a tune returns only in a large library.
    """
    sharing = [other.name for other in STYLES if other.pieces == style.pieces]
    choice = pieces(style.pieces)
    if position >= len(choice):
        raise ValueError(f"{style.name} has {len(choice)} pieces, so there are at most {len(choice)} tracks per style")
    piece = choice[(len(choice) * sharing.index(style.name) // len(sharing) + position) % len(choice)]
    artist = style.artists[position % len(style.artists)]
    turn, place = divmod(position // len(style.artists), TRACKS_IN_A_ROW)
    number = turn // len(artist.albums) * TRACKS_IN_A_ROW + place + 1
    return Track(style, position, artist, artist.albums[turn % len(artist.albums)], number, piece)


def partial(file: Path) -> Path:
    """Where a file is written before it has its name: beside it, hidden, and not audio by its suffix."""
    return file.with_name(f".{file.name.lstrip('.')}.part")


def _safe(name: str) -> str:
    """A name that any file system and any locale can hold: no accents, and nothing that a shell or Windows minds."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^\w '(),.&+-]", "", plain.replace(":", " -")).strip(" .")
