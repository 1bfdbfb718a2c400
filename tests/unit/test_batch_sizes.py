"""How large micro-batches are, where they are served and by how many tasks; and what Spark's log of offsets says of them."""

from __future__ import annotations

import json
import pickle
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from conf.settings import settings
from streaming.events import Event, encode
from streaming.operations.batch_sizes import BatchSizes
from streaming.serving import in_workers
from streaming.serving.values import Outcome, ParsedValue, RawValue
from streaming.source.batch_offsets import BatchOffsets, Offsets

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def sizes(is_local: bool, **changed: Any) -> BatchSizes:
    return BatchSizes(settings().stream.model_copy(update=changed), is_local)


@pytest.mark.parametrize(("cores", "most"), [(1, 2000), (2, 2000), (64, 2000)])
def test_on_one_machine_batches_are_as_the_settings_say(cores: int, most: int) -> None:
    of_machine = sizes(is_local=True)
    assert (of_machine.most_events(cores), of_machine.most_in_driver) == (most, 200)


@pytest.mark.parametrize(("cores", "most"), [(1, 2000), (2, 2000), (3, 3000), (100, 100_000)])
def test_on_a_cluster_they_grow_with_the_cores(cores: int, most: int) -> None:
    of_cluster = sizes(is_local=False)
    assert (of_cluster.most_events(cores), of_cluster.most_in_driver) == (most, 50)
    assert sizes(is_local=False, max_events_per_core=0).most_events(cores) == 2000
    assert sizes(is_local=False, small_batch_events=0).most_in_driver == 0


@pytest.mark.parametrize(
    ("events", "cores", "tasks"),
    [(0, 2, 1), (49, 2, 1), (51, 2, 2), (201, 2, 4), (2000, 2, 4), (2000, 100, 40), (100_000, 100, 200), (10, 100, 1)],
)
def test_tasks_follow_cores_and_load(events: int, cores: int, tasks: int) -> None:
    assert sizes(is_local=False).tasks(events, cores) == tasks


def logged(checkpoint: Path, batch_id: int, ends: dict[str, int]) -> None:
    """Writes a micro-batch's ends as Spark does."""
    (checkpoint / "offsets").mkdir(parents=True, exist_ok=True)
    lines = ["v1", json.dumps({"batchWatermarkMs": 0, "conf": {}}), json.dumps({"listens": ends})]
    (checkpoint / "offsets" / str(batch_id)).write_text("\n".join(lines))


def test_a_micro_batch_is_measured_before_it_is_read(tmp_path: Path) -> None:
    offsets = BatchOffsets(settings().kafka, str(tmp_path))
    assert offsets.most_values(0) is None, "no log"
    logged(tmp_path, 0, {"0": 30, "1": 12})
    logged(tmp_path, 1, {"0": 30, "1": 20})
    logged(tmp_path, 2, {"0": 31, "1": 20, "2": 5})
    assert [BatchOffsets(settings().kafka, str(tmp_path)).most_values(batch_id) for batch_id in (0, 1, 2, 3)] == [
        *(42, 8, 6, None)
    ]
    offsets = BatchOffsets(settings().kafka, str(tmp_path))
    first: list[Offsets] = [{("listens", 0): 0, ("listens", 1): 0}, {("listens", 1): 12}, {("listens", 0): 30}]
    for batch_id, (wanted, at) in enumerate(zip((42, 8, 6), first, strict=True)):
        assert offsets.most_values(batch_id) == wanted
        assert offsets.removed(batch_id, at) == {}, "nothing is missing at its begin, so that Kafka is not asked"


def value(offset: int, user: str) -> RawValue:
    event = Event(user, "t", "play", NOON, f"e{offset}", more={"mood": "calm"})
    return RawValue(encode(event), 0, offset, int(NOON.timestamp() * 1000))


def record_batch(values: list[RawValue]) -> pa.RecordBatch:
    columns = {"value": pa.binary(), "partition": pa.int32(), "offset": pa.int64(), "received_ms": pa.int64()}
    return pa.RecordBatch.from_pydict(
        {name: pa.array([getattr(each, name) for each in values], kind) for name, kind in columns.items()}
    )


def test_values_are_parsed_once_and_travel_as_events_to_the_task_of_their_listener(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = [value(0, "ana"), value(1, "bo"), value(2, "ana"), RawValue(b"no JSON", 0, 3, 0), RawValue(None, 0, 4, 0)]
    batches = list(in_workers._parse_values(iter([record_batch(values[:2]), record_batch(values[2:])])))
    rows = [row for batch in batches for row in batch.to_pylist()]
    assert [(row["user_id"], row["values"]) for row in rows] == [
        *(("ana", 1), ("bo", 1), (None, 0), ("ana", 1), (None, 2))
    ]
    ana = [each for row in rows if row["user_id"] == "ana" for each in pickle.loads(row["parsed"])]
    assert [each.value for each in ana] == [values[0], values[2]]
    assert [(each.event.event_id, each.event.occurred_at, each.event.more) for each in ana] == [
        *(("e0", NOON, {"mood": "calm"}), ("e2", NOON, {"mood": "calm"}))
    ]

    served: list[tuple[list[ParsedValue], int]] = []

    def serve_parsed(parsed: list[ParsedValue], count: int, _context: Any) -> Outcome:
        served.append((parsed, count))
        return Outcome(count, len(parsed), count - len(parsed), 2, (0.5, 0.25))

    def parse(*_: Any) -> None:
        raise AssertionError("parsed again")

    monkeypatch.setattr(in_workers, "serve_parsed", serve_parsed)
    monkeypatch.setattr(in_workers, "parsed_values", parse)
    context: Any = None
    began = time.time()
    (outcome,) = in_workers._serve_tasks(context)(iter(batches))
    assert [(len(parsed), count) for parsed, count in served] == [(3, 5)]
    (row,) = outcome.to_pylist()
    assert row["host"] and began <= row["began_at"] <= row["ended_at"] <= time.time()
    assert {name: row[name] for name in in_workers.OUTCOME.names} == {
        "events": 5,
        "applied": 3,
        "refused": 2,
        "lists": 2,
        "waits": [0.5, 0.25],
        "set_aside": 0,
    }
    (empty,) = in_workers._serve_tasks(context)(iter([]))
    assert empty.to_pylist()[0]["events"] == 0 and len(served) == 1
