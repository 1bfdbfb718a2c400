"""Routes of tracks: their audio, pictures, likeness, and ways through the library. Only ids of the catalogue, never a path."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from ui.auth.session import listener, refusal
from ui.data.library import Library, Track
from ui.dependencies import Parts
from ui.media.analysis import PICTURES, AudioUnreadable
from ui.media.similarity import between
from ui.media.streaming import sound_of
from ui.page import cards
from ui.page.covers import cover

ON_MAP = 20_000
"""So many tracks are drawn at most; of a larger library, a sample that stays the same."""
MAP_UNITS = 1000
COLOURS = 20
"""So many genres have a colour of their own on the map, as in static/map.js."""
RADIO = 40
NO_TRACK = "No such track in the library."
A_DAY = {"Cache-Control": "private, max-age=86400"}


def routes(parts: Parts) -> APIRouter:
    router = APIRouter()
    library = parts.library

    @router.api_route("/audio/{track_id:path}", methods=["GET", "HEAD"])
    def audio(track_id: str, request: Request) -> Response:
        place = library.audio(track_id)
        if place is None:
            return refusal(404, NO_TRACK)
        return sound_of(place, request.headers.get("range"), request.method)

    @router.get("/waveform/{track_id:path}")
    def waveform(track_id: str) -> Response:
        file = library.audio(track_id)
        if file is None:
            return refusal(404, NO_TRACK)
        try:
            return JSONResponse({"peaks": parts.analyzer.peaks(file)}, headers=A_DAY)
        except AudioUnreadable:
            return JSONResponse({"peaks": []})  # the browser may well play what libsndfile cannot read

    @router.get("/picture/{track_id}/{which}")
    def picture(track_id: str, which: str) -> Response:
        file = library.audio(track_id) if which in PICTURES else None
        if file is None:
            return refusal(404, NO_TRACK)
        return Response(parts.analyzer.picture(file, which), media_type="image/png", headers=A_DAY)

    @router.get("/cover/{track_id:path}")
    def cover_picture(track_id: str) -> Response:
        return Response(cover(track_id), media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})

    @router.get("/words")
    def words(text: str = "", limit: int = 8) -> Response:
        """Search for the fields of a form: titles and ids."""
        found = library.search(text, max(1, min(limit, 40)))
        return JSONResponse({"tracks": [_head(track) for track in found]})

    @router.get("/card/{track_id:path}")
    def card(track_id: str) -> Response:
        """One track as a card, for the page to play it by."""
        track = library.track(track_id)
        return refusal(404, NO_TRACK) if track is None else JSONResponse({"html": cards.cards([track], "map")})

    @router.get("/radio")
    def radio(track: str = "", artist: str = "") -> Response:
        """Tracks to play from a track or an artist on: what sounds like it, few in a row of one artist."""
        seeds = [track] if track else library.shelf().by_artist(artist)
        if not seeds or library.track(seeds[0]) is None:
            return refusal(404, NO_TRACK if track else "No such artist in the library.")
        found = _radio(library, seeds)
        return JSONResponse({"html": cards.cards(found, "radio")})

    @router.get("/path")
    def path(start: str, end: str, steps: int = 8) -> Response:
        for track_id in (start, end):
            if library.track(track_id) is None:
                return refusal(404, NO_TRACK)
        try:
            ids = parts.similarity.path(start, end, max(3, min(steps, 30)))
        except KeyError:
            return refusal(409, "The model does not know one of the two tracks yet.")
        return JSONResponse({"html": cards.cards(library.in_order(ids), "path")})

    @router.post("/sound")
    async def sound(request: Request) -> Response:
        """The nearest tracks to a clip, which is the body of the request."""
        most = int(parts.player.clip_megabytes * 1e6)
        clip = bytearray()
        async for chunk in request.stream():
            clip += chunk
            if len(clip) > most:
                return refusal(413, f"The clip is larger than {parts.player.clip_megabytes:g} MB.")
        if not clip:
            return refusal(422, "The clip is empty.")
        return await run_in_threadpool(_nearest, parts, bytes(clip))

    @router.get("/map.json")
    def on_map(request: Request) -> Response:
        return JSONResponse(_map(parts, listener(request, parts)))

    return router


def _nearest(parts: Parts, clip: bytes) -> Response:
    try:
        parts.similarity.index  # noqa: B018 - before the work: without a model it is for nothing
        near = parts.similarity.like(parts.analyzer.vector(clip))
    except AudioUnreadable as error:
        return refusal(422, f"The clip {error}")
    found = parts.library.in_order(track_id for track_id, _ in near)
    reasons = {track_id: f"Distance {distance:.1f}" for track_id, distance in near}
    return JSONResponse({"html": cards.cards(found, "sound", reasons=reasons), "count": len(found)})


def _head(track: Track) -> dict[str, str]:
    return {"id": track.track_id, "title": track.title or "Untitled", "artist": track.artist or "Unknown artist"}


def _radio(library: Library, seeds: list[str]) -> list[Track]:
    """The seeds' likenesses in turn; at most two in a row by one artist, and the first seed first."""
    first, others = seeds[0], seeds[1:]
    drawn = random.sample(others, min(len(others), 9))
    lists = [[near.track_id for near in library.similar(seed, RADIO)] for seed in (first, *drawn)]
    mixed = [ids[place] for place in range(RADIO) for ids in lists if place < len(ids)]
    tracks = library.in_order([first, *(each for pair in _zipped(drawn, mixed) for each in pair)])
    chosen: list[Track] = []
    waiting = tracks
    while waiting and len(chosen) < RADIO:
        tail = [track.artist for track in chosen[-2:]]
        fits = (at for at, track in enumerate(waiting) if not track.artist or tail.count(track.artist) < 2)
        chosen.append(waiting.pop(next(fits, 0)))
    return chosen


