"""Spaces compared on real songs: hubs, and neighbours of the same collection, with and without the artist filter.

    python bench/space.py FOLDER [--json FILE]

FOLDER/features.csv holds songs with artist, album and collection (see bench/features.py); or FMA's features with
fma_small_paths_genre.csv beside them, for the spaces that are learned from genres. The first rows are exact search over
the whole set; "unseen artists" learns on two thirds of the artists and measures on the others; the last row is the index as
`train` builds it, through MLlib and the bands.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from batch import metric, similarity  # noqa: E402
from batch.hubness import occurrences, reachable, skewness  # noqa: E402
from batch.metric import Tags, filtered_precision, scaled  # noqa: E402
from batch.space import to_unit  # noqa: E402
from batch.tuning import default_banding  # noqa: E402
from bench.features import fma, fma_genres, songs, table  # noqa: E402
from bench.session import session  # noqa: E402

TEN = 10


def squared(points: np.ndarray) -> np.ndarray:
    length = np.square(points).sum(axis=1)
    return np.maximum(length[:, None] + length - 2 * points @ points.T, 0)


def proximity(points: np.ndarray) -> np.ndarray:
    """1 - mutual proximity under normal distances (Schnitzer et al., 2012)."""
    from scipy.stats import norm

    apart = np.sqrt(squared(points))
    mean, deviation = apart.mean(axis=1), apart.std(axis=1)
    return 1 - norm.sf(apart, mean[:, None], deviation[:, None]) * norm.sf(apart, mean, deviation)


def quantiles(vectors: np.ndarray) -> np.ndarray:
    from scipy.special import ndtri

    return ndtri((vectors.argsort(axis=0).argsort(axis=0) + 0.5) / len(vectors)).astype(np.float32)


def row(name: str, apart: np.ndarray, tags: Tags, collection: np.ndarray) -> dict[str, object]:
    apart = apart.astype(np.float64).copy()
    np.fill_diagonal(apart, np.inf)
    return {"space": name, **measured(np.argsort(apart, axis=1, kind="stable")[:, :TEN], apart, tags, collection)}


def measured(lists: np.ndarray, apart: np.ndarray, tags: Tags, collection: np.ndarray) -> dict[str, object]:
    counts = occurrences(lists, len(lists))
    plain = filtered_precision(apart, collection, TEN)
    apart = apart.copy()
    apart[tags.same_origin()] = np.inf
    return {
        "skew": skewness(counts),
        "in nobody's list, %": 100 * float((counts == 0).mean()),
        "reachable, %": 100 * reachable(lists, len(lists)),
        "precision@10": plain,
        "artist-filtered": filtered_precision(apart, collection, TEN),
    }


def unseen(
    standardised: np.ndarray, tags: Tags, collection: np.ndarray, learn: Callable[[np.ndarray, Tags], np.ndarray | None]
) -> dict[str, object]:
    """Means over two rounds of three folds of artists: learned on two, measured on the third."""
    origin = np.where(tags.artist >= 0, tags.artist, np.where(tags.same_album >= 0, -2 - tags.same_album, -10_000_000))
    alone = origin == -10_000_000
    origin[alone] -= np.arange(int(alone.sum()))
    _, number = np.unique(origin, return_inverse=True)
    found = []
    rng = np.random.default_rng(5)
    for _ in range(4):
        fold = (rng.permutation(number.max() + 1) % 3)[number]
        for held_out in range(3):
            seen, rest = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
            matrix = learn(standardised[seen], tags[seen])
            points = to_unit(standardised[rest] if matrix is None else standardised[rest] @ matrix)
            one = row("", scaled(points), tags[rest], collection[rest])
            found.append(
                [
                    one[name]
                    for name in ("skew", "in nobody's list, %", "reachable, %", "precision@10", "artist-filtered")
                ]
            )
    means = np.mean(np.array(found, dtype=float), axis=0)
    return dict(
        zip(
            ("skew", "in nobody's list, %", "reachable, %", "precision@10", "artist-filtered"),
            means.tolist(),
            strict=True,
        )
    )


def through_the_index(vectors: np.ndarray, tags: Tags, collection: np.ndarray, artists: list[str]) -> dict[str, object]:
    import pyarrow as pa

    spark = session("bench-space")
    frame = spark.createDataFrame(pa.table({"vector": pa.array(list(vectors), pa.list_(pa.float32()))}))
    fitted = similarity.fit(frame, vectors, tags, default_banding(len(vectors)))
    ids = [f"{at:06d}" for at in range(len(vectors))]
    with tempfile.TemporaryDirectory() as folder:
        similarity.as_index(ids, list(artists), fitted).save(Path(folder))
        index = similarity.with_scales(spark, Path(folder))
        lists = np.full((len(ids), TEN), -1)
        apart = np.full((len(ids), len(ids)), np.inf)
        for at, (rows, score) in enumerate(index.similar(np.arange(len(ids)), len(ids) - 1)):
            lists[at] = rows[:TEN]
            apart[at, rows] = 1 - score
    spark.stop()
    share = 100 * fitted.quality.candidates
    name = f"the index: {fitted.metric.name}, recall@20 {fitted.quality.recall:.3f}, {share:.0f} % candidates"
    return {"space": name, **measured(lists, apart, tags, collection)}


def with_genres(folder: Path) -> list[dict[str, object]]:
    """Discriminant directions of the genres on FMA's features, learned on two thirds of the tracks and measured on the others."""
    numbers, vectors = fma(folder)
    standardised = ((vectors - vectors.mean(axis=0)) / np.maximum(vectors.std(axis=0), 1e-9)).astype(np.float32)
    nobody = [None] * len(numbers)
    tags = metric.tags([str(number) for number in numbers], nobody, fma_genres(folder, numbers))
    one = np.eye(standardised.shape[1], dtype=np.float32)

    def learn(length: float, base: np.ndarray) -> Callable[[np.ndarray, Tags], np.ndarray]:
        return lambda points, tags: metric.genre_metric(points, tags, base, length)

    rows = [{"space": "plain, unseen tracks", **unseen(standardised, tags, tags.genre, lambda points, tags: None)}]
    for length in (0.25, 0.5, 1.0, 2.0):
        rows.append(
            {
                "space": f"genre at length {length:g}, unseen tracks",
                **unseen(standardised, tags, tags.genre, learn(length, one)),
            }
        )
    alone = {
        "space": "genre directions alone, unseen tracks",
        **unseen(standardised, tags, tags.genre, learn(1000.0, one)),
    }
    return [*rows, alone]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if (given.folder / "fma_small_paths_genre.csv").exists():
        rows = with_genres(given.folder)
        print(table(rows))
        if given.json:
            given.json.write_text(json.dumps(rows, indent=2) + "\n")
        return
    known = songs(given.folder)
    tags = metric.tags(known.tags["artist"], known.tags["album"], [None] * len(known.vectors))
    collection = metric.labels([name.casefold() for name in known.tags["collection"]])
    standardised = ((known.vectors - known.vectors.mean(axis=0)) / np.maximum(known.vectors.std(axis=0), 1e-9)).astype(
        np.float32
    )
    normal = quantiles(known.vectors)
    unit, whitened = to_unit(standardised), to_unit(standardised @ metric.album_metric(standardised, tags))
    rows = [
        row("standardised, Euclidean", squared(standardised), tags, collection),
        row("standardised, Euclidean, local scaling", scaled(standardised), tags, collection),
        row("cosine", squared(unit), tags, collection),
        row("cosine, local scaling (plain)", scaled(unit), tags, collection),
        row("cosine, mutual proximity", proximity(unit), tags, collection),
        row("quantile-normal, cosine, local scaling", scaled(to_unit(normal)), tags, collection),
        row("whitened within albums, cosine", squared(whitened), tags, collection),
        row("whitened within albums, cosine, local scaling (album)", scaled(whitened), tags, collection),
        row("whitened within albums, cosine, mutual proximity", proximity(whitened), tags, collection),
        row(
            "quantile-normal, whitened, local scaling",
            scaled(to_unit(normal @ metric.album_metric(normal, tags))),
            tags,
            collection,
        ),
        {"space": "plain, unseen artists", **unseen(standardised, tags, collection, lambda points, tags: None)},
        {"space": "album, unseen artists", **unseen(standardised, tags, collection, metric.album_metric)},
        {
            "space": "album, power 1/8, unseen artists",
            **unseen(standardised, tags, collection, partial(metric.album_metric, power=1 / 8)),
        },
        {
            "space": "album, power 1/2, unseen artists",
            **unseen(standardised, tags, collection, partial(metric.album_metric, power=1 / 2)),
        },
        {"space": "quantile-normal album, unseen artists", **unseen(normal, tags, collection, metric.album_metric)},
        through_the_index(known.vectors, tags, collection, known.tags["artist"]),
    ]
    print(table(rows))
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
