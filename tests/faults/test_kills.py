"""Driver, Python workers, Kafka and MongoDB killed at random moments under load, twenty times in one run.

Or away for a minute each, once silent and once gone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from harness import World, disturbed, make_world  # noqa: E402


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    try:
        yield made
    finally:
        made.stop()


@pytest.mark.timeout(1800)
def test_twenty_kills_leave_no_trace(world: World, tmp_path: Path) -> None:
    kills = ["worker", "driver", "mongo", "kafka"] * 5
    disturbed(world, kills, events=3000, rate=20, folder=tmp_path / "undisturbed")


@pytest.mark.timeout(1800)
def test_minutes_without_mongodb_and_without_kafka_leave_no_trace(world: World, tmp_path: Path) -> None:
    away = ["mongo away", "kafka away", "mongo gone", "kafka gone"]
    disturbed(world, away, events=3000, rate=12, folder=tmp_path / "undisturbed")
