"""Latency from event to list, and the highest rate of events that the stream keeps up with.

    PYTHONPATH=. .venv/bin/python bench/stream.py --home DIR [--rate 50] [--seconds 60] [--lanes both|fast|compare]
        [--checkpoints-on-s3]

Starts MongoDB, Kafka and the queries by itself, all on this machine. The library is generated (bench/generated_library.py) and
kept in DIR for the next run. An event counts as answered when MongoDB's change stream shows a list that has counted it.
With --checkpoints-on-s3 each lane runs twice: with checkpoints on this machine's disk, then on an S3 server (moto) beside it.
That server answers more slowly than a real one, but without a network. With --cluster it measures processor time on one and two
executors of a standalone cluster in its place (bench/stream_cluster.py).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from pymongo import MongoClient

from batch.mongo import NEW_LISTENERS
from bench import stream_cluster
from bench.generated_library import GeneratedLibrary, generated_library, model
from bench.s3_server import S3Server
from conf.settings import PREFIX, PROJECT
from local.processes import Process, cpu_by_program, resident_bytes
from local.services import KafkaServer, MongoServer
from streaming.events import Event, encode

DATABASE = "bench"
PARTITIONS = 2
BUCKET = "bench"
READY_TIMEOUT_S = 120.0
DRAIN_TIMEOUT_S = 60.0
HISTORY_TIMEOUT_S = 600.0
KEEPS_UP_P95_S = 3.0
"""A rate is kept up with where all events are answered and the p95 is no longer."""


@dataclass(frozen=True)
class Measured:
    """One run; latencies in seconds, of the events sent after the warm-up."""

    lanes: str
    tracks: int
    listeners: int
    rate: float
    sent: int
    answered: int
    seconds: float
    p50: float
    p95: float
    p99: float
    worst: float
    behind: int
    memory_gib: float
    batch_ms: dict[str, int]
    cores: dict[str, float]
    """Processor seconds a second, by program; the load itself is among them."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/stream.py", description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--home", type=Path, required=True, help="folder for services, library and results")
    parser.add_argument("--tracks", type=int, default=106_574)
    parser.add_argument("--listeners", type=int, default=5_000)
    parser.add_argument("--rate", type=float, nargs="+", default=[50.0], help="events a second; several run one by one")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--warm-up", type=float, default=30.0)
    parser.add_argument("--history", type=int, default=10, help="events of each listener before the first measurement")
    parser.add_argument("--lanes", choices=["both", "fast", "compare"], default="both")
    parser.add_argument("--checkpoints-on-s3", action="store_true", help="compare checkpoints on disk and on S3")
    parser.add_argument("--cluster", action="store_true", help="processor time on one and two executors, no latencies")
    parser.add_argument("--events", type=int, default=20_000, help="with --cluster: served while it is measured")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is stopped
    results: list[Measured] = []
    with_durable = {"both": [True], "fast": [False], "compare": [False, True]}[options.lanes]
    on_s3 = [False, True] if options.checkpoints_on_s3 else [False]
    bench = Bench(options)
    try:
        if options.cluster:
            stream_cluster.measure(bench)
            return 0
        for durable in with_durable:
            for checkpoints_on_s3 in on_s3:
                results += bench.run(durable, checkpoints_on_s3)
    finally:
        bench.stop()
    show(results)
    out = options.home / "stream.json"
    out.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n")
    print(f"\n{out}")
    return 0


