"""The Kafka topics: made when they are missing, and told apart from an earlier topic of the same name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from conf.settings import Kafka

if TYPE_CHECKING:
    from kafka import KafkaAdminClient

PATIENCE_MS = 10_000
ARRIVAL = {"message.timestamp.type": "LogAppendTime"}
"""A value's time is when it arrived, whatever its producer's clock says."""
COMPACTED = {"cleanup.policy": "compact"}
"""Of a track's features the latest count."""


class KafkaAway(ConnectionError):
    """Kafka does not answer."""


def ensure(kafka: Kafka) -> dict[str, str]:
    """Makes the topics where they are missing; returns {name: "cluster id/topic id"}. Raises KafkaAway.

    A topic that was deleted and made again counts its offsets from 0: its id tells that they are other offsets.
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
                                -1,
                                topic_configs=ARRIVAL | (COMPACTED if name == kafka.features_topic else {}),
                            )
                            for name in missing
                        ]
                    )
                except TopicAlreadyExistsError:
                    pass  # the other query was quicker
                admin.wait_for_topics(missing)
            cluster = admin.describe_cluster()["cluster_id"]
            return {topic["name"]: f"{cluster}/{topic['topic_id']}" for topic in admin.describe_topics(list(names))}
        except KafkaError as error:
            raise KafkaAway(_away(kafka, error)) from error


@contextmanager
def _admin(kafka: Kafka) -> Iterator[KafkaAdminClient]:
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers, bootstrap_timeout_ms=PATIENCE_MS)
    except (KafkaError, OSError) as error:
        raise KafkaAway(_away(kafka, error)) from error
    try:
        yield admin
    finally:
        admin.close()


def _away(kafka: Kafka, error: Exception) -> str:
    return (
        f"Kafka at {kafka.bootstrap_servers} does not answer ({type(error).__name__}); "
        "start it or set OVERTONE_KAFKA__BOOTSTRAP_SERVERS"
    )
