"""What events say of a listener: each once, in whatever order they come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from conf.settings import Taste
from streaming.documents import opinion_from, profile_document, profile_from
from streaming.events import Event
from streaming.profile.profile import REMEMBERED_EVENT_IDS, REMEMBERED_MUTINGS, Opinion, Profile, opinion_weights

TASTE = Taste(
    play=0.2,
    complete=0.8,
    like=1.0,
    skip=-0.6,
    dislike=-1.0,
    more=0.9,
    less=-0.9,
    skip_rate_prior=20.0,
    skip_factor_most=2.0,
    remembered_tracks=300,
    half_life_days=30.0,
    session_half_life_minutes=30.0,
    session_share=0.5,
    attention_tracks=5.0,
    impatience=0.5,
    centres=5,
    centre_reach=0.75,
    rejection=0.7,
    diversity=0.0,
    artist_cap=2,
    heard_again_after_hours=24.0,
    exploration=2,
)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def event(track: str, action: str, minutes: float = 0, event_id: str = "", position: int | None = None) -> Event:
    when = NOON + timedelta(minutes=minutes)
    return Event("ana", track, action, when, event_id or f"{track}-{action}-{minutes}", position, 100)


def heard(*events: Event, taste: Taste = TASTE) -> Profile:
    profile = Profile("ana")
    for offset, each in enumerate(events):
        profile = profile.after(each, (each.track_id or "").upper(), "cluster/topic/0", offset, taste)
    return profile


def weights(profile: Profile) -> dict[str, float]:
    weights, _ = opinion_weights(profile.opinions, profile.latest_at, TASTE)
    return {o.track_id: round(weight, 9) for o, weight in zip(profile.opinions, weights.tolist(), strict=True)}


@pytest.mark.parametrize(
    ("action", "position", "weight"),
    [
        ("play", None, 0.2),
        ("complete", None, 0.8),
        ("like", None, 1.0),
        ("unlike", None, 0.0),
        ("dislike", None, -1.0),
        ("skip", 0, -0.6),
        ("skip", 75, -0.15),
        ("skip", 100, 0.0),
        ("skip", None, -0.3),
    ],
)
def test_each_action_says_what_the_settings_say(action: str, position: int | None, weight: float) -> None:
    assert weights(heard(event("a", action, position=position)))["a"] == pytest.approx(weight)


def test_an_event_read_twice_counts_once() -> None:
    once = heard(event("a", "play"))
    again = once.after(event("a", "play"), "A", "cluster/topic/0", 0, TASTE)
    assert again is once


def test_an_event_sent_twice_counts_once() -> None:
    twice = heard(event("a", "play", event_id="e1"), event("a", "play", 5, event_id="e1"))
    assert weights(twice) == weights(heard(event("a", "play", event_id="e1")))
    assert (twice.events_applied, twice.offsets) == (1, {"cluster/topic/0": 1})


def test_an_id_is_remembered_for_500_events() -> None:
    profile = heard(*[event("a", "play", at, event_id=f"e{at}") for at in range(501)])
    assert len(profile.recent_events) == REMEMBERED_EVENT_IDS == 500
    assert profile.recent_events[0] == "e1"


def test_offsets_of_another_partition_or_topic_count_for_themselves() -> None:
    profile = heard(event("a", "play"))
    for source in ("cluster/topic/1", "cluster/other/0"):
        profile = profile.after(event("a", "play", event_id=source), "A", source, 0, TASTE)
    assert profile.events_applied == 3


def test_the_order_of_arrival_makes_no_difference() -> None:
    events = [
        event("a", "play", 0),
        event("a", "complete", 4),
        event("a", "like", 2),
        event("b", "skip", 30, position=10),
        event("a", "unlike", 600),
    ]
    expected = weights(heard(*events))
    assert expected["a"] > 0 > expected["b"]
    for order in permutations(events):
        assert weights(heard(*order)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("actions", "weight"),
    [
        (["more"], 0.9),
        (["less"], -0.9),
        (["more", "less"], -0.9),
        (["more", "neutral"], 0.0),
        (["like", "neutral"], 0.0),
        (["dislike", "less", "neutral"], 0.0),
        (["neutral", "like"], 1.0),
        (["less", "like"], 0.1),
        (["more", "unlike"], 0.9),
    ],
)
def test_wishes_and_verdicts_hold_until_they_are_taken_back(actions: list[str], weight: float) -> None:
    events = [event("a", action, at) for at, action in enumerate(actions)]
    assert weights(heard(*events))["a"] == pytest.approx(weight, abs=1e-4)
    assert weights(heard(*reversed(events)))["a"] == pytest.approx(weight, abs=1e-4)


def steer(action: str, target: str, minutes: float) -> Event:
    return Event("ana", None, action, NOON + timedelta(minutes=minutes), f"{action}-{target}-{minutes}", target=target)


def test_the_latest_muting_and_adventure_hold_whatever_the_order_of_arrival() -> None:
    events = [
        steer("mute", "artist:Deep", 0),
        steer("unmute", "artist:Deep", 2),
        steer("mute", "genre:Folk", 1),
        steer("adventure", "0.9", 1),
        steer("adventure", "0.2", 3),
    ]
    for order in permutations(events):
        profile = heard(*order)
        assert (profile.muted, profile.adventure, profile.events_applied) == (["genre:Folk"], 0.2, 5)
    assert profile_from(profile_document(heard(*events))) == heard(*events)


def test_a_profile_of_before_steering_is_read() -> None:
    document = profile_document(heard(event("a", "like")))
    for name in ("mutings", "muted", "adventure", "adventure_at"):
        del document[name]
    for opinion in document["opinions"]:
        opinion = dict(opinion)
        assert opinion_from({name: value for name, value in opinion.items() if not name.startswith("wish")})
    assert profile_from(document) == heard(event("a", "like"))


def test_a_skip_counts_by_how_often_everybody_skips_that_track() -> None:
    profile = Profile("ana").after(event("a", "skip", position=0), "A", "s", 0, TASTE, 0.5)
    assert weights(profile)["a"] == pytest.approx(-0.3)


def test_the_latest_verdict_holds_even_when_it_comes_first() -> None:
    assert weights(heard(event("a", "dislike", 9), event("a", "like", 3)))["a"] == -1.0
    assert weights(heard(event("a", "unlike", 9), event("a", "like", 3)))["a"] == 0.0


def test_a_like_outweighs_a_few_skips() -> None:
    profile = heard(event("a", "like"), event("a", "skip", 1, position=0))
    assert weights(profile)["a"] > 0


def test_no_weight_leaves_minus_1_to_1() -> None:
    assert weights(heard(*[event("a", "complete", at) for at in range(20)]))["a"] == 1.0
    assert weights(heard(*[event("a", "skip", at, position=0) for at in range(20)]))["a"] == -1.0


def test_a_session_fades_in_minutes_and_the_rest_in_weeks() -> None:
    (opinion,) = heard(event("a", "complete")).opinions
    at = NOON.timestamp()
    assert opinion_weights([opinion], at + 30 * 60, TASTE)[0] == pytest.approx(0.4 * 0.5 + 0.4, rel=1e-2)
    assert opinion_weights([opinion], at + 30 * 86_400, TASTE)[0] == pytest.approx(0.2)


def test_only_the_latest_tracks_are_remembered() -> None:
    few = TASTE.model_copy(update={"remembered_tracks": 2})
    events = [event("a", "play", 0), event("b", "play", 1), event("a", "like", 2), event("c", "play", 3)]
    profile = heard(*events, taste=few)
    assert [opinion.track_id for opinion in profile.opinions] == ["a", "c"]


def test_a_profile_comes_back_from_its_document() -> None:
    profile = heard(event("a", "like"), event("b", "skip", 3, position=10))
    document = profile_document(profile)
    assert document["_id"] == "ana"
    assert document["offsets"] == [{"source": "cluster/topic/0", "offset": 1}]
    assert profile_from(document) == profile
    assert profile.opinions[0] == Opinion("a", "A", NOON.timestamp(), verdict="like", verdict_at=NOON.timestamp())


def test_of_very_many_mutings_the_latest_are_remembered() -> None:
    profile = Profile("ana")
    for at in range(REMEMBERED_MUTINGS + 20):
        event = Event("ana", None, "mute", NOON + timedelta(seconds=at), target=f"artist:{at}")
        profile = profile.after(event, "", "s", at, TASTE)
    assert len(profile.mutings) == REMEMBERED_MUTINGS and profile.events_applied == REMEMBERED_MUTINGS + 20
    assert "artist:19" not in profile.muted and "artist:20" in profile.muted
