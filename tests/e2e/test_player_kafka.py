"""Listening events to a Kafka that is away at first, leaves, and comes back."""

from __future__ import annotations

import functools
import json
import uuid
from datetime import UTC, datetime

from kafka.admin import KafkaAdminClient, NewTopic
from topic_records import records_of

from conf.settings import Kafka
from local.services import KafkaServer, MongoServer
from streaming.events import Event
from streaming.source import topics
from ui.events.deletions import listening_ends
from ui.events.event_queue import EventQueue
from ui.events.producer import connect

TOPIC = "listens-while-kafka-comes-and-goes"


def test_a_deletion_notes_where_the_topic_ends(kafka: KafkaServer) -> None:
    topic = f"listens-{uuid.uuid4().hex}"
    cluster = Kafka(
        bootstrap_servers=kafka.bootstrap_servers,
        listening_topic=topic,
        recommendation_topic=f"lists-{topic}",
        features_topic=f"features-{topic}",
        partitions=2,
    )
    assert listening_ends(cluster, True) == {}, "there is no topic yet"
    source = topics.ensure(cluster)[topic]
    assert listening_ends(cluster, True) == {f"{source}/0": 0, f"{source}/1": 0}
    producer = connect(cluster)
    for _ in range(3):
        place = producer.send(topic, value=b"{}", key=b"ana", timestamp_ms=0).get(10)
    producer.close()
    assert listening_ends(cluster, True) == {f"{source}/{place.partition}": 3, f"{source}/{1 - place.partition}": 0}
    assert listening_ends(cluster, False) == {}, "it is known to be away"
    nobody = cluster.model_copy(update={"bootstrap_servers": "127.0.0.1:1"})
    assert listening_ends(nobody, True) == {}


def test_events_outlast_an_absence_of_kafka_in_order(killable_servers: tuple[MongoServer, KafkaServer]) -> None:
    _, server = killable_servers
    listens = None
    try:
        place = server.bootstrap_servers
        admin = KafkaAdminClient(bootstrap_servers=place)
        admin.create_topics([NewTopic(TOPIC, num_partitions=2, replication_factor=1)])
        admin.close()
        server.stop()
        kafka = Kafka(
            bootstrap_servers=place,
            listening_topic=TOPIC,
            recommendation_topic="r",
            features_topic="f",
            partitions=2,
        )
        listens = EventQueue(functools.partial(connect, kafka), TOPIC)

        def publish(*numbers: int) -> None:
            for number in numbers:
                assert listens is not None
                listens.publish(
                    Event(user_id="ana", track_id=str(number), action="play", occurred_at=datetime.now(UTC))
                )

        publish(0, 1, 2)
        assert not listens.flush(4)
        assert (listens.state.connected, listens.state.waiting) == (False, 3)
        server.start().wait()
        assert listens.flush(20) and listens.state.connected
        server.stop()
        publish(3, 4, 5)
        assert not listens.flush(4)
        assert not listens.state.connected
        server.start().wait()
        assert listens.flush(40)
        tracks = [json.loads(record.value)["track_id"] for record in records_of(TOPIC, place)]
        # A delivery that timed out may have arrived all the same; the stream passes over a second event_id.
        assert list(dict.fromkeys(tracks)) == ["0", "1", "2", "3", "4", "5"]
    finally:
        if listens is not None:
            listens.close(0.1)
        if server.process.returncode is not None:
            server.start().wait()
