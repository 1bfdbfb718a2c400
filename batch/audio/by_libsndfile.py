"""Decode WAV, AIFF, FLAC, Ogg, Opus and MP3 by libsndfile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch.audio.containers import declared_s, has_end_mark, is_chained, is_cut_within_page
from batch.audio.mpeg_frames import mpeg_frames
from batch.audio.recording import (
    BLOCK_SAMPLES,
    MIN_DECODED_SHARE,
    Downmix,
    Part,
    Recording,
    UnreadableAudio,
    check_limits,
    truncated,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MPEG_TOLERANCE_S = 0.3
MPEG_TOLERANCE_SHARE = 0.01
"""An MP3's frames may add up to another length than its header says by the larger of both."""


class OtherDecoderNeeded(Exception):
    """libsndfile cannot open the file, or is wrong about its length."""


@contextmanager
def by_libsndfile(path: Path, part: Part) -> Iterator[Recording]:
    """Opens a file. Raises UnreadableAudio, OtherDecoderNeeded, OSError."""
    import soundfile

    # A descriptor, since libsndfile takes names of less than 1,024 bytes only; it closes it, also where it fails.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        file = soundfile.SoundFile(descriptor, closefd=True)
    except soundfile.LibsndfileError as error:
        is_unrecognised = error.code in (1, 2, 7)
        detail = "no decoder knows the content" if is_unrecognised else error.error_string
        raise OtherDecoderNeeded("not audio", detail) from error
    except (RuntimeError, MemoryError) as error:
        raise OtherDecoderNeeded("not audio", f"the decoder failed: {error}") from error
    with file:
        _check_length(path, file, part)
        first, count = part.frames(file.frames, file.samplerate)
        downmix = Downmix(part.channel)
        yield Recording(file.samplerate, file.frames / file.samplerate, _blocks(file, first, count, downmix), downmix)


def _check_length(path: Path, file: Any, part: Part) -> None:
    """Raises UnreadableAudio where the file is cut short, OtherDecoderNeeded where libsndfile's length is not the file's."""
    duration_s = file.frames / file.samplerate
    is_pcm = file.format in ("WAV", "WAVEX", "RF64", "W64", "AIFF") and file.subtype != "MPEG_LAYER_III"
    if file.frames <= 0 or (not is_pcm and (duration_s > part.longest_s or file.format in ("WAV", "WAVEX"))):
        raise OtherDecoderNeeded("no samples", "the header promises audio, but there is none")
    check_limits(file.samplerate, duration_s, part)
    if is_pcm:
        in_header_s = declared_s(path, file.samplerate * file.channels)
        if in_header_s and duration_s < MIN_DECODED_SHARE * in_header_s:
            raise truncated(in_header_s, duration_s)
    elif file.format == "OGG":
        if is_cut_within_page(path):
            raise UnreadableAudio("truncated", "the file breaks off within an Ogg page")
        if is_chained(path):
            raise OtherDecoderNeeded("damaged", "one Ogg stream follows another")
        if file.subtype == "OPUS" and not has_end_mark(path):  # libsndfile fails in the last page then
            raise OtherDecoderNeeded("damaged", "the last Ogg page is not marked as such")
    elif file.format == "MP3" and (frames := mpeg_frames(path)) is not None:
        tolerance_s = max(MPEG_TOLERANCE_S, MPEG_TOLERANCE_SHARE * duration_s)
        is_cut = frames.has_header and not frames.is_whole  # without a header, the length is an estimate
        if is_cut and frames.seconds < MIN_DECODED_SHARE * duration_s:
            raise truncated(duration_s, frames.seconds)
        if not frames.is_uniform or abs(frames.seconds - duration_s) > tolerance_s:
            raise OtherDecoderNeeded("damaged", "its frames are not as its header says")


def _blocks(file: Any, first: int, count: int, downmix: Downmix) -> Iterator[NDArray[np.float32]]:
    """`count` frames from `first` on, mono."""
    import soundfile

    _move(file, first)
    block_frames, decoded = max(1, BLOCK_SAMPLES // file.channels), 0
    while decoded < count:
        try:
            samples = file.read(min(block_frames, count - decoded), dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            _check_end(file)
            position_s = decoded / file.samplerate
            raise UnreadableAudio(
                "damaged", f"the decoder stops {position_s:.1f} s into the part that is read: {error}"
            ) from error
        if len(samples) == 0:
            break
        decoded += len(samples)
        yield downmix(samples)
    if decoded == 0:
        raise UnreadableAudio("no samples", "the header promises audio, but none could be decoded")
    if decoded < MIN_DECODED_SHARE * count:
        wanted_s, decoded_s = count / file.samplerate, decoded / file.samplerate
        raise UnreadableAudio("truncated", f"{wanted_s:.1f} s promised, {decoded_s:.1f} s could be decoded")
    if count < file.frames:  # at the end, since an MP3 decodes slightly differently after a second seek
        _check_end(file, first + decoded)


def _move(file: Any, frame: int, position: int = 0) -> None:
    """Goes to a frame; where the codec cannot seek (GSM 06.10, G.721), decodes up to there.  position : where the file is"""
    import soundfile

    if frame == position:
        return
    try:
        file.seek(frame)
    except (soundfile.LibsndfileError, RuntimeError):
        block_frames = max(1, BLOCK_SAMPLES // file.channels)
        while position < frame and len(samples := file.read(min(block_frames, frame - position), dtype="float32")):
            position += len(samples)


def _check_end(file: Any, position: int = 0) -> None:
    """Raises UnreadableAudio where no sample can be decoded at 90 % of the declared length.

    position : up to which the file was decoded; beyond the 90 % it may be at the end, which some MP3s declare too late
    """
    import soundfile

    end = int(MIN_DECODED_SHARE * file.frames)
    if position >= end:
        return
    try:
        _move(file, end, position)
        is_reached = len(file.read(64)) > 0
    except (soundfile.LibsndfileError, RuntimeError):
        is_reached = False
    if not is_reached:
        length_s = file.frames / file.samplerate
        raise UnreadableAudio(
            "truncated", f"the file ends before {MIN_DECODED_SHARE:.0%} of the {length_s:.1f} s its header promises"
        )
