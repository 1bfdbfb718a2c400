"""The list for new listeners: a cross-section of the library for those without events."""

from __future__ import annotations

from collections import deque
from typing import Any

from batch.index.lsh import Index

_MISSING = ""


def list_for_new_listeners(tracks: list[dict[str, Any]], index: Index | None, items: int) -> list[dict[str, Any]]:
    """Round robin over the genres, most typical track first, one of each recording; each artist once as long as others remain.

    tracks : {track_id, title, artist, genre}
    index : gives each track's recording, and its local scale; the smaller, the more typical. None: by track id
    items : length of the list
    Returns items as in `recommendations`: {track_id, rank, score, because, reason}; score is 0, as there is no taste yet.
    """
    scale_by_id = _local_scales(tracks, index)
    queue_by_genre: dict[str, deque[dict[str, Any]]] = {}
    most_typical_first = sorted(tracks, key=lambda track: (scale_by_id[track["track_id"]], track["track_id"]))
    for track in _one_of_each_recording(most_typical_first, index):
        queue_by_genre.setdefault(track.get("genre") or _MISSING, deque()).append(track)
    turns = deque(sorted(queue_by_genre, key=lambda genre: (genre == _MISSING, -len(queue_by_genre[genre]), genre)))
    chosen: list[dict[str, Any]] = []
    passed_over: list[dict[str, Any]] = []
    artists: set[str] = set()
    while turns and len(chosen) < items:
        genre = turns.popleft()
        queue = queue_by_genre[genre]
        while queue and (artist := queue[0].get("artist") or _MISSING) and artist in artists:
            passed_over.append(queue.popleft())
        if queue:
            track = queue.popleft()
            artists.add(track.get("artist") or _MISSING)
            chosen.append(track)
            turns.append(genre)
    chosen += passed_over[: items - len(chosen)]
    return [
        {"track_id": track["track_id"], "rank": rank, "score": 0.0, "because": [], "reason": _reason(track)}
        for rank, track in enumerate(chosen, start=1)
    ]


def _one_of_each_recording(tracks: list[dict[str, Any]], index: Index | None) -> list[dict[str, Any]]:
    """The first track of each recording; those that the index lacks are recordings of their own."""
    if index is None or index.recordings is None:
        return tracks
    chosen, recordings = [], set[int]()
    for track, row in zip(tracks, index.rows_of([track["track_id"] for track in tracks]).tolist(), strict=True):
        recording = int(index.recordings[row]) if row >= 0 else -1
        if recording not in recordings:
            chosen.append(track)
            recordings |= {recording} - {-1}
    return chosen


def _reason(track: dict[str, Any]) -> str:
    genre = track.get("genre")
    return f"{genre}: a way into your library" if genre else "A way into your library"


def _local_scales(tracks: list[dict[str, Any]], index: Index | None) -> dict[str, float]:
    """Local scale by track id; infinite for tracks that the index lacks."""
    ids = [track["track_id"] for track in tracks]
    if index is None:
        return dict.fromkeys(ids, 0.0)
    return {
        track_id: float(index.scales[row]) if row >= 0 else float("inf")
        for track_id, row in zip(ids, index.rows_of(ids), strict=True)
    }
