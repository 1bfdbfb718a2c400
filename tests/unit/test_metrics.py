"""Metrics of the queries: progress in, Prometheus text and documents out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry, Metric, generate_latest

from local.processes import free_port
from streaming.operations.checkpoint_latency import CheckpointLatency
from streaming.operations.health import Health
from streaming.operations.http_server import application, serve
from streaming.operations.metrics import LATENCY_WINDOW_S, Metrics
from streaming.operations.supervisor import root_cause
from streaming.serving.values import Outcome


def offsets(*at: int) -> str:
    return json.dumps({"listens": {str(partition): offset for partition, offset in enumerate(at)}})


def progress(batch: int, ms: int, lag: int, read_twice: bool = False) -> SimpleNamespace:
    return SimpleNamespace(
        durationMs={"triggerExecution": ms, "addBatch": ms - 10},
        batchDuration=ms,
        sources=[
            SimpleNamespace(startOffset=offsets(5, 5), endOffset=offsets(15, 15), latestOffset=offsets(15, 15 + lag))
        ],
        batchId=batch,
        inputRowsPerSecond=float("nan"),
        processedRowsPerSecond=50.0,
        numInputRows=40 if read_twice else 20,
    )


@pytest.fixture
def metrics() -> Metrics:
    collected = Metrics()
    collected.progressed("recommend", progress(1, 100, 7))
    collected.progressed("recommend", progress(2, 300, 0))
    collected.served(Outcome(20, 18, 2, 9, tuple(at / 100 for at in range(1, 101)), 1), "m1", now=1000.0)
    return collected


class At:
    """The metrics as they are at a time."""

    def __init__(self, metrics: Metrics, now: float | None) -> None:
        self.metrics, self.now = metrics, now

    def collect(self) -> Iterator[Metric]:
        return self.metrics.collect(self.now)


def prometheus_text(metrics: Metrics, now: float | None = None) -> str:
    registry = CollectorRegistry()
    registry.register(At(metrics, now))
    return generate_latest(registry).decode()


def test_progress_and_latencies_become_documents(metrics: Metrics) -> None:
    (document,) = metrics.documents(now=1001.0)
    assert (document["_id"], document["running"], document["model_version"]) == ("recommend", True, "m1")
    assert (document["batch_ms"], document["lag_events"], document["events_per_second"]) == (300.0, 0, None)
    assert (document["p50_s"], document["p95_s"]) == (pytest.approx(0.505), pytest.approx(0.9505))
    assert document["totals"] == {"events": 20, "applied": 18, "refused": 2, "lists": 9, "set_aside": 1}


def test_latencies_are_of_the_last_minutes_only(metrics: Metrics) -> None:
    (document,) = metrics.documents(now=1001.0 + LATENCY_WINDOW_S)
    assert (document["p50_s"], document["latency_events"]) == (None, 0)


def test_prometheus_reads_each_value_with_its_query(metrics: Metrics) -> None:
    lines = prometheus_text(metrics, now=1001.0).splitlines()
    assert 'overtone_batch_milliseconds{query="recommend"} 300.0' in lines
    assert 'overtone_event_to_list_seconds{quantile="0.5"} 0.505' in lines
    assert "overtone_refused_total 2.0" in lines and "# TYPE overtone_refused_total counter" in lines
    assert not any("nan" in line.lower() or "None" in line for line in lines)


def test_a_query_that_ended_says_why(metrics: Metrics) -> None:
    metrics.ended("ledger", "lost its disk")
    documents = {document["_id"]: document for document in metrics.documents()}
    assert documents["ledger"]["running"] is False and documents["ledger"]["error"] == "lost its disk"
    assert 'overtone_query_running{query="ledger"} 0.0' in prometheus_text(metrics)
    metrics.progressed("ledger", progress(3, 100, 2))
    documents = {document["_id"]: document for document in metrics.documents()}
    assert documents["ledger"]["error"] is None and documents["ledger"]["lag_events"] == 2


def test_a_query_without_events_is_idle_and_reports_its_triggers() -> None:
    collected = Metrics()
    collected.started("ledger")
    (document,) = collected.documents()
    assert (document["running"], document["idle"]) == (True, True) and document["triggered_at"] <= document["at"]
    collected.progressed("ledger", progress(1, 100, 7))
    (document,) = collected.documents()
    assert (document["idle"], document["lag_events"]) == (False, 7)
    collected.idled("ledger")
    (later,) = collected.documents()
    assert (later["idle"], later["lag_events"], later["events_per_second"], later["batch_ms"]) == (True, 0, 0.0, 100.0)
    assert later["triggered_at"] >= document["triggered_at"]
    collected.ended("ledger", "lost its disk")
    (document,) = collected.documents()
    assert (document["running"], document["idle"]) == (False, None)


def test_the_lag_is_of_all_partitions_and_rows_that_are_read_twice_count_once() -> None:
    collected = Metrics()
    collected.progressed("recommend", progress(1, 100, 7, read_twice=True))
    (document,) = collected.documents()
    assert (document["lag_events"], document["events_in_batch"], document["processed_per_second"]) == (7, 20, 25.0)


def test_of_an_exception_the_line_that_names_the_error_is_told() -> None:
    text = """[STREAM_FAILED] Query terminated with exception: An exception was raised by the Python Proxy.
