"""Settings: one frozen object, read once at the top of a job and handed down in pieces.

A value comes from the job's arguments, else from the environment (`OVERTONE_MONGO__DATABASE`), else from `settings.toml`
in `$SPARK_CONF_DIR` or, where there is none, beside this module. A name that no setting has is refused, wherever it stands.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from importlib.resources import as_file, files
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, get_origin

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from conf import messages
from conf.kafka import PASSWORD_VARIABLE
from conf.kafka import Kafka as Kafka
from conf.messages import PREFIX as PREFIX
from conf.section import Section

PROJECT = Path(__file__).resolve().parent.parent


class SettingsError(ValueError):
    """A setting is misspelt or has a value that cannot be used."""


class Lake(Section):
    """Where the Delta tables lie, a folder or a URI that Spark can write to, and how many days what a stream wrote is kept there;
    0: for good."""

    root: str = ""
    keep_events_days: int = Field(default=0, ge=0)
    keep_lists_days: int = Field(default=365, ge=0)
    keep_rejected_days: int = Field(default=90, ge=0)

    def table(self, name: str) -> str:
        root = self.root.rstrip("/")
        if root.startswith("s3://"):  # Hadoop's name for it, which delta-rs knows too
            root = "s3a" + root.removeprefix("s3")
        return f"{root}/{name}"


class Models(Section):
    """Where model versions lie: a URI, or a folder that driver and workers see."""

    root: str = ""


class Library(Section):
    """The music library that batch reads and that player and stream offer; empty: not chosen."""

    root: str = ""
    middle_s: float = Field(default=30.0, ge=0)
    ear: Literal["musicnn", "none"] = "musicnn"
    commit_minutes: float = Field(default=5.0, gt=0)

    @property
    def analysed_s(self) -> float | None:
        """Seconds around the middle of a longer track that are analysed; None for all of it."""
        return self.middle_s or None


class Mongo(Section):
    """The MongoDB server. The URI may hold a password, so it is never printed: `place` is what messages show."""

    uri: SecretStr
    database: str = Field(
        min_length=1,
        max_length=63,
        pattern=r"^[^\s/\\.\"$*<>:|?\x00]+$",
        description='a name without blanks and any of / \\ . " $ * < > : | ?',
    )

    @field_validator("uri")
    @classmethod
    def _is_mongo_uri(cls, uri: SecretStr) -> SecretStr:
        if not uri.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
            raise ValueError("a MongoDB URI starts with mongodb:// or mongodb+srv://")
        return uri

    @property
    def place(self) -> str:
        """Host and port without user or password, also of a URI whose password should have been escaped."""
        return re.split("[/?]", self.uri.get_secret_value().partition("://")[2].rpartition("@")[2])[0]


class Stream(Section):
    trigger_seconds: float = Field(ge=0)
    ledger_trigger_seconds: float = Field(ge=0)
    max_events_per_trigger: int = Field(ge=1)
    max_events_per_core: int = Field(default=1000, ge=0)
    small_batch_events: int = Field(ge=0)
    events_per_task: int = Field(default=50, ge=1)
    items: int = Field(ge=1, le=500)
    compact_minutes: float = Field(ge=0)
    skip_rates_minutes: float = Field(ge=0)
    mixes_hours: float = Field(ge=0)
    metrics_host: str = Field(default="127.0.0.1", min_length=1)
    metrics_port: int = Field(ge=0, le=65535)
    stuck_seconds: float = Field(default=600.0, ge=30)
    checkpoints: str = ""


class Taste(Section):
    """What each action says, and how it fades; see settings.toml for the meaning of each."""

    play: float = Field(ge=-1, le=1)
    complete: float = Field(ge=-1, le=1)
    like: float = Field(ge=-1, le=1)
    skip: float = Field(ge=-1, le=1)
    dislike: float = Field(ge=-1, le=1)
    more: float = Field(ge=-1, le=1)
    less: float = Field(ge=-1, le=1)
    skip_rate_prior: float = Field(gt=0)
    skip_factor_most: float = Field(ge=1)
    remembered_tracks: int = Field(ge=1, le=10_000)
    half_life_days: float = Field(gt=0)
    session_half_life_minutes: float = Field(gt=0)
    session_share: float = Field(ge=0, le=1)
    attention_tracks: float = Field(gt=0)
    impatience: float = Field(ge=0)
    centres: int = Field(ge=1, le=5)
    centre_reach: float = Field(gt=0)
    rejection: float = Field(ge=0)
    artist_cap: int = Field(ge=1)
    heard_again_after_hours: float = Field(ge=0)
    session_gap_minutes: float = Field(gt=0)
    shown_patience: float = Field(gt=0)
    shown_half_life_days: float = Field(gt=0)
    diversity: float = Field(ge=0, le=0.9)
    exploration: int = Field(ge=0)


class Player(Section):
    host: str
    port: int = Field(ge=1, le=65535)
    complete_share: float = Field(gt=0, le=1)
    open_names: bool
    sign_up: bool
    guests: bool
    operators: tuple[str, ...]
    clip_megabytes: float = Field(gt=0, le=500)
    trusted_proxies: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()

    @field_validator("allowed_hosts")
    @classmethod
    def _are_host_names(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if host != "*" and not re.fullmatch(r"[\w.-]+|[0-9a-fA-F:.]+", host):
                raise ValueError(f'{host!r} is no host name; give names or addresses without scheme and port, or "*"')
        return hosts

    @field_validator("trusted_proxies")
    @classmethod
    def _are_addresses(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            ip_network(proxy, strict=False)  # its own ValueError names the value
        return proxies


class Settings(BaseSettings):
    """All settings. `settings()` reads them; tests may build them from keyword arguments."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__", env_ignore_empty=True
    )

    home: Path = PROJECT / ".overtone"
    lake: Lake = Lake()
    models: Models = Models()
    library: Library = Library()
    mongo: Mongo
    kafka: Kafka
    stream: Stream
    taste: Taste
    player: Player

    @property
    def written_locations(self) -> dict[str, str]:
        """{setting: path or URI} of what jobs write: lake, models and checkpoints."""
        checkpoints = self.stream.checkpoints or str(self.home / "checkpoints")
        return {"lake.root": self.lake.root, "models.root": self.models.root, "stream.checkpoints": checkpoints}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _toml_source(settings_cls)

    @model_validator(mode="before")
    @classmethod
    def _derive_paths(cls, values: dict[str, Any]) -> dict[str, Any]:
        home = Path(values.get("home") or PROJECT / ".overtone").expanduser().absolute()
        derived = dict(values, home=home)
        for section in ("lake", "models"):  # HOME/lake and HOME/models, unless their root is set
            fields = derived.get(section) or {}
            if isinstance(fields, dict) and not fields.get("root"):
                derived[section] = {**fields, "root": str(home / section)}
        return derived


