"""A listener's deletion holds whatever is being written of the listener meanwhile.

The player first writes the time of the deletion to `deletions`, then deletes the documents (`/me/forget`). Serving first writes
documents, then looks at `deletions`: either it sees the deletion and takes back what it has written, or the player deletes that.
Each document notes the deletion that was known, as `deleted_at`. After a crash in between, one that notes an earlier deletion or
none is recognised as of before, and removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from streaming.admission.rules import deletion_times
from streaming.documents import DELETIONS, NOTED_SINCE_VERSION, deleted_at_from
from streaming.serving.writes import ConcurrentWrite

if TYPE_CHECKING:
    from pymongo.collection import Collection
    from pymongo.database import Database

DERIVED_COLLECTIONS = ("profiles", "recommendations", "mixes")
"""Those whose documents note the deletion that was known; `_id` is the user id."""


def take_back_if_deleted(
    documents: Iterable[Mapping[str, Any]], collection: Collection[dict[str, Any]], database: Database[dict[str, Any]]
) -> None:
    """Removes the documents, which were just written, whose listeners' data were deleted since. Raises ConcurrentWrite then."""
    noted = {document["_id"]: document.get("deleted_at") for document in documents}
    deleted_at = deletion_times(noted, database) if noted else {}
    overtaken = {user_id: time for user_id, time in deleted_at.items() if noted[user_id] != time}
    _remove_earlier(overtaken, collection)
    if overtaken:
        raise ConcurrentWrite(f"data of {len(overtaken)} listeners were deleted meanwhile")


def remove_what_is_of_before(users: Iterable[str] | None, database: Database[dict[str, Any]]) -> None:
    """Removes what was written of listeners in spite of their deletion, by an attempt that crashed.  users : None: of all"""
    deleted_at = noted_deletions(users, database)
    for name in DERIVED_COLLECTIONS:
        _remove_earlier(deleted_at, database[name])


def noted_deletions(users: Iterable[str] | None, database: Database[dict[str, Any]]) -> dict[str, datetime]:
    """{user id: time} of the deletions that documents note: those of earlier versions are not noted in what was written since."""
    query: dict[str, Any] = {"version": {"$gte": NOTED_SINCE_VERSION}}
    if users is not None:
        query["_id"] = {"$in": sorted(users)}
    times = {document["_id"]: deleted_at_from(document) for document in database[DELETIONS].find(query)}
    return {user_id: time for user_id, time in times.items() if time is not None}


def _remove_earlier(deleted_at: Mapping[str, datetime], collection: Collection[dict[str, Any]]) -> None:
    """Removes documents that note another deletion than their listener's last one, or none.  deleted_at : by user id"""
    from pymongo import DeleteOne

    requests = [DeleteOne({"_id": user_id, "deleted_at": {"$ne": time}}) for user_id, time in deleted_at.items()]
    if requests:
        collection.bulk_write(requests, ordered=False)
