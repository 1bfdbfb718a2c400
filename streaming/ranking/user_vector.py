"""The user vector: a listener's liked and rejected tracks with their weights, and the interests they form. No Spark, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from batch.index.lsh import Rows
from batch.index.projection import Floats
from streaming.profile.profile import HEARD_AT, Profile
from streaming.profile.track_table import Floats64
from streaming.profile.weights import Weights, track_weights
from streaming.ranking.interests import Interest, interests
from streaming.ranking.neighbour_cache import CachedIndex, Points, scaled_distances, similarity, sorted_unique

if TYPE_CHECKING:
    from conf.settings import Taste

MOST_LIKED_TRACKS = 48
MOST_JUDGED_TRACKS = 32
"""Of the liked tracks: those that have a verdict or a wish."""
MOST_LISTENED_TRACKS = 128
"""The latest of the tracks that were only listened to; others say nothing more of the taste."""
LISTENED_PER_CROWD = 3
CROWD_RADIUS = 0.5
"""Of tracks that were only listened to, the latest LISTENED_PER_CROWD within this share of the median distance count: more are
what the lists brought, not a larger wish for them."""
MOST_REJECTED_TRACKS = 40
MOST_SESSION_TRACKS = 12
MOST_ATTENDED_TRACKS = 40
"""The latest tracks that attention looks at; the recency of older ones is next to 0."""
SHOWN_TRACKS_PER_INTEREST = 8
SHOWN_HEARD_TRACKS = 30


@dataclass(frozen=True)
class UserVector:
    """What a list follows, heaviest first; tracks that the index lacks are left out.

    liked_ids, rejected_ids : track ids
    rows : of the liked tracks
    points, weights : of the liked tracks; weights are positive
    touched_at : of the liked tracks, in seconds since 1970
    rejected_rows, rejected_points, rejected_weights : of the rejected tracks; weights are positive
    interests : clusters of the liked tracks, heaviest first
    session : positions of the liked tracks of the latest session, latest first
    """

    liked_ids: list[str]
    rows: Rows
    points: Points
    weights: Floats
    touched_at: Floats64
    rejected_ids: list[str]
    rejected_rows: Rows
    rejected_points: Points
    rejected_weights: Floats
    interests: list[Interest]
    session: NDArray[np.int64]

    @cached_property
    def groups(self) -> list[NDArray[np.int64]]:
        """Positions of the liked tracks that places of the list are made from: of each interest, then of the session."""
        members = [np.array(interest.members, dtype=np.int64) for interest in self.interests]
        return [*members, self.session] if len(self.session) else members

    @cached_property
    def membership(self) -> NDArray[np.bool_]:
        """Whether each liked track is in each group [shape=(groups, liked)]."""
        is_member = np.zeros((len(self.groups), len(self.rows)), dtype=bool)
        for group, members in enumerate(self.groups):
            is_member[group, members] = True
        return is_member

    @property
    def query_rows(self) -> Rows:
        """Rows whose neighbours are candidates first: each interest's medoid, and the latest liked tracks of the session."""
        positions = [*(interest.medoid for interest in self.interests), *self.session[:1].tolist()]
        return sorted_unique(self.rows[positions]) if positions else self.rows[:0]

    def profile_fields(self, profile: Profile) -> dict[str, Any]:
        """Fields of the profile's document for readers: centres (interests), rejected, disliked and heard tracks."""
        latest = np.argsort(-profile.heard.column(HEARD_AT), kind="stable")[:SHOWN_HEARD_TRACKS]
        return {
            "centres": [
                {
                    "weight": round(interest.share, 4),
                    "tracks": [self.liked_ids[position] for position in interest.members[:SHOWN_TRACKS_PER_INTEREST]],
                }
                for interest in self.interests
            ],
            "rejected": self.rejected_ids,
            "disliked": profile.disliked,
            "heard": [profile.heard.ids[row] for row in latest.tolist()],
        }


def user_vector(profile: Profile, index: CachedIndex, taste: Taste) -> UserVector:
    """The listener's user vector at the time of the latest event."""
    of_all_tracks = track_weights(profile, profile.latest_at, taste)
    weights, rows = _of_recordings(of_all_tracks, index)
    points = index.points(rows)
    attended = _attended(weights, _tracks_since(weights, of_all_tracks), points, profile.latest_at, taste)
    by_weight = np.lexsort((rows, -weights.touched_at, -np.abs(attended)))
    liked, represented = _representatives(
        by_weight[attended[by_weight] > 0],
        weights,
        points,
        CROWD_RADIUS * index.median_distance,
        profile.session_at,
    )
    rejected = by_weight[attended[by_weight] < 0][:MOST_REJECTED_TRACKS]
    liked_points = points.take(liked)
    in_session = np.flatnonzero(weights.touched_at[liked] >= profile.session_at) if profile.session_at else liked[:0]
    return UserVector(
        [weights.ids[position] for position in liked.tolist()],
        rows[liked],
        liked_points,
        attended[liked].astype(np.float32),
        weights.touched_at[liked],
        [weights.ids[position] for position in rejected[np.argsort(-weights.touched_at[rejected])].tolist()],
        rows[rejected],
        points.take(rejected),
        -attended[rejected].astype(np.float32),
        interests(
            liked_points,
            attended[liked],
            represented,
            taste.centres,
            taste.centre_reach * index.median_distance,
        ),
        in_session[np.argsort(-weights.touched_at[liked][in_session], kind="stable")][:MOST_SESSION_TRACKS],
    )


