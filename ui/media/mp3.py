"""MP3 from any audio file, a piece at a time: every frame has the same size, so a byte's place tells its time.

48 kHz, stereo, constant bit rate, without bit reservoir: a frame is 1152 samples (24 ms) and needs no other one. So the length in
bytes is known before anything is encoded, and a browser seeks by byte ranges as in any file.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch.library.object_store import LocalCopy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RATE = 48_000
MP3_FRAME_SAMPLES = 1152
PIECE_FRAMES = 400
"""9.6 s; a third of a second's work of one core."""
WARM_UP_FRAMES = 12
"""Encoded before a piece and thrown away: frames overlap, and so do those of many decoders."""
MAX_DURATION_S = 24 * 3600.0
MAX_DAMAGED_PACKETS = 200
FFMPEG_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,aac,ogg,flac,wav,w64,aiff,mp3,matroska,webm,asf,ape,wv,caf,au,tta,mpc,mpc8,dsf"
)
"""Without playlists, which could name other files or addresses that FFmpeg would open."""


class AudioUndecodable(ValueError):
    """FFmpeg cannot decode the file; the message says why."""


def frame_bytes(kbps: int) -> int:
    """Bytes of a frame: 576 at 192 kbit/s."""
    return kbps * 1000 * MP3_FRAME_SAMPLES // (8 * RATE)


def encode(request: str, location: str, *arguments: int) -> Any:
    """The child process's entry point: the `length` of a file in frames, or a `piece` of it.

    location : path or URI;  arguments : of `piece`: kbps, number of the piece
    Raises AudioUndecodable, OSError.
    """
    path = _local_copy().fetch(location)
    return length(path) if request == "length" else piece(path, *arguments)


def length(path: Path) -> int:
    """The file's length in frames. Raises AudioUndecodable."""
    with _opened(path) as (container, stream):
        seconds = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
        seconds = seconds or (container.duration or 0) / 1_000_000
        if not 0 < seconds <= MAX_DURATION_S:
            raise AudioUndecodable(f"its length is {seconds:.0f} s, expected up to {MAX_DURATION_S:.0f} s")
    return math.ceil(seconds * RATE / MP3_FRAME_SAMPLES)


def piece(path: Path, kbps: int, number: int) -> bytes:
    """PIECE_FRAMES frames of MP3, silent beyond the file's end. Raises AudioUndecodable.

    number : of the piece, from 0
    """
    import av
    import numpy as np

    first = number * PIECE_FRAMES
    start = max(0, first - WARM_UP_FRAMES)
    frames_needed = first - start + PIECE_FRAMES
    encoder = av.CodecContext.create("libmp3lame", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE, "stereo", "s16p"
    encoder.bit_rate = kbps * 1000
    encoder.options = {"reservoir": "0"}
    packets: list[bytes] = []
    with _opened(path) as (container, stream):
        blocks = _blocks(container, stream, start * MP3_FRAME_SAMPLES)
        rest = np.zeros((2, 0), dtype=np.int16)
        while len(packets) < frames_needed:
            while rest.shape[1] < MP3_FRAME_SAMPLES:
                block = next(blocks, None)
                rest = np.hstack([rest, np.zeros((2, MP3_FRAME_SAMPLES), np.int16) if block is None else block])
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(rest[:, :MP3_FRAME_SAMPLES]), format="s16p", layout="stereo"
            )
            frame.sample_rate = RATE
            rest = rest[:, MP3_FRAME_SAMPLES:]
            packets += [bytes(packet) for packet in encoder.encode(frame)]
    return b"".join(packets[first - start : frames_needed])


def _blocks(container: Any, stream: Any, start: int) -> Iterator[NDArray[np.int16]]:
    """The samples from a position on, int16 [shape=(2, n)]. start : in samples at RATE"""
    import av

    resampler = av.AudioResampler(format="s16p", layout="stereo", rate=RATE)
    origin = stream.start_time or 0
    if start:
        # Ahead of the position: the decoder and the resampler need some samples to be right.
        container.seek(origin + int(max(0.0, start / RATE - 0.5) / stream.time_base), stream=stream)
    position: int | None = None if start else 0
    for frame in _frames(container, stream):
        if position is None:
            time_s = 0.0 if frame.pts is None else float((frame.pts - origin) * frame.time_base)
            position = round(time_s * RATE)
        frame.pts = None  # gaps of damaged files are left out
        for resampled in resampler.resample(frame):
            samples: NDArray[np.int16] = resampled.to_ndarray().astype("int16", copy=False)
            skipped = max(0, start - position)
            position += samples.shape[1]
            if skipped < samples.shape[1]:
                yield samples[:, skipped:]


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    """The decoded frames; damaged packets are passed over. Raises AudioUndecodable where there are too many."""
    import av

    damaged = 0
    packets = container.demux(stream)
    while damaged < MAX_DAMAGED_PACKETS:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            yield from packet.decode()
        except (av.FFmpegError, ValueError):
            damaged += 1
    raise AudioUndecodable(f"more than {MAX_DAMAGED_PACKETS} of its packets are damaged")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """FFmpeg's container with its audio stream. Raises AudioUndecodable."""
    import av

    av.logging.set_level(None)
    limits = {"protocol_whitelist": "file", "format_whitelist": FFMPEG_FORMATS}
    try:
        container = av.open(str(path), options=limits)
    except FileNotFoundError as error:
        raise AudioUndecodable("the file is missing") from error
    except (av.FFmpegError, ValueError) as error:
        raise AudioUndecodable(f"FFmpeg: {str(error)[:200]}") from error
    with container:
        if not container.streams.audio:
            raise AudioUndecodable("the file has no audio stream")
        yield container, container.streams.audio[0]


@functools.cache
def _local_copy() -> LocalCopy:
    """The child process's copy of the last remote file."""
    return LocalCopy()
