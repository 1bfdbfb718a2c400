"""Routes of covers: always a picture, one for all tracks of an album."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from batch.discography.names import digest
from ui.auth.places import Client
from ui.auth.shares import ShareTaken
from ui.covers.candidates import Candidates
from ui.covers.covers import CoverPending, nearest_size
from ui.covers.drawn import cover
from ui.data.mongo import LibraryUnavailable
from ui.dependencies import ClientDep, Services, ServicesDep

KEPT_FOR_A_DAY = "private, max-age=86400"
NOT_KEPT = "no-store"
"""Of a picture drawn where there may be a real one in a moment."""

router = APIRouter()

Size = Annotated[int, Query(ge=1, le=4096)]


@router.get("/covers/album/{album_id}")
async def get_album_cover(
    album_id: str, request: Request, services: ServicesDep, client: ClientDep, size: Size = 320
) -> Response:
    """The cover of an album."""
    try:
        places = await run_in_threadpool(services.covers.album, album_id)
    except LibraryUnavailable:
        return _drawn(album_id, request, NOT_KEPT)
    return await _cover(services, places, album_id, size, request, client)


@router.get("/covers/track/{track_id:path}")
@router.get("/cover/{track_id:path}")
async def get_track_cover(
    track_id: str, request: Request, services: ServicesDep, client: ClientDep, size: Size = 320
) -> Response:
    """The cover of a track's album; of a track without an album its own."""
    try:
        track = await run_in_threadpool(services.library.track, track_id)
        if track is not None and track.album_id:
            return await get_album_cover(track.album_id, request, services, client, size)
        if track is None:
            return _drawn(track_id, request)
        places = await run_in_threadpool(services.covers.track, track_id)
    except LibraryUnavailable:
        return _drawn(track_id, request, NOT_KEPT)
    return await _cover(services, places, track_id, size, request, client)


async def _cover(
    services: Services, places: Candidates, seed: str, size: int, request: Request, client: Client
) -> Response:
    """The picture in these places, else one drawn from the seed; where too much waits, with the status that says so."""
    size = nearest_size(size)
    etag = f'"{places.state}-{size}"'
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=_headers(etag, KEPT_FOR_A_DAY))
    try:
        picture = await services.covers.picture(places, size, client)
    except CoverPending:
        return _drawn(seed, request, NOT_KEPT)
    except ShareTaken as error:
        response = _drawn(seed, request, NOT_KEPT)  # browsers show the picture of such a response, too
        response.status_code = error.status
        response.headers["Retry-After"] = str(error.retry_after_s)
        return response
    if picture is None:
        return _drawn(seed, request)
    return Response(picture, media_type="image/jpeg", headers=_headers(etag, KEPT_FOR_A_DAY))


def _drawn(seed: str, request: Request, cache_control: str = KEPT_FOR_A_DAY) -> Response:
    etag = f'"{digest("drawn", seed)}"'
    headers = _headers(etag, cache_control)
    if cache_control != NOT_KEPT and etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(cover(seed), media_type="image/svg+xml", headers=headers)


def _headers(etag: str, cache_control: str) -> dict[str, str]:
    return {"Cache-Control": cache_control, "ETag": etag}
