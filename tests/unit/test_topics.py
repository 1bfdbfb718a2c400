"""A listening topic whose times are the producers' is reported, in one line and once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kafka.errors import TopicAuthorizationFailedError

from conf.settings import settings
from streaming.source import topics

KAFKA = settings().kafka


@pytest.fixture(autouse=True)
def _first_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "_reported", set())


def broker(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    class Admin:
        def describe_configs(self, resources: list[Any], config_filter: str) -> Any:
            assert [(each.name, each.configs) for each in resources] == [
                (KAFKA.listening_topic, [topics.TIMESTAMP_TYPE])
            ]
            assert config_filter == "all", "a broker's default counts too"
            if isinstance(answer, Exception):
                raise answer
            return answer

    @contextmanager
    def admin(_: Any) -> Iterator[Admin]:
        yield Admin()

    monkeypatch.setattr(topics, "admin_client", admin)


def described(timestamp_type: str) -> dict[str, Any]:
    return {"topic": {KAFKA.listening_topic: {topics.TIMESTAMP_TYPE: {"value": timestamp_type}}}}


def test_a_topic_with_the_producers_times_is_reported_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broker(monkeypatch, described("CreateTime"))
    topics.report_producer_clocks(KAFKA)
    topics.report_producer_clocks(KAFKA)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("topic listening-events: message.timestamp.type is CreateTime, so times of arrival are the")
    assert "set it to LogAppendTime" in line


@pytest.mark.parametrize("answer", [described("LogAppendTime"), {}, TopicAuthorizationFailedError(), OSError("away")])
def test_others_are_not(answer: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    broker(monkeypatch, answer)
    topics.report_producer_clocks(KAFKA)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("policy", "retention", "segment", "seconds"),
    [
        ("delete", "1209600000", "604800000", (14 + 7 + 1) * 86400),
        ("compact,delete", "60000", "1000", 61 + 86400),
        ("delete", "-1", "604800000", None),
        ("compact", "1209600000", "604800000", None),
        (None, None, None, None),
    ],
)
def test_events_are_kept_as_the_topic_says(
    policy: str | None,
    retention: str | None,
    segment: str | None,
    seconds: float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = zip(topics.RETENTION_CONFIGS, (policy, retention, segment), strict=True)
    monkeypatch.setattr(topics, "_listening_configs", lambda *_: {name: value for name, value in values if value})
    assert topics.kept_s(KAFKA) == seconds
