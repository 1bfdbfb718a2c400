"""Which hashes, bands and bucket length: the cheapest that find nearly all true neighbours. Numbers only.

Recall alone proves nothing, since one bucket finds all; the share of the tracks that become candidates stands beside it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from batch.index.exact import Rows, exact, recalled
from batch.index.hash_tables import Bands, bands
from batch.index.projection import Floats, Space

TARGET_RECALL = 0.9625
"""Of the bands. Answers, whose candidates are shortlisted, and tracks that were not in the sample find up to 0.01 less: 0.95."""
AT = 20
SAMPLE = 400
NARROWEST, WIDEST = 0.1, 12.8
"""Bucket lengths to choose from, in root mean squares of a projection."""
STEPS = 9
"""Halvings between them."""
SCANNED, STEPS_BELOW = 15, 3
"""Where buckets have a limit: widths that are looked through, and halvings below the first that reaches the target."""
# What a query costs, in microseconds on one core of 2023: each bucket looked up, each track in a bucket counted, each candidate
# compared by its sketch.
LOOKUP_US, COUNT_US, CANDIDATE_US = 1.0, 0.005, 0.05


@dataclass(frozen=True)
class Banding:
    """How points are hashed.

    hashes : ANDed in a band;  bands : ORed;  components : principal components that are hashed
    probes : neighbouring buckets looked into, a band;  shared : bands in which a candidate meets the query
    limit : tracks that a bucket gives at most, 0 for all
    """

    hashes: int = 10
    bands: int = 32
    components: int = 32
    probes: int = 0
    limit: int = 0
    shared: int = 1


def default_banding(tracks: int) -> Banding:
    """Good for a library of about that size, as measured by bench/index.py; `train --tune` finds the library's own."""
    if tracks < 20_000:
        return Banding(10, 32, 24, probes=2, shared=2)
    if tracks < 500_000:
        return Banding(14, 64, 24, probes=4, shared=3)
    return Banding(18, 64, 24, probes=4, shared=2)


@dataclass(frozen=True)
class Quality:
    """What a banding does with one bucket length.

    recall : at 20, against exact search;  candidates : share of the tracks, mean over queries;  short : share of the queries with
    fewer than 20 candidates;  largest_bucket : share of the tracks;  cost_us : a query, by LOOKUP_US, COUNT_US and CANDIDATE_US
    """

    width: float
    recall: float
    candidates: float
    short: float
    largest_bucket: float
    cost_us: float


@dataclass(frozen=True)
class Sample:
    """Queries and their true neighbours.  queries, nearest : rows [shape=(q,)], [shape=(q, k)], oneself included"""

    queries: Rows
    nearest: Rows


def sample(points: Floats, size: int = SAMPLE, k: int = AT) -> Sample:
    """Every n-th track as a query, with its exact neighbours."""
    queries = np.linspace(0, len(points) - 1, min(size, len(points))).astype(np.int64)
    return Sample(queries, exact(points, points[queries], min(k, len(points))))


def narrowest(
    points: Floats, space: Space, known: Sample, spread: float, seen: list[Quality] | None = None
) -> tuple[Space, Bands, Quality]:
    """The space with the narrowest bucket length that reaches TARGET_RECALL; the best recall seen, where none does.

    spread : root mean square of a projection;  seen : every width that is tried is added to it
    Wider buckets find more, so halving finds the width. Not so where a bucket gives `limit` tracks at most, since a wider one may
    lose near ones again: there widths are looked through from the narrow end, in half octaves, then halved below the first that
    reaches the target.
    """
    best: tuple[Space, Bands, Quality] | None = None

    def reaches(octave: float) -> bool:
        nonlocal best
        tried = replace(space, width=float(spread * 2**octave))
        hashed = bands(points, tried)
        met = quality(points, tried, hashed, known)
        if seen is not None:
            seen.append(met)
        if best is None or _rank(met) > _rank(best[2]):
            best = (tried, hashed, met)
        return met.recall >= TARGET_RECALL

    low, high, steps = float(np.log2(NARROWEST)), float(np.log2(WIDEST)), STEPS
    if space.limit:
        octaves = np.linspace(low, high, SCANNED)
        first = next((at for at, octave in enumerate(octaves) if reaches(float(octave))), None)
        if first is None or first == 0:
            steps = 0
        else:
            low, high, steps = float(octaves[first - 1]), float(octaves[first]), STEPS_BELOW
    for _ in range(steps):
        middle = (low + high) / 2
        if reaches(middle):
            high = middle
        else:
            low = middle
    if not space.limit and high == np.log2(WIDEST):
        reaches(high)
    assert best is not None  # something was tried
    return best


