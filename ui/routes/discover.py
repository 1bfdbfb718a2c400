"""Routes of discovery: single cards, radio, the path between two tracks, and search by sound."""

from __future__ import annotations

import random

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from ui.data.library import Library, Track
from ui.dependencies import ClientDep, CurrentListener, Services, ServicesDep
from ui.left_out import STORED_SIMILAR_TRACKS, LeftOut, similar_tracks, tracks_left_out
from ui.media.analysis import AudioUnreadable
from ui.page import cards
from ui.page.wording import closeness
from ui.responses import Refused
from ui.routes.audio import NO_TRACK, required_track
from ui.search.words import ids_with, word_query

RADIO_TRACKS = 40
RADIO_WORD_TRACKS = 120
"""Tracks that a radio of words draws from."""
RADIO_ARTIST_SEEDS = 9
"""Further tracks of an artist, besides the first, that a radio starts from."""
MAX_ARTIST_IN_A_ROW = 2
MIN_PATH_STEPS = 3
MAX_PATH_STEPS = 30
BYTES_PER_MEGABYTE = 1e6

router = APIRouter()


@router.get("/card/{track_id:path}")
def get_card(track_id: str, services: ServicesDep) -> dict[str, str]:
    """One track as a card, for the map to play it by."""
    return {"html": cards.cards([required_track(services.library, track_id)], "map")}


@router.get("/radio")
def start_radio(
    user_id: CurrentListener, services: ServicesDep, track: str = "", album: str = "", artist: str = "", words: str = ""
) -> dict[str, str]:
    """Tracks to play on from a track, an album, an artist or words: what sounds similar, few in a row by one artist, nothing of
    `tracks_left_out`."""
    if words:
        tracks = _radio_of_words(services.library, words, tracks_left_out(services, user_id))
        if not tracks:
            raise Refused(404, "No tracks sound like this.")
        return {"html": cards.cards(tracks, "radio")}
    if album:
        seeds = [entry.track_id for entry in services.track_table.of_album(album)]
        random.shuffle(seeds)
    else:
        seeds = [track] if track else services.library.search_index().by_artist(artist)
    if not seeds or services.library.track(seeds[0]) is None:
        raise Refused(404, NO_TRACK if track else f"This {'album' if album else 'artist'} is not in the library.")
    left_out = tracks_left_out(services, user_id)
    tracks = _radio(services.library, seeds, left_out)
    if len(tracks) == 1:  # it was added after the model was trained
        near = similar_tracks(services, user_id, tracks[0].track_id, RADIO_TRACKS)
        tracks = _spread([*tracks, *(each for each in near if not left_out.has(each))])
    if len(tracks) == 1:
        raise Refused(404, cards.NO_SIMILAR_TRACKS)
    return {"html": cards.cards(tracks, "radio")}


@router.get("/path")
def find_path(start: str, end: str, user_id: CurrentListener, services: ServicesDep, steps: int = 8) -> dict[str, str]:
    """A path of similar tracks from one track to another, between them nothing of `tracks_left_out`."""
    for track_id in (start, end):
        required_track(services.library, track_id)
    steps = max(MIN_PATH_STEPS, min(steps, MAX_PATH_STEPS))
    left_out = tracks_left_out(services, user_id).track_ids
    try:
        track_ids = services.similarity.path(start, end, steps, left_out)
    except KeyError as error:
        raise Refused(409, "One of the two tracks is not in the model yet.") from error
    note = "" if len(track_ids) == steps else "No more tracks lie between the two."
    return {"html": cards.cards(services.library.in_order(track_ids), "path"), "note": note}


@router.post("/sound")
async def find_by_sound(request: Request, services: ServicesDep, client: ClientDep) -> dict[str, str | int]:
    """The tracks most similar to a clip, which is the body of the request."""
    services.limits.take_sound(request)
    max_bytes = int(services.player.clip_megabytes * BYTES_PER_MEGABYTE)
    clip = bytearray()
    async for chunk in request.stream():
        clip += chunk
        if len(clip) > max_bytes:
            raise Refused(413, f"This clip is larger than {services.player.clip_megabytes:g} MB.")
    if not clip:
        raise Refused(422, "This clip is empty.")
    # Raises NoModel before the clip is analysed for nothing.
    with_embedding = await run_in_threadpool(lambda: services.similarity.has_embeddings)
    try:
        features = await services.analyzer.features(bytes(clip), client, with_embedding)
    except AudioUnreadable as error:
        raise Refused(422, f"This clip {error}") from error
    return await run_in_threadpool(_nearest, services, features)


def _nearest(services: Services, features: list[float]) -> dict[str, str | int]:
    similarity_by_id = dict(services.similarity.nearest(features))
    tracks = services.library.in_order(similarity_by_id)
    reasons = {track_id: closeness(similarity) for track_id, similarity in similarity_by_id.items()}
    return {"html": cards.cards(tracks, "sound", reasons=reasons), "count": len(tracks)}


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
    return _spread(candidates)


def _radio_of_words(library: Library, text: str, left_out: LeftOut) -> list[Track]:
    """Tracks of which all words in the text are said, drawn from those that stand highest for them."""
    ids = ids_with(library.search_index(), word_query(text))
    highest = [track for track in library.in_order(ids[:RADIO_WORD_TRACKS]) if not left_out.has(track)]
    by_recording = {track.recording or track.track_id: track for track in highest}
    return _spread(random.sample(list(by_recording.values()), len(by_recording)))


def _spread(tracks: list[Track]) -> list[Track]:
    """Up to RADIO_TRACKS of the tracks in their order, but at most two in a row by one artist."""
    candidates = list(tracks)
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
