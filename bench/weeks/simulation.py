"""Simulated listeners over weeks: one method over one library, in a process of its own. Started by bench/taste_weeks.py.

A listener loves two or three kinds, and has liked two tracks of each. From then on it plays what its list brings, 40 tracks
a day in two sessions: to the end where it loves the kind, else it skips after 20 seconds. Kinds are what the simulation
knows and the recommender does not.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from libraries import LabelledLibrary

FIRST_DAY = datetime(2026, 3, 2, tzinfo=UTC)
LENGTH = 30
SESSION_HOURS = (8, 19)
TRACK_S = 200
SKIPPED_AFTER_S = 20
POLICIES = {"first": 1, "first five": 5, "all": LENGTH}
BEFORE_NEW = (0, 40, 300)
"""Liked and heard tracks of another kind before a new kind is loved."""
SESSION_DUE = 1 / 3
"""Of the places: what is due to a kind that is all of the latest session, at least."""


class Recommender(Protocol):
    """One listener's lists by one method."""

    def act(self, track_id: str, action: str, when: datetime, position_ms: int | None, duration_ms: int) -> None: ...

    def visit(self, when: datetime) -> None: ...

    def items(self) -> list[tuple[str, bool]]: ...


class Simple:
    """A simple method: unheard tracks in some order.

    order : (rows completed, popularity) → all rows, best first
    """

    def __init__(
        self,
        library: LabelledLibrary,
        popularity: Counter[int],
        order: Callable[[list[int], Counter[int]], Sequence[int]],
    ) -> None:
        self.ids, self.order, self.popularity = library.ids, order, popularity
        self.row_by_id = {track_id: row for row, track_id in enumerate(library.ids)}
        self.heard: set[int] = set()
        self.completed: list[int] = []

    def act(self, track_id: str, action: str, when: datetime, position_ms: int | None, duration_ms: int) -> None:
        row = self.row_by_id[track_id]
        self.heard.add(row)
        if action == "complete":
            self.completed.append(row)
            self.popularity[row] += 1

    def visit(self, when: datetime) -> None:
        pass

    def items(self) -> list[tuple[str, bool]]:
        unheard = (row for row in self.order(self.completed, self.popularity) if row not in self.heard)
        return [(self.ids[row], False) for row, _ in zip(unheard, range(LENGTH), strict=False)]


def simple(method: str, library: LabelledLibrary, seed: int) -> Callable[[str], Recommender]:
    """Makes listeners of a simple method: "random", "popularity" or "plain mean"."""
    rng = np.random.default_rng(seed)
    popularity: Counter[int] = Counter()
    n = len(library.ids)
    points = (library.features - library.features.mean(axis=0)) / np.maximum(library.features.std(axis=0), 1e-9)

    def at_random(completed: list[int], _: Counter[int]) -> Sequence[int]:
        return rng.permutation(n).tolist()

    def by_popularity(completed: list[int], counts: Counter[int]) -> Sequence[int]:
        return sorted(range(n), key=lambda row: (-counts[row], row))

    def by_mean(completed: list[int], _: Counter[int]) -> Sequence[int]:
        if not completed:
            return rng.permutation(n).tolist()
        return np.argsort(np.linalg.norm(points - points[completed].mean(axis=0), axis=1), kind="stable").tolist()

    order = {"random": at_random, "popularity": by_popularity, "plain mean": by_mean}[method]
    return lambda name: Simple(library, popularity, order)


class Clock:
    """A listener's time, and what it does then."""

    def __init__(self, recommender: Recommender) -> None:
        self.recommender = recommender
        self.now = FIRST_DAY
        self.heard_at: dict[str, datetime] = {}

    def visit(self, when: datetime) -> None:
        self.now = max(self.now, when)
        self.recommender.visit(self.now)

    def play(self, track_id: str, is_loved: bool, likes: bool = False) -> None:
        self.recommender.act(track_id, "play", self.now, None, 1000 * TRACK_S)
        seconds = TRACK_S if is_loved else SKIPPED_AFTER_S
        self.now += timedelta(seconds=seconds)
        self.recommender.act(track_id, "complete" if is_loved else "skip", self.now, 1000 * seconds, 1000 * TRACK_S)
        if likes:
            self.recommender.act(track_id, "like", self.now, None, 1000 * TRACK_S)
        self.heard_at[track_id] = self.now


def weeks(
    listener: Callable[[str], Recommender], library: LabelledLibrary, policy: str, options: argparse.Namespace
) -> dict[str, float]:
    """Figures of all listeners over `options.days` days of `options.plays` plays."""
    runs = [one_listener(listener, library, policy, options, number) for number in range(options.listeners)]
    plays = [run["plays"] for run in runs]
    while_unheard = [[play for play in of_one if play["unheard"]] for of_one in plays]
    gaps = []
    for run, of_one in zip(runs, while_unheard, strict=True):
        counts = Counter(play["kind"] for play in of_one if play["loved"])
        loved = max(1, sum(counts.values()))
        gaps.append(max(abs(counts[kind] / loved - 1 / len(run["loved"])) for kind in run["loved"]))
    return {
        "different": _mean(len({play["track"] for play in each}) / max(1, len(each)) for each in while_unheard),
        "repeats in a week": _mean(_mean(play["is_repeat"] for play in each) for each in plays),
        "liked": _mean(_mean(play["loved"] for play in each) for each in while_unheard),
        "liked, first day": _mean(_mean(play["loved"] for play in each if play["day"] == 0) for each in plays),
        "share off": _mean(gaps),
        "share off, most": max(gaps),
        "explored": _mean(_mean(play["explored"] for play in each) for each in plays),
        "churn": _mean(_mean(run["churn"]) for run in runs),
        "coverage": len({play["track"] for each in plays for play in each}) / len(library.ids),
        "ms a list": 1000 * float(np.median([seconds for run in runs for seconds in run["seconds"]])),
    }


