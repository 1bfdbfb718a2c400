"""Inference of the genre ensemble: from a track's features to a probability for each genre. No Spark.

Two kinds of MLlib perceptron are averaged: one with a hidden layer on the standardised features, and one without on random
Fourier features (Rahimi & Recht, 2007), which approximates a classifier with an RBF kernel. They err differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch.index.projection import Floats, mean_and_variance, row_blocks

Doubles = NDArray[np.float64]
Layers = tuple[tuple[Doubles, Doubles], ...]
"""For each layer (weights [shape=(in, out)], bias [shape=(out,)])."""

MAX_DEVIATIONS = 5.0
"""Standard deviations at which features are clipped."""
INPUT_SCALE = 0.3
"""Factor on the standardised features: the hidden layer's sigmoids start out unsaturated."""
NO_FOURIER = -1
"""Stands in place of a Fourier block's number: the network takes the standardised features themselves."""


@dataclass(frozen=True)
class Inputs:
    """Standardisation and random Fourier features of d features; stored in genre.npz under these names.

    mean, deviation : float32 [shape=(d,)]
    frequencies : float32 [shape=(blocks, d, f)];  phases : float32, radians [shape=(blocks, f)]
    """

    mean: Floats
    deviation: Floats
    frequencies: Floats
    phases: Floats

    def standardised(self, features: NDArray[np.floating]) -> Floats:
        """Features standardised, clipped and scaled by INPUT_SCALE: float32 [shape=(n, d)]."""
        weight = np.divide(1.0, self.deviation, out=np.zeros_like(self.deviation), where=self.deviation > 0)
        deviations = np.clip((features - self.mean) * weight, -MAX_DEVIATIONS, MAX_DEVIATIONS)
        return np.asarray(INPUT_SCALE * deviations, dtype=np.float32)

    def fourier(self, standardised: Floats, block: int) -> Floats:
        """Random Fourier features of what `standardised` returns, by the block's own draw: float32 [shape=(n, f)]."""
        angles = np.asarray(standardised @ self.frequencies[block], dtype=np.float32)
        angles /= INPUT_SCALE
        angles += self.phases[block]
        return np.cos(angles, out=angles)


@dataclass(frozen=True)
class Perceptron:
    """A network with the layers of MLlib's MultilayerPerceptronClassifier: sigmoid, softmax at the end.

    fourier_block : number of the Fourier block that it takes, or NO_FOURIER
    """

    fourier_block: int
    layers: Layers

    def probabilities(self, inputs: NDArray[np.floating]) -> Doubles:
        """inputs : [shape=(n, in)]; returns float64 [shape=(n, genres)], each row's sum 1."""
        values = np.asarray(inputs, dtype=np.float64)
        for weights, bias in self.layers[:-1]:
            values = 1 / (1 + np.exp(-np.clip(values @ weights + bias, -500, 500)))
        weights, bias = self.layers[-1]
        values = values @ weights + bias
        values = np.exp(values - values.max(axis=1, keepdims=True))
        return np.asarray(values / values.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Ensemble:
    """Perceptrons whose probabilities are averaged, and the genres of their outputs."""

    inputs: Inputs
    members: tuple[Perceptron, ...]
    genres: tuple[str, ...]

    def probabilities(self, features: NDArray[np.floating]) -> Doubles:
        """features : [shape=(n, d)]; returns float64 [shape=(n, genres)], each row's sum 1."""
        features = np.asarray(features)
        probabilities = np.empty((len(features), len(self.genres)))
        for block in row_blocks(len(features)):
            probabilities[block] = self._probabilities(self.inputs.standardised(features[block]))
        return probabilities

    def _probabilities(self, standardised: Floats) -> Doubles:
        by_member = [
            member.probabilities(
                standardised
                if member.fourier_block == NO_FOURIER
                else self.inputs.fourier(standardised, member.fourier_block)
            )
            for member in self.members
        ]
        return np.asarray(np.mean(by_member, axis=0))

    def save(self, file: Path) -> None:
        arrays: dict[str, Any] = {**vars(self.inputs), "genres": np.array(self.genres, dtype=np.str_)}
        arrays["waves"] = np.array([member.fourier_block for member in self.members])
        for m, member in enumerate(self.members):
            for layer, (weights, bias) in enumerate(member.layers):
                arrays |= {f"weights_{m}_{layer}": weights, f"bias_{m}_{layer}": bias}
        np.savez(file, **arrays)

    @classmethod
    def open(cls, file: Path) -> Ensemble:
        with np.load(file, allow_pickle=False) as stored:
            inputs = Inputs(**{name: stored[name] for name in Inputs.__dataclass_fields__})
            members = []
            for m, fourier_block in enumerate(stored["waves"]):
                depth = sum(name.startswith(f"weights_{m}_") for name in stored.files)
                layers = tuple((stored[f"weights_{m}_{layer}"], stored[f"bias_{m}_{layer}"]) for layer in range(depth))
                members.append(Perceptron(int(fourier_block), layers))
            return cls(inputs, tuple(members), tuple(str(genre) for genre in stored["genres"]))


def fitted_inputs(features: NDArray[np.floating], blocks: int, frequencies: int, gamma: float, seed: int) -> Inputs:
    """Inputs with mean and deviation of the training features, and `blocks` draws of random frequencies.

    features : [shape=(n, d)];  frequencies : of each block;  gamma : of the RBF kernel, in 1 / (d × variance)
    """
    # Not scikit-learn's RBFSampler: its cosines are scaled by sqrt(2 / f) and drawn by RandomState, so that networks of the
    # same fingerprint would have other weights.
    d = features.shape[1]
    rng = np.random.default_rng(seed)
    mean, variance = mean_and_variance(features)
    return Inputs(
        mean.astype(np.float32),
        np.sqrt(variance).astype(np.float32),
        (rng.normal(size=(blocks, d, frequencies)) * np.sqrt(2 * gamma / d)).astype(np.float32),
        rng.uniform(0, 2 * np.pi, (blocks, frequencies)).astype(np.float32),
    )


def unflattened(sizes: list[int], weights: Doubles) -> Layers:
    """MLlib's flat weight vector by layer: of each the matrix (column-major, outputs × inputs), then the bias.

    sizes : units of each layer, inputs first;  weights : `MultilayerPerceptronClassificationModel.weights`
    """
    layers, start = [], 0
    for units_in, units_out in zip(sizes[:-1], sizes[1:], strict=True):
        stop = start + units_in * units_out
        layers.append((weights[start:stop].reshape(units_in, units_out), weights[stop : stop + units_out]))
        start = stop + units_out
    return tuple(layers)
