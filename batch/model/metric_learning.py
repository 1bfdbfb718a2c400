"""Metric learning: a linear map of the standardised features, learned from albums, artists and genres. No Spark.

plain   standardised features, unit length
album   whitened within albums (power 1/4): directions in which the tracks of one album differ say less about the music
genre   discriminant directions of the genres (LDA; Fisher, 1936) beside the plain features, at half their length
both    the two together

Chosen by cross-validation grouped by artist: a metric learned on two thirds of the artists is scored on the tracks of the
others, whose neighbours by the same artist or on the same album do not count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batch.index.exact import locally_scaled_distances, normalised_precision, rankings
from batch.index.hubness import k_occurrences, skewness
from batch.index.projection import Floats, to_unit
from batch.library.labels import Labels, TrackLabels, without_rare

ALBUM_SHRINKAGE = 0.2
"""Weight of the identity in the scatter within albums, 0 to 1."""
ALBUM_POWER = 0.25
GENRE_SHRINKAGE = 0.3
"""Weight of the identity in the scatter within genres, 0 to 1."""
GENRE_LENGTH = 0.5
"""Root mean square length of a track along the discriminant directions; along the others it is 1."""
MIN_ALBUMS = 10
MIN_ALBUM_TRACKS = 50
"""Tracks on albums of two or more."""
MIN_COUNTED_GENRE_TRACKS = 6
"""A genre has to have as many to be counted in MIN_LABELLED_TRACKS."""
MIN_LABELLED_TRACKS = 60
SCORING_FOLDS = 3
SCORING_ROUNDS = 2
"""Repetitions of the cross-validation, each with folds of its own."""
SCORED_NEIGHBOURS = 10
"""Scores are precision@10 and 10-occurrence."""
MAX_TRACKS_SCORED = 3000
"""Tracks on which a metric is scored in a round: all distances between a fold's tracks are computed."""
MAX_SKEW = 0.6
"""Hubness skew that a metric may always have; above it, no more than `plain` and 0.1."""
SEED = 20


@dataclass(frozen=True)
class MetricScore:
    """Scores of a metric on artists that it was not learned from, means over folds; stored in the manifest.

    normalised_precision : at 10, artist-filtered, by genre (`exact.normalised_precision`); None without genres
    gain, error : over `plain`, mean and standard error over the folds
    skew : of the 10-occurrence
    in_no_list : share of the tracks with a 10-occurrence of 0
    """

    name: str
    normalised_precision: float | None
    gain: float | None
    error: float | None
    skew: float
    in_no_list: float


@dataclass(frozen=True)
class Metric:
    """matrix : float32 [shape=(d, m)]; None for `plain`;  scores : of all metrics that were tried, `plain` first"""

    name: str
    matrix: Floats | None
    scores: tuple[MetricScore, ...]


def learned_metric(standardised: Floats, tracks: TrackLabels) -> Metric:
    """The best metric, learned on all tracks; `plain` where the labels do not suffice.

    standardised : [shape=(n, d)];  tracks : labels of the same n
    """
    learners = _learners(tracks)
    if len(learners) == 1:
        return Metric("plain", None, ())
    scores = _cross_validated(standardised, tracks, learners)
    name = _best(scores)
    return Metric(name, learners[name](standardised, tracks), scores)


def album_metric(standardised: Floats, tracks: TrackLabels, power: float = ALBUM_POWER) -> Floats:
    """W^-power of the scatter W within albums: float32 [shape=(d, d)]."""
    within, _ = _scatter(standardised, tracks.album, ALBUM_SHRINKAGE)
    values, vectors = np.linalg.eigh(within)
    return ((vectors * np.maximum(values, 1e-9) ** -power) @ vectors.T).astype(np.float32)


