"""The map's data: every track's place in two dimensions, and where the listener's taste is among them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from numpy.typing import NDArray

from ui.data.listener_data import TasteSummary
from ui.dependencies import CurrentListener, ServicesDep
from ui.media.similarity import centroid
from ui.routes.map_regions import FEWEST_REGION_TRACKS, MAX_ARTIST_REGIONS, MAX_GENRE_REGIONS, regions
from ui.search.index import SearchIndex
from ui.search.words import map_words

MAX_TRACKS_ON_MAP = 20_000
"""Tracks sent for the map; of a larger library always the same sample."""
MAP_UNITS = 1000
GENRE_COLOURS = 20
"""Number of genres with a colour of their own, as in the map's script in ui/static."""
LEAST_GENRE_SHARE = 0.1
"""Where a smaller share of the tracks has a genre, colours are those of words for the sound."""
MAX_PATH_TRACKS_ON_MAP = 60
MAX_LIKED_TRACKS_ON_MAP = 500

router = APIRouter()


class MapTracks:
    """The part of the map that is everybody's, made once for a search index."""

    def __init__(self) -> None:
        self._made: tuple[SearchIndex, NDArray[np.float32] | None, dict[str, Any]] | None = None

    def of(self, index: SearchIndex) -> tuple[NDArray[np.float32] | None, dict[str, Any]]:
        """The places as `_scaled` has them, and the tracks on the map."""
        made = self._made
        if made is None or made[0] is not index:
            scaled = _scaled(index.map_positions)
            tracks = {"tracks": [], "genres": []} if scaled is None else _tracks(index, scaled)
            made = self._made = (index, scaled, tracks)
        return made[1:]


_map_tracks = MapTracks()


@router.get("/map.json")
def get_map(user_id: CurrentListener, services: ServicesDep) -> Response:
    """Coordinates of the tracks from 0 to MAP_UNITS, codes of genres or of words for the sound, names of regions, and the
    listener's interests, likes, rejections and path."""
    index = services.library.search_index()
    scaled, tracks = _map_tracks.of(index)
    if scaled is None or user_id is None:
        return JSONResponse(tracks)
    opinions = services.listener_data.history.opinions(user_id)
    liked = [track_id for track_id, opinion in opinions.items() if "like" in opinion.split()]
    return JSONResponse(tracks | _taste(index, scaled, services.listener_data.taste(user_id), liked))


def _scaled(places: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """The places in MAP_UNITS, NaN for tracks without one [shape=(n, 2)]; None where no track has a place."""
    has_place = ~np.isnan(places).any(axis=1)
    if not has_place.any():
        return None
    low, high = places[has_place].min(axis=0), places[has_place].max(axis=0)
    scaled: NDArray[np.float32] = (places - low) / np.maximum(high - low, 1e-9) * MAP_UNITS
    return scaled


def _tracks(index: SearchIndex, scaled: NDArray[np.float32]) -> dict[str, Any]:
    rows = np.flatnonzero(~np.isnan(scaled).any(axis=1))
    if len(rows) > MAX_TRACKS_ON_MAP:
        rows = np.sort(np.random.default_rng(0).choice(rows, MAX_TRACKS_ON_MAP, replace=False))
    points = scaled[rows].round().astype(int)
    is_by_sound = bool((index.genre_codes >= 0).mean() < LEAST_GENRE_SHARE and index.word_percentiles.any())
    codes, names = map_words(index) if is_by_sound else (index.genre_codes, index.genre_names)
    size_by_name = dict(zip(names, np.bincount(codes[codes >= 0], minlength=len(names)).tolist(), strict=True))
    largest = sorted((name for name in names if size_by_name[name]), key=lambda name: (-size_by_name[name], name))
    colour_by_name = {name: colour for colour, name in enumerate(largest[:GENRE_COLOURS])}
    # The last entry is for tracks without a name, whose code is -1.
    colours = np.array([colour_by_name.get(name, -1) for name in names] + [-1])
    return {
        "tracks": [index.ids[row] for row in rows],
        "x": points[:, 0].tolist(),
        "y": points[:, 1].tolist(),
        "genre": colours[codes[rows]].tolist(),
        "genres": list(colour_by_name),
        "by_sound": is_by_sound,
        "regions": [
            {"kind": kind, "name": each.name, "x": round(each.x), "y": round(each.y), "size": each.size}
            for kind, found in (
                ("genre", regions(_rows_by_code(codes, names), scaled, MAP_UNITS, MAX_GENRE_REGIONS)),
                ("artist", regions(_rows_by_artist(index), scaled, MAP_UNITS, MAX_ARTIST_REGIONS)),
            )
            for each in found
        ],
    }


def _rows_by_code(codes: NDArray[Any], names: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    return {name: np.flatnonzero(codes == code) for code, name in enumerate(names)}


def _rows_by_artist(index: SearchIndex) -> dict[str, list[int]]:
    """Rows of the artists that have enough tracks for a region, by their names as most tracks spell them."""
    many = ((name, rows) for name, rows in index.rows_by_artist.items() if len(rows) >= FEWEST_REGION_TRACKS)
    return {index.artist_name(name): rows for name, rows in many}


def _taste(
    index: SearchIndex, scaled: NDArray[np.float32], taste: TasteSummary, liked: Sequence[str]
) -> dict[str, Any]:
    def places(track_ids: Iterable[str]) -> NDArray[np.float32]:
        rows = [index.row_by_id[track_id] for track_id in track_ids if track_id in index.row_by_id]
        return scaled[rows][~np.isnan(scaled[rows]).any(axis=1)] if rows else np.empty((0, 2), np.float32)

    centres = []
    for weight, track_ids in taste.interests:
        if middle := centroid(places(track_ids)):
            centres.append({"weight": weight, "x": round(middle[0]), "y": round(middle[1])})
    return {
        "centres": centres,
        "liked": places(liked[:MAX_LIKED_TRACKS_ON_MAP]).round().astype(int).tolist(),
        "rejected": places(taste.rejected).round().astype(int).tolist(),
        "path": places(taste.path[-MAX_PATH_TRACKS_ON_MAP:]).round().astype(int).tolist(),
    }
