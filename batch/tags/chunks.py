"""The tags within WAV (RIFF) and AIFF (IFF): chunks of ID3 and of LIST/INFO, also where other programs padded wrongly."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

LONGEST_TAG_CHUNK = 64 << 20
"""Bytes of a chunk that is read as a tag."""
_INFO_NAMES = {
    b"INAM": "title",
    b"IART": "artist",
    b"IPRD": "album",
    b"IALB": "album",
    b"IGNR": "genre",
    b"ICRD": "date",
    b"ITRK": "tracknumber",
    b"IPRT": "tracknumber",
    b"TRCK": "tracknumber",
    b"IMUS": "composer",
    b"ICOP": "copyright",
    b"NAME": "title",
    b"AUTH": "artist",
    b"(c) ": "copyright",
}
"""Chunks of LIST/INFO in WAV (RIFF, section 2), and those of AIFF."""
_KNOWN_CHUNKS = frozenset(
    {b"LIST", b"id3 ", b"ID3 ", b"data", b"fact", b"bext", b"cue ", b"SSND", b"COMM", *_INFO_NAMES}
)
_MAX_CHUNKS = 10_000


def id3_and_info(path: Path) -> tuple[bytes | None, dict[str, list[str]]]:
    """(the ID3 tag, the texts of LIST/INFO or of AIFF's own chunks) of a WAV or AIFF.  Raises OSError."""
    id3, texts = None, dict[str, list[str]]()
    with open(path, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(0)
        order: Literal["little", "big"] = "big" if file.read(12)[:4] == b"FORM" else "little"
        for name, start, size in _chunks(file, 12, end, order):
            if name in (b"LIST", b"id3 ", b"ID3 ") or name in _INFO_NAMES:
                file.seek(start)
                content = file.read(min(size, LONGEST_TAG_CHUNK))
                if name in (b"id3 ", b"ID3 "):
                    id3 = id3 or content
                elif name != b"LIST":
                    texts.setdefault(_INFO_NAMES[name], []).append(_text(content))
                elif content[:4] == b"INFO":
                    for key, text in _info(content[4:]):
                        texts.setdefault(key, []).append(text)
    return id3, texts


def _chunks(
    file: BinaryIO, position: int, end: int, order: Literal["little", "big"]
) -> Iterator[tuple[bytes, int, int]]:
    """(name, where its content begins, bytes of it) of the chunks from a position on.

    A chunk of odd size is followed by a byte of padding, which some programs forget; others pad an even one.
    """
    for _ in range(_MAX_CHUNKS):
        file.seek(max(0, position - 1))
        around = file.read(6)
        shift = next((shift for shift in (0, -1, 1) if around[1 + shift : 5 + shift] in _KNOWN_CHUNKS), 0)
        position += shift
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            return
        size = int.from_bytes(head[4:8], order)
        yield head[:4], position + 8, min(size, end - position - 8)
        position += 8 + size + size % 2


def _info(content: bytes) -> Iterator[tuple[str, str]]:
    position = 0
    while position + 8 <= len(content):
        name, size = content[position : position + 4], int.from_bytes(content[position + 4 : position + 8], "little")
        if name in _INFO_NAMES:
            yield _INFO_NAMES[name], _text(content[position + 8 : position + 8 + size])
        position += 8 + size
        if size % 2 and content[position : position + 4] not in _INFO_NAMES:
            position += 1


def _text(content: bytes) -> str:
    """The text up to its zero byte: UTF-8, else as Latin-1."""
    content = content.partition(b"\0")[0]
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")