def _of_recordings(weights: Weights, index: CachedIndex) -> tuple[Weights, Rows]:
    """(weights of the recordings that the index has, their rows): tracks of one recording are one, with their sums.

    The row and id are those of the track with the largest weight.
    """
    rows = index.rows_of(weights.ids)
    held = np.flatnonzero(rows >= 0)
    order = held[np.argsort(-np.abs(weights.weights[held]), kind="stable")]
    recordings, first, inverse = np.unique(index.recordings(rows[order]), return_index=True, return_inverse=True)
    del recordings
    strongest = order[first]
    summed, stated = np.zeros(len(first)), np.zeros(len(first))
    touched_at = np.zeros(len(first))
    np.add.at(summed, inverse, weights.weights[order])
    np.add.at(stated, inverse, weights.stated[order])
    np.maximum.at(touched_at, inverse, weights.touched_at[order])
    merged = Weights([weights.ids[position] for position in strongest.tolist()], summed, stated, touched_at)
    return merged, rows[strongest]


def _representatives(
    liked: NDArray[np.int64], weights: Weights, points: Points, radius: float, session_at: float
) -> tuple[NDArray[np.int64], Floats64]:
    """(up to MOST_LIKED_TRACKS of the liked tracks, heaviest first: judged ones, those of the latest session first, and of
    those only listened to the latest around each place; how many judged tracks each stands for).

    liked : positions, heaviest first
    points : of all tracks with weights
    radius : of a crowd, in local scales
    session_at : when the latest session began, 0 where there was none
    """
    is_judged = weights.stated[liked] > 0
    judged, listened = liked[is_judged], liked[~is_judged]
    represented = np.ones(len(weights.ids))
    if len(judged) > MOST_JUDGED_TRACKS:
        latest = judged[np.argsort(-weights.touched_at[judged], kind="stable")][:MOST_SESSION_TRACKS]
        in_session = latest[weights.touched_at[latest] >= session_at] if session_at else latest[:0]
        others, places = judged[~np.isin(judged, in_session)], MOST_JUDGED_TRACKS - len(in_session)
        # half the heaviest, half evenly from the rest, so that no interest is forgotten, nor loses of its share
        half = places // 2
        evenly = others[np.linspace(half, len(others) - 1, places - half).astype(int)]
        represented[evenly] = (len(others) - half) / len(evenly)
        judged = np.concatenate([in_session, others[:half], evenly])
    latest_first = listened[np.argsort(-weights.touched_at[listened], kind="stable")][:MOST_LISTENED_TRACKS]
    listened_points = points.take(latest_first)
    is_in_crowd = scaled_distances(listened_points, listened_points) <= radius * radius
    later_in_crowd = np.tril(is_in_crowd, -1).sum(axis=1)
    listened = latest_first[later_in_crowd < LISTENED_PER_CROWD][: MOST_LIKED_TRACKS - len(judged)]
    chosen = liked[np.isin(liked, np.concatenate([judged, listened]))]
    return chosen, represented[chosen]


def _tracks_since(weights: Weights, of_all_tracks: Weights) -> NDArray[np.int64]:
    """How many tracks were touched after each; those that the index lacks count, too [shape=(weights,)]."""
    times = np.sort(of_all_tracks.touched_at)
    return len(times) - np.searchsorted(times, weights.touched_at, side="right")


def _attended(weights: Weights, tracks_since: NDArray[np.int64], points: Points, now: float, taste: Taste) -> Floats64:
    """The weights, those of liked tracks reduced where similar ones are skipped now.

    Without it, a sum over weeks would take weeks to notice that the listener wants something else. A liked track keeps the share
    of its weight by which support outweighs pressure. Support comes from similar liked tracks, pressure from similar rejected
    ones; each counts half as much for every `taste.attention_tracks` tracks touched since, and pressure decays with the session.

    tracks_since : how many tracks were touched after each [shape=(weights,)]
    points : of these tracks
    """
    values, touched_at = weights.weights, weights.touched_at
    liked, rejected = np.flatnonzero(values > 0), np.flatnonzero(values < 0)
    if not len(liked) or not len(rejected) or not taste.impatience:
        return values
    recency = 0.5 ** (tracks_since / taste.attention_tracks)
    latest_liked, latest_rejected = (
        group[np.argsort(tracks_since[group])[:MOST_ATTENDED_TRACKS]] for group in (liked, rejected)
    )
    age_s = np.maximum(0.0, now - touched_at[latest_rejected])
    fading = 0.5 ** (age_s / (60 * taste.session_half_life_minutes))
    if fading.max() < 0.01:
        return values
    strengths = np.minimum(np.abs(values), 1.0)
    liked_points = points.take(liked)
    support = similarity(liked_points, points.take(latest_liked)) @ (recency * strengths)[latest_liked]
    support = np.maximum(support, (recency * strengths)[liked])
    pressure = similarity(liked_points, points.take(latest_rejected)) @ (
        recency[latest_rejected] * strengths[latest_rejected] * fading
    )
    attended = values.copy()
    attended[liked] *= np.clip(1 - taste.impatience * pressure / np.maximum(support, 1e-12), 0.0, 1.0)
    return attended
