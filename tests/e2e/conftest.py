"""The real services, once a run, and settings of a test's own: a database and topics that nobody else uses."""

from __future__ import annotations

import fcntl
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from kafka.admin import KafkaAdminClient, NewTopic
from playwright.sync_api import Browser, Playwright, sync_playwright
from pymongo import MongoClient

from conf.settings import Settings
from conf.settings import settings as read_settings
from local.processes import free_port, leftovers
from local.services import KafkaServer, MongoServer

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from player_site import (  # noqa: E402, F401
    ana,
    catalogue,
    chromium,
    client,
    db,
    events,
    own_mongo,
    own_settings,
    player_port,
    put,
    site,
    sounds,
    visit,
    windows,
)

Server = TypeVar("Server", MongoServer, KafkaServer)


def shared(kind: type[Server], folder: Path) -> Server:
    """The run's server of this kind, started by the worker that needs it first. It runs until all workers have ended."""
    folder.mkdir(exist_ok=True)
    server = kind(folder)
    with (folder / f"{kind.__name__}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if server.process.name in dict(leftovers(folder)):
            server.port = int((server.folder / "port").read_text())
        else:
            server.start()
        return server.wait()


@pytest.fixture(scope="session")
def mongo(services_folder: Path) -> MongoServer:
    return shared(MongoServer, services_folder)


@pytest.fixture(scope="session")
def kafka(services_folder: Path) -> KafkaServer:
    return shared(KafkaServer, services_folder)


@pytest.fixture(scope="session")
def killable_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MongoServer, KafkaServer]]:
    """Servers apart, for tests that stop and kill them; each such test leaves them running."""
    folder = tmp_path_factory.mktemp("killable")
    mongo, kafka = MongoServer(folder).start(), KafkaServer(folder).start()
    try:
        yield mongo.wait(), kafka.wait()
    finally:
        kafka.stop()
        mongo.stop()


@pytest.fixture(scope="session")
def mongo_client(mongo: MongoServer) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongo.uri) as connection:
        yield connection


@pytest.fixture(scope="session")
def kafka_admin(kafka: KafkaServer) -> Iterator[KafkaAdminClient]:
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    yield admin
    admin.close()


@pytest.fixture
def settings_without_kafka(mongo: MongoServer, tmp_path: Path) -> Settings:
    """A home and a database of the test's own; Kafka is away."""
    name = uuid.uuid4().hex[:12]
    return read_settings(
        home=tmp_path / "home",
        mongo={"uri": mongo.uri, "database": f"test-{name}"},
        kafka={
            "bootstrap_servers": f"127.0.0.1:{free_port()}",
            "listening_topic": f"listens-{name}",
            "recommendation_topic": f"recommendations-{name}",
            "features_topic": f"features-{name}",
        },
    )


@pytest.fixture
def settings(settings_without_kafka: Settings, kafka: KafkaServer) -> Settings:
    """A home, a database and names of topics of the test's own. The topics are there once `topics` makes them."""
    section = settings_without_kafka.kafka.model_copy(update={"bootstrap_servers": kafka.bootstrap_servers})
    return settings_without_kafka.model_copy(update={"kafka": section})


@pytest.fixture
def topics(settings: Settings, kafka_admin: KafkaAdminClient) -> None:
    """Makes the test's topics of events and lists."""
    names = (settings.kafka.listening_topic, settings.kafka.recommendation_topic)
    kafka_admin.create_topics([NewTopic(name, num_partitions=2, replication_factor=1) for name in names])


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    started = chromium(playwright)
    yield started
    started.close()