def genre_metric(standardised: Floats, tracks: TrackLabels, base: Floats, length: float = GENRE_LENGTH) -> Floats:
    """The base metric with the genres' discriminant directions beside it: float32 [shape=(d, m + genres - 1)].

    base : [shape=(d, m)];  length : weight of the genres, both blocks being brought to the same length first
    """
    # Not scikit-learn's LinearDiscriminantAnalysis(solver="eigen"): it shrinks the scatter between genres as well, which gives
    # another matrix (precision 0.377 instead of 0.375 on unseen artists, within the error) and takes 2 to 3 times as long.
    from scipy.linalg import eigh

    genre = without_rare(tracks.genre, 3)
    within, between = _scatter(standardised, genre, GENRE_SHRINKAGE)
    count = len(np.unique(genre[genre >= 0])) - 1
    values, vectors = eigh(between, within, subset_by_index=(len(within) - count, len(within) - 1))
    directions = vectors[:, values > 1e-9].astype(np.float32)
    blocks = [base / _length(standardised @ base), length * directions / _length(standardised @ directions)]
    return np.hstack(blocks).astype(np.float32)


Learner = Callable[[Floats, TrackLabels], Floats | None]


def _learners(tracks: TrackLabels) -> dict[str, Learner]:
    """The metrics that can be learned from these labels, by name, simplest first."""
    learners: dict[str, Learner] = {"plain": lambda standardised, tracks: None}
    albums = without_rare(tracks.album, 2)
    has_albums = len(np.unique(albums[albums >= 0])) >= MIN_ALBUMS and (albums >= 0).sum() >= MIN_ALBUM_TRACKS
    if has_albums:
        learners["album"] = album_metric
    if _has_genres(tracks):
        learners["genre"] = lambda standardised, tracks: genre_metric(standardised, tracks, _identity(standardised))
        if has_albums:
            learners["both"] = lambda standardised, tracks: genre_metric(
                standardised, tracks, album_metric(standardised, tracks)
            )
    return learners


def _has_genres(tracks: TrackLabels) -> bool:
    """Whether enough tracks have a genre, in two or more genres by at least as many artists as there are folds."""
    genre = without_rare(tracks.genre, MIN_COUNTED_GENRE_TRACKS)
    learnable = [g for g in np.unique(genre[genre >= 0]) if len(np.unique(tracks.artist[genre == g])) >= SCORING_FOLDS]
    return len(learnable) >= 2 and int(np.isin(genre, learnable).sum()) >= MIN_LABELLED_TRACKS


@dataclass(frozen=True)
class _FoldScore:
    """Score of a metric on one fold.  precision : normalised; nan where no track there has another artist's of its genre"""

    precision: float
    skew: float
    in_no_list: float


