"""Routes of the pages of albums, artists and tracks; with `limit` only a part of the page's list."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from itertools import groupby
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from ui.data.library import Track
from ui.dependencies import CurrentListener, Services, ServicesDep
from ui.library.albums import ORDERS, RANDOM, Album
from ui.library.artists import Artist
from ui.library.near import heaviest, near_tracks
from ui.library.track_table import SORTS, AlbumEntry
from ui.page.rendering import render
from ui.responses import Refused

FIRST_ENTRIES = 60
"""Of a list, in its page; the page asks for the others as they come into view."""
MAX_ENTRIES = 200
FIRST_DISC_TRACKS = 200
"""Of a disc, in its album's page: nearly all discs are whole."""
TOP_TRACKS = 5
MAX_COMPARED_TRACKS = 1000
"""Of an artist, of which those played most and what is near to them are shown."""
SHELF_ALBUMS = 12
SHELF_ARTISTS = 12
ORDER_LABELS = (
    ("new", "Recently added"),
    ("name", "By name"),
    ("artist", "By artist"),
    ("year", "By year"),
    (RANDOM, "Random"),
)
SORT_LABELS = (
    ("title", "Title"), ("artist", "Artist"), ("album", "Album"), ("year", "Year"), ("added", "Added"), ("duration", "Duration"),
)  # fmt: skip
REVERSED = "reversed"
NOT_PUBLISHED = "Albums and artists appear when your library has been read once more, which happens in the background."
NO_MUSIC = "No music yet. It appears here once the library is published."

router = APIRouter(prefix="/view", default_response_class=HTMLResponse)

Offset = Annotated[int, Query(ge=0, le=10_000_000)]
Limit = Annotated[int | None, Query(ge=1, le=MAX_ENTRIES)]


@router.get("/albums")
def get_albums(services: ServicesDep, order: str = "new", offset: Offset = 0, limit: Limit = None) -> str:
    if order not in (*ORDERS, RANDOM):
        raise Refused(404, "Albums are sorted by name, artist, year, date added, or shuffled.")
    albums = services.albums.page(order, offset, limit or FIRST_ENTRIES)
    if limit is not None:
        return render("part", kind="albums", entries=albums)
    return render(
        "albums",
        albums=albums,
        count=services.albums.count(),
        note=_note(services),
        order=order,
        orders=ORDER_LABELS,
        again=random.randrange(10**6),  # noqa: S311 - another address, so that the page is asked for again
        letters=services.albums.letters() if order == "name" else [],
    )


@router.get("/album/{album_id}")
def get_album(album_id: str, services: ServicesDep, offset: Offset = 0, limit: Limit = None) -> str:
    """An album in the order of discs and tracks; each disc with its first tracks."""
    album = services.albums.album(album_id)
    entries = services.track_table.of_album(album_id) if album else []
    if album is None or not entries:
        raise Refused(404, "This album is not in the library.")
    shows_artists = album.is_compilation or any(entry.artist != album.artist for entry in entries)
    if limit is not None:
        part = [entry.track_id for entry in entries[offset : offset + limit]]
        return render("part", kind="album", entries=services.library.in_order(part), shows_artists=shows_artists)
    discs = _discs(entries)
    track_by_id = services.library.tracks_of(track_id for disc in discs for track_id in disc.first_ids)
    others = services.albums.by_artist(album.artist_ids[0]) if album.artist_ids else []
    near = near_tracks(services.library, services.track_table, [entry.track_id for entry in entries])
    own_artist = {other.album_id for other in others} | {album_id}
    similar = services.albums.in_order(heaviest(near, lambda track: [track.album_id], own_artist, SHELF_ALBUMS))
    return render(
        "album",
        album=album,
        count=len(entries),
        discs=[(disc, [track_by_id[each] for each in disc.first_ids if each in track_by_id]) for disc in discs],
        shows_artists=shows_artists,
        shelves=[
            (f"More by {album.artist}", [other for other in others if other.album_id != album_id][:SHELF_ALBUMS]),
            ("Similar albums", similar),
        ],
    )


@router.get("/artists")
def get_artists(services: ServicesDep, offset: Offset = 0, limit: Limit = None) -> str:
    artists = services.artists.page(offset, limit or FIRST_ENTRIES)
    if limit is not None:
        return render("part", kind="artists", entries=artists)
    count, letters = services.artists.count(), services.artists.letters()
    return render("artists", artists=artists, count=count, letters=letters, note=_note(services))


