"""The pages of an Ogg file: whether it breaks off, and the streams that follow one another in it (RFC 3533)."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path

_LONGEST_PAGE = 27 + 255 + 255 * 255
"""Bytes of an Ogg page at most."""
_FIRST_PAGE = re.compile(rb"OggS\x00[\x02\x06]")
"""How the first page of a stream begins."""
_READ_BYTES = 1 << 20
MAX_LINKS = 1000
"""Streams one after another that are read; what follows counts to the last of them."""


def is_cut_within_page(path: Path) -> bool:
    """Whether an Ogg file ends within its last page (section 6)."""
    tail = _tail(path)
    page = tail.rfind(b"OggS")
    return page >= 0 and (len(tail) < page + 27 or len(tail) < page + _page_bytes(tail, page))


def has_end_mark(path: Path) -> bool:
    """Whether the last page of an Ogg file is marked as the last of its stream (section 6)."""
    tail = _tail(path)
    page = tail.rfind(b"OggS")
    return page >= 0 and bool(tail[page + 5 : page + 6]) and bool(tail[page + 5] & 4)


def links(path: Path) -> list[tuple[int, int]]:
    """(first byte, bytes) of each part of a chained Ogg, of which each is an Ogg of its own (section 4).

    A part begins where the first pages of streams stand behind other pages; two parts may have the same serial numbers.
    """
    starts, end_of_first_page = list[int](), -1
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        for position in range(0, size, _READ_BYTES):
            file.seek(position)
            data = file.read(_READ_BYTES + _LONGEST_PAGE)
            for match in _FIRST_PAGE.finditer(data):
                page = match.start()
                if page >= _READ_BYTES:
                    break
                if position + page != end_of_first_page and len(starts) < MAX_LINKS:
                    starts.append(position + page)
                end_of_first_page = position + page + _page_bytes(data, page)
    return [(start, end - start) for start, end in pairwise([*starts, size])]


def _page_bytes(data: bytes, page: int) -> int:
    """Bytes of the page that begins there."""
    segments = data[page + 26] if page + 26 < len(data) else 0
    return 27 + segments + sum(data[page + 27 : page + 27 + segments])


def _tail(path: Path) -> bytes:
    """The end of an Ogg file, with its last whole page."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 2 * _LONGEST_PAGE))
        return file.read()
