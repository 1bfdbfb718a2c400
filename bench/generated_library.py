"""A generated library for benchmarks: vectors around genres and artists, their index, and documents for MongoDB.

The vectors are random, not extracted: they serve to measure time, never quality. Each track belongs to one of sixteen
genres (a centre in a 32-dimensional subspace) and to an artist (a centre near its genre's), as real features cluster.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch import registry
from batch.index.building import build_index, with_local_scales
from batch.index.lsh import STORED_NEIGHBOURS, Index
from batch.index.projection import int8_quantisation_step, to_unit
from batch.index.tuning import default_parameters, random_projection, shortest_buckets, tuning_sample
from batch.model.sweep import principal_components

LATENT_DIMENSIONS = 32
"""Of the subspace in which genres and artists cluster."""
DIMENSIONS = 140
GENRES = 16
TRACKS_PER_ARTIST = 7
SKETCH_COMPONENTS = 32
SEED = 20


@dataclass(frozen=True)
class GeneratedLibrary:
    """Generated tracks.  vectors : features, float32 [shape=(n, DIMENSIONS)]"""

    ids: list[str]
    vectors: NDArray[np.float32]
    genres: list[str]
    artists: list[str | None]

    def documents(self) -> list[dict[str, Any]]:
        """The tracks as `publish` would write them, without features."""
        return [
            {"_id": track, "title": f"Track {number}", "artist": artist, "genre": genre, "duration_s": 200.0}
            for number, (track, genre, artist) in enumerate(zip(self.ids, self.genres, self.artists, strict=True))
        ]


def generated_library(n: int, seed: int = 3) -> GeneratedLibrary:
    """A library of n tracks."""
    rng = np.random.default_rng(seed)
    falling_scale = np.arange(1, LATENT_DIMENSIONS + 1) ** -0.5  # real features vary most along few directions
    subspace = falling_scale[:, None] * rng.normal(0, 1, (LATENT_DIMENSIONS, DIMENSIONS))
    centres = rng.normal(0, 1.2, (GENRES, LATENT_DIMENSIONS))
    genre = rng.integers(0, GENRES, max(1, n // TRACKS_PER_ARTIST))
    around = centres[genre] + rng.normal(0, 0.6, (len(genre), LATENT_DIMENSIONS))
    artist = rng.integers(0, len(genre), n)
    latent = around[artist] + rng.normal(0, 0.5, (n, LATENT_DIMENSIONS))
    vectors = latent @ subspace + rng.normal(0, 0.25, (n, DIMENSIONS))
    ids = [f"{number:016x}" for number in range(n)]
    names: list[str | None] = [f"artist {number}" for number in artist]
    return GeneratedLibrary(ids, vectors.astype(np.float32), [f"genre {genre[number]}" for number in artist], names)


def model(root: Path, made: GeneratedLibrary) -> registry.Model:
    """The library's model under `root`, built where it is missing: the index that train would build, without Spark."""
    fingerprint = f"made-4-{len(made.ids)}-{default_parameters(len(made.ids))}"
    if (existing := registry.trained_on(str(root), fingerprint)) is not None:
        registry.make_latest(str(root), existing.version)
        return existing
    index, recall, share = _index(made)
    with registry.new_version(str(root), datetime.now(UTC)) as new:
        folder = new.folder
        index.save(folder / "index")
        values = {"tracks": len(made.ids), "fingerprint": fingerprint, "recall": recall, "candidate_share": share}
        registry.write_manifest(folder, {**values, "genres": [], "library": "made"})
    return registry.latest(str(root))


def _index(made: GeneratedLibrary) -> tuple[Index, float, float]:
    """(index with local scales and stored neighbours, recall@20, share of the tracks that are candidates)."""
    mean, deviation = made.vectors.mean(axis=0), made.vectors.std(axis=0)
    points = to_unit(((made.vectors - mean) / deviation).astype(np.float32))
    parameters = default_parameters(len(points))
    components, variances = principal_components(points, SKETCH_COMPONENTS)
    projection_rms = float(np.sqrt(variances[: parameters.components].mean()))
    untuned = replace(
        random_projection(parameters, components, projection_rms, SEED),
        mean=mean,
        deviation=deviation,
        components=components,
        unit_length=True,
        quantisation_step=int8_quantisation_step(points, components),
    )
    projection, _, quality = shortest_buckets(points, untuned, tuning_sample(points), projection_rms)
    index = with_local_scales(build_index(made.ids, made.vectors, made.artists, projection))
    blocks = np.array_split(np.arange(len(index)), 1 + len(index) // 1000)
    neighbours = [rows for block in blocks for rows, _ in index.similar(block, STORED_NEIGHBOURS)]
    index = replace(index, stored_neighbours=np.array(neighbours, dtype=np.int32))
    return index, quality.recall, quality.candidate_share
