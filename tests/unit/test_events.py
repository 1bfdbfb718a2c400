"""The listening event: what is one, and each way of not being one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from batch.mongo import NEW_LISTENERS
from streaming.events import MAX_BYTES, MAX_DEPTH, MAX_MS, TRACK_ACTIONS, BadEvent, Event, encode, parse, received_at

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
GOOD = {
    "event_id": "e1",
    "user_id": "ana",
    "track_id": "t1",
    "action": "play",
    "occurred_at": "2026-11-23T12:00:00.250Z",
}


def value(**changed: Any) -> bytes:
    return json.dumps({**GOOD, **changed}).encode()


def test_an_event_comes_back_as_it_was_sent() -> None:
    event = Event("ana", "t1", "skip", NOON, "e1", 5_000, 200_000, "s1", "player", "m1", more={"mood": ["ü", 1]})
    assert parse(encode(event), received_at=NOON) == event


def test_five_fields_make_an_event() -> None:
    assert parse(value(), NOON) == Event("ana", "t1", "play", NOON + timedelta(milliseconds=250), "e1")


@pytest.mark.parametrize("action", TRACK_ACTIONS)
def test_each_action_is_an_event(action: str) -> None:
    assert parse(value(action=action), NOON).action == action


@pytest.mark.parametrize(
    ("action", "target"),
    [
        ("mute", "artist:Deep: Blue"),
        ("unmute", "genre:Folk"),
        ("mute", "tag:mellow"),
        ("more", "tag:mellow"),
        ("less", "tag:female vocalists"),
        ("neutral", "tag:R&B"),
        ("adventure", "0.75"),
        ("adventure", "1.00"),
        ("adventure", "0"),
    ],
)
def test_steering_has_a_target_and_no_track(action: str, target: str) -> None:
    event = Event("ana", None, action, NOON, "e1", target=target)
    assert parse(encode(event), NOON) == event
    assert "track_id" not in json.loads(encode(event))


@pytest.mark.parametrize(("action", "tracks"), [("shown", ("a", "b")), ("shown", ("a",) * 100), ("visit", ())])
def test_what_was_shown_and_a_visit_have_no_track_of_their_own(action: str, tracks: tuple[str, ...]) -> None:
    event = Event("ana", None, action, NOON, "e1", tracks=tracks)
    each_once = tuple(dict.fromkeys(tracks))
    assert parse(encode(event), NOON) == Event("ana", None, action, NOON, "e1", tracks=each_once)


def test_tracks_of_another_action_are_a_field_that_we_do_not_know() -> None:
    parsed = parse(value(tracks=["a"]), NOON)
    assert (parsed.tracks, parsed.more) == ((), {"tracks": ["a"]})


def test_a_target_of_a_track_action_is_a_field_that_we_do_not_know() -> None:
    assert parse(value(target="artist:Deep"), NOON).more == {"target": "artist:Deep"}
    assert parse(value(action="more", target="tag:mellow"), NOON).more == {"target": "tag:mellow"}


def test_times_are_kept_in_utc() -> None:
    event = parse(value(occurred_at="2026-11-23T13:30:00+02:00"), NOON)
    assert event.occurred_at == datetime(2026, 11, 23, 11, 30, tzinfo=UTC)
    assert event.occurred_at.tzinfo is UTC
    in_delhi = datetime(2026, 11, 23, 17, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert json.loads(encode(Event("ana", "t1", "play", in_delhi)))["occurred_at"] == "2026-11-23T12:00:00.000Z"


def test_each_event_has_an_id_of_its_own() -> None:
    assert Event("ana", "t1", "play", NOON).event_id != Event("ana", "t1", "play", NOON).event_id


def test_unknown_fields_travel_on_and_null_ones_count_as_missing() -> None:
    event = parse(value(shuffle=True, session_id=None, position_ms=None, weather={"rain": 1}), NOON)
    assert event.more == {"shuffle": True, "weather": {"rain": 1}}
    assert (event.session_id, event.position_ms) == (None, None)


@pytest.mark.parametrize(
    ("position_ms", "duration_ms", "share"),
    [(50, 200, 0.25), (300, 200, 1.0), (0, 200, 0.0), (None, 200, None), (50, None, None), (50, 0, None)],
)
def test_the_share_heard_lies_between_nothing_and_all(
    position_ms: int | None, duration_ms: int | None, share: float | None
) -> None:
    assert Event("ana", "t1", "skip", NOON, "e1", position_ms, duration_ms).share_heard == share


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (None, "empty value"),
        (b"", "not JSON"),
        (b"\xff\xfe", "not UTF-8: .* at byte 0"),
        (b"{", "not JSON"),
        (b"[" * 30_000, "nested 30000 levels deep"),
        (b'{"a": "' + b'[\\"' * 20_000, "not JSON: Unterminated string"),
        (b"[" * 33 + b'"' * 60_001, "nested 33 levels deep"),
        (b'{"position_ms": NaN}', "not JSON: NaN"),
        (b'{"position_ms": -Infinity}', "not JSON: -Infinity"),
        (b'{"position_ms": ' + b"9" * 5_000 + b"}", "not JSON"),
        (b"[]", "expected a JSON object, got a list"),
        (b"null", "expected a JSON object, got null"),
        (b"{}", "missing: event_id, user_id, action, occurred_at, track_id"),
        (b" " * (MAX_BYTES + 1), f"{MAX_BYTES + 1} bytes; at most {MAX_BYTES}"),
        (value(user_id=None, action=None), "missing: user_id, action"),
        (value(action="dance"), "unknown action 'dance'; expected one of play, skip"),
        (value(action=3), "action: expected a string, got a number"),
        (value(action=["play"]), "action: expected a string, got a list"),
        (value(user_id=7), "user_id: expected a string, got a number"),
        (value(user_id=""), "user_id has 0 characters, expected 1 to 128"),
        (value(user_id="u" * 129), "user_id has 129 characters"),
        (value(user_id="a\nb"), "user_id holds control characters"),
        (value(user_id=NEW_LISTENERS), "user_id .* is reserved for listeners without events"),
        (value(track_id="\x00"), "track_id holds control characters"),
        (value(track_id="\ud800"), "holds a lone surrogate"),
        (value(track_id={}), "track_id: expected a string, got an object"),
        (value(event_id=""), "event_id has 0 characters"),
        (value(track_id=None), "missing: track_id"),
        (value(action="mute", track_id=None), "missing: target"),
        (value(action="mute", target="artist:Deep"), "mute takes a target and no track_id"),
        (
            value(action="mute", track_id=None, target="album:x"),
            "mute: expected a target artist:NAME, genre:NAME or tag:NAME, got 'album:x'",
        ),
        (
            value(action="unmute", track_id=None, target="genre:"),
            "expected a target artist:NAME, genre:NAME or tag:NAME",
        ),
        (value(action="more", track_id=None), "missing: track_id"),
        (value(action="more", track_id=None, target=None), "missing: track_id"),
        (
            value(action="less", track_id=None, target="genre:Folk"),
            "less: expected a target tag:NAME, got 'genre:Folk'",
        ),
        (value(action="neutral", track_id=None, target="tag:"), "neutral: expected a target tag:NAME, got 'tag:'"),
        (value(action="like", track_id=None, target="tag:mellow"), "missing: track_id"),
        (value(action="mute", track_id=None, target="artist:a\x00"), "target holds control characters"),
        (value(action="mute", track_id=None, target=5), "target: expected a string, got a number"),
        (value(action="mute", track_id=None, target="artist:" + "x" * 1001), "expected a target artist:NAME"),
        (
            value(action="adventure", track_id=None, target="1.01"),
            "adventure: expected a target from 0.00 to 1.00, got '1.01'",
        ),
        (value(action="adventure", track_id=None, target="-0.5"), "expected a target from 0.00 to 1.00"),
        (value(action="adventure", track_id=None, target="nan"), "expected a target from 0.00 to 1.00"),
        (value(action="shown", track_id=None), "missing: tracks"),
        (value(action="shown", tracks=["a"]), "shown takes tracks and no track_id"),
        (value(action="shown", track_id=None, tracks=[]), "tracks has 0 ids, expected 1 to 100"),
        (value(action="shown", track_id=None, tracks=["a"] * 101), "tracks has 101 ids, expected 1 to 100"),
        (value(action="shown", track_id=None, tracks="a"), "tracks: expected a list, got a string"),
        (value(action="shown", track_id=None, tracks=["a", 1]), "an id in tracks: expected a string, got a number"),
        (value(action="visit"), "visit takes no track_id"),
        (value(session_id="s" * 129), "session_id has 129 characters; at most 128"),
        (value(source=1.5), "source: expected a string, got a number"),
        (value(model_version=[]), "model_version: expected a string, got a list"),
        (value(position_ms="5"), "position_ms: expected a number, got a string"),
        (value(position_ms=True), "position_ms: expected a number, got a boolean"),
        (value(position_ms=-1), f"position_ms: expected 0 to {MAX_MS}, got -1"),
        (value(duration_ms=MAX_MS + 1), f"duration_ms: expected 0 to {MAX_MS}, got {MAX_MS + 1}"),
        (value(duration_ms=1).replace(b": 1}", b": 1e999}"), "number out of range: 1e999"),
        (value(occurred_at=1_700_000_000), "occurred_at: expected a string, got a number"),
        (value(occurred_at="yesterday"), "occurred_at 'yesterday' is not an ISO 8601 time"),
        (value(occurred_at="2026-11-23T12:00:00"), "has no time zone"),
        (value(occurred_at="0001-01-01T00:00:00+14:00"), "is out of range"),
        (value(occurred_at="1999-12-31T23:59:59Z"), "is not between 2000 and a day after the event arrived"),
        (value(occurred_at="2026-11-24T12:00:01Z"), "is not between"),
    ],
)
def test_an_invalid_value_is_refused_with_its_reason(raw: bytes | None, reason: str) -> None:
    with pytest.raises(BadEvent, match=reason):
        parse(raw, NOON)


def test_a_clock_may_be_a_day_ahead_of_arrival_and_no_more() -> None:
    assert parse(value(occurred_at="2026-11-24T12:00:00Z"), NOON).occurred_at == NOON + timedelta(days=1)


def test_the_largest_value_is_an_event() -> None:
    filled = value(note="").replace(b'"note": ""', b'"note": "' + b"x" * (MAX_BYTES - len(value(note=""))) + b'"')
    assert len(filled) == MAX_BYTES
    assert parse(filled, NOON).user_id == "ana"


@pytest.mark.parametrize(
    "event",
    [
        Event("", "t1", "play", NOON),
        Event("ana", "t1", "dance", NOON),
        Event("ana", "t1", "play", NOON, position_ms=-1),
        Event("ana", "t1", "play", NOON, more={"note": "x" * MAX_BYTES}),
    ],
)
def test_an_invalid_event_is_not_encoded(event: Event) -> None:
    with pytest.raises(BadEvent):
        encode(event)


def test_kafka_counts_milliseconds_since_1970() -> None:
    assert received_at(1_795_435_200_250) == datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC)


def test_a_duplicate_field_name_is_refused() -> None:
    with pytest.raises(BadEvent, match="duplicate field name"):
        parse(b'{"user_id": "a", "user_id": "b"}', datetime(2026, 1, 1, tzinfo=UTC))


def test_depth_is_counted_outside_of_strings_and_does_not_depend_on_the_caller() -> None:
    def nested(depth: int) -> bytes:
        return value()[:-1] + b', "more": ' + b"[" * depth + b"]" * depth + b"}"

    parse(nested(MAX_DEPTH - 1), NOON)
    for depth in (MAX_DEPTH, 900):
        with pytest.raises(BadEvent, match=f"nested {depth + 1} levels deep"):
            parse(nested(depth), NOON)
    assert parse(value(note='[{"\\' * 100), NOON).more["note"].startswith("[{")


def test_a_reason_stays_short() -> None:
    for changed in ({"action": "x" * 60_000}, {"user_id": ["y" * 60_000]}, {"occurred_at": "z" * 60_000}):
        with pytest.raises(BadEvent) as refused:
            parse(value(**changed), NOON)
        assert len(str(refused.value)) <= 501
