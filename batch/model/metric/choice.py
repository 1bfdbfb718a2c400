"""Which metric a library gets, and at which weights of the blocks, by cross-validation grouped by artist. No Spark.

A metric learned on two thirds of the artists is scored on the tracks of the others, whose neighbours by the same artist or on the
same album do not count. First the weights are chosen, with the simplest metric that is learned; then the metric at these weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from batch.index.exact import locally_scaled_distances, normalised_precision, rankings
from batch.index.hubness import k_occurrences, skewness
from batch.index.projection import Floats
from batch.library.labels import TrackLabels, without_rare
from batch.model.blocks import column_scales
from batch.model.metric.learning import BlockScaling, Learner, Weights, learners, points

EQUAL: Weights = (1.0, 1.0)
BLOCK_WEIGHTS: tuple[Weights, ...] = (EQUAL, (2.0, 1.0), (1.0, 2.0), (1.0, 0.0), (0.0, 1.0))
"""Weights that are tried where features have two blocks, the default first."""
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
"""Hubness skew that a metric may always have; above it, no more than the one that it is compared with and 0.1."""
SEED = 20


@dataclass(frozen=True)
class MetricScore:
    """Scores of a metric on artists that it was not learned from, means over folds; stored in the manifest.

    normalised_precision : at 10, artist-filtered, by genre (`exact.normalised_precision`); None without genres
    gain, error : mean and standard error over the folds; over `plain` at the same weights, and of other weights than those chosen
        over equal ones
    skew : of the 10-occurrence
    in_no_list : share of the tracks with a 10-occurrence of 0
    weights : of the blocks
    """

    name: str
    normalised_precision: float | None
    gain: float | None
    error: float | None
    skew: float
    in_no_list: float
    weights: Weights = (1.0,)


@dataclass(frozen=True)
class Metric:
    """A linear map of the standardised features, and the scaling of their blocks behind it.

    matrix : float32 [shape=(d, m)]; None for `plain` on one block
    scores : of all that were tried: the metrics at these weights, `plain` first, then other weights
    """

    name: str
    matrix: Floats | None
    scores: tuple[MetricScore, ...]
    weights: Weights = (1.0,)
    scaling: BlockScaling | None = None

    def points(self, standardised: Floats) -> Floats:
        """The points of standardised features [shape=(n, d)], of unit length."""
        return points(standardised, self.matrix, self.scaling)


def learned_metric(
    standardised: Floats,
    tracks: TrackLabels,
    block_lengths: tuple[int, ...] = (),
    deviation: Floats | None = None,
) -> Metric:
    """The best metric, learned on all tracks; `plain` at equal weights where the labels do not suffice.

    standardised : [shape=(n, d)];  tracks : labels of the same n
    block_lengths : numbers of each block; (): one block of d
    deviation : of the features before they were standardised [shape=(d,)], for two blocks; None: 1
    """
    block_lengths = block_lengths or (standardised.shape[1],)
    weights: Weights = (1.0,)
    other_weights: tuple[MetricScore, ...] = ()
    scales = None if deviation is None else column_scales(deviation, block_lengths)
    if len(block_lengths) > 1:
        weights, other_weights = _chosen_weights(standardised, tracks, block_lengths, scales)
    by_name, scaling = learners(block_lengths, weights, scales), BlockScaling.of(block_lengths, weights)
    names = _learnable(tracks)
    if names == ["plain"]:
        return Metric("plain", by_name["plain"](standardised, tracks), (), weights, scaling)
    candidates = {name: Candidate(name, weights, by_name[name], scaling) for name in names}
    scores = _cross_validated(standardised, tracks, list(candidates.values()))
    name = _best(scores)
    return Metric(name, by_name[name](standardised, tracks), (*scores, *other_weights), weights, scaling)


@dataclass(frozen=True)
class Candidate:
    """A metric that is scored.  name : "plain", "album", "genre" or "both";  weights : of the blocks"""

    name: str
    weights: Weights
    learn: Learner
    scaling: BlockScaling | None = None


def _chosen_weights(
    standardised: Floats, tracks: TrackLabels, block_lengths: tuple[int, ...], scales: Floats | None
) -> tuple[Weights, tuple[MetricScore, ...]]:
    """(weights of the blocks, scores of the others that were tried).

    EQUAL unless others are better by more than their error, with no more hubs; and where there are no genres to tell by.
    """
    if not _has_genres(tracks):
        return EQUAL, ()
    name = "album" if _has_albums(tracks) else "plain"
    candidates = [
        Candidate(
            name, weights, learners(block_lengths, weights, scales)[name], BlockScaling.of(block_lengths, weights)
        )
        for weights in BLOCK_WEIGHTS
    ]
    equal, *others = _cross_validated(standardised, tracks, candidates)
    best = equal
    for score in others:
        makes_no_hubs = score.skew <= max(MAX_SKEW, equal.skew + 0.1)
        if makes_no_hubs and score.gain is not None and score.gain > max(score.error or 0.0, best.gain or 0.0):
            best = score
    return best.weights, tuple(score for score in (equal, *others) if score.weights != best.weights)


def _learnable(tracks: TrackLabels) -> list[str]:
    """Names of the metrics that can be learned from these labels, simplest first."""
    return _learnable_from(_has_albums(tracks), _has_genres(tracks))


def _learnable_from(has_albums: bool, has_genres: bool) -> list[str]:
    by_name = {"plain": True, "album": has_albums, "genre": has_genres, "both": has_albums and has_genres}
    return [name for name, is_learnable in by_name.items() if is_learnable]


def _has_albums(tracks: TrackLabels) -> bool:
    """Whether there are enough albums of two tracks or more to whiten within them."""
    albums, album_tracks = _albums_of_several(tracks)
    return albums >= MIN_ALBUMS and album_tracks >= MIN_ALBUM_TRACKS


def _albums_of_several(tracks: TrackLabels) -> tuple[int, int]:
    """(albums of two tracks or more, their tracks)."""
    albums = without_rare(tracks.album, 2)
    return len(np.unique(albums[albums >= 0])), int((albums >= 0).sum())


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


def _cross_validated(standardised: Floats, tracks: TrackLabels, candidates: list[Candidate]) -> tuple[MetricScore, ...]:
    """Scores of the candidates, gains over the first; one for which some fold has too few labels is left out."""
    rng = np.random.default_rng(SEED)
    groups, group_of_track = np.unique(tracks.split_groups(), return_inverse=True)
    scores_by_candidate: list[list[_FoldScore]] = [[] for _ in candidates]
    with_genres = _has_genres(tracks)
    for _ in range(SCORING_ROUNDS):
        fold = (rng.permutation(len(groups)) % SCORING_FOLDS)[group_of_track]
        for held_out in range(SCORING_FOLDS):
            train, test = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
            test = np.sort(rng.permutation(test)[: MAX_TRACKS_SCORED // SCORING_FOLDS])
            # Learning takes two genres or two albums, not as many tracks as make them worth trying.
            albums_suffice = _albums_of_several(tracks[train])[0] >= 2
            learnable = {candidates[0].name, *_learnable_from(albums_suffice, with_genres)}
            for candidate, scores in zip(candidates, scores_by_candidate, strict=True):
                if candidate.name in learnable:
                    matrix = candidate.learn(standardised[train], tracks[train])
                    scores.append(_fold_score(points(standardised[test], matrix, candidate.scaling), tracks[test]))
    baseline = scores_by_candidate[0]
    return tuple(
        _mean_score(candidate, scores, baseline, with_genres)
        for candidate, scores in zip(candidates, scores_by_candidate, strict=True)
        if len(scores) == len(baseline)
    )


def _mean_score(
    candidate: Candidate, folds: list[_FoldScore], baseline: list[_FoldScore], with_genres: bool
) -> MetricScore:
    """Means over the folds; the gain over those in which a precision could be measured."""
    measured = [
        (score.precision, baseline_score.precision)
        for score, baseline_score in zip(folds, baseline, strict=True)
        if np.isfinite(score.precision)
    ]
    gains = np.array([precision - baseline_precision for precision, baseline_precision in measured])
    has_gain = with_genres and len(gains) > 1
    return MetricScore(
        name=candidate.name,
        normalised_precision=float(np.mean([precision for precision, _ in measured])) if has_gain else None,
        gain=float(gains.mean()) if has_gain else None,
        error=float(gains.std(ddof=1) / np.sqrt(len(gains))) if has_gain else None,
        skew=float(np.mean([score.skew for score in folds])),
        in_no_list=float(np.mean([score.in_no_list for score in folds])),
        weights=candidate.weights,
    )


def _fold_score(points: Floats, tracks: TrackLabels) -> _FoldScore:
    """Scores a fold's points, by exact lists with local scaling."""
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
