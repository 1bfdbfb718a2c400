"""Routes of search: the page of results, and tracks as JSON for fields that name one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from ui.data.library import Track
from ui.dependencies import CurrentListener, Services, ServicesDep
from ui.library.albums import Album
from ui.library.artists import Artist
from ui.library.routes import FIRST_ENTRIES, Limit, Offset
from ui.page.rendering import render
from ui.playlists.cards import PlaylistCard, playlist_cards
from ui.playlists.store import PlaylistSummary
from ui.search.entries import Entry
from ui.search.grouped import Group, Results, search

PREVIEW_SIZES: dict[Group, int] = {"artists": 7, "albums": 7, "tracks": 6, "playlists": 7, "sound": 10}
"""What the page shows of each group before it is opened."""
MAX_SUGGESTIONS = 40
TITLES: dict[Group, str] = {
    "artists": "Artists",
    "albums": "Albums",
    "tracks": "Tracks",
    "playlists": "Your playlists",
    "sound": "Sounds like",
}

router = APIRouter()

Text = Annotated[str, Query(max_length=10_000)]


@router.get("/search")
def suggest_tracks(services: ServicesDep, q: Text = "", limit: int = 8) -> dict[str, list[dict[str, str]]]:
    """The best tracks, for a field that names one."""
    tracks = services.library.search(q, max(1, min(limit, MAX_SUGGESTIONS)))
    return {
        "tracks": [
            {"id": track.track_id, "title": track.title or "Untitled", "artist": track.artist or "Unknown artist"}
            for track in tracks
        ]
    }


@router.get("/view/search", response_class=HTMLResponse)
def get_search(
    user_id: CurrentListener,
    services: ServicesDep,
    q: Text = "",
    group: Group | None = None,
    offset: Offset = 0,
    limit: Limit = None,
) -> str:
    """The first results of every group, or all of one group's; with `limit` a part of these."""
    playlists = services.playlists.summaries(user_id) if user_id and q.strip() else []
    results = search(services.library.search_index(), q, [_entry(playlist) for playlist in playlists])
    if group is None:
        return _overview(services, results, playlists)
    shown = _shown(services, results, playlists, group, offset, limit or FIRST_ENTRIES)
    if limit is not None:
        return render("part", kind=group, entries=shown)
    return render(
        "search_group",
        query=results.query,
        corrected=results.corrected,
        title=_title(results, group),
        group=group,
        count=results.count(group),
        entries=shown,
        paged=f"/view/search?{_parameters(results.query, group)}",
        address=group_address,
    )


def group_address(query: str, group: Group | None = None) -> str:
    """The address of results on the page."""
    return f"#/search?{_parameters(query, group)}"


def _parameters(query: str, group: Group | None) -> str:
    return urlencode({"q": query} | ({"group": group} if group else {}), quote_via=quote)


def _overview(services: Services, results: Results, playlists: list[PlaylistSummary]) -> str:
    best_group, best_id = results.best_hit or ("tracks", "")
    order: list[Group] = ["tracks", "artists", "albums", "playlists"]
    order.insert(0 if results.words.is_of_sound_alone else len(order), "sound")
    groups = [
        {
            "group": group,
            "title": _title(results, group),
            "count": results.count(group),
            "entries": _shown(services, results, playlists, group, 0, PREVIEW_SIZES[group]),
        }
        for group in order
        if results.count(group) > (group == best_group != "tracks")  # the best hit alone needs no group
    ]
    best = results.entries(best_group, 0, 1) if best_id and best_group != "tracks" else []
    return render(
        "search",
        query=results.query,
        corrected=results.corrected,
        groups=groups,
        best_group=best_group,
        best_entry=best[0] if best else None,
        best_cover=_cover_of(services, best_group, best[0].entry_id) if best else "",
        radio_words=" ".join([*(word.name for word in results.words.words), results.words.rest]).strip(),
        address=group_address,
    )


def _title(results: Results, group: Group) -> str:
    if group != "sound":
        return TITLES[group]
    about = f" and “{results.words.rest}”" if results.words.rest else ""
    return f"Sounds like: {results.words.labels}{about}"


def _shown(
    services: Services, results: Results, playlists: list[PlaylistSummary], group: Group, offset: int, limit: int
) -> Sequence[Track | Album | Artist | PlaylistCard]:
    if group in ("tracks", "sound"):
        return services.library.in_order(results.track_ids(group, offset, limit))
    ids = [entry.entry_id for entry in results.entries(group, offset, limit)]
    if group == "albums":
        return services.albums.in_order(ids)
    if group == "artists":
        return services.artists.in_order(ids)
    playlist_by_id = {playlist.playlist_id: playlist for playlist in playlists}
    return playlist_cards(services.library, [playlist_by_id[playlist_id] for playlist_id in ids])


def _cover_of(services: Services, group: Group, identifier: str) -> str:
    """The address of the cover of an album, or of an artist's."""
    if group == "albums":
        return f"/covers/album/{identifier}"
    artist = next(iter(services.artists.in_order([identifier])), None)
    if artist is not None and artist.cover_album:
        return f"/covers/album/{artist.cover_album}"
    return f"/covers/track/{quote((artist.cover_track if artist else '') or identifier, safe='')}"


def _entry(playlist: PlaylistSummary) -> Entry:
    return Entry(playlist.playlist_id, playlist.name or "Playlist", size=playlist.count)
