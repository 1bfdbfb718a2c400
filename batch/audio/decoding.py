"""Decode audio files: sample rate, duration, and blocks of mono float32 samples.

libsndfile decodes WAV, AIFF, FLAC, Ogg, Opus and MP3; FFmpeg (by PyAV) decodes MP4 and AAC. The content decides, never the
file's name. Blocks have a fixed size, so that memory does not grow with the file. The decoders are imported when first used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK_SAMPLES = 1 << 22
"""Samples, all channels together, that are decoded at once."""
LONGEST_S = 12 * 3600.0
"""Longest file of which the middle is decoded."""
LONGEST_WHOLE_S = 6 * 3600.0
"""Longest file that is decoded as a whole: its frames must fit into a worker's memory."""
LOWEST_RATE_HZ = 2_000
HIGHEST_RATE_HZ = 768_000
MIN_DECODED_SHARE = 0.9
"""A file that ends before this share of its declared length is truncated."""
_UNKNOWN_SIZES = (0x7FFFFFFF, 0xFFFFFFFF)
"""Sizes that a program writes into the header when it does not know the size yet."""
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip")


class UnreadableAudio(ValueError):
    """The file is not audio that can be used.

    reason : one of the fixed reasons of the table `rejected_tracks`, such as "truncated"
    detail : what is wrong with this file
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)  # both, so that it can be pickled
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


@dataclass(frozen=True)
class Recording:
    """An open audio file.

    rate : sample rate in Hz
    duration_s : length of the whole file
    blocks : the requested part, mono float32 [shape=(n,)] in [-1, 1]
    """

    rate: int
    duration_s: float
    blocks: Iterator[NDArray[np.float32]]


@contextmanager
def recording(path: Path, middle_s: float | None) -> Iterator[Recording]:
    """Opens an audio file.

    middle_s : seconds around the file's middle to read; None: all of it
    Raises UnreadableAudio here or while its blocks are read; OSError where the file itself cannot be opened.
    """
    head = _head(path)
    if not head:
        raise UnreadableAudio("empty", "the file has no bytes")
    is_ffmpeg = head[4:8] in _MP4_BOXES or _is_adts(head)
    with (_by_ffmpeg if is_ffmpeg else _by_libsndfile)(path, middle_s) as file:
        yield file


def _head(path: Path) -> bytes:
    """The 16 bytes by which a format is recognised: the file's first, or those behind an ID3 tag at its start."""
    with open(path, "rb") as file:
        head = file.read(16)
        if head[:3] == b"ID3" and len(head) >= 10:
            size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
            file.seek(10 + size)
            return file.read(16) or head
    return head


