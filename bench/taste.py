"""Simulated listeners over real tracks: the share of liked genres in their lists, and the lists' variety.

    PYTHONPATH=. .venv/bin/python bench/taste.py --features features.csv --tracks tracks.csv [--out taste.json]
    PYTHONPATH=. .venv/bin/python bench/taste.py --audio DIR [--kept FILE.npz] [--blocks 2]

The files are in FMA's layout (three and two header rows). DIR holds audio, a folder for each collection, which stands for a genre
(`bench.audio_songs`): MFCC and contrast, with --blocks 2 the trained ear beside them, points of unit length. Each listener likes
one to three genres, and plays the first track of the list that was not heard before: to the end where its genre is liked, else it
is skipped after a tenth. After thirty tracks the genres change. The recommender does not know genres.
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
from batch.model import blocks
from batch.model.cold_start import list_for_new_listeners
from batch.model.metric.choice import EQUAL
from batch.model.metric.learning import BlockScaling, points
from bench.audio_songs import audio_songs
from conf.settings import settings
from streaming.events import Event
from streaming.profile.profile import Profile
from streaming.ranking.neighbour_cache import CachedIndex, similarity
from streaming.ranking.ranker import ranked_list

REPORTED_STEPS = (0, 1, 3, 5, 10, 30)
"""Numbers of tracks heard after which the share of liked genres is reported."""
SIMILARITY_STEPS = (10, 30)
TRACKS_BEFORE_CHANGE = 30
TRACKS_AFTER_CHANGE = 30
RECOVERY_SHARE = 0.8
RECOVERY_WINDOW_LISTS = 5
LAST_LISTS = 10
TOP_ITEMS = 10
LIST_ITEMS = 30
FEWEST_TRACKS_OF_GENRE = 20
FEWEST_TRACKS_OF_LABEL = 10
TRACK_MS = 200_000
SKIPPED_AT_MS = 20_000
FIRST_EVENT_AT = datetime(2026, 11, 1, 12, tzinfo=UTC)


@dataclass
class Tracks:
    """genres : by row of the index;  new_listener_ids : the list for new listeners"""

    index: Index
    genres: NDArray[np.str_]
    new_listener_ids: list[str]

    def __post_init__(self) -> None:
        self.cached_index = CachedIndex(self.index)


@dataclass
class Listener:
    """A simulated listener: rows heard, whether each was completed, and the profile."""

    name: str
    rows: list[int] = field(default_factory=list)
    completed: list[bool] = field(default_factory=list)
    profile: Profile = field(default_factory=lambda: Profile(""))


Method = Callable[[Listener, Tracks, "Counter[int]", np.random.Generator], list[int]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/taste.py")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--features", type=Path)
    source.add_argument("--audio", type=Path)
    parser.add_argument(
        "--kept", type=Path, help="features of an earlier run over the audio; written where it is missing"
    )
    parser.add_argument("--blocks", type=int, choices=(1, 2), default=1, help="2: with the trained ear's embedding")
    parser.add_argument(
        "--tracks", type=Path, help="in FMA's layout; without it --features is flat, with its labels in --label"
    )
    parser.add_argument("--label", default="collection", help="column of a flat file that stands for the genre")
    parser.add_argument("--genres", type=Path, help="CSV of filename,genre, for tracks that the other file lacks")
    parser.add_argument("--listeners", type=int, default=400)
    parser.add_argument("--seed", type=int, default=41, help="of the listeners; the settings were chosen on those of 5")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.audio:
        tracks = read_audio(options.audio, options.kept, options.blocks)
    elif options.tracks:
        tracks = read(options.features, options.tracks, options.genres)
    else:
        tracks = read_flat(options.features, options.label)
    kinds = Counter(tracks.genres.tolist())
    print(
        f"{len(tracks.index):,} tracks of {len(kinds)} genres; {options.listeners} simulated listeners, seed {options.seed}\n",
        flush=True,
    )
    results = {name: simulate(method, tracks, options.listeners, options.seed) for name, method in METHODS.items()}
    with_recovery(results)
    show(results)
    if options.out:
        options.out.write_text(json.dumps(results, indent=2) + "\n")
    return 0


def read(features: Path, tracks: Path, genres: Path | None) -> Tracks:
    """Tracks with finite MFCC features and a genre of at least twenty tracks."""
    numbers = pd.read_csv(features, header=[0, 1, 2], index_col=0, low_memory=False)["mfcc"].apply(
        pd.to_numeric, errors="coerce"
    )
    tags = pd.read_csv(tracks, header=[0, 1], index_col=0, low_memory=False, encoding_errors="replace")
    tags.index = pd.to_numeric(tags.index, errors="coerce")
    numbers.index = pd.to_numeric(numbers.index, errors="coerce")
    numbers = numbers[np.isfinite(numbers.to_numpy(dtype=np.float32)).all(axis=1)]
    tags = tags[~tags.index.duplicated()].reindex(numbers.index)
    genre, artist = tags[("track", "genre_top")], tags[("artist", "name")]
    if genres is not None:
        other_genres = pd.read_csv(genres)
        by_number = pd.Series(other_genres["genre"].to_numpy(), index=other_genres["filename"].str[-10:-4].astype(int))
        genre = by_number.reindex(numbers.index).fillna(genre)
    frequent = genre.map(genre.value_counts()) >= FEWEST_TRACKS_OF_GENRE
    keep = genre.notna() & frequent
    ids = [f"{int(number):06d}" for number in numbers.index[keep]]
    return _tracks(ids, numbers[keep].to_numpy(dtype=np.float32), genre[keep], artist[keep].fillna(""))


def read_flat(features: Path, label: str) -> Tracks:
    """One row a song: tags, then numbers in columns that start with mfcc or contrast; labels with at least ten songs."""
    table = pd.read_csv(features)
    table = table[table[label].map(table[label].value_counts()) >= FEWEST_TRACKS_OF_LABEL]
    numbers = table[[name for name in table.columns if name.startswith(("mfcc_", "contrast_"))]]
    ids = [f"song-{at:04d}" for at in range(len(table))]
    return _tracks(ids, numbers.to_numpy(dtype=np.float32), table[label], table["artist"].fillna(""))


def read_audio(folder: Path, kept: Path | None, block_count: int) -> Tracks:
    """Songs of collections with at least ten."""
    library = audio_songs(folder, kept)
    collection = pd.Series(library.tags["collection"])
    keep = np.flatnonzero(collection.map(collection.value_counts()) >= FEWEST_TRACKS_OF_LABEL)
    embeddings = library.embeddings if block_count == 2 else None
    rows = blocks.joined(library.vectors, embeddings)[keep]
    lengths = blocks.lengths(library.vectors, embeddings)
    ids = [f"song-{row:04d}" for row in range(len(keep))]
    return _tracks(ids, rows, collection.iloc[keep], pd.Series(library.tags["artist"]).iloc[keep], lengths)


def _tracks(
    ids: list[str],
    vectors: NDArray[np.float32],
    genre: pd.Series,
    artist: pd.Series,
    block_lengths: tuple[int, ...] = (),
) -> Tracks:
    order = np.argsort(ids)
    index = with_local_scales(build_index(ids, vectors, artist.tolist(), _projection(vectors, block_lengths)))
    heads = [
        {"track_id": ids[at], "title": "", "artist": artist.iloc[at], "genre": genre.iloc[at]} for at in range(len(ids))
    ]
    new_listener_ids = [item["track_id"] for item in list_for_new_listeners(heads, index, LIST_ITEMS)]
    return Tracks(index, genre.to_numpy(dtype=np.str_)[order], new_listener_ids)


def _projection(vectors: NDArray[np.float32], block_lengths: tuple[int, ...] = ()) -> Projection:
    """The projection that train falls back to: standardised, hashed in 32 principal components; blocks at equal lengths."""
    rng = np.random.default_rng(20)
    mean, deviation = vectors.mean(axis=0), vectors.std(axis=0)
    standardised = (vectors - mean) / np.where(deviation > 0, deviation, 1)
    scaling = BlockScaling.of(block_lengths, EQUAL) if block_lengths else None
    if block_lengths:
        standardised = points(standardised.astype(np.float32), None, scaling)
    _, size, axes = np.linalg.svd(standardised, full_matrices=False)
    components = axes[:32].T.astype(np.float32)
    spread = float(np.sqrt((size[:32] ** 2).mean() / len(vectors)))
    directions = rng.normal(0, 1, (32, 10, components.shape[1])).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    offsets = rng.uniform(0, 2 * spread, (32, 10)).astype(np.float32)
    in_blocks = {} if scaling is None else {"block_widths": scaling.widths, "block_weights": scaling.weights}
    is_unit = bool(block_lengths)
    return Projection(mean, deviation, components, directions, offsets, 2 * spread, unit_length=is_unit, **in_blocks)


def ours(listener: Listener, tracks: Tracks, _popular: Counter[int], _draw: np.random.Generator) -> list[int]:
    if not listener.rows:
        return tracks.index.rows_of(tracks.new_listener_ids).tolist()
    listed = ranked_list(listener.profile, tracks.cached_index, tracks.new_listener_ids, LIST_ITEMS, TASTE)
    return tracks.index.rows_of([item.track_id for item in listed]).tolist()


def at_random(listener: Listener, tracks: Tracks, _popular: Counter[int], draw: np.random.Generator) -> list[int]:
    return [int(row) for row in draw.permutation(len(tracks.index)) if row not in listener.rows][:LIST_ITEMS]


def by_popularity(listener: Listener, tracks: Tracks, popular: Counter[int], _draw: np.random.Generator) -> list[int]:
    ranked = sorted(range(len(tracks.index)), key=lambda row: (-popular[row], row))
    return [row for row in ranked if row not in listener.rows][:LIST_ITEMS]


def by_plain_mean(listener: Listener, tracks: Tracks, _popular: Counter[int], _draw: np.random.Generator) -> list[int]:
    """Nearest to the mean of the completed tracks, or of all heard where none was completed."""
    if not listener.rows:
        return tracks.index.rows_of(tracks.new_listener_ids).tolist()
    completed = [row for row, is_completed in zip(listener.rows, listener.completed, strict=True) if is_completed]
    mean = np.asarray(tracks.index.vectors[np.array(completed or listener.rows)]).mean(axis=0)
    distance = np.linalg.norm(tracks.index.vectors - mean, axis=1)
    distance[listener.rows] = np.inf
    return np.argsort(distance)[:LIST_ITEMS].tolist()


METHODS: dict[str, Method] = {
    "Overtone": ours,
    "plain mean": by_plain_mean,
    "popularity": by_popularity,
    "random": at_random,
}
TASTE = settings().taste


def simulate(method: Method, tracks: Tracks, listeners: int, seed: int) -> dict[str, Any]:
    """The figures of one method; the listeners are the same for all methods."""
    draw = np.random.default_rng(seed)
    genres = sorted(set(tracks.genres.tolist()))
    popular: Counter[int] = Counter()
    shares = np.zeros((listeners, TRACKS_BEFORE_CHANGE + TRACKS_AFTER_CHANGE + 1))
    artists, repeats, similarities, shown = [], [], [], set[int]()
    for at in range(listeners):
        liked_genres = min(int(draw.integers(1, 4)), len(genres) // 2)
        mixed = draw.permutation(genres).tolist()
        likes, later = set(mixed[:liked_genres]), set(mixed[liked_genres : 2 * liked_genres])
        listener = Listener(f"simulated-{seed}-{at}")
        listener.profile = Profile(listener.name)
        rng = np.random.default_rng((seed, at))
        when = FIRST_EVENT_AT
        for step in range(TRACKS_BEFORE_CHANGE + TRACKS_AFTER_CHANGE + 1):
            now = likes if step <= TRACKS_BEFORE_CHANGE else later
            rows = method(listener, tracks, popular, rng)
            top = rows[:TOP_ITEMS]
            shares[at, step] = np.mean([tracks.genres[row] in now for row in top])
            artists.append(
                len({int(tracks.index.artists[row]) if tracks.index.artists[row] >= 0 else -row - 1 for row in top})
            )
            repeats.append(float(np.mean([row in listener.rows for row in top])))
            shown.update(top)
            if step in SIMILARITY_STEPS:
                similarities.append(_mean_similarity(top, tracks))
            row = next(row for row in rows if row not in listener.rows)
            is_completed = tracks.genres[row] in (likes if step < TRACKS_BEFORE_CHANGE else later)
            listener.rows.append(row)
            listener.completed.append(is_completed)
            popular[row] += is_completed
            position = TRACK_MS if is_completed else SKIPPED_AT_MS
            when += timedelta(milliseconds=position)
            event = Event(
                listener.name,
                str(tracks.index.ids[row]),
                "complete" if is_completed else "skip",
                when,
                f"{at}-{step}",
                position,
                TRACK_MS,
            )
            listener.profile = listener.profile.after(event, "", "simulated", step, TASTE)
    curve = shares.mean(axis=0)
    return {
        **{f"liked@{count}": float(curve[count]) for count in REPORTED_STEPS},
        "after change": curve[TRACKS_BEFORE_CHANGE + 1 :].tolist(),
        "artists in ten": float(np.mean(artists)),
        "repeats": float(np.mean(repeats)),
        "alike in ten": float(np.mean(similarities)),
        "coverage": len(shown) / len(tracks.index),
    }


def with_recovery(results: dict[str, dict[str, Any]]) -> None:
    """Adds to each method the tracks after the change until RECOVERY_SHARE of the best method's final share is reached.

    Reached by the mean of RECOVERY_WINDOW_LISTS lists, and still held by the LAST_LISTS: a single list is no recovery.
    """
    level = RECOVERY_SHARE * max(float(np.mean(result["after change"][-LAST_LISTS:])) for result in results.values())
    for result in results.values():
        steady = np.convolve(
            result["after change"], np.full(RECOVERY_WINDOW_LISTS, 1 / RECOVERY_WINDOW_LISTS), mode="valid"
        )
        result["new level"] = float(np.mean(result["after change"][-LAST_LISTS:]))
        reached = [step for step, share in enumerate(steady, start=1) if share >= level > 0]
        if result["new level"] < level:  # reached and lost again
            reached = []
        result["recovery"] = float(reached[0]) if reached else None


def _mean_similarity(rows: list[int], tracks: Tracks) -> float:
    points = tracks.cached_index.points(np.array(rows))
    return float(similarity(points, points)[np.triu_indices(len(rows), 1)].mean())


def show(results: dict[str, dict[str, Any]]) -> None:
    columns = [name for name in next(iter(results.values())) if name != "after change"]
    print("| simulated listeners | " + " | ".join(columns) + " |")
    print("| --- |" + " --- |" * len(columns))
    for name, values in results.items():
        cells = [_cell(column, values[column]) for column in columns]
        print(f"| {name} | " + " | ".join(cells) + " |")


def _cell(column: str, value: float | None) -> str:
    if column == "recovery":
        return f"not within {TRACKS_AFTER_CHANGE}" if value is None else f"{value:.0f}"
    return f"{value:.1f}" if column == "artists in ten" else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main())