def _rank(met: Quality) -> tuple[bool, float, float]:
    """Better is greater: what reaches the target, the narrowest first; else by recall."""
    is_good = met.recall >= TARGET_RECALL
    return is_good, 0.0 if is_good else met.recall, -met.width


def quality(points: Floats, space: Space, hashed: Bands, known: Sample) -> Quality:
    """How the bands do on queries whose neighbours are known."""
    queries = points[known.queries]
    buckets = hashed.buckets(space.keys(queries, space.probes))
    places = space.order(queries)
    found, counted = [], []
    for at in range(len(queries)):
        bands_shared = hashed.counter(len(points))
        counted.append(hashed.count(bands_shared, buckets[at], float(places[at]), space.limit))
        found.append(np.flatnonzero(bands_shared >= space.shared))
    sizes = np.array([len(rows) for rows in found])
    candidates = float(np.mean(sizes)) / len(points)
    looked_up = len(hashed.keys) * (1 + space.probes)
    return Quality(
        width=space.width,
        recall=recalled(found, list(known.nearest)),
        candidates=candidates,
        short=float((sizes < known.nearest.shape[1]).mean()),
        largest_bucket=hashed.largest() / len(points),
        cost_us=looked_up * LOOKUP_US + float(np.mean(counted)) * COUNT_US + float(np.mean(sizes)) * CANDIDATE_US,
    )


def drawn(banding: Banding, components: Floats, width: float, seed: int) -> Space:
    """A space of seeded random directions, to try a banding on; the numbers that are kept are MLlib's.

    components : [shape=(m, at least banding.components)];  the space's own metric does not matter here: it is used on points
    """
    rng = np.random.default_rng(seed)
    p = min(banding.components, components.shape[1])
    directions = rng.normal(size=(banding.bands, banding.hashes, p))
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    return Space(
        mean=np.zeros(len(components), dtype=np.float32),
        deviation=np.ones(len(components), dtype=np.float32),
        components=np.ascontiguousarray(components[:, :p]),
        directions=directions.astype(np.float32),
        offsets=rng.uniform(0, 100 * width, (banding.bands, banding.hashes)).astype(np.float32),
        width=width,
        probes=banding.probes,
        shared=banding.shared,
        limit=banding.limit,
    )


def grid(tracks: int) -> list[Banding]:
    """What `train --tune` tries."""
    shapes = [(h, b, p, r) for h in (6, 8, 10, 12, 14, 18) for b in (16, 32, 64) for p in (16, 24, 32) for r in (0, 2)]
    counted = [Banding(h, b, 24, r, 0, s) for h in (10, 12, 14) for b in (32, 64) for r in (2, 4) for s in (2, 3)]
    limited = [Banding(h, 32, 24, 2, limit) for h in (10, 14) for limit in (256, 1024, 4096) if limit < tracks / 8]
    return [Banding(*shape) for shape in shapes] + counted + limited


def pareto(rows: list[dict[str, float]]) -> NDArray[np.bool_]:
    """Which of the sweep's rows no other beats in both recall and candidates."""
    recall = np.array([row["recall"] for row in rows])
    share = np.array([row["candidates"] for row in rows])
    better = (recall[None, :] >= recall[:, None]) & (share[None, :] <= share[:, None])
    strictly = better & ((recall[None, :] > recall[:, None]) | (share[None, :] < share[:, None]))
    return np.asarray(~strictly.any(axis=1))


def cheapest(rows: list[dict[str, float]]) -> Banding:
    """The banding of the row that `taken` names."""
    chosen = taken(rows)
    return Banding(**{name: int(chosen[name]) for name in Banding.__dataclass_fields__})


def taken(rows: list[dict[str, float]]) -> dict[str, float]:
    """The cheapest row that reaches the target; the one with the best recall where none does."""
    good = [row for row in rows if row["recall"] >= TARGET_RECALL]
    return min(good, key=lambda row: row["cost_us"]) if good else max(rows, key=lambda row: row["recall"])


def row(banding: Banding, met: Quality) -> dict[str, float]:
    """A line of the sweep's table."""
    return {**asdict(banding), **asdict(met)}
