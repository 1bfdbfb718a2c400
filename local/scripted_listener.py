"""A scripted listener for `demo.sh --once`: plays, likes and skips a few tracks through Kafka, and waits for each new list."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from batch import mongo
from conf.settings import Settings
from local.processes import StepFailed
from streaming.events import Event, encode

EVENTS = 12
LIST_TIMEOUT_S = 60.0
ITEMS_SHOWN = 10


def listen(settings: Settings, user_id: str, say: Callable[[str], None], started: float) -> None:
    """Sends events, one a second, each answered by a new list; prints the last list with titles and reasons.

    started : of the demo, by time.monotonic(), to say when the first personal list was there
    Raises StepFailed where a list does not come.
    """
    from kafka import KafkaProducer

    with mongo.client(settings.mongo) as client:
        database = client[settings.mongo.database]
        producer = KafkaProducer(**settings.kafka.client_options(), acks="all")
        before = (database.recommendations.find_one({"_id": user_id}) or {}).get("events_applied", 0)
        waits: list[float] = []
        for number, event in enumerate(_plan(database, user_id), start=1):
            sent = time.monotonic()
            producer.send(settings.kafka.listening_topic, key=user_id.encode(), value=encode(event)).get(timeout=30)
            _wait_for(database, user_id, before + number)
            waits.append(time.monotonic() - sent)
            if number == 1:
                say(f"first personal list {time.monotonic() - started:.1f} s after the start of the demo")
            time.sleep(max(0.0, 1.0 - waits[-1]))
        producer.close()
        waits.sort()
        p50, p95 = [waits[min(len(waits) - 1, int(share * len(waits)))] for share in (0.5, 0.95)]
        say(f"event → list in MongoDB, {len(waits)} events, one a second: p50 {p50:.2f} s, p95 {p95:.2f} s")
        _show(database, user_id)


def _plan(database: Any, user_id: str) -> list[Event]:
    """Plays and likes of one genre, skips of others, so that the list has a taste to follow."""
    heads = list(database.tracks.find({}, {"genre": 1}).sort("_id", 1))
    if not heads:
        raise StepFailed("MongoDB has no tracks; publish did not finish")
    genres = sorted({head.get("genre") or "" for head in heads})
    counts = {genre: sum((head.get("genre") or "") == genre for head in heads) for genre in genres}
    favourite = max(genres, key=lambda genre: (counts[genre], genre))
    liked = [head["_id"] for head in heads if (head.get("genre") or "") == favourite][:4]
    others = [head["_id"] for head in heads if (head.get("genre") or "") != favourite] or liked
    steps: list[tuple[str, str]] = []
    for number in range(EVENTS // 4):
        track, other = liked[number % len(liked)], others[(number * 7) % len(others)]
        steps += [("play", track), ("like", track), ("play", other), ("skip", other)]
    return [
        Event(user_id, track, action, datetime.now(UTC), position_ms=4000, duration_ms=30_000, source="demo")
        for action, track in steps
    ]


def _wait_for(database: Any, user_id: str, events: int) -> None:
    deadline = time.monotonic() + LIST_TIMEOUT_S
    while True:
        document = database.recommendations.find_one({"_id": user_id}, {"events_applied": 1}) or {}
        if document.get("events_applied", 0) >= events:
            return
        if time.monotonic() > deadline:
            raise StepFailed(
                f"stream: no list with {events} events within {LIST_TIMEOUT_S:.0f} s (last had "
                f"{document.get('events_applied', 0)}); see logs/streams.log in the home"
            )
        time.sleep(0.01)


def _show(database: Any, user_id: str) -> None:
    document = database.recommendations.find_one({"_id": user_id})
    ids = [item["track_id"] for item in document["items"]]
    tracks = {
        track["_id"]: track
        for track in database.tracks.find({"_id": {"$in": ids}}, {"features": 0, "embedding": 0, "similar": 0})
    }
    print(f"\nThe list of {user_id} after {document['events_applied']} events (generation {document['generation']}):\n")
    for item in document["items"][:ITEMS_SHOWN]:
        track = tracks.get(item["track_id"], {})
        name = f"{track.get('title', item['track_id'])} – {track.get('artist') or 'unknown artist'}"
        genre = track.get("genre") or "no genre"
        genre += ", predicted" if track.get("genre_predicted") else ""
        print(f"  {item['rank']:2}. {name} [{genre}]\n      {item['reason']}")
    print(flush=True)
