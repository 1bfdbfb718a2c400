"""A driver and a Python worker killed under load; `tests/faults` kills more, and the services too."""

from __future__ import annotations

import sys
from pathlib import Path

from local.services import KafkaServer, MongoServer

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from harness import disturbed, make_world  # noqa: E402


def test_two_kills_leave_no_trace(tmp_path: Path, killable_servers: tuple[MongoServer, KafkaServer]) -> None:
    world = make_world(tmp_path, killable_servers)
    disturbed(world, ["worker", "driver"], events=400, rate=40, folder=tmp_path / "undisturbed")
