"""What the space should weigh: learned from albums, artists and genres, kept where it holds on artists that it has not seen.

plain   standardised features, unit length
album   whitened within albums (power 1/4): directions in which the tracks of one album differ say less of what music they are
genre   discriminant directions of the genres (LDA; Fisher, 1936) beside the plain ones, at half their length
both    the two together

Chosen by cross-validation over artists: a metric learned on two thirds of the artists is judged on the tracks of the others,
whose neighbours by the same artist or album do not count. Numbers only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batch.index.exact import normalised_precision, rankings, scaled
from batch.index.hubness import occurrences, skewness
from batch.index.projection import Floats, to_unit
from batch.library.labels import Labels, Tags, with_enough

ALBUM_SHRINKAGE, ALBUM_POWER = 0.2, 0.25
GENRE_SHRINKAGE, GENRE_LENGTH = 0.3, 0.5
FEWEST_ALBUMS, FEWEST_ON_ALBUMS = 10, 50
FEWEST_GENRE_TRACKS = 6
FEWEST_LABELLED = 60
FOLDS, ROUNDS = 3, 2
AT = 10
MOST_JUDGED = 3000
MOST_SKEW = 0.6
SEED = 20


@dataclass(frozen=True)
class Judged:
    """How a metric did on artists that it had not seen; means over folds.

    normalised_precision : of the ten nearest, same artist and album left out, by genre (`pairs.normalised_precision`); None
    without genres;  gain, error : over `plain`, mean and standard error over the folds
    skew : of the ten-occurrence;  in_no_list : share of the tracks
    """

    name: str
    normalised_precision: float | None
    gain: float | None
    error: float | None
    skew: float
    in_no_list: float


@dataclass(frozen=True)
class Metric:
    """The metric that was kept, and what the others did. matrix : float32 [shape=(d, m)]; None for `plain`"""

    name: str
    matrix: Floats | None
    judged: tuple[Judged, ...]


def learned(standardised: Floats, tags: Tags) -> Metric:
    """The metric to keep, learned on all tracks.

    standardised : [shape=(n, d)]. A library whose tags do not suffice gets `plain`. Genres decide where there are enough of them
    by enough artists; else whitening within albums is kept as long as it makes no hubs.
    """
    kinds = _kinds(tags)
    if len(kinds) == 1:
        return Metric("plain", None, ())
    judged = _judged(standardised, tags, kinds)
    name = _choice(judged)
    return Metric(name, kinds[name](standardised, tags), judged)


def album_metric(standardised: Floats, tags: Tags, power: float = ALBUM_POWER) -> Floats:
    """W^-power of the scatter W within albums: float32 [shape=(d, d)]."""
    within, _ = _scatter(standardised, tags.album, ALBUM_SHRINKAGE)
    values, vectors = np.linalg.eigh(within)
    return ((vectors * np.maximum(values, 1e-9) ** -power) @ vectors.T).astype(np.float32)


def genre_metric(standardised: Floats, tags: Tags, base: Floats, length: float = GENRE_LENGTH) -> Floats:
    """The base metric with discriminant directions beside it: float32 [shape=(d, m + genres - 1)].

    Both blocks are brought to a common length before, so `length` is what the genres weigh.
    """
    from scipy.linalg import eigh

    genre = with_enough(tags.genre, 3)
    within, between = _scatter(standardised, genre, GENRE_SHRINKAGE)
    directions = len(np.unique(genre[genre >= 0])) - 1
    values, vectors = eigh(between, within, subset_by_index=(len(within) - directions, len(within) - 1))
    found = vectors[:, values > 1e-9].astype(np.float32)
    blocks = [base / _length(standardised @ base), length * found / _length(standardised @ found)]
    return np.hstack(blocks).astype(np.float32)


Learn = Callable[[Floats, Tags], Floats | None]


def _kinds(tags: Tags) -> dict[str, Learn]:
    """What can be learned from these tags, simplest first."""
    kinds: dict[str, Learn] = {"plain": lambda standardised, tags: None}
    albums = with_enough(tags.album, 2)
    has_albums = len(np.unique(albums[albums >= 0])) >= FEWEST_ALBUMS and (albums >= 0).sum() >= FEWEST_ON_ALBUMS
    if has_albums:
        kinds["album"] = album_metric
    if _has_genres(tags):
        kinds["genre"] = lambda standardised, tags: genre_metric(standardised, tags, _identity(standardised))
        if has_albums:
            kinds["both"] = lambda standardised, tags: genre_metric(
                standardised, tags, album_metric(standardised, tags)
            )
    return kinds


def _has_genres(tags: Tags) -> bool:
    """Enough tracks with a genre, in two genres or more that each have as many artists as there are folds."""
    genre = with_enough(tags.genre, FEWEST_GENRE_TRACKS)
    by_enough = [g for g in np.unique(genre[genre >= 0]) if len(np.unique(tags.artist[genre == g])) >= FOLDS]
    return len(by_enough) >= 2 and int(np.isin(genre, by_enough).sum()) >= FEWEST_LABELLED


@dataclass(frozen=True)
class _Fold:
    """How a metric did on one fold.  precision : normalised, nan where nobody there has a fellow of the genre"""

    precision: float
    skew: float
    in_no_list: float


def _judged(standardised: Floats, tags: Tags, kinds: dict[str, Learn]) -> tuple[Judged, ...]:
    """Each metric on artists that it has not seen; one that some fold has too little for is left out."""
    rng = np.random.default_rng(SEED)
    artists, number = np.unique(tags.origin(), return_inverse=True)
    found: dict[str, list[_Fold]] = {name: [] for name in kinds}
    with_genres = "genre" in kinds
    for _ in range(ROUNDS):
        fold = (rng.permutation(len(artists)) % FOLDS)[number]
        for held_out in range(FOLDS):
            seen, unseen = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
            unseen = np.sort(rng.permutation(unseen)[: MOST_JUDGED // FOLDS])
            # The genres' directions need two genres, not the tracks that make them worth trying.
            learnable = {"plain", *_kinds(tags[seen]), *({"genre"} if with_genres else ())}
            for name in kinds.keys() & learnable:
                matrix = kinds[name](standardised[seen], tags[seen])
                found[name].append(_on_unseen(standardised[unseen], tags[unseen], matrix))
    whole = {name: folds for name, folds in found.items() if len(folds) == ROUNDS * FOLDS}
    return tuple(_summed(name, folds, whole["plain"], with_genres) for name, folds in whole.items())


def _summed(name: str, folds: list[_Fold], plain: list[_Fold], with_genres: bool) -> Judged:
    """Means over the folds, the gains over those in which somebody has a fellow of the genre."""
    with_fellows = [(one, base) for one, base in zip(folds, plain, strict=True) if np.isfinite(one.precision)]
    gains = np.array([one.precision - base.precision for one, base in with_fellows])
    has_gain = with_genres and len(gains) > 1
    return Judged(
        name=name,
        normalised_precision=float(np.mean([one.precision for one, _ in with_fellows])) if has_gain else None,
        gain=float(gains.mean()) if has_gain else None,
        error=float(gains.std(ddof=1) / np.sqrt(len(gains))) if has_gain else None,
        skew=float(np.mean([one.skew for one in folds])),
        in_no_list=float(np.mean([one.in_no_list for one in folds])),
    )


def _on_unseen(standardised: Floats, tags: Tags, matrix: Floats | None) -> _Fold:
    """By exact lists with local scaling."""
    points = to_unit(standardised if matrix is None else standardised @ matrix)
    distance = scaled(points)
    np.fill_diagonal(distance, np.inf)
    k = min(AT, len(points) - 1)
    counts = occurrences(np.argpartition(distance, k - 1, axis=1)[:, :k], len(points))
    distance[tags.same_origin()] = np.inf
    alike = normalised_precision(rankings(distance), tags.genre, tags.genre, k)
    return _Fold(alike, skewness(counts), float((counts == 0).mean()))


def _choice(judged: tuple[Judged, ...]) -> str:
    """The one with the most normalised precision that is surely better than `plain` and makes no more hubs.

    Whitening within albums is kept unless it is surely worse: on real songs it was better (docs/models.md), and few libraries
    have the genres to prove it.
    """
    plain = next(one for one in judged if one.name == "plain")
    chosen = plain
    for one in judged[1:]:
        makes_no_hubs = one.skew <= max(MOST_SKEW, plain.skew + 0.1)
        if one.name == "album":
            is_better = one.gain is None or one.error is None or one.gain >= -one.error
        else:
            is_better = one.gain is not None and one.gain > max(one.error or 0.0, chosen.gain or 0.0)
        if is_better and makes_no_hubs:
            chosen = one
    return chosen.name


def _scatter(standardised: Floats, label: Labels, shrinkage: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(within, between) the labels' groups of two or more; `within` shrunk towards a multiple of the identity."""
    label = with_enough(label, 2)
    rows = np.flatnonzero(label >= 0)
    _, group = np.unique(label[rows], return_inverse=True)
    some = standardised[rows].astype(np.float64)
    sizes = np.bincount(group)
    means = np.zeros((len(sizes), some.shape[1]))
    np.add.at(means, group, some)
    means /= sizes[:, None]
    rest = some - means[group]
    within = rest.T @ rest / max(1, len(rows) - len(sizes))
    d = within.shape[0]
    within = (1 - shrinkage) * within + (shrinkage * np.trace(within) / d + 1e-6) * np.eye(d)
    centred = (means - some.mean(axis=0)) * np.sqrt(sizes)[:, None]
    return within, centred.T @ centred / len(rows)


def _identity(standardised: Floats) -> Floats:
    return np.eye(standardised.shape[1], dtype=np.float32)


def _length(points: Floats) -> float:
    return max(float(np.sqrt(np.square(points).sum(axis=1).mean())), 1e-9)
