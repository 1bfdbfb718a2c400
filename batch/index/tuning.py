"""Choice of hash parameters and bucket length: the cheapest that find nearly all true neighbours.

Recall alone proves nothing, since one bucket finds all; the share of the tracks that become candidates is reported beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch.index.exact import exact_neighbours, recall
from batch.index.hash_tables import HashTables, rows_that_collide
from batch.index.projection import Floats, Projection, Rows

TARGET_CANDIDATE_RECALL = 0.9625
"""Recall of the candidates that is tuned for. Recall of the shortlisted answers, and of tracks outside the sample, is up to
0.01 lower: 0.95."""
RECALL_NEIGHBOURS = 20
"""True neighbours of a query that recall is measured by."""
SAMPLE_QUERIES = 400
MIN_BUCKET_LENGTH = 0.1
"""Shortest bucket length tried, in root mean squares of a projection."""
MAX_BUCKET_LENGTH = 12.8
"""Longest bucket length tried, in root mean squares of a projection."""
HALVINGS = 9
"""Steps of the binary search between them, in octaves."""
SCANNED_LENGTHS = 15
"""Bucket lengths tried from the shortest up, where buckets have a limit."""
HALVINGS_AFTER_SCAN = 3
"""Steps of the binary search below the first scanned length that reaches the target."""
# What a query costs, in microseconds on one core of 2023.
BUCKET_LOOKUP_US = 1.0
COLLISION_US = 0.005
CANDIDATE_US = 0.05
"""A candidate compared by its sketch."""

_PARAMETER_COLUMNS = {
    "hashes": "hashes",
    "bands": "tables",
    "components": "components",
    "probes": "probes",
    "limit": "bucket_limit",
    "shared": "min_collisions",
}
"""Name in manifests and in the sweep's table → attribute of HashParameters."""
_QUALITY_COLUMNS = {
    "width": "bucket_length",
    "recall": "recall",
    "candidates": "candidate_share",
    "short": "short_share",
    "largest_bucket": "largest_bucket_share",
    "cost_us": "cost_us",
}
"""Name in the sweep's table → attribute of HashQuality."""
PARAMETER_COLUMNS = tuple(_PARAMETER_COLUMNS)
QUALITY_COLUMNS = tuple(_QUALITY_COLUMNS)


@dataclass(frozen=True)
class HashParameters:
    """How points are hashed, but for the bucket length.

    hashes : ANDed in a hash table's key
    tables : hash tables
    components : principal components that are hashed
    probes : neighbouring buckets that a query looks into, in each hash table
    bucket_limit : tracks that a bucket gives at most; 0: all
    min_collisions : hash tables in which a candidate shares a bucket with the query
    """

    hashes: int = 10
    tables: int = 32
    components: int = 32
    probes: int = 0
    bucket_limit: int = 0
    min_collisions: int = 1

    def document(self) -> dict[str, int]:
        """The parameters as manifests, fingerprints and the sweep's table have them."""
        return {column: getattr(self, attribute) for column, attribute in _PARAMETER_COLUMNS.items()}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> HashParameters:
        """The parameters in a document; other keys are ignored, missing ones have their default."""
        columns = {column: name for column, name in _PARAMETER_COLUMNS.items() if column in document}
        return cls(**{attribute: int(document[column]) for column, attribute in columns.items()})


def default_parameters(tracks: int) -> HashParameters:
    """Good for a library of about that size, as measured by bench/index.py; `train --tune` finds the library's own."""
    if tracks < 20_000:
        return HashParameters(10, 32, 24, probes=2, min_collisions=2)
    if tracks < 500_000:
        return HashParameters(14, 64, 24, probes=4, min_collisions=3)
    return HashParameters(18, 64, 24, probes=4, min_collisions=2)


@dataclass(frozen=True)
class HashQuality:
    """Quality of hash parameters with one bucket length.

    bucket_length : in units of the projected points
    recall : of the RECALL_NEIGHBOURS true neighbours among the candidates, 0 to 1
    candidate_share : share of the tracks, mean over queries
    short_share : share of the queries with fewer candidates than RECALL_NEIGHBOURS
    largest_bucket_share : share of the tracks
    cost_us : of a query, by BUCKET_LOOKUP_US, COLLISION_US and CANDIDATE_US
    """

    bucket_length: float
    recall: float
    candidate_share: float
    short_share: float
    largest_bucket_share: float
    cost_us: float


