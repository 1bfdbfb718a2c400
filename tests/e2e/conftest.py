"""The real services, once a session, and settings of a test's own: a database and topics that nobody else uses."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest
from kafka.admin import KafkaAdminClient, NewTopic
from playwright.sync_api import Browser, sync_playwright

from conf.settings import Settings
from conf.settings import settings as read_settings
from local.services import KafkaServer, MongoServer

sys.path.insert(0, str(Path(__file__).parent))
from player_site import catalogue, db, events, put, site, sounds, visit  # noqa: E402, F401

QUIET = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
CHROMIUM_ARGS = f"{QUIET} --disable-component-update --disable-sync --autoplay-policy=no-user-gesture-required".split()


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    server = MongoServer(tmp_path_factory.mktemp("mongo")).start()
    try:
        yield server.wait()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    server = KafkaServer(tmp_path_factory.mktemp("kafka")).start()
    try:
        yield server.wait()
    finally:
        server.stop()


@pytest.fixture
def settings(mongo: MongoServer, kafka: KafkaServer, tmp_path: Path) -> Settings:
    name = uuid.uuid4().hex[:12]
    found = read_settings(
        home=tmp_path / "home",
        mongo={"uri": mongo.uri, "database": f"test-{name}"},
        kafka={
            "bootstrap_servers": kafka.bootstrap_servers,
            "listening_topic": f"listens-{name}",
            "recommendation_topic": f"recommendations-{name}",
            "features_topic": f"features-{name}",
        },
    )
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    topics = (found.kafka.listening_topic, found.kafka.recommendation_topic)
    admin.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1) for topic in topics])
    admin.close()
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = which("chromium") or which("chromium-browser") or which("google-chrome")
    if chromium is None:
        pytest.fail("no Chromium on PATH; install it (Debian: apt-get install chromium) to test the player")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, headless=True, args=CHROMIUM_ARGS)
        yield started
        started.close()
