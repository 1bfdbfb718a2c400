"""Creates the Kafka topics, identifies them by id rather than by name, and tells how long events are kept, and whose times they
have."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from conf.kafka import PASSWORD_VARIABLE
from conf.settings import Kafka

if TYPE_CHECKING:
    from kafka import KafkaAdminClient

BOOTSTRAP_TIMEOUT_MS = 10_000
ENDS_TIMEOUT_MS = 3_000
"""Somebody waits for the answer."""
BROKER_REPLICATION = -1
TIMESTAMP_TYPE = "message.timestamp.type"
TIMESTAMPED_ON_ARRIVAL = {TIMESTAMP_TYPE: "LogAppendTime"}
"""Timestamps are the broker's, since a producer's clock may be wrong."""
RETENTION_CONFIGS = ("cleanup.policy", "retention.ms", "segment.ms")
REMOVAL_DELAY_S = 24 * 3600
"""A broker looks for what is to be removed at intervals, and it may be away for a while."""
COMPACTED = {"cleanup.policy": "compact"}
"""Kafka keeps the latest value of each key: the latest features of each track."""


class KafkaAway(ConnectionError):
    """Kafka does not answer."""


class Topic(NamedTuple):
    """A topic of a cluster.  source : "cluster id/topic id", which tells it from a former one of its name"""

    source: str
    partitions: list[int]


def ensure(kafka: Kafka) -> dict[str, str]:
    """Creates the topics that are missing; returns {name: "cluster id/topic id"} of all three. Raises KafkaAway.

    The id tells a recreated topic from the former one, whose offsets mean other values.
    """
    from kafka.admin import NewTopic
    from kafka.errors import KafkaError, TopicAlreadyExistsError

    names = (kafka.listening_topic, kafka.recommendation_topic, kafka.features_topic)
    with admin_client(kafka) as admin:
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
            return {name: topic.source for name, topic in described(admin, names).items()}
        except KafkaError as error:
            raise KafkaAway(_unavailable_message(kafka, error)) from error


def described(admin: KafkaAdminClient, names: Sequence[str]) -> dict[str, Topic]:
    """{name: topic}.  names : of topics that are there"""
    cluster = admin.describe_cluster()["cluster_id"]
    return {
        topic["name"]: Topic(
            f"{cluster}/{topic['topic_id']}", [each["partition_index"] for each in topic["partitions"]]
        )
        for topic in (admin.describe_topics(list(names)) if names else [])
    }


def listening_ends(kafka: Kafka) -> dict[str, int]:
    """{"cluster id/topic id/partition": the offset after its last value} of the listening topic; empty where there is none.

    Raises KafkaAway.
    """
    from kafka import TopicPartition
    from kafka.admin import OffsetSpec
    from kafka.errors import KafkaError

    with admin_client(kafka, ENDS_TIMEOUT_MS) as admin:
        try:
            if kafka.listening_topic not in admin.list_topics():
                return {}
            topic = described(admin, [kafka.listening_topic])[kafka.listening_topic]
            partitions = [TopicPartition(kafka.listening_topic, number) for number in topic.partitions]
            latest = admin.list_partition_offsets(
                dict.fromkeys(partitions, OffsetSpec.LATEST), timeout_ms=ENDS_TIMEOUT_MS
            )
        except KafkaError as error:
            raise KafkaAway(_unavailable_message(kafka, error)) from error
    return {f"{topic.source}/{place.partition}": latest[place].offset for place in partitions}


def report_producer_clocks(kafka: Kafka) -> None:
    """Prints a line where the listening topic has the producers' times in place of the broker's; once in a process."""
    place = (kafka.bootstrap_servers, kafka.listening_topic)
    if place in _reported:
        return
    timestamp_type = _timestamp_type(kafka)
    if timestamp_type is not None:
        _reported.add(place)
    if timestamp_type not in (None, TIMESTAMPED_ON_ARRIVAL[TIMESTAMP_TYPE]):
        print(
            f"topic {kafka.listening_topic}: {TIMESTAMP_TYPE} is {timestamp_type}, so times of arrival are the producers': "
            "a producer whose clock is wrong misdates its events, also for what decays with age and what a deletion covers; "
            f"set it to {TIMESTAMPED_ON_ARRIVAL[TIMESTAMP_TYPE]} to have the broker's",
            flush=True,
        )


_reported: set[tuple[str, str]] = set()
"""(servers, listening topic) whose type of times was looked up."""


def kept_s(kafka: Kafka) -> float | None:
    """Seconds for which the listening topic keeps an event at most; None where it keeps some for good, or does not tell.

    A segment is removed once its last value is older than `retention.ms`, and it takes values for up to `segment.ms`.
    """
    configs = _listening_configs(kafka, RETENTION_CONFIGS)
    policy, retention, segment = (configs.get(name) for name in RETENTION_CONFIGS)
    if policy is None or "delete" not in policy or retention is None or segment is None or int(retention) < 0:
        return None
    return (int(retention) + int(segment)) / 1000 + REMOVAL_DELAY_S


def _timestamp_type(kafka: Kafka) -> str | None:
    """The listening topic's `message.timestamp.type`; None where the broker does not tell."""
    return _listening_configs(kafka, [TIMESTAMP_TYPE]).get(TIMESTAMP_TYPE)


