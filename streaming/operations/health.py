"""Whether the jobs of this process live, and whether they are ready to serve: what `/healthz` and `/readyz` answer.

A job (a query, the feed, the catalogue) gives a sign with each micro-batch or look that it has finished, and while it waits for a
service that is away: one that waits is not stuck. Does not import pyspark, without which feed, catalogue and player start.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client.core import GaugeMetricFamily, Metric
from pymongo import timeout
from pymongo.errors import PyMongoError

if TYPE_CHECKING:
    from pymongo.database import Database

    from conf.kafka import Kafka

MONGO_TIMEOUT_S = 2.0
KAFKA_TIMEOUT_S = 2.0
"""For all brokers together."""
REMEMBERED_S = 2.0
"""An answer of `Remembered` is given again for so long: whoever asks often does not cost the services more."""


class Health:
    """The signs of this process's jobs; thread-safe. A collector of `prometheus_client`.

    clock : monotonic seconds
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._signed_at: dict[str, float] = {}
        self._ready: set[str] = set()

    def begins(self, name: str) -> None:
        """A job begins, or begins again: it has not served anything yet."""
        self._sign(name, is_ready=False)

    def waits(self, name: str) -> None:
        """A job waits for a service that is away, or for its next start after a failure."""
        self._sign(name, is_ready=False)

    def works(self, name: str) -> None:
        """A job has finished a micro-batch, or has looked and found nothing to do."""
        self._sign(name, is_ready=True)

    def stuck(self, after_s: float) -> list[str]:
        """A line for each job whose last sign is more than so many seconds old."""
        return [
            f"{name}: no sign for {silent_s:.0f} s" for name, silent_s in self._silent_s().items() if silent_s > after_s
        ]

    def unready(self) -> list[str]:
        """A line for each job that serves nothing yet; one where none has begun."""
        with self._lock:
            names = sorted(set(self._signed_at) - self._ready)
            has_begun = bool(self._signed_at)
        return [f"{name}: not ready" for name in names] if has_begun else ["nothing has begun"]

    def collect(self) -> Iterator[Metric]:
        """For Prometheus: the age of each job's last sign."""
        gauge = GaugeMetricFamily(
            "overtone_seconds_since_sign",
            "Since the job finished a micro-batch or a look, or began to wait.",
            labels=["query"],
        )
        for name, silent_s in self._silent_s().items():
            gauge.add_metric([name], silent_s)
        if gauge.samples:
            yield gauge

    def _sign(self, name: str, is_ready: bool) -> None:
        with self._lock:
            self._signed_at[name] = self._clock()
            (self._ready.add if is_ready else self._ready.discard)(name)

    def _silent_s(self) -> dict[str, float]:
        with self._lock:
            return {name: max(0.0, self._clock() - at) for name, at in sorted(self._signed_at.items())}


DRIVER_HEALTH = Health()


class Remembered:
    """The result of a function, which is called by one thread at a time and not again within REMEMBERED_S.

    While it is called, other threads have the last result: who asks often costs no more threads than who asks seldom.
    clock : monotonic seconds
    """

    def __init__(self, ask: Callable[[], list[str]], clock: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._clock = ask, clock
        self._asking = threading.Lock()
        self._asked_at = 0.0
        self._answer: list[str] | None = None

    def __call__(self) -> list[str]:
        if not self._asking.acquire(blocking=self._answer is None):
            return list(self._answer or ())
        try:
            if self._answer is None or self._clock() - self._asked_at >= REMEMBERED_S:
                self._answer = self._ask()
                self._asked_at = self._clock()
            return list(self._answer)
        finally:
            self._asking.release()


def mongo_problems(database: Database[dict[str, Any]]) -> list[str]:
    """A line where MongoDB does not answer within MONGO_TIMEOUT_S; without its address, which is nobody else's business."""
    try:
        with timeout(MONGO_TIMEOUT_S):
            database.command("ping")
    except PyMongoError as error:
        return [f"MongoDB does not answer ({type(error).__name__})"]
    return []


def kafka_problems(kafka: Kafka) -> list[str]:
    """A line where no broker takes a connection within KAFKA_TIMEOUT_S. It does not log in: the jobs' messages tell of that."""
    servers = kafka.bootstrap_servers.split(",")
    for server in servers:
        host, _, port = server.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=KAFKA_TIMEOUT_S / len(servers)).close()
            return []
        except OSError:
            continue
    return ["Kafka does not answer"]
