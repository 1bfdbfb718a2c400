"""A score and a style become timed notes, as numbers only.

A part score is played as written. Under a tune go chords found bar by bar, the style's accompanists on them, and its
drums. The piece is repeated until the clip is full. The same track always gets the same notes: chance is seeded.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, cycle
from typing import NamedTuple

from local.sample_library.bands import Accompanist, Artist, Drum, Style
from local.sample_library.scores import Note, Score

SECONDS = 30.0

SIXTEENTH = 0.25  # of a quarter note
LOWEST_PITCH = 24
HIGHEST_PITCH = 103
"""Beyond these two the sound font has no natural samples."""
PAN_LEFT = 34
PAN_CENTRE = 64
PAN_RIGHT = 94
ACCENT = 14
INTRO = 1  # bars of the band before the tune

# Degrees of the scale on which a bar's chord may stand, with a head start, in quarter notes, for the plain ones.
HARMONY = {0: 0.5, 4: 0.35, 3: 0.3, 6: 0.2, 5: 0.1, 1: 0.1}


class Stroke(NamedTuple):
    """A written note: start and length in quarter notes, MIDI pitch, loudness 1 to 127."""

    start: float
    length: float
    pitch: int
    loudness: float


class Tone(NamedTuple):
    """A sounding note: start and length in seconds, MIDI pitch, velocity 1 to 127."""

    start: float
    length: float
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Voice:
    """The tones of one instrument.

    program : General MIDI, for drums the kit;  pan : 0 (left) to 127;  reverb, chorus : 0 to 127
    """

    program: int
    tones: tuple[Tone, ...]
    pan: int
    reverb: int
    chorus: int
    is_drums: bool = False


# Pitch classes from the root up: the triad, then its seventh.
Chord = tuple[int, ...]


def arrangement(score: Score, style: Style, artist: Artist, *, tempo: float, seed: str) -> list[Voice]:
    """The voices of a clip of SECONDS;  tempo : quarter notes a minute, varied a little as bands do."""
    chance = random.Random(seed)
    tempo *= chance.uniform(0.97, 1.03)
    transposed = chance.choice((-2, 0, 2))
    bars = int(SECONDS * tempo / 60 / score.bar) + 1

    def voice(program: int, strokes: Iterable[Stroke], pan: int, *, is_drums: bool = False) -> Voice:
        tones = tuple(_tones(strokes, 60 / tempo, style, chance))
        return Voice(program, tones, pan, style.reverb, style.chorus, is_drums)

    def played(part: tuple[Note, ...], begin: float) -> Iterator[Stroke]:
        return _repeated(part, score, begin, bars, style, artist, transposed)

    if not style.accompanists:
        upbeat = -min(0.0, *(part[0].start for part in score.parts))
        places = len(score.parts) - 1
        return [
            voice(program, played(part, upbeat), PAN_LEFT + (PAN_RIGHT - PAN_LEFT) * place // max(1, places))
            for place, (part, program) in enumerate(zip(score.parts, cycle(artist.leads), strict=False))
        ]

    tune = score.parts[0]
    bar_chords = chords(tune, score)
    harmony = [
        tuple((pitch + transposed) % 12 for pitch in bar_chords[(bar - INTRO) % len(bar_chords)]) for bar in range(bars)
    ]
    key_note = (score.scale[0] + transposed) % 12
    voices = [voice(program, played(tune, INTRO * score.bar), PAN_CENTRE) for program in artist.leads]
    for accompanist, pan in zip(style.accompanists, cycle((PAN_LEFT, PAN_RIGHT)), strict=False):
        program = artist.leads[0] if accompanist.program is None else accompanist.program
        voices.append(voice(program, _accompaniment(accompanist, harmony, score.bar, key_note), pan))
    if style.drums:
        beats = chain.from_iterable(_beats(drum, bars, score.bar) for drum in style.drums)
        voices.append(voice(style.kit, beats, PAN_CENTRE, is_drums=True))
    return voices


def chords(tune: Iterable[Note], score: Score) -> list[Chord]:
    """A chord for every bar of the score: the one of the key whose triad holds most of the tune there."""
    stacked = {degree: tuple(score.scale[(degree + third) % 7] for third in (0, 2, 4, 6)) for degree in HARMONY}
    # A triad without a perfect fifth (7 semitones) is no resting place.
    usable = [(chord, HARMONY[degree]) for degree, chord in stacked.items() if (chord[2] - chord[0]) % 12 == 7]
    bar_chords: list[Chord] = []
    for bar in range(round(score.length / score.bar)):
        begin, end = bar * score.bar, (bar + 1) * score.bar
        heard = [0.0] * 12
        for note in tune:
            heard[note.pitch % 12] += max(0.0, min(end, note.start + note.length) - max(begin, note.start))
        bar_chords.append(max(usable, key=lambda option: sum(heard[pitch] for pitch in option[0][:3]) + option[1])[0])
    return bar_chords


def _repeated(
    part: tuple[Note, ...], score: Score, begin: float, bars: int, style: Style, artist: Artist, transposed: int
) -> Iterator[Stroke]:
    """A part from `begin` on, over and over, with the artist's doubling."""
    while begin < bars * score.bar:
        for note in part:
            accent = ACCENT / 2 if note.start % score.bar == 0 else 0
            for doubling in sorted({0, artist.doubling}):
                pitch = note.pitch + transposed + artist.shift + doubling
                yield Stroke(begin + note.start, note.length * style.held, pitch, style.lead_loudness + accent)
        begin += score.length


