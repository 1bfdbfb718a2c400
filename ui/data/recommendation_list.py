"""A listener's lists of recommendations, "For you" and named ones, as `publish` and the stream write them to MongoDB."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from batch.mongo import NEW_LISTENERS
from ui.data.history import list_in
from ui.data.mongo import Document

FOR_YOU = "for-you"


@dataclass(frozen=True)
class Item:
    """A place in a list.

    score : None where the list has none
    because : ids of the listener's tracks that led to this one
    explore : whether the place goes to a track unlike those played
    parts : the score's terms, by name
    percentile : share of all tracks that are less similar to what was played, 0 to 100; None where unknown
    """

    track_id: str
    rank: int
    score: float | None = None
    because: tuple[str, ...] = ()
    reason: str = ""
    explore: bool = False
    parts: Mapping[str, float] = field(default_factory=dict)
    percentile: float | None = None


@dataclass(frozen=True)
class Recommendations:
    """A ranked list.

    user_id : the listener, or NEW_LISTENERS for the list of those without their own
    name : FOR_YOU or one of `streaming.documents.LIST_NAMES`
    reason : what all its items have in common; "" for "For you"
    """

    user_id: str
    items: tuple[Item, ...]
    generation: int | None = None
    generated_at: datetime | None = None
    model_version: str = ""
    events_applied: int | None = None
    name: str = FOR_YOU
    title: str = "For you"
    reason: str = ""

    @property
    def is_personal(self) -> bool:
        return self.user_id != NEW_LISTENERS

    @property
    def change_token(self) -> str:
        """A string that differs as soon as there is another list."""
        generated_at = self.generated_at.isoformat() if self.generated_at else ""
        return f"{self.user_id}:{self.generation}:{generated_at}:{self.model_version}"


def read_recommendations(document: Document) -> Recommendations:
    """The list that a document of `recommendations` holds; missing fields and those of another type get defaults."""
    generated_at = document.get("generated_at")
    if isinstance(generated_at, datetime) and generated_at.tzinfo is None:
        generated_at = generated_at.replace(tzinfo=UTC)
    return Recommendations(
        user_id=str(document["_id"]),
        items=_read_items(document),
        generation=_whole(document.get("generation")),
        generated_at=generated_at if isinstance(generated_at, datetime) else None,
        model_version=str(document.get("model_version") or ""),
        events_applied=_whole(document.get("events_applied")),
    )


def read_named_lists(document: Document) -> tuple[Recommendations, ...]:
    """The lists that a document of `mixes` holds, of any version, also those of names that this version does not know."""
    common = read_recommendations({**document, "items": ()})
    return tuple(
        replace(
            common,
            items=_read_items(each),
            name=str(each["name"]),
            title=str(each.get("title") or each["name"]),
            reason=str(each.get("reason") or ""),
        )
        for each in list_in(document, "lists")
        if isinstance(each, dict) and each.get("name")
    )


def _read_items(document: Document) -> tuple[Item, ...]:
    items = [
        _read_item(item, position)
        for position, item in enumerate(list_in(document, "items"), start=1)
        if isinstance(item, dict) and item.get("track_id") is not None
    ]
    return tuple(sorted(items, key=lambda item: item.rank))


def _read_item(item: Document, position: int) -> Item:
    parts = item.get("parts")
    return Item(
        track_id=str(item["track_id"]),
        rank=_whole(item.get("rank")) or position,
        score=_number(item.get("score")),
        because=tuple(str(track_id) for track_id in list_in(item, "because")),
        reason=str(item.get("reason") or ""),
        explore=bool(item.get("explore")),
        parts={str(name): float(part) for name, part in parts.items() if _number(part) is not None}
        if isinstance(parts, dict)
        else {},
        percentile=_number(item.get("percentile")),
    )


def _number(value: Any) -> float | None:
    """The value as a finite number; None for others."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)
