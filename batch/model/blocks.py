"""Blocks of a track's features: the vector of MFCC and contrast statistics, and a trained ear's embedding beside it. No Spark.

One row [vector | embedding] is what a model is trained on, asked with and extended by: 189 numbers where the library has no
embeddings, 389 where it has. A model never mixes the two kinds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from batch.ear.graph import N_EMBEDDING
from batch.index.projection import FeaturesUnfit, Floats

BLOCKS = ("timbre", "ear")
"""Names of the blocks, in their order in a row: the vector, the embedding."""


def joined(vectors: Floats, embeddings: Floats | None) -> Floats:
    """Rows [vector | embedding], float32 [shape=(n, d + 200)]; the vectors alone without embeddings.

    vectors : [shape=(n, d)];  embeddings : [shape=(n, 200)]
    """
    return vectors if embeddings is None else np.hstack([vectors, embeddings]).astype(np.float32)


def lengths(vectors: Floats, embeddings: Floats | None) -> tuple[int, ...]:
    """Numbers of each block of a row, in the order of BLOCKS."""
    return (vectors.shape[1],) if embeddings is None else (vectors.shape[1], embeddings.shape[1])


def split(rows: Floats, block_lengths: tuple[int, ...]) -> list[Floats]:
    """The blocks of rows [shape=(n, sum of the lengths)], one array each."""
    return np.split(rows, np.cumsum(block_lengths)[:-1], axis=1)


def column_scales(deviation: Floats, block_lengths: tuple[int, ...]) -> Floats:
    """Factors of standardised features [shape=(d,)]: 1 in the first block; in the embedding each number's deviation, by their
    root mean square, which brings the numbers back to the scale of the network, where those that say little are small.

    deviation : of the features [shape=(d,)]
    """
    scales = np.ones(len(deviation), dtype=np.float32)
    if len(block_lengths) > 1:
        of_embedding = deviation[block_lengths[0] :]
        scales[block_lengths[0] :] = of_embedding / max(float(np.sqrt(np.square(of_embedding).mean())), 1e-9)
    return scales


def fitting(vector: NDArray[np.floating], embedding: NDArray[np.floating] | None, dimensions: int) -> Floats:
    """A track's row for a model: float32 [shape=(dimensions,)].

    vector : [shape=(d,)];  embedding : [shape=(200,)], None where the track has none
    dimensions : numbers a row that the model was trained on
    The embedding is left out for a model without; raises FeaturesUnfit where a model with embeddings lacks the track's.
    """
    if dimensions == len(vector):
        return np.asarray(vector, dtype=np.float32)
    if embedding is None and dimensions == len(vector) + N_EMBEDDING:
        raise FeaturesUnfit(
            "features without the trained ear's embedding, the model was trained with it: run "
            "./spark-submit.sh batch/extract.py with the setting library.ear = musicnn, or train again"
        )
    return np.concatenate([vector, [] if embedding is None else embedding]).astype(np.float32)