def _listening_configs(kafka: Kafka, names: Sequence[str]) -> dict[str, str | None]:
    """{name: value} of the listening topic's configurations, its broker's defaults included; empty where it does not tell."""
    from kafka.admin import ConfigResource
    from kafka.errors import KafkaError

    resource = ConfigResource("topic", kafka.listening_topic, list(names))
    try:
        with admin_client(kafka) as admin:
            described = admin.describe_configs([resource], config_filter="all")
    except (KafkaError, OSError):  # it may be forbidden
        return {}
    configs = described.get("topic", {}).get(kafka.listening_topic, {})
    return {name: configs.get(name, {}).get("value") for name in names}


@contextmanager
def admin_client(kafka: Kafka, timeout_ms: int = BOOTSTRAP_TIMEOUT_MS) -> Iterator[KafkaAdminClient]:
    """An admin client of the cluster while the block runs. Raises KafkaAway, which says what the brokers refuse."""
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    failures = _ConnectionFailures()
    logger = logging.getLogger("kafka.net.manager")
    logger.addHandler(failures)
    try:
        admin = KafkaAdminClient(**kafka.client_options(), bootstrap_timeout_ms=timeout_ms)
    except (KafkaError, OSError) as error:
        raise KafkaAway(failures.reason(kafka) or _unavailable_message(kafka, error)) from error
    finally:
        logger.removeHandler(failures)
    try:
        yield admin
    finally:
        admin.close()


class _ConnectionFailures(logging.Handler):
    """Why connections to brokers failed: kafka-python tells the reason in its log alone, and tries again until it gives up."""

    def __init__(self) -> None:
        super().__init__()
        self._errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        arguments = record.args if isinstance(record.args, tuple) else ()
        self._errors += [f"{type(each).__name__} {each}" for each in arguments if isinstance(each, Exception)]

    def reason(self, kafka: Kafka) -> str | None:
        """What the brokers refuse, in words; None where they refuse nothing, and are away."""
        place = f"Kafka at {kafka.bootstrap_servers}"
        errors = " ".join(self._errors)
        if "CERTIFICATE_VERIFY_FAILED" in errors.upper():
            return f"{place}: its certificate is not signed by an authority of kafka.ca_file"
        if "SaslAuthenticationFailed" in errors:
            return f"{place} refuses the name or the password: see kafka.username and {PASSWORD_VARIABLE}"
        if "socket disconnected" in errors and kafka.security_protocol.startswith("SASL"):
            return (
                f"{place} closes the connection: it refuses the name or the password (kafka.username, {PASSWORD_VARIABLE}), "
                f"or does not speak {kafka.security_protocol}"
            )
        return None


def _unavailable_message(kafka: Kafka, error: Exception) -> str:
    protocol = "" if kafka.security_protocol == "PLAINTEXT" else f", or does not speak {kafka.security_protocol}"
    return (
        f"Kafka at {kafka.bootstrap_servers} does not answer{protocol} ({type(error).__name__}); "
        "start it, or correct OVERTONE_KAFKA__BOOTSTRAP_SERVERS or OVERTONE_KAFKA__SECURITY_PROTOCOL"
    )
