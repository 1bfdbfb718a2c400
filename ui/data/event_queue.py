"""Listening events on their way to Kafka.

`publish` only keeps the event; one thread sends what is kept, in order, and keeps what could not be sent. So a page
never waits for a broker, and while none answers nothing is lost as long as the player's memory holds. What is left at the
end is written to a file, and sent at the next start.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from conf.settings import Kafka
from streaming.events import Event, encode

log = logging.getLogger(__name__)

KEPT = 20_000
"""Events kept while Kafka is away, some 10 MB."""
RETRY_S = 1.0
SLOW_S = 3.0
"""An event that waits longer says that Kafka is away, before its delivery has timed out."""
DELIVERY_S = 10.0
AT_ONCE = 500


class QueueFull(BufferError):
    """So many events wait for Kafka that no further one can be kept."""


class Producer(Protocol):
    """The part of kafka.KafkaProducer that is used here."""

    def send(self, topic: str, value: bytes, key: bytes, timestamp_ms: int) -> Any: ...
    def flush(self, timeout: float | None = None) -> Any: ...
    def close(self, timeout: float | None = None) -> Any: ...


@dataclass(frozen=True)
class QueueState:
    """Whether Kafka takes events, as far as is known, and how many wait to be sent."""

    connected: bool
    waiting: int


def producer(kafka: Kafka) -> Producer:
    """A connected producer. Raises KafkaError where no broker answers within seconds."""
    from kafka import KafkaProducer

    made: Producer = KafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers.split(","),
        client_id="overtone-player",
        acks="all",
        enable_idempotence=True,
        allow_auto_create_topics=False,
        bootstrap_timeout_ms=3000,
        max_block_ms=3000,
        request_timeout_ms=5000,
        delivery_timeout_ms=int(DELIVERY_S * 1000),
        reconnect_backoff_max_ms=1000,
    )
    return made


Record = tuple[bytes, bytes, float]
"""Key, value, and when it was taken (monotonic seconds)."""


class EventQueue:
    """A queue of listening events that empties itself into a topic.

    connect : makes a producer, and raises where there is no broker; called in the sending thread, again after a failure
    kept : events that are kept while Kafka is away; more memory, a longer absence
    file : where those that are left at the end wait for the next start; None: nowhere, they are lost
    """

    def __init__(self, connect: Callable[[], Producer], topic: str, kept: int = KEPT, file: Path | None = None) -> None:
        self._connect = connect
        self._topic = topic
        self._kept = kept
        self._waiting: OrderedDict[int, Record] = OrderedDict()
        self._number = 0
        self._connected = True
        self._producer: Producer | None = None
        self._changed = threading.Condition()
        self._closing = False
        self._file = file
        for key, value in _read(file):
            self._number += 1
            self._waiting[self._number] = (key, value, time.monotonic())
        self._thread = threading.Thread(target=self._send_all, name="listens", daemon=True)
        self._thread.start()

    @property
    def state(self) -> QueueState:
        with self._changed:
            oldest = next(iter(self._waiting.values()), None)
            is_stuck = oldest is not None and time.monotonic() - oldest[2] > SLOW_S
            return QueueState(connected=self._connected and not is_stuck, waiting=len(self._waiting))

    def publish(self, event: Event) -> None:
        """Takes an event for sending and returns at once. Raises BadEvent or QueueFull."""
        record = (event.user_id.encode(), encode(event), time.monotonic())
        with self._changed:
            if len(self._waiting) >= self._kept:
                raise QueueFull(f"{self._kept} events wait for Kafka already; start Kafka and try again")
            self._number += 1
            self._waiting[self._number] = record
            self._changed.notify_all()

    def drop(self, user_id: str) -> int:
        """Forgets a listener's events that wait; returns how many. None of them is sent with a later time than now."""
        key = user_id.encode()
        with self._changed:
            theirs = [number for number, record in self._waiting.items() if record[0] == key]
            for number in theirs:
                del self._waiting[number]
            self._changed.notify_all()
        return len(theirs)

    def flush(self, timeout_s: float) -> bool:
        """Waits until everything is sent; False where that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, timeout_s)

    def close(self, timeout_s: float = 1.0) -> int:
        """Sends what can still be sent in that time, and returns how many events are left."""
        with self._changed:
            if self._connected:
                self._changed.wait_for(lambda: not self._waiting or not self._connected, timeout_s)
            self._closing = True
            self._changed.notify_all()
            left = list(self._waiting.values())
        if _write(self._file, left):
            log.warning("%d listening events wait in %s: Kafka was away until the end", len(left), self._file)
        elif left:
            log.warning("%d listening events are lost: Kafka was away until the end", len(left))
        return len(left)

    def _send_all(self) -> None:
        while (records := self._next()) is not None:
            try:
                if self._producer is None:
                    self._producer = self._connect()
                sent = self._deliver(self._producer, records)
                failure = None
            except Exception as error:  # noqa: BLE001 - whatever a client library raises, the events stay and are tried again
                sent, failure = [], error
            self._settle(sent, failure)
            if failure is not None:
                self._let_go()
                time.sleep(RETRY_S)
        self._let_go()

    def _next(self) -> dict[int, Record] | None:
        """The first waiting event of each listener; None at the end.

        Only one of a listener is under way at a time: were the first of two to fail, the second would overtake it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            if self._closing:
                return None
            first: dict[bytes, int] = {}
            for number, (key, _, _) in self._waiting.items():
                first.setdefault(key, number)
                if len(first) >= AT_ONCE:
                    break
            return {number: self._waiting[number] for number in first.values()}

    def _deliver(self, to: Producer, records: dict[int, Record]) -> list[int]:
        """Numbers of the records that Kafka has acknowledged. Raises the first failure where there is none."""
        futures = {}
        for number, (key, value, _) in records.items():
            now = (
                time.time_ns() // 1_000_000
            )  # before the look at what waits: what is dropped after that is older than its drop
            if number in self._waiting:
                futures[number] = to.send(self._topic, value=value, key=key, timestamp_ms=now)
        to.flush(timeout=DELIVERY_S)
        sent, failure = [], None
        for number, future in futures.items():
            try:
                future.get(timeout=0.1)
                sent.append(number)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is kept and said
                failure = error
        if failure is not None and not sent:
            raise failure
        return sent

    def _settle(self, sent: list[int], failure: Exception | None) -> None:
        with self._changed:
            for number in sent:
                self._waiting.pop(number, None)
            if failure is not None and self._connected:
                log.warning("Kafka is away, events are kept: %s", failure)
            if failure is None and not self._connected:
                log.warning("Kafka is back")
            self._connected = failure is None
            self._changed.notify_all()

    def _let_go(self) -> None:
        if self._producer is not None:
            try:
                self._producer.close(timeout=0.2)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is kept and said
                log.debug("closing the producer: %s", error)
            self._producer = None


def _read(file: Path | None) -> list[tuple[bytes, bytes]]:
    """Keys and values that an earlier run has left. The file goes with them: a second start must not send them again."""
    if file is None or not file.exists():
        return []
    try:
        kept = [json.loads(line) for line in file.read_text().splitlines() if line]
        records = [(base64.b64decode(each["key"]), base64.b64decode(each["value"])) for each in kept]
        file.unlink()
        return records
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s holds events of an earlier run that cannot be read: %s", file, error)
        return []


def _write(file: Path | None, left: list[Record]) -> bool:
    """Whether the records are in the file now. One that arrived after all is sent again; the stream knows its event id."""
    if file is None or not left:
        return False
    lines = [
        json.dumps({"key": base64.b64encode(key).decode(), "value": base64.b64encode(value).decode()})
        for key, value, _ in left
    ]
    part = file.with_suffix(".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write("\n".join(lines) + "\n")
        part.replace(file)
    except OSError as error:
        log.warning("%s cannot be written: %s", file, error)
        return False
    return True
