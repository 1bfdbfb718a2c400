"""Listening events on their way to Kafka, queued while it is unavailable.

`publish` writes the event to the journal (`journal`) and queues it; one thread sends the queue in order and keeps what it
could not send. So no page waits for a broker, and no event that was accepted is lost: what the journal holds when the player
ends, or is killed, is sent at the next start.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from streaming.events import Event, encode
from ui.events.journal import Journal, StoredEvent, occurred_s
from ui.events.producer import DELIVERY_TIMEOUT_S, Producer

log = logging.getLogger(__name__)

MAX_QUEUED_EVENTS = 20_000
"""Some 10 MB."""
MAX_QUEUED_BYTES = 64_000_000
RETRY_INTERVAL_S = 1.0
STUCK_AFTER_S = 3.0
"""An event queued for longer means that Kafka is unavailable, before its delivery has timed out."""
MAX_BATCH_EVENTS = 500
UNUSABLE_PRODUCER_CLOSE_TIMEOUT_S = 0.2
LAST_BATCH_TIMEOUT_S = 0.2
SENDING_TIMEOUT_S = 3.0
"""`discard` waits so long at most for what is on its way to Kafka."""


class QueueFull(BufferError):
    """The queue has no room for another event."""


class DataDeleted(PermissionError):
    """The listener's data were deleted after the session began that sends the event."""

    def __init__(self) -> None:
        super().__init__("Your data have been deleted. Choose who is listening first.")


@dataclass(frozen=True)
class QueueState:
    """connected : whether Kafka takes events, as far as is known;  waiting : events in the queue"""

    connected: bool
    waiting: int


class Record(NamedTuple):
    """A queued event.

    queued_at : monotonic seconds
    since_s : since when its session knows of deletions, seconds since 1970: it does not count after a later one
    """

    key: bytes
    value: bytes
    queued_at: float
    since_s: float


