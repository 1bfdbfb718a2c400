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
from batch.audio.by_libsndfile import DecodingEnded, OtherDecoderNeeded, by_libsndfile
from batch.audio.containers import container
from batch.audio.mpeg_frames import mpeg_frames
from batch.audio.recording import BLOCK_SAMPLES, Part, Recording, UnreadableAudio

__all__ = ["BLOCK_SAMPLES", "DECODER_VERSION", "Part", "Recording", "UnreadableAudio", "audible"]

DECODER_VERSION = 3
"""To be changed whenever files that were rejected can be read: `extract` then tries those again."""

MIN_MPEG_SHARE = 0.9
"""A file that begins with something else is an MP3 where frames are this share of its bytes, as behind a tag's stray zeros."""

_DECODING_REASONS = frozenset({"damaged", "truncated", "no samples", "not audio"})
"""Why a decoder stops; others are about the signal."""

Result = TypeVar("Result")


def audible(path: Path, middle_s: float | None, use: Callable[[Recording], Result]) -> tuple[Result, float]:
    """What `use` makes of a file's middle, and the length of the whole file in seconds.

    middle_s : seconds around the file's middle to read; None: all of it
    use : reads all blocks; called again with FFmpeg's where libsndfile does not get to the end, with the loudest channel where
        the channels cancel out, and with the part around the loudest `middle_s` seconds where it finds the middle silent
    Raises UnreadableAudio; OSError where the file itself cannot be opened.
    """
    part, searched = Part(middle_s), False
    ended: DecodingEnded | None = None
    while True:
        error: UnreadableAudio | None = None
        try:
            with _opened(path, part, ended) as file:
                try:
                    result = use(file)
                except UnreadableAudio as failure:
                    error = failure
                channel = file.downmix.loudest_of_cancelling
                duration_s = file.duration_s
        except UnreadableAudio as failure:
            raise (ended or failure) from failure
        if isinstance(error, DecodingEnded):
            ended = error
            continue
        if ended is not None and error is not None and error.reason in _DECODING_REASONS:
            raise ended from error
        if channel is not None and (error is None or error.reason == "silent"):
            part = replace(part, channel=channel)
        elif error is None:
            return result, duration_s
        elif error.reason != "silent" or searched or middle_s is None or duration_s <= middle_s:
            raise error
        else:
            part, searched = _loudest(path, middle_s, ended), True


@contextmanager
def _opened(path: Path, part: Part, ended: DecodingEnded | None = None) -> Iterator[Recording]:
    """Opens a file by the decoder that reads it.  ended : what ended libsndfile's decoding; None: nothing did"""
    kind = container(path)
    if not kind and path.stat().st_size == 0:
        raise UnreadableAudio("empty", "the file has no bytes")
    failure: OtherDecoderNeeded | None = None
    if kind not in ("mp4", "aac") and ended is None:
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
    with by_ffmpeg(path, kind, part, ended.declared_s if ended is not None else 0.0) as file:
        yield file


def _loudest(path: Path, seconds: float, ended: DecodingEnded | None) -> Part:
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
    with _opened(path, part, ended) as file:
        by_second = energies(file)
        channel = file.downmix.loudest_of_cancelling
    if channel is not None:
        with _opened(path, replace(part, channel=channel), ended) as file:
            by_second = energies(file)
    window = min(len(by_second), max(1, round(seconds)))
    totals = np.convolve(by_second, np.ones(window), mode="valid")
    return Part(seconds, float(totals.argmax()) if len(totals) else 0.0, channel)
