"""Routes of a listener's playlists. Another listener's playlist is answered like one that does not exist."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response
from pydantic import Field

from batch.library.files import library_name
from ui.auth.security import M3U_PATH
from ui.dependencies import RequiredListener, Services, ServicesDep
from ui.page.rendering import render
from ui.playlists.cards import cover_tracks, playlist_cards
from ui.playlists.m3u import MAX_M3U_BYTES, NotM3u, read_m3u, write_m3u
from ui.playlists.matching import match_lines
from ui.playlists.store import (
    MAX_DESCRIPTION_LENGTH,
    MAX_PLAYLIST_NAME_LENGTH,
    MAX_PLAYLIST_TRACKS,
    SUMMARY_TRACKS,
    Playlist,
)
from ui.responses import Refused
from ui.routes.schemas import Identifier, Strict

NO_PLAYLIST = "Playlist not found."
DEFAULT_NAME = "Playlist"
MAX_SENT_TRACKS = 2000
"""Of one request."""
FIRST_ROWS = 60
"""Of a playlist, in its page; the page asks for the others as they come into view."""
MAX_ROWS = 200
MAX_TOLD_LINES = 100
"""Lines of a file that were not found, of which the page is told."""

router = APIRouter()

Offset = Annotated[int, Query(ge=0, le=MAX_PLAYLIST_TRACKS)]
Limit = Annotated[int | None, Query(ge=1, le=MAX_ROWS)]


class NewPlaylist(Strict):
    """A playlist to create."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_PLAYLIST_NAME_LENGTH)]
    tracks: Annotated[list[Identifier], Field(max_length=MAX_SENT_TRACKS)] = []


class Placing(Strict):
    """Where a track goes. after : the track before it, None: to the beginning"""

    track_id: Identifier
    after: Identifier | None = None


class PlaylistChange(Strict):
    """A change of a playlist; None leaves a part as it is.

    tracks : replaces all tracks;  add, remove : tracks, after that;  place : moves a track, or adds it there
    drop : delete the playlist;  restore : take that back
    revision : of the playlist from which name and tracks were made; at another one the change is refused with 409
    """

    name: Annotated[str | None, Field(min_length=1, max_length=MAX_PLAYLIST_NAME_LENGTH)] = None
    description: Annotated[str | None, Field(max_length=MAX_DESCRIPTION_LENGTH)] = None
    tracks: Annotated[list[Identifier] | None, Field(max_length=MAX_SENT_TRACKS)] = None
    add: Identifier | Annotated[list[Identifier], Field(max_length=MAX_SENT_TRACKS)] | None = None
    remove: Identifier | Annotated[list[Identifier], Field(max_length=MAX_SENT_TRACKS)] | None = None
    place: Placing | None = None
    revision: Annotated[int | None, Field(ge=0)] = None
    drop: bool = False
    restore: bool = False


@router.get("/view/playlists", response_class=HTMLResponse)
def get_playlist_cards(user_id: RequiredListener, services: ServicesDep) -> str:
    return render("playlists", playlists=playlist_cards(services.library, services.playlists.summaries(user_id)))


@router.get("/view/playlist/{playlist_id}", response_class=HTMLResponse)
def get_playlist(
    playlist_id: str, user_id: RequiredListener, services: ServicesDep, offset: Offset = 0, limit: Limit = None
) -> str:
    """A playlist; with `limit` a part of its rows."""
    playlist = _playlist(services, user_id, playlist_id)
    rows = services.library.in_order(playlist.tracks[offset : offset + (limit or FIRST_ROWS)])
    if limit is not None:
        return render("playlist_rows", tracks=rows)
    first = services.library.tracks_of(playlist.tracks[:SUMMARY_TRACKS])
    return render(
        "playlist",
        playlist=playlist,
        tracks=rows,
        cover_tracks=cover_tracks(playlist.tracks, first),
        has_absolute_paths=services.policy.is_local,
    )


@router.get("/playlists")
def get_playlists(user_id: RequiredListener, services: ServicesDep) -> list[dict[str, Any]]:
    return [
        {
            "id": playlist.playlist_id,
            "name": playlist.name,
            "count": playlist.count,
            "revision": playlist.revision,
        }
        for playlist in services.playlists.summaries(user_id)
    ]


@router.post("/playlists", status_code=201)
def create_playlist(new: NewPlaylist, user_id: RequiredListener, services: ServicesDep) -> dict[str, str]:
    tracks = dict.fromkeys(new.tracks)
    playlist = services.playlists.create(user_id, new.name.strip() or DEFAULT_NAME, tracks)
    return {"id": playlist.playlist_id, "name": playlist.name}