def _cross_validated(
    standardised: Floats, tracks: TrackLabels, learners: dict[str, Learner]
) -> tuple[MetricScore, ...]:
    """Scores of each metric; one for which some fold has too few labels is left out."""
    rng = np.random.default_rng(SEED)
    groups, group_of_track = np.unique(tracks.split_groups(), return_inverse=True)
    scores_by_name: dict[str, list[_FoldScore]] = {name: [] for name in learners}
    with_genres = "genre" in learners
    for _ in range(SCORING_ROUNDS):
        fold = (rng.permutation(len(groups)) % SCORING_FOLDS)[group_of_track]
        for held_out in range(SCORING_FOLDS):
            train, test = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
            test = np.sort(rng.permutation(test)[: MAX_TRACKS_SCORED // SCORING_FOLDS])
            # Learning the genres' directions takes two genres, not as many tracks as make them worth trying.
            learnable = {"plain", *_learners(tracks[train]), *({"genre"} if with_genres else ())}
            for name in learners.keys() & learnable:
                matrix = learners[name](standardised[train], tracks[train])
                scores_by_name[name].append(_fold_score(standardised[test], tracks[test], matrix))
    complete = {
        name: scores for name, scores in scores_by_name.items() if len(scores) == SCORING_ROUNDS * SCORING_FOLDS
    }
    return tuple(_mean_score(name, scores, complete["plain"], with_genres) for name, scores in complete.items())


def _mean_score(name: str, folds: list[_FoldScore], plain: list[_FoldScore], with_genres: bool) -> MetricScore:
    """Means over the folds; the gain over those in which a precision could be measured."""
    measured = [
        (score.precision, baseline.precision)
        for score, baseline in zip(folds, plain, strict=True)
        if np.isfinite(score.precision)
    ]
    gains = np.array([precision - baseline for precision, baseline in measured])
    has_gain = with_genres and len(gains) > 1
    return MetricScore(
        name=name,
        normalised_precision=float(np.mean([precision for precision, _ in measured])) if has_gain else None,
        gain=float(gains.mean()) if has_gain else None,
        error=float(gains.std(ddof=1) / np.sqrt(len(gains))) if has_gain else None,
        skew=float(np.mean([score.skew for score in folds])),
        in_no_list=float(np.mean([score.in_no_list for score in folds])),
    )


def _fold_score(standardised: Floats, tracks: TrackLabels, matrix: Floats | None) -> _FoldScore:
    """Scores a metric on one fold, by exact lists with local scaling."""
    points = to_unit(standardised if matrix is None else standardised @ matrix)
    distance = locally_scaled_distances(points)
    np.fill_diagonal(distance, np.inf)
    k = min(SCORED_NEIGHBOURS, len(points) - 1)
    counts = k_occurrences(np.argpartition(distance, k - 1, axis=1)[:, :k], len(points))
    distance[tracks.same_artist_or_album()] = np.inf
    precision = normalised_precision(rankings(distance), tracks.genre, tracks.genre, k)
    return _FoldScore(precision, skewness(counts), float((counts == 0).mean()))


def _best(scores: tuple[MetricScore, ...]) -> str:
    """The metric with the highest precision that exceeds `plain` by more than its error and makes no more hubs.

    Whitening within albums is kept unless it is worse by more than its error: on real songs it was better (docs/models.md), and
    few libraries have the genres to show it.
    """
    plain = next(score for score in scores if score.name == "plain")
    best = plain
    for score in scores[1:]:
        makes_no_hubs = score.skew <= max(MAX_SKEW, plain.skew + 0.1)
        if score.name == "album":
            is_better = score.gain is None or score.error is None or score.gain >= -score.error
        else:
            is_better = score.gain is not None and score.gain > max(score.error or 0.0, best.gain or 0.0)
        if is_better and makes_no_hubs:
            best = score
    return best.name


def _scatter(standardised: Floats, label: Labels, shrinkage: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scatter (within, between) groups of two or more tracks of a label: float64 [shape=(d, d)] each.

    shrinkage : of `within` towards a multiple of the identity, 0 to 1
    """
    label = without_rare(label, 2)
    rows = np.flatnonzero(label >= 0)
    _, group = np.unique(label[rows], return_inverse=True)
    labelled = standardised[rows].astype(np.float64)
    sizes = np.bincount(group)
    means = np.zeros((len(sizes), labelled.shape[1]))
    np.add.at(means, group, labelled)
    means /= sizes[:, None]
    residuals = labelled - means[group]
    within = residuals.T @ residuals / max(1, len(rows) - len(sizes))
    d = within.shape[0]
    within = (1 - shrinkage) * within + (shrinkage * np.trace(within) / d + 1e-6) * np.eye(d)
    centred = (means - labelled.mean(axis=0)) * np.sqrt(sizes)[:, None]
    return within, centred.T @ centred / len(rows)


def _identity(standardised: Floats) -> Floats:
    return np.eye(standardised.shape[1], dtype=np.float32)


def _length(points: Floats) -> float:
    """Root mean square length of the points, at least 1e-9."""
    return max(float(np.sqrt(np.square(points).sum(axis=1).mean())), 1e-9)
