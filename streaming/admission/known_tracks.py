"""Which tracks there are, as both queries see it: a track is known when MongoDB's `tracks` has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

    from pymongo.database import Database


def titles(track_ids: Collection[str], database: Database[dict[str, Any]]) -> dict[str, str]:
    """{track id: title} for those that are known."""
    if not track_ids:
        return {}
    found = database.tracks.find({"_id": {"$in": sorted(track_ids)}}, {"title": 1})
    return {document["_id"]: document.get("title") or "" for document in found}
