"""A driver and a Python worker killed under load; `tests/faults` kills more, and the services too."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from harness import World, disturbed, make_world  # noqa: E402


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    try:
        yield made
    finally:
        made.driver.stop()
        made.kafka.stop()
        made.mongo.stop()


def test_two_kills_leave_no_trace(world: World, tmp_path: Path) -> None:
    disturbed(world, ["worker", "driver"], events=400, rate=40, folder=tmp_path / "undisturbed")
