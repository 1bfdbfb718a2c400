"""Listening events kept and sent in order, over producers that are lists."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from streaming.events import BadEvent, Event
from ui.data import event_queue as module
from ui.data.event_queue import EventQueue, QueueFull


class Sent:
    """A future that has come."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def get(self, timeout: float) -> None:
        if self.error is not None:
            raise self.error


class Topic:
    """A broker that is a list, and can be away."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes, dict[str, Any]]] = []
        self.is_away = False
        self.lost: set[str] = set()

    def connect(self) -> Topic:
        if self.is_away:
            raise ConnectionError("no broker")
        return self

    def send(self, topic: str, value: bytes, key: bytes, timestamp_ms: int) -> Sent:
        event = json.loads(value)
        if self.is_away or event["track_id"] in self.lost:
            self.lost.discard(event["track_id"])
            return Sent(ConnectionError("broker left"))
        self.records.append((key, event))
        return Sent()

    def flush(self, timeout: float | None = None) -> None: ...

    def close(self, timeout: float | None = None) -> None: ...

    @property
    def tracks(self) -> list[str]:
        return [event["track_id"] for _, event in self.records]


def listen(user: str, track: str) -> Event:
    return Event(user_id=user, track_id=track, action="play", occurred_at=datetime.now(UTC))


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    monkeypatch.setattr(module, "RETRY_INTERVAL_S", 0.05)
    return Topic()


@pytest.fixture
def queue(topic: Topic) -> Iterator[EventQueue]:
    made = EventQueue(topic.connect, "listens", capacity=100)
    yield made
    made.close(0.1)


def test_events_are_keyed_by_listener_and_keep_their_order(queue: EventQueue, topic: Topic) -> None:
    for number in range(20):
        queue.publish(listen("ana", str(number)))
    assert queue.flush(2)
    assert topic.tracks == [str(number) for number in range(20)]
    assert {key for key, _ in topic.records} == {b"ana"}


def test_events_are_kept_while_kafka_is_away_and_sent_later_in_order(queue: EventQueue, topic: Topic) -> None:
    topic.is_away = True
    for number in range(5):
        queue.publish(listen("ana", str(number)))
    assert not queue.flush(0.2)
    assert (queue.state.connected, queue.state.waiting) == (False, 5)
    topic.is_away = False
    assert queue.flush(2)
    assert topic.tracks == ["0", "1", "2", "3", "4"]
    assert queue.state.connected


def test_a_later_event_never_overtakes_a_failed_one_of_the_same_listener(queue: EventQueue, topic: Topic) -> None:
    topic.lost = {"1"}
    for number in range(4):
        queue.publish(listen("ana", str(number)))
        queue.publish(listen("bob", f"b{number}"))
    assert queue.flush(2)
    assert [track for track in topic.tracks if not track.startswith("b")] == ["0", "1", "2", "3"]
    assert [track for track in topic.tracks if track.startswith("b")] == ["b0", "b1", "b2", "b3"]


def test_what_cannot_be_kept_is_refused_not_forgotten(topic: Topic) -> None:
    topic.is_away = True
    queue = EventQueue(topic.connect, "listens", capacity=2)
    queue.publish(listen("ana", "0"))
    queue.publish(listen("ana", "1"))
    with pytest.raises(QueueFull, match="2 events wait"):
        queue.publish(listen("ana", "2"))
    assert queue.close(0.1) == 2


def test_what_is_left_at_the_end_is_sent_at_the_next_start(topic: Topic, tmp_path: Path) -> None:
    file = tmp_path / "player" / "waiting.jsonl"
    topic.is_away = True
    first = EventQueue(topic.connect, "listens", file=file)
    for number in range(3):
        first.publish(listen("ana", str(number)))
    assert first.close(0.1) == 3 and file.stat().st_mode & 0o077 == 0
    topic.is_away = False
    second = EventQueue(topic.connect, "listens", file=file)
    second.publish(listen("ana", "3"))
    assert second.flush(2) and topic.tracks == ["0", "1", "2", "3"]
    assert second.close() == 0 and not file.exists()


def test_a_damaged_file_of_an_earlier_run_is_said_and_kept(topic: Topic, tmp_path: Path, caplog: Any) -> None:
    file = tmp_path / "waiting.jsonl"
    file.write_text("no JSON\n")
    EventQueue(topic.connect, "listens", file=file).close()
    assert "cannot be read" in caplog.text and file.read_text() == "no JSON\n"


def test_a_bad_event_is_refused_at_once(queue: EventQueue) -> None:
    with pytest.raises(BadEvent, match="unknown action"):
        queue.publish(Event(user_id="ana", track_id="a", action="buy", occurred_at=datetime.now(UTC)))
    assert queue.state.waiting == 0


def test_a_listener_who_is_deleted_has_no_events_waiting(queue: EventQueue, topic: Topic) -> None:
    topic.is_away = True
    for number in range(3):
        queue.publish(listen("ana", str(number)))
        queue.publish(listen("bob", f"b{number}"))
    assert (queue.discard("ana"), queue.discard("nobody")) == (3, 0)
    topic.is_away = False
    assert queue.flush(2)
    assert topic.tracks == ["b0", "b1", "b2"]


def test_publishing_does_not_wait_for_a_slow_broker(topic: Topic) -> None:
    released = threading.Event()

    def connect() -> Topic:
        released.wait(5)
        return topic

    queue = EventQueue(connect, "listens")
    started = time.monotonic()
    queue.publish(listen("ana", "0"))
    assert time.monotonic() - started < 0.2
    released.set()
    assert queue.flush(2)
    queue.close()
