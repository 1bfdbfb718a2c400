"""Kafka: reachable, the topics with their partitions and settings, its clock."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kafka.errors import KafkaError

from conf.settings import Kafka, Settings
from local.doctor.findings import Finding, first_line
from local.doctor.mongodb import clock_difference
from streaming.events import MAX_BYTES
from streaming.source import topics

if TYPE_CHECKING:
    from kafka import KafkaAdminClient

SHORT_RETENTION_MS = 24 * 3600 * 1000
SMALLEST_VALUES_BYTES = 1_000_000
"""Lists and tracks with all that they have are smaller; Kafka's own default is a little larger."""
CONFIGS = ("cleanup.policy", "retention.ms", "max.message.bytes", topics.TIMESTAMP_TYPE)


def kafka(settings: Settings) -> Iterator[Finding]:
    """Findings of the cluster and of the three topics. Makes no topic."""
    try:
        with topics.admin_client(settings.kafka) as admin:
            yield from _clock(admin)
            yield from _topics(admin, settings.kafka)
    except topics.KafkaAway as error:
        what, _, to_do = first_line(error).partition("; ")
        yield Finding(
            what,
            "players keep events in their journal, queries wait",
            to_do or "see docs/cluster.md, Kafka and MongoDB that demand a password",
        )
    except KafkaError as error:
        yield Finding(
            f"Kafka at {settings.kafka.bootstrap_servers} refuses to describe its topics",
            first_line(error),
            f"give {settings.kafka.username or 'the client'} the right to describe them",
        )


def _topics(admin: KafkaAdminClient, kafka: Kafka) -> Iterator[Finding]:
    names = (kafka.listening_topic, kafka.recommendation_topic, kafka.features_topic)
    present = set(admin.list_topics())
    for name in names:
        if name not in present:
            yield Finding(
                f"there is no topic {name}", "no query has run yet", "the first query or feed makes it", False
            )
    described = admin.describe_topics([name for name in names if name in present]) if present & set(names) else []
    brokers = len(admin.describe_cluster().get("brokers", ()))
    for topic in described:
        yield from _partitions(topic, kafka, brokers)
    for name in names:
        if name in present:
            yield from _configuration(name, _configs(admin, name), kafka)


def _partitions(topic: Mapping[str, Any], kafka: Kafka, brokers: int) -> Iterator[Finding]:
    name, partitions = topic["name"], topic["partitions"]
    if len(partitions) < kafka.partitions:
        yield Finding(
            f"topic {name} has {len(partitions)} partitions",
            f"kafka.partitions is {kafka.partitions}, which only counts where a topic is made: fewer tasks read it",
            f"stop the queries, kafka-topics.sh --alter --topic {name} --partitions {kafka.partitions}; a listener may "
            "move to another partition, so let the queries catch up first",
            False,
        )
    without_leader = [each["partition_index"] for each in partitions if each.get("leader_id", -1) < 0]
    if without_leader:
        yield Finding(
            f"topic {name} has no leader for partitions {', '.join(map(str, without_leader))}",
            "their events can be neither written nor read",
            "start the brokers that have them",
        )
    behind = [
        each["partition_index"]
        for each in partitions
        if len(each.get("isr_nodes", ())) < len(each.get("replica_nodes", ()))
    ]
    if behind:
        yield Finding(
            f"topic {name}: partitions {', '.join(map(str, behind))} lack replicas",
            "a broker is away, or behind",
            "start it; events are safe while another replica is there",
            False,
        )
    if brokers > 1 and any(len(each.get("replica_nodes", ())) == 1 for each in partitions):
        yield Finding(
            f"topic {name} has one replica on {brokers} brokers",
            "its events are lost with that broker's disk",
            "raise the replication factor by kafka-reassign-partitions.sh",
            False,
        )


def _configs(admin: KafkaAdminClient, name: str) -> dict[str, str]:
    from kafka.admin import ConfigResource

    with suppress(KafkaError, OSError):  # it may be forbidden
        described = admin.describe_configs([ConfigResource("topic", name, list(CONFIGS))], config_filter="all")
        values = described.get("topic", {}).get(name, {})
        return {
            config: values[config]["value"] for config in CONFIGS if values.get(config, {}).get("value") is not None
        }
    return {}


def _configuration(name: str, values: Mapping[str, str], kafka: Kafka) -> Iterator[Finding]:
    def alter(setting: str) -> str:
        return f"kafka-configs.sh --alter --topic {name} --add-config {setting}"

    policy = values.get("cleanup.policy", "")
    is_of_tracks = name == kafka.features_topic
    if is_of_tracks and policy and "compact" not in policy:
        yield Finding(
            f"topic {name} is not compacted",
            "tracks that were sent long ago vanish from it, and a new model lacks them",
            alter("cleanup.policy=compact"),
        )
    if not is_of_tracks and "compact" in policy:
        yield Finding(
            f"topic {name} is compacted",
            "of each listener only the latest value stays: events are lost",
            alter("cleanup.policy=delete"),
        )
    stamp = values.get(topics.TIMESTAMP_TYPE)
    if name == kafka.listening_topic and stamp not in (None, topics.TIMESTAMPED_ON_ARRIVAL[topics.TIMESTAMP_TYPE]):
        yield Finding(
            f"topic {name}: {topics.TIMESTAMP_TYPE} is {stamp}",
            "a producer whose clock is wrong misdates its events",
            alter(f"{topics.TIMESTAMP_TYPE}={topics.TIMESTAMPED_ON_ARRIVAL[topics.TIMESTAMP_TYPE]}"),
        )
    retention_ms = int(values.get("retention.ms", -1))
    if not is_of_tracks and 0 <= retention_ms < SHORT_RETENTION_MS:
        yield Finding(
            f"topic {name} keeps values for {retention_ms / 3_600_000:.1f} hours",
            "queries that stand still for longer lose events",
            alter("retention.ms=1209600000"),
        )
    most_bytes = int(values.get("max.message.bytes", SMALLEST_VALUES_BYTES))
    least_bytes = MAX_BYTES if name == kafka.listening_topic else SMALLEST_VALUES_BYTES
    if most_bytes < least_bytes:
        yield Finding(
            f"topic {name} takes values of {most_bytes:,} bytes at most",
            f"they may have {least_bytes:,}",
            alter(f"max.message.bytes={2 * least_bytes}"),
        )


def _clock(admin: KafkaAdminClient) -> Iterator[Finding]:
    """By what the leader of the brokers' own log says of itself: it has read that up to now. Only KRaft clusters say so."""
    before = time.time()
    with suppress(KafkaError, OSError, LookupError):  # it may be forbidden, and older brokers do not know it
        partition = admin.describe_metadata_quorum()["topics"][0]["partitions"][0]
        after = time.time()
        leader = next(each for each in partition["current_voters"] if each["replica_id"] == partition["leader_id"])
        if leader.get("last_fetch_timestamp", -1) > 0:
            yield from clock_difference("Kafka", leader["last_fetch_timestamp"] / 1000, before, after)
