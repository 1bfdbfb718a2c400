"""A track as the scripts handle it: the type `Track` of ui/static/track.js, which they otherwise read from a card."""

from __future__ import annotations

from typing import Any

from ui.data.library import Track
from ui.page.licences import licence


def track_json(track: Track, source: str, model_version: str = "") -> dict[str, Any]:
    """The track's JSON.

    source, model_version : of its events
    """
    track_licence = licence(track.licence)
    return {
        "id": track.track_id,
        "title": track.title or "Untitled",
        "artist": track.artist or "Unknown artist",
        "licence": track_licence.name,
        "licenceUrl": track_licence.url,
        "artistToMute": track.artist,
        "genreToMute": track.genre,
        "durationMs": None if track.duration_s is None else round(track.duration_s * 1000),
        "source": source,
        "modelVersion": model_version,
    }
