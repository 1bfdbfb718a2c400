"""Routes of a listener's playlists. Another listener's playlist is answered like one that does not exist."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from ui.dependencies import RequiredListener, ServicesDep
from ui.playlists.store import MAX_PLAYLIST_NAME_LENGTH, MAX_PLAYLIST_TRACKS
from ui.responses import Refused
from ui.routes.schemas import Identifier, Strict

NO_PLAYLIST = "Playlist not found."
DEFAULT_NAME = "Playlist"

router = APIRouter(prefix="/playlists")


class NewPlaylist(Strict):
    """A playlist to create."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_PLAYLIST_NAME_LENGTH)]
    tracks: Annotated[list[Identifier], Field(max_length=MAX_PLAYLIST_TRACKS)] = []


class PlaylistChange(Strict):
    """A change of a playlist; None leaves a part as it is.

    tracks : replaces all tracks;  add, remove : one track, after that;  drop : delete the playlist
    revision : of the playlist from which name and tracks were made; at another one the change is refused with 409
    """

    name: Annotated[str | None, Field(min_length=1, max_length=MAX_PLAYLIST_NAME_LENGTH)] = None
    tracks: Annotated[list[Identifier] | None, Field(max_length=MAX_PLAYLIST_TRACKS)] = None
    add: Identifier | None = None
    remove: Identifier | None = None
    revision: Annotated[int | None, Field(ge=0)] = None
    drop: bool = False


@router.get("")
def get_playlists(user_id: RequiredListener, services: ServicesDep) -> list[dict[str, Any]]:
    return [
        {
            "id": playlist.playlist_id,
            "name": playlist.name,
            "count": len(playlist.tracks),
            "revision": playlist.revision,
        }
        for playlist in services.playlists.of(user_id)
    ]


@router.post("", status_code=201)
def create_playlist(new: NewPlaylist, user_id: RequiredListener, services: ServicesDep) -> dict[str, str]:
    playlist = services.playlists.create(user_id, new.name.strip() or DEFAULT_NAME, new.tracks)
    return {"id": playlist.playlist_id, "name": playlist.name}


@router.post("/{playlist_id}")
def change_playlist(
    playlist_id: str, change: PlaylistChange, user_id: RequiredListener, services: ServicesDep
) -> dict[str, str]:
    """Renames, replaces, adds, removes, or deletes the playlist."""
    playlists = services.playlists
    playlist = playlists.get(user_id, playlist_id)
    if playlist is None:
        raise Refused(404, NO_PLAYLIST)
    if change.drop:
        playlists.delete(user_id, playlist_id)
        return {"id": playlist_id}
    tracks = None if change.tracks is None else list(dict.fromkeys(change.tracks))
    is_present = playlists.update(user_id, playlist_id, change.name, tracks, change.revision)
    if change.add is not None:
        is_present = is_present and playlists.add_track(user_id, playlist_id, change.add)
    if change.remove is not None:
        is_present = is_present and playlists.remove_track(user_id, playlist_id, change.remove)
    if not is_present:
        raise Refused(404, NO_PLAYLIST)  # deleted by another page meanwhile
    return {"id": playlist_id, "name": change.name or playlist.name}
