"""The supervisor, with queries that a test ends at will, and the restart loop."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any, cast

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from conf.settings import PROJECT, Settings, settings
from streaming.operations import supervisor
from streaming.operations.supervisor import MOST_FAILURES, Supervisor
from streaming.source import topics


class Query:
    def __init__(self) -> None:
        self.isActive = True
        self.error = "it broke"

    def exception(self) -> Exception | None:
        return RuntimeError(self.error)


class Starts:
    """Starts queries and remembers them."""

    def __init__(self) -> None:
        self.queries: list[Query] = []

    def __call__(
        self, spark: SparkSession, settings: Settings, sources: dict[str, str], until_caught_up: bool = False
    ) -> StreamingQuery:
        self.queries.append(Query())
        return cast(StreamingQuery, self.queries[-1])


@pytest.fixture
def outages(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Messages of unavailable services for the next checks; after these all are available."""
    answers: list[str | None] = []
    monkeypatch.setattr(supervisor, "unavailable_service", lambda _: answers.pop(0) if answers else None)
    monkeypatch.setattr(supervisor, "OUTAGE_RETRY_S", 0.0)
    monkeypatch.setattr(topics, "ensure", lambda _: {})
    return answers


def supervise(**starts: Starts) -> Supervisor:
    supervised = Supervisor(cast(SparkSession, None), settings(), dict(starts))
    supervised.start()
    return supervised


def test_a_query_that_ended_in_an_outage_is_started_when_it_is_over(
    outages: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    fast, slow = Starts(), Starts()
    supervised = supervise(recommend=fast, ledger=slow)
    fast.queries[0].isActive = False
    outages += ["MongoDB does not answer"] * 3
    supervised.check()
    assert (len(fast.queries), len(slow.queries)) == (2, 1)
    printed = capsys.readouterr().out
    assert "recommend: stopped" in printed and "waiting: MongoDB does not answer" in printed


def test_outages_are_no_failures_however_many(outages: list[Any]) -> None:
    fast = Starts()
    supervised = supervise(recommend=fast)
    for _ in range(3 * MOST_FAILURES):
        fast.queries[-1].isActive = False
        outages += ["Kafka does not answer"]
        supervised.check()
    assert len(fast.queries) == 1 + 3 * MOST_FAILURES


def test_a_query_alone_that_fails_for_itself_ends_the_job(outages: list[Any]) -> None:
    fast = Starts()
    supervised = supervise(recommend=fast)
    for _ in range(MOST_FAILURES - 1):
        fast.queries[-1].isActive = False
        supervised.check()
    fast.queries[-1].isActive = False
    with pytest.raises(RuntimeError, match="it broke"):
        supervised.check()


def test_a_query_whose_checkpoint_another_driver_has_waits_for_it_however_long(
    outages: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervisor, "OTHER_DRIVER_RETRY_S", 0.0)
    fast = Starts()
    supervised = supervise(recommend=fast)
    for _ in range(3 * MOST_FAILURES):
        fast.queries[-1].isActive = False
        fast.queries[-1].error = "[CONCURRENT_STREAM_LOG_UPDATE] Concurrent update to the log."
        supervised.check()
    assert len(fast.queries) == 1 + 3 * MOST_FAILURES and supervised.failures["recommend"] == 0
    assert capsys.readouterr().out.startswith("recommend: another driver works on the same checkpoint; nothing is counted twice")


def test_a_query_that_fails_for_itself_beside_another_is_tried_ever_more_rarely(outages: list[Any]) -> None:
    fast, slow = Starts(), Starts()
    supervised = supervise(recommend=fast, ledger=slow)
    for _ in range(MOST_FAILURES):
        slow.queries[-1].isActive = False
        supervised.check()
    assert len(slow.queries) == MOST_FAILURES, "the last failure waits for its pause"
    assert "recommend" in supervised.queries and fast.queries[0].isActive
    supervised.not_before["ledger"] = 0.0
    supervised.check()
    assert len(slow.queries) == MOST_FAILURES + 1


def test_a_job_is_run_again_after_outages_and_unexpected_errors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervisor, "OUTAGE_RETRY_S", 0.0)
    monkeypatch.setattr(supervisor, "UNEXPECTED_ERROR_RETRY_S", 0.0)
    stopping = threading.Event()
    errors = [OSError("first"), OSError("second"), KeyError("unexpected"), OSError("third"), None]

    def run(_: threading.Event) -> None:
        if (error := errors.pop(0)) is not None:
            raise error
        stopping.set()

    supervisor.run_until_stopped("feed", run, (OSError,), str, stopping)
    printed = capsys.readouterr()
    assert not errors
    assert printed.out == "feed: waiting (first)\n", "several outages of one type in a row are printed once"
    assert "KeyError: 'unexpected'" in printed.err


def test_jobs_without_spark_do_not_import_it() -> None:
    code = "import sys, streaming.feed, streaming.catalogue; sys.exit('pyspark' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PROJECT)
