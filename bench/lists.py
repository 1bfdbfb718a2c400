"""What a list costs, by size of the catalogue: the index's part of a micro-batch, without Spark, Kafka and MongoDB.

    PYTHONPATH=. .venv/bin/python bench/lists.py --home DIR --tracks 10000 106574

A made catalogue (bench/made_catalogue.py), kept in DIR. "Asked" lists ask the index for every neighbour, as for tracks that came
since the training; "kept" is for tracks whose neighbours the model keeps. One listener at a time, and 32 together.
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

from bench.made_catalogue import catalogue, model
from conf.settings import settings
from streaming.events import Event
from streaming.profile.profile import Profile
from streaming.ranking.neighbour_cache import CachedIndex
from streaming.ranking.ranker import ListRequest, ranked_list, ranked_lists
from streaming.ranking.user_vector import user_vector

LISTENERS = 200
EVENTS = 12


@dataclass(frozen=True)
class Cost:
    """Milliseconds a list."""

    tracks: int
    recall: float
    candidate_share: float
    asked_ms: float
    kept_ms: float
    together_ms: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/lists.py")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--tracks", type=int, nargs="+", default=[10_000, 106_574])
    given = parser.parse_args()
    costs = [measured(given.home, n) for n in given.tracks]
    print("| tracks | recall@20 | candidates | asked, ms | kept, ms | kept, 32 together, ms |")
    print("| --- | --- | --- | --- | --- | --- |")
    for c in costs:
        times = f"{c.asked_ms:.2f} | {c.kept_ms:.2f} | {c.together_ms:.2f}"
        print(f"| {c.tracks:,} | {c.recall:.3f} | {c.candidate_share:.1%} | {times} |")
    (given.home / "lists.json").write_text(json.dumps([asdict(cost) for cost in costs], indent=2) + "\n")
    return 0


def measured(home: Path, n: int) -> Cost:
    found = model(home / f"models-{n}", catalogue(n))
    asked, kept = CachedIndex(replace(found.index, stored_neighbours=None)), CachedIndex(found.index)
    taste = settings().taste
    profiles = listeners(kept)

    def together() -> None:
        tastes = [ListRequest(one, user_vector(one, kept, taste), np.empty(0, dtype=np.int64)) for one in profiles]
        ranked_lists(tastes, kept, [], 30, taste)

    def one_by_one(tracks: CachedIndex) -> None:
        for profile in profiles:
            ranked_list(profile, tracks, [], 30, taste)

    for tracks in (asked, kept):
        tracks.sample, tracks.median_distance  # noqa: B018 - computed once a process, not for each list
    times = [took(partial(one_by_one, asked)), took(partial(one_by_one, kept)), took(together)]
    return Cost(n, found.manifest["recall"], found.manifest["candidate_share"], *times)


def took(make: Callable[[], None]) -> float:
    """Milliseconds a list."""
    started = time.perf_counter()
    make()
    return 1000 * (time.perf_counter() - started) / LISTENERS


def listeners(tracks: CachedIndex) -> list[Profile]:
    draw = random.Random(3)
    taste = settings().taste
    found = []
    for number in range(LISTENERS):
        profile = Profile(f"listener-{number}")
        now = datetime.now(UTC)
        for at in range(EVENTS):
            track = str(tracks.index.ids[draw.randrange(len(tracks))])
            action = draw.choice(["play", "complete", "like", "skip", "skip"])
            event = Event(
                profile.user_id, track, action, now + timedelta(minutes=3 * at), f"{number}-{at}", 20_000, 200_000
            )
            profile = profile.after(event, "", "made", at, taste)
        found.append(profile)
    return found


if __name__ == "__main__":
    sys.exit(main())
