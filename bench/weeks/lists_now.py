"""Lists by this version of the code."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
from libraries import LabelledLibrary
from projection import numbers

from batch.index.building import build_index, with_local_scales
from batch.index.lsh import STORED_NEIGHBOURS
from batch.index.projection import Projection
from batch.model.cold_start import list_for_new_listeners
from conf.settings import settings
from streaming.events import VISIT, Event
from streaming.profile.profile import Profile
from streaming.ranking.neighbour_cache import CachedIndex
from streaming.ranking.ranker import ranked_list


class Lists:
    """Makes the lists of all listeners over one library.  length : of a list"""

    def __init__(self, library: LabelledLibrary, length: int) -> None:
        projection = Projection(*numbers(library.features))
        index = with_local_scales(build_index(library.ids, library.features, library.artists, projection))
        similar = index.similar(np.arange(len(index)), min(STORED_NEIGHBOURS, len(index) - 1))
        neighbours = np.stack([rows for rows, _ in similar]).astype(np.int32)
        self.index = CachedIndex(replace(index, stored_neighbours=neighbours))
        heads = [
            {"track_id": track_id, "title": "", "artist": artist, "genre": ""}
            for track_id, artist in zip(library.ids, library.artists, strict=True)
        ]
        self.new_listener_ids = [item["track_id"] for item in list_for_new_listeners(heads, index, length)]
        self.length = length
        self.taste = settings().taste

    def listener(self, name: str) -> Listener:
        return Listener(self, name)


class Listener:
    """One listener's profile and lists."""

    def __init__(self, lists: Lists, name: str) -> None:
        self.lists, self.profile, self.offset = lists, Profile(name), 0

    def act(self, track_id: str, action: str, when: datetime, position_ms: int | None, duration_ms: int) -> None:
        self._send(Event(self.profile.user_id, track_id, action, when, self._id(), position_ms, duration_ms))

    def visit(self, when: datetime) -> None:
        self._send(Event(self.profile.user_id, None, VISIT, when, self._id()))

    def items(self) -> list[tuple[str, bool]]:
        """(track id, whether it explores) of the list as it is now."""
        lists = self.lists
        found = ranked_list(self.profile, lists.index, lists.new_listener_ids, lists.length, lists.taste)
        return [(item.track_id, item.explore) for item in found]

    def _id(self) -> str:
        return f"{self.profile.user_id}-{self.offset}"

    def _send(self, event: Event) -> None:
        self.profile = self.profile.after(event, "", "simulated", self.offset, self.lists.taste)
        self.offset += 1
