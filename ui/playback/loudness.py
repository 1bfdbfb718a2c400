"""ReplayGain of a track, from its document in `tracks`, as the page applies it."""

from __future__ import annotations

import math

from pymongo.database import Database

from streaming.events import identifier_problem
from ui.data.mongo import Document, unavailable_on_error

NAME_BY_FIELD = {
    "track_gain_db": "trackGainDb",
    "track_peak": "trackPeak",
    "album_gain_db": "albumGainDb",
    "album_peak": "albumPeak",
}


def loudness_document(db: Database[Document], track_id: str) -> Document:
    """The fields of a track's document that `read_loudness` reads; empty without the track. Raises LibraryUnavailable."""
    if identifier_problem(track_id) is not None:
        return {}
    with unavailable_on_error():
        return db.tracks.find_one({"_id": track_id}, dict.fromkeys(NAME_BY_FIELD, 1)) or {}


def read_loudness(document: Document) -> dict[str, float | None]:
    """Gains in dB and peaks (1 is full scale) by the names that the page uses; None for what is missing or no number."""
    return {name: _number(document.get(field)) for field, name in NAME_BY_FIELD.items()}


def _number(value: object) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None  # type: ignore[arg-type]
