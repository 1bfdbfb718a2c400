"""What a topic holds."""

from __future__ import annotations

from typing import Any

from kafka import KafkaConsumer, TopicPartition


def records_of(topic: str, bootstrap_servers: str) -> list[Any]:
    """All records of a topic, in order within each partition."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
    consumer.assign(partitions)
    end_by_partition = consumer.end_offsets(partitions)
    read: list[Any] = []
    while any(consumer.position(each) < end_by_partition[each] for each in partitions):
        for records in consumer.poll(timeout_ms=500).values():
            read += records
    consumer.close()
    return read
