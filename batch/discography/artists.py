"""The artists of tracks and albums, and their documents."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from batch.discography.albums import TrackEntry
from batch.discography.names import artist_id, commonest, index_letter, sort_key

ARTIST_VERSION = 1


def artist_ids(track: TrackEntry) -> list[str]:
    """The ids of a track's artists, in order; placeholders are left out."""
    return list(dict.fromkeys(identifier for name in track.each_artist if (identifier := artist_id(name))))


def artist_documents(tracks: Iterable[TrackEntry], albums: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The documents of the collection `artists`: the artists of tracks, and of albums.

    albums : the result of `album_documents`
    """
    spellings: dict[str, list[str]] = defaultdict(list)
    library_by_artist: dict[str, str | None] = {}
    track_counts: Counter[str] = Counter()
    cover_track: dict[str, str] = {}
    for track in tracks:
        for name in track.each_artist:
            if identifier := artist_id(name):
                spellings[identifier].append(name)
        for identifier in artist_ids(track):
            track_counts[identifier] += 1
            library_by_artist.setdefault(identifier, track.library)
            cover_track.setdefault(identifier, track.track_id)
    album_counts: Counter[str] = Counter()
    cover_album: dict[str, str] = {}
    for album in sorted(albums, key=lambda album: (-album["tracks"], album["_id"])):
        for identifier in album["artist_ids"]:
            spellings[identifier].append(album["artist"])
            album_counts[identifier] += 1
            library_by_artist.setdefault(identifier, album["library"])
            cover_album.setdefault(identifier, album["_id"])
    documents = []
    for identifier, names in spellings.items():
        name = commonest(names)
        key = sort_key(name)
        documents.append(
            {
                "_id": identifier,
                "name": name,
                "tracks": track_counts[identifier],
                "albums": album_counts[identifier],
                "cover_album": cover_album.get(identifier),
                "cover_track": cover_track.get(identifier),
                "library": library_by_artist.get(identifier),
                "sort_name": key,
                "letter": index_letter(key),
                "version": ARTIST_VERSION,
            }
        )
    return documents
