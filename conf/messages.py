"""Messages about wrong settings in plain words: the rule, the value met, and the nearest name of a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher

from pydantic_core import ErrorDetails

PREFIX = "OVERTONE_"
"""How the variables of all settings begin."""
NEAREST_RATIO = 0.6
"""Similarity of two names, 0 to 1 (difflib's), from which on one is taken for a misspelling of the other."""
LIST = 'a list, such as ["ana", "bo"]'

_EXPECTED_BY_ERROR = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a number",
    "string_type": "text",
    "tuple_type": LIST,
    "model_type": "a section of settings",
    "model_attributes_type": "a section of settings",
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "more than {gt:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "less than {lt:g}",
    "string_too_short": "{min_length} or more characters",
    "string_too_long": "at most {max_length} characters",
}
"""What was expected, by the type of pydantic's error, with the limits of its `ctx`."""


def problem(error: ErrorDetails, description: str | None, names: Iterable[str]) -> str:
    """One line on a setting: its name, the rule, and the value met unless it may be a secret.

    error : one of pydantic's
    description : what the setting takes, where it says so; it stands for a pattern
    names : of all settings, such as "mongo.database"
    """
    name, kind, value = ".".join(str(part) for part in error["loc"]), error["type"], error["input"]
    if kind == "extra_forbidden":
        return f"{name}: is not a setting{_did_you_mean(name, names)}"
    if kind == "missing":
        return f"{name}: is missing; a settings.toml of your own replaces conf/settings.toml: begin with a copy of that"
    is_secret = "mongo" in error["loc"] and error["loc"][-1] != "database"
    value_text = "" if is_secret or isinstance(value, Mapping) else f", got {value!r}"
    if kind == "string_pattern_mismatch" and description:
        return f"{name}: expected {description}{value_text}"
    if kind in _EXPECTED_BY_ERROR:
        return f"{name}: expected {_EXPECTED_BY_ERROR[kind].format(**error.get('ctx', {}))}{value_text}"
    return f"{name}: {error['msg'].removeprefix('Value error, ')}{value_text}"


def unknown_variable(variable: str, variables: Iterable[str]) -> str:
    """That an environment variable is no setting, with the name that it may stand for."""
    return f"{variable} is not a setting{_did_you_mean(variable, variables) or ';'} conf/settings.toml has all of them"


def _did_you_mean(name: str, names: Iterable[str]) -> str:
    nearest = max(names, key=lambda other: _similarity(name, other))
    return f"; did you mean {nearest}?" if _similarity(name, nearest) >= NEAREST_RATIO else ""


def _similarity(name: str, other: str) -> float:
    """Likeness of two names, 0 to 1, beside how all variables begin."""
    return SequenceMatcher(None, name.removeprefix(PREFIX), other.removeprefix(PREFIX), autojunk=False).ratio()