class EventQueue:
    """A queue of listening events that a thread sends to a topic.

    connect : makes a producer, and raises where there is no broker; called in the sending thread, again after a failure
    capacity : events that the queue holds at most
    file : the journal of events that Kafka does not have yet; None: they are lost with the process
    deletion_times : {user id: when their data were deleted, seconds since 1970}, which another player may have done
    Raises JournalUnusable.
    """

    def __init__(
        self,
        connect: Callable[[], Producer],
        topic: str,
        capacity: int = MAX_QUEUED_EVENTS,
        file: Path | None = None,
        deletion_times: Callable[[Collection[str]], Mapping[str, float]] = lambda user_ids: {},
    ) -> None:
        self._connect = connect
        self._deletion_times = deletion_times
        self._topic = topic
        self._capacity = capacity
        self._queue: OrderedDict[int, Record] = OrderedDict()
        self._numbers = itertools.count(1)
        self._bytes_by_number: dict[int, int] = {}  # of queued events, and of those on their way to the journal
        self._total_bytes = 0
        self._keys_being_sent: set[bytes] = set()
        self._discarded_at_by_user: dict[str, float] = {}  # seconds since 1970
        self._connected = True
        self._producer: Producer | None = None
        self._changed = threading.Condition()
        self._closing = False
        self._journal = None if file is None else Journal(file)
        for event in self._journal.left if self._journal else ():
            record = Record(event.key, event.value, time.monotonic(), occurred_s(event.value))
            self._append(self._admit(len(event.value)), record)
        self._thread = threading.Thread(target=self._send_all, name="event-queue", daemon=True)
        self._thread.start()

    @property
    def state(self) -> QueueState:
        with self._changed:
            oldest = next(iter(self._queue.values()), None)
            is_stuck = oldest is not None and time.monotonic() - oldest.queued_at > STUCK_AFTER_S
            return QueueState(connected=self._connected and not is_stuck, waiting=len(self._queue))

    def publish(self, event: Event, session_began_s: float | None = None) -> None:
        """Queues an event; it is on the disk when this returns. Raises BadEvent, QueueFull, JournalUnwritable or DataDeleted.

        session_began_s : when the session began that sends it, seconds since 1970; None: it counts as a new one
        """
        since_s = time.time() if session_began_s is None else session_began_s
        record = Record(event.user_id.encode(), encode(event), time.monotonic(), since_s)
        with self._changed:
            if len(self._bytes_by_number) >= self._capacity or self._total_bytes + len(record.value) > MAX_QUEUED_BYTES:
                raise QueueFull(
                    f"{len(self._bytes_by_number)} events wait for Kafka already; start Kafka and try again"
                )
            number = self._admit(len(record.value))
        try:
            if self._journal is not None:
                self._journal.append(StoredEvent(number, record.key, record.value))
        except OSError:
            with self._changed:
                self._drop(number)
            raise
        with self._changed:
            is_discarded = self.is_discarded(event.user_id, session_began_s)
            if is_discarded:
                self._drop(number)
            else:
                self._append(number, record)
            self._changed.notify_all()
        if is_discarded:
            if self._journal is not None:
                self._journal.remove([number], durable=True)
            raise DataDeleted

    def is_discarded(self, user_id: str, session_began_s: float | None) -> bool:
        """Whether the listener's events were discarded after a session began, see `publish`."""
        discarded_at = self._discarded_at_by_user.get(user_id)
        return discarded_at is not None and session_began_s is not None and session_began_s <= discarded_at

    def discard(self, user_id: str) -> int:
        """Removes a listener's events and returns their number; what is being sent has arrived, or failed, when this returns.

        What requests of the sessions so far are about to publish is refused.
        """
        key = user_id.encode()
        with self._changed:
            self._discarded_at_by_user[user_id] = time.time()
            numbers = [number for number, record in self._queue.items() if record.key == key]
            for number in numbers:
                self._drop(number)
            self._changed.notify_all()
        if self._journal is not None:
            self._journal.remove(numbers, durable=True)
        with self._changed:
            self._changed.wait_for(lambda: key not in self._keys_being_sent, SENDING_TIMEOUT_S)
        return len(numbers)

    def flush(self, timeout_s: float) -> bool:
        """Waits until everything is sent; False where that takes longer than the timeout."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue, timeout_s)

    def close(self, timeout_s: float = 1.0) -> int:
        """Sends what can be sent within the timeout, and returns how many events are left."""
        with self._changed:
            if self._connected:
                self._changed.wait_for(lambda: not self._queue or not self._connected, timeout_s)
            self._closing = True
            self._changed.notify_all()
            unsent = len(self._queue)
        if unsent and self._journal is not None:
            log.warning("Kafka is unavailable: %d listening events wait in %s", unsent, self._journal.file)
        elif unsent:
            log.warning("Kafka is unavailable: %d listening events are lost", unsent)
        if self._journal is not None:
            self._thread.join(LAST_BATCH_TIMEOUT_S)
            self._journal.close()
        return unsent

    def _admit(self, size: int) -> int:
        """A number for an event of so many bytes, which counts from now on."""
        number = next(self._numbers)
        self._bytes_by_number[number] = size
        self._total_bytes += size
        return number

    def _append(self, number: int, record: Record) -> None:
        self._queue[number] = record

    def _drop(self, number: int) -> None:
        self._queue.pop(number, None)
        self._total_bytes -= self._bytes_by_number.pop(number, 0)

    def _send_all(self) -> None:
        while (batch := self._next_batch()) is not None:
            try:
                self._drop_deleted(batch)
                if self._producer is None:
                    self._producer = self._connect()
                delivered = self._deliver(self._producer, batch)
                failure = None
            except Exception as error:  # noqa: BLE001 - whatever the client library raises, the events are sent again
                delivered, failure = [], error
            self._settle(delivered, failure)
            if failure is not None:
                self._close_producer()
                time.sleep(RETRY_INTERVAL_S)
        self._close_producer()

    def _next_batch(self) -> dict[int, Record] | None:
        """The first queued event of each listener, by number; None after `close`.

        Only one of a listener is in flight: were the first of two to fail, the second would overtake it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            if self._closing:
                return None
            first_number_by_key: dict[bytes, int] = {}
            for number, record in self._queue.items():
                first_number_by_key.setdefault(record.key, number)
                if len(first_number_by_key) >= MAX_BATCH_EVENTS:
                    break
            return {number: self._queue[number] for number in first_number_by_key.values()}

    def _drop_deleted(self, batch: dict[int, Record]) -> None:
        """Removes the events of listeners whose data were deleted since; another player may have done that."""
        deleted_at = self._deletion_times({record.key.decode() for record in batch.values()})
        numbers = [
            number
            for number, record in batch.items()
            if (at := deleted_at.get(record.key.decode())) is not None and record.since_s <= at
        ]
        with self._changed:
            for number in numbers:
                self._drop(number)
                del batch[number]
        if self._journal is not None:
            self._journal.remove(numbers, durable=True)

    def _deliver(self, producer: Producer, batch: dict[int, Record]) -> list[int]:
        """Numbers of the records that Kafka has acknowledged. Raises the last failure where there is none."""
        with self._changed:
            batch = {number: record for number, record in batch.items() if number in self._queue}
            self._keys_being_sent = {record.key for record in batch.values()}
        futures = {}
        for number, record in batch.items():
            timestamp_ms = time.time_ns() // 1_000_000
            futures[number] = producer.send(self._topic, value=record.value, key=record.key, timestamp_ms=timestamp_ms)
        producer.flush(timeout=DELIVERY_TIMEOUT_S)
        delivered, failure = [], None
        for number, future in futures.items():
            try:
                future.get(timeout=0.1)
                delivered.append(number)
            except Exception as error:  # noqa: BLE001 - whatever it is, the event stays in the queue
                failure = error
        if failure is not None and not delivered:
            raise failure
        return delivered

    def _settle(self, delivered: list[int], failure: Exception | None) -> None:
        if self._journal is not None:
            try:
                self._journal.remove(delivered)
            except OSError as error:  # they are sent again after a restart, and known by their ids
                log.warning("%s cannot be written: %s", self._journal.file, error)
        with self._changed:
            for number in delivered:
                self._drop(number)
            if failure is not None and self._connected:
                log.warning("Kafka is unavailable, events are queued: %s", failure)
            if failure is None and not self._connected:
                log.warning("Kafka is available again")
            self._connected = failure is None
            self._keys_being_sent = set()
            self._changed.notify_all()

    def _close_producer(self) -> None:
        if self._producer is not None:
            try:
                self._producer.close(timeout=UNUSABLE_PRODUCER_CLOSE_TIMEOUT_S)
            except Exception as error:  # noqa: BLE001 - whatever it is, the producer is not used again
                log.debug("closing the producer: %s", error)
            self._producer = None