@dataclass(frozen=True)
class TuningSample:
    """Queries and their true neighbours, as rows of the points that are tuned on.

    queries : rows [shape=(q,)]
    true_neighbours : rows [shape=(q, k)], the query itself among them
    drawn : rows, the first, that stand for the library; those behind are there as neighbours alone
    tracks : of the library; more than `drawn` where that is a sample of it
    """

    queries: Rows
    true_neighbours: Rows
    drawn: int
    tracks: int

    @property
    def tracks_each(self) -> float:
        """Tracks of the library that a drawn one stands for."""
        return self.tracks / self.drawn

    def bucket_limit(self, limit: int) -> int:
        """The limit of a bucket among the drawn tracks that is this one in the library; 0 for none."""
        return max(1, round(limit / self.tracks_each)) if limit else 0


def tuning_sample(points: Floats, size: int = SAMPLE_QUERIES, k: int = RECALL_NEIGHBOURS) -> TuningSample:
    """Evenly spaced tracks as queries, with their exact neighbours, where the points are the library."""
    queries = np.linspace(0, len(points) - 1, min(size, len(points))).astype(np.int64)
    true_neighbours = exact_neighbours(points, points[queries], min(k, len(points)))
    return TuningSample(queries, true_neighbours, len(points), len(points))


def shortest_buckets(
    points: Floats,
    projection: Projection,
    sample: TuningSample,
    projection_rms: float,
    tried: list[HashQuality] | None = None,
) -> tuple[Projection, HashTables, HashQuality]:
    """The projection with the shortest bucket length that reaches TARGET_CANDIDATE_RECALL; the best recall where none does.

    projection_rms : root mean square of the points along one direction, the unit of the bucket lengths tried
    tried : every length that is tried is appended to it
    Longer buckets find more, so a binary search finds the length. Not so where buckets have a limit, since a longer one may lose
    near tracks again: there lengths are scanned from the shortest up, in half octaves, and the binary search goes on below the
    first that reaches the target.
    """
    best: tuple[Projection, HashTables, HashQuality] | None = None

    def reaches_target(octave: float) -> bool:
        nonlocal best
        candidate = replace(projection, bucket_length=float(projection_rms * 2**octave))
        tables = HashTables.build(points, candidate)
        quality = hash_quality(points, candidate, tables, sample)
        if tried is not None:
            tried.append(quality)
        if best is None or _preference(quality) > _preference(best[2]):
            best = (candidate, tables, quality)
        return quality.recall >= TARGET_CANDIDATE_RECALL

    low, high, halvings = float(np.log2(MIN_BUCKET_LENGTH)), float(np.log2(MAX_BUCKET_LENGTH)), HALVINGS
    if projection.bucket_limit:
        octaves = np.linspace(low, high, SCANNED_LENGTHS)
        first = next((at for at, octave in enumerate(octaves) if reaches_target(float(octave))), None)
        if first is None or first == 0:
            halvings = 0
        else:
            low, high, halvings = float(octaves[first - 1]), float(octaves[first]), HALVINGS_AFTER_SCAN
    for _ in range(halvings):
        middle = (low + high) / 2
        if reaches_target(middle):
            high = middle
        else:
            low = middle
    if not projection.bucket_limit and high == np.log2(MAX_BUCKET_LENGTH):
        reaches_target(high)
    assert best is not None  # at least one length was tried
    return best


def _preference(quality: HashQuality) -> tuple[bool, float, float]:
    """Sort key, better is greater: what reaches the target, the shortest first; else by recall."""
    reaches_target = quality.recall >= TARGET_CANDIDATE_RECALL
    return reaches_target, 0.0 if reaches_target else quality.recall, -quality.bucket_length


