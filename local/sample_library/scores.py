"""A piece as numbers: which pitch sounds from when to when, counted in quarter notes.

music21 reads the notation. It is handed only what is needed (one tune of a book, the first bars of a movement), and
called below its `converter`, which would leave caches in the user's folders.
"""

import math
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree

from music21 import abcFormat, key, meter, stream
from music21.abcFormat import translate
from music21.musicxml import xmlToM21

from local.sample_library.pieces import Piece, corpus, tune_texts

# Enough for 30 s of the quickest movement; reading on would only cost time.
MOST_BARS = 48

# music21 declares no types for its two parsers.
_parse_abc: Any = translate.abcToStreamScore
_music_xml_importer: Any = xmlToM21.MusicXMLImporter

Element = TypeVar("Element", meter.TimeSignature, key.KeySignature)


class NotPublicDomain(ValueError):
    """The score's own text claims rights in it."""


class NothingToPlay(ValueError):
    """The score could be read, but there is no note in it."""


@dataclass(frozen=True, order=True)
class Note:
    """`start` and `length` in quarter notes, `pitch` as a MIDI number (60 is middle C)."""

    start: float
    length: float
    pitch: int


@dataclass(frozen=True)
class Score:
    """Parts, each in order of time; 0 is the first bar line, and an upbeat starts before it.

    bar, length : quarter notes in a bar, and in the whole, which is whole bars
    scale : seven pitch classes, the key note first
    """

    parts: tuple[tuple[Note, ...], ...]
    bar: float
    length: float
    scale: tuple[int, ...]


def score(piece: Piece) -> Score:
    """The notes of a piece."""
    file = corpus() / piece.file
    read = _from_abc(tune_texts(file)[piece.position]) if file.suffix == ".abc" else _from_music_xml(file)
    bar = float(_first(read, meter.TimeSignature("4/4")).barDuration.quarterLength)
    starts = _starts(read.parts[0], bar)
    parts = [part for part in (_notes(part, starts) for part in read.parts) if part]
    if not parts:
        raise NothingToPlay(f"{piece.file} (tune {piece.position}) has no notes")
    # A tune in two-four becomes four-four, so that one groove fits both.
    unit = 2.0 if bar == 2 and file.suffix == ".abc" else 1.0
    end = max(note.start + note.length for part in parts for note in part)
    return Score(
        parts=tuple(tuple(Note(n.start * unit, n.length * unit, n.pitch) for n in part) for part in parts),
        bar=bar * unit,
        length=max(1, math.ceil(end / bar - 0.01)) * bar * unit,
        scale=_scale(_first(read, key.KeySignature(0))),
    )


def _from_abc(text: str) -> stream.Score:
    handler = abcFormat.ABCHandler()
    handler.process(text)
    parsed: stream.Score = _parse_abc(handler)
    return parsed


def _from_music_xml(file: Path) -> stream.Score:
    """The first bars of a compressed MusicXML file. Raises NotPublicDomain where its text claims rights."""
    with zipfile.ZipFile(file) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".xml") and not name.startswith("META-INF"))
        root = ElementTree.fromstring(archive.read(name))
    texts = [element.text or "" for tag in ("rights", "credit-words") for element in root.iter(tag)]
    claim = next((text for text in texts if re.search("©|copyright|licen[sc]e|reserved", text, re.IGNORECASE)), None)
    if claim is not None:
        raise NotPublicDomain(f"{file.name} says {claim.strip()!r}, and only public-domain scores are rendered")
    for part in root.iter("part"):
        for measure in part.findall("measure")[MOST_BARS:]:
            part.remove(measure)
    parsed: stream.Score = _music_xml_importer().xmlRootToScore(root)
    return parsed


def _starts(part: stream.Part, bar: float) -> list[float]:
    """Where each measure begins, in quarter notes from the first bar line; an upbeat begins before it.

    Where a section ends on a short bar without an upbeat after it, the following bar waits for the bar line.
    """
    starts: list[float] = []
    now = 0.0
    for measure in part.getElementsByClass(stream.Measure):
        length = float(measure.duration.quarterLength)
        if not starts and length < bar:
            now = -length
        elif length >= bar:
            now = math.ceil(now / bar - 0.01) * bar
        starts.append(now)
        now += length
    return starts


def _notes(part: stream.Part, starts: list[float]) -> tuple[Note, ...]:
    """The notes of a part whose measures begin at `starts`, tied ones as one, grace notes (of no length) left out."""
    notes: list[Note] = []
    tied: dict[int, int] = {}  # index in `notes` of a tied note that goes on, by its pitch
    for measure, start in zip(part.getElementsByClass(stream.Measure), starts, strict=False):
        for sounding in measure.flatten().notes:
            begin, length = start + float(sounding.offset), float(sounding.quarterLength)
            tie = sounding.tie.type if sounding.tie is not None else None
            for pitch in sounding.pitches if length else ():
                held = tied.pop(pitch.midi, None) if tie in ("stop", "continue") else None
                if held is None:
                    held = len(notes)
                    notes.append(Note(begin, length, pitch.midi))
                else:
                    notes[held] = Note(notes[held].start, begin + length - notes[held].start, pitch.midi)
                if tie in ("start", "continue"):
                    tied[pitch.midi] = held
    return tuple(sorted(notes))


def _first(read: stream.Score, default: Element) -> Element:
    """The first object of that class in the score."""
    return next(iter(read.recurse().getElementsByClass(type(default))), default)


def _scale(signature: key.KeySignature) -> tuple[int, ...]:
    named = signature if isinstance(signature, key.Key) else signature.asKey()
    return tuple(pitch.pitchClass for pitch in named.pitches[:7])
