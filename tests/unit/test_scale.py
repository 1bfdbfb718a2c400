"""docs/scale.md has the tables that bench/scale.py prints, and these are right."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conf.settings import PROJECT

sys.path.insert(0, str(PROJECT))
from bench.scale import ASSUMPTIONS, FIGURES, RESULTS, computed, shown, tables  # noqa: E402


def test_the_document_has_the_tables_that_the_script_prints() -> None:
    document = (PROJECT / "docs" / "scale.md").read_text()
    assert "\n".join(tables({})) in document, "run python -m bench.scale, and put its tables into docs/scale.md"


def test_results_follow_from_what_is_given() -> None:
    values = computed(1e6, 1e4, {"events_a_day": 8.64, "peak": 2, "index_bytes": 2000})
    assert values["mean_rate"] == pytest.approx(1.0) and values["peak_rate"] == pytest.approx(2.0)
    assert values["index_gb"] == pytest.approx(2.0)
    larger = computed(1e8, 1e7)
    assert larger["query_at_size"] == pytest.approx(values["query_ms"] * values["query_growth"] ** 2)
    assert larger["month"] == pytest.approx(larger["cores_month"] + larger["disks_month"] + larger["store_month"])


def test_each_name_is_given_once_and_used() -> None:
    names = [each.name for each in (*FIGURES, *ASSUMPTIONS, *RESULTS)]
    assert len(names) == len(set(names))
    expressions = " ".join(result.expression for result in RESULTS)
    assert [each.name for each in (*FIGURES, *ASSUMPTIONS) if each.name not in expressions] == []


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.0935, "0.0935"), (4.63, "4.63"), (1e6, "1,000,000"), (13889, "13,900"), (4818, "4,818")]
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert shown(value) == text


def test_an_unknown_name_is_refused() -> None:
    command = [sys.executable, "-m", "bench.scale", "--set", "events=3"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "'events' is no figure and no assumption" in done.stderr
