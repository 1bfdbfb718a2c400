"""Decode audio files: sample rate, duration, and blocks of mono float32 samples.

libsndfile decodes WAV, AIFF, FLAC, Ogg, Opus and MP3; FFmpeg (by PyAV) decodes MP4 and AAC, and what libsndfile cannot open or
whose length it misjudges. The content decides, never the file's name. Blocks have a fixed size, so that memory does not grow
with the file. The decoders are imported when first used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from batch.audio.by_ffmpeg import by_ffmpeg
from batch.audio.by_libsndfile import OtherDecoderNeeded, by_libsndfile
from batch.audio.containers import container
from batch.audio.mpeg_frames import mpeg_frames
from batch.audio.recording import BLOCK_SAMPLES, Part, Recording, UnreadableAudio

__all__ = ["BLOCK_SAMPLES", "DECODER_VERSION", "Part", "Recording", "UnreadableAudio", "audible", "recording"]

DECODER_VERSION = 2
"""To be changed whenever files that were rejected can be read: `extract` then tries those again."""

MIN_MPEG_SHARE = 0.9
"""A file that begins with something else is an MP3 where frames are this share of its bytes, as behind a tag's stray zeros."""

Result = TypeVar("Result")


@contextmanager
def recording(path: Path, middle_s: float | None) -> Iterator[Recording]:
    """Opens an audio file.

    middle_s : seconds around the file's middle to read; None: all of it
    Raises UnreadableAudio here or while its blocks are read; OSError where the file itself cannot be opened.
    """
    with _opened(path, Part(middle_s)) as file:
        yield file


def audible(path: Path, middle_s: float | None, use: Callable[[Recording], Result]) -> tuple[Result, float]:
    """What `use` makes of a file's middle, and the length of the whole file in seconds.

    middle_s : as for `recording`
    use : reads all blocks; called again with the loudest channel where the channels cancel out, and with the part around the
        loudest `middle_s` seconds where it finds the middle silent
    Raises UnreadableAudio, OSError.
    """
    part, searched = Part(middle_s), False
    while True:
        with _opened(path, part) as file:
            try:
                result = use(file)
                error = None
            except UnreadableAudio as failure:
                error = failure
            channel = file.downmix.loudest_of_cancelling
            duration_s = file.duration_s
        if channel is not None and (error is None or error.reason == "silent"):
            part = replace(part, channel=channel)
        elif error is None:
            return result, duration_s
        elif error.reason != "silent" or searched or middle_s is None or duration_s <= middle_s:
            raise error
        else:
            part, searched = _loudest(path, middle_s), True


@contextmanager
def _opened(path: Path, part: Part) -> Iterator[Recording]:
    kind = container(path)
    if not kind and path.stat().st_size == 0:
        raise UnreadableAudio("empty", "the file has no bytes")
    failure: OtherDecoderNeeded | None = None
    if kind not in ("mp4", "aac"):
        try:
            with by_libsndfile(path, part) as file:
                yield file
                return
        except OtherDecoderNeeded as error:
            failure = error
    if not kind and failure is not None:
        frames = mpeg_frames(path)
        if frames is None or frames.share < MIN_MPEG_SHARE:
            raise UnreadableAudio(*failure.args) from failure
        kind = "mp3"
    with by_ffmpeg(path, kind, part) as file:
        yield file


def _loudest(path: Path, seconds: float) -> Part:
    """The loudest `seconds` of a file, to the second.  Raises UnreadableAudio, OSError."""
    import numpy as np

    def energies(file: Recording) -> list[float]:
        by_second: list[float] = []
        rest = np.empty(0, dtype=np.float32)
        for block in file.blocks:
            signal = np.concatenate([rest, block])
            whole = len(signal) // file.rate
            rows = signal[: whole * file.rate].reshape(whole, file.rate)
            by_second += np.einsum("ij,ij->i", rows, rows, dtype=np.float64).tolist()
            rest = signal[whole * file.rate :]
        return by_second

    part = Part(None, start_s=0.0)
    with _opened(path, part) as file:
        by_second = energies(file)
        channel = file.downmix.loudest_of_cancelling
    if channel is not None:
        with _opened(path, replace(part, channel=channel)) as file:
            by_second = energies(file)
    window = min(len(by_second), max(1, round(seconds)))
    totals = np.convolve(by_second, np.ones(window), mode="valid")
    return Part(seconds, float(totals.argmax()) if len(totals) else 0.0, channel)
