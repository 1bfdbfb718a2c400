"""Creates the Kafka topics, and identifies them by id rather than by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from conf.settings import Kafka

if TYPE_CHECKING:
    from kafka import KafkaAdminClient

BOOTSTRAP_TIMEOUT_MS = 10_000
BROKER_REPLICATION = -1
TIMESTAMPED_ON_ARRIVAL = {"message.timestamp.type": "LogAppendTime"}
"""Timestamps are the broker's, since a producer's clock may be wrong."""
COMPACTED = {"cleanup.policy": "compact"}
"""Kafka keeps the latest value of each key: the latest features of each track."""


class KafkaAway(ConnectionError):
    """Kafka does not answer."""


def ensure(kafka: Kafka) -> dict[str, str]:
    """Creates the topics that are missing; returns {name: "cluster id/topic id"} of all three. Raises KafkaAway.

    The id tells a recreated topic from the former one, whose offsets mean other values.
    """
    from kafka.admin import NewTopic
    from kafka.errors import KafkaError, TopicAlreadyExistsError

    names = (kafka.listening_topic, kafka.recommendation_topic, kafka.features_topic)
    with _admin(kafka) as admin:
        try:
            missing = sorted(set(names) - set(admin.list_topics()))
            if missing:
                try:
                    admin.create_topics(
                        [
                            NewTopic(
                                name,
                                kafka.partitions,
                                BROKER_REPLICATION,
                                topic_configs=TIMESTAMPED_ON_ARRIVAL
                                | (COMPACTED if name == kafka.features_topic else {}),
                            )
                            for name in missing
                        ]
                    )
                except TopicAlreadyExistsError:
                    pass  # another job created them meanwhile
                admin.wait_for_topics(missing)
            cluster = admin.describe_cluster()["cluster_id"]
            return {topic["name"]: f"{cluster}/{topic['topic_id']}" for topic in admin.describe_topics(list(names))}
        except KafkaError as error:
            raise KafkaAway(_unavailable_message(kafka, error)) from error


@contextmanager
def _admin(kafka: Kafka) -> Iterator[KafkaAdminClient]:
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers, bootstrap_timeout_ms=BOOTSTRAP_TIMEOUT_MS)
    except (KafkaError, OSError) as error:
        raise KafkaAway(_unavailable_message(kafka, error)) from error
    try:
        yield admin
    finally:
        admin.close()


def _unavailable_message(kafka: Kafka, error: Exception) -> str:
    return (
        f"Kafka at {kafka.bootstrap_servers} does not answer ({type(error).__name__}); "
        "start it or set OVERTONE_KAFKA__BOOTSTRAP_SERVERS"
    )
