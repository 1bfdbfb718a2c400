"""Simulated listeners: each likes one or two genres, hears a track of its list every few seconds, and skips the rest.

    python -m local.simulated_listeners --listeners N

Their ids start with `simulated-`, so that they are not mistaken for people.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from datetime import UTC, datetime
from typing import Any

from batch import mongo
from conf.settings import Settings, settings
from streaming.events import Event, encode

PAUSE_S = 4.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="local.simulated_listeners", description="Simulated listeners.")
    parser.add_argument("--listeners", type=int, default=5)
    options = parser.parse_args()
    try:
        run(settings(), options.listeners)
    except KeyboardInterrupt:
        pass
    return 0


def run(settings: Settings, listeners: int) -> None:
    """Listens until it is stopped."""
    from kafka import KafkaProducer

    with mongo.client(settings.mongo) as client:
        database = client[settings.mongo.database]
        genre_of = {track["_id"]: track.get("genre") or "" for track in database.tracks.find({}, {"genre": 1})}
        genres = sorted(set(genre_of.values()))
        rng = random.Random(7)
        likes = {f"simulated-{n}": set(rng.sample(genres, min(2, len(genres)))) for n in range(1, listeners + 1)}
        producer = KafkaProducer(**settings.kafka.client_options())
        while True:
            for user_id, liked in likes.items():
                for event in _one_track(database, user_id, liked, genre_of, rng):
                    producer.send(settings.kafka.listening_topic, key=user_id.encode(), value=encode(event))
                time.sleep(PAUSE_S / max(1, listeners))


def _one_track(
    database: Any, user_id: str, liked: set[str], genre_of: dict[str, str], rng: random.Random
) -> list[Event]:
    recommendations = database.recommendations.find_one({"_id": user_id}) or database.recommendations.find_one(
        {"_id": mongo.NEW_LISTENERS}
    )
    listed_tracks = [
        item["track_id"] for item in (recommendations or {}).get("items", []) if item["track_id"] in genre_of
    ]
    track = rng.choice(listed_tracks[:10] or sorted(genre_of))
    now = datetime.now(UTC)
    play = Event(user_id, track, "play", now, source="simulated")
    if genre_of[track] in liked:
        return [
            play,
            Event(user_id, track, "complete", now, position_ms=30_000, duration_ms=30_000, source="simulated"),
        ]
    return [play, Event(user_id, track, "skip", now, position_ms=3000, duration_ms=30_000, source="simulated")]


if __name__ == "__main__":
    sys.exit(main())
