"""A Kafka broker and a MongoDB that demand TLS, a name and a password."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr
from pymongo import MongoClient
from pyspark.sql import SparkSession

from batch import mongo as mongodb
from conf.kafka import PASSWORD_VARIABLE, Kafka
from conf.settings import Mongo, SettingsError
from conf.settings import settings as read_settings
from local.doctor.kafka import kafka as doctor_of_kafka
from local.doctor.mongodb import mongodb as doctor_of_mongodb
from local.processes import StepFailed, free_port
from local.services import KafkaServer, MongoServer, _mongod
from streaming.serving.clients import producer_of
from streaming.source import topics
from streaming.source.kafka_source import KAFKA_OPTIONS

NAME, PASSWORD = "overtone", "w0rd-of-1"


class Certificates:
    """An authority, and a certificate of 127.0.0.1 that it has signed, in PEM files.  pair : key and certificate in one"""

    def __init__(self, folder: Path) -> None:
        self.authority, self.pair = folder / "authority.pem", folder / "pair.pem"
        now = datetime.now(UTC)
        keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
        names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in ("authority", "127.0.0.1")]
        certificates = []
        for is_server in (False, True):
            builder = (
                x509.CertificateBuilder()
                .subject_name(names[is_server])
                .issuer_name(names[0])
                .public_key(keys[is_server].public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(now - timedelta(hours=1))
                .not_valid_after(now + timedelta(days=1))
                .add_extension(x509.BasicConstraints(ca=not is_server, path_length=None), critical=True)
            )
            if is_server:
                place = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
                builder = builder.add_extension(place, critical=False)
            certificates.append(builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        key = keys[1].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.authority.write_bytes(certificates[0])
        self.pair.write_bytes(key + certificates[1])


class SecureKafka(KafkaServer):
    """A broker whose clients speak TLS and prove a password; the controller is for itself."""

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        super().__init__(folder)
        self.certificates = certificates

    def _properties(self, controller_port: int) -> str:
        kept = [
            line
            for line in super()._properties(controller_port).splitlines()
            if not line.startswith(("listeners=", "advertised.listeners=", "listener.security.protocol.map="))
        ]
        inside = f"INSIDE://127.0.0.1:{free_port()}"
        return "\n".join(
            [
                *kept,
                f"listeners=SASL_SSL://127.0.0.1:{self.port},{inside},CONTROLLER://127.0.0.1:{controller_port}",
                f"advertised.listeners=SASL_SSL://127.0.0.1:{self.port},{inside}",
                "listener.security.protocol.map=SASL_SSL:SASL_SSL,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
                "inter.broker.listener.name=INSIDE",
                "sasl.enabled.mechanisms=SCRAM-SHA-512",
                "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config="
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
                "ssl.keystore.type=PEM",
                f"ssl.keystore.location={self.certificates.pair}",
                "",
            ]
        )

    def _format(self, properties: Path) -> None:
        tool = [*self._java(), "kafka.tools.StorageTool"]
        cluster = subprocess.run([*tool, "random-uuid"], capture_output=True, text=True, check=True).stdout.strip()
        user = f"SCRAM-SHA-512=[name={NAME},password={PASSWORD}]"
        command = [*tool, "format", "-t", cluster, "-c", properties.name, "--add-scram", user]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout

    def wait(self) -> KafkaServer:
        for _ in range(30):
            try:
                topics.ensure(kafka_settings(self))
                return self
            except topics.KafkaAway:
                self.process.require_running("starting")
        raise StepFailed(self.process.tail(40))


def kafka_settings(server: SecureKafka, **fields: Any) -> Kafka:
    values: dict[str, Any] = {
        "bootstrap_servers": server.bootstrap_servers,
        "listening_topic": "listens",
        "recommendation_topic": "lists",
        "features_topic": "features",
        "partitions": 1,
        "security_protocol": "SASL_SSL",
        "username": NAME,
        "password": PASSWORD,
        "ca_file": str(server.certificates.authority),
    }
    return Kafka(**(values | fields))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secure_kafka(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[SecureKafka]:
    server = SecureKafka(tmp_path_factory.mktemp("secure"), certificates)
    server.start()
    try:
        server.wait()
        yield server
    finally:
        server.stop()


def test_values_go_to_a_broker_that_demands_tls_and_a_password(secure_kafka: SecureKafka, spark: SparkSession) -> None:
    kafka = kafka_settings(secure_kafka)
    producer = producer_of(kafka)
    producer.send(kafka.listening_topic, key=b"ana", value=b"heard").get(30)
    producer.close()
    values = (
        spark.read.format("kafka")
        .option("subscribe", kafka.listening_topic)
        .options(**KAFKA_OPTIONS, **kafka.spark_options())
    ).load()
    assert [(bytes(row.key), bytes(row.value)) for row in values.select("key", "value").collect()] == [
        (b"ana", b"heard")
    ]
    assert PASSWORD not in values._jdf.queryExecution().toString()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"password": "other"}, "refuses the name or the password"),
        ({"username": "somebody"}, "refuses the name or the password"),
        ({"ca_file": ""}, "its certificate is not signed by an authority of kafka.ca_file"),
        ({"security_protocol": "PLAINTEXT"}, "does not answer"),
    ],
)
def test_what_a_broker_refuses_is_told(secure_kafka: SecureKafka, fields: dict[str, str], reason: str) -> None:
    with pytest.raises(topics.KafkaAway, match=reason) as error:
        topics.ensure(kafka_settings(secure_kafka, **fields))
    assert PASSWORD not in str(error.value) and "other" not in str(error.value)


def test_the_doctor_names_what_a_broker_refuses(secure_kafka: SecureKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "other")
    chosen = read_settings(kafka=kafka_settings(secure_kafka, password="other").model_dump())
    (finding,) = doctor_of_kafka(chosen)
    assert "refuses the name or the password" in finding.what and "other" not in str(finding)
    assert list(doctor_of_kafka(read_settings(kafka=kafka_settings(secure_kafka).model_dump()))) == []


def test_a_password_comes_by_the_environment_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificates: Certificates
) -> None:
    text = (Path(__file__).parents[2] / "conf" / "settings.toml").read_text()
    (tmp_path / "settings.toml").write_text(text.replace("[kafka]", '[kafka]\npassword = "x"'))
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    with pytest.raises(SettingsError, match=f"does not belong in a file; set {PASSWORD_VARIABLE}"):
        read_settings()
    (tmp_path / "settings.toml").write_text(text.replace('"PLAINTEXT"', '"SASL_SSL"'))
    with pytest.raises(
        SettingsError, match=f"needs a username, and a password in the environment's {PASSWORD_VARIABLE}"
    ):
        read_settings()
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    monkeypatch.setenv("OVERTONE_KAFKA__USERNAME", NAME)
    chosen = read_settings()
    assert chosen.kafka.password.get_secret_value() == PASSWORD and PASSWORD not in repr(chosen)
    monkeypatch.setenv("OVERTONE_KAFKA__CA_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(SettingsError, match="is no file; give the path of a PEM file"):
        read_settings()


class SecureMongo(MongoServer):
    """A server whose clients speak TLS."""

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        super().__init__(folder)
        self.certificates = certificates

    @property
    def options(self) -> str:
        return f"directConnection=true&tls=true&tlsCAFile={self.certificates.authority}"

    @property
    def uri(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/?{self.options}"

    def arguments(self) -> list[str | Path]:
        tls = [
            "--tlsMode",
            "requireTLS",
            "--tlsCertificateKeyFile",
            self.certificates.pair,
            "--tlsAllowConnectionsWithoutCertificates",
        ]
        return [*super().arguments(), *tls, "--tlsCAFile", self.certificates.authority]


@pytest.fixture(scope="module")
def secure_mongo(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[SecureMongo]:
    """A server with one user, that then demands to know who asks."""
    folder = tmp_path_factory.mktemp("secure-mongo")
    server = SecureMongo(folder, certificates)
    server.start()
    try:
        server.wait()
        with MongoClient[dict[str, Any]](server.uri) as client:
            client.admin.command("createUser", NAME, pwd="word", roles=[{"role": "readWrite", "db": "overtone"}])
        server.stop()
        key = folder / "key"
        key.write_text("c2VjcmV0c2VjcmV0")
        key.chmod(0o600)
        server.process.start([_mongod(), *server.arguments(), "--auth", "--keyFile", key])
        with MongoClient[dict[str, Any]](server.uri) as client:  # which waits until it listens
            while not client.admin.command("hello").get("isWritablePrimary"):
                time.sleep(0.1)
        yield server
    finally:
        server.stop()


def settings_of(server: SecureMongo, credentials: str) -> Mongo:
    uri = server.uri.replace("mongodb://", f"mongodb://{credentials}").replace("/?", "/?authSource=admin&")
    return Mongo(uri=uri, database="overtone")


def test_a_mongodb_that_demands_tls_and_a_password_is_used(secure_mongo: SecureMongo) -> None:
    with mongodb.client(settings_of(secure_mongo, "overtone:word@")) as client:
        client.overtone.tracks.insert_one({"_id": "a"})
        assert client.overtone.tracks.find_one() == {"_id": "a"}


def test_a_mongodb_that_refuses_a_password_is_told(secure_mongo: SecureMongo) -> None:
    with pytest.raises(mongodb.MongoAway, match="refuses the user or the password") as error:
        mongodb.client(settings_of(secure_mongo, "overtone:other@"))
    assert "other" not in str(error.value)


def test_a_certificate_of_an_unknown_authority_is_told_as_such(secure_mongo: SecureMongo) -> None:
    right = settings_of(secure_mongo, "overtone:word@").uri.get_secret_value()
    uri = SecretStr(right.replace(f"&tlsCAFile={secure_mongo.certificates.authority}", ""))
    with pytest.raises(mongodb.MongoAway, match="and this program do not agree on TLS .*: see tls and tlsCAFile"):
        mongodb.client(Mongo(uri=uri, database="overtone"))


def test_the_doctor_names_what_a_mongodb_refuses(secure_mongo: SecureMongo) -> None:
    wrong = settings_of(secure_mongo, "overtone:other@")
    (finding,) = doctor_of_mongodb(read_settings(mongo={"uri": wrong.uri, "database": "overtone"}))
    assert "refuses the user or the password" in finding.what and "other" not in str(finding)
    right = settings_of(secure_mongo, "overtone:word@")
    elsewhere = read_settings(mongo={"uri": right.uri, "database": "another"})
    assert [finding.what for finding in doctor_of_mongodb(elsewhere)][0] == "the database another refuses the user (code 13)"
