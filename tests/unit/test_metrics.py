"""The figures of the queries: what comes in as progress goes out as Prometheus text and as documents."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from streaming.metrics import RECENT_S, Metrics
from streaming.profiles import Outcome


def progress(batch: int, ms: int, lag: str) -> SimpleNamespace:
    return SimpleNamespace(
        durationMs={"triggerExecution": ms, "addBatch": ms - 10},
        batchDuration=ms,
        sources=[SimpleNamespace(metrics={"maxOffsetsBehindLatest": lag})],
        batchId=batch,
        inputRowsPerSecond=float("nan"),
        processedRowsPerSecond=50.0,
        numInputRows=20,
    )


@pytest.fixture
def metrics() -> Metrics:
    found = Metrics()
    found.progressed("recommend", progress(1, 100, "7"))
    found.progressed("recommend", progress(2, 300, "0"))
    found.served(Outcome(20, 18, 2, 9, tuple(at / 100 for at in range(1, 101))), "m1", now=1000.0)
    return found


def test_progress_and_latencies_become_documents(metrics: Metrics) -> None:
    (document,) = metrics.documents(now=1001.0)
    assert (document["_id"], document["running"], document["model_version"]) == ("recommend", True, "m1")
    assert (document["batch_ms"], document["lag_events"], document["events_per_second"]) == (300.0, 0, None)
    assert (document["p50_s"], document["p95_s"]) == (pytest.approx(0.505), pytest.approx(0.9505))
    assert document["totals"] == {"events": 20, "applied": 18, "refused": 2, "lists": 9}


def test_latencies_are_of_the_last_minutes_only(metrics: Metrics) -> None:
    (document,) = metrics.documents(now=1001.0 + RECENT_S)
    assert (document["p50_s"], document["latency_events"]) == (None, 0)


def test_prometheus_reads_each_value_with_its_query(metrics: Metrics) -> None:
    lines = metrics.text(now=1001.0).splitlines()
    assert 'overtone_batch_milliseconds{query="recommend"} 300' in lines
    assert 'overtone_event_to_list_seconds{quantile="0.5"} 0.505' in lines
    assert "overtone_refused_total 2" in lines and "# TYPE overtone_refused_total counter" in lines
    assert not any("nan" in line.lower() or "None" in line for line in lines)


def test_a_query_that_ended_says_why(metrics: Metrics) -> None:
    metrics.ended("ledger", "lost its disk")
    documents = {document["_id"]: document for document in metrics.documents()}
    assert documents["ledger"]["running"] is False and documents["ledger"]["error"] == "lost its disk"
    assert 'overtone_query_running{query="ledger"} 0' in metrics.text()