@router.get("/artist/{key:path}")
def get_artist(
    key: str, services: ServicesDep, user_id: CurrentListener, offset: Offset = 0, limit: Limit = None
) -> str:
    """An artist by id or name: albums, tracks, similar artists."""
    artist, part_of = _artist(services, key)
    if limit is not None:
        return render("part", kind="artist", entries=services.library.in_order(part_of(offset, limit)))
    albums = services.albums.by_artist(artist.artist_id)
    track_ids = part_of(0, MAX_COMPARED_TRACKS)
    tracks = services.library.in_order(track_ids)
    plays = services.listener_data.history.play_counts(user_id, track_ids) if user_id else {}
    top = sorted(tracks, key=lambda track: -plays.get(track.track_id, 0))[:TOP_TRACKS]
    near = near_tracks(services.library, services.track_table, track_ids)
    own = {album.album_id for album in albums}
    return render(
        "artist",
        key=artist.artist_id or artist.name,
        name=artist.name,
        albums=albums,
        appears_on=_appears_on(services, artist, tracks, own),
        top_tracks=top,
        is_by_plays=any(plays.get(track.track_id) for track in top),
        all_tracks=tracks[:FIRST_ENTRIES],
        count=max(artist.tracks, len(tracks)),
        similar_artists=services.artists.in_order(
            heaviest(near, lambda track: track.artist_ids, [artist.artist_id], SHELF_ARTISTS)
        ),
    )


@router.get("/tracks")
def get_tracks(
    services: ServicesDep,
    sort: str = "title",
    direction: Annotated[str, Query(alias="dir")] = "",
    offset: Offset = 0,
    limit: Limit = None,
) -> str:
    """All tracks."""
    if sort not in SORTS:
        raise Refused(404, f"Tracks are sorted by {', '.join(SORTS)}.")
    is_reversed = direction == REVERSED
    tracks = services.library.in_order(services.track_table.page(sort, is_reversed, offset, limit or FIRST_ENTRIES))
    if limit is not None:
        return render("part", kind="tracks", entries=tracks)
    count = services.track_table.count()
    return render("track-table", tracks=tracks, count=count, sort=sort, is_reversed=is_reversed, sorts=SORT_LABELS)


class _Disc(NamedTuple):
    """A disc of an album.

    offset : of its first track in the album
    tracks : how many
    first_ids : of up to FIRST_DISC_TRACKS
    """

    number: int
    offset: int
    tracks: int
    first_ids: list[str]


def _discs(entries: list[AlbumEntry]) -> list[_Disc]:
    """The discs of an album.  entries : in its order"""
    discs, offset = [], 0
    for number, of_disc in groupby(entries, key=lambda entry: entry.disc):
        ids = [entry.track_id for entry in of_disc]
        discs.append(_Disc(number, offset, len(ids), ids[:FIRST_DISC_TRACKS]))
        offset += len(ids)
    return discs


def _artist(services: Services, key: str) -> tuple[Artist, Callable[[int, int], list[str]]]:
    """The artist, and what gives the ids of their tracks from a place on, by album. Raises Refused."""
    artist = services.artists.find(key)
    if artist is not None:
        table, artist_id = services.track_table, artist.artist_id
        counted_artist = dataclasses.replace(artist, tracks=table.count_of_artist(artist_id))
        return counted_artist, lambda offset, limit: table.of_artist(artist_id, offset, limit)
    index = services.library.search_index()  # published before there were artists
    track_ids = index.by_artist(key)
    if not track_ids:
        raise Refused(404, "This artist is not in the library.")
    artist = Artist("", index.artist_name(key), len(track_ids))
    return artist, lambda offset, limit: track_ids[offset : offset + limit]


def _appears_on(services: Services, artist: Artist, tracks: list[Track], own: set[str]) -> list[Album]:
    """The albums of others that have tracks of the artist.  tracks : the first MAX_COMPARED_TRACKS of them"""
    album_ids = [track.album_id for track in tracks]
    if artist.tracks > len(tracks):
        album_ids = services.track_table.albums_of_artist(artist.artist_id)
    return services.albums.in_order(album_id for album_id in album_ids if album_id not in own)


def _note(services: Services) -> str:
    """Why there is nothing to list."""
    return NOT_PUBLISHED if services.track_table.count() else NO_MUSIC