def one_listener(
    listener: Callable[[str], Recommender],
    library: LabelledLibrary,
    policy: str,
    options: argparse.Namespace,
    number: int,
) -> dict[str, Any]:
    """Everything that one listener played."""
    rng = np.random.default_rng((options.seed, number))
    kind_by_id = dict(zip(library.ids, library.kinds.tolist(), strict=True))
    ids_by_kind = _by_kind(library)
    loved = rng.permutation(sorted(ids_by_kind))[: 2 + number % 2].tolist()
    recommender = listener(f"simulated-{options.seed}-{number}")
    clock = Clock(recommender)
    for kind in loved:
        for track_id in rng.choice(ids_by_kind[kind], 2, replace=False).tolist():
            clock.play(track_id, is_loved=True, likes=True)
    plays: list[dict[str, Any]] = []
    seconds, churn = [], []
    before: set[str] = set()
    for day in range(options.days):
        for session, hour in enumerate(SESSION_HOURS):
            clock.visit(FIRST_DAY + timedelta(days=day, hours=hour))
            for _ in range((options.plays + session) // 2):
                started = time.process_time()
                items = recommender.items()
                seconds.append(time.process_time() - started)
                ids = {track_id for track_id, _ in items}
                if before:
                    churn.append(1 - len(ids & before) / max(1, len(ids)))
                before = ids
                track_id, explored = items[int(rng.integers(min(POLICIES[policy], len(items))))]
                last = clock.heard_at.get(track_id)
                plays.append(
                    {
                        "track": track_id,
                        "kind": kind_by_id[track_id],
                        "loved": kind_by_id[track_id] in loved,
                        "explored": explored,
                        "is_repeat": last is not None and clock.now - last < timedelta(days=7),
                        "day": day,
                        "unheard": all(any(t not in clock.heard_at for t in ids_by_kind[kind]) for kind in loved),
                    }
                )
                clock.play(track_id, kind_by_id[track_id] in loved)
    return {"loved": loved, "plays": plays, "seconds": seconds, "churn": churn or [0.0]}


def newly_loved(
    listener: Callable[[str], Recommender], library: LabelledLibrary, options: argparse.Namespace
) -> dict[str, float]:
    """Plays of a newly loved kind until it has half of its due places, after others were liked and heard; 40 for never."""
    ids_by_kind = _by_kind(library)
    kind_by_id = dict(zip(library.ids, library.kinds.tolist(), strict=True))
    figures = {}
    for before in BEFORE_NEW:
        counts = []
        for number in range(options.listeners):
            rng = np.random.default_rng((options.seed, before, number))
            old, new = rng.permutation(sorted(ids_by_kind))[:2].tolist()
            recommender = listener(f"new-{options.seed}-{before}-{number}")
            clock = Clock(recommender)
            for place, track_id in enumerate(rng.permutation(ids_by_kind[old])[:before].tolist()):
                if place % 20 == 0:
                    clock.now += timedelta(hours=12)
                clock.play(track_id, is_loved=True, likes=True)
            clock.visit(clock.now + timedelta(hours=12))
            due = SESSION_DUE if before else 1.0
            count = 0
            for track_id in rng.permutation(ids_by_kind[new])[:40].tolist():
                clock.play(track_id, is_loved=True, likes=True)
                count += 1
                if sum(kind_by_id[listed] == new for listed, _ in recommender.items()) >= due * LENGTH / 2:
                    break
            counts.append(count)
        figures[f"new after {before}"] = _mean(counts)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("library", type=Path)
    parser.add_argument("method", help="a module with `Lists`, or random, popularity, plain mean")
    parser.add_argument("--policies", nargs="+", default=list(POLICIES))
    parser.add_argument("--listeners", type=int, required=True)
    parser.add_argument("--days", type=int, required=True)
    parser.add_argument("--plays", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    library = LabelledLibrary.open(options.library)
    if options.method.startswith("lists_"):
        make = importlib.import_module(options.method).Lists(library, LENGTH).listener
    else:
        make = simple(options.method, library, options.seed)
    figures = {policy: weeks(make, library, policy, options) for policy in options.policies}
    json.dump({"weeks": figures, "new": newly_loved(make, library, options)}, sys.stdout)
    return 0


def _by_kind(library: LabelledLibrary) -> dict[str, list[str]]:
    ids_by_kind = defaultdict(list)
    for track_id, kind in zip(library.ids, library.kinds.tolist(), strict=True):
        ids_by_kind[kind].append(track_id)
    return ids_by_kind


def _mean(numbers: Any) -> float:
    values = [float(number) for number in numbers]
    return sum(values) / len(values) if values else float("nan")


if __name__ == "__main__":
    sys.exit(main())
