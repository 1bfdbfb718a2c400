"""/healthz and /readyz with the real services: of the player, and of jobs that start no Spark."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from player_site import ANSWER_S, command, serving
from pydantic import SecretStr

from conf.settings import Settings
from local.processes import free_port
from local.services import KafkaServer, MongoServer
from ui import app as server
from ui.dependencies import build_services

OK = (200, {"status": "ok", "problems": []})
PATIENCE_S = 60


def answer(address: str, **headers: str) -> tuple[int, Any]:
    response = httpx.get(address, headers=headers, timeout=ANSWER_S)
    assert "set-cookie" not in response.headers, "a probe is no listener"
    return response.status_code, response.json()


def until(address: str, status: int) -> list[str]:
    """The problems, once the address answers with this status."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            code, body = answer(address)
            if code == status:
                return list(body["problems"])
        except httpx.TransportError:
            code = 0
        assert time.monotonic() < deadline, f"{address} answers with {code}, expected {status}"
        time.sleep(0.2)


def test_the_player_is_ready_with_its_services_and_a_library(site: str, db: Any) -> None:
    assert answer(f"{site}/healthz") == OK
    assert answer(f"{site}/readyz") == OK
    assert answer(f"{site}/readyz", Host="10.1.2.3:7860") == OK, "kubelet asks by a pod's address"
    db.tracks.delete_many({})
    assert until(f"{site}/readyz", 503) == ["no library is published; run batch/publish.py"]
    assert answer(f"{site}/healthz") == OK


def test_the_player_without_kafka_lives_and_is_not_ready(settings_without_kafka: Settings, catalogue: None) -> None:
    player = settings_without_kafka.player.model_copy(update={"open_names": False, "guests": False})
    with serving(
        server.create_app(build_services(settings_without_kafka.model_copy(update={"player": player})))
    ) as site:
        assert httpx.get(f"{site}/view/home", timeout=ANSWER_S).status_code == 401, "this player is for accounts alone"
        assert answer(f"{site}/healthz") == OK
        assert answer(f"{site}/readyz") == (503, {"status": "failing", "problems": ["Kafka does not answer"]})


@pytest.fixture
def own_services(settings: Settings, killable_servers: tuple[MongoServer, KafkaServer]) -> Settings:
    """The test's settings, with services that it may stop."""
    mongo, kafka = killable_servers
    return settings.model_copy(
        update={
            "mongo": settings.mongo.model_copy(update={"uri": SecretStr(mongo.uri)}),
            "kafka": settings.kafka.model_copy(update={"bootstrap_servers": kafka.bootstrap_servers}),
            "stream": settings.stream.model_copy(update={"metrics_port": free_port()}),
        }
    )


@pytest.fixture
def feed(own_services: Settings) -> Iterator[subprocess.Popen[str]]:
    kafka = own_services.kafka
    started = command(
        own_services,
        "streaming.feed",
        OVERTONE_STREAM__METRICS_PORT=str(own_services.stream.metrics_port),
        OVERTONE_KAFKA__LISTENING_TOPIC=kafka.listening_topic,
        OVERTONE_KAFKA__RECOMMENDATION_TOPIC=kafka.recommendation_topic,
        OVERTONE_KAFKA__FEATURES_TOPIC=kafka.features_topic,
    )
    yield started
    started.terminate()
    started.communicate(timeout=ANSWER_S)


def test_a_job_without_spark_is_ready_but_not_while_a_service_is_away(
    own_services: Settings, feed: subprocess.Popen[str], killable_servers: tuple[MongoServer, KafkaServer]
) -> None:
    address = f"http://127.0.0.1:{own_services.stream.metrics_port}"
    assert until(f"{address}/readyz", 200) == []
    assert answer(f"{address}/healthz") == OK
    assert 'overtone_seconds_since_sign{query="feed"}' in httpx.get(f"{address}/metrics", timeout=ANSWER_S).text
    mongo, _ = killable_servers
    mongo.stop()
    try:
        problems = until(f"{address}/readyz", 503)
        assert any(problem.startswith("MongoDB does not answer (") for problem in problems)
        assert not any(str(mongo.port) in problem for problem in problems), "no address is told"
        assert answer(f"{address}/healthz") == OK, "it waits, which a new start would not shorten"
    finally:
        mongo.start().wait()
    assert until(f"{address}/readyz", 200) == []
    assert feed.poll() is None
