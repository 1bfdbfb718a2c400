"""The items of an APEv2 tag, each by itself: mutagen takes none where one of them is malformed.

The tag stands at the end of a file, there before ID3v1 and Lyrics3, or at its beginning (hydrogenaudio's APEv2 specification).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from batch.tags.text import decoded

_MARK = b"APETAGEX"
_HEAD_BYTES = 32
_HAS_HEADER = 1 << 31
_ID3V1_BYTES = 128
LONGEST_TAG = 64 << 20


def ape_items(path: Path) -> Iterator[tuple[str, str]]:
    """(name, text) of each value of each text item; what is not UTF-8 is read as Latin-1.  Raises OSError."""
    with open(path, "rb") as file:
        content = _content(file)
    position = 0
    while position + 8 < len(content):
        size = int.from_bytes(content[position : position + 4], "little")
        is_text = content[position + 4] & 6 == 0
        end_of_name = content.find(b"\0", position + 8)
        if end_of_name < 0:
            return
        name = content[position + 8 : end_of_name].decode("latin-1")
        value = content[end_of_name + 1 : end_of_name + 1 + size]
        position = end_of_name + 1 + size
        if is_text and name:
            for text in value.split(b"\0"):
                yield name, decoded(text)


def _content(file: BinaryIO) -> bytes:
    """The bytes of all items; none where there is no tag."""
    size = file.seek(0, os.SEEK_END)
    for end in _possible_ends(file, size):
        head = _read(file, end - _HEAD_BYTES, _HEAD_BYTES)
        if head[:8] == _MARK:
            tag_bytes = min(int.from_bytes(head[12:16], "little"), end, LONGEST_TAG)  # items and footer
            return _read(file, end - tag_bytes, max(0, tag_bytes - _HEAD_BYTES))
    head = _read(file, 0, _HEAD_BYTES)
    if head[:8] == _MARK and int.from_bytes(head[20:24], "little") & _HAS_HEADER:
        return _read(file, _HEAD_BYTES, max(0, min(int.from_bytes(head[12:16], "little"), LONGEST_TAG) - _HEAD_BYTES))
    return b""


def _possible_ends(file: BinaryIO, size: int) -> Iterator[int]:
    """Where a tag may end: at the end of the file, before ID3v1, and before Lyrics3v2, which has its size before its mark."""
    yield size
    if _read(file, size - _ID3V1_BYTES, 3) != b"TAG":
        return
    size -= _ID3V1_BYTES
    yield size
    lyrics = _read(file, size - 15, 15)
    if lyrics[6:] == b"LYRICS200" and lyrics[:6].isdigit():
        yield size - 15 - int(lyrics[:6])


def _read(file: BinaryIO, start: int, size: int) -> bytes:
    if start < 0:
        return b""
    file.seek(start)
    return file.read(size)
