"""Real features for the benchmarks, read from a folder that is named on the command line; and larger sets grown from them."""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

csv.field_size_limit(sys.maxsize)


@dataclass(frozen=True)
class Songs:
    """vectors : float32 [shape=(n, d)]; tags by column, "" where there is none"""

    vectors: np.ndarray
    tags: dict[str, list[str]]


def songs(folder: Path) -> Songs:
    """features.csv with a header, one line a song: tags (file, collection, title, artist, album, genre …), then the features."""
    with (folder / "features.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name.startswith(("mfcc_", "contrast_"))]
    vectors = np.array([[float(row[name]) for name in names] for row in rows], dtype=np.float32)
    return Songs(vectors, {name: [row[name] for row in rows] for name in rows[0] if name not in names})


def fma(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """(track numbers, MFCC statistics [shape=(n, 140)]) of FMA's features.csv, which has three lines of header."""
    with (folder / "features.csv").open(newline="", encoding="utf-8", errors="replace") as file:
        lines = csv.reader(file)
        kinds = next(lines)
        next(lines), next(lines), next(lines)
        wanted = [at for at, kind in enumerate(kinds) if kind == "mfcc"]
        found: dict[int, list[float]] = {}
        for line in lines:
            try:
                found.setdefault(int(line[0]), [float(line[at]) for at in wanted])
            except (ValueError, IndexError):
                continue  # rows without values
    return np.array(list(found)), np.array(list(found.values()), dtype=np.float32)


def fma_genres(folder: Path, numbers: np.ndarray) -> list[str]:
    """Of each track, from fma_small_paths_genre.csv: 000/000002.mp3,Hip-Hop."""
    with (folder / "fma_small_paths_genre.csv").open(newline="") as file:
        genres = {int(Path(row["filename"]).stem): row["genre"] for row in csv.DictReader(file)}
    return [genres.get(int(number), "") for number in numbers]


def grown(real: np.ndarray, n: int, seed: int = 20, neighbours: int = 15, noise: float = 0.3) -> np.ndarray:
    """n vectors with the clusters and the covariance of the real ones: float32 [shape=(n, d)], standardised.

    Each is a real vector, moved along a normal combination of the differences to its 15 nearest (the covariance around it), and a
    little (0.3 deviations) by the covariance of all.
    """
    rng = np.random.default_rng(seed)
    deviation = real.std(axis=0)
    points = ((real - real.mean(axis=0)) / np.where(deviation > 0, deviation, 1)).astype(np.float32)
    length = np.square(points).sum(axis=1)
    near = np.argsort(length[:, None] + length - 2 * points @ points.T, axis=1)[:, 1 : neighbours + 1]
    d = points.shape[1]
    root = np.linalg.cholesky(np.cov(points.T) + 1e-4 * np.eye(d)).astype(np.float32)
    found = np.empty((n, d), dtype=np.float32)
    for start in range(0, n, 10_000):
        at = rng.integers(0, len(points), min(10_000, n - start))
        weights = (rng.normal(size=(len(at), neighbours)) / np.sqrt(neighbours)).astype(np.float32)
        moved = np.einsum("nk,nkd->nd", weights, points[near[at]] - points[at][:, None])
        found[start : start + len(at)] = (
            points[at] + moved + noise * rng.normal(size=(len(at), d)).astype(np.float32) @ root.T
        )
    return found


def table(rows: list[dict[str, object]]) -> str:
    """Rows as a Markdown table, with a column for every name that one of them has."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names), *[[_cell(row.get(name)) for name in names] for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
