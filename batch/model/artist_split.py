"""Tracks held out to measure a classifier: never an artist on both sides, and what is measured on them. Numbers only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch.library.labels import Labels

SPLITS = {"training": 0, "validation": 1, "test": 2}
"""FMA's own; artist-disjoint."""
MOST_REPEATED = 5


@dataclass(frozen=True)
class Score:
    """How well genres were told on tracks that were held out.

    confusion : counts, true genre by row [shape=(genres, genres)];  how : what was held out
    """

    genres: tuple[str, ...]
    confusion: NDArray[np.int64]
    how: str

    @property
    def tracks(self) -> int:
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        return float(np.trace(self.confusion) / max(1, self.tracks))

    @property
    def recall(self) -> dict[str, float | None]:
        """Share of each genre's tracks that were told; None where none was held out."""
        asked = self.confusion.sum(axis=1)
        return {
            genre: float(self.confusion[at, at] / asked[at]) if asked[at] else None
            for at, genre in enumerate(self.genres)
        }

    @property
    def macro_f1(self) -> float:
        """Mean over the genres that were held out, each counting alike."""
        right, asked, said = np.diag(self.confusion), self.confusion.sum(axis=1), self.confusion.sum(axis=0)
        f1 = 2 * right / np.maximum(1, asked + said)
        return float(f1[asked > 0].mean()) if (asked > 0).any() else 0.0

    def document(self) -> dict[str, Any]:
        """As it stands in the manifest."""
        return {
            "how": self.how,
            "tracks": self.tracks,
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "majority": float(self.confusion.sum(axis=1).max() / max(1, self.tracks)),
            "recall": self.recall,
            "confusion": self.confusion.tolist(),
        }


def score(genres: tuple[str, ...], true: Labels, predicted: Labels, how: str) -> Score:
    confusion = np.zeros((len(genres), len(genres)), dtype=np.int64)
    np.add.at(confusion, (true, predicted), 1)
    return Score(genres, confusion, how)


def own_split(splits: Sequence[str | None]) -> NDArray[np.int64] | None:
    """FMA's split as 0 training, 1 validation, 2 test [shape=(n,)]; None where tracks lack it or a part has no track."""
    found = np.array([SPLITS.get(split or "", -1) for split in splits], dtype=np.int64)
    return found if len(found) and (found >= 0).all() and len(np.unique(found)) == len(SPLITS) else None


def artist_folds(genre: Labels, artist: Labels, folds: int, seed: int) -> NDArray[np.int64]:
    """Fold of each track [shape=(n,)]: all of an artist in one, each genre spread over them as evenly as artists allow.

    artist : -1 for none; such a track stands for itself
    """
    origin = artist.astype(np.int64)
    origin[artist < 0] = artist.max(initial=-1) + 1 + np.arange(int((artist < 0).sum()))
    rng = np.random.default_rng(seed)
    artists, number, size = np.unique(origin, return_inverse=True, return_counts=True)
    count = np.zeros((len(artists), int(genre.max()) + 1), dtype=np.int64)
    np.add.at(count, (number, genre), 1)
    held = np.zeros((folds, count.shape[1]), dtype=np.int64)
    fold = np.empty(len(artists), dtype=np.int64)
    for one in sorted(range(len(artists)), key=lambda at: (-size[at], rng.random())):
        load = (held @ count[one], held.sum(axis=1))
        fold[one] = np.lexsort((load[1], load[0]))[0]
        held[fold[one]] += count[one]
    return fold[number]


def learnable(genre: Labels, train: NDArray[np.int64], test: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of `test` whose genre is among the rows to learn from; none where those have but one genre."""
    known = np.unique(genre[train])
    return test[np.isin(genre[test], known)] if len(known) > 1 else test[:0]


def rebalanced(genre: Labels, seed: int) -> NDArray[np.int64]:
    """Rows of a sample in which small genres come up to five times, by the root of the largest one's size over theirs."""
    counts = np.bincount(genre)
    times = np.minimum(np.sqrt(counts.max() / np.maximum(1, counts)), MOST_REPEATED)[genre]
    whole = np.floor(times).astype(np.int64)
    rng = np.random.default_rng(seed)
    whole += rng.random(len(genre)) < times - whole
    return np.repeat(np.arange(len(genre)), whole)
