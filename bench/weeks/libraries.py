"""Libraries for simulated listeners: made kinds of music, and real songs with more of each kind grown between them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class LabelledLibrary:
    """n tracks as plain arrays, so that any version of the code can build its own index of them.

    ids : sorted
    features : float32 [shape=(n, d)]
    kinds : what the simulation knows and the recommender does not [shape=(n,)]
    artists : [shape=(n,)]
    """

    ids: list[str]
    features: NDArray[np.float32]
    kinds: NDArray[np.str_]
    artists: list[str]

    def save(self, file: Path) -> None:
        np.savez(file, ids=self.ids, features=self.features, kinds=self.kinds, artists=self.artists)

    @classmethod
    def open(cls, file: Path) -> LabelledLibrary:
        arrays = np.load(file)
        return cls(arrays["ids"].tolist(), arrays["features"], arrays["kinds"], arrays["artists"].tolist())


def made(kinds: int, per_kind: int, dimensions: int = 24, artists_per_kind: int = 20, seed: int = 3) -> LabelledLibrary:
    """Kinds as Gaussian clouds around drawn centres, which overlap at their rims."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 1.0, (kinds, dimensions))
    features = np.concatenate([centre + rng.normal(0, 0.6, (per_kind, dimensions)) for centre in centres])
    kind = np.repeat([f"kind {number:02d}" for number in range(kinds)], per_kind)
    artists = [f"{name} artist {rng.integers(artists_per_kind)}" for name in kind]
    return _shuffled(features.astype(np.float32), kind, artists, rng)


def grown(songs: Path, per_kind: int, label: str = "collection", fewest: int = 10, seed: int = 3) -> LabelledLibrary:
    """Real songs' features, and between two songs of a kind as many more as it lacks.

    songs : CSV, a row a song, with columns mfcc_… and contrast_…
    label : column that stands for the kind; kinds of fewer than `fewest` songs are left out
    A grown track lies between two songs of its kind, near one of them, with noise of a tenth of the kind's deviation.
    """
    table = pd.read_csv(songs)
    table = table[table[label].map(table[label].value_counts()) >= fewest]
    columns = [name for name in table.columns if name.startswith(("mfcc_", "contrast_"))]
    rng = np.random.default_rng(seed)
    features, kinds, artists = [], [], []
    for kind, songs_of_kind in table.groupby(label):
        real = songs_of_kind[columns].to_numpy(dtype=np.float32)
        names = songs_of_kind["artist"].fillna("").tolist()
        missing = max(0, per_kind - len(real))
        first, second = rng.integers(0, len(real), (2, missing))
        step = rng.uniform(0, 0.5, (missing, 1)).astype(np.float32)
        between = real[first] * (1 - step) + real[second] * step
        between += rng.normal(0, 0.1, between.shape).astype(np.float32) * real.std(axis=0)
        features += [real, between]
        kinds += [str(kind)] * (len(real) + missing)
        # An artist of a real collection has some twenty tracks; grown ones are dealt out to artists of that size.
        artists += names + [f"{kind} {number // 20}" for number in range(missing)]
    return _shuffled(np.concatenate(features).astype(np.float32), np.array(kinds), artists, rng)


def _shuffled(
    features: NDArray[np.float32], kinds: NDArray[np.str_], artists: list[str], rng: np.random.Generator
) -> LabelledLibrary:
    """Without an order that tells kinds apart: ties are broken by id."""
    order = rng.permutation(len(features))
    ids = [f"{number:016x}" for number in range(len(features))]
    return LabelledLibrary(ids, features[order], kinds[order], [artists[row] for row in order])
