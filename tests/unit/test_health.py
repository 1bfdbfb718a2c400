"""/healthz and /readyz of the drivers: signs in, answers out."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from conf.settings import settings
from local.processes import free_port
from streaming.operations import health, supervisor
from streaming.operations.checkpoint_latency import CheckpointLatency
from streaming.operations.health import Health, Remembered, kafka_problems
from streaming.operations.http_server import application, serve
from streaming.operations.metrics import _Listener

STUCK_AFTER_S = 60.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def signs(clock: Clock) -> Health:
    return Health(clock)


def test_a_job_is_ready_once_it_has_worked_and_until_it_waits(signs: Health) -> None:
    assert signs.unready() == ["nothing has begun"]
    signs.begins("recommend")
    signs.begins("ledger")
    assert signs.unready() == ["ledger: not ready", "recommend: not ready"]
    signs.works("recommend")
    assert signs.unready() == ["ledger: not ready"]
    signs.works("ledger")
    assert signs.unready() == []
    signs.waits("recommend")
    assert signs.unready() == ["recommend: not ready"]
    signs.begins("recommend")
    assert signs.unready() == ["recommend: not ready"], "what begins again has to work first"


def test_a_job_without_a_sign_is_stuck_and_one_that_waits_is_not(signs: Health, clock: Clock) -> None:
    assert signs.stuck(STUCK_AFTER_S) == [], "nothing has begun, so nothing can hang"
    signs.begins("feed")
    signs.works("ledger")
    clock.now += STUCK_AFTER_S
    assert signs.stuck(STUCK_AFTER_S) == []
    signs.waits("feed")
    clock.now += 5.4
    assert signs.stuck(STUCK_AFTER_S) == ["ledger: no sign for 65 s"]
    signs.works("ledger")
    assert signs.stuck(STUCK_AFTER_S) == []


def test_prometheus_has_the_age_of_each_sign(signs: Health, clock: Clock) -> None:
    assert list(signs.collect()) == []
    signs.begins("feed")
    clock.now += 7
    (gauge,) = signs.collect()
    assert [(sample.name, sample.labels, sample.value) for sample in gauge.samples] == [
        ("overtone_seconds_since_sign", {"query": "feed"}, 7.0)
    ]


@pytest.fixture
def away() -> list[str]:
    """Lines of services that are away."""
    return []


@pytest.fixture
def address(signs: Health, away: list[str]) -> Iterator[str]:
    port = free_port()
    server = serve(application(signs, STUCK_AFTER_S, lambda: away, [signs]), "127.0.0.1", port)
    assert server is not None
    yield f"http://127.0.0.1:{port}"
    server.shutdown()
    server.server_close()


def answer(address: str) -> tuple[int, Any]:
    try:
        with urlopen(address, timeout=10) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        return error.code, json.load(error)


def test_the_driver_answers_by_status_and_reasons(address: str, signs: Health, clock: Clock, away: list[str]) -> None:
    assert answer(f"{address}/healthz") == (200, {"status": "ok", "problems": []})
    assert answer(f"{address}/readyz") == (503, {"status": "failing", "problems": ["nothing has begun"]})
    signs.works("recommend")
    assert answer(f"{address}/readyz") == (200, {"status": "ok", "problems": []})
    away.append("Kafka does not answer")
    assert answer(f"{address}/readyz") == (503, {"status": "failing", "problems": ["Kafka does not answer"]})
    assert answer(f"{address}/healthz")[0] == 200, "a service that is away is no reason to start the driver again"
    clock.now += STUCK_AFTER_S + 1
    assert answer(f"{address}/healthz") == (503, {"status": "failing", "problems": ["recommend: no sign for 61 s"]})


def test_kafka_is_reachable_where_one_of_its_brokers_is() -> None:
    kafka = settings().kafka
    closed = f"127.0.0.1:{free_port()}"
    with socket.create_server(("127.0.0.1", 0)) as broker:
        opened = f"127.0.0.1:{broker.getsockname()[1]}"
        assert kafka_problems(kafka.model_copy(update={"bootstrap_servers": f"{closed},{opened}"})) == []
    assert kafka_problems(kafka.model_copy(update={"bootstrap_servers": closed})) == ["Kafka does not answer"]


def test_an_answer_is_remembered_for_a_moment(clock: Clock) -> None:
    answers = iter([["one"], ["two"]])
    remembered = Remembered(lambda: next(answers), clock)
    assert [remembered(), remembered()] == [["one"], ["one"]]
    clock.now += health.REMEMBERED_S
    assert [remembered(), remembered()] == [["two"], ["two"]]


def test_nobody_waits_for_an_answer_that_another_asks_for(clock: Clock) -> None:
    asked, may_answer = threading.Event(), threading.Event()

    def slow() -> list[str]:
        asked.set()
        assert may_answer.wait(60)
        return ["late"]

    answers = iter([lambda: ["first"], slow])
    remembered = Remembered(lambda: next(answers)(), clock)
    assert remembered() == ["first"]
    clock.now += health.REMEMBERED_S
    other = threading.Thread(target=remembered)
    other.start()
    assert asked.wait(60)
    assert remembered() == ["first"], "the last one, at once"
    may_answer.set()
    other.join()
    assert remembered() == ["late"]


def test_a_job_without_spark_waits_in_an_outage(monkeypatch: pytest.MonkeyPatch, signs: Health) -> None:
    monkeypatch.setattr(supervisor, "DRIVER_HEALTH", signs)
    stopping = threading.Event()

    def run(stopping: threading.Event) -> None:
        assert signs.unready() == ["feed: not ready"], "it has begun"
        signs.works("feed")
        stopping.set()
        raise ConnectionError("gone")

    supervisor.run_until_stopped("feed", run, (ConnectionError,), str, stopping)
    assert signs.unready() == ["feed: not ready"]


def test_spark_reports_batches_and_looks_as_signs(monkeypatch: pytest.MonkeyPatch, signs: Health) -> None:
    from types import SimpleNamespace as Event

    from streaming.operations import metrics

    monkeypatch.setattr(metrics, "DRIVER_HEALTH", signs)
    listener = _Listener(CheckpointLatency(""))
    listener.onQueryStarted(Event(id="1", name="ledger"))  # type: ignore[arg-type]
    assert signs.unready() == ["ledger: not ready"]
    listener.onQueryIdle(Event(id="1"))  # type: ignore[arg-type]
    assert signs.unready() == []
    listener.onQueryTerminated(Event(id="1", exception=None))  # type: ignore[arg-type]
    assert signs.unready() == ["ledger: not ready"]
