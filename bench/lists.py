"""What a list costs, by size of the library: the index's part of a micro-batch, without Spark, Kafka and MongoDB.

    PYTHONPATH=. .venv/bin/python bench/lists.py --home DIR --tracks 10000 106574

A generated library (bench/generated_library.py), kept in DIR. "Queried" lists query the index for every neighbour, as for tracks
appended since the training; "stored" is for tracks whose neighbours the model stores. One listener at a time, and all together.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np

from bench.generated_library import generated_library, model
from conf.settings import settings
from streaming.events import Event
from streaming.profile.profile import Profile
from streaming.ranking.neighbour_cache import CachedIndex
from streaming.ranking.ranker import ListRequest, ranked_list, ranked_lists
from streaming.ranking.user_vector import user_vector

LISTENERS = 200
EVENTS_PER_LISTENER = 12
LIST_ITEMS = 30


@dataclass(frozen=True)
class Cost:
    """Milliseconds a list, by where its neighbours come from."""

    tracks: int
    recall: float
    candidate_share: float
    queried_ms: float
    stored_ms: float
    together_ms: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/lists.py")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--tracks", type=int, nargs="+", default=[10_000, 106_574])
    options = parser.parse_args()
    costs = [list_cost(options.home, n) for n in options.tracks]
    print("| tracks | recall@20 | candidates | queried, ms | stored, ms | stored, all together, ms |")
    print("| --- | --- | --- | --- | --- | --- |")
    for cost in costs:
        times = f"{cost.queried_ms:.2f} | {cost.stored_ms:.2f} | {cost.together_ms:.2f}"
        print(f"| {cost.tracks:,} | {cost.recall:.3f} | {cost.candidate_share:.1%} | {times} |")
    (options.home / "lists.json").write_text(json.dumps([asdict(cost) for cost in costs], indent=2) + "\n")
    return 0


def list_cost(home: Path, n: int) -> Cost:
    """Cost of lists over a library of n tracks, whose model is kept under `home`."""
    made_model = model(home / f"models-{n}", generated_library(n))
    queried, stored = CachedIndex(replace(made_model.index, stored_neighbours=None)), CachedIndex(made_model.index)
    taste = settings().taste
    profiles = listeners(stored)

    def together() -> None:
        no_rows = np.empty(0, dtype=np.int64)
        requests = [ListRequest(profile, user_vector(profile, stored, taste), no_rows) for profile in profiles]
        ranked_lists(requests, stored, [], LIST_ITEMS, taste)

    def one_by_one(tracks: CachedIndex) -> None:
        for profile in profiles:
            ranked_list(profile, tracks, [], LIST_ITEMS, taste)

    for tracks in (queried, stored):
        tracks.sample, tracks.median_distance  # noqa: B018 - computed once a process, not for each list
    times = [
        milliseconds(partial(one_by_one, queried)),
        milliseconds(partial(one_by_one, stored)),
        milliseconds(together),
    ]
    return Cost(n, made_model.manifest["recall"], made_model.manifest["candidate_share"], *times)


def milliseconds(make_lists: Callable[[], None]) -> float:
    """Milliseconds a list."""
    started = time.perf_counter()
    make_lists()
    return 1000 * (time.perf_counter() - started) / LISTENERS


def listeners(tracks: CachedIndex) -> list[Profile]:
    """Profiles after random events."""
    draw = random.Random(3)
    taste = settings().taste
    profiles = []
    for number in range(LISTENERS):
        profile = Profile(f"listener-{number}")
        now = datetime.now(UTC)
        for position in range(EVENTS_PER_LISTENER):
            track = str(tracks.index.ids[draw.randrange(len(tracks))])
            action = draw.choice(["play", "complete", "like", "skip", "skip"])
            event = Event(
                profile.user_id,
                track,
                action,
                now + timedelta(minutes=3 * position),
                f"{number}-{position}",
                20_000,
                200_000,
            )
            profile = profile.after(event, "", "made", position, taste)
        profiles.append(profile)
    return profiles


if __name__ == "__main__":
    sys.exit(main())