def _accompaniment(player: Accompanist, harmony: list[Chord], bar: float, key_note: int) -> Iterator[Stroke]:
    """A figure on the chords of all bars;  bar : quarter notes."""
    turn = 0
    for number, chord in enumerate(harmony):
        for start, accent in _played(player.rhythm, number * bar):
            for pitch in _pitches(player, chord, key_note, turn, start - number * bar):
                yield Stroke(start, player.length * SIXTEENTH, pitch, player.loudness + accent)
            turn += 1


def _pitches(player: Accompanist, chord: Chord, key_note: int, turn: int, beat: float) -> list[int]:
    """What the player plays on this chord: its `turn`-th stroke of the piece, `beat` quarter notes into the bar."""

    def placed(pitch_class: int) -> int:
        return player.lowest + (pitch_class - player.lowest) % 12

    root, third, fifth, seventh = (placed(pitch_class) for pitch_class in chord)
    match player.plays:
        case "triad":
            return [root, third, fifth]
        case "seventh":
            return [third, fifth, seventh]
        case "fifths":
            return [root, root + 7, root + 12]
        case "arpeggio":
            return [(root, third, fifth, root + 12, fifth, third)[turn % 6]]
        case "root":
            return [root]
        case "octaves":
            return [root + 12 * (turn % 2)]
        case "alternating":
            return [root if turn % 2 == 0 else fifth]
        case "walking":
            return [(root, third, fifth, root + 9 if third - root == 4 else seventh)[int(beat) % 4]]
        case "drone":
            return [placed(key_note), placed(key_note) + 7]


def _beats(drum: Drum, bars: int, bar: float) -> Iterator[Stroke]:
    """A drum in all bars;  bar : quarter notes."""
    for number in range(bars):
        for start, accent in _played(drum.rhythm, number * bar):
            yield Stroke(start, SIXTEENTH / 2, drum.key, drum.loudness + accent)


def _played(rhythm: str, begin: float) -> Iterator[tuple[float, int]]:
    """When a rhythm's strokes fall, in quarter notes, in a bar that begins at `begin`, and what accents add."""
    for step, character in enumerate(rhythm):
        if character != ".":
            yield begin + step * SIXTEENTH, ACCENT if character == "X" else 0


def _tones(strokes: Iterable[Stroke], quarter: float, style: Style, chance: random.Random) -> Iterator[Tone]:
    """The strokes that fall into the clip, swung, and as loose as the style plays;  quarter : seconds."""
    for start, length, pitch, loudness in strokes:
        swung = style.swing if abs(start % 1 - 0.5) < 0.01 else 0.0
        seconds = max(0.0, (start + swung) * quarter + chance.gauss(0, style.looseness))
        velocity = min(127, max(1, round(loudness + chance.gauss(0, 4))))
        if seconds < SECONDS:
            while not LOWEST_PITCH <= pitch <= HIGHEST_PITCH:
                pitch += 12 if pitch < LOWEST_PITCH else -12
            yield Tone(seconds, min(length * quarter, SECONDS - seconds), pitch, velocity)
