"""Sound files, opened: rate, length and blocks of mono samples, whatever the container.

libsndfile reads what it can (WAV, AIFF, FLAC, Ogg, Opus, MP3); MP4 and AAC go to FFmpeg by PyAV, told by their content and
never by their name. A block is small whatever the file, so that hours of it take little more memory than a minute. The decoders
are imported when first used.
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

BLOCK = 1 << 22
"""Samples, all channels together, that are decoded at once."""
LONGEST_S = 12 * 3600.0
LONGEST_WHOLE_S = 6 * 3600.0
"""Of whole tracks, whose frames must fit into a worker's memory."""
RATES_HZ = (2_000, 768_000)
HELD = 0.9
"""A file that ends before this share of the length it declares is truncated."""
_UNKNOWN_SIZES = (0x7FFFFFFF, 0xFFFFFFFF)
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip")


class UnreadableAudio(ValueError):
    """The file is not audio that can be used. `reason` is one of a few fixed words, the message has the details."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)  # both, so that it can be pickled
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


@dataclass(frozen=True)
class Recording:
    """An open file: samples a second, seconds of the whole file, and the wanted part as mono float32 blocks [shape=(n,)]."""

    rate: int
    duration_s: float
    blocks: Iterator[NDArray[np.float32]]


@contextmanager
def recording(path: Path, middle_s: float | None) -> Iterator[Recording]:
    """The file, open for reading `middle_s` seconds around its middle (None: all of it).

    Raises UnreadableAudio here or while its blocks are read; OSError where the file itself cannot be opened.
    """
    head = _head(path)
    if not head:
        raise UnreadableAudio("empty", "the file has no bytes")
    is_ffmpeg = head[4:8] in _MP4_BOXES or _is_adts(head)
    with (_by_ffmpeg if is_ffmpeg else _by_libsndfile)(path, middle_s) as found:
        yield found


def _head(path: Path) -> bytes:
    """The first bytes that say what a file is: those behind an ID3 tag, where it begins with one."""
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
        known = error.code not in (1, 2, 7)
        raise UnreadableAudio("not audio", error.error_string if known else "no decoder knows the content") from error
    except (RuntimeError, MemoryError) as error:
        raise UnreadableAudio("not audio", f"the decoder failed: {error}") from error
    with file:
        _check(file.samplerate, file.frames / file.samplerate, middle_s)
        if file.frames <= 0:
            raise UnreadableAudio("no samples", "the header promises audio, but there is none")
        promised = _promised_s(path, file.format, file.samplerate * file.channels)
        if promised and file.frames / file.samplerate < HELD * promised:
            held = file.frames / file.samplerate
            raise UnreadableAudio("truncated", f"the header promises {promised:.1f} s, the file holds {held:.1f} s")
        if file.format == "OGG" and _is_torn(path):
            raise UnreadableAudio("truncated", "the file breaks off within an Ogg page")
        wanted = file.frames if middle_s is None else min(file.frames, int(middle_s * file.samplerate))
        if wanted < file.frames:
            file.seek((file.frames - wanted) // 2)
        yield Recording(file.samplerate, file.frames / file.samplerate, _sndfile_blocks(file, wanted))


def _sndfile_blocks(file: Any, wanted: int) -> Iterator[NDArray[np.float32]]:
    """`wanted` frames from where the file stands, mono."""
    import soundfile

    size, left = max(1, BLOCK // file.channels), wanted
    while left > 0:
        try:
            samples = file.read(min(size, left), dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            _probe_end(file)
            at = (wanted - left) / file.samplerate
            raise UnreadableAudio(
                "damaged", f"the decoder stops {at:.1f} s into the part that is read: {error}"
            ) from error
        if len(samples) == 0:
            break
        left -= len(samples)
        yield _mono(samples)
    held = (wanted - left) / wanted
    if held == 0:
        raise UnreadableAudio("no samples", "the header promises audio, but none could be decoded")
    if held < HELD:
        promised = wanted / file.samplerate
        raise UnreadableAudio("truncated", f"{promised:.1f} s promised, {held * promised:.1f} s could be decoded")
    if wanted < file.frames:  # last, since an MP3 sounds a trifle different after a second seek
        _probe_end(file)


def _probe_end(file: Any) -> None:
    """Raises UnreadableAudio where there is nothing at 90 % of the length that the header promises."""
    import soundfile

    try:
        file.seek(int(HELD * file.frames))
        reached = len(file.read(64)) > 0
    except (soundfile.LibsndfileError, RuntimeError):
        reached = False
    if not reached:
        promised = file.frames / file.samplerate
        raise UnreadableAudio(
            "truncated", f"the file ends before {HELD:.0%} of the {promised:.1f} s its header promises"
        )


def _promised_s(path: Path, kind: str, samples_per_s: int) -> float:
    """Seconds that the header of a WAV or AIFF promises, which libsndfile corrects in silence; 0 where it does not say."""
    if kind not in ("WAV", "WAVEX", "AIFF"):
        return 0.0
    import mutagen

    try:
        info = mutagen.File(path).info
        size = info.length * samples_per_s * info.bits_per_sample / 8
    except Exception:  # noqa: BLE001 - mutagen's parsers raise whatever a damaged header makes them stumble over
        return 0.0
    # programs that write into a pipe cannot know the size, and say so by the largest one
    open_ended = any(abs(size - unknown) < 4096 for unknown in _UNKNOWN_SIZES)
    return 0.0 if open_ended else float(info.length)


def _is_torn(path: Path) -> bool:
    """Whether an Ogg file ends within its last page (RFC 3533, section 6)."""
    longest_page = 27 + 255 + 255 * 255
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 2 * longest_page))
        tail = file.read()
    at = tail.rfind(b"OggS")
    if at < 0:
        return False
    if len(tail) < at + 27:
        return True
    segments = tail[at + 27 : at + 27 + tail[at + 26]]
    return len(tail) < at + 27 + tail[at + 26] + sum(segments)


@contextmanager
def _by_ffmpeg(path: Path, middle_s: float | None) -> Iterator[Recording]:
    import av

    av.logging.set_level(None)
    try:
        # Without these two a file could name others, here or elsewhere, that FFmpeg would open.
        limits = {"protocol_whitelist": "file", "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,aac"}
        container = av.open(os.fspath(path), options=limits)
    except (av.FFmpegError, ValueError) as error:
        raise UnreadableAudio("not audio", f"FFmpeg: {_told(error)}") from error
    with container:
        if not container.streams.audio:
            raise UnreadableAudio("not audio", "no sound among what the file holds")
        stream = container.streams.audio[0]
        rate = int(stream.codec_context.sample_rate or 0)
        promised = float((stream.duration or 0) * stream.time_base) if stream.time_base else 0.0
        _check(rate, promised, middle_s)
        try:
            held = float(sum(packet.duration or 0 for packet in container.demux(stream)) * (stream.time_base or 0))
            container.seek(0)
        except av.FFmpegError as error:
            raise UnreadableAudio("damaged", f"FFmpeg: {_told(error)}") from error
        is_exact = container.format.name != "aac"  # raw AAC declares no length: what FFmpeg says there is a guess
        if is_exact and held < HELD * promised:
            raise UnreadableAudio("truncated", f"the header promises {promised:.1f} s, the file holds {held:.1f} s")
        if held == 0:
            raise UnreadableAudio("no samples", "the header promises audio, but there is none")
        _check(rate, held, middle_s)
        wanted_s = held if middle_s is None else min(held, middle_s)
        yield Recording(rate, held, _ffmpeg_blocks(container, stream, rate, (held - wanted_s) / 2, wanted_s))


def _ffmpeg_blocks(
    container: Any, stream: Any, rate: int, start_s: float, wanted_s: float
) -> Iterator[NDArray[np.float32]]:
    """`wanted_s` seconds from `start_s` on, mono."""
    import av
    import numpy as np

    left, got = round(wanted_s * rate), 0
    planes = av.AudioResampler(format="fltp")
    try:
        if start_s:
            # AAC frames overlap: the first after a seek are not yet whole, so the decoder starts a little earlier
            container.seek(int(max(0.0, start_s - 0.5) / stream.time_base), stream=stream)
        for frame in container.decode(stream):
            for part in planes.resample(frame):
                begins = round((float(frame.time or 0.0) - start_s) * rate)
                samples = part.to_ndarray().astype(np.float32, copy=False).T[max(0, -begins) :][: left - got]
                if frame.sample_rate != rate:
                    raise UnreadableAudio("damaged", f"the rate changes from {rate} to {frame.sample_rate} Hz midway")
                if len(samples):
                    got += len(samples)
                    yield _mono(samples)
            if got >= left:
                break
    except UnreadableAudio:
        raise
    except (av.FFmpegError, ValueError) as error:
        if got >= HELD * left:  # a last frame that is cut off
            return
        raise UnreadableAudio("damaged", f"FFmpeg stops after {got / rate:.1f} s: {_told(error)}") from error
    if got == 0:
        raise UnreadableAudio("no samples", "the header promises audio, but none could be decoded")
    if got < HELD * left:
        raise UnreadableAudio("truncated", f"{left / rate:.1f} s promised, {got / rate:.1f} s could be decoded")


def _mono(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """[shape=(n, channels)] to [shape=(n,)]. A product with equal weights is many times faster than mean(axis=1)."""
    import numpy as np

    channels = samples.shape[1]
    if channels == 1:
        return samples[:, 0]
    return np.asarray(samples @ np.full(channels, 1.0 / channels, dtype=np.float32))


def _check(rate: int, duration_s: float, middle_s: float | None) -> None:
    lowest, highest = RATES_HZ
    longest_s = LONGEST_WHOLE_S if middle_s is None else LONGEST_S
    if duration_s > longest_s:
        raise UnreadableAudio(
            "too long", f"{duration_s / 3600:.1f} h declared, at most {longest_s / 3600:.0f} h are read"
        )
    if not lowest <= rate <= highest:
        raise UnreadableAudio("not audio", f"{rate} samples a second declared, expected {lowest} to {highest}")


def _is_adts(head: bytes) -> bool:
    """The sync word of an AAC frame, layer bits zero (ISO/IEC 13818-7); MP3 has others there."""
    return head[0] == 0xFF and len(head) > 1 and head[1] & 0xF6 == 0xF0


def _told(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
