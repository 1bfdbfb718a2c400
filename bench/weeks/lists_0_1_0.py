"""Lists by version 0.1.0, whose checkout is on the path; it knows no visits."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
from batch.opening import opening
from batch.space import Space
from libraries import LabelledLibrary
from projection import numbers
from streaming.candidates import Catalogue as Candidates
from streaming.recommendations import items
from streaming.taste import Profile

from batch.index import NEAR, index, with_local_scales
from conf.settings import settings
from streaming.events import Event


class Lists:
    """Makes the lists of all listeners over one library.  length : of a list"""

    def __init__(self, library: LabelledLibrary, length: int) -> None:
        space = Space(*numbers(library.features))
        built = with_local_scales(index(library.ids, library.features, library.artists, space))
        similar = built.similar(np.arange(len(built)), min(NEAR, len(built) - 1))
        self.candidates = Candidates(replace(built, near=np.stack([rows for rows, _ in similar]).astype(np.int32)))
        heads = [
            {"track_id": track_id, "title": "", "artist": artist, "genre": ""}
            for track_id, artist in zip(library.ids, library.artists, strict=True)
        ]
        self.first_ids = [item["track_id"] for item in opening(heads, built, length)]
        self.length = length
        self.taste = settings().taste

    def listener(self, name: str) -> Any:
        return Listener(self, name)


class Listener:
    """One listener's profile and lists."""

    def __init__(self, lists: Lists, name: str) -> None:
        self.lists, self.profile, self.offset = lists, Profile(name), 0

    def act(self, track_id: str, action: str, when: datetime, position_ms: int | None, duration_ms: int) -> None:
        event_id = f"{self.profile.user_id}-{self.offset}"
        event = Event(self.profile.user_id, track_id, action, when, event_id, position_ms, duration_ms)
        self.profile = self.profile.after(event, "", "simulated", self.offset, self.lists.taste)
        self.offset += 1

    def visit(self, when: datetime) -> None:
        pass

    def items(self) -> list[tuple[str, bool]]:
        """(track id, whether it explores) of the list as it is now."""
        lists = self.lists
        found = items(self.profile, lists.candidates, lists.first_ids, lists.length, lists.taste)
        return [(item.track_id, item.explore) for item in found]
