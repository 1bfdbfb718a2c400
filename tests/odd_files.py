"""Makers of audio files that no ordinary encoder writes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import av
import numpy as np
import soundfile

from batch.audio.mpeg_frames import frame_sizes

RATE = 22_050


def rising(seconds: float, rate: int = RATE, hertz: float = 300.0) -> np.ndarray:
    """A note that rises by 20 Hz at each second, the right channel softer: float32 [shape=(n, 2)]."""
    frequency = hertz + 20 * (np.arange(int(seconds * rate)) // rate)
    left = 0.4 * np.sin(2 * np.pi * np.cumsum(frequency) / rate)
    return np.stack([left, 0.5 * left], axis=1).astype(np.float32)


def written(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    """A file by libsndfile, of the kind that its suffix says."""
    soundfile.write(path, samples, rate, **({"format": "OGG", "subtype": "OPUS"} if path.suffix == ".opus" else {}))
    return path


def encoded(
    path: Path, samples: np.ndarray, codec: str, container: str, rate: int = RATE, bit_rate: int | None = None
) -> Path:
    """A file by FFmpeg."""
    layout = "stereo" if samples.shape[1] == 2 else "mono"
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate)
        stream.layout = layout
        if bit_rate:
            stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout=layout)
        frame.rate = rate
        size = stream.codec_context.frame_size or 1024
        fit = av.AudioResampler(format=stream.format.name, layout=layout, rate=rate, frame_size=size)
        for part in (*fit.resample(frame), *fit.resample(None)):
            file.mux(stream.encode(part))
        file.mux([packet for packet in stream.encode(None) if packet.size])  # the last of FLAC is empty
    return path


def without_first_mpeg_frame(path: Path) -> Path:
    """An MP3 without the frame that holds its Xing or Info header."""
    content = path.read_bytes()
    start = content.index(b"\xff")
    size = frame_sizes()[content[start + 1] << 8 | content[start + 2]]
    path.write_bytes(content[start + size :])
    return path


def ogg_pages(content: bytes) -> list[bytes]:
    """The pages of an Ogg file."""
    starts = [index for index in range(len(content)) if content.startswith(b"OggS", index)]
    return [content[start:end] for start, end in zip(starts, [*starts[1:], len(content)], strict=True)]


def without_end_mark(page: bytes) -> bytes:
    """An Ogg page that does not say to be the last one of its stream."""
    return _with_checksum(page[:5] + bytes([page[5] & ~4]) + page[6:])


def with_serial(page: bytes, serial: int) -> bytes:
    """An Ogg page of another stream."""
    return _with_checksum(page[:14] + serial.to_bytes(4, "little") + page[18:])


def _with_checksum(page: bytes) -> bytes:
    """RFC 3533, section 6."""
    content, checksum = page[:22] + bytes(4) + page[26:], 0
    for byte in content:
        checksum = (checksum << 8 & 0xFFFFFFFF) ^ _ogg_checksums()[checksum >> 24 ^ byte]
    return content[:22] + checksum.to_bytes(4, "little") + content[26:]


@cache
def _ogg_checksums() -> list[int]:
    table = []
    for byte in range(256):
        checksum = byte << 24
        for _ in range(8):
            checksum = (checksum << 1 ^ (0x04C11DB7 if checksum & 0x80000000 else 0)) & 0xFFFFFFFF
        table.append(checksum)
    return table
