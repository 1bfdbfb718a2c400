"""Decode MP4 and AAC by FFmpeg (PyAV), and whatever libsndfile cannot read or misjudges."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch.audio.file_part import FilePart
from batch.audio.flac_frames import joined_files
from batch.audio.ogg_pages import is_cut_within_page, links
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

    Frames = Iterator[tuple[float, NDArray[np.float32]]]
    """(time in s, samples [shape=(n, channels)]) of one frame after another, at one rate."""

_SEEKABLE = ("mp4", "aac")
"""Containers in which FFmpeg goes to a time exactly; in the others all before the part is decoded, too."""
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,aac,ogg,flac,wav,aiff,mp3"


@contextmanager
def by_ffmpeg(path: Path, container: str, part: Part, declared_s: float = 0.0) -> Iterator[Recording]:
    """Opens a file.

    container : its name as in batch.audio.containers
    declared_s : the length that its header promises; 0: unknown, or not to be believed
    Raises UnreadableAudio.
    """
    if container == "ogg" and is_cut_within_page(path):
        raise UnreadableAudio("truncated", "the file breaks off within an Ogg page")
    parts = links(path) if container == "ogg" else joined_files(path) if container == "flac" else []
    if len(parts) > 1:
        yield _joined(path, container, parts, part)
        return
    with _opened(path, container) as file:
        stream = file.streams.audio[0]
        rate = int(stream.codec_context.sample_rate or 0)
        is_exact = container == "mp4"  # the others declare no length; FFmpeg estimates it
        if is_exact:
            declared_s = float((stream.duration or 0) * (stream.time_base or 0))
        check_limits(rate, declared_s, part)
        duration_s, error = _counted(file, stream)
        if error is not None and (is_exact or not duration_s):
            raise UnreadableAudio("damaged", f"FFmpeg: {_error_text(error)}") from error
        if duration_s < MIN_DECODED_SHARE * declared_s:
            raise truncated(declared_s, duration_s)
        _check_duration(rate, duration_s, part)
        if container in _SEEKABLE:
            seek = _seek_in(file, stream)
            seek(0.0)
            yield _recording(rate, duration_s, part, lambda errors: _frames(file, stream, rate, errors), seek)
            return
    # Opened anew: time 0 of joined MP3s is the beginning of the last of them, too.
    with _opened(path, container) as file:
        stream = file.streams.audio[0]
        yield _recording(rate, duration_s, part, lambda errors: _frames(file, stream, rate, errors))


def _joined(path: Path, container: str, parts: list[tuple[int, int]], part: Part) -> Recording:
    """Several files in one as one recording, at the first one's rate.  Raises UnreadableAudio.

    parts : (first byte, bytes) of each. FFmpeg stops where rate or channels change, so that each is opened as a file of its own.
    One that cannot be read is passed over.
    """
    rate, duration_s, readable, failure = 0, 0.0, list[tuple[int, int]](), UnreadableAudio("no samples", "no part")
    for start, size in parts:
        try:
            with FilePart(path, start, size) as link, _opened(link, container) as file:
                stream = file.streams.audio[0]
                link_rate = int(stream.codec_context.sample_rate or 0)
                check_limits(link_rate, 0.0, part)
                duration_s += _counted(file, stream)[0]
        except UnreadableAudio as error:
            failure = error
            continue
        rate = rate or link_rate
        readable.append((start, size))
    if not readable:
        raise failure
    _check_duration(rate, duration_s, part)

    def frames(errors: list[str]) -> Frames:
        for start, size in readable:
            with FilePart(path, start, size) as link, _opened(link, container) as file:
                yield from _frames(file, file.streams.audio[0], rate, errors)

    return _recording(rate, duration_s, part, frames)


def _check_duration(rate: int, duration_s: float, part: Part) -> None:
    """Raises UnreadableAudio where there is no sound, or too much."""
    if duration_s == 0:
        raise UnreadableAudio("no samples", "the header promises audio, but there is none")
    check_limits(rate, duration_s, part)


@contextmanager
def _opened(source: Path | FilePart, container: str) -> Iterator[Any]:
    """FFmpeg's container, with an audio stream.  Raises UnreadableAudio."""
    import av

    av.logging.set_level(None)
    try:
        # Without these limits a file, such as a playlist, could name other files or addresses that FFmpeg would open.
        limits = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
        file = av.open(os.fspath(source) if isinstance(source, Path) else source, format=container, options=limits)
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


def _recording(
    rate: int,
    duration_s: float,
    part: Part,
    frames: Callable[[list[str]], Frames],
    seek: Callable[[float], None] | None = None,
) -> Recording:
    """The part of a signal.

    frames : begins to decode; its argument gets what could not be decoded
    seek : goes to a time in s, exactly; None: all before the part is decoded, too
    """
    downmix = Downmix(part.channel)
    blocks = _blocks(rate, duration_s, part, frames, seek, downmix)

    def other_part(start_s: float, seconds: float) -> NDArray[np.float32]:
        import numpy as np

        assert seek is not None
        other = Part(seconds, start_s, part.channel)
        try:
            seek(0.0)
            return np.concatenate(list(_blocks(rate, duration_s, other, frames, seek, Downmix(part.channel))))
        except UnreadableAudio:
            return np.empty(0, dtype=np.float32)

    return Recording(rate, duration_s, blocks, downmix, part.start(duration_s), other_part if seek else None)


def _seek_in(file: Any, stream: Any) -> Callable[[float], None]:
    def seek(time_s: float) -> None:
        import av

        try:
            file.seek(int(time_s / stream.time_base), stream=stream)
        except av.FFmpegError as error:
            raise UnreadableAudio("damaged", f"FFmpeg: {_error_text(error)}") from error

    return seek


def _blocks(
    rate: int,
    duration_s: float,
    part: Part,
    frames: Callable[[list[str]], Frames],
    seek: Callable[[float], None] | None,
    downmix: Downmix,
) -> Iterator[NDArray[np.float32]]:
    """The part of a signal, mono; arguments as of `_recording`."""
    wanted_s, start_s = part.length(duration_s), part.start(duration_s)
    wanted, decoded, position = round(wanted_s * rate), 0, 0
    is_sought = seek is not None and start_s > 0
    errors: list[str] = []
    if seek is not None and is_sought:
        # AAC frames overlap: the first after a seek are incomplete, so the decoder starts a little earlier
        seek(max(0.0, start_s - 0.5))
    for time_s, samples in frames(errors):
        # after a seek the time tells where the samples belong, else their number: joined files begin again at 0
        offset = round((time_s - start_s) * rate) if is_sought else position - round(start_s * rate)
        position += len(samples)
        samples = samples[max(0, -offset) :][: wanted - decoded]
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


def _frames(file: Any, stream: Any, rate: int, errors: list[str]) -> Frames:
    """The frames of a stream; packets that cannot be decoded are left out.  errors : gets what was wrong with those"""
    import av
    import numpy as np

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
                    yield float(frame.time or 0.0), converted.to_ndarray().T.astype(np.float32, copy=False)
        except (av.FFmpegError, ValueError) as error:
            errors.append(_error_text(error))


def _error_text(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
