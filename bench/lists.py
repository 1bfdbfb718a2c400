"""What a list costs, by size of the catalogue: the index's part of a micro-batch, without Spark, Kafka and MongoDB.

    PYTHONPATH=. .venv/bin/python bench/lists.py --home DIR --tracks 10000 106574

A made catalogue (bench/made_catalogue.py), kept in DIR. "First" lists ask the index for every neighbour; "again" is for tracks
whose neighbours the process knows.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.made_catalogue import catalogue, model
from conf.settings import settings
from streaming.candidates import Catalogue
from streaming.events import Event
from streaming.recommendations import items
from streaming.taste import Profile

LISTENERS = 200
EVENTS = 12


@dataclass(frozen=True)
class Cost:
    """Milliseconds a list."""

    tracks: int
    recall: float
    candidate_share: float
    first_ms: float
    again_ms: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/lists.py")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--tracks", type=int, nargs="+", default=[10_000, 106_574])
    given = parser.parse_args()
    costs = [measured(given.home, n) for n in given.tracks]
    print("| tracks | recall@20 | candidates | first list, ms | again, ms |\n| --- | --- | --- | --- | --- |")
    for c in costs:
        print(f"| {c.tracks:,} | {c.recall:.3f} | {c.candidate_share:.1%} | {c.first_ms:.1f} | {c.again_ms:.1f} |")
    (given.home / "lists.json").write_text(json.dumps([asdict(cost) for cost in costs], indent=2) + "\n")
    return 0


def measured(home: Path, n: int) -> Cost:
    found = model(home / f"models-{n}", catalogue(n))
    tracks = Catalogue(found.index)
    taste = settings().taste
    profiles = listeners(tracks)
    tracks.sample, tracks.typical  # noqa: B018 - computed once a process, not for each list
    times = []
    for _ in range(2):
        started = time.perf_counter()
        for profile in profiles:
            items(profile, tracks, [], 30, taste)
        times.append(1000 * (time.perf_counter() - started) / len(profiles))
    return Cost(n, found.manifest["recall"], found.manifest["candidate_share"], *times)


def listeners(tracks: Catalogue) -> list[Profile]:
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