Traceback (most recent call last):
  File "ledger.py", line 1, in land
pyarrow.lib.ArrowInvalid: not JSON
streaming.serving.microbatch.ConcurrentWrite: 3 of profiles changed
=== Streaming Query ===
+- ~StreamingDataSourceV2ScanRelation[value#1] KafkaTable Exception"""
    assert root_cause(text) == "streaming.serving.microbatch.ConcurrentWrite: 3 of profiles changed"
    assert root_cause("") == "no message"


def test_an_error_of_ours_is_told_by_whatever_name_also_from_a_task() -> None:
    text = """[STREAM_FAILED] Query [id = 1] terminated with exception: [FOREACH_BATCH_USER_FUNCTION_ERROR] An error occurred
pyspark.errors.exceptions.captured.PythonException:
  An exception was thrown from the Python worker. Please see the stack trace below.
Traceback (most recent call last):
  File "remote_index.py", line 1, in _content
batch.index.storage.IndexUnreadable: no index in s3a://models/1/index: ids.npy is missing; train again
	at org.apache.spark.api.python.BasePythonRunner.handlePythonException(PythonRunner.scala:1)
=== Streaming Query ===
"""
    missing = "no index in s3a://models/1/index: ids.npy is missing; train again"
    assert root_cause(text) == f"batch.index.storage.IndexUnreadable: {missing}"
    assert root_cause("KeyError: 'x'\nmore") == "KeyError: 'x'"


def test_prometheus_is_served_and_a_port_in_use_is_reported(
    metrics: Metrics, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    app = application(Health(), 60.0, list, [metrics])
    server = serve(app, "127.0.0.1", port)
    assert server is not None
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        assert 'overtone_lag_rows{query="recommend"} 0.0' in text and "python_info" not in text
        assert serve(app, "127.0.0.1", port) is None
        assert f"port {port} of 127.0.0.1 cannot be used" in capsys.readouterr().out
    finally:
        server.shutdown()
        server.server_close()


def test_the_latency_of_a_checkpoint_in_a_store_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    latency = CheckpointLatency("s3a://bucket/checkpoints")
    latency.progressed("recommend", {"latestOffset": 3, "triggerExecution": 4})  # nothing was there to read
    for writing_ms in (200, 300, 9000, 250):
        latency.progressed("recommend", {"walCommit": writing_ms, "commitOffsets": 50, "addBatch": 400})
    latency.progressed("ledger", {"walCommit": 1, "commitOffsets": 1})
    assert capsys.readouterr().out == ""
    for _ in range(3):
        latency.progressed("recommend", {"walCommit": 280, "commitOffsets": 50, "addBatch": 400})
    assert capsys.readouterr().out == (
        "recommend: a micro-batch writes for 0.33 s to its checkpoint in s3a://bucket/checkpoints (median of 5); a file system "
        "takes less (stream.checkpoints)\n"
    )


def test_a_checkpoint_in_a_folder_is_not_worth_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    latency = CheckpointLatency("/home/overtone/checkpoints")
    for _ in range(6):
        latency.progressed("recommend", {"walCommit": 280, "commitOffsets": 50})
    assert capsys.readouterr().out == ""
