"""A track becomes a file: its voices a MIDI file, that a sound, that a tagged MP3.

The instruments are TimGM6mb.sf2, a General MIDI sound font that the package pretty_midi carries; the package itself is
not imported, which would take longer than rendering a track.
"""

import io
import wave
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lameenc
import midirenderer
import mido
import mutagen.id3
import numpy as np
from numpy.typing import NDArray

from local.sample_library.arrangement import SECONDS, Voice, arrangement
from local.sample_library.plan import Track, partial
from local.sample_library.scores import score

YEAR = "2026"  # of the rendering; the works are older
LICENCE = "CC0 1.0 (public-domain score, generated performance)"
LICENCE_ADDRESS = "https://creativecommons.org/publicdomain/zero/1.0/"

TICKS_PER_SECOND = 960  # MIDI's default tempo, 120 quarter notes a minute, at 480 ticks each
DRUM_CHANNEL = 9
# MIDI controllers
VOLUME_CONTROLLER = 7
PAN_CONTROLLER = 10
REVERB_CONTROLLER = 91
CHORUS_CONTROLLER = 93

LOUDNESS = 0.14  # root mean square before rounding off
PEAK = 0.89  # of full scale: -1 dB, room for what the encoder adds
FADE_IN_S = 0.005
FADE_OUT_S = 1.5
KILOBITS = 128
ENCODER_QUALITY = 5  # of LAME's 0 (slowest) to 9; 2 takes twice as long

Sound = NDArray[np.float32]

_id3: Any = mutagen.id3  # which declares only some of its types


class SoundFontMissing(FileNotFoundError):
    """pretty_midi, which carries the sound font, is not installed."""


def render_track(track: Track, file: Path) -> None:
    """Write a track's file, whole or not at all."""
    seed = f"{track.style.name}/{track.piece.title}"
    tempo = track.piece.tempo or track.artist.tempo
    voices = arrangement(score(track.piece), track.style, track.artist, tempo=tempo, seed=seed)
    encoded = tagged(mp3(*sound(midi(voices))), track)
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = partial(file)
    unfinished.write_bytes(encoded)
    unfinished.replace(file)


def midi(voices: list[Voice]) -> bytes:
    """A MIDI file of SECONDS, a channel a voice."""
    track = mido.MidiTrack()
    events: list[tuple[int, bool, int, int, int]] = []
    free = (channel for channel in range(16) if channel != DRUM_CHANNEL)
    for voice in voices:
        channel = DRUM_CHANNEL if voice.is_drums else next(free)
        track.append(mido.Message("program_change", channel=channel, program=voice.program))
        for control, value in (
            (VOLUME_CONTROLLER, 100),
            (PAN_CONTROLLER, voice.pan),
            (REVERB_CONTROLLER, voice.reverb),
            (CHORUS_CONTROLLER, voice.chorus),
        ):
            track.append(mido.Message("control_change", channel=channel, control=control, value=value))
        for tone in voice.tones:
            begin, end = (round(second * TICKS_PER_SECOND) for second in (tone.start, tone.start + tone.length))
            events.append((begin, True, channel, tone.pitch, tone.velocity))
            events.append((max(end, begin + 1), False, channel, tone.pitch, 0))
    now = 0
    # False sorts before True: at the same tick a note ends before it is struck again.
    for tick, is_struck, channel, pitch, velocity in sorted(events):
        kind = "note_on" if is_struck else "note_off"
        track.append(mido.Message(kind, channel=channel, note=pitch, velocity=velocity, time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=max(0, round(SECONDS * TICKS_PER_SECOND) - now)))
    file = io.BytesIO()
    mido.MidiFile(ticks_per_beat=TICKS_PER_SECOND // 2, tracks=[track]).save(file=file)
    return file.getvalue()


def sound(midi_file: bytes) -> tuple[Sound, int]:
    """float32 [shape=(n, 2)] in [-PEAK, PEAK], SECONDS long and faded, and its sample rate in Hz."""
    with wave.open(io.BytesIO(midirenderer.render_wave_from(_sound_font(), midi_file))) as rendered:
        rate, channels = rendered.getframerate(), rendered.getnchannels()
        samples = np.frombuffer(rendered.readframes(rendered.getnframes()), dtype="<i2")
    y = np.zeros((round(SECONDS * rate), channels), dtype=np.float32)
    heard = samples.reshape(-1, channels)[: len(y)]
    y[: len(heard)] = heard
    # All tracks equally loud; peaks, mostly of drums, that would exceed full scale are limited by tanh.
    level = float(np.sqrt(np.mean(np.square(y))))
    y = np.tanh(y * np.float32(LOUDNESS / max(1.0, level))) * np.float32(PEAK)
    fade_in, fade_out = round(FADE_IN_S * rate), round(FADE_OUT_S * rate)
    y[:fade_in] *= np.linspace(0, 1, fade_in, dtype=np.float32)[:, np.newaxis]
    y[-fade_out:] *= np.linspace(1, 0, fade_out, dtype=np.float32)[:, np.newaxis]
    return y, rate


def mp3(y: Sound, rate: int) -> bytes:
    """The sound as an MP3 of KILOBITS a second."""
    # soundfile writes MP3 too, but takes 2.5 times as long, and its OGG has a random serial number in every file.
    encoder = lameenc.Encoder()
    encoder.set_bit_rate(KILOBITS)
    encoder.set_in_sample_rate(rate)
    encoder.set_channels(y.shape[1])
    encoder.set_quality(ENCODER_QUALITY)
    return bytes(encoder.encode((y * 32767).astype("<i2").tobytes())) + bytes(encoder.flush())


def tagged(encoded: bytes, track: Track) -> bytes:
    """The MP3 with ID3 tags that say what it is, and that it is generated, not a recording of musicians."""
    piece = track.piece
    comment = (
        f"Generated by Overtone, not a recording of musicians: {piece.title} from {piece.source}, as encoded in "
        f"music21's corpus ({piece.file}), arranged by rule and rendered with the TimGM6mb sound font."
    )
    texts = {
        "TIT2": piece.title,
        "TCOM": piece.composer,
        "TPE1": track.artist.name,
        "TPE2": track.artist.name,
        "TALB": track.album,
        "TCON": track.style.name,
        "TDRC": YEAR,
        "TRCK": str(track.number),
        "TCOP": LICENCE,
    }
    tags = _id3.ID3()
    for frame, text in texts.items():
        tags.add(getattr(_id3, frame)(encoding=_id3.Encoding.UTF8, text=text))
    tags.add(_id3.WCOP(url=LICENCE_ADDRESS))
    tags.add(_id3.COMM(encoding=_id3.Encoding.UTF8, lang="eng", desc="", text=comment))
    file = io.BytesIO(encoded)
    tags.save(file)
    return file.getvalue()


@cache
def _sound_font() -> bytes:
    spec = find_spec("pretty_midi")
    if spec is None or not spec.submodule_search_locations:
        raise SoundFontMissing("The package pretty_midi is not installed; its TimGM6mb.sf2 has all the instruments")
    return (Path(spec.submodule_search_locations[0]) / "TimGM6mb.sf2").read_bytes()
