"""Playlists as cards, each with the covers of its tracks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ui.data.library import Library, Track
from ui.playlists.store import PlaylistSummary

MOSAIC_COVERS = 4


@dataclass(frozen=True)
class PlaylistCard:
    """count : number of tracks;  cover_tracks : four of different albums, or one"""

    playlist_id: str
    name: str
    count: int
    cover_tracks: tuple[Track, ...] = ()


def playlist_cards(library: Library, playlists: Sequence[PlaylistSummary]) -> list[PlaylistCard]:
    """The cards of these playlists, in their order."""
    track_by_id = library.tracks_of({track_id for each in playlists for track_id in each.first_tracks})
    return [
        PlaylistCard(each.playlist_id, each.name, each.count, cover_tracks(each.first_tracks, track_by_id))
        for each in playlists
    ]


def cover_tracks(track_ids: Iterable[str], track_by_id: dict[str, Track]) -> tuple[Track, ...]:
    """The first four tracks of different albums; where there are fewer, the first track."""
    track_by_cover: dict[str, Track] = {}
    for track_id in track_ids:
        if track := track_by_id.get(track_id):
            track_by_cover.setdefault(track.album_id or track.track_id, track)
    tracks = tuple(track_by_cover.values())
    return tracks[:MOSAIC_COVERS] if len(tracks) >= MOSAIC_COVERS else tracks[:1]
