"""A made catalogue for benchmarks: vectors around genres and artists, their index, and documents for MongoDB.

The vectors are drawn, not extracted: what is measured with them is time, never quality. Each track belongs to one of sixteen
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
from batch.index.lsh import NEAR, Index, index, with_local_scales
from batch.index.projection import grain_of, to_unit
from batch.index.tuning import default_banding, drawn, narrowest, sample
from batch.model.sweep import principal_components

COMPONENTS = 32
SEED = 20
SKETCHED = 32
DIMENSIONS = 140
GENRES = 16
TRACKS_AN_ARTIST = 7


@dataclass(frozen=True)
class Catalogue:
    ids: list[str]
    vectors: NDArray[np.float32]
    genres: list[str]
    artists: list[str | None]

    def documents(self) -> list[dict[str, Any]]:
        """The tracks as `publish` would write them, without features."""
        return [
            {"_id": track, "title": f"Track {at}", "artist": artist, "genre": genre, "duration_s": 200.0}
            for at, (track, genre, artist) in enumerate(zip(self.ids, self.genres, self.artists, strict=True))
        ]


def catalogue(n: int, seed: int = 3) -> Catalogue:
    rng = np.random.default_rng(seed)
    falling = np.arange(1, COMPONENTS + 1) ** -0.5  # real features vary most along few directions
    subspace = falling[:, None] * rng.normal(0, 1, (COMPONENTS, DIMENSIONS))
    centres = rng.normal(0, 1.2, (GENRES, COMPONENTS))
    genre = rng.integers(0, GENRES, max(1, n // TRACKS_AN_ARTIST))
    around = centres[genre] + rng.normal(0, 0.6, (len(genre), COMPONENTS))
    artist = rng.integers(0, len(genre), n)
    latent = around[artist] + rng.normal(0, 0.5, (n, COMPONENTS))
    vectors = latent @ subspace + rng.normal(0, 0.25, (n, DIMENSIONS))
    ids = [f"{at:016x}" for at in range(n)]
    names: list[str | None] = [f"artist {a}" for a in artist]
    return Catalogue(ids, vectors.astype(np.float32), [f"genre {genre[a]}" for a in artist], names)


def model(root: Path, made: Catalogue) -> registry.Model:
    """The catalogue's model under `root`, made when it is not there yet: the index that train would build, without Spark."""
    fingerprint = f"made-4-{len(made.ids)}-{default_banding(len(made.ids))}"
    if (known := registry.trained_on(str(root), fingerprint)) is not None:
        registry.make_latest(str(root), known.version)
        return known
    whole, recall, share = _index(made)
    with registry.new_version(str(root), datetime.now(UTC)) as (_, folder):
        whole.save(folder / "index")
        values = {"tracks": len(made.ids), "fingerprint": fingerprint, "recall": recall, "candidate_share": share}
        registry.write_manifest(folder, {**values, "genres": [], "library": "made"})
    return registry.latest(str(root))


def _index(made: Catalogue) -> tuple[Index, float, float]:
    mean, deviation = made.vectors.mean(axis=0), made.vectors.std(axis=0)
    points = to_unit(((made.vectors - mean) / deviation).astype(np.float32))
    banding = default_banding(len(points))
    components, variances = principal_components(points, SKETCHED)
    spread = float(np.sqrt(variances[: banding.components].mean()))
    tried = replace(
        drawn(banding, components, spread, SEED),
        mean=mean,
        deviation=deviation,
        components=components,
        unit=True,
        grain=grain_of(points, components),
    )
    space, _, met = narrowest(points, tried, sample(points), spread)
    whole = with_local_scales(index(made.ids, made.vectors, made.artists, space))
    blocks = np.array_split(np.arange(len(whole)), 1 + len(whole) // 1000)
    near = np.array([rows for block in blocks for rows, _ in whole.similar(block, NEAR)], dtype=np.int32)
    return replace(whole, near=near), met.recall, met.candidates
