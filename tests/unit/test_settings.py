"""Settings: where a value comes from, and how a wrong one is told."""

from __future__ import annotations

import os
import re
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
    ("name", "nearest"),
    [
        ("OVERTONE_MONOG__DATABASE", "OVERTONE_MONGO__DATABASE"),
        ("OVERTONE_MONGO__DATABSE", "OVERTONE_MONGO__DATABASE"),
        ("OVERTONE_STREAM__ITMES", "OVERTONE_STREAM__ITEMS"),
        ("OVERTONE_MONGO", "OVERTONE_MONGO__URI"),
        ("OVERTONE_LAKE__ROT", "OVERTONE_LAKE__ROOT"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_nearest_name(
    name: str, nearest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(SettingsError) as caught:
        settings()
    assert str(caught.value) == f"{name} is not a setting; did you mean {nearest}? conf/settings.toml has all of them"


def test_a_settings_file_with_a_part_of_them_is_told_what_it_replaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings.toml").write_text('[lake]\nroot = "/shared/lake"\n')
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    with pytest.raises(SettingsError) as caught:
        settings()
    lines = str(caught.value).splitlines()
    copy = "a settings.toml of your own replaces conf/settings.toml: begin with a copy of that"
    assert lines[:2] == ["wrong settings:", f"  mongo: is missing; {copy}"] and len(lines) == 6


@pytest.mark.parametrize("name", ["OVERTONE_", "OVERTONE_QUITE_SOMETHING_ELSE"])
def test_a_variable_that_is_near_to_none_is_refused_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(SettingsError) as caught:
        settings()
    assert str(caught.value) == f"{name} is not a setting; conf/settings.toml has all of them"


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"mongo": {"databse": "x"}}, "mongo.databse: is not a setting; did you mean mongo.database?"),
        ({"stream": {"itmes": 3}}, "stream.itmes: is not a setting; did you mean stream.items?"),
        ({"nothing": {"of": "that"}}, "nothing: is not a setting"),
        ({"stream": {"items": 0}}, "stream.items: expected at least 1, got 0"),
        ({"stream": {"items": 501}}, "stream.items: expected at most 500, got 501"),
        ({"stream": {"items": "many"}}, "stream.items: expected a whole number, got 'many'"),
        ({"stream": {"items": 1.5}}, "stream.items: expected a whole number, got 1.5"),
        ({"stream": {"items": None}}, "stream.items: expected a whole number, got None"),
        ({"taste": {"play": 2.0}}, "taste.play: expected at most 1, got 2.0"),
        ({"taste": {"play": "loud"}}, "taste.play: expected a number, got 'loud'"),
        ({"taste": {"half_life_days": 0}}, "taste.half_life_days: expected more than 0, got 0"),
        ({"player": {"sign_up": "maybe"}}, "player.sign_up: expected true or false, got 'maybe'"),
        ({"player": {"host": 5}}, "player.host: expected text, got 5"),
        ({"player": {"operators": "ana"}}, """player.operators: expected a list, such as ["ana", "bo"], got 'ana'"""),
        (
            {"player": {"trusted_proxies": ["1.2.3.400"]}},
            "player.trusted_proxies: '1.2.3.400' does not appear to be an IPv4 or IPv6 network, got ['1.2.3.400']",
        ),
        (
            {"kafka": {"bootstrap_servers": "nowhere"}},
            "kafka.bootstrap_servers: expected HOST:PORT, several with commas between, got 'nowhere'",
        ),
        ({"kafka": {"listening_topic": ""}}, "kafka.listening_topic: expected 1 or more characters, got ''"),
        (
            {"mongo": {"database": "a b"}},
            """mongo.database: expected a name without blanks and any of / \\ . " $ * < > : | ?, got 'a b'""",
        ),
        ({"mongo": 5}, "mongo: expected a section of settings"),
        ({"mongo": {"uri": 5}}, "mongo.uri: expected text"),
    ],
)
def test_a_wrong_value_has_a_line_with_its_name_the_rule_and_the_value(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(**sections)
    assert message in str(caught.value).split("\n  ")


def test_no_message_is_in_pydantics_words() -> None:
    with pytest.raises(SettingsError) as caught:
        settings(mongo={"uri": "x", "databse": 1}, stream={"items": []}, taste={"like": {}}, player={"port": True})
    assert not re.search("Input|Extra|permitted|Value error", str(caught.value))


def test_a_list_that_is_not_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERTONE_PLAYER__OPERATORS", "ana")
    with pytest.raises(
        SettingsError, match=r'^OVERTONE_PLAYER__OPERATORS: expected a list, such as \["ana", "bo"\], got'
    ):
        settings()
    monkeypatch.setenv("OVERTONE_PLAYER__OPERATORS", '["ana"]')
    assert settings().player.operators == ("ana",)


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
