"""Half an hour at 200 events a second: memory of driver and workers, files of the tables and state do not grow without end.

`SOAK_MINUTES` and `SOAK_RATE` try a shorter or a slower one; what is flat is told from a third of the time on.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from kafka import KafkaProducer

from conf.settings import PREFIX
from local.processes import memory_by_program

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from harness import World, made_events, make_world  # noqa: E402

MINUTES = float(os.environ.get("SOAK_MINUTES", "30"))
RATE = float(os.environ.get("SOAK_RATE", "200"))
TABLES = ("listening_events", "rejected_events", "recommendations")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    environment = made.environment() | {
        f"{PREFIX}STREAM__SMALL_BATCH_EVENTS": "200",
        f"{PREFIX}STREAM__LEDGER_TRIGGER_SECONDS": "12",
        f"{PREFIX}STREAM__COMPACT_MINUTES": "5",
    }
    made.environment = lambda: environment  # type: ignore[method-assign]
    try:
        yield made
    finally:
        made.stop()


def sample(world: World, minute: float) -> dict[str, float]:
    memory = {f"{name}_mib": size / 2**20 for name, size in memory_by_program([world.driver.pid]).items()}
    found: dict[str, float] = {"minute": minute, "driver_mib": sum(memory.values()), **memory}
    for name in TABLES:
        try:
            found[f"{name}_files"] = len(DeltaTable(world.settings.lake.table(name)).file_uris())
        except Exception:  # noqa: BLE001 - not there yet
            found[f"{name}_files"] = 0
    for name in ("profiles", "recommendations"):
        found[f"{name}_mib"] = world.database.command("collStats", name)["size"] / 2**20
    status: dict[str, Any] = {one["_id"]: one for one in world.database.status.find()}
    found["p95_s"] = status.get("recommend", {}).get("p95_s") or 0.0
    found["lag"] = status.get("recommend", {}).get("lag_events", 0)
    return found


@pytest.mark.timeout(3600)
def test_nothing_grows_without_end(world: World) -> None:
    world.start_driver()
    world.wait_ready()
    producer = KafkaProducer(bootstrap_servers=world.kafka.bootstrap_servers, acks="all", max_request_size=1 << 24)
    events = made_events(round(MINUTES * 60 * RATE), users=500, apart_s=1 / RATE)
    started = time.monotonic()
    samples = []
    for sent, (key, value) in enumerate(events):
        producer.send(world.settings.kafka.listening_topic, key=key, value=value)
        minute = (time.monotonic() - started) / 60
        if minute >= len(samples) * MINUTES / 30:
            samples.append(sample(world, minute))
            print("  ".join(f"{name} {figure:.1f}" for name, figure in samples[-1].items()), flush=True)
            world.driver.require_running("soaking")
        time.sleep(max(0.0, started + sent / RATE - time.monotonic()))
    third = len(samples) // 3
    middle, late = samples[third : 2 * third], samples[2 * third :]
    memory = ("driver_mib", "java_mib", "python_mib")
    for name in (*memory, "profiles_mib", "recommendations_mib", *(f"{table}_files" for table in TABLES)):
        before, after = (max(one[name] for one in some) for some in (middle, late))
        print(f"{name}: at most {before:.1f} in the second third, {after:.1f} in the last", flush=True)
        assert after <= 1.2 * before + 5, name
    assert samples[-1]["lag"] < 20 * RATE, "the stream does not keep up"
