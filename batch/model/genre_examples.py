"""The tracks that the genre networks learn from. No Spark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batch.index.projection import Floats
from batch.library.labels import Labels, artists_in, labels, normalised, spellings
from batch.model.artist_split import own_split

MIN_GENRE_TRACKS = 3
"""Genres of fewer tracks are not learned."""


@dataclass(frozen=True)
class Examples:
    """Tracks whose genre is learned.

    features : float32 [shape=(n, d)]
    genre : codes of `genres`, 0, 1, …;  artist : Labels
    split : 0 training, 1 validation, 2 test; None where the library brings none
    """

    features: Floats
    genre: Labels
    artist: Labels
    genres: tuple[str, ...]
    split: NDArray[np.int64] | None


def examples(
    features: Floats,
    genres: Sequence[str | None],
    artists: Sequence[str | None],
    splits: Sequence[str | None] | None = None,
) -> Examples | None:
    """The tracks of genres with at least MIN_GENRE_TRACKS; None with fewer than two such genres.

    features : float32 [shape=(n, d)];  genres, artists, splits : of the same n tracks, names as in the tags
    """
    names = [normalised(genre) for genre in genres]
    learned_names = sorted(name for name, count in Counter(names).items() if name and count >= MIN_GENRE_TRACKS)
    if len(learned_names) < 2:
        return None
    code_by_name = {name: code for code, name in enumerate(learned_names)}
    rows = [row for row, name in enumerate(names) if name in code_by_name]
    artist = labels([normalised(next(iter(artists_in(artists[row])), None)) for row in rows])
    split = own_split([splits[row] for row in rows]) if splits is not None else None
    genre = np.array([code_by_name[names[row]] for row in rows], dtype=np.int32)
    spelling_of = spellings(genres)
    learned = features if len(rows) == len(features) else features[rows]
    return Examples(learned, genre, artist, tuple(spelling_of[name] for name in learned_names), split)
