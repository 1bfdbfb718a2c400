"""Routes of a track's audio, waveform and pictures. A request names a track of the library, never a path."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from ui.data.library import Library, Track
from ui.dependencies import ClientDep, ServicesDep
from ui.media.analysis import PICTURES, AudioUnreadable
from ui.media.streaming import audio_response
from ui.media.transcoding import kbps_of
from ui.responses import Refused

NO_TRACK = "This track is not in the library."
ANALYSIS_WAIT_S = 1.0
"""An answer waits for an analysis no longer: a browser has six connections, and music needs one. The page asks again."""
PRIVATE_FOR_A_DAY = {"Cache-Control": "private, max-age=86400"}

router = APIRouter()


@router.api_route("/audio/{track_id:path}", methods=["GET", "HEAD"])
async def get_audio(
    track_id: str,
    request: Request,
    services: ServicesDep,
    client: ClientDep,
    without: Annotated[str, Query(max_length=100)] = "",
    smaller: bool = False,
    wanted: Annotated[Literal["", "mp3"], Query(alias="as")] = "",
) -> Response:
    """The audio, whole or the requested range: the file as it is, or MP3 made on the way.

    without : kinds of files that the browser cannot play, separated by commas;  smaller : lossless files as MP3
    wanted : "mp3": any file as MP3
    """
    location = await run_in_threadpool(_location, services.library, track_id)
    byte_range = request.headers.get("range")
    kbps = kbps_of(location, without, smaller, wanted == "mp3")
    if kbps is None:
        return await run_in_threadpool(audio_response, location, byte_range, request.method)
    return await services.transcoder.response(location, kbps, byte_range, request.method, client)


@router.get("/waveform/{track_id:path}")
async def get_waveform(track_id: str, services: ServicesDep, client: ClientDep) -> Response:
    """Loudness along the track, for the seek bar; 202 while it is being computed, 429 or 503 where too much waits."""
    location = await run_in_threadpool(_location, services.library, track_id)
    try:
        peaks = await services.analyzer.peaks(location, ANALYSIS_WAIT_S, client)
    except AudioUnreadable:
        return JSONResponse({"peaks": []})  # the browser may still play what libsndfile cannot decode
    return JSONResponse({"peaks": peaks}, headers=PRIVATE_FOR_A_DAY)


@router.get("/picture/{track_id}/{kind}")
async def get_picture(track_id: str, kind: str, services: ServicesDep, client: ClientDep) -> Response:
    """A PNG of the waveform, mel spectrogram or MFCCs; 202 while it is being drawn, 429 or 503 where too much waits."""
    if kind not in PICTURES:
        raise Refused(404, f"Expected one of {', '.join(PICTURES)}.")
    location = await run_in_threadpool(_location, services.library, track_id)
    picture = await services.analyzer.picture(location, kind, ANALYSIS_WAIT_S, client)
    return Response(picture, media_type="image/png", headers=PRIVATE_FOR_A_DAY)


def required_track(library: Library, track_id: str) -> Track:
    """The track of this id. Raises Refused for an id that is not in the library."""
    track = library.track(track_id)
    if track is None:
        raise Refused(404, NO_TRACK)
    return track


def _location(library: Library, track_id: str) -> str:
    """Path or URI of the track's audio. Raises Refused for a track without a readable file in this library."""
    location = library.audio(track_id)
    if location is None:
        raise Refused(404, NO_TRACK)
    return location
