"""Computes what a library and its listeners need, from figures that were measured and assumptions that are named.

    python -m bench.scale [--set events_a_day=20 …]     the tables of docs/scale.md
    python -m bench.scale --measure                     bytes a row and a document, on made data

Each result is an expression over figures, assumptions and earlier results, and is printed beside its value: a reader can redo it,
and set any name to another value.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

SIZES = ((1e6, 1e4), (1e6, 1e7), (1e8, 1e4), (1e8, 1e7))
"""(tracks, listeners)"""
MADE_ROWS = 90_000
MADE_LISTENERS = 10_000
MADE_MODEL = "20261127T000000.000000Z"


@dataclass(frozen=True)
class Given:
    """A figure or an assumption.  source : where it was measured, or why it was assumed"""

    name: str
    value: float
    unit: str
    source: str


@dataclass(frozen=True)
class Result:
    """expression : of Python, over all names before it"""

    name: str
    unit: str
    expression: str


FIGURES = (
    Given("extract_core_ms", 118, "ms of a core a clip of 30 s", "2 cores read 16.9 a second (benchmarks.md, Extraction)"),
    Given("extract_more_core_ms", 25, "ms of a core more for a whole song", "benchmarks.md, Extraction"),
    Given("index_bytes", 2139, "bytes a track, both blocks", "228 MB for 106,574 (models.md, Speed)"),
    Given("query_ms", 1.64, "ms of a core a query, a million tracks", "models.md, Speed"),
    Given("query_growth", 2.4, "times for ten times the tracks", "from 100,000 to a million (models.md, Speed)"),
    Given("serve_ms", 2.40, "ms of a core an event, executors of recommend", "two executors (stream.md, Measured)"),
    Given("serve_driver_ms", 0.184, "ms of a core an event, its driver", "two executors (stream.md, Measured)"),
    Given("ledger_ms", 0.155, "ms of a core a value, executors of ledger", "stream.md, Measured"),
    Given("ledger_driver_ms", 0.168, "ms of a core a value, its driver", "stream.md, Measured"),
    Given("train_bytes", 462, "bytes a track of train's driver, Python", "462 MB for a million (models.md, a library larger …)"),
    Given("mongodb_ms", 0.97, "ms of a core an event", "0.29 cores at 300 events/s (stream.md, Measured)"),
    Given("kafka_ms", 0.4, "ms of a core an event", "0.12 cores at 300 events/s (stream.md, Measured)"),
    Given("profile_bytes", 43_200, "bytes a listener after 720 events", "20.6 MiB for 500 (stream.md, half an hour)"),
    Given("list_bytes", 9_650, "bytes a list in MongoDB", "4.6 MiB for 500 (stream.md, half an hour)"),
    Given("track_bytes", 6_000, "bytes a track in MongoDB", "batch/mongo.py"),
    Given("event_json_bytes", 377, "bytes an event in Kafka", "bench/scale.py --measure"),
    Given("list_json_bytes", 9_930, "bytes a list in Kafka", "bench/scale.py --measure"),
    Given("event_row_bytes", 131, "bytes a row of listening_events", "bench/scale.py --measure"),
    Given("list_row_bytes", 57.6, "bytes a row of recommendations", "bench/scale.py --measure"),
    Given("features_row_bytes", 2_138, "bytes a row of features", "bench/scale.py --measure"),
    Given("tracks_row_bytes", 292, "bytes a row of tracks", "bench/scale.py --measure"),
    Given("search_bytes", 370, "bytes a track in a player's memory", "37 MB for 100,000 (player.md)"),
)

ASSUMPTIONS = (
    Given("events_a_day", 40, "events a listener a day", "over all listeners, those who do not listen included"),
    Given("peak", 3, "times the mean in the busiest hour", "most people listen at the same hours"),
    Given("load", 0.6, "of a core in use at the peak", "room for a restart's backlog"),
    Given("kafka_days", 7, "days that topics keep values", "longer than any outage"),
    Given("replicas", 3, "copies in Kafka and MongoDB", "usual"),
    Given("core_hour", 0.04, "money a core-hour with 4 GB", "rented by the hour"),
    Given("disk_gb_month", 0.10, "money a GB-month of disk", "rented, for Kafka and MongoDB"),
    Given("store_gb_month", 0.023, "money a GB-month in an object store", "rented, for lake and models"),
    Given("extract_days", 7, "days that a first extraction may take", ""),
    Given("executor_cores", 4, "cores an executor", ""),
    Given("partition_rate", 500, "events a second a partition", "a partition is read by one task; well below what one writes"),
)

RESULTS = (
    Result("mean_rate", "events a second, mean", "listeners * events_a_day / 86_400"),
    Result("peak_rate", "events a second, peak", "mean_rate * peak"),
    Result("query_at_size", "ms of a core a query of the index", "query_ms * query_growth ** log10(tracks / 1e6)"),
    Result(
        "serve_cores",
        "cores of executors, both queries",
        "peak_rate * (serve_ms + query_at_size + 2 * ledger_ms) / 1000 / load",
    ),
    Result("executors", "executors", "ceil(serve_cores / executor_cores)"),
    Result("driver_cores", "cores of recommend's driver, where it were one", "peak_rate * serve_driver_ms / 1000"),
    Result("ledger_cores", "cores of ledger's driver, for events and lists", "peak_rate * 2 * ledger_driver_ms / 1000"),
    Result("shares", "installations, each with a share of the listeners", "ceil(max(driver_cores, ledger_cores) / load)"),
    Result("partitions", "partitions of listening-events", "max(2, ceil(peak_rate / partition_rate))"),
    Result("index_gb", "GB of index, mapped on each node", "tracks * index_bytes / 1e9"),
    Result("mongodb_cores", "cores of MongoDB", "peak_rate * mongodb_ms / 1000 / load"),
    Result(
        "mongodb_tb",
        "TB in MongoDB, one copy",
        "(tracks * track_bytes + listeners * (profile_bytes + 2 * list_bytes)) / 1e12",
    ),
    Result("kafka_cores", "cores of Kafka", "peak_rate * kafka_ms / 1000 / load * replicas"),
    Result(
        "kafka_tb",
        "TB in Kafka, all copies",
        "mean_rate * 86_400 * kafka_days * (event_json_bytes + list_json_bytes) * replicas / 1e12",
    ),
    Result("library_tb", "TB of tracks and features", "tracks * (features_row_bytes + tracks_row_bytes) / 1e12"),
    Result("events_tb_year", "TB of events a year", "mean_rate * 86_400 * 365 * event_row_bytes / 1e12"),
    Result("lists_tb_year", "TB of lists a year", "mean_rate * 86_400 * 365 * 30 * list_row_bytes / 1e12"),
    Result("search_gb", "GB of search in each player", "tracks * search_bytes / 1e9"),
    Result("extract_core_hours", "core-hours of a first extraction", "tracks * (extract_core_ms + extract_more_core_ms) / 3.6e6"),
    Result("extract_cores", "cores for it", "ceil(extract_core_hours / 24 / extract_days)"),
    Result("train_driver_gb", "GB of train's driver, with 1 GB of Java", "1 + tracks * train_bytes / 1e9"),
    Result("train_core_hours", "core-hours of a training, neighbours alone", "tracks * 2 * query_at_size / 3.6e6"),
    Result("cores", "cores all the time", "ceil(serve_cores + driver_cores + ledger_cores + mongodb_cores + kafka_cores + 2)"),
    Result("cores_month", "money a month for cores", "cores * 730 * core_hour"),
    Result("disks_month", "money a month for disks", "(mongodb_tb * replicas + kafka_tb) * 1000 * disk_gb_month"),
    Result(
        "store_month",
        "money a month for lake and models, after a year",
        "(library_tb + events_tb_year + lists_tb_year + index_gb / 1000) * 1000 * store_gb_month",
    ),
    Result("extract_once", "money once for the extraction", "extract_core_hours * core_hour"),
    Result("month", "money a month", "cores_month + disks_month + store_month"),
)

FUNCTIONS = {"ceil": math.ceil, "log10": math.log10, "max": max}


def computed(tracks: float, listeners: float, changed: Mapping[str, float] | None = None) -> dict[str, float]:
    """{name: value} of all figures, assumptions and results at a size."""
    values = {"tracks": tracks, "listeners": listeners}
    values |= {each.name: each.value for each in (*FIGURES, *ASSUMPTIONS)} | dict(changed or {})
    for result in RESULTS:
        values[result.name] = float(eval(result.expression, {"__builtins__": {}}, FUNCTIONS | values))  # noqa: S307 - ours
    return values


def tables(changed: Mapping[str, float]) -> Iterator[str]:
    """The lines of the three tables, in Markdown."""
    for title, givens in (("measured", FIGURES), ("assumed", ASSUMPTIONS)):
        yield from (f"| {title} | | | from |", "| --- | ---: | --- | --- |")
        for each in givens:
            value = changed.get(each.name, each.value)
            yield f"| `{each.name}` | {shown(value)} | {each.unit} | {each.source} |"
        yield ""
    columns = [computed(*size, changed) for size in SIZES]
    heads = [f"{shown(tracks)} tracks, {shown(listeners)} listeners" for tracks, listeners in SIZES]
    yield f"| | {' | '.join(heads)} | | is |"
    yield f"| --- | {'---: | ' * len(SIZES)}--- | --- |"
    for result in RESULTS:
        values = " | ".join(shown(column[result.name]) for column in columns)
        yield f"| `{result.name}` | {values} | {result.unit} | `{result.expression}` |"


def shown(value: float) -> str:
    """A number with three digits that count."""
    if value and abs(value) < 1000:
        return f"{value:.3g}"
    digits = 10 ** max(0, math.floor(math.log10(abs(value))) - 2) if value else 1
    return f"{round(value / digits) * digits:,.0f}" if value >= 10_000 else f"{value:,.0f}"


def measured() -> dict[str, float]:
    """Bytes a row in a compacted Delta table, and bytes of values on the topics, of made data."""
    import orjson
    import pyarrow as pa
    from deltalake import DeltaTable, write_deltalake
    from pyspark.sql.pandas.types import to_arrow_schema

    from batch.library.extraction import FEATURES
    from batch.library.tracks import TRACKS
    from streaming.events import Event, encode
    from streaming.schemas import LISTENING_EVENTS, RECOMMENDATIONS

    draw = random.Random(1)
    now = datetime(2026, 11, 27, tzinfo=UTC)
    ids = [f"{draw.getrandbits(64):016x}" for _ in range(100_000)]
    users = [str(uuid.UUID(int=draw.getrandbits(128))) for _ in range(MADE_LISTENERS)]
    lists = [_made_list(draw, draw.choice(users), ids, now + timedelta(seconds=number)) for number in range(MADE_ROWS // 30)]
    events = [_made_event(draw, users, ids, now + timedelta(seconds=number)) for number in range(MADE_ROWS)]
    rows_by_name: dict[str, tuple[list[dict[str, Any]], Any]] = {
        "event_row_bytes": (events, LISTENING_EVENTS),
        "list_row_bytes": ([row for made in lists for row in made], RECOMMENDATIONS),
        "features_row_bytes": ([_made_features(draw, track_id) for track_id in ids[:5000]], FEATURES),
        "tracks_row_bytes": ([_made_track(draw, track_id) for track_id in ids[:20_000]], TRACKS),
    }
    figures: dict[str, float] = {}
    for name, (rows, schema) in rows_by_name.items():
        with tempfile.TemporaryDirectory() as folder:
            write_deltalake(folder, pa.Table.from_pylist(rows, schema=to_arrow_schema(schema, timezone="UTC")))
            size = sum(DeltaTable(folder).get_add_actions(flatten=True).column("size_bytes").to_pylist())
            figures[name] = round(size / len(rows), 1)
    event_id, session_id = str(uuid.uuid4()), str(uuid.uuid4())
    event = Event(users[0], ids[0], "play", now, event_id, 12_000, 200_000, session_id, "for-you", MADE_MODEL)
    figures["event_json_bytes"] = len(encode(event)) + len(users[0])
    items = [_item(draw, ids, rank) for rank in range(30)]
    figures["list_json_bytes"] = len(orjson.dumps({"user_id": users[0], "generation": 7, "items": items}))
    return figures


def _made_event(draw: random.Random, users: list[str], ids: list[str], at: datetime) -> dict[str, Any]:
    return {
        "topic": "listening-events", "topic_id": "cluster/topic", "partition": draw.randrange(16),
        "offset": draw.randrange(10**9),
        "event_id": str(uuid.UUID(int=draw.getrandbits(128))), "user_id": draw.choice(users), "track_id": draw.choice(ids),
        "action": draw.choice(["play", "skip", "complete", "like"]), "position_ms": draw.randrange(200_000),
        "duration_ms": draw.randrange(200_000), "occurred_at": at + timedelta(milliseconds=draw.randrange(1000)),
        "session_id": str(uuid.UUID(int=draw.getrandbits(128))), "source": "for-you", "model_version": MADE_MODEL,
        "received_at": at + timedelta(milliseconds=draw.randrange(1000)), "day": at.date(),
    }  # fmt: skip


def _made_list(draw: random.Random, user: str, ids: list[str], at: datetime) -> list[dict[str, Any]]:
    generation = draw.randrange(1000)
    return [
        {
            "user_id": user, "generation": generation, "rank": rank, "track_id": draw.choice(ids), "score": draw.random(),
            "generated_at": at, "model_version": MADE_MODEL, "reason": "Like what you liked",
            "because": draw.sample(ids, 2), "day": at.date(),
        }
        for rank in range(1, 31)
    ]  # fmt: skip


def _item(draw: random.Random, ids: list[str], rank: int) -> dict[str, Any]:
    parts = {"attraction": draw.random(), "repulsion": draw.random(), "variety": draw.random()}
    reason = "Sounds like A Song of Some Length by An Artist"
    because = draw.sample(ids, 2)
    return {
        "track_id": draw.choice(ids), "rank": rank, "score": draw.random(), "because": because, "reason": reason,
        "explore": False, "parts": parts, "percentile": draw.random(),
    }  # fmt: skip


def _made_features(draw: random.Random, track_id: str) -> dict[str, Any]:
    numbers = [[draw.gauss(0, 1) for _ in range(size)] for size in (189, 200, 50)]
    return {
        "track_id": track_id, "vector": numbers[0], "embedding": numbers[1], "tags": numbers[2],
        "extractor_version": "mfcc/1", "sha256": f"{draw.getrandbits(256):064x}",
    }  # fmt: skip


def _made_track(draw: random.Random, track_id: str) -> dict[str, Any]:
    name, artist = (f"{draw.getrandbits(48):012x} of {draw.getrandbits(32):08x}" for _ in range(2))
    path = f"/music/{artist}/Album {draw.randrange(10**6)}/{name}.mp3"
    file = {"path": path, "size": draw.randrange(10**7), "mtime_ns": draw.getrandbits(60), "ctime_ns": draw.getrandbits(60)}
    return {
        "track_id": track_id, "library": "/music", "path": path, "title": name, "artist": artist, "album": path.split("/")[3],
        "sha256": f"{draw.getrandbits(256):064x}", "files": [file], "duration_s": draw.random() * 300, "genre": "rock",
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="another value of a figure or assumption"
    )
    parser.add_argument("--measure", action="store_true", help="print bytes a row and a document, of made data")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(), indent=2))
        return 0
    changed: dict[str, float] = {}
    for each in options.set:
        name, _, value = each.partition("=")
        if name not in {given.name for given in (*FIGURES, *ASSUMPTIONS)}:
            parser.error(f"{name!r} is no figure and no assumption of this script")
        changed[name] = float(value)
    print("\n".join(tables(changed)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
