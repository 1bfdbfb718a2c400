"""The Kafka cluster: where it is, its topics, and how its clients prove who they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, model_validator

from conf.section import Section

PASSWORD_VARIABLE = "OVERTONE_KAFKA__PASSWORD"  # noqa: S105
SCRAM_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule"
PLAIN_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule"


class Kafka(Section):
    """The Kafka cluster and its topics.

    security_protocol : TLS where it has SSL in it, a name and a password where it has SASL
    sasl_mechanism : how the password is proved
    username, password : with SASL; the password comes by PASSWORD_VARIABLE alone
    ca_file : certificates, in PEM, of the authorities that have signed the brokers'; "" for the system's
    """

    bootstrap_servers: str = Field(
        pattern=r"^[^\s,:]+:\d+(,[^\s,:]+:\d+)*$", description="HOST:PORT, several with commas between"
    )
    listening_topic: str = Field(min_length=1)
    recommendation_topic: str = Field(min_length=1)
    features_topic: str = Field(min_length=1)
    partitions: int = Field(ge=1)
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] = "SCRAM-SHA-512"
    username: str = ""
    password: SecretStr = SecretStr("")
    ca_file: str = ""

    @model_validator(mode="after")
    def _has_a_name_and_a_password(self) -> Kafka:
        if self._has_sasl and not (self.username and self.password.get_secret_value()):
            raise ValueError(
                f"{self.security_protocol} needs a username, and a password in the environment's {PASSWORD_VARIABLE}"
            )
        if self.ca_file and not Path(self.ca_file).is_file():
            raise ValueError(f"ca_file {self.ca_file!r} is no file; give the path of a PEM file with certificates")
        return self

    @property
    def _has_sasl(self) -> bool:
        return self.security_protocol.startswith("SASL")

    def client_options(self) -> dict[str, Any]:
        """Options of kafka-python's clients: the servers, and what they demand."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers.split(","),
            "security_protocol": self.security_protocol,
        }
        if self._has_sasl:
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password.get_secret_value(),
            }
        if self.ca_file:
            options["ssl_cafile"] = self.ca_file
        return options

    def spark_options(self) -> dict[str, str]:
        """Options of Spark's Kafka source, certificates and password included: Spark hides the latter in its plans."""
        options = {"kafka.bootstrap.servers": self.bootstrap_servers}
        if self.security_protocol != "PLAINTEXT":
            options["kafka.security.protocol"] = self.security_protocol
        if self._has_sasl:
            login = PLAIN_LOGIN if self.sasl_mechanism == "PLAIN" else SCRAM_LOGIN
            name, word = (_quoted(each) for each in (self.username, self.password.get_secret_value()))
            options["kafka.sasl.mechanism"] = self.sasl_mechanism
            options["kafka.sasl.jaas.config"] = f"{login} required username={name} password={word};"
        if self.ca_file:
            options["kafka.ssl.truststore.type"] = "PEM"
            options["kafka.ssl.truststore.certificates"] = Path(self.ca_file).read_text()
        return options


def _quoted(value: str) -> str:
    """A value of a JAAS configuration."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
