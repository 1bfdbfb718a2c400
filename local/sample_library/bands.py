"""The words in which a style is written down: artists, accompanists, drums.

A rhythm is one bar of sixteenth notes, a character each: "." rest, "x" played, "X" accented. Instruments are
General MIDI programs, pitches MIDI numbers, and loudness goes from 1 to 127.
"""

from dataclasses import dataclass
from typing import Literal

Figure = Literal["triad", "seventh", "fifths", "arpeggio", "root", "octaves", "alternating", "walking", "drone"]


@dataclass(frozen=True)
class Artist:
    """Who plays the pieces.

    leads : instruments that play the tune together, or a part each (repeated as needed)
    tempo : quarter notes a minute;  albums : filled in turn
    shift : semitones that bring the tune into the instrument's range;  doubling : semitones to a second voice, or 0
    """

    name: str
    leads: tuple[int, ...]
    tempo: int
    albums: tuple[str, str]
    shift: int = 0
    doubling: int = 0


@dataclass(frozen=True)
class Accompanist:
    """Who plays a figure on the chords: from the pitch `lowest` up, notes of `length` sixteenths.

    program : None for the artist's own lead instrument
    """

    program: int | None
    plays: Figure
    rhythm: str
    lowest: int
    length: float = 2
    loudness: int = 70


@dataclass(frozen=True)
class Drum:
    """One drum of the kit by its key in the General MIDI drum map."""

    key: int
    rhythm: str
    loudness: int = 90


@dataclass(frozen=True)
class Style:
    """A genre of the library.

    pieces : a kind, see `local.sample_library.pieces.pieces`;  kit : program of the drum channel
    swing : how late an off-beat eighth comes, in quarter notes;  looseness : seconds by which players miss the beat
    held : length of a tune's note against its printed one;  reverb, chorus : 0 to 127
    """

    name: str
    pieces: str
    artists: tuple[Artist, ...]
    accompanists: tuple[Accompanist, ...] = ()
    drums: tuple[Drum, ...] = ()
    kit: int = 0
    swing: float = 0.0
    looseness: float = 0.006
    held: float = 0.92
    lead_loudness: int = 92
    reverb: int = 40
    chorus: int = 0
