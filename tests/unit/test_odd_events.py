"""Events of clients that queue, repeat, pause, scrub, come back after days, or have odd clocks and names."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from batch.library.labels import spelling_key
from batch.tags.text import MAX_TAG_LENGTH, cleaned
from conf.settings import settings
from streaming.events import BadEvent, Event, encode, parse
from streaming.profile.profile import Profile
from streaming.profile.weights import track_weights
from ui.routes.schemas import ListeningAction

TASTE = settings().taste
SIX = datetime(2026, 11, 20, 18, tzinfo=UTC)
ARRIVAL = datetime(2026, 11, 26, 10, tzinfo=UTC)


def value(occurred_at: Any, track: str = "a", action: str = "play", **more: Any) -> bytes:
    event_id = f"{track}-{action}-{occurred_at}"
    fields = {"event_id": event_id, "user_id": "ana", "action": action, "occurred_at": occurred_at, "track_id": track}
    return json.dumps(fields | more).encode()


def event(track: str, action: str, minutes: float, position: int | None = None, event_id: str = "") -> Event:
    event_id = event_id or f"{track}-{action}-{minutes}"
    return Event("ana", track, action, SIX + timedelta(minutes=minutes), event_id, position, 6000)


def counted(*events: Event) -> Profile:
    profile = Profile("ana")
    for offset, each in enumerate(events):
        profile = profile.after(each, (each.track_id or "").upper(), "cluster/topic/0", offset, TASTE)
    return profile


def weights(profile: Profile) -> dict[str, float]:
    found = track_weights(profile, profile.latest_at, TASTE)
    return dict(zip(found.ids, found.weights.tolist(), strict=True))


def test_tracks_of_one_second_all_count() -> None:
    profile = counted(*[event(track, "complete", 0) for track in "abcd"], event("e", "play", 0))
    assert (profile.events_applied, sorted(profile.heard.ids), profile.plays) == (5, list("abcde"), 5)


def test_a_track_on_repeat_counts_each_time_also_twice_in_one_second() -> None:
    times = [0, 3, 6, 9, 9]
    profile = counted(*[event("a", "complete", at, 6000, f"e{number}") for number, at in enumerate(times)])
    assert profile.events_applied == 5 and 0 < weights(profile)["a"] <= 1


def test_an_event_id_counts_once_for_each_listener() -> None:
    sent = event("a", "like", 0, event_id="e1")
    resent = [sent, event("b", "complete", 1, event_id="e2"), sent, event("b", "complete", 5, event_id="e2"), sent]
    assert counted(*resent).events_applied == 2
    assert Profile("bo").after(sent, "A", "cluster/topic/0", 7, TASTE).events_applied == 1


def test_who_drags_to_the_end_and_goes_on_has_rejected_nothing() -> None:
    profile = counted(
        event("dragged", "play", 0, 0),
        event("dragged", "skip", 0.1, 5990),
        event("beyond its end", "skip", 0.2, 9000),
        event("skipped at once", "skip", 0.3, 10),
        event("heard", "complete", 0.4, 6000),
    )
    weight_by_track = weights(profile)
    assert weight_by_track["dragged"] > 0 and weight_by_track["beyond its end"] == pytest.approx(0)
    assert weight_by_track["skipped at once"] < -0.5 and weight_by_track["heard"] > 0.7


def test_what_a_phone_kept_for_nine_days_counts_as_if_it_had_come_in_time() -> None:
    day = 24 * 60
    steering = [
        Event("ana", None, action, SIX + timedelta(days=at), f"{action}-{at}", target=target)
        for action, target, at in (
            ("mute", "genre:Folk", 6),
            ("unmute", "genre:Folk", 8),
            ("adventure", "1.00", 3),
            ("adventure", "0.25", 7),
        )
    ]
    judged = [event("a", "like", 4 * day), event("a", "unlike", 7 * day), event("b", "dislike", 5 * day)]
    heard = [event("cde"[at % 3], ("play", "complete", "skip")[at % 2], at * day + 7, 3000) for at in range(8)]
    kept = [*heard, *judged, event("b", "like", 8 * day), *steering]
    in_time = counted(*sorted([*kept, event("f", "complete", 9 * day)], key=lambda each: each.occurred_at))
    for seed in range(5):
        late = random.Random(seed).sample(kept, len(kept))
        profile = counted(event("f", "complete", 9 * day), *late)
        assert profile.events_applied == len(kept) + 1
        assert (profile.verdict("a"), profile.verdict("b"), profile.muted, profile.adventure) == ("", "like", [], 0.25)
        assert profile.latest_at == (SIX + timedelta(days=9)).timestamp(), "what is late does not turn time back"
        assert dict(zip(profile.heard.ids, profile.heard.column(0).tolist(), strict=True)) == dict(
            zip(in_time.heard.ids, in_time.heard.column(0).tolist(), strict=True)
        )
        assert weights(profile) == pytest.approx(weights(in_time), abs=1e-4)


@pytest.mark.parametrize(
    "occurred_at",
    [
        1740945147000,
        1740945147,
        0,
        "1740945147000",
        "1740945147",
        "1970-01-21T08:08:07.056+01:00",
        "57138-05-01T00:00:00Z",
        "+057138-05-01T00:00:00Z",
        "1764-01-01T00:00:00Z",
        "02/03/2026 09:00",
        "2026-11-20",
        "2026-11-20T18:00:00",
        "2026-11-20T18:00:00 Europe/Berlin",
        "2026-11-20T18:00:00Z[Europe/Berlin]",
        "Fri, 20 Nov 2026 18:00:00 GMT",
        None,
        "",
        "NaT",
    ],
)
def test_a_time_that_is_none_is_refused_by_the_name_of_its_field(occurred_at: Any) -> None:
    with pytest.raises(BadEvent, match="occurred_at"):
        parse(value(occurred_at), ARRIVAL)


@pytest.mark.parametrize(
    ("occurred_at", "utc"),
    [
        ("2026-10-25T01:30:00+02:00", datetime(2026, 10, 24, 23, 30, tzinfo=UTC)),
        ("2026-10-25T01:30:00+01:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-11-20T23:30:00-08:00", datetime(2026, 11, 21, 7, 30, tzinfo=UTC)),
        ("2026-11-20T18:00:00+14:00", datetime(2026, 11, 20, 4, tzinfo=UTC)),
        ("20261120T180000Z", SIX),
        ("2026-W47-5T18:00:00Z", SIX),
        ("2026-11-20 18:00:00+00:00", SIX),
    ],
)
def test_a_time_with_any_zone_is_an_instant(occurred_at: str, utc: datetime) -> None:
    assert parse(value(occurred_at), ARRIVAL).occurred_at == utc


def test_the_later_of_two_verdicts_is_later_in_utc() -> None:
    """Half past eleven at night in California comes after ten the next morning in India."""
    events = [
        parse(value("2026-11-20T23:30:00-08:00", action="like"), ARRIVAL),
        parse(value("2026-11-21T10:00:00+05:30", action="unlike"), ARRIVAL),
    ]
    assert counted(*events).verdict("a") == counted(*reversed(events)).verdict("a") == "like"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\xef\xbb\xbf" + value("2026-11-20T18:00:00Z"), "not JSON: Unexpected UTF-8 BOM"),
        (b"\r\n", "not JSON"),
        (value("2026-11-20T18:00:00Z").decode().encode("utf-16"), "not UTF-8"),
    ],
)
def test_what_a_windows_producer_may_add_is_refused_with_its_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(BadEvent, match=reason):
        parse(raw, ARRIVAL)


def test_blanks_and_line_ends_around_a_value_do_not_matter() -> None:
    plain = value("2026-11-20T18:00:00Z")
    assert parse(b" \t" + plain + b" \r\n", ARRIVAL) == parse(plain, ARRIVAL)


@pytest.mark.parametrize(
    "name",
    [
        "Fox/Hen",
        "!!!",
        "a:b:c",
        "Rock; Folk",
        "🎷",
        "Nora\x92s Band",  # Windows-1252 that was read as Latin-1: older tables hold it
        "x" * 300,
        "x" * MAX_TAG_LENGTH,
    ],
)
def test_whatever_name_a_track_has_can_be_muted_by_event_and_page(name: str) -> None:
    assert "\x92" in name or cleaned(name) == name, "a tag holds it"
    for kind in ("artist", "genre"):
        target = f"{kind}:{name}"
        muted = parse(encode(Event("ana", None, "mute", SIX, target=target)), ARRIVAL)
        assert counted(muted).muted == [target] and spelling_key(name)
        assert ListeningAction(action="mute", target=target).target == target


def test_a_target_longer_than_any_name_is_refused() -> None:
    target = f"artist:{'x' * (MAX_TAG_LENGTH + 1)}"
    with pytest.raises(BadEvent, match="expected a target artist:NAME"):
        encode(Event("ana", None, "mute", SIX, target=target))
    with pytest.raises(ValidationError):
        ListeningAction(action="mute", target=target)


def test_both_unicode_forms_of_a_name_are_one_muting() -> None:
    composed, decomposed = "artist:Zo\u00eb", "artist:Zoe\u0308"
    mute = Event("ana", None, "mute", SIX, "e1", target=composed)
    unmute = Event("ana", None, "unmute", SIX + timedelta(seconds=1), "e2", target=decomposed)
    assert counted(mute).muted == [composed] and counted(mute, unmute).muted == []
