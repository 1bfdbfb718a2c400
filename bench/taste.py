"""Simulated listeners over real tracks: how soon their lists hold what they like, and what it costs in variety.

    PYTHONPATH=. .venv/bin/python bench/taste.py --features features.csv --tracks tracks.csv [--out taste.json]

The files are in FMA's layout (three and two header rows). The listeners are simulated: each likes one to three genres, hears the
first track of the list that was not heard before, to the end when its genre is liked, else skips it after a tenth; after
thirty tracks the genres change. Genre is what the simulation knows and the recommender does not.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batch.index.building import build_index, with_local_scales
from batch.index.lsh import Index
from batch.index.projection import Projection
from batch.model.cold_start import list_for_new_listeners
from conf.settings import settings
from streaming.events import Event
from streaming.profile.profile import Profile
from streaming.ranking.neighbour_cache import Catalogue
from streaming.ranking.ranker import items

COUNTS = (0, 1, 3, 5, 10, 30)
CHANGE = 30
AFTER = 30
STEADY = 5
TOP = 10
LISTED = 30
START = datetime(2026, 11, 1, 12, tzinfo=UTC)


@dataclass
class Tracks:
    index: Index
    genres: NDArray[np.str_]
    opening: list[str]

    def __post_init__(self) -> None:
        self.catalogue = Catalogue(self.index)


@dataclass
class Heard:
    """What one simulated listener did so far: rows, and whether each was heard to the end."""

    name: str
    rows: list[int] = field(default_factory=list)
    stayed: list[bool] = field(default_factory=list)
    profile: Profile = field(default_factory=lambda: Profile(""))


Method = Callable[[Heard, Tracks, "Counter[int]", np.random.Generator], list[int]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/taste.py")
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument(
        "--tracks", type=Path, help="in FMA's layout; without it --features is flat, with its labels in --label"
    )
    parser.add_argument("--label", default="collection", help="column of a flat file that stands for the genre")
    parser.add_argument("--genres", type=Path, help="CSV of filename,genre, for tracks that the other file lacks")
    parser.add_argument("--listeners", type=int, default=400)
    parser.add_argument("--seed", type=int, default=41, help="of the listeners; the settings were chosen on those of 5")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    tracks = (
        read(given.features, given.tracks, given.genres) if given.tracks else read_flat(given.features, given.label)
    )
    kinds = Counter(tracks.genres.tolist())
    print(
        f"{len(tracks.index):,} tracks of {len(kinds)} genres; {given.listeners} simulated listeners, seed {given.seed}\n",
        flush=True,
    )
    results = {name: simulate(method, tracks, given.listeners, given.seed) for name, method in METHODS.items()}
    with_recovery(results)
    show(results)
    if given.out:
        given.out.write_text(json.dumps(results, indent=2) + "\n")
    return 0


def read(features: Path, tracks: Path, genres: Path | None) -> Tracks:
    """Tracks with finite MFCC features and a genre of at least twenty tracks."""
    numbers = pd.read_csv(features, header=[0, 1, 2], index_col=0, low_memory=False)["mfcc"].apply(
        pd.to_numeric, errors="coerce"
    )
    told = pd.read_csv(tracks, header=[0, 1], index_col=0, low_memory=False, encoding_errors="replace")
    told.index = pd.to_numeric(told.index, errors="coerce")
    numbers.index = pd.to_numeric(numbers.index, errors="coerce")
    numbers = numbers[np.isfinite(numbers.to_numpy(dtype=np.float32)).all(axis=1)]
    found = told[~told.index.duplicated()].reindex(numbers.index)
    genre, artist = found[("track", "genre_top")], found[("artist", "name")]
    if genres is not None:
        more = pd.read_csv(genres)
        by_number = pd.Series(more["genre"].to_numpy(), index=more["filename"].str[-10:-4].astype(int))
        genre = by_number.reindex(numbers.index).fillna(genre)
    frequent = genre.map(genre.value_counts()) >= 20
    keep = genre.notna() & frequent
    ids = [f"{int(number):06d}" for number in numbers.index[keep]]
    return _tracks(ids, numbers[keep].to_numpy(dtype=np.float32), genre[keep], artist[keep].fillna(""))


def read_flat(features: Path, label: str) -> Tracks:
    """One row a song: tags, then numbers in columns that start with mfcc or contrast; labels with at least ten songs."""
    table = pd.read_csv(features)
    table = table[table[label].map(table[label].value_counts()) >= 10]
    numbers = table[[name for name in table.columns if name.startswith(("mfcc_", "contrast_"))]]
    ids = [f"song-{at:04d}" for at in range(len(table))]
    return _tracks(ids, numbers.to_numpy(dtype=np.float32), table[label], table["artist"].fillna(""))


def _tracks(ids: list[str], vectors: NDArray[np.float32], genre: pd.Series, artist: pd.Series) -> Tracks:
    order = np.argsort(ids)
    built = with_local_scales(build_index(ids, vectors, artist.tolist(), _space(vectors)))
    heads = [
        {"track_id": ids[at], "title": "", "artist": artist.iloc[at], "genre": genre.iloc[at]} for at in range(len(ids))
    ]
    first = [item["track_id"] for item in list_for_new_listeners(heads, built, LISTED)]
    return Tracks(built, genre.to_numpy(dtype=np.str_)[order], first)


def _space(vectors: NDArray[np.float32]) -> Projection:
    """The space that train makes where nothing better was learned: standardised, hashed in 32 principal components."""
    rng = np.random.default_rng(20)
    mean, deviation = vectors.mean(axis=0), vectors.std(axis=0)
    standardised = (vectors - mean) / np.where(deviation > 0, deviation, 1)
    _, size, axes = np.linalg.svd(standardised, full_matrices=False)
    components = axes[:32].T.astype(np.float32)
    spread = float(np.sqrt((size[:32] ** 2).mean() / len(vectors)))
    directions = rng.normal(0, 1, (32, 10, components.shape[1])).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    offsets = rng.uniform(0, 2 * spread, (32, 10)).astype(np.float32)
    return Projection(mean, deviation, components, directions, offsets, 2 * spread)


def ours(heard: Heard, tracks: Tracks, _popular: Counter[int], _draw: np.random.Generator) -> list[int]:
    if not heard.rows:
        return tracks.index.rows_of(tracks.opening).tolist()
    listed = items(heard.profile, tracks.catalogue, tracks.opening, LISTED, TASTE)
    return tracks.index.rows_of([item.track_id for item in listed]).tolist()


def at_random(heard: Heard, tracks: Tracks, _popular: Counter[int], draw: np.random.Generator) -> list[int]:
    return [int(row) for row in draw.permutation(len(tracks.index)) if row not in heard.rows][:LISTED]


def by_popularity(heard: Heard, tracks: Tracks, popular: Counter[int], _draw: np.random.Generator) -> list[int]:
    ranked = sorted(range(len(tracks.index)), key=lambda row: (-popular[row], row))
    return [row for row in ranked if row not in heard.rows][:LISTED]


def by_plain_mean(heard: Heard, tracks: Tracks, _popular: Counter[int], _draw: np.random.Generator) -> list[int]:
    """Nearest to the mean of the tracks heard to the end; of all played where there is none."""
    if not heard.rows:
        return tracks.index.rows_of(tracks.opening).tolist()
    played = [row for row, stayed in zip(heard.rows, heard.stayed, strict=True) if stayed] or heard.rows
    mean = np.asarray(tracks.index.vectors[np.array(played)]).mean(axis=0)
    distance = np.linalg.norm(tracks.index.vectors - mean, axis=1)
    distance[heard.rows] = np.inf
    return np.argsort(distance)[:LISTED].tolist()


METHODS: dict[str, Method] = {
    "Overtone": ours,
    "plain mean": by_plain_mean,
    "popularity": by_popularity,
    "random": at_random,
}
TASTE = settings().taste


def simulate(method: Method, tracks: Tracks, listeners: int, seed: int) -> dict[str, Any]:
    """The figures of one method; every method meets the same listeners."""
    draw = np.random.default_rng(seed)
    genres = sorted(set(tracks.genres.tolist()))
    popular: Counter[int] = Counter()
    shares = np.zeros((listeners, CHANGE + AFTER + 1))
    artists, repeats, alike, shown = [], [], [], set[int]()
    for at in range(listeners):
        wanted = min(int(draw.integers(1, 4)), len(genres) // 2)
        mixed = draw.permutation(genres).tolist()
        likes, later = set(mixed[:wanted]), set(mixed[wanted : 2 * wanted])
        heard = Heard(f"simulated-{seed}-{at}")
        heard.profile = Profile(heard.name)
        rng = np.random.default_rng((seed, at))
        when = START
        for step in range(CHANGE + AFTER + 1):
            now = likes if step <= CHANGE else later
            rows = method(heard, tracks, popular, rng)
            top = rows[:TOP]
            shares[at, step] = np.mean([tracks.genres[row] in now for row in top])
            artists.append(
                len({int(tracks.index.artists[row]) if tracks.index.artists[row] >= 0 else -row - 1 for row in top})
            )
            repeats.append(float(np.mean([row in heard.rows for row in top])))
            shown.update(top)
            if step in (10, 30):
                alike.append(_alike(top, tracks))
            row = next(row for row in rows if row not in heard.rows)
            stayed = tracks.genres[row] in (likes if step < CHANGE else later)
            heard.rows.append(row)
            heard.stayed.append(stayed)
            popular[row] += stayed
            position = 200_000 if stayed else 20_000
            when += timedelta(milliseconds=position)
            event = Event(
                heard.name,
                str(tracks.index.ids[row]),
                "complete" if stayed else "skip",
                when,
                f"{at}-{step}",
                position,
                200_000,
            )
            heard.profile = heard.profile.after(event, "", "simulated", step, TASTE)
    curve = shares.mean(axis=0)
    return {
        **{f"liked@{count}": float(curve[count]) for count in COUNTS},
        "after change": curve[CHANGE + 1 :].tolist(),
        "artists in ten": float(np.mean(artists)),
        "repeats": float(np.mean(repeats)),
        "alike in ten": float(np.mean(alike)),
        "coverage": len(shown) / len(tracks.index),
    }


def with_recovery(results: dict[str, dict[str, Any]]) -> None:
    """Adds, to each method, events after the change until 80 % of the share that the best method has at the end of it.

    Reached is what the mean of the next five shares reaches and the last ten still have: one lucky list is no recovery.
    """
    level = 0.8 * max(float(np.mean(result["after change"][-10:])) for result in results.values())
    for result in results.values():
        steady = np.convolve(result["after change"], np.full(STEADY, 1 / STEADY), mode="valid")
        result["new level"] = float(np.mean(result["after change"][-10:]))
        reached = [step for step, share in enumerate(steady, start=1) if share >= level > 0]
        if result["new level"] < level:  # reached for a moment, and lost again
            reached = []
        result["recovery"] = float(reached[0]) if reached else None


def _alike(rows: list[int], tracks: Tracks) -> float:
    likeness = tracks.catalogue.likeness(np.array(rows), np.array(rows))
    return float(likeness[np.triu_indices(len(rows), 1)].mean())


def show(results: dict[str, dict[str, Any]]) -> None:
    columns = [name for name in next(iter(results.values())) if name != "after change"]
    print("| simulated listeners | " + " | ".join(columns) + " |")
    print("| --- |" + " --- |" * len(columns))
    for name, values in results.items():
        cells = [_cell(column, values[column]) for column in columns]
        print(f"| {name} | " + " | ".join(cells) + " |")


def _cell(column: str, value: float | None) -> str:
    if column == "recovery":
        return f"not within {AFTER}" if value is None else f"{value:.0f}"
    return f"{value:.1f}" if column == "artists in ten" else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main())
