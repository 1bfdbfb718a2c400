"""What a file is, told by its bytes and never by its name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"styp")
_MAX_ZEROS = 1 << 16
"""Zero bytes behind an ID3 tag, which some taggers do not count as the tag's."""
_UNKNOWN_SIZES = (0x7FFFFFFF, 0xFFFFFFFF)
"""Sizes that a program writes into the header when it does not know the size yet."""


def container(path: Path) -> str:
    """FFmpeg's name of the container: "mp4", "aac", "ogg", "flac", "wav", "aiff" or "mp3"; "" where the bytes say nothing.

    An ID3 tag before it is passed over. Raises OSError.
    """
    head = head_behind_id3(path)
    if head[4:8] in _MP4_BOXES:
        return "mp4"
    by_magic = {b"OggS": "ogg", b"fLaC": "flac", b"RIFF": "wav", b"RF64": "wav", b"FORM": "aiff"}
    if head[:4] == b"RIFF" and head[8:12] != b"WAVE":
        return ""  # as RMP3, an MP3 in a chunk
    if head[:4] in by_magic:
        return by_magic[head[:4]]
    if head[:1] != b"\xff" or len(head) < 2:
        return ""
    # a frame's sync word; the layer bits are zero in AAC (ISO/IEC 13818-7) and set in MP3
    return "aac" if head[1] & 0xF6 == 0xF0 else "mp3" if head[1] & 0xE6 > 0xE0 else ""


def head_behind_id3(path: Path) -> bytes:
    """The 16 bytes by which a format is recognised: the file's first, or those behind ID3 tags at its start."""
    with open(path, "rb") as file:
        head = file.read(16)
        for _ in range(4):  # a tagger that does not know another's version puts its own before it
            if not (tag_bytes := id3_size(head)):
                break
            file.seek(tag_bytes - len(head), os.SEEK_CUR)
            behind = file.read(16)
            if not behind:
                break
            head = _behind_zeros(file, behind)
    return head


def _behind_zeros(file: BinaryIO, head: bytes) -> bytes:
    """The 16 bytes behind the zeros at the end of which `head` was read; `head` where there are none, or too many."""
    if any(head[:4]):
        return head
    start = file.tell() - len(head)
    file.seek(start)
    zeros = file.read(_MAX_ZEROS)
    place = len(zeros) - len(zeros.lstrip(b"\0"))
    file.seek(start + place)
    return file.read(16) if place < len(zeros) else head


def id3_size(head: bytes) -> int:
    """Bytes of the ID3v2 tag that begins with these ten, footer included (ID3v2.4, section 3.1); 0 where none does."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    return 10 + size + (10 if head[5] & 0x10 else 0)


def declared_s(path: Path, samples_per_s: int) -> float:
    """Seconds that the header of a WAV or AIFF declares, 0 where unknown: libsndfile silently corrects a wrong length."""
    import mutagen

    try:
        info = mutagen.File(path).info
        size = info.length * samples_per_s * info.bits_per_sample / 8
    except Exception:  # noqa: BLE001 - mutagen raises any exception on damaged headers
        return 0.0
    # a program that writes into a pipe cannot know the size, and writes the largest one
    is_unknown = any(abs(size - unknown) < 4096 for unknown in _UNKNOWN_SIZES)
    return 0.0 if is_unknown else float(info.length)
