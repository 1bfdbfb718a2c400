"""Routes of covers: always a picture, one for all tracks of an album."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from ui.covers.drawn import cover
from ui.data.mongo import LibraryUnavailable
from ui.dependencies import ServicesDep

SIZES = (64, 160, 320, 640)
"""Pixels of the longer side."""
KEPT_FOR_A_DAY = "max-age=86400"
KEPT_FOR_A_MINUTE = "max-age=60"

router = APIRouter()

Size = Annotated[int, Query(ge=1, le=4096)]


@router.get("/covers/album/{album_id}")
def get_album_cover(album_id: str, request: Request, size: Size = 320) -> Response:
    """The cover of an album."""
    return _drawn(album_id, request)


@router.get("/covers/track/{track_id:path}")
@router.get("/cover/{track_id:path}")
def get_track_cover(track_id: str, request: Request, services: ServicesDep, size: Size = 320) -> Response:
    """The cover of a track's album; of a track without an album its own."""
    try:
        track = services.library.track(track_id)
    except LibraryUnavailable:
        return _drawn(track_id, request, KEPT_FOR_A_MINUTE)
    return _drawn((track.album_id if track else "") or track_id, request)


def _drawn(seed: str, request: Request, cache_control: str = KEPT_FOR_A_DAY) -> Response:
    return _answer(cover(seed).encode(), "image/svg+xml", request, cache_control)


def _answer(content: bytes, media_type: str, request: Request, cache_control: str) -> Response:
    etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"Cache-Control": cache_control, "ETag": etag}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)
