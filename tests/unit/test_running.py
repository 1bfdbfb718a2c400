"""Queries that are kept running: what happens when one ends, told with queries that a test ends at will."""

from __future__ import annotations

from typing import Any, cast

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from conf.settings import Settings, settings
from streaming.operations import supervisor
from streaming.operations.supervisor import FAILURES, Running
from streaming.source import topics


class Query:
    def __init__(self) -> None:
        self.isActive = True

    def exception(self) -> Exception | None:
        return RuntimeError("it broke")


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
def away(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """What does not answer, in the order of the questions; nothing when the list is used up."""
    answers: list[str | None] = []
    monkeypatch.setattr(supervisor, "who_is_away", lambda _: answers.pop(0) if answers else None)
    monkeypatch.setattr(supervisor, "RETRY_S", 0.0)
    monkeypatch.setattr(topics, "ensure", lambda _: {})
    return answers


def kept(**starts: Starts) -> Running:
    found = Running(cast(SparkSession, None), settings(), dict(starts))
    found.start()
    return found


def test_a_query_that_ended_in_an_outage_is_started_when_it_is_over(
    away: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    fast, slow = Starts(), Starts()
    found = kept(recommend=fast, ledger=slow)
    fast.queries[0].isActive = False
    away += ["MongoDB does not answer"] * 3
    found.look()
    assert (len(fast.queries), len(slow.queries)) == (2, 1)
    assert "recommend: stopped" in (said := capsys.readouterr().out) and "waiting: MongoDB does not answer" in said


def test_outages_are_no_failures_however_many(away: list[Any]) -> None:
    fast = Starts()
    found = kept(recommend=fast)
    for _ in range(3 * FAILURES):
        fast.queries[-1].isActive = False
        away += ["Kafka does not answer"]
        found.look()
    assert len(fast.queries) == 1 + 3 * FAILURES


def test_a_query_alone_that_fails_for_itself_ends_the_job(away: list[Any]) -> None:
    fast = Starts()
    found = kept(recommend=fast)
    for _ in range(FAILURES - 1):
        fast.queries[-1].isActive = False
        found.look()
    fast.queries[-1].isActive = False
    with pytest.raises(RuntimeError, match="it broke"):
        found.look()


def test_a_query_that_fails_for_itself_beside_another_is_tried_ever_more_rarely(away: list[Any]) -> None:
    fast, slow = Starts(), Starts()
    found = kept(recommend=fast, ledger=slow)
    for _ in range(FAILURES):
        slow.queries[-1].isActive = False
        found.look()
    assert len(slow.queries) == FAILURES, "the last failure waits for its pause"
    assert "recommend" in found.queries and fast.queries[0].isActive
    found.not_before["ledger"] = 0.0
    found.look()
    assert len(slow.queries) == FAILURES + 1