@router.post(M3U_PATH, status_code=201)
async def import_playlist(
    request: Request, user_id: RequiredListener, services: ServicesDep, name: str = ""
) -> dict[str, Any]:
    """A playlist made of an M3U file, which is the body of the request.

    name : of the file
    """
    services.limits.take_import(user_id)
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_M3U_BYTES:
            raise Refused(413, f"The file is larger than {MAX_M3U_BYTES // 1_000_000} MB.")
    return await run_in_threadpool(_import, services, user_id, bytes(content), name)


@router.get("/playlists/{playlist_id}/m3u")
def export_playlist(
    playlist_id: str, user_id: RequiredListener, services: ServicesDep, paths: str = "relative"
) -> Response:
    """The playlist as M3U file, its paths as seen from the library's folder, or absolute."""
    playlist = _playlist(services, user_id, playlist_id)
    is_absolute = paths == "absolute" and services.policy.is_local
    path_by_id = services.library.paths(playlist.tracks)
    root = library_name(services.settings.library.root) if services.settings.library.root else ""
    entries = [
        (
            " - ".join(part for part in (track.artist, track.title) if part),
            track.duration_s,
            path_by_id[track.track_id] if is_absolute else _relative(path_by_id[track.track_id], root),
        )
        for track in services.library.in_order(playlist.tracks)
        if path_by_id.get(track.track_id)
    ]
    file_name = re.sub(r"[^\w .()-]+", "_", playlist.name).strip(" .") or DEFAULT_NAME
    disposition = f"attachment; filename*=UTF-8''{quote(file_name)}.m3u8"
    content = write_m3u(playlist.name, entries)
    headers = {"Content-Disposition": disposition}
    return Response(content.encode("utf-8", "replace"), media_type="audio/x-mpegurl; charset=utf-8", headers=headers)


@router.post("/playlists/{playlist_id}")
def change_playlist(
    playlist_id: str, change: PlaylistChange, user_id: RequiredListener, services: ServicesDep
) -> dict[str, Any]:
    """Renames, replaces, adds, removes, moves; deletes the playlist, or restores it."""
    playlists = services.playlists
    if change.restore:
        if not playlists.restore(user_id, playlist_id):
            raise Refused(404, "This playlist can no longer be restored.")
        return {"id": playlist_id}
    playlist = _playlist(services, user_id, playlist_id)
    if change.drop:
        playlists.delete(user_id, playlist_id)
        return {"id": playlist_id}
    tracks = None if change.tracks is None else list(dict.fromkeys(change.tracks))
    is_present = playlists.update(user_id, playlist_id, change.name, tracks, change.revision, change.description)
    added: list[str] | None = []
    if change.add is not None:
        added = playlists.add_tracks(user_id, playlist_id, _several(change.add))
    if change.remove is not None:
        is_present = is_present and playlists.remove_tracks(user_id, playlist_id, _several(change.remove))
    if change.place is not None:
        placing = change.place
        is_present = is_present and playlists.place_track(user_id, playlist_id, placing.track_id, placing.after)
    if not is_present or added is None:
        raise Refused(404, NO_PLAYLIST)  # deleted by another page meanwhile
    return {"id": playlist_id, "name": change.name or playlist.name, "added": added}


def _playlist(services: Services, user_id: str, playlist_id: str) -> Playlist:
    """Raises Refused."""
    playlist = services.playlists.get(user_id, playlist_id)
    if playlist is None:
        raise Refused(404, NO_PLAYLIST)
    return playlist


def _import(services: Services, user_id: str, content: bytes, file_name: str) -> dict[str, Any]:
    try:
        m3u = read_m3u(content)
    except NotM3u as error:
        raise Refused(422, str(error)) from error
    matches = match_lines(m3u.lines, services.library.all_paths(), services.library.search_index())
    if not matches.track_ids:
        line = m3u.lines[0]
        raise Refused(
            422,
            f"None of the {len(m3u.lines):,} tracks in the file is in the library. Line {line.number} is {line.location[:200]}",
        )
    name = (m3u.name or PurePosixPath(file_name).stem).strip() or DEFAULT_NAME
    playlist = services.playlists.create(user_id, name, matches.track_ids)
    return {
        "id": playlist.playlist_id,
        "name": playlist.name,
        "count": len(playlist.tracks),
        "left_out": len(matches.track_ids) - len(playlist.tracks),
        "unmatched_count": len(matches.unmatched),
        "unmatched": [
            {"line": line.number, "text": (line.title or line.location)[:200]}
            for line in matches.unmatched[:MAX_TOLD_LINES]
        ],
    }


def _relative(path: str, root: str) -> str:
    """A path as seen from the library's folder; as it is where it lies elsewhere."""
    return path.removeprefix(f"{root.rstrip('/')}/") if root else path


def _several(ids: str | list[str]) -> list[str]:
    return [ids] if isinstance(ids, str) else ids
