"""Why an item is in a list, said only where it is true. No Spark, no I/O."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from streaming.profile.profile import DAY_S, Profile
from streaming.ranking.attraction import Attraction, Scale
from streaming.ranking.user_vector import UserVector

MOST_REASON_TRACKS = 3
LEAST_REASON_SHARE = 0.05
"""Of the attraction by the strongest reason; weaker ones are none."""
DIFFERENT = "Something different"
FURTHER = "A little further from what you like"
CLOSE = "Close to what you like"
START = "A way into your library"
LITTLE_LEFT = "Heard lately; little else is left"


def because(
    group: NDArray[np.int64], candidate: int, vector: UserVector, drawn: Attraction, limits: Scale
) -> list[int]:
    """Positions of up to MOST_REASON_TRACKS liked tracks of the group to which the candidate is among the nearest of all
    tracks."""
    shares = drawn.by_track[group, candidate]
    similarities = shares / np.maximum(vector.weights[group], 1e-12)
    is_near = similarities >= limits.by_track[group]
    strongest = group[np.argsort(-np.where(is_near, shares, -1.0), kind="stable")][:MOST_REASON_TRACKS]
    by_track = drawn.by_track[:, candidate]
    is_near_by_position = dict(zip(group.tolist(), is_near.tolist(), strict=True))
    largest = float(by_track[strongest].max(initial=0.0))
    return [
        position
        for position in strongest.tolist()
        if is_near_by_position[position] and by_track[position] > LEAST_REASON_SHARE * largest
    ]


def because_text(track_ids: list[str], profile: Profile) -> str:
    """`Because you liked “A”, also like “B”`; CLOSE without tracks whose titles are known."""
    titled = [(track_id, profile.titles[track_id]) for track_id in track_ids if profile.titles.get(track_id)]
    if not titled:
        return CLOSE if not track_ids else _action_text(track_ids[0], profile).strip()
    first_id, first = titled[0]
    text = f"{_action_text(first_id, profile)}“{first}”"
    return text if len(titled) == 1 else f"{text}, also like “{titled[1][1]}”"


def rested_text(age_s: float) -> str:
    """`Not heard for 5 weeks`."""
    days = age_s / DAY_S
    for size, name in ((365.25, "year"), (30.44, "month"), (7.0, "week"), (1.0, "day")):
        if days >= 1.5 * size or name == "day":
            count = max(1, round(days / size))
            return f"Not heard for {count} {name}{'' if count == 1 else 's'}"
    return ""


def _action_text(track_id: str, profile: Profile) -> str:
    actions: Mapping[str, str] = {"like": "you liked", "more": "you want more of"}
    action = actions.get(profile.verdict(track_id)) or actions.get(profile.wish(track_id)) or "you played"
    return f"Because {action} "
