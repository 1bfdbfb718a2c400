"""The user vector: a listener's liked and rejected tracks with their weights, and the interests they form. No Spark, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from batch.index.lsh import Rows
from batch.index.projection import Floats
from streaming.profile.profile import Floats64, Opinion, Profile, opinion_weights
from streaming.ranking.interests import Interest, interests
from streaming.ranking.neighbour_cache import CachedIndex, Points, similarity, sorted_unique

if TYPE_CHECKING:
    from conf.settings import Taste

MOST_LIKED_TRACKS = 30
MOST_REJECTED_TRACKS = 30
MOST_ATTENDED_TRACKS = 40
"""The latest tracks that attention looks at; the recency of older ones is next to 0."""
SHOWN_TRACKS_PER_INTEREST = 8
SHOWN_HEARD_TRACKS = 30


@dataclass(frozen=True)
class UserVector:
    """What a list follows. Tracks that the index lacks are left out; weights are positive, heaviest first."""

    liked: list[Opinion]
    rows: Rows
    points: Points
    weights: Floats
    rejected: list[Opinion]
    rejected_points: Points
    rejected_weights: Floats
    interests: list[Interest]

    @property
    def query_rows(self) -> Rows:
        """Rows whose neighbours are candidates: each interest's medoid, and the latest liked track."""
        if not self.liked:
            return np.empty(0, dtype=np.int64)
        latest = int(np.argmax([opinion.touched_at for opinion in self.liked]))
        return sorted_unique(self.rows[[*(interest.medoid for interest in self.interests), latest]])

    def attraction(self, points: Points) -> Floats:
        """Weight × similarity of each liked track and each point: [shape=(liked, points)]."""
        return self.weights[:, None] * similarity(self.points, points)

    def attraction_and_repulsion(self, points: Points) -> tuple[Floats, Floats]:
        """(`attraction`, the same of the rejected tracks [shape=(rejected, points)])."""
        return self.attraction(points), self.rejected_weights[:, None] * similarity(self.rejected_points, points)

    def profile_fields(self, profile: Profile) -> dict[str, Any]:
        """Fields of the profile's document for readers: centres (interests), rejected and heard tracks."""
        return {
            "centres": [
                {
                    "weight": round(interest.weight, 4),
                    "tracks": [
                        self.liked[position].track_id for position in interest.members[:SHOWN_TRACKS_PER_INTEREST]
                    ],
                }
                for interest in self.interests
            ],
            "rejected": [o.track_id for o in sorted(self.rejected, key=lambda opinion: -opinion.touched_at)],
            "heard": [opinion.track_id for opinion in profile.opinions[: -SHOWN_HEARD_TRACKS - 1 : -1]],
        }


def user_vector(profile: Profile, index: CachedIndex, taste: Taste) -> UserVector:
    """The listener's user vector at the time of the latest event."""
    rows = index.rows_of([opinion.track_id for opinion in profile.opinions])
    positions = np.flatnonzero(rows >= 0)
    opinions = [profile.opinions[position] for position in positions.tolist()]
    rows, points = rows[positions], index.points(rows[positions])
    weights = _attended_weights(profile, positions, points, taste)
    order = np.lexsort((rows, -weights))
    liked = order[weights[order] > 0][:MOST_LIKED_TRACKS]
    rejected = order[::-1][weights[order[::-1]] < 0][:MOST_REJECTED_TRACKS]
    return UserVector(
        [opinions[position] for position in liked.tolist()],
        rows[liked],
        points.take(liked),
        weights[liked].astype(np.float32),
        [opinions[position] for position in rejected.tolist()],
        points.take(rejected),
        -weights[rejected].astype(np.float32),
        interests(points.take(liked), weights[liked], taste.centres, taste.centre_reach * index.median_distance),
    )


def l2_norm(shares: Floats) -> Floats:
    """The L2 norm of each column: between the strongest match and the sum of all [shape=(columns,)]."""
    return np.sqrt(np.einsum("ij,ij->j", shares, shares))


def _attended_weights(profile: Profile, positions: Rows, points: Points, taste: Taste) -> Floats64:
    """The weights of the opinions whose tracks the index has; those of liked tracks reduced where similar ones are skipped now.

    Without it, a sum over weeks would take weeks to notice that the listener wants something else. A liked track keeps the share
    of its weight by which support outweighs pressure. Support comes from similar liked tracks, pressure from similar rejected
    ones; each counts half as much for every `taste.attention_tracks` tracks touched since, and pressure decays with the session.

    positions : of these opinions in the profile
    points : of their tracks
    """
    weights, touched_at = opinion_weights(profile.opinions, profile.latest_at, taste)
    tracks_since = np.empty(len(touched_at))
    tracks_since[np.lexsort((np.arange(len(touched_at)), -touched_at))] = np.arange(len(touched_at))
    weights, touched_at, tracks_since = weights[positions], touched_at[positions], tracks_since[positions]
    liked, rejected = np.flatnonzero(weights > 0), np.flatnonzero(weights < 0)
    if not len(liked) or not len(rejected) or not taste.impatience:
        return weights
    recency = 0.5 ** (tracks_since / taste.attention_tracks)
    latest_liked, latest_rejected = (
        group[np.argsort(tracks_since[group])[:MOST_ATTENDED_TRACKS]] for group in (liked, rejected)
    )
    age_s = np.maximum(0.0, profile.latest_at - touched_at[latest_rejected])
    fading = 0.5 ** (age_s / (60 * taste.session_half_life_minutes))
    liked_points = points.take(liked)
    support = similarity(liked_points, points.take(latest_liked)) @ (recency * weights)[latest_liked]
    support = np.maximum(support, (recency * weights)[liked])
    pressure = similarity(liked_points, points.take(latest_rejected)) @ (
        recency[latest_rejected] * -weights[latest_rejected] * fading
    )
    attended = weights.copy()
    attended[liked] *= np.clip(1 - taste.impatience * pressure / np.maximum(support, 1e-12), 0.0, 1.0)
    return attended