def _zipped(own: list[str], near: list[str]) -> list[list[str]]:
    """One of the artist's own, then two that sound like it, and so on."""
    return [[*own[at : at + 1], *near[2 * at : 2 * at + 2]] for at in range(max(len(own), (len(near) + 1) // 2))]


def _map(parts: Parts, user_id: str | None) -> dict[str, Any]:
    """The library in two dimensions, coordinates from 0 to MAP_UNITS, and where the listener is in it."""
    shelf = parts.library.shelf()
    places = shelf.places_on_map
    rows = np.flatnonzero(~np.isnan(places).any(axis=1))
    if not len(rows):
        return {"tracks": [], "genres": []}
    low, high = places[rows].min(axis=0), places[rows].max(axis=0)
    scaled = (places - low) / np.maximum(high - low, 1e-9)
    if len(rows) > ON_MAP:
        rows = np.sort(np.random.default_rng(0).choice(rows, ON_MAP, replace=False))
    points = (scaled[rows] * MAP_UNITS).round().astype(int)
    largest = {name: place for place, (name, _) in enumerate(shelf.genre_sizes()[:COLOURS])}
    code = np.array([largest.get(name, -1) for name in shelf.genre_names] + [-1])
    told: dict[str, Any] = {
        "tracks": [shelf.ids[row] for row in rows],
        "x": points[:, 0].tolist(),
        "y": points[:, 1].tolist(),
        "genre": code[shelf.genre_codes[rows]].tolist(),
        "genres": list(largest),
    }
    if user_id is None:
        return told
    taste = parts.listener_data.taste(user_id)

    def where(ids: tuple[str, ...]) -> list[list[int]]:
        known = [shelf.row_of[each] for each in ids if each in shelf.row_of]
        spots = scaled[known][~np.isnan(scaled[known]).any(axis=1)] if known else np.empty((0, 2))
        return [[round(float(x) * MAP_UNITS), round(float(y) * MAP_UNITS)] for x, y in spots]

    centres = []
    for weight, ids in taste.centres:
        known = [shelf.row_of[each] for each in ids if each in shelf.row_of]
        if middle := between(scaled[known]):
            centres.append({"weight": weight, "x": round(middle[0] * MAP_UNITS), "y": round(middle[1] * MAP_UNITS)})
    return told | {"centres": centres, "rejected": where(taste.rejected), "path": where(taste.path[-60:])}
