"""The queries' checkpoints against the topics: of which topic each is, and whether Kafka still has what it has not read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from batch.storage import objects
from batch.storage.locations import child, without_password
from conf.settings import Kafka, Settings
from local.doctor.findings import Finding, first_line
from local.doctor.locations import unusable
from streaming.source import topics
from streaming.source.kafka_source import checkpoint_folder

ANSWER_MS = 10_000
Offsets = dict[tuple[str, int], int]
"""{(topic, partition): next offset}"""


def checkpoints(settings: Settings) -> Iterator[Finding]:
    kafka = settings.kafka
    sources = _sources(kafka)
    if sources is None or unusable(settings.stream.checkpoints):
        return  # the checks of Kafka and of storage say so
    for query, names in {
        "recommend": (kafka.listening_topic,),
        "ledger": (kafka.listening_topic, kafka.recommendation_topic),
    }.items():
        if all(name in sources for name in names):
            yield from _checkpoint(query, settings, "+".join(sources[name] for name in names))


def _sources(kafka: Kafka) -> dict[str, str] | None:
    """{topic: "cluster id/topic id"} of the topics that there are; None where Kafka does not answer."""
    try:
        with topics.admin_client(kafka) as admin:
            present = set(admin.list_topics())
            names = [name for name in (kafka.listening_topic, kafka.recommendation_topic) if name in present]
            return {name: topic.source for name, topic in topics.described(admin, names).items()}
    except (topics.KafkaAway, KafkaError):
        return None


def _checkpoint(query: str, settings: Settings, source: str) -> Iterator[Finding]:
    current = checkpoint_folder(settings, query, source)
    root, _, name = current.rpartition("/")
    folders = objects.names(root, folders=True)
    if name not in folders:
        if folders:
            yield Finding(
                f"{query} has no checkpoint of these topics, and {len(folders)} of earlier ones",
                "a topic was made anew, or this is another Kafka",
                f"nothing: the query begins at the earliest event, and counts each once; remove {without_password(root)}/* "
                "when the former topics do not come back",
                False,
            )
        return
    numbers = [int(each) for each in objects.names(child(current, "offsets")) if each.isdecimal()]
    if not numbers:
        return
    file = child(child(current, "offsets"), str(max(numbers)))
    try:
        read = _offsets(objects.read_text(file))
    except (OSError, ValueError) as error:
        yield Finding(
            f"{without_password(file)} cannot be read",
            first_line(error),
            f"remove the folder {without_password(current)}: {query} reads the topic again, and counts each event once",
        )
        return
    yield from _against_topics(query, read, settings.kafka)


def _offsets(text: str) -> Offsets:
    """The offsets in a file of a checkpoint. Raises ValueError where it is none."""
    lines = text.splitlines()
    if len(lines) < 3 or lines[0] != "v1":
        raise ValueError("it is no file of offsets")
    offsets: Offsets = {}
    for line in lines[2:]:
        for topic, by_partition in json.loads(line).items():
            if not isinstance(by_partition, Mapping):
                raise ValueError("it names no partitions")
            offsets |= {(topic, int(partition)): int(offset) for partition, offset in by_partition.items()}
    return offsets


def _against_topics(query: str, read: Offsets, kafka: Kafka) -> Iterator[Finding]:
    consumer = KafkaConsumer(**kafka.client_options())
    try:
        places = [TopicPartition(*place) for place in read]
        earliest = consumer.beginning_offsets(places, timeout_ms=ANSWER_MS)
        latest = consumer.end_offsets(places, timeout_ms=ANSWER_MS)
    except KafkaError as error:
        yield Finding(f"the offsets of {query}'s topics are not known", type(error).__name__, "see the check of Kafka")
        return
    finally:
        consumer.close()
    for (topic, partition), offset in sorted(read.items()):
        place = TopicPartition(topic, partition)
        if offset < earliest[place]:
            yield Finding(
                f"{earliest[place] - offset:,} values of {topic}/{partition} were removed before {query} read them",
                f"it has read up to {offset:,}, Kafka has them from {earliest[place]:,}",
                "they are lost to it; raise the topic's retention.ms, or run the query more often",
            )
        if offset > latest[place]:
            yield Finding(
                f"{query} has read {topic}/{partition} up to {offset:,}, and it ends at {latest[place]:,}",
                "Kafka has lost its latest values, as a broker that was restored from older data",
                "make the topic anew: with another id it has checkpoints and counts of its own",
            )
