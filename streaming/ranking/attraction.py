"""How strongly candidates are drawn by what a listener likes, and pushed away by what is rejected. No Spark, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batch.index.lsh import Rows
from batch.index.projection import Floats
from streaming.profile.profile import Profile
from streaming.ranking.neighbour_cache import CachedIndex, Points, similarity
from streaming.ranking.user_vector import UserVector

FEWEST_NEAR_TRACKS = 3
NEAREST_SHARE = 0.1
"""A track is near what is liked where it is among the nearest tenth of all tracks."""
WISHED_FROM_PERCENTILE = 70.0
LEAST_ATTRACTION = 1e-12
ROUNDING = 1e-4
"""Relative: products of matrices of other shapes round differently, so a track that is in the sample as well could count as
less than itself in one micro-batch and not in another."""


@dataclass(frozen=True)
class Attraction:
    """How strongly m liked tracks, in some groups, attract n candidates.

    by_track : weight × similarity; 0 to oneself and to another track of the same recording [shape=(m, n)]
    by_group : L2 norm over the group's members [shape=(groups, n)]
    repulsion : L2 norm over the rejected tracks, times the strength of rejection [shape=(n,)]
    """

    by_track: Floats
    by_group: Floats
    repulsion: Floats

    def take(self, positions: NDArray[np.integer]) -> Attraction:
        return Attraction(self.by_track[:, positions], self.by_group[:, positions], self.repulsion[positions])

    @property
    def net(self) -> Floats:
        """Attraction by each group, less repulsion [shape=(groups, n)]."""
        return self.by_group - self.repulsion


@dataclass(frozen=True)
class Scale:
    """The library's own distances, seen from one listener: what counts as near.

    by_track : similarity of the nearest tenth of all tracks begins here, for each liked track [shape=(m,)]
    sorted_by_group : the attraction of all tracks by each group, sorted, estimated on a sample [shape=(groups, sample)]
    repulsion : the repulsion of the nearest tenth begins here
    most_repulsion : of all tracks
    """

    by_track: Floats
    sorted_by_group: Floats
    repulsion: float
    most_repulsion: float

    @property
    def near_group(self) -> Floats:
        """The attraction of the nearest tenth, in a small library of the FEWEST_NEAR_TRACKS nearest, begins here
        [shape=(groups,)]."""
        return _upper(self.sorted_by_group, FEWEST_NEAR_TRACKS)

    def percentiles(self, group: int, attraction: NDArray[np.floating]) -> NDArray[np.float64]:
        """Share of all tracks that the group attracts less than each value, 0 to 100 [shape=(values,)]."""
        sample = self.sorted_by_group[group]
        return 100.0 * np.searchsorted(sample, attraction * (1 - ROUNDING)) / max(1, len(sample))


def attraction(vector: UserVector, rows: Rows, points: Points, index: CachedIndex, rejection: float) -> Attraction:
    """The attraction of candidates.

    rows, points : of the candidates
    rejection : strength of rejection against liking
    """
    similarities = similarity(vector.points, points)
    similarities[index.recordings(vector.rows)[:, None] == index.recordings(rows)[None, :]] = 0.0
    by_track = vector.weights[:, None] * similarities
    repulsions = vector.rejected_weights[:, None] * similarity(vector.rejected_points, points)
    return Attraction(by_track, _by_group(by_track, vector), rejection * l2_norm(repulsions))


def scale(vector: UserVector, index: CachedIndex, rejection: float) -> Scale:
    """The library's distances from what the listener likes and rejects, estimated on the index's sample."""
    similarities = index.sample_similarity(vector.rows)
    by_group = _by_group(vector.weights[:, None] * similarities, vector)
    repulsion = rejection * l2_norm(vector.rejected_weights[:, None] * index.sample_similarity(vector.rejected_rows))
    return Scale(
        _upper(similarities),
        np.sort(by_group, axis=1),
        float(_upper(repulsion[None, :])[0]) if len(repulsion) else 0.0,
        float(repulsion.max(initial=0.0)),
    )


def wish_pull(profile: Profile, rows: Rows, index: CachedIndex) -> NDArray[np.float64]:
    """How far rows meet the wishes for more and less of words, -1 to 1 [shape=(rows,)].

    A word's pull grows from WISHED_FROM_PERCENTILE of the library to its first track.
    """
    sign_by_word = profile.wished_tags
    columns = [column for column, word in enumerate(index.words) if word in sign_by_word] if sign_by_word else []
    if not columns:
        return np.zeros(len(rows))
    signs = np.array([sign_by_word[index.words[column]] for column in columns])
    percentiles = index.word_percentiles(rows)[:, columns].astype(np.float64)
    strengths = np.clip((percentiles - WISHED_FROM_PERCENTILE) / (100 - WISHED_FROM_PERCENTILE), 0.0, 1.0)
    pull: NDArray[np.float64] = np.clip(strengths @ signs, -1.0, 1.0)
    return pull


def l2_norm(shares: NDArray[np.floating]) -> Floats:
    """The L2 norm of each column: between the strongest match and the sum of all [shape=(columns,)]."""
    return np.sqrt(np.einsum("ij,ij->j", shares, shares))


def _by_group(by_track: Floats, vector: UserVector) -> Floats:
    return np.sqrt(vector.membership.astype(np.float32) @ np.square(by_track))


def _upper(values: Floats, fewest: int = 1) -> Floats:
    """What exceeds all of each row but the upper NEAREST_SHARE, or the `fewest` largest, by more than rounding; above 0
    [shape=(rows,)]."""
    n = values.shape[1]
    below = min(int(np.ceil((1 - NEAREST_SHARE) * n)), n - fewest)
    if below <= 0:
        return np.full(len(values), LEAST_ATTRACTION, dtype=np.float32)
    return np.maximum(np.partition(values, below - 1, axis=1)[:, below - 1] / (1 - ROUNDING), LEAST_ATTRACTION)
