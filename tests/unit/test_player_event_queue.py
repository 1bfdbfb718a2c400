"""Listening events kept and sent in order, over producers that are lists."""

from __future__ import annotations

import base64
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from streaming.events import BadEvent, Event, encode
from ui.events import deletions
from ui.events import event_queue as module
from ui.events.event_queue import DataDeleted, EventQueue, QueueFull
from ui.events.journal import Journal, JournalUnwritable, StoredEvent

PROJECT = Path(__file__).parents[2]


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


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "player" / "waiting.jsonl"


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


def test_what_is_left_at_the_end_is_sent_at_the_next_start(topic: Topic, journal: Path) -> None:
    topic.is_away = True
    first = EventQueue(topic.connect, "listens", file=journal)
    for number in range(3):
        first.publish(listen("ana", str(number)))
    assert first.close(0.1) == 3 and journal.stat().st_mode & 0o077 == 0
    topic.is_away = False
    second = EventQueue(topic.connect, "listens", file=journal)
    second.publish(listen("ana", "3"))
    assert second.flush(2) and topic.tracks == ["0", "1", "2", "3"]
    assert second.close() == 0 and not journal.exists()


def test_what_was_accepted_outlives_a_kill_and_a_cut_line(topic: Topic, journal: Path, caplog: Any) -> None:
    script = """
import os, sys, signal
from datetime import UTC, datetime
from pathlib import Path
from streaming.events import Event
from ui.events.event_queue import EventQueue
def away():
    raise ConnectionError("no broker")
queue = EventQueue(away, "listens", file=Path(sys.argv[1]))
for number in range(3):
    queue.publish(Event(user_id="ana", track_id=str(number), action="play", occurred_at=datetime.now(UTC)))
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run(  # noqa: S603
        [sys.executable, "-P", "-c", script, str(journal)], env={"PYTHONPATH": str(PROJECT)}, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    with journal.open("ab") as file:
        file.write(b'{"id": 4, "key": "YW5h", "val')  # as far as a power cut let it be written
    queue = EventQueue(topic.connect, "listens", file=journal)
    assert queue.flush(2) and topic.tracks == ["0", "1", "2"] and journal.read_bytes() == b""
    queue.close()
    assert "1 lines" in caplog.text and journal.with_suffix(".damaged").read_bytes().startswith(b'{"id": 4')


@pytest.mark.parametrize("line", [b'{"id": [1], "key": "", "value": ""}', b"[" * 100_000, b"\xff\0"])
def test_a_damaged_line_keeps_no_player_from_starting(line: bytes, topic: Topic, journal: Path) -> None:
    journal.parent.mkdir()
    value = base64.b64encode(encode(listen("ana", "1")))
    journal.write_bytes(line + b'\n{"id": 1, "key": "YW5h", "value": "' + value + b'"}\n')
    queue = EventQueue(topic.connect, "listens", file=journal)
    assert queue.flush(2) and topic.tracks == ["1"]
    queue.close()
    assert journal.with_suffix(".damaged").read_bytes() == line + b"\n"


def test_an_event_is_on_the_disk_before_it_is_accepted_and_off_it_once_kafka_has_it(
    topic: Topic, journal: Path
) -> None:
    topic.is_away = True
    queue = EventQueue(topic.connect, "listens", file=journal)
    queue.publish(listen("ana", "0"))
    queue.publish(listen("bob", "1"))
    assert [base64.b64decode(json.loads(line)["key"]) for line in journal.read_text().splitlines()] == [b"ana", b"bob"]
    assert queue.discard("ana") == 1
    assert json.loads(journal.read_text().splitlines()[-1]) == {"done": [1]}
    topic.is_away = False
    assert queue.flush(2) and topic.tracks == ["1"] and journal.read_bytes() == b""
    queue.close()


def test_a_discarded_event_does_not_come_back(topic: Topic, journal: Path) -> None:
    topic.is_away = True
    first = EventQueue(topic.connect, "listens", file=journal)
    first.publish(listen("ana", "0"))
    first.publish(listen("bob", "1"))
    first.discard("ana")
    first.close(0.1)
    topic.is_away = False
    second = EventQueue(topic.connect, "listens", file=journal)
    assert second.flush(2) and topic.tracks == ["1"]
    second.close()


def test_players_of_one_home_have_a_journal_each_and_the_next_one_sends_all(topic: Topic, journal: Path) -> None:
    topic.is_away = True
    queues = [EventQueue(topic.connect, "listens", file=journal) for _ in range(2)]
    for number, queue in enumerate(queues):
        queue.publish(listen("ana", str(number)))
        queue.publish(listen("bob", f"b{number}"))
    assert sorted(file.name for file in journal.parent.glob("*.jsonl")) == ["waiting-2.jsonl", "waiting.jsonl"]
    for queue in queues:
        queue.close(0.1)
    topic.is_away = False
    third = EventQueue(topic.connect, "listens", file=journal)
    assert third.flush(2) and sorted(topic.tracks) == ["0", "1", "b0", "b1"]
    third.close()
    assert not list(journal.parent.glob("*.jsonl"))


def test_events_of_the_previous_version_are_sent(topic: Topic, journal: Path) -> None:
    journal.parent.mkdir()
    value = base64.b64encode(encode(listen("ana", "0"))).decode()
    journal.write_text(json.dumps({"key": base64.b64encode(b"ana").decode(), "value": value}) + "\n")
    queue = EventQueue(topic.connect, "listens", file=journal)
    assert queue.flush(2) and topic.tracks == ["0"]
    queue.close()


def test_an_event_that_cannot_be_written_is_refused_and_the_journal_stays_whole(
    topic: Topic, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic.is_away = True
    queue = EventQueue(topic.connect, "listens", file=journal, capacity=2)
    queue.publish(listen("ana", "0"))
    before, write = journal.read_bytes(), os.write

    def half(descriptor: int, line: bytes) -> int:
        write(descriptor, line[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ui.events.journal.os.write", half)
        with pytest.raises(JournalUnwritable, match="No space left on device"):
            queue.publish(listen("ana", "1"))
    assert journal.read_bytes() == before and queue.state.waiting == 1
    queue.publish(listen("ana", "2"))
    with pytest.raises(QueueFull, match="2 events wait"):
        queue.publish(listen("ana", "3"))
    topic.is_away = False
    assert queue.flush(2) and topic.tracks == ["0", "2"]
    queue.close()


def test_a_long_journal_is_written_again_with_what_waits(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.events.journal.COMPACT_BYTES", 10_000)
    kept = Journal(journal)
    for number in range(1, 201):
        kept.append(StoredEvent(number, b"ana", b"x" * 50))
        if number > 3:
            kept.remove([number])
    assert journal.stat().st_size < 11_000
    kept.append(StoredEvent(201, b"ana", b"last"))
    kept.close()
    again = Journal(journal)
    assert [event.value for event in again.left] == [b"x" * 50] * 3 + [b"last"]
    again.close()


def test_many_threads_share_a_flush_and_all_are_stored(journal: Path) -> None:
    kept = Journal(journal)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: kept.append(StoredEvent(number, b"ana", str(number).encode())), range(1, 101)))
    kept.close()
    again = Journal(journal)
    assert sorted(int(event.value) for event in again.left) == list(range(1, 101))
    again.close()


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


def test_what_a_session_publishes_after_its_listener_was_deleted_is_refused(topic: Topic, journal: Path) -> None:
    queue = EventQueue(topic.connect, "listens", file=journal)
    began = time.time()
    queue.publish(listen("ana", "1"), began)
    assert queue.flush(2)
    queue.discard("ana")
    with pytest.raises(DataDeleted):  # a request that was checked before the deletion
        queue.publish(listen("ana", "2"), began)
    queue.publish(listen("bob", "3"), began)
    queue.publish(listen("ana", "4"), time.time() + 0.001)  # of a new session
    assert queue.flush(2) and topic.tracks == ["1", "3", "4"]
    queue.close()
    assert not journal.exists(), "nothing waits"


def test_discarding_waits_for_what_is_on_its_way_to_kafka(topic: Topic) -> None:
    is_sending, may_arrive = threading.Event(), threading.Event()
    arrived: list[str] = []

    def send(*_: Any, value: bytes, **__: Any) -> Sent:
        is_sending.set()
        may_arrive.wait(10)
        arrived.append(json.loads(value)["track_id"])
        return Sent()

    topic.send = send  # type: ignore[method-assign]
    queue = EventQueue(topic.connect, "listens")
    queue.publish(listen("ana", "0"))
    assert is_sending.wait(10)
    assert queue.discard("bob") == 0 and not arrived, "of nobody else"
    with ThreadPoolExecutor(1) as pool:
        discarding = pool.submit(queue.discard, "ana")
        with pytest.raises(TimeoutError):
            discarding.result(0.1)
        may_arrive.set()
        discarding.result(10)
        assert arrived == ["0"]
    queue.close()


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


def test_events_of_a_listener_whom_another_player_has_deleted_are_not_sent(topic: Topic, journal: Path) -> None:
    began_s = time.time()
    deleted: dict[str, float] = {}
    topic.is_away = True
    queue = EventQueue(topic.connect, "listens", file=journal, deletion_times=lambda users: deleted)
    queue.publish(listen("ana", "of the old session"), began_s - 60)
    queue.publish(listen("bob", "b"), began_s - 60)
    deleted["ana"] = time.time()
    queue.publish(listen("ana", "late, of the old session"), began_s - 60)
    queue.publish(listen("ana", "of a new session"), time.time() + 1)
    topic.is_away = False
    assert queue.flush(5)
    assert sorted(topic.tracks) == ["b", "of a new session"]
    queue.close()
    assert not journal.exists() or not journal.read_bytes()


def test_what_a_journal_has_of_a_listener_who_was_deleted_since_is_not_sent(topic: Topic, journal: Path) -> None:
    topic.is_away = True
    first = EventQueue(topic.connect, "listens", file=journal)
    first.publish(listen("ana", "a"))
    first.publish(listen("bob", "b"))
    first.close(0.1)
    deleted = {"ana": time.time()}
    topic.is_away = False
    second = EventQueue(topic.connect, "listens", file=journal, deletion_times=lambda users: deleted)
    assert second.flush(5)
    second.close()
    assert topic.tracks == ["b"]


def test_deletions_are_looked_up_again_some_seconds_after_mongodb_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Exception | dict[str, datetime]] = [AutoReconnect("away"), {"ana": datetime(2026, 1, 1, tzinfo=UTC)}]

    def times(user_ids: Any, db: Any) -> dict[str, datetime]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(deletions, "deletion_times", times)
    looked_up = deletions.Deletions(None)  # type: ignore[arg-type]
    assert looked_up.times(["ana"]) == looked_up.times(["ana"]) == {} and len(answers) == 1
    monkeypatch.setattr(looked_up, "_asks_after", 0.0)
    assert looked_up.times(["ana"]) == {"ana": datetime(2026, 1, 1, tzinfo=UTC).timestamp()}
