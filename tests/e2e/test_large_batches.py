"""A large micro-batch: read from Kafka once, served by tasks of a Spark job, with the lists that the driver would make."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from kafka import KafkaProducer
from pymongo import MongoClient
from pyspark.sql import SparkSession

from batch.mongo import NEW_LISTENERS
from conf.settings import Settings
from streaming import recommend
from streaming.source import topics as kafka_topics

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from harness import fill, made_events, make_model  # noqa: E402

LISTENERS = 20


def with_database_of_its_own(settings: Settings, name: str, small_batch_events: int) -> Settings:
    """The same events and model, to start from nothing."""
    return settings.model_copy(
        update={
            "home": settings.home / name,
            "mongo": settings.mongo.model_copy(update={"database": f"{settings.mongo.database}-{name}"}),
            "stream": settings.stream.model_copy(update={"small_batch_events": small_batch_events}),
        }
    )


def test_its_lists_are_those_that_the_driver_makes(
    spark: SparkSession, settings: Settings, topics: None, mongo_client: MongoClient[dict[str, Any]]
) -> None:
    make_model(Path(settings.models.root))
    values = made_events(300, users=LISTENERS)
    producer = KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers, acks="all", linger_ms=20)
    for key, value in values:
        producer.send(settings.kafka.listening_topic, key=key, value=value)
    producer.flush(60)
    producer.close()

    profiles: dict[str, dict[str, Any]] = {}
    lists: dict[str, dict[str, list[str]]] = {}
    for name, small_batch_events in (("workers", 0), ("driver", 2000)):
        chosen = with_database_of_its_own(settings, name, small_batch_events)
        database = mongo_client[chosen.mongo.database]
        fill(database)
        query = recommend.start(spark, chosen, kafka_topics.ensure(chosen.kafka), until_caught_up=True)
        query.awaitTermination()
        assert [each.numInputRows for each in query.recentProgress] == [len(values)], "read once"
        of_listeners = {"_id": {"$ne": NEW_LISTENERS}}
        profiles[name] = {
            each["_id"]: (each["events_applied"], each["offsets"], each["centres"])
            for each in database.profiles.find(of_listeners)
        }
        lists[name] = {
            each["_id"]: [item["track_id"] for item in each["items"]]
            for each in database.recommendations.find(of_listeners)
        }
    assert len(lists["workers"]) == LISTENERS and all(len(items) == 30 for items in lists["workers"].values())
    assert lists["workers"] == lists["driver"] and profiles["workers"] == profiles["driver"]
