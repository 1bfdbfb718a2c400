"""Settings: where a value comes from, and how a wrong one is told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from conf.settings import PROJECT, SettingsError, settings

DEFAULTS = (PROJECT / "conf" / "settings.toml").read_text()


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("OVERTONE_") or name == "SPARK_CONF_DIR":
            monkeypatch.delenv(name)


def test_arguments_win_over_the_environment_and_that_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (settings().mongo.database, settings().stream.items) == ("overtone", 30)
    monkeypatch.setenv("OVERTONE_MONGO__DATABASE", "from_environment")
    monkeypatch.setenv("OVERTONE_STREAM__ITEMS", "12")
    found = settings(mongo={"database": "from_argument"})
    assert (found.mongo.database, found.stream.items) == ("from_argument", 12)
    assert found.mongo.uri.get_secret_value().startswith("mongodb://")


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERTONE_MONGO__DATABASE", "")
    assert settings().mongo.database == "overtone"


def test_lake_and_models_lie_in_the_home_unless_they_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(home=tmp_path)
    assert (found.lake.table("tracks"), found.models.root) == (f"{tmp_path}/lake/tracks", f"{tmp_path}/models")
    monkeypatch.setenv("OVERTONE_LAKE__ROOT", "s3a://bucket/lake/")
    assert settings(home=tmp_path).lake.table("tracks") == "s3a://bucket/lake/tracks"


def test_another_environment_is_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.toml").write_text(DEFAULTS.replace('database = "overtone"', 'database = "elsewhere"'))
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    assert settings().mongo.database == "elsewhere"


def test_a_folder_without_settings_leaves_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    assert settings().mongo.database == "overtone"


def test_a_file_that_is_not_toml_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.toml").write_text("[mongo\n")
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    with pytest.raises(SettingsError, match="settings.toml is not valid TOML"):
        settings()


@pytest.mark.parametrize(
    "name",
    ["OVERTONE_MONOG__DATABASE", "OVERTONE_MONGO__DATABSE", "OVERTONE_MONGO", "OVERTONE_HOME__ROOT", "OVERTONE_"],
)
def test_a_misspelt_variable_is_refused_with_the_names_that_exist(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(SettingsError, match=f"{name} is not a setting.*OVERTONE_MONGO__DATABASE"):
        settings()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"mongo": {"databse": "x"}}, "mongo.databse: Extra inputs are not permitted"),
        ({"monog": {"database": "x"}}, "monog: Extra inputs are not permitted"),
        ({"stream": {"items": 0}}, r"stream.items: .*greater than or equal to 1 \(met 0\)"),
        ({"kafka": {"bootstrap_servers": "nowhere"}}, r"kafka.bootstrap_servers: .*\(met 'nowhere'\)"),
        ({"mongo": {"database": "a b"}}, "mongo.database"),
        ({"taste": {"play": 2.0}}, "taste.play"),
    ],
)
def test_a_wrong_value_is_told_with_its_name_and_itself(given: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        settings(**given)


def test_every_wrong_value_has_a_line() -> None:
    with pytest.raises(SettingsError) as caught:
        settings(stream={"items": 0}, player={"port": 0})
    names = [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]]
    assert names == ["stream.items", "player.port"]


def test_a_password_is_never_shown() -> None:
    found = settings(mongo={"uri": "mongodb://ana:hush@db.example:27017/?x=1"})
    assert found.mongo.place == "db.example:27017"
    assert "hush" not in repr(found)
    with pytest.raises(SettingsError) as caught:
        settings(mongo={"uri": "http://ana:hush@db.example"})
    assert "starts with mongodb://" in str(caught.value) and "hush" not in str(caught.value)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        settings().mongo.database = "other"
