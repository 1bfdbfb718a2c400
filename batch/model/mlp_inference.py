"""A trained ensemble as numbers: from a track's features to a probability for each genre. Knows nothing of Spark.

Two kinds of MLlib perceptron are averaged: one with a hidden layer on the standardised features, one without on random Fourier
features (Rahimi & Recht, 2007), which sees what a support vector machine with an RBF kernel sees. They err differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch.index.projection import Floats

Doubles = NDArray[np.float64]

CLIP = 5.0
"""Deviations beyond which a feature says no more."""
SCALE = 0.3
"""Of the standardised features as they enter a hidden layer: its sigmoids start out unsaturated."""


@dataclass(frozen=True)
class Inputs:
    """What enters the networks.

    mean, deviation : float32 [shape=(d,)];  frequencies : float32 [shape=(blocks, d, f)];  phases : float32 [shape=(blocks, f)]
    """

    mean: Floats
    deviation: Floats
    frequencies: Floats
    phases: Floats

    def plain(self, features: NDArray[np.floating]) -> Floats:
        """Standardised, clipped and scaled: float32 [shape=(n, d)]."""
        weight = np.divide(1.0, self.deviation, out=np.zeros_like(self.deviation), where=self.deviation > 0)
        return np.asarray(SCALE * np.clip((features - self.mean) * weight, -CLIP, CLIP), dtype=np.float32)

    def waves(self, plain: Floats, block: int) -> Floats:
        """Random Fourier features of `plain`, drawn anew for each block: float32 [shape=(n, f)]."""
        return np.asarray(np.cos(plain @ self.frequencies[block] / SCALE + self.phases[block]), dtype=np.float32)


@dataclass(frozen=True)
class Perceptron:
    """Layers as MLlib's MultilayerPerceptronClassifier has them: sigmoid, and softmax at the end.

    waves : the block of Fourier features that enters it; -1: the features themselves
    layers : [(weights [shape=(in, out)], bias [shape=(out,)]), …]
    """

    waves: int
    layers: tuple[tuple[Doubles, Doubles], ...]

    def probabilities(self, entered: NDArray[np.floating]) -> Doubles:
        values = np.asarray(entered, dtype=np.float64)
        for weights, bias in self.layers[:-1]:
            values = 1 / (1 + np.exp(-np.clip(values @ weights + bias, -500, 500)))
        weights, bias = self.layers[-1]
        values = values @ weights + bias
        values = np.exp(values - values.max(axis=1, keepdims=True))
        return np.asarray(values / values.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Ensemble:
    """Perceptrons that are averaged, and the genres that their outputs stand for."""

    inputs: Inputs
    members: tuple[Perceptron, ...]
    genres: tuple[str, ...]

    def probabilities(self, features: NDArray[np.floating]) -> Doubles:
        """features : [shape=(n, d)]; returns float64 [shape=(n, genres)], each row's sum 1."""
        plain = self.inputs.plain(np.asarray(features))
        each = [
            member.probabilities(plain if member.waves < 0 else self.inputs.waves(plain, member.waves))
            for member in self.members
        ]
        return np.asarray(np.mean(each, axis=0))

    def save(self, file: Path) -> None:
        arrays: dict[str, Any] = {**vars(self.inputs), "genres": np.array(self.genres, dtype=np.str_)}
        arrays["waves"] = np.array([member.waves for member in self.members])
        for m, member in enumerate(self.members):
            for at, (weights, bias) in enumerate(member.layers):
                arrays |= {f"weights_{m}_{at}": weights, f"bias_{m}_{at}": bias}
        np.savez(file, **arrays)

    @classmethod
    def open(cls, file: Path) -> Ensemble:
        with np.load(file, allow_pickle=False) as stored:
            inputs = Inputs(**{name: stored[name] for name in Inputs.__dataclass_fields__})
            members = []
            for m, waves in enumerate(stored["waves"]):
                depth = sum(name.startswith(f"weights_{m}_") for name in stored.files)
                layers = tuple((stored[f"weights_{m}_{at}"], stored[f"bias_{m}_{at}"]) for at in range(depth))
                members.append(Perceptron(int(waves), layers))
            return cls(inputs, tuple(members), tuple(str(genre) for genre in stored["genres"]))


def inputs(features: NDArray[np.floating], blocks: int, frequencies: int, gamma: float, seed: int) -> Inputs:
    """Fitted on the training features.  frequencies : of each block;  gamma : of the kernel, in 1 / (d × variance)"""
    d = features.shape[1]
    rng = np.random.default_rng(seed)
    return Inputs(
        features.mean(axis=0, dtype=np.float64).astype(np.float32),
        features.std(axis=0, dtype=np.float64).astype(np.float32),
        (rng.normal(size=(blocks, d, frequencies)) * np.sqrt(2 * gamma / d)).astype(np.float32),
        rng.uniform(0, 2 * np.pi, (blocks, frequencies)).astype(np.float32),
    )


def layers(sizes: list[int], flat: Doubles) -> tuple[tuple[Doubles, Doubles], ...]:
    """MLlib's flat weights by layer: of each, the matrix (column-major, outputs × inputs), then the bias."""
    found, start = [], 0
    for entering, leaving in zip(sizes[:-1], sizes[1:], strict=True):
        stop = start + entering * leaving
        found.append((flat[start:stop].reshape(entering, leaving), flat[stop : stop + leaving]))
        start = stop + leaving
    return tuple(found)
