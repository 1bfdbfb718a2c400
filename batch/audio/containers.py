"""What a file is, told by its bytes and never by its name: its container, and whether it breaks off."""

from __future__ import annotations

import os
from pathlib import Path

_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"styp")
_LONGEST_PAGE = 27 + 255 + 255 * 255
"""Bytes of an Ogg page at most."""
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
            if head[:3] != b"ID3" or len(head) < 10:
                break
            file.seek(id3_size(head) - len(head), os.SEEK_CUR)
            behind = file.read(16)
            if not behind:
                break
            head = behind
    return head


def id3_size(head: bytes) -> int:
    """Bytes of the ID3v2 tag that begins with these ten, footer included (ID3v2.4, section 3.1)."""
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


def is_cut_within_page(path: Path) -> bool:
    """Whether an Ogg file ends within its last page (RFC 3533, section 6)."""
    tail = _tail(path)
    page = tail.rfind(b"OggS")
    if page < 0:
        return False
    if len(tail) < page + 27:
        return True
    segments = tail[page + 27 : page + 27 + tail[page + 26]]
    return len(tail) < page + 27 + tail[page + 26] + sum(segments)


def has_end_mark(path: Path) -> bool:
    """Whether the last page of an Ogg file is marked as the last of its stream (RFC 3533, section 6)."""
    tail = _tail(path)
    page = tail.rfind(b"OggS")
    return page >= 0 and bool(tail[page + 5 : page + 6]) and bool(tail[page + 5] & 4)


def is_chained(path: Path) -> bool:
    """Whether the last page of an Ogg file belongs to none of the streams that begin at its start (RFC 3533, section 4)."""
    tail = _tail(path)
    last_page = tail.rfind(b"OggS")
    with open(path, "rb") as file:
        start = file.read(_LONGEST_PAGE)
    streams, page = set(), 0
    while start[page : page + 4] == b"OggS" and start[page + 5 : page + 6] and start[page + 5] & 2:
        streams.add(start[page + 14 : page + 18])
        page += 27 + start[page + 26] + sum(start[page + 27 : page + 27 + start[page + 26]])
    return last_page >= 0 and bool(streams) and tail[last_page + 14 : last_page + 18] not in streams


def _tail(path: Path) -> bytes:
    """The end of an Ogg file, with its last whole page."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 2 * _LONGEST_PAGE))
        return file.read()
