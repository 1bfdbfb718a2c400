"""Routes of discovery: search fields, single cards, radio, the path between two tracks, and search by sound."""

from __future__ import annotations

import random

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from ui.data.library import Library, Track
from ui.dependencies import CurrentListener, Services, ServicesDep
from ui.media.analysis import AudioUnreadable
from ui.page import cards
from ui.responses import Refused
from ui.routes.audio import NO_TRACK
from ui.routes.left_out import STORED_SIMILAR_TRACKS, LeftOut, tracks_left_out

MAX_SUGGESTIONS = 40
RADIO_TRACKS = 40
RADIO_ARTIST_SEEDS = 9
"""Further tracks of an artist, besides the first, that a radio starts from."""
MAX_ARTIST_IN_A_ROW = 2
MIN_PATH_STEPS = 3
MAX_PATH_STEPS = 30
BYTES_PER_MEGABYTE = 1e6

router = APIRouter()


@router.get("/words")
def suggest_tracks(services: ServicesDep, text: str = "", limit: int = 8) -> dict[str, list[dict[str, str]]]:
    """Search for a form's field: titles, artists and ids."""
    tracks = services.library.search(text, max(1, min(limit, MAX_SUGGESTIONS)))
    return {"tracks": [_suggestion(track) for track in tracks]}


@router.get("/card/{track_id:path}")
def get_card(track_id: str, services: ServicesDep) -> dict[str, str]:
    """One track as a card, for the map to play it by."""
    return {"html": cards.cards([_track(services.library, track_id)], "map")}


@router.get("/radio")
def start_radio(user_id: CurrentListener, services: ServicesDep, track: str = "", artist: str = "") -> dict[str, str]:
    """Tracks to play on from a track or an artist: what sounds similar, few in a row by one artist, nothing of
    `tracks_left_out`."""
    seeds = [track] if track else services.library.search_index().by_artist(artist)
    if not seeds or services.library.track(seeds[0]) is None:
        raise Refused(404, NO_TRACK if track else "This artist is not in the library.")
    return {"html": cards.cards(_radio(services.library, seeds, tracks_left_out(services, user_id)), "radio")}


@router.get("/path")
def find_path(start: str, end: str, user_id: CurrentListener, services: ServicesDep, steps: int = 8) -> dict[str, str]:
    """A path of similar tracks from one track to another, between them nothing of `tracks_left_out`."""
    for track_id in (start, end):
        _track(services.library, track_id)
    steps = max(MIN_PATH_STEPS, min(steps, MAX_PATH_STEPS))
    left_out = tracks_left_out(services, user_id).track_ids
    try:
        track_ids = services.similarity.path(start, end, steps, left_out)
    except KeyError as error:
        raise Refused(409, "One of the two tracks is not in the model yet.") from error
    return {"html": cards.cards(services.library.in_order(track_ids), "path")}


@router.post("/sound")
async def find_by_sound(request: Request, services: ServicesDep) -> dict[str, str | int]:
    """The tracks most similar to a clip, which is the body of the request."""
    max_bytes = int(services.player.clip_megabytes * BYTES_PER_MEGABYTE)
    clip = bytearray()
    async for chunk in request.stream():
        clip += chunk
        if len(clip) > max_bytes:
            raise Refused(413, f"The clip is larger than {services.player.clip_megabytes:g} MB.")
    if not clip:
        raise Refused(422, "The clip is empty.")
    return await run_in_threadpool(_similar_to_clip, services, bytes(clip))


def _similar_to_clip(services: Services, clip: bytes) -> dict[str, str | int]:
    services.similarity.index  # noqa: B018 - raises NoModel before the clip is analysed for nothing
    try:
        features = services.analyzer.features(clip)
    except AudioUnreadable as error:
        raise Refused(422, f"The clip {error}") from error
    distance_by_id = dict(services.similarity.nearest(features))
    tracks = services.library.in_order(distance_by_id)
    reasons = {track_id: f"Distance {distance:.1f}" for track_id, distance in distance_by_id.items()}
    return {"html": cards.cards(tracks, "sound", reasons=reasons), "count": len(tracks)}


def _track(library: Library, track_id: str) -> Track:
    """Raises Refused for an id that is not in the library."""
    track = library.track(track_id)
    if track is None:
        raise Refused(404, NO_TRACK)
    return track


def _suggestion(track: Track) -> dict[str, str]:
    return {"id": track.track_id, "title": track.title or "Untitled", "artist": track.artist or "Unknown artist"}


def _radio(library: Library, seeds: list[str], left_out: LeftOut) -> list[Track]:
    """Tracks similar to the seeds, a seed in turn, the first seed first; at most two in a row by one artist.

    left_out : tracks that do not come, unless there is no other seed
    """
    first_seed, *further_seeds = [seed for seed in seeds if seed not in left_out.track_ids] or seeds[:1]
    drawn_seeds = random.sample(further_seeds, min(len(further_seeds), RADIO_ARTIST_SEEDS))
    similar_by_seed = [
        [track.track_id for track in library.similar(seed, STORED_SIMILAR_TRACKS)]
        for seed in (first_seed, *drawn_seeds)
    ]
    similar = [ids[rank] for rank in range(STORED_SIMILAR_TRACKS) for ids in similar_by_seed if rank < len(ids)]
    candidates: list[Track] = []
    recordings = set(left_out.recordings)
    for track in library.in_order([first_seed, *_interleaved(drawn_seeds, similar)]):
        is_passed_over = track.track_id in left_out.track_ids or track.recording in recordings
        if track.track_id == first_seed or not is_passed_over:
            candidates.append(track)
            recordings |= {track.recording} - {""}
    radio: list[Track] = []
    while candidates and len(radio) < RADIO_TRACKS:
        last_artists = [track.artist for track in radio[-MAX_ARTIST_IN_A_ROW:]]
        admissible = (
            position
            for position, track in enumerate(candidates)
            if not track.artist or last_artists.count(track.artist) < MAX_ARTIST_IN_A_ROW
        )
        radio.append(candidates.pop(next(admissible, 0)))
    return radio


def _interleaved(seeds: list[str], similar: list[str]) -> list[str]:
    """One seed, then two similar tracks, and so on until both are used up."""
    rounds = max(len(seeds), (len(similar) + 1) // 2)
    return [
        track_id for turn in range(rounds) for track_id in (*seeds[turn : turn + 1], *similar[2 * turn : 2 * turn + 2])
    ]