def show(results: list[Measured]) -> None:
    print(
        "\n| lanes | tracks | listeners | events/s | answered | p50 s | p95 s | p99 s | worst s | waiting at the end | GiB |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for r in results:
        print(
            f"| {r.lanes} | {r.tracks:,} | {r.listeners:,} | {r.rate:g} | {r.answered:,} of {r.sent:,} | {r.p50:.2f} | "
            f"{r.p95:.2f} | {r.p99:.2f} | {r.worst:.2f} | {r.behind} | {r.memory_gib:.1f} |"
        )
    kept_up = [r.rate for r in results if r.answered == r.sent and r.p95 <= KEEPS_UP_P95_S]
    if len(results) > 1:
        print(
            f"\nhighest rate that keeps up (p95 of at most {KEEPS_UP_P95_S:g} s): {max(kept_up, default=0):g} events/s"
        )
    print("\nlast micro-batch, ms: " + "; ".join(f"at {r.rate:g}/s {r.batch_ms}" for r in results), flush=True)
    print("cores: " + "; ".join(f"at {r.rate:g}/s {_cores_text(r.cores)}" for r in results), flush=True)


def _cores_text(cores: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.2f}" for name, share in cores.items())


class Clock:
    """Measures processor time by program since its creation."""

    def __init__(self, pids: dict[str, int]) -> None:
        self.pids, self.started, self.before = pids, time.monotonic(), self._used(pids)

    def cores(self) -> dict[str, float]:
        passed, now = time.monotonic() - self.started, self._used(self.pids)
        return {name: (now[name] - self.before.get(name, 0.0)) / passed for name in now}

    @staticmethod
    def _used(pids: dict[str, int]) -> dict[str, float]:
        """Processor seconds by program; of the queries, Java and Python separately."""
        used = {"load": time.process_time()}
        for name, pid in pids.items():
            by_program = cpu_by_program([pid])
            if name == "queries":
                used |= {f"{name}, {program}": by_program.get(program, 0.0) for program in ("java", "python")}
            else:
                used[name] = sum(by_program.values())
        return used


class Bench:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.home = options, options.home.absolute()
        self.made = generated_library(options.tracks)
        self.mongo, self.kafka = MongoServer(self.home), KafkaServer(self.home)
        self.streams = Process("streams", self.home)
        self.s3 = S3Server(self.home)
        started = time.monotonic()
        trained = model(self.home / "models", self.made)
        recall, share = trained.manifest["recall"], trained.manifest["candidate_share"]
        print(
            f"index: recall@20 {recall:.3f} at {share:.1%} candidates [{time.monotonic() - started:.0f} s]", flush=True
        )
        try:
            self.mongo.start()
            self.kafka.start()
            if self.options.checkpoints_on_s3:
                self.s3.start()
                self.s3.wait(BUCKET)
            self.mongo.wait()
            self.kafka.wait()
            self.database: Any = MongoClient(self.mongo.uri, tz_aware=True)[DATABASE]
            self._publish()
        except BaseException:
            self.stop()
            raise

    def _publish(self) -> None:
        if self.database.tracks.estimated_document_count() != len(self.made.ids):
            self.database.tracks.drop()
            self.database.tracks.insert_many(self.made.documents(), ordered=False)
        items = [{"track_id": track, "rank": at + 1} for at, track in enumerate(self.made.ids[:30])]
        document = {"items": items, "generation": 1, "generated_at": datetime.now(UTC), "events_applied": 0}
        self.database.recommendations.replace_one({"_id": NEW_LISTENERS}, document, upsert=True)

    def new_topics(self) -> dict[str, str]:
        """Makes new topics, removes what MongoDB has of listeners; the environment of queries over them."""
        stamp = time.time_ns()
        topics = [f"listens-{stamp}", f"lists-{stamp}"]
        admin = KafkaAdminClient(bootstrap_servers=self.kafka.bootstrap_servers)
        admin.create_topics([NewTopic(name, num_partitions=PARTITIONS, replication_factor=1) for name in topics])
        admin.close()
        for collection in ("profiles", "recommendations", "mixes"):
            self.database[collection].delete_many({"_id": {"$ne": NEW_LISTENERS}})
        return {
            **os.environ,
            f"{PREFIX}STREAM__METRICS_PORT": "0",
            f"{PREFIX}HOME": str(self.home),
            f"{PREFIX}MODELS__ROOT": str(self.home / "models"),
            f"{PREFIX}LAKE__ROOT": str(self.home / f"lake-{stamp}"),
            f"{PREFIX}MONGO__URI": self.mongo.uri,
            f"{PREFIX}MONGO__DATABASE": DATABASE,
            f"{PREFIX}KAFKA__BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            f"{PREFIX}KAFKA__LISTENING_TOPIC": topics[0],
            f"{PREFIX}KAFKA__RECOMMENDATION_TOPIC": topics[1],
        }

    def load(self, topic: str, listener: str = "listener") -> Load:
        """listener : what the names of its listeners begin with"""
        return Load(self.database, self.kafka.bootstrap_servers, topic, self.made, self.options.listeners, listener)

    def run(self, durable: bool, checkpoints_on_s3: bool = False) -> list[Measured]:
        """Starts the queries on new topics and measures each rate in turn."""
        environment = self.new_topics()
        if checkpoints_on_s3:
            location = f"s3a://{BUCKET}/checkpoints-{time.time_ns()}"
            environment |= self.s3.environment | {f"{PREFIX}STREAM__CHECKPOINTS": location}
        ready = self.home / "streams.ready"
        ready.unlink(missing_ok=True)
        job: list[str | Path] = (
            [PROJECT / "local" / "streams.py", ready] if durable else [PROJECT / "streaming" / "recommend.py"]
        )
        self.streams.start([PROJECT / "spark-submit.sh", *job], environment)
        load = self.load(environment[f"{PREFIX}KAFKA__LISTENING_TOPIC"])
        load.start()
        results = []
        try:
            self._wait_for_first(load)
            self._send_history(load)
            for rate in self.options.rate:
                lanes = "fast and durable" if durable else "fast only"
                results.append(self._measure(load, rate, lanes + (", checkpoints on S3" if checkpoints_on_s3 else "")))
                show(results[-1:])
        finally:
            load.stop()
            self.streams.stop()
        return results

    def _wait_for_first(self, load: Load) -> None:
        load.send_one()
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not load.answered:
            self.streams.require_running("starting")
            if time.monotonic() > deadline:
                raise SystemExit(f"no list within {READY_TIMEOUT_S:.0f} s\n{self.streams.tail()}")
            time.sleep(0.05)

    def _send_history(self, load: Load) -> None:
        """Sends `--history` events of each listener, so that profiles have a length, and waits until they are served."""
        events, started, clock = self.options.history * self.options.listeners, time.monotonic(), self._clock()
        for _ in range(events):
            load.send_one()
        while load.waiting and time.monotonic() - started < HISTORY_TIMEOUT_S:
            self.streams.require_running("serving the history")
            time.sleep(0.1)
        if events:
            seconds = time.monotonic() - started
            print(f"{events:,} events before, served in {seconds:.0f} s: {events / seconds:.0f} a second", flush=True)
            print(f"cores: {_cores_text(clock.cores())}", flush=True)

    def values_in_kafka(self, environment: Mapping[str, str]) -> int:
        """The sum of the end offsets of both topics."""
        names = (environment[f"{PREFIX}KAFKA__{name}_TOPIC"] for name in ("LISTENING", "RECOMMENDATION"))
        consumer = KafkaConsumer(bootstrap_servers=self.kafka.bootstrap_servers)
        places = [TopicPartition(name, partition) for name in names for partition in range(PARTITIONS)]
        ends = consumer.end_offsets(places)
        consumer.close()
        return sum(ends.values())

    def _clock(self) -> Clock:
        services = {"MongoDB": self.mongo.process.pid, "Kafka": self.kafka.process.pid}
        return Clock({**services, "queries": self.streams.pid})

    def _measure(self, load: Load, rate: float, lanes: str) -> Measured:
        load.send(rate, self.options.warm_up)
        before = load.sent
        started, clock = time.monotonic(), self._clock()
        load.send(rate, self.options.seconds)
        sent, behind, cores = load.sent - before, load.waiting, clock.cores()
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        while load.waiting and time.monotonic() < deadline:
            self.streams.require_running("serving")
            time.sleep(0.1)
        waits = load.latencies(since=started)
        p50, p95, p99, worst = (float(np.quantile(waits, q)) if waits else float("nan") for q in (0.5, 0.95, 0.99, 1.0))
        memory = resident_bytes([self.mongo.process.pid, self.kafka.process.pid, self.streams.pid]) / 2**30
        return Measured(
            lanes, self.options.tracks, self.options.listeners, rate, sent,
            len(waits), self.options.seconds, p50, p95, p99, worst, behind, memory, self._batch_ms(), cores,
        )  # fmt: skip

    def _batch_ms(self) -> dict[str, int]:
        """The last micro-batch's durations by phase, from Spark."""
        status = self.database.status.find_one({"_id": "recommend"}) or {}
        return dict(status.get("durations_ms", {}))

    def stop(self) -> None:
        for stop in (self.streams.stop, self.kafka.stop, self.mongo.stop, self.s3.stop):
            stop()


class Load:
    """Sends events of listeners, and watches in MongoDB when their lists have counted them."""

    def __init__(
        self, database: Any, servers: str, topic: str, made: GeneratedLibrary, listeners: int, listener: str
    ) -> None:
        self.database, self.topic, self.made = database, topic, made
        self.producer = KafkaProducer(bootstrap_servers=servers, acks=1, linger_ms=5)
        self.users = [f"{listener}-{number}" for number in range(listeners)]
        self.pending: dict[str, deque[tuple[int, float]]] = defaultdict(deque)
        self.counts: dict[str, int] = defaultdict(int)
        self.answered: list[tuple[float, float]] = []
        self.sent = 0
        self.draw = random.Random(11)
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        by_genre: dict[str, list[str]] = defaultdict(list)
        for track, genre in zip(made.ids, made.genres, strict=True):
            by_genre[genre].append(track)
        genres = sorted(by_genre)
        self.likes = {user: [by_genre[genre] for genre in self.draw.sample(genres, 2)] for user in self.users}

    @property
    def waiting(self) -> int:
        with self.lock:
            return sum(map(len, self.pending.values()))

    def start(self) -> None:
        self.stream = self.database.recommendations.watch(
            [{"$project": {"documentKey": 1, "events": "$fullDocument.events_applied"}}], max_await_time_ms=200
        )
        self.watcher.start()

    def stop(self) -> None:
        self.stopping.set()
        self.watcher.join()
        self.producer.close()

    def send(self, rate: float, seconds: float) -> None:
        """Sends `rate` events a second; catches up after a delay."""
        started, n = time.monotonic(), 0
        while (passed := time.monotonic() - started) < seconds:
            while n < passed * rate:
                self.send_one()
                n += 1
            time.sleep(min(0.005, 1 / rate))
        self.producer.flush()

    def send_one(self) -> None:
        user = self.draw.choice(self.users)
        is_liked = self.draw.random() < 0.7
        track = self.draw.choice(self.draw.choice(self.likes[user]) if is_liked else self.made.ids)
        action = self.draw.choice(["play", "complete", "complete", "like"] if is_liked else ["play", "skip", "skip"])
        event = Event(user, track, action, datetime.now(UTC), position_ms=20_000, duration_ms=200_000)
        value = encode(event)
        with self.lock:
            self.counts[user] += 1
            self.pending[user].append((self.counts[user], time.monotonic()))
            self.sent += 1
        self.producer.send(self.topic, key=user.encode(), value=value)

    def latencies(self, since: float) -> list[float]:
        with self.lock:
            return [seconds for sent, seconds in self.answered if sent >= since]

    def _watch(self) -> None:
        while not self.stopping.is_set():
            change = self.stream.try_next()
            if change is None:
                continue
            now = time.monotonic()
            with self.lock:
                pending = self.pending[change["documentKey"]["_id"]]
                while pending and pending[0][0] <= change.get("events", 0):
                    sent = pending.popleft()[1]
                    self.answered.append((sent, now - sent))
        self.stream.close()


if __name__ == "__main__":
    sys.exit(main())
