"""What a list follows: the tracks that a listener likes and rejects just now, and the interests that they form. Numbers only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from batch.index.lsh import Rows
from batch.index.projection import Floats
from streaming.profile.profile import Floats64, Opinion, Profile, weights_of
from streaming.ranking.interests import Centre, centres
from streaming.ranking.neighbour_cache import Catalogue, Points, alike, once

if TYPE_CHECKING:
    from conf.settings import Taste

LIKED = 30
REJECTED = 30
ATTENDED = 40
"""Of older tracks the recency is next to nothing."""
SHOWN = 8
"""Tracks of a centre that a profile shows."""
SHOWN_HEARD = 30


@dataclass(frozen=True)
class Liking:
    """What a list follows: tracks that the index has, by row, with their weights (positive), strongest first."""

    liked: list[Opinion]
    rows: Rows
    points: Points
    weights: Floats
    rejected: list[Opinion]
    rejected_points: Points
    rejected_weights: Floats
    centres: list[Centre]

    @property
    def asking(self) -> Rows:
        """The tracks whose neighbours are candidates: each centre's medoid, and the latest liked track."""
        if not self.liked:
            return np.empty(0, dtype=np.int64)
        latest = int(np.argmax([opinion.touched_at for opinion in self.liked]))
        return once(self.rows[[*(centre.medoid for centre in self.centres), latest]])

    def pulls(self, points: Points) -> Floats:
        """How strongly each liked track speaks for each point: [shape=(liked, points)]."""
        return self.weights[:, None] * alike(self.points, points)

    def pulls_and_pushes(self, points: Points) -> tuple[Floats, Floats]:
        """(`pulls`, how strongly each rejected track speaks against each point [shape=(rejected, points)])."""
        return self.pulls(points), self.rejected_weights[:, None] * alike(self.rejected_points, points)

    def shown(self, profile: Profile) -> dict[str, Any]:
        """What the profile's document shows of it: centres, rejected and heard tracks."""
        return {
            "centres": [
                {"weight": round(c.weight, 4), "tracks": [self.liked[at].track_id for at in c.members[:SHOWN]]}
                for c in self.centres
            ],
            "rejected": [o.track_id for o in sorted(self.rejected, key=lambda opinion: -opinion.touched_at)],
            "heard": [opinion.track_id for opinion in profile.opinions[: -SHOWN_HEARD - 1 : -1]],
        }


def liking(profile: Profile, catalogue: Catalogue, taste: Taste) -> Liking:
    """What the listener likes and rejects, at the time of the last event."""
    rows = catalogue.rows_of([opinion.track_id for opinion in profile.opinions])
    known = np.flatnonzero(rows >= 0)
    opinions = [profile.opinions[at] for at in known.tolist()]
    rows, points = rows[known], catalogue.points(rows[known])
    weights = _attended(profile, known, points, taste)
    order = np.lexsort((rows, -weights))
    up, down = order[weights[order] > 0][:LIKED], order[::-1][weights[order[::-1]] < 0][:REJECTED]
    return Liking(
        [opinions[at] for at in up.tolist()],
        rows[up],
        points.at(up),
        weights[up].astype(np.float32),
        [opinions[at] for at in down.tolist()],
        points.at(down),
        -weights[down].astype(np.float32),
        centres(points.at(up), weights[up], taste.centres, taste.centre_reach * catalogue.typical),
    )


def together(shares: Floats) -> Floats:
    """The root of the sum of squares, one value a column.

    It lies between the strongest match and the sum of all: two interests do not drown in each other, and agreement counts.
    """
    return np.sqrt(np.einsum("ij,ij->j", shares, shares))


def _attended(profile: Profile, known: Rows, points: Points, taste: Taste) -> Floats64:
    """The weights of the known of the opinions, those of liked tracks less where their like is being skipped just now.

    known : places of the opinions whose tracks the index has;  points : of these tracks
    Who skips what was loved an hour ago wants something else, and a sum over weeks would take weeks to notice. A liked track
    keeps the share of its weight by which support outweighs pressure: the liked, and the rejected, tracks like it, each
    counting half as much every `attention_tracks` tracks back, and pressure also fading with the session.
    """
    weights, touched = weights_of(profile.opinions, profile.latest_at, taste)
    back = np.empty(len(touched))
    back[np.lexsort((np.arange(len(touched)), -touched))] = np.arange(len(touched))
    weights, touched, back = weights[known], touched[known], back[known]
    up, down = np.flatnonzero(weights > 0), np.flatnonzero(weights < 0)
    if not len(up) or not len(down) or not taste.impatience:
        return weights
    recency = 0.5 ** (back / taste.attention_tracks)
    # older tracks count next to nothing
    up_near, down_near = (some[np.argsort(back[some])[:ATTENDED]] for some in (up, down))
    fading = 0.5 ** (np.maximum(0.0, profile.latest_at - touched[down_near]) / (60 * taste.session_half_life_minutes))
    liked = points.at(up)
    support = alike(liked, points.at(up_near)) @ (recency * weights)[up_near]
    support = np.maximum(support, (recency * weights)[up])
    pressure = alike(liked, points.at(down_near)) @ (recency[down_near] * -weights[down_near] * fading)
    attended = weights.copy()
    attended[up] *= np.clip(1 - taste.impatience * pressure / np.maximum(support, 1e-12), 0.0, 1.0)
    return attended