@contextmanager
def _by_libsndfile(path: Path, middle_s: float | None) -> Iterator[Recording]:
    import soundfile

    try:
        file = soundfile.SoundFile(os.fspath(path))
    except soundfile.LibsndfileError as error:
        is_unrecognised = error.code in (1, 2, 7)
        detail = "no decoder knows the content" if is_unrecognised else error.error_string
        raise UnreadableAudio("not audio", detail) from error
    except (RuntimeError, MemoryError) as error:
        raise UnreadableAudio("not audio", f"the decoder failed: {error}") from error
    with file:
        duration_s = file.frames / file.samplerate
        _check(file.samplerate, duration_s, middle_s)
        if file.frames <= 0:
            raise UnreadableAudio("no samples", "the header promises audio, but there is none")
        declared_s = _declared_s(path, file.format, file.samplerate * file.channels)
        if declared_s and duration_s < MIN_DECODED_SHARE * declared_s:
            raise UnreadableAudio(
                "truncated", f"the header promises {declared_s:.1f} s, the file holds {duration_s:.1f} s"
            )
        if file.format == "OGG" and _is_cut_within_page(path):
            raise UnreadableAudio("truncated", "the file breaks off within an Ogg page")
        wanted = file.frames if middle_s is None else min(file.frames, int(middle_s * file.samplerate))
        if wanted < file.frames:
            file.seek((file.frames - wanted) // 2)
        yield Recording(file.samplerate, duration_s, _libsndfile_blocks(file, wanted))


def _libsndfile_blocks(file: Any, wanted: int) -> Iterator[NDArray[np.float32]]:
    """The next `wanted` frames of the file, mono."""
    import soundfile

    block_frames, decoded = max(1, BLOCK_SAMPLES // file.channels), 0
    while decoded < wanted:
        try:
            samples = file.read(min(block_frames, wanted - decoded), dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            _check_end(file)
            position_s = decoded / file.samplerate
            raise UnreadableAudio(
                "damaged", f"the decoder stops {position_s:.1f} s into the part that is read: {error}"
            ) from error
        if len(samples) == 0:
            break
        decoded += len(samples)
        yield _mono(samples)
    if decoded == 0:
        raise UnreadableAudio("no samples", "the header promises audio, but none could be decoded")
    if decoded < MIN_DECODED_SHARE * wanted:
        wanted_s, decoded_s = wanted / file.samplerate, decoded / file.samplerate
        raise UnreadableAudio("truncated", f"{wanted_s:.1f} s promised, {decoded_s:.1f} s could be decoded")
    if wanted < file.frames:  # at the end, since an MP3 decodes slightly differently after a second seek
        _check_end(file)


def _check_end(file: Any) -> None:
    """Raises UnreadableAudio where no sample can be decoded at 90 % of the declared length."""
    import soundfile

    try:
        file.seek(int(MIN_DECODED_SHARE * file.frames))
        is_reached = len(file.read(64)) > 0
    except (soundfile.LibsndfileError, RuntimeError):
        is_reached = False
    if not is_reached:
        declared_s = file.frames / file.samplerate
        raise UnreadableAudio(
            "truncated", f"the file ends before {MIN_DECODED_SHARE:.0%} of the {declared_s:.1f} s its header promises"
        )


def _declared_s(path: Path, file_format: str, samples_per_s: int) -> float:
    """Seconds that the header of a WAV or AIFF declares, 0 where unknown: libsndfile silently corrects a wrong length."""
    if file_format not in ("WAV", "WAVEX", "AIFF"):
        return 0.0
    import mutagen

    try:
        info = mutagen.File(path).info
        size = info.length * samples_per_s * info.bits_per_sample / 8
    except Exception:  # noqa: BLE001 - mutagen raises any exception on damaged headers
        return 0.0
    # a program that writes into a pipe cannot know the size, and writes the largest one
    is_unknown = any(abs(size - unknown) < 4096 for unknown in _UNKNOWN_SIZES)
    return 0.0 if is_unknown else float(info.length)


def _is_cut_within_page(path: Path) -> bool:
    """Whether an Ogg file ends within its last page (RFC 3533, section 6)."""
    longest_page = 27 + 255 + 255 * 255
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 2 * longest_page))
        tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0:
        return False
    if len(tail) < page + 27:
        return True
    segments = tail[page + 27 : page + 27 + tail[page + 26]]
    return len(tail) < page + 27 + tail[page + 26] + sum(segments)


@contextmanager
def _by_ffmpeg(path: Path, middle_s: float | None) -> Iterator[Recording]:
    import av

    av.logging.set_level(None)
    try:
        # Without these limits a file, such as a playlist, could name other files or addresses that FFmpeg would open.
        limits = {"protocol_whitelist": "file", "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,aac"}
        container = av.open(os.fspath(path), options=limits)
    except (av.FFmpegError, ValueError) as error:
        raise UnreadableAudio("not audio", f"FFmpeg: {_error_text(error)}") from error
    with container:
        if not container.streams.audio:
            raise UnreadableAudio("not audio", "the file has no audio stream")
        stream = container.streams.audio[0]
        rate = int(stream.codec_context.sample_rate or 0)
        declared_s = float((stream.duration or 0) * stream.time_base) if stream.time_base else 0.0
        _check(rate, declared_s, middle_s)
        try:
            packets = container.demux(stream)
            duration_s = float(sum(packet.duration or 0 for packet in packets) * (stream.time_base or 0))
            container.seek(0)
        except av.FFmpegError as error:
            raise UnreadableAudio("damaged", f"FFmpeg: {_error_text(error)}") from error
        is_exact = container.format.name != "aac"  # raw AAC declares no length; FFmpeg estimates it
        if is_exact and duration_s < MIN_DECODED_SHARE * declared_s:
            raise UnreadableAudio(
                "truncated", f"the header promises {declared_s:.1f} s, the file holds {duration_s:.1f} s"
            )
        if duration_s == 0:
            raise UnreadableAudio("no samples", "the header promises audio, but there is none")
        _check(rate, duration_s, middle_s)
        wanted_s = duration_s if middle_s is None else min(duration_s, middle_s)
        blocks = _ffmpeg_blocks(container, stream, rate, (duration_s - wanted_s) / 2, wanted_s)
        yield Recording(rate, duration_s, blocks)


def _ffmpeg_blocks(
    container: Any, stream: Any, rate: int, start_s: float, wanted_s: float
) -> Iterator[NDArray[np.float32]]:
    """`wanted_s` seconds from `start_s` on, mono."""
    import av
    import numpy as np

    wanted, decoded = round(wanted_s * rate), 0
    to_planar_float = av.AudioResampler(format="fltp")
    try:
        if start_s:
            # AAC frames overlap: the first after a seek are incomplete, so the decoder starts a little earlier
            container.seek(int(max(0.0, start_s - 0.5) / stream.time_base), stream=stream)
        for frame in container.decode(stream):
            for part in to_planar_float.resample(frame):
                offset = round((float(frame.time or 0.0) - start_s) * rate)
                samples = part.to_ndarray().astype(np.float32, copy=False).T[max(0, -offset) :][: wanted - decoded]
                if frame.sample_rate != rate:
                    raise UnreadableAudio("damaged", f"the rate changes from {rate} to {frame.sample_rate} Hz midway")
                if len(samples):
                    decoded += len(samples)
                    yield _mono(samples)
            if decoded >= wanted:
                break
    except UnreadableAudio:
        raise
    except (av.FFmpegError, ValueError) as error:
        if decoded >= MIN_DECODED_SHARE * wanted:  # a last frame that is cut off
            return
        raise UnreadableAudio("damaged", f"FFmpeg stops after {decoded / rate:.1f} s: {_error_text(error)}") from error
    if decoded == 0:
        raise UnreadableAudio("no samples", "the header promises audio, but none could be decoded")
    if decoded < MIN_DECODED_SHARE * wanted:
        detail = f"{wanted / rate:.1f} s promised, {decoded / rate:.1f} s could be decoded"
        raise UnreadableAudio("truncated", detail)


def _mono(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of the channels: [shape=(n, channels)] to [shape=(n,)]. A matrix product is many times faster than mean(axis=1)."""
    import numpy as np

    channels = samples.shape[1]
    if channels == 1:
        return samples[:, 0]
    return np.asarray(samples @ np.full(channels, 1.0 / channels, dtype=np.float32))


def _check(rate: int, duration_s: float, middle_s: float | None) -> None:
    """Raises UnreadableAudio where a declared length or sample rate is out of range."""
    longest_s = LONGEST_WHOLE_S if middle_s is None else LONGEST_S
    if duration_s > longest_s:
        raise UnreadableAudio(
            "too long", f"{duration_s / 3600:.1f} h declared, at most {longest_s / 3600:.0f} h are read"
        )
    if not LOWEST_RATE_HZ <= rate <= HIGHEST_RATE_HZ:
        expected = f"expected {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ}"
        raise UnreadableAudio("not audio", f"{rate} samples a second declared, {expected}")


def _is_adts(head: bytes) -> bool:
    """Whether it starts with an AAC frame: sync word and layer bits zero (ISO/IEC 13818-7); in MP3 the layer bits are set."""
    return head[0] == 0xFF and len(head) > 1 and head[1] & 0xF6 == 0xF0


def _error_text(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