def hash_quality(points: Floats, projection: Projection, tables: HashTables, sample: TuningSample) -> HashQuality:
    """Quality of the hash tables for the library, measured on the sample.

    points : [shape=(n, m)], of which the sample tells rows;  tables : of all of them
    """
    queries = points[sample.queries]
    ranges = tables.bucket_ranges(projection.keys(queries, projection.probes))
    positions = projection.first_component(queries)
    bucket_limit = sample.bucket_limit(projection.bucket_limit)
    candidates, collision_counts, sizes = [], [], []
    for query in range(len(queries)):
        colliding = tables.colliding_rows(ranges[query], float(positions[query]), bucket_limit)
        rows = rows_that_collide(colliding, len(points), projection.min_collisions, len(tables.keys))
        candidates.append(rows)
        collision_counts.append(int((colliding < sample.drawn).sum()) * sample.tracks_each)
        sizes.append(int(np.searchsorted(rows, sample.drawn)) * sample.tracks_each)
    mean_size, mean_collisions = float(np.mean(sizes)), float(np.mean(collision_counts))
    lookups = len(tables.keys) * (1 + projection.probes)
    drawn_tables = tables if sample.drawn == len(points) else tables.subset(np.arange(sample.drawn))
    return HashQuality(
        bucket_length=projection.bucket_length,
        recall=recall(candidates, list(sample.true_neighbours)),
        candidate_share=mean_size / sample.tracks,
        short_share=float((np.array(sizes) < sample.true_neighbours.shape[1]).mean()),
        largest_bucket_share=drawn_tables.largest_bucket() / sample.drawn,
        cost_us=lookups * BUCKET_LOOKUP_US + mean_collisions * COLLISION_US + mean_size * CANDIDATE_US,
    )


def random_projection(parameters: HashParameters, components: Floats, bucket_length: float, seed: int) -> Projection:
    """A projection of points along seeded random directions, to try hash parameters on; a model's directions are MLlib's.

    components : [shape=(m, at least parameters.components)]
    It takes points: mean, deviation and metric are those of features that are points already.
    """
    rng = np.random.default_rng(seed)
    p = min(parameters.components, components.shape[1])
    directions = rng.normal(size=(parameters.tables, parameters.hashes, p))
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    offsets = rng.uniform(0, 100 * bucket_length, (parameters.tables, parameters.hashes))
    return Projection(
        mean=np.zeros(len(components), dtype=np.float32),
        deviation=np.ones(len(components), dtype=np.float32),
        components=np.ascontiguousarray(components[:, :p]),
        directions=directions.astype(np.float32),
        offsets=offsets.astype(np.float32),
        bucket_length=bucket_length,
        probes=parameters.probes,
        min_collisions=parameters.min_collisions,
        bucket_limit=parameters.bucket_limit,
    )


def parameter_grid(tracks: int) -> list[HashParameters]:
    """The parameters that `train --tune` tries for a library of so many tracks."""
    plain = [
        HashParameters(hashes, tables, components, probes)
        for hashes in (6, 8, 10, 12, 14, 18)
        for tables in (16, 32, 64)
        for components in (16, 24, 32)
        for probes in (0, 2)
    ]
    counting_collisions = [
        HashParameters(hashes, tables, 24, probes, min_collisions=collisions)
        for hashes in (10, 12, 14)
        for tables in (32, 64)
        for probes in (2, 4)
        for collisions in (2, 3)
    ]
    with_limit = [
        HashParameters(hashes, 32, 24, 2, bucket_limit=limit)
        for hashes in (10, 14)
        for limit in (256, 1024, 4096)
        if limit < tracks / 8
    ]
    return plain + counting_collisions + with_limit


def pareto_front(rows: list[dict[str, float]]) -> NDArray[np.bool_]:
    """Which of the sweep's rows no other beats in both recall and candidates, bool [shape=(rows,)]."""
    recalls = np.array([row["recall"] for row in rows])
    shares = np.array([row["candidates"] for row in rows])
    as_good = (recalls[None, :] >= recalls[:, None]) & (shares[None, :] <= shares[:, None])
    beaten = as_good & ((recalls[None, :] > recalls[:, None]) | (shares[None, :] < shares[:, None]))
    return np.asarray(~beaten.any(axis=1))


def cheapest_row(rows: list[dict[str, float]]) -> dict[str, float]:
    """The sweep's cheapest row that reaches the target; the one with the best recall where none does."""
    reaching = [row for row in rows if row["recall"] >= TARGET_CANDIDATE_RECALL]
    return min(reaching, key=lambda row: row["cost_us"]) if reaching else max(rows, key=lambda row: row["recall"])


def cheapest_parameters(rows: list[dict[str, float]]) -> HashParameters:
    """The hash parameters of `cheapest_row`."""
    return HashParameters.from_document(cheapest_row(rows))


def sweep_row(parameters: HashParameters, quality: HashQuality) -> dict[str, float]:
    """A row of the sweep's table, by PARAMETER_COLUMNS and QUALITY_COLUMNS."""
    measured = {column: getattr(quality, attribute) for column, attribute in _QUALITY_COLUMNS.items()}
    return {**parameters.document(), **measured}
