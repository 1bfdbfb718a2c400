"""The list for listeners without events: a way into the library, not a guess at a taste."""

from __future__ import annotations

from collections import deque
from typing import Any

from batch.index.lsh import Index

UNKNOWN = ""


def opening(tracks: list[dict[str, Any]], index: Index | None, items: int) -> list[dict[str, Any]]:
    """A list across the library: genres in turn, the most typical track of each first, an artist once while others are left.

    tracks : {track_id, title, artist, genre};  index : tells how typical a track is, by how near its neighbours are
    Returns items as in `recommendations`: {track_id, rank, score, because, reason}; there is no taste yet, so score is 0.
    """
    typical = _scales(tracks, index)
    shelves: dict[str, deque[dict[str, Any]]] = {}
    for track in sorted(tracks, key=lambda track: (typical[track["track_id"]], track["track_id"])):
        shelves.setdefault(track.get("genre") or UNKNOWN, deque()).append(track)
    turn = deque(sorted(shelves, key=lambda genre: (genre == UNKNOWN, -len(shelves[genre]), genre)))
    chosen: list[dict[str, Any]] = []
    passed_over: list[dict[str, Any]] = []
    artists: set[str] = set()
    while turn and len(chosen) < items:
        genre = turn.popleft()
        shelf = shelves[genre]
        while shelf and (artist := shelf[0].get("artist") or UNKNOWN) and artist in artists:
            passed_over.append(shelf.popleft())
        if shelf:
            track = shelf.popleft()
            artists.add(track.get("artist") or UNKNOWN)
            chosen.append(track)
            turn.append(genre)
    chosen += passed_over[: items - len(chosen)]
    return [
        {"track_id": track["track_id"], "rank": rank, "score": 0.0, "because": [], "reason": _reason(track)}
        for rank, track in enumerate(chosen, start=1)
    ]


def _reason(track: dict[str, Any]) -> str:
    genre = track.get("genre")
    return f"A way into your library: {genre}" if genre else "A way into your library"


def _scales(tracks: list[dict[str, Any]], index: Index | None) -> dict[str, float]:
    ids = [track["track_id"] for track in tracks]
    if index is None:
        return dict.fromkeys(ids, 0.0)
    return {
        track_id: float(index.scales[row]) if row >= 0 else float("inf")
        for track_id, row in zip(ids, index.rows_of(ids), strict=True)
    }
