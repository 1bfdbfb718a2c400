"""Decode MP4 and AAC by FFmpeg (PyAV), and whatever libsndfile cannot read or misjudges."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch.audio.containers import is_cut_within_page
from batch.audio.recording import (
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

_SEEKABLE = ("mp4", "aac")
"""Containers in which FFmpeg goes to a time exactly; in the others all before the part is decoded, too."""
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,aac,ogg,flac,wav,aiff,mp3"


@contextmanager
def by_ffmpeg(path: Path, container: str, part: Part) -> Iterator[Recording]:
    """Opens a file.  container : its name as in batch.audio.containers.  Raises UnreadableAudio."""
    import av

    with _opened(path, container) as file:
        stream = file.streams.audio[0]
        rate = int(stream.codec_context.sample_rate or 0)
        is_exact = container == "mp4"  # the others declare no length; FFmpeg estimates it
        declared_s = float((stream.duration or 0) * (stream.time_base or 0)) if is_exact else 0.0
        check_limits(rate, declared_s, part)
        duration_s, error = _counted(file, stream)
        if error is not None and (is_exact or not duration_s):
            raise UnreadableAudio("damaged", f"FFmpeg: {_error_text(error)}") from error
        if duration_s < MIN_DECODED_SHARE * declared_s:
            raise truncated(declared_s, duration_s)
        if container == "ogg" and is_cut_within_page(path):
            raise UnreadableAudio("truncated", "the file breaks off within an Ogg page")
        if duration_s == 0:
            raise UnreadableAudio("no samples", "the header promises audio, but there is none")
        check_limits(rate, duration_s, part)
        downmix = Downmix(part.channel)
        if container in _SEEKABLE:
            try:
                file.seek(0)
            except av.FFmpegError as error:
                raise UnreadableAudio("damaged", f"FFmpeg: {_error_text(error)}") from error
            yield Recording(rate, duration_s, _blocks(file, stream, duration_s, part, downmix), downmix)
            return
    # Opened anew: time 0 of a chained Ogg or of joined MP3s is the beginning of the last of them, too.
    with _opened(path, container) as file:
        yield Recording(rate, duration_s, _blocks(file, file.streams.audio[0], duration_s, part, downmix), downmix)


@contextmanager
def _opened(path: Path, container: str) -> Iterator[Any]:
    """FFmpeg's container, with an audio stream.  Raises UnreadableAudio."""
    import av

    av.logging.set_level(None)
    try:
        # Without these limits a file, such as a playlist, could name other files or addresses that FFmpeg would open.
        limits = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
        file = av.open(os.fspath(path), format=container, options=limits)
    except (av.FFmpegError, ValueError) as error:
        raise UnreadableAudio("not audio", f"FFmpeg: {_error_text(error)}") from error
    with file:
        if not file.streams.audio:
            raise UnreadableAudio("not audio", "the file has no audio stream")
        yield file


def _counted(file: Any, stream: Any) -> tuple[float, Exception | None]:
    """(length of all packets in s, what ended the count before the end)"""
    import av

    units = 0
    try:
        for packet in file.demux(stream):
            units += packet.duration or 0
    except (av.FFmpegError, ValueError) as error:
        return float(units * (stream.time_base or 0)), error
    return float(units * (stream.time_base or 0)), None


def _blocks(file: Any, stream: Any, duration_s: float, part: Part, downmix: Downmix) -> Iterator[NDArray[np.float32]]:
    """The part of the stream, mono, at its first rate."""
    import numpy as np

    rate = int(stream.codec_context.sample_rate)
    wanted_s = duration_s if part.seconds is None else min(duration_s, part.seconds)
    middle_s = (duration_s - wanted_s) / 2
    start_s = middle_s if part.start_s is None else min(part.start_s, duration_s - wanted_s)
    wanted, decoded, position = round(wanted_s * rate), 0, 0
    is_sought = bool(start_s) and file.format.name.startswith(_SEEKABLE)
    errors: list[str] = []
    if is_sought:
        # AAC frames overlap: the first after a seek are incomplete, so the decoder starts a little earlier
        file.seek(int(max(0.0, start_s - 0.5) / stream.time_base), stream=stream)
    for time_s, samples in _samples(file, stream, rate, errors):
        # after a seek the time tells where the samples belong, else their number: joined files begin again at 0
        offset = round((time_s - start_s) * rate) if is_sought else position - round(start_s * rate)
        position += len(samples)
        samples = samples.astype(np.float32, copy=False)[max(0, -offset) :][: wanted - decoded]
        if len(samples):
            decoded += len(samples)
            yield downmix(samples)
        if decoded >= wanted:
            return
    if decoded == 0 and not errors:
        raise UnreadableAudio("no samples", "the header promises audio, but none could be decoded")
    if decoded < MIN_DECODED_SHARE * wanted:
        if errors:
            raise UnreadableAudio("damaged", f"FFmpeg: {errors[0]}; {decoded / rate:.1f} s could be decoded")
        raise UnreadableAudio("truncated", f"{wanted_s:.1f} s promised, {decoded / rate:.1f} s could be decoded")


def _samples(file: Any, stream: Any, rate: int, errors: list[str]) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """(time in s, samples [shape=(n, channels)]) of each frame, at one rate; packets that cannot be decoded are left out.

    errors : gets what was wrong with those
    """
    import av

    resampler_by_kind: dict[tuple[str, str, int], Any] = {}
    packets = file.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (av.FFmpegError, ValueError) as error:
            errors.append(_error_text(error))
            return
        try:
            for frame in packet.decode():
                kind = (frame.format.name, frame.layout.name, frame.sample_rate)
                if kind not in resampler_by_kind:
                    resampler_by_kind[kind] = av.AudioResampler(format="fltp", layout=frame.layout, rate=rate)
                for converted in resampler_by_kind[kind].resample(frame):
                    yield float(frame.time or 0.0), converted.to_ndarray().T
        except (av.FFmpegError, ValueError) as error:
            errors.append(_error_text(error))


def _error_text(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
