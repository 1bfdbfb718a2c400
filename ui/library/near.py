"""Albums and artists near to some tracks: those that have most of the tracks similar to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from ui.data.library import Library, Track
from ui.library.track_table import TrackTable

MAX_SEEDS = 40
SIMILAR_OF_EACH = 25
MAX_CANDIDATES = 400


def near_tracks(library: Library, table: TrackTable, track_ids: list[str]) -> list[tuple[Track, float]]:
    """(track, weight) of the tracks that are similar to these, each counted by its places in their lists."""
    weights: dict[str, float] = defaultdict(float)
    for similar_ids in table.similar(track_ids[:MAX_SEEDS]).values():
        for place, track_id in enumerate(similar_ids[:SIMILAR_OF_EACH]):
            weights[track_id] += 1 / (4 + place)
    own = set(track_ids)
    candidates = sorted(weights.keys() - own, key=lambda track_id: (-weights[track_id], track_id))[:MAX_CANDIDATES]
    return [(track, weights[track.track_id]) for track in library.in_order(candidates)]


def heaviest(
    tracks: Iterable[tuple[Track, float]], keys: Callable[[Track], Iterable[str]], without: Iterable[str], count: int
) -> list[str]:
    """The keys with the largest sums of weights, but for those left out.  keys : of a track"""
    weights: dict[str, float] = defaultdict(float)
    for track, weight in tracks:
        for key in keys(track):
            weights[key] += weight
    left_out = set(without) | {""}
    return sorted(weights.keys() - left_out, key=lambda key: (-weights[key], key))[:count]
