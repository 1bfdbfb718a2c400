"""Where the frames of a FLAC end: how long it really is, whatever its header says.

Only the end of the file is read (RFC 9639, sections 8 and 9), where the last frame has its number.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from batch.audio.containers import id3_size

_TAIL_BYTES = 1 << 18
_READ_BYTES = 1 << 20
MAX_JOINED = 1000
"""Joined files that are read."""
_START = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
"""The mark of a FLAC, with its first block's head."""
_SYNC = re.compile(rb"\xff[\xf8\xf9]")
_LONGEST_HEADER = 16
_BLOCK_SAMPLES = (0, 192, *(576 << n for n in range(4)), 0, 0, *(256 << n for n in range(8)))
"""By the code in a frame's header; 0 where the header has the number itself, or for none."""
_EXTRA_BYTES_OF_RATE = {12: 1, 13: 2, 14: 2}


@dataclass(frozen=True)
class FlacEnd:
    """The end of the last frame of a FLAC.

    samples : of one channel, up to there
    is_whole : whether the file ends with that frame, or with a tag behind it
    """

    samples: int
    is_whole: bool


def flac_end(path: Path) -> FlacEnd | None:
    """The end of a FLAC's last frame; None where the end of the file has no frame. Raises OSError."""
    with open(path, "rb") as file:
        start = id3_size(file.read(10))
        file.seek(start)
        block_samples = int.from_bytes(file.read(10)[8:10], "big")  # "fLaC", the block's head, then its smallest block
        size = file.seek(0, os.SEEK_END)
        file.seek(max(start + 42, size - _TAIL_BYTES))
        tail = _without_tags(file.read())
    frames = {
        match.start(): frame
        for match in _SYNC.finditer(tail)
        if (frame := _frame(tail[match.start() : match.start() + _LONGEST_HEADER], block_samples)) is not None
    }
    # bytes may look like a header by chance, and not like the next one
    ends = {first + count for first, count in frames.values()}
    followers = [place for place, (first, _) in frames.items() if first in ends] or list(frames)
    if not followers:
        return None
    place = followers[-1]
    first, count = frames[place]
    content = tail[place:]
    return FlacEnd(first + count, _crc16(content[:-2]) == int.from_bytes(content[-2:], "big"))


def joined_files(path: Path) -> list[tuple[int, int]]:
    """(first byte, bytes) of each of the FLACs that were joined into one file. Raises OSError."""
    starts, position = [], 0
    with open(path, "rb") as file:
        while data := file.read(_READ_BYTES):
            starts += [position + match.start() for match in _START.finditer(data + file.read(7))]
            position += len(data)
            file.seek(position)
        size = file.seek(0, os.SEEK_END)
    return [(start, end - start) for start, end in pairwise([*starts, size])][:MAX_JOINED]


def _frame(head: bytes, block_samples: int) -> tuple[int, int] | None:
    """(first sample, samples) of the frame that begins so; None for what is no header.

    block_samples : of each frame but the last, where they are numbered by frame
    """
    if len(head) < 6 or head[3] & 1:
        return None
    code, rate_code = head[2] >> 4, head[2] & 15
    number = _coded_number(head[4:])
    if code == 0 or rate_code == 15 or number is None:
        return None
    value, place = number[0], 4 + number[1]
    samples = _BLOCK_SAMPLES[code]
    if code in (6, 7):
        extra = code - 5
        samples = int.from_bytes(head[place : place + extra], "big") + 1
        place += extra
    place += _EXTRA_BYTES_OF_RATE.get(rate_code, 0)
    if place >= len(head) or _crc8(head[:place]) != head[place]:
        return None
    return (value if head[1] & 1 else value * block_samples), samples


def _coded_number(content: bytes) -> tuple[int, int] | None:
    """(number, bytes of it) coded as UTF-8 codes a character."""
    lead = content[0]
    length = 8 - (lead ^ 0xFF).bit_length()
    if length == 0:
        return lead, 1
    if length == 1 or length > 7 or len(content) < length:
        return None
    value = lead & (0x7F >> length)
    for byte in content[1:length]:
        if byte & 0xC0 != 0x80:
            return None
        value = value << 6 | byte & 0x3F
    return value, length


def _without_tags(tail: bytes) -> bytes:
    """Without ID3v1 and APEv2 at the end."""
    if tail[-128:-125] == b"TAG":
        tail = tail[:-128]
    if tail[-32:-24] == b"APETAGEX":
        size = int.from_bytes(tail[-20:-16], "little") + (32 if tail[-9] & 0x80 else 0)
        tail = tail[:-size] if size < len(tail) else tail
    return tail


def _crc8(content: bytes) -> int:
    checksum = 0
    for byte in content:
        checksum = _crc_table(8, 0x07)[checksum ^ byte]
    return checksum


def _crc16(content: bytes) -> int:
    checksum, table = 0, _crc_table(16, 0x8005)
    for byte in content:
        checksum = (checksum << 8 & 0xFFFF) ^ table[checksum >> 8 ^ byte]
    return checksum


@lru_cache
def _crc_table(bits: int, polynomial: int) -> list[int]:
    """The checksum of each byte (RFC 9639, section 9.1.8 and 9.3)."""
    table, mask, top = [], (1 << bits) - 1, 1 << bits - 1
    for byte in range(256):
        value = byte << bits - 8
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & top else 0)) & mask
        table.append(value)
    return table
