"""Decode WAV, AIFF, FLAC, Ogg, Opus and MP3 by libsndfile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch.audio.containers import declared_s
from batch.audio.flac_frames import flac_end, joined_files
from batch.audio.mpeg_frames import mpeg_frames
from batch.audio.ogg_pages import has_end_mark, is_cut_within_page, links
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

FRAMES_TOLERANCE_S = 0.3
FRAMES_TOLERANCE_SHARE = 0.01
"""The frames of an MP3 or FLAC may add up to another length than its header says by the larger of both."""

_DECODER_ERRORS = (RuntimeError, ValueError)
"""What soundfile raises: LibsndfileError, and ValueError where libsndfile returns a negative number of frames."""


class OtherDecoderNeeded(Exception):
    """libsndfile cannot open the file, or is wrong about its length."""


class DecodingEnded(UnreadableAudio):
    """libsndfile does not get to the end of what it reads; FFmpeg, which passes over what it cannot decode, may.

    declared_s : the length that the header promises
    """

    declared_s = 0.0

    @classmethod
    def in_file(cls, file: Any, reason: str, detail: str) -> DecodingEnded:
        error = cls(reason, detail)
        error.declared_s = file.frames / file.samplerate
        return error


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
        rate, blocks = file.samplerate, _blocks(file, first, count, downmix)
        other_part = partial(_other_part, file, part.channel)
        yield Recording(rate, file.frames / rate, blocks, downmix, first / rate, other_part)


def _check_length(path: Path, file: Any, part: Part) -> None:
    """Raises UnreadableAudio where the file is cut short, OtherDecoderNeeded where libsndfile's length is not the file's."""
    duration_s = file.frames / file.samplerate
    is_pcm = file.format in ("WAV", "WAVEX", "RF64", "W64", "AIFF") and file.subtype != "MPEG_LAYER_III"
    if file.frames <= 0 or (not is_pcm and (duration_s > part.longest_s or file.format in ("WAV", "WAVEX"))):
        raise OtherDecoderNeeded("no samples", "the header promises audio, but there is none")
    check_limits(file.samplerate, duration_s, part)
    tolerance_s = max(FRAMES_TOLERANCE_S, FRAMES_TOLERANCE_SHARE * duration_s)
    if is_pcm:
        in_header_s = declared_s(path, file.samplerate * file.channels)
        if in_header_s and duration_s < MIN_DECODED_SHARE * in_header_s:
            raise truncated(in_header_s, duration_s)
    elif file.format == "OGG":
        if is_cut_within_page(path):
            raise UnreadableAudio("truncated", "the file breaks off within an Ogg page")
        if len(links(path)) > 1:
            raise OtherDecoderNeeded("damaged", "one Ogg stream follows another")
        if file.subtype == "OPUS" and not has_end_mark(path):  # libsndfile fails in the last page then
            raise OtherDecoderNeeded("damaged", "the last Ogg page is not marked as such")
    elif file.format == "FLAC" and (end := flac_end(path)) is not None:
        held_s = end.samples / file.samplerate
        if abs(held_s - duration_s) <= tolerance_s:
            # joined files of one length: the last frame has the number that the first header promises
            if len(joined_files(path)) > 1:
                raise OtherDecoderNeeded("damaged", "one FLAC follows another")
            return
        if held_s < MIN_DECODED_SHARE * duration_s and not end.is_whole:
            raise truncated(duration_s, held_s)
        raise OtherDecoderNeeded("damaged", "its frames are not as its header says")
    elif file.format == "MP3" and (frames := mpeg_frames(path)) is not None:
        is_cut = frames.has_header and not frames.is_whole  # without a header, the length is an estimate
        if is_cut and frames.seconds < MIN_DECODED_SHARE * duration_s:
            raise truncated(duration_s, frames.seconds)
        if not frames.is_uniform or abs(frames.seconds - duration_s) > tolerance_s:
            raise OtherDecoderNeeded("damaged", "its frames are not as its header says")


def _blocks(file: Any, first: int, count: int, downmix: Downmix) -> Iterator[NDArray[np.float32]]:
    """`count` frames from `first` on, mono.  Raises DecodingEnded."""
    block_frames, decoded = max(1, BLOCK_SAMPLES // file.channels), 0
    try:
        _move(file, first)
        while decoded < count:
            samples = file.read(min(block_frames, count - decoded), dtype="float32", always_2d=True)
            if len(samples) == 0:
                break
            decoded += len(samples)
            yield downmix(samples)
    except _DECODER_ERRORS as error:
        _check_end(file)
        position_s = decoded / file.samplerate
        detail = f"the decoder stops {position_s:.1f} s into the part that is read: {error}"
        raise DecodingEnded.in_file(file, "damaged", detail) from error
    if decoded == 0:
        raise DecodingEnded.in_file(file, "no samples", "the header promises audio, but none could be decoded")
    if decoded < MIN_DECODED_SHARE * count:
        wanted_s, decoded_s = count / file.samplerate, decoded / file.samplerate
        raise DecodingEnded.in_file(file, "truncated", f"{wanted_s:.1f} s promised, {decoded_s:.1f} s could be decoded")
    if count < file.frames:  # at the end, since an MP3 decodes slightly differently after a second seek
        _check_end(file, first + decoded)


def _other_part(file: Any, channel: int | None, start_s: float, seconds: float) -> NDArray[np.float32]:
    """Mono samples of a part of the file; fewer or none where they cannot be decoded, or the codec cannot seek."""
    import numpy as np

    try:
        file.seek(min(file.frames, int(start_s * file.samplerate)))
        samples = file.read(int(seconds * file.samplerate), dtype="float32", always_2d=True)
    except _DECODER_ERRORS:
        return np.empty(0, dtype=np.float32)
    return Downmix(channel)(samples)


def _move(file: Any, frame: int, position: int = 0) -> None:
    """Goes to a frame; where the codec cannot seek (GSM 06.10, G.721), decodes up to there.  position : where the file is"""
    if frame == position:
        return
    try:
        file.seek(frame)
    except RuntimeError:
        block_frames = max(1, BLOCK_SAMPLES // file.channels)
        while position < frame and len(samples := file.read(min(block_frames, frame - position), dtype="float32")):
            position += len(samples)


def _check_end(file: Any, position: int = 0) -> None:
    """Raises DecodingEnded where no sample can be decoded at 90 % of the declared length.

    position : up to which the file was decoded; beyond the 90 % it may be at the end, which some MP3s declare too late
    """
    end = int(MIN_DECODED_SHARE * file.frames)
    if position >= end:
        return
    try:
        _move(file, end, position)
        is_reached = len(file.read(64)) > 0
    except _DECODER_ERRORS:
        is_reached = False
    if not is_reached:
        length_s = file.frames / file.samplerate
        detail = f"the file ends before {MIN_DECODED_SHARE:.0%} of the {length_s:.1f} s its header promises"
        raise DecodingEnded.in_file(file, "truncated", detail)
