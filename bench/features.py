"""Features for the benchmarks: real ones from a folder named on the command line, and larger sets generated from them."""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

csv.field_size_limit(sys.maxsize)


@dataclass(frozen=True)
class Songs:
    """Songs with tags.

    vectors : float32 [shape=(n, d)];  tags : by column, n each, "" where there is none
    embeddings : of the trained ear, float32 [shape=(n, 200)]; None: not extracted
    musly : pymusly's models, serialised; None: it is not installed
    tag_probabilities : of the trained ear's tags, float32 [shape=(n, 50)]; None: not extracted
    """

    vectors: np.ndarray
    tags: dict[str, list[str]]
    embeddings: np.ndarray | None = None
    musly: list[bytes] | None = None
    tag_probabilities: np.ndarray | None = None


def songs(folder: Path) -> Songs:
    """The songs of features.csv: a header, then one line per song with tags (file, collection, title, artist …) and features."""
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
        positions = [position for position, kind in enumerate(kinds) if kind == "mfcc"]
        vector_by_number: dict[int, list[float]] = {}
        for line in lines:
            try:
                vector_by_number.setdefault(int(line[0]), [float(line[position]) for position in positions])
            except (ValueError, IndexError):
                continue  # rows without values
    return np.array(list(vector_by_number)), np.array(list(vector_by_number.values()), dtype=np.float32)


def fma_genres(folder: Path, numbers: np.ndarray) -> list[str]:
    """The genre of each track number, "" where unknown, from the lines `000/000002.mp3,Hip-Hop` of fma_small_paths_genre.csv."""
    with (folder / "fma_small_paths_genre.csv").open(newline="") as file:
        genres = {int(Path(row["filename"]).stem): row["genre"] for row in csv.DictReader(file)}
    return [genres.get(int(number), "") for number in numbers]


def grown(real: np.ndarray, n: int, seed: int = 20, neighbours: int = 15, noise: float = 0.3) -> np.ndarray:
    """n vectors with the clusters and the covariance of the real ones: float32 [shape=(n, d)], standardised.

    neighbours : of a real vector, whose differences to it are combined with normal weights and added (the local covariance)
    noise : standard deviations of normal noise with the covariance of all vectors, also added
    """
    rng = np.random.default_rng(seed)
    deviation = real.std(axis=0)
    points = ((real - real.mean(axis=0)) / np.where(deviation > 0, deviation, 1)).astype(np.float32)
    length = np.square(points).sum(axis=1)
    nearest = np.argsort(length[:, None] + length - 2 * points @ points.T, axis=1)[:, 1 : neighbours + 1]
    d = points.shape[1]
    root = np.linalg.cholesky(np.cov(points.T) + 1e-4 * np.eye(d)).astype(np.float32)
    generated = np.empty((n, d), dtype=np.float32)
    for start in range(0, n, 10_000):
        rows = rng.integers(0, len(points), min(10_000, n - start))
        weights = (rng.normal(size=(len(rows), neighbours)) / np.sqrt(neighbours)).astype(np.float32)
        local = np.einsum("nk,nkd->nd", weights, points[nearest[rows]] - points[rows][:, None])
        everywhere = noise * rng.normal(size=(len(rows), d)).astype(np.float32) @ root.T
        generated[start : start + len(rows)] = points[rows] + local + everywhere
    return generated


def table(rows: list[dict[str, object]]) -> str:
    """The rows as a Markdown table, with a column for every name that a row has."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names), *[[_cell(row.get(name)) for name in names] for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def in_first_half(collection: np.ndarray) -> np.ndarray:
    """Whether a song's collection is the 1st, 4th, 5th, 8th … by size.  collection : codes [shape=(n,)]"""
    codes, sizes = np.unique(collection, return_counts=True)
    by_size = codes[np.argsort(-sizes, kind="stable")]
    return np.isin(collection, by_size[np.isin(np.arange(len(by_size)) % 4, (0, 3))])
