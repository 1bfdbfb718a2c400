"""What events say of a listener: each once, in whatever order they come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import numpy as np
import pytest

from conf.settings import Taste
from streaming.events import Event
from streaming.profile.documents import profile_document, profile_from
from streaming.profile.profile import REMEMBERED_EVENTS, REMEMBERED_MUTINGS, Profile, hashed
from streaming.profile.weights import track_weights

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
    heard_again_after_hours=672.0,
    session_gap_minutes=60.0,
    shown_patience=4.0,
    shown_half_life_days=5.0,
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
    return weights_at(profile, profile.latest_at)


def weights_at(profile: Profile, now: float) -> dict[str, float]:
    found = track_weights(profile, now, TASTE)
    return {track_id: round(weight, 9) for track_id, weight in zip(found.ids, found.weights.tolist(), strict=True)}


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
    assert len(profile.recent_events) == REMEMBERED_EVENTS == 500
    assert profile.recent_events[0] == hashed("e1")


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
        (["less", "like"], 1.0),
        (["like", "less"], -0.9),
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


def test_a_skip_counts_by_how_often_everybody_skips_that_track() -> None:
    profile = Profile("ana").after(event("a", "skip", position=0), "A", "s", 0, TASTE, 0.5)
    assert weights(profile)["a"] == pytest.approx(-0.3)


def test_the_latest_verdict_holds_even_when_it_comes_first() -> None:
    assert weights(heard(event("a", "dislike", 9), event("a", "like", 3)))["a"] == -1.0
    assert weights(heard(event("a", "unlike", 9), event("a", "like", 3)))["a"] == 0.0


def test_a_like_outweighs_a_few_skips() -> None:
    profile = heard(event("a", "like"), event("a", "skip", 1, position=0))
    assert weights(profile)["a"] > 0


def test_listening_alone_stays_between_minus_1_and_1() -> None:
    assert weights(heard(*[event("a", "complete", at) for at in range(20)]))["a"] == pytest.approx(1.0)
    assert weights(heard(*[event("a", "skip", at, position=0) for at in range(20)]))["a"] == pytest.approx(-1.0)


def test_many_plays_say_no_more_than_one_track_heard_to_the_end() -> None:
    paused = heard(*[event("a", "play", 5 * at) for at in range(12)])
    assert weights(paused)["a"] <= weights(heard(event("a", "complete")))["a"] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("actions", "sign"),
    [
        (["play", "complete", "play", "complete", "dislike"], -1),
        (["play", "less"], -1),
        (["like", "skip", "skip", "skip", "skip", "skip", "skip"], 1),
        (["skip", "skip", "more"], 1),
        (["dislike", "play", "complete"], -1),
    ],
)
def test_a_verdict_or_wish_decides_the_sign_while_it_stands(actions: list[str], sign: int) -> None:
    weight = weights(heard(*[event("a", action, at, position=0) for at, action in enumerate(actions)]))["a"]
    assert weight * sign > 0
    if sign < 0:
        assert weight <= -0.89, "what was heard before does not soften it"


def test_two_things_said_of_a_track_weigh_more_than_one() -> None:
    assert weights(heard(event("a", "complete"), event("a", "like", 1)))["a"] > 1.5


def test_a_session_fades_in_minutes_and_the_rest_in_weeks() -> None:
    profile, at = heard(event("a", "complete")), NOON.timestamp()
    assert weights_at(profile, at + 30 * 60)["a"] == pytest.approx(0.4 * 0.5 + 0.4, rel=1e-2)
    assert weights_at(profile, at + 30 * 86_400)["a"] == pytest.approx(0.2)


def test_sums_are_kept_of_the_latest_tracks_but_verdicts_and_times_of_all() -> None:
    few = TASTE.model_copy(update={"remembered_tracks": 2})
    events = [event("a", "dislike", 0), *[event(f"t{at:03d}", "play", at + 1) for at in range(400)]]
    profile = heard(*events, taste=few)
    assert profile.evidence.ids == ("t398", "t399")
    assert profile.disliked == ["a"] and weights(profile)["a"] < -0.9
    assert len(profile.heard) == 400 and profile.plays == 400


def test_wishes_and_mutings_outlive_the_window_too_and_sums_are_bounded_as_they_are_stored() -> None:
    few = TASTE.model_copy(update={"remembered_tracks": 2})
    since = [event(f"t{at:03d}", "complete", at + 2) for at in range(400)]
    profile = heard(event("a", "less", 0), steer("mute", "artist:Deep", 1), *since, taste=few)
    assert profile.wish("a") == "less" and weights(profile)["a"] < -0.8 and profile.muted == ["artist:Deep"]
    often = heard(
        *[event("a", "complete", at / 60) for at in range(99)],
        *[event("b", action, 2 + at / 60, position=0) for at in range(50) for action in ("play", "skip")],
    )
    assert np.abs(often.evidence.values[:, 1:]).max() == 1.0


def test_a_like_is_no_hearing() -> None:
    profile = heard(event("a", "like"), event("b", "more"), event("c", "play"))
    assert profile.heard.ids == ("c",)


@pytest.mark.parametrize(
    ("actions", "plays"), [("play complete", 1), ("play play", 2), ("complete", 1), ("play like skip", 1)]
)
def test_a_track_that_is_heard_on_counts_as_one_play(actions: str, plays: int) -> None:
    assert heard(*[event("a", action, at) for at, action in enumerate(actions.split())]).plays == plays


def test_a_pause_begins_a_session_and_an_event_that_is_late_does_not() -> None:
    profile = heard(event("a", "play", 0), event("b", "play", 59), event("c", "play", 200), event("d", "play", 30))
    assert profile.session_at == (NOON + timedelta(minutes=200)).timestamp()


def shown(minutes: float, *tracks: str) -> Event:
    return Event("ana", None, "shown", NOON + timedelta(minutes=minutes), f"shown-{minutes}", tracks=tracks)


def test_what_was_shown_is_counted_until_it_is_taken_and_counts_in_no_taste() -> None:
    profile = heard(shown(0, "a", "b"), shown(61, "a", "b"), event("b", "play", 62))
    assert profile.shown.ids == ("a",) and profile.shown.column(0).tolist() == pytest.approx([2.0], abs=1e-2)
    assert weights(profile) == weights(heard(event("b", "play", 62))) and profile.plays == 1
    later = profile.after(shown(5 * 24 * 60 + 61, "a"), "", "s", 0, TASTE)
    assert later.shown.column(0).tolist() == pytest.approx([2.0], abs=1e-2), "half of two, and one more"


def test_lists_that_follow_each_other_show_a_track_once() -> None:
    flurry = heard(*[shown(number / 60, "a") for number in range(60)])
    evening = heard(*[shown(5 * number, "a", f"t{number}") for number in range(40)], shown(1, "a"))
    assert flurry.shown.column(0).tolist() == pytest.approx([1.0], abs=1e-3)
    assert evening.shown.row("a")[0] == pytest.approx(1.0, abs=0.05)  # type: ignore[index]
    assert evening.shown.row("t7")[0] == 1.0, "a track that came in later counts as well"  # type: ignore[index]
    assert evening.events_applied == 41
    days = heard(*[shown(24 * 60 * day + 7 * number, "a") for day in range(3) for number in range(9)])
    assert days.shown.row("a")[0] == pytest.approx(1 + 0.5**0.2 + 0.5**0.4, abs=0.05)  # type: ignore[index]


def test_what_is_shown_late_counts_only_where_nothing_was_shown_since() -> None:
    profile = heard(shown(300, "a"), shown(10, "a", "b"))
    assert dict(zip(profile.shown.ids, profile.shown.values.tolist(), strict=True)) == {
        "a": [1.0, (NOON + timedelta(minutes=300)).timestamp()],
        "b": [1.0, (NOON + timedelta(minutes=10)).timestamp()],
    }


def test_a_visit_changes_only_the_time() -> None:
    visit = Event("ana", None, "visit", NOON + timedelta(days=1), "v")
    profile = heard(event("a", "play"), visit)
    assert profile.latest_at == profile.visited_at == profile.session_at == visit.occurred_at.timestamp()
    assert profile.evidence == heard(event("a", "play")).evidence and profile.events_applied == 2


def test_a_profile_that_a_clock_took_a_year_ahead_is_pulled_back() -> None:
    year = 365 * 24 * 60
    profile = heard(event("a", "complete", year), event("b", "dislike", year), steer("mute", "artist:x", year))
    arrival = NOON.timestamp() + 600
    back = profile.pulled_back(arrival)
    times = [back.latest_at, back.session_at, back.mutings[0].at, *back.heard.column(0), *back.evidence.column(0)]
    assert {*times, back.verdicts.row("b")[1]} == {arrival}  # type: ignore[index]
    assert back.disliked == ["b"] and weights(back)["a"] > 0.7
    assert heard(event("a", "complete", 60)).pulled_back(arrival) == heard(event("a", "complete", 60)), (
        "an hour is no year"
    )


def test_a_profile_comes_back_from_its_document() -> None:
    events = [event("a", "like"), event("b", "skip", 3, position=10), event("b", "complete", 4), shown(5, "c")]
    profile = heard(*events, steer("mute", "genre:Folk", 6))
    document = profile_document(profile)
    assert (document["_id"], document["version"]) == ("ana", 3)
    assert document["offsets"] == [{"source": "cluster/topic/0", "offset": 4}]
    back = profile_from(document)
    assert back.heard.column(0).tolist() == pytest.approx(profile.heard.column(0).tolist(), abs=1)
    assert weights(back) == pytest.approx(weights(profile), abs=1e-6)
    assert profile_document(back) | {"updated_at": 0} == document | {"updated_at": 0}


def test_of_very_many_mutings_the_latest_are_remembered() -> None:
    profile = Profile("ana")
    for at in range(REMEMBERED_MUTINGS + 20):
        event = Event("ana", None, "mute", NOON + timedelta(seconds=at), target=f"artist:{at}")
        profile = profile.after(event, "", "s", at, TASTE)
    assert len(profile.mutings) == REMEMBERED_MUTINGS and profile.events_applied == REMEMBERED_MUTINGS + 20
    assert "artist:19" not in profile.muted and "artist:20" in profile.muted


def test_the_latest_wish_for_a_word_holds_by_any_of_its_names_whatever_the_order_of_arrival() -> None:
    events = [
        steer("more", "tag:mellow", 1),
        steer("less", "tag:Female Vocalist", 2),
        steer("neutral", "tag:mellow", 3),
        steer("more", "tag:female vocals", 4),
        steer("less", "tag:metal", 5),
    ]
    for order in permutations(events):
        profile = heard(*order)
        assert profile.wished_tags == {"female vocalists": 1.0, "metal": -1.0}
        assert [wish.target for wish in profile.tag_wishes] == ["tag:female vocals", "tag:mellow", "tag:metal"]
    assert not profile.verdicts.ids and not profile.plays


def test_a_wish_for_a_word_mutes_nothing_and_a_muting_is_no_wish() -> None:
    profile = heard(steer("mute", "tag:sad", 1), steer("neutral", "tag:sad", 2))
    assert profile.muted == ["tag:sad"] and profile.wished_tags == {}
    assert heard(steer("mute", "tag:Melancholic", 1), steer("unmute", "tag:sad", 2)).muted == []


def test_wishes_for_words_come_back_from_the_document() -> None:
    profile = heard(steer("more", "tag:mellow", 1), steer("neutral", "tag:sad", 2))
    document = profile_document(profile)
    assert [(each["target"], each["wish"]) for each in document["tag_wishes"]] == [
        ("tag:mellow", "more"),
        ("tag:sad", ""),
    ]
    assert profile_from(document).tag_wishes == profile.tag_wishes
    del document["tag_wishes"]  # as version 2 wrote it
    assert profile_from(document).tag_wishes == ()
