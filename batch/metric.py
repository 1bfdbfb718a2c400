"""What the space should weigh: learned from albums, artists and genres, kept where it holds on artists that it has not seen.

plain   standardised features, unit length
album   whitened within albums (power 1/4): directions in which the tracks of one album differ say less of what music they are
genre   discriminant directions of the genres (LDA; Fisher, 1936) beside the plain ones, at half their length
both    the two together

Chosen by cross-validation over artists: a metric learned on two thirds of the artists is judged on the tracks of the others,
whose neighbours by the same artist or album do not count. Numbers only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batch.hubness import occurrences, skewness
from batch.space import Floats, to_unit

Labels = NDArray[np.int32]
"""One number a track, equal where the label is the same; -1 where there is none. [shape=(n,)]"""

ALBUM_SHRINKAGE, ALBUM_POWER = 0.2, 0.25
GENRE_SHRINKAGE, GENRE_LENGTH = 0.3, 0.5
FEWEST_ALBUMS, FEWEST_ON_ALBUMS = 10, 50
FEWEST_GENRE_TRACKS = 6
FEWEST_LABELLED = 60
FOLDS, ROUNDS = 3, 2
AT = 10
SCALE_NEIGHBOUR = 7
MOST_JUDGED = 3000
MOST_SKEW = 0.6
SEED = 20
_UNSAID = frozenset(
    [
        "",
        "unknown",
        "<unknown>",
        "unknown artist",
        "unknown album",
        "none",
        "(none)",
        "???",
        "various",
        "various artists",
        "n/a",
    ]
)


@dataclass(frozen=True)
class Tags:
    """What tracks say of themselves, as numbers.

    artist, genre : Labels;  album : Labels of the artist's album (of the artist, where a track names no album)
    same_album : Labels of the album's title alone, by which neighbours of one record are known
    """

    artist: Labels
    album: Labels
    genre: Labels
    same_album: Labels

    def __getitem__(self, rows: NDArray[np.integer]) -> Tags:
        return Tags(self.artist[rows], self.album[rows], self.genre[rows], self.same_album[rows])

    def same_origin(self) -> NDArray[np.bool_]:
        """Which pairs are by the same artist or on the same album, oneself included: bool [shape=(n, n)]."""
        by_artist = (self.artist[:, None] == self.artist) & (self.artist >= 0)
        on_album = (self.same_album[:, None] == self.same_album) & (self.same_album >= 0)
        return by_artist | on_album | np.eye(len(self.artist), dtype=bool)


@dataclass(frozen=True)
class Judged:
    """How a metric did on artists that it had not seen; means over folds.

    precision : share of the ten nearest, same artist and album left out, that have the track's genre; None without genres
    gain, error : over `plain`, mean and standard error over the folds
    skew : of the ten-occurrence;  in_no_list : share of the tracks
    """

    name: str
    precision: float | None
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


def tags(artists: Sequence[str | None], albums: Sequence[str | None], genres: Sequence[str | None]) -> Tags:
    """Names to numbers, without regard to case; what only says "unknown" is no name."""
    by, on = [said(a) for a in artists], [said(a) for a in albums]
    records = [f"{artist}\x00{album}" if artist or album else "" for artist, album in zip(by, on, strict=True)]
    return Tags(labels(by), labels(records), labels([said(g) for g in genres]), labels(on))


def labels(names: Sequence[str]) -> Labels:
    """A number for each name; -1 for ""."""
    known = {name: number for number, name in enumerate(sorted(set(names) - {""}))}
    return np.array([known.get(name, -1) for name in names], dtype=np.int32)


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

    genre = _with_enough(tags.genre, 3)
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
    albums = _with_enough(tags.album, 2)
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
    genre = _with_enough(tags.genre, FEWEST_GENRE_TRACKS)
    by_enough = [g for g in np.unique(genre[genre >= 0]) if len(np.unique(tags.artist[genre == g])) >= FOLDS]
    return len(by_enough) >= 2 and int(np.isin(genre, by_enough).sum()) >= FEWEST_LABELLED


def _judged(standardised: Floats, tags: Tags, kinds: dict[str, Learn]) -> tuple[Judged, ...]:
    """Each metric on artists that it has not seen."""
    rng = np.random.default_rng(SEED)
    origin = np.where(tags.artist >= 0, tags.artist, np.where(tags.same_album >= 0, -2 - tags.same_album, -10_000_000))
    alone = origin == -10_000_000
    origin[alone] -= np.arange(int(alone.sum()))
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in kinds}
    with_genres = "genre" in kinds
    for _ in range(ROUNDS):
        artists, number = np.unique(origin, return_inverse=True)
        fold = (rng.permutation(len(artists)) % FOLDS)[number]
        for held_out in range(FOLDS):
            seen, unseen = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
            unseen = np.sort(rng.permutation(unseen)[: MOST_JUDGED // FOLDS])
            learnable = _kinds(tags[seen])
            for name, learn in kinds.items():
                if name in learnable or name == "plain" or (name == "genre" and with_genres):
                    matrix = learn(standardised[seen], tags[seen])
                    found[name].append(_on_unseen(standardised[unseen], tags[unseen], matrix))
    plain = np.array(found["plain"])
    judged = []
    for name, folds in found.items():
        if len(folds) != len(plain):
            continue  # in some fold there was too little to learn it from
        scores = np.array(folds)
        gains = (scores[:, 0] - plain[:, 0])[
            np.isfinite(scores[:, 0])
        ]  # in some fold nobody may have a fellow of the genre
        says = with_genres and len(gains) > 1
        judged.append(
            Judged(
                name,
                float(np.nanmean(scores[:, 0])) if says else None,
                float(gains.mean()) if says else None,
                float(gains.std(ddof=1) / np.sqrt(len(gains))) if says else None,
                float(scores[:, 1].mean()),
                float(scores[:, 2].mean()),
            )
        )
    return tuple(judged)


def _on_unseen(standardised: Floats, tags: Tags, matrix: Floats | None) -> tuple[float, float, float]:
    """(precision, skew, share in no list) of exact lists with local scaling."""
    points = to_unit(standardised if matrix is None else standardised @ matrix)
    apart = scaled(points)
    np.fill_diagonal(apart, np.inf)
    k = min(AT, len(points) - 1)
    counts = occurrences(np.argpartition(apart, k - 1, axis=1)[:, :k], len(points))
    apart[tags.same_origin()] = np.inf
    return filtered_precision(apart, tags.genre, k), skewness(counts), float((counts == 0).mean())


def scaled(points: Floats) -> Floats:
    """Squared distances by local scales, all against all: float32 [shape=(n, n)]."""
    length = np.einsum("ij,ij->i", points, points)
    squared = np.maximum(length[:, None] + length - 2 * (points @ points.T), 0)
    at = min(SCALE_NEIGHBOUR, len(points) - 1)
    scale = np.sqrt(np.partition(squared, at, axis=1)[:, at]) + 1e-6
    return np.asarray(squared / (scale[:, None] * scale), dtype=np.float32)


def filtered_precision(apart: Floats, genre: Labels, k: int) -> float:
    """Share of each track's k nearest that have its genre, of those that could; inf marks what does not count. nan: none could.

    Only neighbours with a genre count. Where fewer than k others of the genre are there, those are what could.
    """
    apart = np.where((genre >= 0)[None, :], apart, np.inf)
    alike = (genre[:, None] == genre) & (genre >= 0)[:, None] & np.isfinite(apart)
    could = np.minimum(alike.sum(axis=1), k)
    nearest = np.argsort(apart, axis=1, kind="stable")[:, :k]
    hits = np.take_along_axis(alike, nearest, axis=1).sum(axis=1)
    asked = could > 0
    return float((hits[asked] / could[asked]).mean()) if asked.any() else float("nan")


def _choice(judged: tuple[Judged, ...]) -> str:
    """The one with the most precision that is surely better than `plain` and makes no more hubs.

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
    label = _with_enough(label, 2)
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


def _with_enough(label: Labels, fewest: int) -> Labels:
    """Labels of fewer tracks than that count as none."""
    counts = np.bincount(label[label >= 0], minlength=int(label.max(initial=0)) + 1)
    return np.where((label >= 0) & (counts[np.maximum(label, 0)] >= fewest), label, -1).astype(np.int32)


def _identity(standardised: Floats) -> Floats:
    return np.eye(standardised.shape[1], dtype=np.float32)


def _length(points: Floats) -> float:
    return max(float(np.sqrt(np.square(points).sum(axis=1).mean())), 1e-9)


def said(name: str | None) -> str:
    """A name without regard to case and blanks; "" where it only says that nobody knows."""
    folded = " ".join((name or "").casefold().split())
    return "" if folded in _UNSAID else folded
