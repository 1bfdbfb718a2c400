"""Addresses that markup of the page refers to."""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote

from ui.data.library import Track

CoverSize = Literal[64, 160, 320, 640]
"""Pixels of a cover's side."""


def cover_address(track: Track, size: CoverSize) -> str:
    """The address of a track's cover."""
    kind, key = ("album", track.album_id) if track.album_id else ("track", track.track_id)
    return f"/covers/{kind}/{quote(key, safe='')}?size={size}"