def _toml_source(settings_cls: type[BaseSettings]) -> TomlConfigSettingsSource:
    """`settings.toml`: in `$SPARK_CONF_DIR` if there is one, else the one that travels with this package (also in a zip)."""
    file = Path(os.environ.get("SPARK_CONF_DIR") or PROJECT / "conf") / "settings.toml"
    if file.is_file():
        return _read_toml(settings_cls, file)
    with as_file(files("conf") / "settings.toml") as packaged:
        return _read_toml(settings_cls, packaged)


def _read_toml(settings_cls: type[BaseSettings], file: Path) -> TomlConfigSettingsSource:
    try:
        source = TomlConfigSettingsSource(settings_cls, file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not valid TOML: {error}") from error
    kafka = source.toml_data.get("kafka")
    if isinstance(kafka, dict) and kafka.get("password"):
        raise SettingsError(f"{file}: kafka.password does not belong in a file; set {PASSWORD_VARIABLE}")
    return source


def settings(**sections: Any) -> Settings:
    """The settings in force.

    sections : whole sections, or `home`, from a job's arguments; they come before environment and file
    Raises SettingsError, with one line for each thing that is wrong.
    """
    _check_environment()
    try:
        return Settings(**sections)
    except ValidationError as error:
        names = list(_fields_by_name())
        lines = [messages.problem(each, _description(each["loc"]), names) for each in error.errors()]
        raise SettingsError("wrong settings:\n  " + "\n  ".join(lines)) from None


def _check_environment() -> None:
    """Raises SettingsError for a misspelt variable, which pydantic-settings ignores in part, and for a list that is not JSON,
    of which it would name the section alone."""
    field_by_variable = {
        f"{PREFIX}{name.replace('.', '__')}".upper(): field for name, field in _fields_by_name().items()
    }
    for variable, value in os.environ.items():
        if not variable.startswith(PREFIX):
            continue
        field = field_by_variable.get(variable.upper())
        if field is None:
            raise SettingsError(messages.unknown_variable(variable, field_by_variable))
        if value and get_origin(field.annotation) is tuple:
            try:
                json.loads(value)
            except ValueError as error:
                raise SettingsError(f"{variable}: expected {messages.LIST}, got {value!r}") from error


def _fields_by_name() -> dict[str, FieldInfo]:
    """{name: field} of all settings, such as "mongo.database"."""
    fields_by_name = {}
    for section, section_field in Settings.model_fields.items():
        fields = getattr(section_field.annotation, "model_fields", None)
        if fields is None:
            fields_by_name[section] = section_field
        else:
            fields_by_name |= {f"{section}.{name}": field for name, field in fields.items()}
    return fields_by_name


def _description(location: tuple[int | str, ...]) -> str | None:
    field = _fields_by_name().get(".".join(map(str, location)))
    return field.description if field else None
